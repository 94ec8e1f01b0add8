import { env, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { EmailAddress } from "../../../durable-objects/email-index/address.ts";
import type { EmailIndexApi } from "../../../durable-objects/email-index/api.ts";
import type { EventLogApi } from "../../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { UserTimelineApi } from "../../../durable-objects/user-timeline/api.ts";
import { timelineName } from "../../../durable-objects/user-timeline/timeline-name.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { idHash } from "../../../r2-layout/event-id.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { SUPPORT } from "../../../r2-layout/limits.ts";
import { formatLogLine } from "../../../r2-layout/log-line.ts";
import { encodeSegment } from "../../../r2-layout/segment.ts";
import { SOURCE, TOKEN } from "./edge-config.ts";

const KEY = "test-identity-key";
const real = env as unknown as {
  BUCKET: R2Bucket;
  USER_TIMELINE: ObjectNamespace<UserTimelineApi>;
  EMAIL_INDEX: ObjectNamespace<EmailIndexApi>;
  EVENT_LOG: ObjectNamespace<EventLogApi>;
};
const get = (path: string, token: string = TOKEN.support, headers: Record<string, string> = {}) =>
  SELF.fetch(`https://collect.example${path}`, { headers: { authorization: `Bearer ${token}`, ...headers } });
const json = async (path: string) => (await get(path)).json() as Promise<Record<string, unknown>>;
const lookUp = (text: string, more = "") => json(`/v1/lookup?q=${encodeURIComponent(text)}${more}`);

let seq = 0;
/** Puts events where the sessions sink would: an event without a user goes to its device. */
async function keep(events: readonly Partial<EventRow>[]): Promise<void> {
  for (const event of events) {
    const at = event.event_time ?? Date.now() * 1_000;
    const row = {
      event_id: `e${++seq}`,
      event_name: "page",
      event_type: "page",
      source: SOURCE,
      received_at: at,
      event_time: at,
      log_shard: 0,
      log_seq: seq,
      ...event,
    } as EventRow;
    const { user_id: user, anonymous_id: device } = row;
    const append = async (kind: "user" | "device", id: string, rest: object) => {
      const timeline = real.USER_TIMELINE.getByName(timelineName(KEY, { kind, id }));
      const step = { subject: { kind, id }, shard: 0, from: seq, to: seq };
      await timeline.append({ ...step, events: [], ...rest });
    };
    if (user) await append("user", user, { events: [row] });
    if (device) await append("device", device, user ? { users: [{ id: user, lastSeen: at }] } : { events: [row] });
  }
}

describe("/v1/lookup", () => {
  it("finds a user, a device, and both where one text names both", async () => {
    await keep([
      { user_id: "ann 1", anonymous_id: "phone 1" },
      { anonymous_id: "ann 1" },
      { user_id: "bob 1", anonymous_id: "phone 1" },
    ]);
    expect(await lookUp("ann 1")).toMatchObject({
      q: "ann 1",
      matches: [
        { kind: "user", id: "ann 1", by: "user_id", events: 1 },
        { kind: "device", id: "ann 1", by: "anonymous_id", events: 1, users: 0 },
      ],
    });
    expect(await lookUp(" phone 1 ")).toMatchObject({ matches: [{ kind: "device", id: "phone 1", users: 2 }] });
    expect(await lookUp("nobody at all")).toEqual({ q: "nobody at all", matches: [] });
  });

  it("finds whose an e-mail address is, however it is written", async () => {
    await keep([
      { user_id: "ada", event_name: "identify", event_type: "identify", properties: { email: "Ada@Example.org" } },
    ]);
    const address = new EmailAddress(KEY, "ada@example.org");
    const sealed = [{ kind: "user", id: "ada" } as const, { kind: "user", id: "gone" } as const].map((subject) => ({
      address: address.hash,
      ...address.seal(subject),
    }));
    await real.EMAIL_INDEX.getByName(address.objectName).add(sealed);
    expect(await lookUp("ADA@example.org")).toMatchObject({
      matches: [{ kind: "user", id: "ada", by: "email", email: "Ada@Example.org" }],
    });
    expect(await lookUp("bob@example.org")).toEqual({ q: "bob@example.org", matches: [] });
  });

  it("finds an event by its id alone, in the segment that was committed when its id was taken", async () => {
    const at = Date.now();
    const row = { event_id: "the-event", event_name: "Order", event_type: "track", source: SOURCE, user_id: "ann" };
    const times = { received_at: at * 1_000, event_time: at * 1_000 - 5 };
    const line = formatLogLine({ raw: {}, row: { ...row, ...times } as never, d: 1 });
    const body = encodeSegment([line]);
    await real.BUCKET.put("log/find.ndjson.gz", body);
    const shard = 1;
    const answer = await real.EVENT_LOG.getByName(shardName(shard)).commit({
      epoch: 0,
      segment: {
        key: "log/find.ndjson.gz",
        bytes: body.byteLength,
        events: 1,
        quarantined: 0,
        minReceivedAt: times.received_at,
        maxReceivedAt: times.received_at,
        writtenAt: at,
      },
      ids: idHash("event", SOURCE, "the-event"),
      messages: [],
    });
    expect(answer).toMatchObject({ kind: "committed" });
    const found = { kind: "event", by: "event_id", event_id: "the-event", user_id: "ann", event_name: "Order" };
    expect(await lookUp("the-event")).toMatchObject({ matches: [found] });
    expect(await lookUp("the-event", "&kind=event")).toMatchObject({ matches: [found] });
    expect(await lookUp("the-even")).toEqual({ q: "the-even", matches: [] });
    await real.BUCKET.delete("log/find.ndjson.gz");
    const taken = await lookUp("the-event");
    expect(taken).toEqual({ q: "the-event", matches: [], taken_at: expect.stringMatching(/^20/) });
  });

  it("promise 9: takes SUPPORT.lookupChars characters, and refuses more and none", async () => {
    expect((await get(`/v1/lookup?q=${"x".repeat(SUPPORT.lookupChars)}`)).status).toBe(200);
    for (const query of [`?q=${"x".repeat(SUPPORT.lookupChars + 1)}`, "", "?q=%20", "?q=a&kind=user"]) {
      const refused = await get(`/v1/lookup${query}`);
      expect([refused.status, await refused.json()]).toMatchObject([400, { reason: "bad_parameter" }]);
    }
  });

  it("is for support, and nobody else", async () => {
    for (const path of ["/v1/lookup?q=a", "/v1/users/a/export", "/v1/devices/a/export", "/v1/devices/a"]) {
      expect((await get(path, TOKEN.sql)).status).toBe(403);
      expect((await get(path)).status).toBe(200);
    }
  });
});

describe("a user's events with what came before the sign-in", () => {
  const start = Date.now() * 1_000 - 600_000_000;
  const at = (second: number) => start + second * 1_000_000;

  it("have the anonymous ones in their place, and only where they are asked for", async () => {
    await keep([
      { event_id: "s1", anonymous_id: "s-phone", event_time: at(1) },
      { event_id: "s2", anonymous_id: "s-phone", user_id: "s-ann", event_time: at(2) },
      { event_id: "s3", anonymous_id: "s-phone", event_time: at(3) },
    ]);
    const ids = async (query: string) =>
      ((await json(`/v1/users/s-ann/events${query}`)).events as EventRow[]).map(({ event_id }) => event_id);
    expect(await ids("")).toEqual(["s2"]);
    expect(await ids("?stitch=1")).toEqual(["s2", "s1"]);
    const seen: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const next = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const page = await json(`/v1/users/s-ann/events?stitch=1&limit=1${next}`);
      seen.push(...(page.events as EventRow[]).map(({ event_id }) => event_id));
      cursor = page.next as string | null;
    }
    expect(seen).toEqual(["s2", "s1"]);
    const refused = await get("/v1/users/s-ann/events?stitch=yes");
    expect(await refused.json()).toMatchObject({ reason: "bad_parameter", parameter: "stitch" });
  });

  it("are not sent again while they have not changed", async () => {
    await keep([{ event_id: "t1", user_id: "tail" }]);
    const first = await get("/v1/users/tail/events");
    const etag = first.headers.get("etag")!;
    const again = await get("/v1/users/tail/events?minutes=61", TOKEN.support, { "if-none-match": etag });
    expect([again.status, await again.text()]).toEqual([304, ""]);
    await keep([{ event_id: "t2", user_id: "tail" }]);
    expect((await get("/v1/users/tail/events", TOKEN.support, { "if-none-match": etag })).status).toBe(200);
  });

  it("leave as a file, with a name that says nothing of whose they are", async () => {
    await keep([{ event_id: "x1", user_id: "exported" }]);
    const answer = await get("/v1/users/exported/export?format=csv&minutes=60");
    expect(answer.headers.get("content-disposition")).toBe('attachment; filename="eventpile-events.csv"');
    expect((await answer.text()).split("\r\n")[1]).toContain("x1");
    expect((await json("/v1/users/exported/export")).events).toHaveLength(1);
    expect((await get("/v1/users/exported/export?format=xls")).status).toBe(400);
  });
});

describe("/v1/devices/:id", () => {
  it("says who was on a device, the newest first", async () => {
    await keep([
      { anonymous_id: "tv" },
      { anonymous_id: "tv", user_id: "tv-ann", event_time: 1_000_000 },
      { anonymous_id: "tv", user_id: "tv-bob", event_time: 2_000_000 },
    ]);
    expect(await json("/v1/devices/tv")).toMatchObject({
      anonymous_id: "tv",
      events: 1,
      users: [{ user_id: "tv-bob" }, { user_id: "tv-ann" }],
      cut: false,
    });
  });
});

describe("GET /v1/users/{id}/export?format=archive", () => {
  it("is for admins: an archive that begins to come, without a name in its headers", async () => {
    const path = "/v1/users/ann%201/export?format=archive";
    const refused = await get(path);
    expect([refused.status, ((await refused.json()) as { reason: string }).reason]).toEqual([403, "missing_scope"]);
    const answer = await get(path, TOKEN.admin);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/zip"]);
    expect(answer.headers.get("content-disposition")).toBe('attachment; filename="eventpile-person.zip"');
    const reader = answer.body!.getReader();
    expect(new TextDecoder().decode((await reader.read()).value).slice(0, 2)).toBe("PK");
    await reader.cancel();
  });
});
