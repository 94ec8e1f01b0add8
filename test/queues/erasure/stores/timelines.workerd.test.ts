import { evictAllDurableObjects, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { EmailAddress } from "../../../../durable-objects/email-index/address.ts";
import type { EmailIndex } from "../../../../durable-objects/email-index/email-index.ts";
import type { SinkCursor } from "../../../../durable-objects/sink-cursor/sink-cursor.ts";
import type { Subject } from "../../../../durable-objects/user-timeline/api.ts";
import { Timeline } from "../../../../durable-objects/user-timeline/timeline.ts";
import { timelineName } from "../../../../durable-objects/user-timeline/timeline-name.ts";
import type { UserTimeline } from "../../../../durable-objects/user-timeline/user-timeline.ts";
import type { ErasureRun, ErasureStore } from "../../../../queues/erasure/erasure-store.ts";
import { emailsStore } from "../../../../queues/erasure/stores/emails.ts";
import { timelinesStore } from "../../../../queues/erasure/stores/timelines.ts";
import { JobStore } from "../../../../queues/replay/job-store.ts";
import { amendTimelines } from "../../../../queues/sessions/amend.ts";
import { createSessionsSink } from "../../../../queues/sessions/sink.ts";
import type { EventRow } from "../../../../r2-layout/event-columns.ts";
import { DAY_MS, TIMELINE } from "../../../../r2-layout/limits.ts";
import { plainEvent } from "../../../durable-objects/user-timeline/events.ts";
import { memoryBucket, runOf, TEST_KEY, withoutIdentifiers } from "../run-of.ts";

const {
  SINK_CURSOR: cursors,
  USER_TIMELINE: timelines,
  EMAIL_INDEX: emails,
} = env as unknown as {
  SINK_CURSOR: DurableObjectNamespace<SinkCursor>;
  USER_TIMELINE: DurableObjectNamespace<UserTimeline>;
  EMAIL_INDEX: DurableObjectNamespace<EmailIndex>;
};
const identityKey = TEST_KEY;
const sink = createSessionsSink({ cursors, timelines, emails, identityKey });

afterEach(() => reset());

const timelineOf = (subject: Subject) => timelines.getByName(timelineName(identityKey, subject));
const user = (id: string) => timelineOf({ kind: "user", id });
const device = (id: string) => timelineOf({ kind: "device", id });
const MINUTE_US = 60_000_000;
let n = 0;
const start = Date.now() * 1_000 - 500 * MINUTE_US;
const event = (user_id: string | null, anonymous_id: string | null, more: Partial<EventRow> = {}): EventRow =>
  plainEvent({ event_id: `${n}`, event_time: start + n++ * MINUTE_US, user_id, anonymous_id, log_seq: n, ...more });
const identify = (id: string, on: string, email: string) =>
  event(id, on, { event_type: "identify", event_name: "identify", properties: { email } });

async function drain(events: readonly EventRow[]): Promise<void> {
  const { cursor: from, token } = (await sink.lease(0, "test"))!;
  const to = Math.max(...events.map(({ log_seq }) => log_seq));
  const applied = { events: events.length, quarantined: 0 };
  await sink.apply({ shard: 0, token, from, to, completeUntil: 0, events, quarantine: [], applied, rules: 0 });
}

/** Runs a store's slices to the end. */
async function erase(store: ErasureStore, run: ErasureRun): Promise<number> {
  let found = 0;
  for (let position: unknown = null; ; ) {
    const step = await store.erase(run, position);
    found += step.found.removed;
    if (step.done) return found;
    position = JSON.parse(JSON.stringify(step.position));
  }
}

async function traces(store: ErasureStore, run: ErasureRun): Promise<number> {
  for (let position: unknown = null; ; ) {
    const step = await store.verify(run, position);
    if (step.done) return step.traces;
    position = JSON.parse(JSON.stringify(step.position));
  }
}

/** All rows of all tables, as text. */
const rowsOf = (object: DurableObjectStub<UserTimeline>) =>
  runInDurableObject(object, (_, { storage: { sql } }) =>
    sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
      )
      .toArray()
      .map(({ name }) => JSON.stringify(sql.exec(`SELECT * FROM "${name}"`).toArray()))
      .join("\n"),
  );

describe("promise 7: the timelines of an erased person", () => {
  async function shop() {
    n = 0;
    const old = (Date.now() - TIMELINE.daysKept * DAY_MS + 5_000) * 1_000;
    const events = [
      identify("ann", "tablet", "ann@example.org"),
      event("ann", "phone"),
      event("bob", "tablet"),
      identify("bob", "laptop", "bob@example.org"),
      event(null, "phone"),
      event(null, "tablet"),
      identify("dora", "desktop", "Ann@Example.org"),
      // Of events that expire devices and values stay.
      event("carl", "phone", { received_at: old, event_type: "identify", properties: { email: "ann@example.org" } }),
    ];
    await drain(events);
    const bucket = memoryBucket();
    const run = runOf([
      { kind: "user", id: "ann" },
      { kind: "device", id: "phone" },
      { kind: "email", id: "ann@example.org" },
    ]);
    // Dora's has left the lake, and no rule has met it.
    const gone = events.filter((one) => run.matches(one) && one.user_id !== "dora");
    const pairs = gone.map((before) => ({ before, after: null }));
    await new JobStore(bucket, run.id).put("pairs/lake-1.json.gz", pairs);
    const deps = { bucket, timelines, emails, cursors, identityKey };
    return { events, gone, pairs, run, deps, stores: [timelinesStore(deps), emailsStore(deps)] as const };
  }

  it("go whole, in slices and after cuts, leave a mark, and nobody else's names them; all else stays as it was", async () => {
    const { run, pairs, stores, gone } = await shop();
    const before = await user("bob").profile();
    const [own, index] = stores;
    await amendTimelines(pairs, run.version, { cursors, timelines, emails, identityKey });
    expect(await traces(own, run)).toBeGreaterThan(0);

    // A slice of one step each, and all of it begun anew in the middle.
    const { done, found } = await own.erase({ ...run, untilMs: 0 }, null);
    expect([done, found.removed > 0]).toEqual([false, true]);
    await evictAllDurableObjects();
    await erase(own, { ...run, untilMs: 0 });
    await erase(index, run);

    for (const store of stores) {
      expect(await traces(store, run)).toBe(0);
      expect(await traces(store, withoutIdentifiers(run))).toBe(0);
    }
    for (const object of [user("ann"), device("phone"), device("tablet"), user("carl"), user("dora"), user("bob")]) {
      expect(await rowsOf(object)).not.toMatch(/\bann\b|phone/i);
    }
    expect(await rowsOf(user("ann"))).toBe(JSON.stringify([{ id: 0, rules: 1 }]));
    expect((await device("tablet").users()).users.map(({ id }) => id)).toEqual(["bob"]);
    expect((await device("tablet").events({ limit: 10 })).events).toHaveLength(1);
    expect(await user("bob").profile()).toEqual(before);
    expect(gone).toHaveLength(4);
  });

  it("are named by nobody, also where the rule has reached no timeline: pointers, values and events go", async () => {
    const { run, stores } = await shop();
    const others = [device("tablet"), user("carl"), user("dora"), user("bob")];
    // Carl's event is let go, for its age; that he has had a phone and an address is still known.
    await runInDurableObject(
      user("carl"),
      (_, { storage }) => void new Timeline(storage.sql).expire(Date.now() + 10_000),
    );
    await evictAllDurableObjects();
    const [tablet, carl, dora] = await Promise.all(others.map(rowsOf));
    expect([tablet, carl, dora]).toEqual([
      expect.stringContaining("ann"),
      expect.stringContaining("phone"),
      expect.stringContaining("ann@example.org"),
    ]);
    expect((await user("carl").events({ limit: 9 })).events).toEqual([]);
    for (const store of stores) await erase(store, run);
    for (const object of others) expect(await rowsOf(object)).not.toMatch(/\bann\b|phone/i);
    expect((await device("tablet").users()).users.map(({ id }) => id)).toEqual(["bob"]);
    for (const store of stores) expect(await traces(store, run)).toBe(0);
  });

  it("take nothing that was under way: an append and an index that know no such rule", async () => {
    const { run, stores, events } = await shop();
    for (const store of stores) await erase(store, run);
    const late = { subject: { kind: "user", id: "ann" } as const, shard: 1, from: 1, to: 9, events: [events[0]!] };
    await runInDurableObject(user("ann"), (ann) => expect(ann.append(late)).rejects.toThrow(/^rules:/));
    const address = new EmailAddress(identityKey, "ann@example.org");
    const row = { address: address.hash, ...address.seal({ kind: "user", id: "ann" }) };
    await emails.getByName(address.objectName).add([row]);
    for (const store of stores) expect(await traces(store, run)).toBe(0);
  });

  it("are looked for in every build of the store, and what a rebuild has put aside goes with them", async () => {
    const { run, stores, events } = await shop();
    const [own] = stores;
    await cursors.getByName("sessions").beginBuild("rebuild-1", "");
    const built = timelines.getByName(timelineName(identityKey, { kind: "user", id: "ann" }, 1));
    await built.append({ subject: { kind: "user", id: "ann" }, shard: 0, from: 1, to: 9, events: [events[0]!] });
    const range = { shard: 0, from: 0, to: 99, receivedFrom: null, receivedTo: null };
    const piece = {
      job: "w",
      subject: { kind: "user", id: "bob" } as const,
      events: [events[2]!, events[1]!],
      rules: 0,
    };
    await user("bob").stage({ ...piece, ...range });
    const tablet = { kind: "device", id: "tablet" } as const;
    const asked = runOf([...run.subjects, tablet]);
    expect(await user("bob").traces([{ kind: "user", id: "ann" }])).toBe(1);
    await user("bob").scrub([{ kind: "user", id: "ann" }], 1);
    expect(await user("bob").traces([{ kind: "user", id: "ann" }])).toBe(0);
    await erase(own, asked);
    expect(await built.holds()).toBe(false);
    expect(await traces(own, asked)).toBe(0);
  });

  it("are not confirmed where nobody can look again", async () => {
    const { run, stores } = await shop();
    for (const store of stores) await expect(traces(store, withoutIdentifiers(run))).rejects.toThrow(/is missing/);
  });
});
