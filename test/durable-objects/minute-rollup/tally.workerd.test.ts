/**
 * What a MinuteRollup calls exact is what the lake has: beside late events, a lake that is behind or ahead, corrections that
 * have come half the way, rebuilds, evictions and segments that were left out.
 */
import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { DIMENSIONS, type Dimension, NO_VALUE, type RollupBatch } from "../../../durable-objects/minute-rollup/api.ts";
import { bucketStart } from "../../../durable-objects/minute-rollup/bucket.ts";
import { minuteDeltas, type RolledEvent } from "../../../durable-objects/minute-rollup/minute-delta.ts";
import type { Tally, TallyRequest } from "../../../durable-objects/minute-rollup/tally-api.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, ROLLUP } from "../../../r2-layout/limits.ts";
import { build, drainLive, jobOf, rollupOf, TestLog, targetOf, wipe } from "../../queues/rollups/rebuild-rig.ts";
import { reaching } from "../../reaching.ts";
import { plainEvent, rolledEvent } from "./events.ts";

/** An hour of yesterday that ends where another begins: its minutes are kept, its day is over. */
const START = Math.floor(Date.now() / DAY_MS) * DAY_MS - 12 * HOUR_MS;
const FINAL = START + 2 * DAY_MS;

afterEach(() => reset());

const at = (ms: number, more: Partial<RolledEvent> = {}) => plainEvent({ event_time: ms * 1_000, ...more });
const ask = (request: Partial<TallyRequest>, shard = 0): Promise<Tally> =>
  rollupOf(shard).tally({ ranges: [DAY], bucket: null, seq: 0, rules: 0, ...request }) as Promise<Tally>;
const DAY = { grain: "day", from: Math.floor(START / DAY_MS) * DAY_MS, to: FINAL } as const;

/** One shard's log with the lake and the rollups behind it, each at a place of its own. */
class World {
  readonly log: TestLog;
  lake = 0;
  /** Of the lake: the newest rule in it, and the newest that it knows. */
  corrected = 0;
  jobs = 0;

  constructor(shard: number) {
    this.log = new TestLog(shard);
  }

  get object() {
    return rollupOf(this.log.shard);
  }

  async drain(segments?: number): Promise<void> {
    await drainLive(this.log, segments, FINAL);
  }

  /**
   * A rule up to a stage of its job: raised, the lake corrected, the windows built, settled.
   * @param live comes while the window is built, and the lake has yet to read it
   */
  async correct(where: EventRow["country"], stages: number, live: readonly RolledEvent[]): Promise<void> {
    if (this.corrected < this.log.rules.length) return;
    const { log } = this;
    const filter = { where: { country: [where ?? null] } };
    const change =
      this.jobs % 2 ? ({ kind: "retract" } as const) : ({ kind: "set", values: { country: "FR" } } as const);
    const version = log.raise({ id: `c${++this.jobs}`, filter, change });
    await this.object.raise(version);
    await this.drain();
    this.lake = log.head;
    if (stages < 1) return;
    this.corrected = version;
    if (stages < 2) return;
    const target = targetOf([log], [], { reason: "correction" });
    const window = { from: START - HOUR_MS, to: START + 2 * HOUR_MS };
    const job = jobOf(`c${this.jobs}`, [log], window);
    await build(target, job, [log], 3);
    if (live.length > 0) {
      log.append(live, FINAL);
      await this.drain();
    }
    await target.swap(job);
    await target.confirm(job);
    if (stages >= 3) await this.object.settle(version, version);
  }

  async rebuild(revert: boolean): Promise<void> {
    const target = targetOf([this.log]);
    const job = jobOf(`r${++this.jobs}`, [this.log]);
    await build(target, job, [this.log], 2);
    await target.swap(job);
    await (revert ? target.revert(job) : target.confirm(job));
  }

  /** @returns whether it was exact, and then it was right. */
  async check(request: Omit<TallyRequest, "seq" | "rules">): Promise<boolean> {
    const whole = this.corrected === this.log.rules.length;
    if (!whole) return false;
    const tally = (await this.object.tally({ ...request, seq: this.lake, rules: this.corrected })) as Tally;
    if (!tally.exact) return false;
    expect(sorted(tally.counts)).toEqual(sorted(counted(this.log.rows(0, this.lake), request)));
    return true;
  }
}

const sorted = (counts: Iterable<readonly unknown[]>) => [...counts].map((count) => JSON.stringify(count)).sort();

function counted(rows: readonly EventRow[], { ranges, bucket, by, only }: Omit<TallyRequest, "seq" | "rules">) {
  const counts = new Map<string, [number | null, string | null, number]>();
  for (const row of rows) {
    const ms = Math.floor(row.event_time / 1_000);
    if (!ranges.some(({ from, to }) => ms >= from && ms < to)) continue;
    const value = by ? (row[by] ?? NO_VALUE) : null;
    if (only && value !== null && !only.includes(value)) continue;
    const start = bucket && bucketStart(bucket, ms);
    const count = counts.get(`${start} ${value}`) ?? [start, value, 0];
    count[2]++;
    counts.set(`${start} ${value}`, count);
  }
  return counts.values();
}

const HOURS = [{ grain: "hour", from: START, to: START + 2 * HOUR_MS }] as const;
const MIXED = [
  { grain: "minute", from: START + 30 * MINUTE_MS, to: START + HOUR_MS },
  { grain: "hour", from: START + HOUR_MS, to: START + 3 * HOUR_MS },
] as const;

const question = fc
  .record({
    // Rows are never longer than what they come together by.
    over: fc.constantFrom<Pick<TallyRequest, "ranges" | "bucket">>(
      { ranges: [DAY], bucket: null },
      { ranges: [DAY], bucket: { unit: "month" } },
      { ranges: HOURS, bucket: { width: HOUR_MS } },
      { ranges: MIXED, bucket: { width: HOUR_MS } },
      { ranges: MIXED, bucket: null },
    ),
    by: fc.constantFrom<Dimension | undefined>(undefined, ...DIMENSIONS),
    only: fc.constantFrom<string[] | undefined>(undefined, ["FR", "page", NO_VALUE]),
  })
  .map(({ over, by, only }) => ({ ...over, ...(by && { by }), ...(only && { only }) }));

const events = fc.array(rolledEvent(START + 58 * MINUTE_MS), { maxLength: 4 });

const action = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      events,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("drain" as const), segments: fc.integer({ min: 1, max: 2 }) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("lake" as const), segments: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("evict" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("rebuild" as const), revert: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("correct" as const),
      country: fc.constantFrom("DE", "US", null),
      live: events,
      stages: fc.constantFrom(0, 1, 2, 3, 3, 3),
    }),
  },
);

async function act(world: World, one: typeof action extends fc.Arbitrary<infer T> ? T : never): Promise<void> {
  const { log } = world;
  if (one.kind === "append") log.append(one.events, FINAL);
  if (one.kind === "drain") await world.drain(one.segments);
  if (one.kind === "lake") world.lake = Math.min(log.head, world.lake + one.segments);
  if (one.kind === "evict") {
    await world.object.status();
    await evictDurableObject(world.object);
  }
  if (one.kind === "rebuild") await world.rebuild(one.revert);
  if (one.kind === "correct") await world.correct(one.country, one.stages, one.live);
}

describe("tally", () => {
  it("promise 4: counts what the lake has at its place, whatever comes in which order, or says that it cannot tell", async () => {
    // Of their own: an object that was just evicted keeps what it has through the tidying up.
    let shard = 100;
    await reaching(async () => {
      let exact = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(action, question), { minLength: 8, maxLength: 16 }), async (run) => {
          const world = new World(shard++);
          for (const [one, request] of run) {
            await act(world, one);
            if (await world.check(request)) exact++;
          }
        }),
        { numRuns: 25 },
      );
      // Most questions meet stores that agree.
      return { "more than 50 exact answers": exact > 50 };
    });
  });

  it("counts as of where the lake is, while it remembers what came since", async () => {
    const { log, ...world } = new World(0);
    for (let i = 0; i < 3; i++) {
      log.append([at(START, { country: "DE" }), at(START)], FINAL);
      await drainLive(log, undefined, FINAL);
    }
    expect(world.lake).toBe(0);
    for (const seq of [1, 2, 3]) {
      expect(await ask({ seq })).toEqual({ exact: true, counts: [[null, null, 2 * seq]] });
      expect(await ask({ seq, by: "country", only: ["DE"] })).toEqual({ exact: true, counts: [[null, "DE", seq]] });
    }
    expect(await ask({ seq: 4 })).toEqual({ exact: false, why: "behind" });
    await evictDurableObject(rollupOf(0));
    expect(await ask({ seq: 2 })).toEqual({ exact: false, why: "ahead" });
    expect(await ask({ seq: 3 })).toEqual({ exact: true, counts: [[null, null, 6]] });
    // What is not asked for may have changed.
    log.append([at(START + DAY_MS)], FINAL);
    await drainLive(log, undefined, FINAL);
    await evictDurableObject(rollupOf(0));
    const first = { grain: "hour", from: START, to: START + HOUR_MS } as const;
    expect(await ask({ seq: 3, ranges: [first] })).toEqual({ exact: true, counts: [[null, null, 6]] });
  });

  it("a batch that the lake is in the middle of cannot be taken apart", async () => {
    const log = new TestLog(0);
    log.append([at(START)], FINAL);
    log.append([at(START)], FINAL);
    await drainLive(log, undefined, FINAL);
    expect(await ask({ seq: 1 })).toEqual({ exact: false, why: "ahead" });
  });

  it("promise 9: remembers ROLLUP.recentBatches batches and ROLLUP.recentValues values, and no more", async () => {
    const rollup = rollupOf(0);
    const batch = (seq: number, events: readonly RolledEvent[]): RollupBatch => ({
      shard: 0,
      from: seq,
      to: seq,
      completeUntil: 0,
      minutes: minuteDeltas(events),
    });
    for (let seq = 1; seq <= ROLLUP.recentBatches + 2; seq++) await rollup.apply(batch(seq, [at(START)]));
    expect(await ask({ seq: 2 })).toMatchObject({ exact: true });
    expect(await ask({ seq: 1 })).toEqual({ exact: false, why: "ahead" });
    // A batch counts one, a minute one, each of its values one: this one fills what may be kept, the next pushes all out.
    const next = ROLLUP.recentBatches + 3;
    const paths = Array.from({ length: ROLLUP.recentValues - 5 }, (_, i) => at(START, { page_path: `/${i}` }));
    await rollup.apply(batch(next, paths));
    const hour = { grain: "hour", from: START + HOUR_MS, to: START + 2 * HOUR_MS } as const;
    await rollup.apply(batch(next + 1, [at(START + HOUR_MS)]));
    expect(await ask({ seq: next, ranges: [hour] })).toEqual({ exact: true, counts: [] });
    expect(await ask({ seq: next - 1, ranges: [hour] })).toEqual({ exact: false, why: "ahead" });
  });

  it("does not vouch for rows of before it could tell, for restored ones, nor beside what was left out", async () => {
    const log = new TestLog(0);
    log.append([at(START)], FINAL);
    await drainLive(log, undefined, FINAL);
    expect(await ask({ seq: 1 })).toMatchObject({ exact: true });
    await runInDurableObject(rollupOf(0), (_, { storage }) => {
      storage.sql.exec("UPDATE days SET changed_seq = NULL");
    });
    expect(await ask({ seq: 1 })).toEqual({ exact: false, why: "doubtful" });
    // A batch of a sink that does not say what its values are.
    const [{ plain: _, ...minute }] = minuteDeltas([at(START + DAY_MS)]) as [ReturnType<typeof minuteDeltas>[number]];
    await rollupOf(0).apply({ shard: 0, from: 2, to: 2, completeUntil: 0, minutes: [minute] });
    const hour = { grain: "hour", from: START + DAY_MS, to: START + DAY_MS + HOUR_MS } as const;
    expect(await ask({ seq: 2, ranges: [hour] })).toEqual({ exact: false, why: "doubtful" });
    const before = { grain: "hour", from: START, to: START + HOUR_MS } as const;
    expect(await ask({ seq: 2, ranges: [before] })).toMatchObject({ exact: true });
    await rollupOf(0).apply({ shard: 0, from: 3, to: 3, completeUntil: 0, minutes: [], leftOut: 1 });
    expect(await ask({ seq: 3, ranges: [before] })).toEqual({ exact: false, why: "left_out" });
  });

  it("an object that was wiped and restored vouches for nothing", async () => {
    const log = new TestLog(0);
    log.append([at(START)], FINAL);
    await drainLive(log, undefined, FINAL);
    await wipe(0);
    expect(await ask({ seq: 1 })).toEqual({ exact: false, why: "behind" });
    const target = targetOf([log]);
    const job = jobOf("restore", [log]);
    await build(target, job, [log], 1);
    await target.swap(job);
    await target.confirm(job);
    expect(await ask({ seq: 1 })).toEqual({ exact: false, why: "left_out" });
  });

  it.each([
    ["a text that reads as no value", { country: NO_VALUE }],
    ["half a character", { page_path: "/\ud800" }],
    ["a zero", { event_name: "a\0b" }],
  ])("%s is told from none by the lake alone", async (_, event) => {
    const log = new TestLog(0);
    log.append([at(START, event)], FINAL);
    await drainLive(log, undefined, FINAL);
    expect(await ask({ seq: 1 })).toEqual({ exact: false, why: "doubtful" });
    log.append([at(START + DAY_MS, { event_name: NO_VALUE })], FINAL);
    await drainLive(log, undefined, FINAL);
    const next = { grain: "day", from: DAY.from + DAY_MS, to: DAY.from + 2 * DAY_MS } as const;
    expect(await ask({ seq: 2, ranges: [next], by: "event_name" })).toEqual({
      exact: true,
      counts: [[null, NO_VALUE, 1]],
    });
  });

  it("a rule is owed until its job has come to the end, and an abandoned one keeps later ones from it", async () => {
    const world = new World(0);
    const { log, object } = world;
    log.append([at(START, { country: "DE" })], FINAL);
    await world.drain();
    await world.correct("DE", 2, []);
    expect(await ask({ seq: 2, rules: 1 })).toEqual({ exact: false, why: "rules" });
    await object.settle(1, 1);
    expect(await ask({ seq: 2, rules: 1 })).toMatchObject({ exact: true });
    // Here it is newer than in the lake's state.
    await object.raise(2);
    await object.settle(2, 2);
    expect(await ask({ seq: 2, rules: 1 })).toEqual({ exact: false, why: "rules" });
    await object.raise(3);
    await object.raise(4);
    await object.settle(4, 4);
    expect(await ask({ seq: 2, rules: 4 })).toEqual({ exact: false, why: "rules" });
    await object.settle(3, 3);
    expect(await ask({ seq: 2, rules: 4 })).toEqual({ exact: false, why: "rules" });
    await object.settle(4, 4);
    expect(await ask({ seq: 2, rules: 4 })).toMatchObject({ exact: true });
    await object.doubt(START, START + HOUR_MS);
    expect(await ask({ seq: 2, rules: 4 })).toEqual({ exact: false, why: "doubtful" });
    const next = { grain: "hour", from: START + HOUR_MS, to: START + 2 * HOUR_MS } as const;
    expect(await ask({ seq: 2, rules: 4, ranges: [next] })).toMatchObject({ exact: true });
  });

  it("does not take a corrected row for one of before what came meanwhile", async () => {
    const world = new World(0);
    world.log.append([at(START, { country: "DE" })], FINAL);
    await world.drain();
    await world.correct("DE", 3, [at(START)]);
    const hour = { grain: "hour", from: START, to: START + HOUR_MS } as const;
    const request = { rules: 1, by: "country", ranges: [hour] } as const;
    expect(await ask({ ...request, seq: world.lake })).toEqual({ exact: false, why: "ahead" });
    const counts = [
      [null, "FR", 1],
      [null, NO_VALUE, 1],
    ];
    expect(await ask({ ...request, seq: world.log.head })).toEqual({ exact: true, counts });
  });

  it("what is owed of a rule whose job was set aside, a rebuild of everything makes good once it is confirmed", async () => {
    const world = new World(0);
    world.log.append([at(START, { country: "DE" })], FINAL);
    await world.drain();
    await world.correct("DE", 1, []);
    const request = { seq: world.lake, rules: 1, by: "country" } as const;
    for (const revert of [true, false]) {
      expect(await ask(request)).toEqual({ exact: false, why: "rules" });
      await world.rebuild(revert);
    }
    // Of the rows that it has put in place nothing is known but that they pass all rules.
    expect(await ask(request)).toEqual({ exact: false, why: "doubtful" });
    world.log.append([at(START + DAY_MS)], FINAL);
    await world.drain();
    const next = { grain: "day", from: DAY.from + DAY_MS, to: DAY.from + 2 * DAY_MS } as const;
    expect(await ask({ ...request, seq: world.log.head, ranges: [next] })).toMatchObject({ exact: true });
    await world.rebuild(true);
    expect(await ask({ ...request, seq: world.log.head, ranges: [next] })).toMatchObject({ exact: true });
  });

  it("minutes that are no longer all kept, and dimensions of too many values, are the engine's", async () => {
    const log = new TestLog(0);
    const paths = Array.from({ length: ROLLUP.valuesPerDimension + 1 }, (_, i) => at(START, { page_path: `/${i}` }));
    log.append(paths, FINAL);
    await drainLive(log, undefined, FINAL);
    expect(await ask({ seq: 1, by: "page_path" })).toEqual({ exact: false, why: "capped" });
    expect(await ask({ seq: 1, by: "event_name" })).toMatchObject({ exact: true });
    const old = START - ROLLUP.minutesKeptMs;
    const minutes = { grain: "minute", from: old, to: old + HOUR_MS } as const;
    expect(await ask({ seq: 1, ranges: [minutes] })).toEqual({ exact: false, why: "not_kept" });
  });
});
