import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type {
  EventsPage,
  EventsRequest,
  TimelineAppend,
  UserTimelineApi,
} from "../../../durable-objects/user-timeline/api.ts";
import { formatCursor, positionOf } from "../../../durable-objects/user-timeline/event-order.ts";
import { Timeline } from "../../../durable-objects/user-timeline/timeline.ts";
import type { UserTimeline } from "../../../durable-objects/user-timeline/user-timeline.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { DAY_MS, PLATFORM, TIMELINE } from "../../../r2-layout/limits.ts";
import { appendsOf, flushes, loggedEvents, MINUTE_US, plainEvent, START } from "./events.ts";
import * as reference from "./reference.ts";

const timelines = (env as unknown as { USER_TIMELINE: DurableObjectNamespace<UserTimeline> }).USER_TIMELINE;
let names = 0;
const newTimeline = () => timelines.getByName(`timeline-${names++}`);
const DAY_US = DAY_MS * 1_000;

afterEach(() => reset());

const append = (events: readonly EventRow[], shard = 0): TimelineAppend => ({
  subject: { kind: "user", id: "ann" },
  shard,
  from: Math.min(...events.map((event) => event.log_seq)),
  to: Math.max(...events.map((event) => event.log_seq)),
  events,
});

/** Follows cursors to the end. */
function readAll(page: (request: EventsRequest) => EventsPage, request: Partial<EventsRequest> = {}): EventRow[] {
  const events: EventRow[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const answer = page({ limit: 1_000, ...request, ...(cursor && { cursor }) });
    events.push(...answer.events);
    cursor = answer.next;
  }
  return events;
}

/** Runs in an object, over its SQLite; what it hands over empties the timeline's tables. */
function inSql<T>(work: (emptied: () => SqlStorage) => T): Promise<T> {
  return runInDurableObject(newTimeline(), (_, { storage: { sql } }) =>
    work(() => {
      for (const table of ["head", "chunk"]) sql.exec(`DROP TABLE IF EXISTS ${table}`);
      return sql;
    }),
  );
}

const withoutIds = (sessions: readonly { id: string }[]) => sessions.map(({ id: _, ...rest }) => rest);

describe("promise 2: a timeline", () => {
  it("is what its events make it, however they were cut into flushes, repeated, overlapped, reordered among shards or evicted between", async () => {
    await inSql((emptied) => {
      fc.assert(
        fc.property(loggedEvents, flushes, (events, plan) => {
          const sql = emptied();
          let timeline = new Timeline(sql);
          for (const { evict, ...one } of appendsOf(events, plan)) {
            if (evict) timeline = new Timeline(sql);
            timeline.append(one, Date.now());
          }
          expect(readAll((request) => timeline.events(request))).toEqual(reference.newestFirst(events));
          expect(withoutIds(timeline.sessions(500))).toEqual(reference.sessions(events));
          expect(timeline.profile()).toEqual(reference.profile(events));
        }),
        { numRuns: 300 },
      );
    });
  });

  it("is that through its calls, too, and when the object is really evicted", async () => {
    await fc.assert(
      fc.asyncProperty(loggedEvents, flushes, async (events, plan) => {
        const timeline = newTimeline();
        let written = false;
        for (const { evict, ...one } of appendsOf(events, plan)) {
          if (evict && written) await evictDurableObject(timeline);
          await timeline.append(one);
          written = true;
        }
        expect((await timeline.events({ limit: 1_000 })).events).toEqual(reference.newestFirst(events));
        expect(withoutIds(await timeline.sessions(500))).toEqual(reference.sessions(events));
        expect(await timeline.profile()).toEqual(reference.profile(events));
      }),
      { numRuns: 10 },
    );
  });

  it("takes a batch that comes again, or reaches back, for what is new in it", async () => {
    const timeline = newTimeline();
    const [first, second, third] = [1, 2, 3].map((seq) => plainEvent({ event_id: `${seq}`, log_seq: seq }));
    await timeline.append(append([first!, second!]));
    await timeline.append(append([first!]));
    await timeline.append(append([first!, second!, third!]));
    expect((await timeline.profile()).events).toBe(3);
    await timeline.append(append([plainEvent({ event_id: "other shard", log_shard: 1 })], 1));
    expect((await timeline.profile()).events).toBe(4);
  });

  it("keeps neither rows nor memory of a batch that fails half-way", async () => {
    const timeline = newTimeline();
    await timeline.append(append([plainEvent({ event_id: "1", event_name: "before" })]));
    const good = plainEvent({ event_id: "2", event_name: "good", log_seq: 2 });
    const unreadable = { ...good, event_type: "identify", properties: { plan: 5 } } as unknown as EventRow;
    const broken = append([good, unreadable]);
    const failure = await runInDurableObject(timeline, (object) => object.append(broken).then(() => null, String));
    expect(failure).toContain("TypeError");
    expect((await timeline.profile()).counts).toEqual({ before: 1 });
    await timeline.append(append([good]));
    expect((await timeline.profile()).counts).toEqual({ before: 1, good: 1 });
  });

  it("is not moved on by a call without events: the device's own events of the same segments may still come", async () => {
    const device = newTimeline();
    const call = { subject: { kind: "device", id: "d" }, shard: 0, from: 1, to: 5 } as const;
    await device.append({ ...call, events: [], users: [{ id: "ann", lastSeen: START }] });
    await device.append({ ...call, events: [plainEvent({ event_id: "1", anonymous_id: "d" })] });
    expect((await device.events({ limit: 10 })).events).toHaveLength(1);
    expect(await device.users()).toEqual({ users: [{ id: "ann", lastSeen: START }], cut: false });
  });
});

describe("pages", () => {
  it("hold every event once, newest first, for any limit, range, device and whatever is appended between two of them", async () => {
    const requests = fc.record({
      limit: fc.integer({ min: 1, max: 7 }),
      from: fc.option(
        fc.nat(240).map((minutes) => START + minutes * MINUTE_US),
        { nil: undefined },
      ),
      to: fc.option(
        fc.nat(300).map((minutes) => START + minutes * MINUTE_US),
        { nil: undefined },
      ),
      anonymousId: fc.constantFrom(undefined, undefined, "device/1", "\u{1F4F1}"),
    });
    await inSql((emptied) => {
      fc.assert(
        fc.property(loggedEvents, flushes, requests, fc.nat(20), (events, plan, request, appliedFirst) => {
          const timeline = new Timeline(emptied());
          const appends = [...appendsOf(events, plan)];
          const later = appends.splice(appliedFirst);
          for (const one of appends) timeline.append(one, Date.now());
          const there = reference.newestFirst(appends.flatMap((one) => one.events));
          const matches = ({ event_time: at, anonymous_id: device }: EventRow) =>
            (request.from === undefined || at >= request.from) &&
            (request.to === undefined || at < request.to) &&
            (request.anonymousId === undefined || device === request.anonymousId);

          const seen = readAll((one) => {
            const page = timeline.events(one);
            expect(page.events.length).toBeLessThanOrEqual(request.limit);
            const next = later.shift();
            if (next) timeline.append(next, Date.now());
            return page;
          }, request);

          const ids = new Set(seen.map(({ source }) => source));
          expect(ids.size).toBe(seen.length);
          expect(seen).toEqual(reference.newestFirst(seen));
          expect(seen.every(matches)).toBe(true);
          expect(there.filter((event) => matches(event) && !ids.has(event.source))).toEqual([]);
        }),
        { numRuns: 300 },
      );
    });
  });

  it("promise 9: stay small where events are large, and end with a cursor", async () => {
    const timeline = newTimeline();
    const pad = Array.from({ length: 30 }, (_, i) => [`p${i}`, "x".repeat(1_000)]);
    const events = Array.from({ length: 200 }, (_, i) =>
      plainEvent({ event_id: `${i}`, event_time: START + i, properties: Object.fromEntries(pad) }),
    );
    await timeline.append(append(events));
    const page = await timeline.events({ limit: 1_000 });
    expect(page.events.length).toBeGreaterThan(100);
    expect(JSON.stringify(page.events).length).toBeLessThan(TIMELINE.pageBytes * 1.1);
    const all = await runInDurableObject(timeline, (_, { storage }) =>
      readAll((request) => new Timeline(storage.sql).events(request)),
    );
    expect(all).toHaveLength(200);
    expect((await timeline.events({ limit: 1_000, maxBytes: 1 })).events).toHaveLength(1);
  });

  it("refuse a cursor that none of them gave", async () => {
    const timeline = newTimeline();
    for (const cursor of ["", "!", "bm8", "e30"]) {
      const failure = await runInDurableObject(timeline, (object) =>
        object.events({ limit: 1, cursor }).then(() => null, String),
      );
      expect(failure).toContain("RangeError");
    }
  });

  it("are empty, like all else, for a subject that was never seen; asking leaves nothing behind", async () => {
    const timeline = newTimeline();
    expect(await timeline.events({ limit: 10 })).toEqual({ events: [], next: null });
    expect(await timeline.sessions(10)).toEqual([]);
    expect(await timeline.users()).toEqual({ users: [], cut: false });
    expect(await timeline.profile()).toMatchObject({ first_seen: null, events: 0, counts: {}, active_days: [] });
    const tables = await runInDurableObject(timeline, (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name IN ('head', 'chunk')").toArray(),
    );
    expect(tables).toEqual([]);
  });
});

describe("sessions", () => {
  const at = (minutes: number, more: Partial<EventRow> = {}) =>
    plainEvent({ event_id: `${minutes}`, event_time: START + minutes * MINUTE_US, ...more });
  const bounds = async (timeline: Pick<UserTimelineApi, "sessions">) =>
    (await timeline.sessions(10)).map(({ start, end, events }) => [
      (start - START) / MINUTE_US,
      (end - START) / MINUTE_US,
      events,
    ]);

  it("promise 8: are extended by a late event, and joined by one that closes the gap", async () => {
    const timeline = newTimeline();
    await timeline.append(append([at(0), at(50), at(60)]));
    expect(await bounds(timeline)).toEqual([
      [50, 60, 2],
      [0, 0, 1],
    ]);
    await timeline.append(append([at(-29, { log_seq: 2 })]));
    expect(await bounds(timeline)).toEqual([
      [50, 60, 2],
      [-29, 0, 2],
    ]);
    await timeline.append(append([at(25, { log_seq: 3 })]));
    expect(await bounds(timeline)).toEqual([[-29, 60, 5]]);
  });

  it("end after 30 minutes of silence, not before, whatever the sender calls them", async () => {
    const timeline = newTimeline();
    const justBefore = at(30, { event_id: "b", event_time: START + 30 * MINUTE_US - 1, session_id: "second" });
    await timeline.append(append([at(0, { session_id: "first" }), justBefore, at(61, { session_id: "first" })]));
    expect((await timeline.sessions(10)).map(({ id, events }) => [id, events])).toEqual([
      ["first", 1],
      ["first", 2],
    ]);
  });

  it("without a sender's id have one that stays while their start stays", async () => {
    const timeline = newTimeline();
    await timeline.append(append([at(0)]));
    const [{ id } = { id: "" }] = await timeline.sessions(1);
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    await timeline.append(append([at(5, { log_seq: 2 })]));
    expect((await timeline.sessions(1))[0]!.id).toBe(id);
  });
});

describe("a device that is to be pointed at its user", () => {
  const on = (device: string, seq: number) => plainEvent({ event_id: `${seq}`, anonymous_id: device, log_seq: seq });

  it("is named once a day, and again for events that were applied before, since the pointer may have been lost", async () => {
    const timeline = newTimeline();
    expect(await timeline.append(append([on("d1", 1), on("d2", 2)]))).toMatchObject({ pointers: ["d1", "d2"] });
    expect(await timeline.append(append([on("d1", 3)]))).toMatchObject({ pointers: [] });
    expect(await timeline.append(append([on("d1", 1), on("d2", 2)]))).toMatchObject({ pointers: ["d1", "d2"] });
    expect(await timeline.append(append([on("d2", 2), on("d3", 4)]))).toMatchObject({ pointers: ["d2", "d3"] });
    const later = await runInDurableObject(timeline, (_, { storage }) =>
      new Timeline(storage.sql).append(append([on("d1", 5)]), Date.now() + DAY_MS),
    );
    expect(later).toMatchObject({ pointers: ["d1"] });
  });

  it("is named for users only", async () => {
    const device = newTimeline();
    const call = { ...append([on("d1", 1)]), subject: { kind: "device", id: "d1" } } as const;
    expect(await device.append(call)).toMatchObject({ pointers: [] });
    expect(await device.append(call)).toMatchObject({ pointers: [] });
  });
});

describe("promise 9: a timeline keeps", () => {
  const many = (count: number, from = 0, more: Partial<EventRow> = {}) =>
    Array.from({ length: count }, (_, i) =>
      plainEvent({
        event_id: `${from + i}`,
        event_time: START + (from + i) * MINUTE_US,
        log_seq: from + i + 1,
        ...more,
      }),
    );
  const all = (timeline: Timeline) => readAll((request) => timeline.events(request));

  it("the newest events up to its limit, by dropping whole chunks of the oldest", async () => {
    const kept = await inSql((emptied) => {
      const sql = emptied();
      const timeline = new Timeline(sql, { ...TIMELINE, eventsKept: 1_000 });
      for (let from = 0; from < 3_000; from += 100) {
        timeline.append(append(many(100, from)), Date.now());
        // Late and older than all that is kept by then: dropped with the oldest chunk.
        if (from === 2_000) timeline.append(append(many(50, -5_000, { log_shard: 1, log_seq: 1 }), 1), Date.now());
      }
      return { events: all(timeline), profile: timeline.profile(), sessions: timeline.sessions(10) };
    });
    /** Some 190 events fill a chunk or the head; the limit is looked at when the head is full. */
    const chunkEvents = 600;
    expect(kept.events.length).toBeGreaterThanOrEqual(1_000);
    expect(kept.events.length).toBeLessThan(1_000 + 2 * chunkEvents);
    const newest = many(3_000)
      .slice(-kept.events.length)
      .map((event) => event.event_id);
    expect(kept.events.map((event) => event.event_id).reverse()).toEqual(newest);
    // What is known of them stays: one session of 3,000 events, a minute apart.
    expect(kept.profile.events).toBe(3_050);
    expect(kept.sessions.map(({ events }) => events)).toEqual([3_000, 50]);
  });

  it("and says of pages that go down to where it has let go of some, and of no others", async () => {
    await inSql((emptied) => {
      const timeline = new Timeline(emptied(), { ...TIMELINE, eventsKept: 1_000 });
      for (let from = 0; from < 3_000; from += 100) timeline.append(append(many(100, from)), Date.now());
      // Older than what was let go, and kept all the same.
      timeline.append(append(many(5, -9_000, { log_shard: 1, log_seq: 1 }), 1), Date.now());
      const kept = all(timeline).filter(({ event_time }) => event_time >= START);
      const oldest = kept.at(-1)!.event_time;
      const page = (from: number, limit: number, cursor?: string) =>
        timeline.events({ from, limit, whole: true, ...(cursor !== undefined && { cursor }) });
      expect(page(oldest, 1_000).lacking).toBeUndefined();
      expect(page(START, 10).lacking).toBeUndefined();
      expect(
        timeline.events({ from: START, limit: 1_000, cursor: formatCursor(positionOf(kept.at(-1)!)) }).lacking,
      ).toBe(undefined);
      expect(page(START, 1_000, formatCursor(positionOf(kept.at(-2)!))).lacking).toBe(true);
      // What is kept from before does not hide it.
      const behind = page(START - 9_000 * MINUTE_US, 2, formatCursor(positionOf(kept.at(-2)!)));
      expect([behind.events.length, behind.next === null, behind.lacking]).toEqual([2, false, true]);
    });
  });

  it("no more stored bytes than its limit", async () => {
    const noise = () => Array.from(crypto.getRandomValues(new Uint8Array(1_500)), (byte) => byte.toString(36)).join("");
    const [bytes, count] = await inSql((emptied) => {
      const sql = emptied();
      const timeline = new Timeline(sql, { ...TIMELINE, bytesKept: 200_000 });
      for (let from = 0; from < 400; from += 20) {
        const events = many(20, from).map((event) => ({ ...event, properties: { noise: noise() } }));
        timeline.append(append(events), Date.now());
      }
      return [sql.exec<{ n: number }>("SELECT sum(bytes) AS n FROM chunk").one().n, all(timeline).length];
    });
    expect(bytes).toBeLessThanOrEqual(200_000);
    expect(bytes).toBeGreaterThan(150_000);
    expect(count).toBeLessThan(400);
  });

  it("what was received within 30 days, however old it is, and summaries of the sessions that expired", async () => {
    const day0 = Date.now();
    const received = (day: number) => (day0 + day * DAY_MS) * 1_000;
    const { nexts, counts, sessions } = await inSql((emptied) => {
      const sql = emptied();
      const timeline = new Timeline(sql);
      const ancient = many(300, 0, { event_time: Date.UTC(2015, 4, 17) * 1_000, received_at: received(0) });
      timeline.append(append(ancient.map((event) => ({ ...event, log_seq: 1 }))), day0);
      timeline.append(append([plainEvent({ event_id: "new", log_seq: 2, received_at: received(20) })]), day0);
      const nexts: (number | null)[] = [];
      const counts: number[] = [];
      for (const day of [29, 31, 51]) {
        nexts.push(timeline.expire(day0 + day * DAY_MS));
        counts.push(all(new Timeline(sql)).length);
      }
      return { nexts, counts, sessions: new Timeline(sql).sessions(10) };
    });
    expect(counts).toEqual([301, 1, 0]);
    expect(nexts.map((next) => next && Math.round((next - day0) / DAY_MS))).toEqual([30, 50, null]);
    expect(sessions.map(({ events }) => events)).toEqual([1, 300]);
  });

  it("an alarm that expires events of a subject who never comes back", async () => {
    const timeline = newTimeline();
    const old = (Date.now() - 40 * DAY_MS) * 1_000;
    await timeline.append(append([plainEvent({ event_id: "1", received_at: old })]));
    expect(await runInDurableObject(timeline, (_, { storage }) => storage.getAlarm())).toBeGreaterThan(
      Date.now() + 30 * DAY_MS,
    );
    await evictDurableObject(timeline);
    expect(await runDurableObjectAlarm(timeline)).toBe(true);
    expect((await timeline.events({ limit: 10 })).events).toEqual([]);
    expect((await timeline.profile()).events).toBe(1);
    expect(await runInDurableObject(timeline, (_, { storage }) => storage.getAlarm())).toBeNull();
  });

  // No column bounds the name of a property: it may be as long as its event.
  it.each([
    [TIMELINE.traitNameChars, TIMELINE.lastValues - 13],
    [20_000, 1],
  ])(
    "a head row far below the platform's limit, whatever values, devices, sessions and names of %i characters are sent",
    async (nameChars, values) => {
      const headBytes = await inSql((emptied) => {
        const sql = emptied();
        const timeline = new Timeline(sql, { ...TIMELINE, eventsKept: 100 });
        for (let flush = 0; flush < 20; flush++) {
          const events = Array.from({ length: 50 }, (_, i) => {
            const n = flush * 50 + i;
            // One byte in a column, six in JSON: the most that a bounded text can take.
            const long = (length: number) => `${n} `.padEnd(length, "\u0001");
            return plainEvent({
              event_id: long(100),
              event_name: long(200),
              event_type: n % 2 ? "screen" : "identify",
              event_time: START + n * DAY_US,
              received_at: START,
              anonymous_id: long(256),
              session_id: long(100),
              referrer: long(2_048),
              revenue: n,
              currency: long(8),
              properties: {
                name: long(2_500),
                [nameChars > TIMELINE.traitNameChars ? `${n} `.padEnd(nameChars, "x") : long(nameChars)]: long(500),
              },
              log_seq: flush + 1,
            });
          });
          timeline.append(append(events), Date.now());
        }
        expect(timeline.profile().devices).toHaveLength(TIMELINE.devicesPerUser);
        expect(Object.keys(timeline.profile().counts)).toHaveLength(TIMELINE.eventNames + 1);
        expect(Object.keys(timeline.profile().last_values)).toHaveLength(values);
        return sql
          .exec<{ n: number }>("SELECT max(length(CAST(state AS BLOB)) + length(CAST(events AS BLOB))) AS n FROM head")
          .one().n;
      });
      expect(headBytes).toBeGreaterThan(100_000);
      expect(headBytes).toBeLessThan(0.6 * PLATFORM.sqliteRowBytes);
    },
  );
});

describe("rows", () => {
  /** Counts what the platform bills. */
  function counted(sql: SqlStorage) {
    const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
    const exec = (query: string, ...bindings: unknown[]) => {
      const cursor = sql.exec(query, ...bindings);
      cursors.push(cursor);
      return cursor;
    };
    const sum = (rows: "rowsRead" | "rowsWritten") => cursors.splice(0).reduce((n, cursor) => n + cursor[rows], 0);
    return { sql: { exec } as unknown as SqlStorage, read: () => sum("rowsRead"), written: () => sum("rowsWritten") };
  }
  const rich = (i: number) =>
    plainEvent({
      event_id: `message-${i}`,
      event_time: START + i * 1_000_000,
      page_url: `https://shop.example.com/products/${i % 500}`,
      properties: { sku: `${i % 500}`, text: "y".repeat(200) },
      log_seq: Math.floor(i / 100) + 1,
    });

  it("of a flush are one, mostly; of a page few, out of 100,000 events, in order or not", async () => {
    await runInDurableObject(newTimeline(), (_, { storage }) => {
      const { sql, read, written } = counted(storage.sql);
      const timeline = new Timeline(sql);
      const total = 104_000;
      for (let from = 0; from < total; from += 4_000) {
        timeline.append(append(Array.from({ length: 4_000 }, (_, i) => rich(from + i))), Date.now());
      }
      written();
      const flushesWritten = Array.from({ length: 40 }, (_, i) => {
        timeline.append(append([0, 1, 2].map((n) => ({ ...rich(total + i * 3 + n), log_seq: 9_000 + i }))), Date.now());
        return written();
      });
      expect(flushesWritten.filter((rows) => rows === 1).length).toBeGreaterThanOrEqual(36);

      // A late event goes to the chunk it belongs to, once the head is full; reading is as before.
      const late = Array.from({ length: 90 }, (_, i) => ({
        ...rich(50_000 + i * 100),
        event_id: `late-${i}`,
        log_seq: 10_000,
      }));
      timeline.append(append(late), Date.now());
      read();
      const first = timeline.events({ limit: 100 });
      expect(read()).toBeLessThan(12);
      const deep = timeline.events({ limit: 100, to: START + 54_321 * 1_000_000 });
      expect(read()).toBeLessThan(12);
      expect(first.events).toHaveLength(100);
      expect(deep.events).toHaveLength(100);
      expect(deep.events[0]!.event_time).toBe(START + 54_320 * 1_000_000);
      expect(deep.events.some(({ event_id }) => event_id.startsWith("late-"))).toBe(true);
      timeline.sessions(10);
      expect(read()).toBeLessThan(2_500);
    });
  }, 30_000);
});
