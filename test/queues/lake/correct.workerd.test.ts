import { abortAllDurableObjects, reset } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import { type Correction, correctLake, swapCorrection } from "../../../queues/lake/correct.ts";
import type { ChangedRow } from "../../../queues/lake/rewrite.ts";
import { compactDays } from "../../../queues/maintenance/compact.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { LAKE, MINUTE_MS } from "../../../r2-layout/limits.ts";
import { type RuleAt, type RuleChange, type RuleFilter, rulesReader } from "../../../r2-layout/rule.ts";
import { DAY_US } from "../../../r2-layout/time.ts";
import { Fault } from "../log-rig.ts";
import {
  bucket,
  catalogs,
  faulty,
  flush,
  type LogSegment,
  lake,
  NOW_US,
  parquet,
  said,
  seen,
  segment,
} from "./lake-rig.ts";

afterEach(() => reset());

const deps = () => ({ bucket, catalog: catalogs, parquet });
const soon = () => Date.now() + MINUTE_MS;
const nothing = async () => {};

const rule = (version: number, seq: number, filter: RuleFilter, change: RuleChange): RuleAt => ({
  version,
  id: `rule-${version}`,
  createdAt: 0,
  seq,
  filter,
  change,
});
const FILTERS: readonly RuleFilter[] = [
  { where: { anonymous_id: ["device-1"] } },
  { where: { app_version: ["2.0"], event_name: ["page", "nothing"] } },
  { from: NOW_US - 2 * DAY_US, to: NOW_US - DAY_US / 2 },
  { where: { "properties.step": ["1", "2"], user_id: [null] } },
  { places: [0, 1].map((i) => ({ shard: 0, seq: 2, source: "shop", event_id: `0.2.${i}` })) },
  { where: { country: ["XX"] } },
];
const CHANGES: readonly RuleChange[] = [
  { kind: "retract" },
  { kind: "set", values: { anonymous_id: "device-9", "properties.fixed": "yes" } },
  { kind: "map", field: "anonymous_id", values: { "device-0": "device-1", "device-1": "device-2" } },
  { kind: "set", values: { event_name: "renamed", user_id: null, "properties.step": null } },
];

type Logs = readonly (readonly LogSegment[])[];

/** Both shards up to `to`, through the rules; segments after `since` have read `later`. */
function expected(logs: Logs, to: readonly number[], rules: readonly RuleAt[], since = to, later = rules): string[] {
  const [read, readLater] = [rulesReader(rules), rulesReader(later)];
  const rows = logs.flatMap((log, shard) =>
    log.slice(0, to[shard]).flatMap(({ events }, i) => events.map(i < since[shard]! ? read : readLater)),
  );
  return said(rows.filter((row) => row !== null));
}

it("promise 5: a reader sees the lake before a correction or after it, whatever crashes, is evicted or flushed beside it", async () => {
  const fired = { before: 0, after: 0 };
  const action = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("correct" as const),
        call: fc.nat(14),
        when: fc.constantFrom("before" as const, "after" as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("flush" as const), shard: fc.nat(1) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("compact" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("evict" as const) }) },
  );
  const rules = fc.array(
    fc.tuple(fc.constantFrom(...FILTERS), fc.constantFrom(...CHANGES), fc.integer({ min: 2, max: 6 })),
    { minLength: 1, maxLength: 2 },
  );
  await fc.assert(
    fc.asyncProperty(rules, fc.array(action, { minLength: 2, maxLength: 5 }), async (drawn, actions) => {
      await reset();
      const logs = [0, 1].map((shard) => Array.from({ length: 6 }, (_, i) => segment(shard, i + 1, 4 + i)));
      const to = [4, 3];
      await flush(0, logs[0]!, 2);
      await flush(1, logs[1]!, 3);
      await flush(0, logs[0]!, 4);
      let known: RuleAt[] = [];
      for (const [i, [filter, change, seq]] of drawn.entries()) {
        const version = i + 1;
        const next = rule(version, seq, filter, change);
        const older = known;
        const since = [...to];
        known = [...known, next];
        const correction: Correction = {
          job: `rule-${version}`,
          version,
          rules: new Map([0, 1].map((shard) => [shard, known])),
        };
        await lake().raise(version, filter);
        for (const step of [...actions, { kind: "correct" as const, call: 0, when: "before" as const }]) {
          if (step.kind === "flush") {
            to[step.shard] = 6;
            // Rows that come now have read the rule, before the files that were there follow it.
            await flush(step.shard, logs[step.shard]!, 6, known);
          }
          if (step.kind === "compact") await compactDays({ bucket, catalog: lake(), parquet }, soon(), 1);
          if (step.kind === "evict") await abortAllDurableObjects();
          if (step.kind === "correct") {
            const fault = new Fault(step.call, step.when);
            const broken = {
              ...deps(),
              bucket: faulty(bucket, fault),
              catalog: { getByName: () => faulty(lake(), fault) },
            };
            const run = async () => {
              expect((await correctLake(broken, correction, nothing, soon())).kind).toBe("done");
              expect((await swapCorrection(broken, correction)).kind).toBe("committed");
            };
            await run().catch((error: Error) => expect(error.message).toBe("injected"));
            if (fault.fired) fired[step.when]++;
          }
          expect([expected(logs, to, older, since, known), expected(logs, to, known)]).toContainEqual(await seen());
        }
        expect(await seen()).toEqual(expected(logs, to, known));
      }
      const { rows, retracted = 0, cursors } = await lake().status();
      const applied = Object.values(cursors).reduce((sum, { applied }) => sum + applied.events, 0);
      expect(rows.events + retracted).toBe(applied);
    }),
    {
      numRuns: 3,
      examples: [
        [
          [
            [FILTERS[0]!, CHANGES[2]!, 6],
            [FILTERS[0]!, CHANGES[2]!, 6],
          ],
          [
            { kind: "correct", call: 3, when: "before" },
            { kind: "correct", call: 4, when: "after" },
            { kind: "flush", shard: 0 },
            { kind: "correct", call: 2, when: "after" },
          ],
        ],
      ],
    },
  );
  expect(fired.before).toBeGreaterThan(0);
  expect(fired.after).toBeGreaterThan(0);
}, 60_000);

it("hands out every row that changes, before and after, and the same pages when it is done again", async () => {
  const log = [segment(0, 1, 30), segment(0, 2, 30)];
  await flush(0, log, 2);
  const change: RuleChange = {
    kind: "map",
    field: "anonymous_id",
    values: { "device-1": "device-2", "device-0": "device-0" },
  };
  const rules = [rule(1, 2, {}, change)];
  await lake().raise(1);
  const pages = async (job: string, crash: boolean) => {
    const taken = new Map<string, readonly ChangedRow[]>();
    const correction = { job, version: 1, rules: new Map([[0, rules]]) };
    const fault = new Fault(crash ? 3 : 0, "before");
    const run = () =>
      correctLake(
        { ...deps(), catalog: { getByName: () => faulty(lake(), fault) } },
        correction,
        async ({ file, page, rows }) => {
          taken.set(`${file}/${page}`, rows);
        },
        soon(),
      );
    await run().catch(() => {});
    expect(fault.fired).toBe(crash);
    const again = await run();
    return { taken, again };
  };
  const { taken } = await pages("a", false);
  const changed = [...taken.values()].flat();
  const concerned = log[0]!.events.filter((row) => row.anonymous_id === "device-1");
  expect(said(changed.map(({ before }) => before))).toEqual(said(concerned));
  expect(said(changed.map(({ after }) => after!))).toEqual(
    said(concerned.map((row) => ({ ...row, anonymous_id: "device-2" }))),
  );
  const second = await pages("b", true);
  expect([...second.taken].sort()).toEqual([...taken].sort());
  expect(second.again.kind).toBe("done");
});

it("reads only the files that a correction of two hours touches", async () => {
  const hour = 3_600_000_000;
  const at = (id: number, event_time: number): EventRow => ({
    ...segment(0, 1, 1).events[0]!,
    event_id: `e${id}`,
    event_time,
  });
  const log = [-1, 0, 3, 30, 60].map((hours, i) => ({ events: [at(i, NOW_US - hours * hour)], quarantine: [] }));
  for (let to = 1; to <= log.length; to++) await flush(0, log, to);
  // One file of two days, of which only the younger one's row group may be decoded.
  await flush(0, [...log, { events: [at(10, NOW_US - 5 * DAY_US), at(11, NOW_US - 6 * DAY_US)], quarantine: [] }], 6);
  const filter = { from: NOW_US - 4 * hour, to: NOW_US - 2 * hour };
  await lake().raise(1, filter);
  const gets: string[] = [];
  const counted = {
    ...deps(),
    bucket: {
      put: bucket.put.bind(bucket),
      get: (key: string) => {
        gets.push(key);
        return bucket.get(key);
      },
    },
  };
  const rules = new Map([[0, [rule(1, 9, filter, { kind: "retract" })]]]);
  expect(await correctLake(counted, { job: "j", version: 1, rules }, nothing, soon())).toMatchObject({
    files: 1,
    rows: 1,
    retracted: 1,
  });
  expect(gets).toHaveLength(1);
  expect((await swapCorrection(deps(), { job: "j", version: 1 })).kind).toBe("committed");
  expect(await lake().status()).toMatchObject({ rows: { events: 6 }, retracted: 1 });
});

it("stops between two files when its time is over, and goes on where it stopped", async () => {
  const log = Array.from({ length: 4 }, (_, i) => segment(0, i + 1, 2));
  for (let to = 1; to <= log.length; to++) await flush(0, log, to);
  await lake().raise(1);
  const correction = { job: "j", version: 1, rules: new Map([[0, [rule(1, 9, {}, { kind: "retract" })]]]) };
  const { files } = await lake().status();
  let calls = 0;
  while ((await correctLake(deps(), correction, nothing, 0)).kind === "more") calls++;
  expect(calls).toBe(files - 1);
  await swapCorrection(deps(), correction);
  expect(await seen()).toEqual([]);
});

it("promise 10: pages of changed rows are bounded, and a file of many batches is corrected whole", async () => {
  const rows = 2 * LAKE.batchRows + 10;
  const events = Array.from(
    { length: rows },
    (_, i): EventRow => ({ ...segment(0, 1, 1).events[0]!, event_id: `e${i}`, event_time: NOW_US - i, client_seq: i }),
  );
  await flush(0, [{ events, quarantine: [] }], 1);
  await lake().raise(1);
  const rules = new Map([[0, [rule(1, 9, {}, { kind: "set", values: { city: "Ulm" } })]]]);
  const sizes: number[] = [];
  await correctLake(deps(), { job: "j", version: 1, rules }, async (page) => void sizes.push(page.rows.length), soon());
  expect(sizes).toHaveLength(Math.ceil(rows / LAKE.batchRows) + (await lake().status()).files - 1);
  expect(sizes.reduce((a, b) => a + b)).toBe(rows);
  expect(Math.max(...sizes)).toBe(LAKE.batchRows);
  await swapCorrection(deps(), { job: "j", version: 1 });
  expect(await seen()).toEqual(said(events.map((event) => ({ ...event, city: "Ulm" }))));
});
