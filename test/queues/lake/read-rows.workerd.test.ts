import { reset } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import { createLakeRows, type LakeRowsRequest, type LakeRowsStep } from "../../../queues/lake/read-rows.ts";
import { compactDays } from "../../../queues/maintenance/compact.ts";
import { LAKE, MINUTE_MS } from "../../../r2-layout/limits.ts";
import { type RuleAt, rulesReader } from "../../../r2-layout/rule.ts";
import { DAY_US } from "../../../r2-layout/time.ts";
import { bucket, catalogs, flush, lake, NOW_US, parquet, said, segment } from "./lake-rig.ts";

afterEach(() => reset());

const none = { version: 0, rules: [] };
const reader = () => createLakeRows({ bucket, catalog: catalogs, parquet });
const compact = () => compactDays({ bucket, catalog: lake(), parquet }, Date.now() + MINUTE_MS, 1);
const retract: RuleAt = {
  version: 1,
  id: "r",
  createdAt: 0,
  seq: 6,
  filter: { where: { anonymous_id: ["device-1"] } },
  change: { kind: "retract" },
};

async function stepsOf(request: LakeRowsRequest, read = reader()): Promise<LakeRowsStep[]> {
  const steps: LakeRowsStep[] = [];
  for await (const step of read(request)) steps.push(step);
  return steps;
}

it("promise 4: gives the rows of a part of the log in its order, bounded and dense, whatever files they are in", async () => {
  const logs = [0, 1].map((shard) =>
    Array.from({ length: 9 }, (_, i) => segment(shard, i + 1, [3, 12, 1, 6, 0, 9, 4, 2, 7][i]!)),
  );
  for (const to of [2, 5, 6]) for (const shard of [0, 1]) await flush(shard, logs[shard]!, to);
  await compact();
  // From here on the files have passed the rule; those before have not.
  await lake().raise(1, retract.filter);
  for (const shard of [0, 1]) await flush(shard, logs[shard]!, 9, [retract]);
  const through = rulesReader([retract]);
  const read = reader();
  await fc.assert(
    fc.asyncProperty(
      fc.nat(1),
      fc.nat(8),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 30 }),
      fc.option(fc.tuple(fc.integer({ min: -7, max: 0 }), fc.integer({ min: 1, max: 7 })), { nil: undefined }),
      async (shard, after, length, maxEvents, days) => {
        const to = Math.min(9, after + length);
        const dayMs = DAY_US / 1_000;
        const nowMs = NOW_US / 1_000;
        const window = days && { from: nowMs + days[0] * dayMs, to: nowMs + (days[0] + days[1]) * dayMs };
        const request = {
          shard,
          after,
          to,
          maxEvents,
          rules: { version: 1, rules: [retract] },
          ...(window && { window }),
        };
        const steps = await stepsOf(request, read);
        const within = (us: number) => !window || (us >= window.from * 1_000 && us < window.to * 1_000);
        const expected = logs[shard]!.slice(after, to)
          .flatMap(({ events }) => events.map(through))
          .filter((row) => row !== null && within(row.event_time));
        expect(said(steps.flatMap(({ events }) => events))).toEqual(said(expected as object[]));
        expect(steps.map(({ from }) => from)).toEqual([after, ...steps.slice(0, -1).map((step) => step.to)]);
        expect(steps.at(-1)!.to).toBe(to);
        for (const { from, to, events, rules } of steps) {
          expect(rules).toBe(1);
          const seqs = events.map(({ log_seq }) => log_seq);
          expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
          expect(seqs.every((seq) => seq > from && seq <= to)).toBe(true);
          expect(events.length <= maxEvents || new Set(seqs).size === 1).toBe(true);
        }
      },
    ),
    { numRuns: 25 },
  );
}, 60_000);

it("goes on from where a step ended, to the same rows", async () => {
  const log = Array.from({ length: 6 }, (_, i) => segment(0, i + 1, 5));
  await flush(0, log, 6);
  const whole = await stepsOf({ shard: 0, after: 0, to: 6, rules: none, maxEvents: 9 });
  const rest = await stepsOf({ shard: 0, after: whole[0]!.to, to: 6, rules: none, maxEvents: 9 });
  expect(rest).toEqual(whole.slice(1));
  expect(whole.length).toBeGreaterThan(2);
});

it("refuses to read beyond the lake's cursor, or with rules that are older than a file's", async () => {
  const log = [segment(0, 1, 5), segment(0, 2, 5)];
  await flush(0, log, 2, [{ ...retract, version: 2 }]);
  const failure = (request: LakeRowsRequest) => stepsOf(request).then(() => "", String);
  expect(await failure({ shard: 0, after: 0, to: 3, rules: none })).toMatch(/RangeError: the lake has shard 0 up to 2/);
  expect(await failure({ shard: 7, after: 0, to: 1, rules: none })).toMatch(/shard 7 up to 0/);
  expect(await failure({ shard: 0, after: 0, to: 2, rules: { version: 1, rules: [] } })).toMatch(/^Error: rules:/);
});

it("promise 9: asks for no file whose part of the log it has not come to, and for none twice while it is at hand", async () => {
  const log = Array.from({ length: 6 }, (_, i) => segment(0, i + 1, 5));
  for (let to = 1; to <= 6; to++) await flush(0, log, to);
  const gets: string[] = [];
  const counted = {
    get: (key: string) => {
      gets.push(key);
      return bucket.get(key);
    },
  };
  const { files } = await lake().plan({ table: "events", log: { shard: 0, after: 0, to: 6 } });
  const read = createLakeRows({ bucket: counted, catalog: catalogs, parquet })({
    shard: 0,
    after: 0,
    to: 6,
    rules: none,
    maxEvents: 8,
  });
  expect((await read.next()).value).toMatchObject({ from: 0, to: 2 });
  const early = new Set(files.filter(({ minSeq }) => minSeq! <= 3).map(({ key }) => key));
  expect(gets.filter((key) => !early.has(key))).toEqual([]);
  for await (const _ of read);
  expect(gets).toHaveLength(files.length);
  expect(files.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(LAKE.placeCacheBytes);
});

it("promise 3: refuses whoever would miss them rows of a part that have expired, and gives others what is left", async () => {
  const log = Array.from({ length: 6 }, (_, i) => segment(0, i + 1, 3));
  await flush(0, log, 3);
  const expired = await lake().expire({ keptMs: 0, byName: {}, cutsKeptMs: null }, NOW_US / 1_000 + 1_000);
  expect(expired.files).toBeGreaterThan(0);
  await flush(0, log, 6);
  const request = { shard: 0, after: 0, to: 6, rules: none };
  expect((await stepsOf(request)).flatMap(({ events }) => events)).toHaveLength(9);
  await expect(stepsOf({ ...request, missesExpired: true })).rejects.toThrow(/shard 0 up to 3 have expired/);
  // Beyond them, and at other times, nothing is missed.
  expect((await stepsOf({ ...request, after: 3, missesExpired: true })).flatMap(({ events }) => events)).toHaveLength(
    9,
  );
  const window = { from: NOW_US / 1_000 + 40 * 86_400_000, to: NOW_US / 1_000 + 41 * 86_400_000 };
  expect((await stepsOf({ ...request, window, missesExpired: true })).flatMap(({ events }) => events)).toEqual([]);
});
