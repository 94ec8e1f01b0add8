import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { EventsRequest, TimelineAmend, TimelineAppend } from "../../../durable-objects/user-timeline/api.ts";
import { Timeline } from "../../../durable-objects/user-timeline/timeline.ts";
import type { UserTimeline } from "../../../durable-objects/user-timeline/user-timeline.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { DAY_MS, TIMELINE } from "../../../r2-layout/limits.ts";
import { appendsOf, flushes, loggedEvents, MINUTE_US, plainEvent, START } from "./events.ts";
import * as reference from "./reference.ts";

const timelines = (env as unknown as { USER_TIMELINE: DurableObjectNamespace<UserTimeline> }).USER_TIMELINE;
let names = 0;
const newTimeline = () => timelines.getByName(`amended-${names++}`);
const ann = { kind: "user", id: "ann" } as const;
const NOW = START / 1_000 + 60 * 60_000;

afterEach(() => reset());

const placeOf = ({ log_shard, log_seq, source, event_id, event_time, received_at }: EventRow) => ({
  ...{ shard: log_shard, seq: log_seq, source, event_id, event_time, received_at },
});
const amendOf = (remove: readonly EventRow[], put: readonly EventRow[] = [], rules = 1): TimelineAmend => ({
  ...{ subject: ann, rules, remove: remove.map(placeOf), put },
});
const appendOf = (events: readonly EventRow[], rules = 0): TimelineAppend => ({
  ...{ subject: ann, shard: 0, from: 1, to: 9, events, rules },
});

/** Runs in an object, over its SQLite; what it hands over empties the timeline's tables. */
function inSql<T>(work: (emptied: () => SqlStorage) => T): Promise<T> {
  return runInDurableObject(newTimeline(), (_, { storage: { sql } }) =>
    work(() => {
      for (const table of ["head", "chunk"]) sql.exec(`DROP TABLE IF EXISTS ${table}`);
      return sql;
    }),
  );
}

function allEvents(timeline: Timeline): EventRow[] {
  const events: EventRow[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const request: EventsRequest = { limit: 1_000, ...(cursor && { cursor }) };
    const page = timeline.events(request);
    events.push(...page.events);
    cursor = page.next;
  }
  return events;
}

const answersOf = (timeline: Timeline) => ({
  events: allEvents(timeline),
  sessions: timeline.sessions(500),
  profile: timeline.profile(),
});

/** What a rule makes of an event: nothing, another subject's, this subject's at last, or another one in some columns. */
type Fate = "kept" | "retracted" | "lost" | "gained" | Partial<EventRow>;

const fate: fc.Arbitrary<Fate> = fc.oneof(
  fc.constantFrom<Fate>("kept", "kept", "retracted", "lost", "gained"),
  fc.record(
    {
      event_name: fc.constantFrom("page", "Renamed", "__proto__"),
      country: fc.constantFrom("DE", "AT"),
      revenue: fc.constantFrom(0.3, 7, null),
      currency: fc.constantFrom("EUR", "CHF"),
      anonymous_id: fc.constantFrom("device/1", "right one", null),
      page_path: fc.constantFrom("/", "/corrected"),
    },
    { requiredKeys: [] },
  ),
);

interface Story {
  readonly events: readonly EventRow[];
  readonly fates: readonly Fate[];
}

const asSent = ({ events, fates }: Story, at: number): EventRow | null => (fates[at] === "gained" ? null : events[at]!);
function asCorrected({ events, fates }: Story, at: number): EventRow | null {
  const chosen = fates[at]!;
  if (chosen === "retracted" || chosen === "lost") return null;
  return typeof chosen === "string" ? events[at]! : { ...events[at]!, ...chosen };
}

const story: fc.Arbitrary<Story> = loggedEvents.chain((events) =>
  fc.record({
    events: fc.constant(events),
    fates: fc
      .array(fate, { minLength: events.length, maxLength: events.length })
      // fast-check makes objects without a prototype.
      .map((fates) => JSON.parse(JSON.stringify(fates)) as Fate[]),
  }),
);

/** One step: the next append of the sink, or an amendment of these events. */
const steps = fc.array(
  fc.oneof(
    fc.constant("append" as const),
    fc.record({ amend: fc.array(fc.nat(79), { maxLength: 30 }), evict: fc.boolean(), timeless: fc.boolean() }),
  ),
  { maxLength: 25 },
);

describe("promise 2: an amended timeline", () => {
  it("is what the corrected events make it, whatever came before the rule and after, in whatever pieces, order and repetition", async () => {
    await inSql((emptied) => {
      fc.assert(
        fc.property(story, flushes, fc.nat(25), steps, (told, plan, ruleAfter, order) => {
          const { events } = told;
          const sql = emptied();
          let timeline = new Timeline(sql);
          const appends = [...appendsOf(events, plan)];
          const index = new Map(events.map((event, at) => [event.source, at]));
          let applied = 0;
          const applyNext = () => {
            const one = appends[applied];
            if (!one) return;
            const version = applied++ < ruleAfter ? asSent : asCorrected;
            const rows = one.events.flatMap((event) => version(told, index.get(event.source)!) ?? []);
            if (rows.length > 0) timeline.append({ ...one, events: rows, rules: version === asCorrected ? 1 : 0 }, NOW);
          };
          const amend = (some: readonly number[], timeless: boolean) => {
            const rows = [...new Set(some)].filter((at) => at < events.length && told.fates[at] !== "kept");
            const remove = rows
              .filter((at) => asSent(told, at) && !asCorrected(told, at))
              .map((at) => placeOf(events[at]!));
            const put = rows.flatMap((at) => asCorrected(told, at) ?? []);
            const places = timeless ? remove.map(({ event_time: _, ...place }) => place) : remove;
            timeline.amend({ subject: ann, rules: 1, remove: places, put }, NOW);
          };
          while (applied < Math.min(ruleAfter, appends.length)) applyNext();
          for (const step of order) {
            if (step === "append") applyNext();
            else amend(step.amend, step.timeless);
            if (step !== "append" && step.evict) timeline = new Timeline(sql);
          }
          amend([...events.keys()], false);
          while (applied < appends.length) applyNext();

          const corrected = events.flatMap((_, at) => asCorrected(told, at) ?? []);
          const answers = answersOf(timeline);
          expect(answers.events).toEqual(reference.newestFirst(corrected));
          expect(answers.sessions.map(({ id: _, ...rest }) => rest)).toEqual(reference.sessions(corrected));
          if (corrected.length > 0) expect(answers.profile).toEqual(reference.profile(corrected));
          const fresh = new Timeline(emptied());
          for (const one of appendsOf(corrected, [])) fresh.append(one, NOW);
          expect(JSON.stringify(answers)).toBe(JSON.stringify(answersOf(fresh)));
        }),
        { numRuns: 120 },
      );
    });
  });
});

describe("an amendment", () => {
  const minute = (n: number, more: Partial<EventRow> = {}) =>
    plainEvent({ event_id: `${n}`, event_time: START + n * MINUTE_US, log_seq: n + 1, user_id: "ann", ...more });

  it("says what it did, and the second time that there was nothing to do", async () => {
    const timeline = newTimeline();
    const sent = Date.now() * 1_000;
    const [a, b, c] = [0, 1, 2].map((n) => minute(n, { anonymous_id: "wrong", received_at: sent }));
    await timeline.append(appendOf([a!, b!]));
    const amend = { ...amendOf([a!], [{ ...b!, anonymous_id: "right" }, c!]), devices: ["wrong", "right", "other"] };
    const nothing = { added: 0, replaced: 0, removed: 0, beyondReach: 0 };
    const told = { pointers: ["right", "wrong"], lastSeen: [c!.event_time, b!.event_time, null], revision: 2 };
    expect(await timeline.amend(amend)).toEqual({ ...nothing, added: 1, replaced: 1, removed: 1, ...told });
    const answers = async () => JSON.stringify([await timeline.profile(), await timeline.events({ limit: 9 })]);
    const once = await answers();
    await evictDurableObject(timeline);
    expect(await timeline.amend(amend)).toEqual({ ...nothing, ...told });
    expect(await answers()).toBe(once);
    expect((await timeline.profile()).devices.map(({ anonymous_id: id }) => id)).toEqual(["wrong", "right"]);
  });

  it("knows an event by its place: the same id from elsewhere is another one", async () => {
    const timeline = newTimeline();
    const one = minute(1);
    const others = [{ source: "app" }, { log_seq: 3 }, { event_id: "other" }].map((more) => ({ ...one, ...more }));
    await timeline.append(appendOf([one, ...others]));
    await timeline.append({ ...appendOf([{ ...one, log_shard: 1 }]), shard: 1 });
    expect(await timeline.amend(amendOf([one]))).toMatchObject({ removed: 1 });
    expect((await timeline.profile()).events).toBe(4);
    expect((await timeline.events({ limit: 9 })).events).toHaveLength(4);
  });

  it("of a fill adds what is not there, leaves what is, and leaves no mark of its rule version", async () => {
    const timeline = newTimeline();
    const sent = Date.now() * 1_000;
    const [a, b] = [0, 1].map((n) => minute(n, { received_at: sent }));
    await timeline.append(appendOf([b!]));
    const fill = { ...amendOf([], [a!, { ...b!, country: "XX" }], 7), fill: true };
    expect(await timeline.amend(fill)).toMatchObject({ added: 1, replaced: 0, beyondReach: 0 });
    expect(await timeline.amend(fill)).toMatchObject({ added: 0, replaced: 0, beyondReach: 0 });
    expect((await timeline.events({ limit: 9 })).events).toEqual([b, a]);
    await timeline.append(appendOf([minute(2)], 6));
    expect((await timeline.profile()).events).toBe(3);
  });

  it("promise 4: makes the timeline refuse who knows older rules only, even where it found nothing to change", async () => {
    const timeline = newTimeline();
    await timeline.amend(amendOf([minute(1)], [], 3));
    const failure = (work: (object: UserTimeline) => Promise<unknown>) =>
      runInDurableObject(timeline, (object) => work(object).then(() => "done", String));
    const older = "RangeError: rules: this timeline knows version 3, the caller 2";
    expect(await failure((object) => object.append(appendOf([minute(1)], 2)))).toBe(older);
    expect(await failure((object) => object.append(appendOf([minute(1)])))).toMatch(/^RangeError: rules:/);
    expect(await failure((object) => object.amend(amendOf([minute(1)], [], 2)))).toBe(older);
    expect(await failure((object) => object.amend({ ...amendOf([], [minute(1)], 2), fill: true }))).toBe(older);
    expect((await timeline.profile()).events).toBe(0);
    await evictDurableObject(timeline);
    expect(await failure((object) => object.append(appendOf([minute(1)], 3)))).toBe("done");
    expect((await timeline.profile()).events).toBe(1);
  });

  it("leaves in mind when devices were pointed at this user: they are again after a day, not a day after it", async () => {
    await inSql((emptied) => {
      const timeline = new Timeline(emptied());
      const [a, b, c] = [1, 2, 3].map((n) => minute(n, { anonymous_id: "d" }));
      expect(timeline.append(appendOf([a!, b!]), NOW).pointers).toEqual(["d"]);
      timeline.amend(amendOf([a!]), NOW + DAY_MS - 1);
      expect(timeline.append(appendOf([c!], 1), NOW + DAY_MS).pointers).toEqual(["d"]);
    });
  });

  it("takes a user off a device that has none of their events any more, and not one who came back since", async () => {
    const device = newTimeline();
    const call = { subject: { kind: "device", id: "d" } as const, rules: 1, remove: [], put: [] };
    const users = ["ann", "bob", "eve"].map((id, n) => ({ id, lastSeen: START + n }));
    await device.amend({ ...call, users });
    await device.amend({
      ...call,
      left: [
        { id: "ann", until: START, lastSeen: null },
        { id: "bob", until: START, lastSeen: null },
        { id: "eve", until: START + 5, lastSeen: START - 5 },
        { id: "nobody", until: START, lastSeen: null },
        { id: "untold", until: START, lastSeen: START - 1 },
      ],
    });
    expect((await device.users()).users).toEqual([
      { id: "bob", lastSeen: START + 1 },
      { id: "untold", lastSeen: START - 1 },
      { id: "eve", lastSeen: START - 5 },
    ]);
  });

  it("erases all: nothing is left to read, no alarm, and the object can be used again", async () => {
    const timeline = newTimeline();
    await timeline.append(
      appendOf(
        Array.from({ length: 300 }, (_, n) => minute(n)),
        1,
      ),
    );
    await timeline.amend(amendOf([minute(1)], [], 2));
    await timeline.erase();
    const left = await runInDurableObject(timeline, async (_, { storage }) => [
      await storage.getAlarm(),
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name IN ('head', 'chunk')").toArray(),
    ]);
    expect(left).toEqual([null, []]);
    expect(await timeline.profile()).toMatchObject({ events: 0, first_seen: null });
    await timeline.erase();
    await timeline.append(appendOf([minute(1)]));
    expect((await timeline.events({ limit: 9 })).events).toEqual([minute(1)]);
    expect(await runInDurableObject(timeline, (_, { storage }) => storage.getAlarm())).not.toBeNull();
  });
});

describe("promise 8: where events have expired, an amendment", () => {
  const received = (day: number) => (NOW + day * DAY_MS) * 1_000;
  const aged = (n: number, day: number): EventRow =>
    plainEvent({
      event_id: `${n}`,
      event_name: n % 2 ? "odd" : "even",
      event_time: received(day) + n,
      received_at: received(day) + n,
      anonymous_id: `device ${n % 3}`,
      country: `C${n % 7}`,
      revenue: n / 10,
      currency: "EUR",
      properties: { pad: "x".repeat(500) },
      log_seq: n + 1,
    });
  const old = Array.from({ length: 150 }, (_, n) => aged(n, 0));
  const recent = Array.from({ length: 150 }, (_, n) => aged(150 + n, 20));

  /** A timeline whose first 150 events have expired. */
  function expired(sql: SqlStorage): Timeline {
    const timeline = new Timeline(sql);
    timeline.append(appendOf(old), NOW);
    timeline.append(appendOf(recent), NOW);
    timeline.expire(NOW + 31 * DAY_MS);
    return timeline;
  }
  const later = NOW + 31 * DAY_MS;

  it("is exact for what is kept: figures and values are those of the expired events and the corrected ones", async () => {
    await inSql((emptied) => {
      const sql = emptied();
      expired(sql);
      const corrected = recent
        .slice(5)
        .map((event, n) => (n % 4 ? event : { ...event, event_name: "new", country: "NN" }));
      const changed = corrected.filter((_, n) => n % 4 === 0);
      const amended = new Timeline(sql);
      expect(amended.amend(amendOf(recent.slice(0, 5), changed), later)).toMatchObject({
        ...{ removed: 5, replaced: changed.length, beyondReach: 0 },
      });
      expect(amended.profile()).toEqual(reference.profile([...old, ...corrected]));
      // A chunk that holds events of both days is kept whole.
      const kept = allEvents(amended).filter((event) => event.received_at >= received(20));
      expect(kept).toEqual(reference.newestFirst(corrected));
      // Once more: the same, not marked.
      expect(amended.amend(amendOf(recent.slice(0, 5), changed), later)).toMatchObject({ removed: 0, beyondReach: 0 });
      expect(amended.profile().uncorrected).toBeUndefined();
    });
  });

  it("says what is beyond its reach, changes nothing for it, and marks the profile", async () => {
    await inSql((emptied) => {
      const timeline = expired(emptied());
      const before = timeline.profile();
      const gained = aged(-1, 0);
      const amend = amendOf(old.slice(0, 2), [{ ...old[2]!, country: "XX" }, gained]);
      for (let times = 0; times < 2; times++) {
        expect(timeline.amend(amend, later)).toMatchObject({ added: 0, replaced: 0, removed: 0, beyondReach: 4 });
      }
      expect(timeline.profile()).toEqual({ ...before, uncorrected: true });
    });
  });

  it("knows also what was dropped for the number of events, by its time", async () => {
    await inSql((emptied) => {
      const timeline = new Timeline(emptied(), { ...TIMELINE, eventsKept: 200 });
      const events = Array.from({ length: 600 }, (_, n) => aged(n, 0));
      timeline.append(appendOf(events), NOW);
      const kept = allEvents(timeline).length;
      expect(kept).toBeLessThan(300);
      const profile = reference.profile(events.filter((_, n) => n !== 599));
      expect(timeline.amend(amendOf([events[599]!, events[0]!]), NOW)).toMatchObject({ removed: 1, beyondReach: 1 });
      expect(timeline.profile()).toEqual({
        ...profile,
        uncorrected: true,
        counts: { ...profile.counts, even: 300, odd: 299 },
      });
    });
  });

  it("takes back sums, and says that the rest is not certain, where events expired before they were summed apart", async () => {
    await inSql((emptied) => {
      const sql = emptied();
      expired(sql);
      sql.exec("DELETE FROM head WHERE id = 1");
      const timeline = new Timeline(sql);
      timeline.amend(amendOf(recent.slice(-50)), later);
      const { counts, revenue, events } = reference.profile([...old, ...recent.slice(0, -50)]);
      expect(timeline.profile()).toMatchObject({ counts, revenue, events, uncorrected: true });
    });
  });
});

describe("events that move to another place of the log", () => {
  const [stays, before] = [plainEvent({ event_id: "a", log_seq: 1 }), plainEvent({ event_id: "b", log_seq: 2 })];
  const after = { ...before, log_seq: 9 };
  const move = { ...amendOf([before], [], 5), moves: true };

  it("teach no rule: what other shards bring through an older one is taken", async () => {
    const timeline = newTimeline();
    await timeline.append(appendOf([stays, before]));
    expect(await timeline.amend(move)).toMatchObject({ removed: 1, beyondReach: 0 });
    await timeline.append(appendOf([after], 4));
    expect((await timeline.events({ limit: 9 })).events.map(({ log_seq }) => log_seq).sort()).toEqual([1, 9]);
    expect(await timeline.profile()).toMatchObject({ events: 2 });
    expect(await timeline.profile()).not.toHaveProperty("uncorrected");
  });

  it("promise 4: stand there once, though a window is taken back that was built without them", async () => {
    const timeline = newTimeline();
    await timeline.append(appendOf([stays, before]));
    const range = { shard: 0, from: 0, to: 2, receivedFrom: null, receivedTo: null };
    await timeline.stage({ job: "anew", subject: ann, ...range, events: [stays], rules: 0 });
    await timeline.settle("anew");
    await timeline.amend(move);
    await timeline.append(appendOf([after]));
    await timeline.unsettle("anew");
    expect((await timeline.events({ limit: 9 })).events.map(({ log_seq }) => log_seq).sort()).toEqual([1, 9]);
    expect(await timeline.profile()).toMatchObject({ events: 2 });
  });
});
