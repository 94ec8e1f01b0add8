import { describe, expect, it } from "vitest";
import { userKeyName } from "../../../durable-objects/pii-key/api.ts";
import { EMPTY_PROFILE } from "../../../durable-objects/user-timeline/subject-state.ts";
import { timelineName } from "../../../durable-objects/user-timeline/timeline-name.ts";
import { sealed } from "../../../r2-layout/contracts/sealed-text.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { SUPPORT } from "../../../r2-layout/limits.ts";
import { packSubjects, subjectHasher } from "../../../r2-layout/subjects.ts";
import type { Env } from "../../../workers/edge/env.ts";
import { personArchive } from "../../../workers/edge/person-archive.ts";
import { plainEvent } from "../../durable-objects/user-timeline/events.ts";
import { unzip } from "./unzip.ts";

const identityKey = "test-identity-key";
const key = new Uint8Array(32).fill(7);
const phoneKey = new Uint8Array(32).fill(8);
const NOTHING = { users: [], devices: [], emails: [], cut: false };

/** Ann with a phone of her own and a tablet that bob uses, too. */
function held({ quarantined = 1, fails = false } = {}) {
  const objects = new Map<string, { named: object; events: EventRow[] }>();
  const put = (kind: "user" | "device", id: string, named: object, events: EventRow[]) =>
    objects.set(timelineName(identityKey, { kind, id }), { named: { ...NOTHING, ...named }, events });
  const secret = plainEvent({
    event_id: "e1",
    user_id: "ann",
    properties: { size: "L", note: sealed("left foot", key) },
  });
  put("user", "ann", { devices: ["phone", "tablet"], emails: ["ann@example.org"] }, [secret]);
  const before = { note: sealed("right foot", phoneKey), list: JSON.stringify([{ of: sealed(["a", 1], key) }]) };
  put("device", "phone", { users: ["ann"] }, [
    plainEvent({ event_id: "e2", anonymous_id: "phone", properties: before }),
  ]);
  put("device", "tablet", { users: ["ann", "bob"] }, [plainEvent({ event_id: "of-bob", anonymous_id: "tablet" })]);
  const window = { from: 0, events: 0, counts: {}, revenue: {} };
  const online = {
    ...EMPTY_PROFILE,
    last_values: { "traits.note": { value: sealed("left foot", key), at: 0 } },
    ...{ as_of: 0, last_at: {}, active_days_30d: 0, first_touch: null, last_touch: null },
    windows: { "1h": window, "24h": window, "7d": window, "30d": window },
  };
  const hash = subjectHasher(identityKey);
  const keyOf = new Map([
    [userKeyName(hash({ kind: "user", id: "ann" })), key],
    [userKeyName(hash({ kind: "device", id: "phone" })), phoneKey],
  ]);
  const rule = { id: "job", createdAt: 0, seq: 1 };
  const env = {
    IDENTITY_KEY: identityKey,
    USER_TIMELINE: {
      getByName: (name: string) => ({
        named: async () => objects.get(name)?.named ?? NOTHING,
        profile: async () => EMPTY_PROFILE,
        online: async () => online,
        sessions: async () => [],
        async events() {
          if (fails) throw new Error("the object is gone");
          return { events: objects.get(name)?.events ?? [], next: null };
        },
      }),
    },
    EMAIL_INDEX: { getByName: () => ({ find: async () => ({ subjects: [], full: false }) }) },
    PII_KEY: { getByName: (name: string) => ({ peek: async () => keyOf.get(name) ?? null }) },
    LAKE_CATALOG: { getByName: () => ({ plan: async () => ({ files: [], matched: null }) }) },
    EVENT_LOG: {
      getByName: () => ({
        rules: async () => ({
          version: 3,
          rules: [
            { ...rule, version: 1, filter: { where: { user_id: ["ann"] } }, change: { kind: "retract" } },
            { ...rule, version: 2, filter: { where: { user_id: ["bob"] } }, change: { kind: "retract" } },
            {
              ...rule,
              version: 3,
              filter: { subjects: packSubjects([hash({ kind: "device", id: "phone" })]) },
              change: { kind: "suppress" },
            },
          ],
        }),
      }),
    },
  } as unknown as Env;
  const rows = Array.from({ length: quarantined }, (_, i) => [
    0,
    "web",
    "order",
    "ann",
    null,
    "contract",
    JSON.stringify({ n: i, properties: { note: sealed("left foot", key), of: sealed("bob's", new Uint8Array(32)) } }),
  ]);
  return personArchive({ env, generation: async () => 0, now: () => Date.now() * 1_000, sql: async () => rows }, "ann");
}

const filesOf = async (archive: ReadableStream<Uint8Array>) =>
  unzip(new Uint8Array(await new Response(archive).arrayBuffer()));

describe("the archive of what is held about a person", () => {
  it("has a file for each store, encrypted values in clear, and nothing of who shares a device", async () => {
    const files = (await filesOf(held()))!;
    expect([...files.keys()]).toEqual([
      "README.txt",
      "identifiers.json",
      "timeline/profile.json",
      "timeline/sessions.json",
      "timeline/events.ndjson",
      "devices/1.json",
      "devices/1-events.ndjson",
      "lake/events.ndjson",
      "lake/quarantine.json",
      "rules.json",
    ]);
    expect(JSON.parse(files.get("identifiers.json")!)).toEqual({
      user_id: "ann",
      found: [
        { kind: "device", id: "phone", shared: false },
        { kind: "device", id: "tablet", shared: true },
        { kind: "email", id: "ann@example.org", shared: false },
      ],
      complete: true,
    });
    expect(JSON.parse(files.get("timeline/events.ndjson")!)).toMatchObject({
      event_id: "e1",
      properties: { size: "L", note: "left foot" },
    });
    expect(JSON.parse(files.get("devices/1-events.ndjson")!)).toMatchObject({
      event_id: "e2",
      properties: { note: "right foot", list: '[{"of":["a",1]}]' },
    });
    expect(JSON.parse(files.get("timeline/profile.json")!).last_values).toMatchObject({
      "traits.note": { value: "left foot" },
    });
    const [broken] = JSON.parse(files.get("lake/quarantine.json")!).events as { raw: string }[];
    // What is under nobody's key stays shut.
    expect(JSON.parse(broken!.raw)).toMatchObject({
      properties: { note: "left foot", of: expect.stringMatching(/^enc\./) },
    });
    const rules = JSON.parse(files.get("rules.json")!) as { version: number }[];
    expect(rules.map(({ version }) => version)).toEqual([1, 3]);
    expect([...files.values()].join()).not.toMatch(/of-bob|"bob"/);
  });

  it("is no archive where something could not be read", async () => {
    await expect(filesOf(held({ fails: true }))).rejects.toThrow("the object is gone");
  });

  it("promise 9: has SUPPORT.archiveQuarantine broken events, and says where there are more", async () => {
    for (const more of [0, 1]) {
      const files = (await filesOf(held({ quarantined: SUPPORT.archiveQuarantine + more })))!;
      const { events, complete } = JSON.parse(files.get("lake/quarantine.json")!) as {
        events: { raw: string }[];
        complete: boolean;
      };
      expect([events.length, complete]).toEqual([SUPPORT.archiveQuarantine, more === 0]);
    }
  });
});
