import { abortAllDurableObjects, reset } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import type { LakeCatalogApi, LakeStagingApi } from "../../../durable-objects/lake-catalog/api.ts";
import { createLakeRebuild } from "../../../queues/lake/rebuild.ts";
import { storedParts } from "../../../queues/lake/sink.ts";
import { compactDays } from "../../../queues/maintenance/compact.ts";
import type { ReplayJob, ReplayStep, ReplayTarget } from "../../../queues/replay/target.ts";
import { MINUTE_MS } from "../../../r2-layout/limits.ts";
import { type RuleAt, rulesReader } from "../../../r2-layout/rule.ts";
import { Fault } from "../log-rig.ts";
import {
  bucket,
  faulty,
  flush,
  type LogSegment,
  lake,
  parquet,
  said,
  seen,
  seenQuarantine,
  segment,
} from "./lake-rig.ts";

afterEach(() => reset());

type Logs = readonly (readonly LogSegment[])[];

const job = (part: Partial<ReplayJob> = {}): ReplayJob => ({
  id: "job",
  shards: 2,
  from: null,
  to: null,
  range: null,
  ...part,
});
const logsOf = (sizes: readonly (readonly number[])[]): Logs =>
  sizes.map((segments, shard) => segments.map((size, i) => segment(shard, i + 1, size)));
const events = (logs: Logs) => logs.flat().flatMap((each) => each.events);

/** A target over a log that has all of `logs` since `oldest`, or only the part that `between` is asked for. */
function targetOf(
  logs: Logs,
  fault = new Fault(0, "before"),
  oldest = 1,
  range?: { from: number; to: number },
): ReplayTarget {
  return createLakeRebuild({
    bucket: faulty(bucket, fault),
    catalog: { getByName: () => faulty(lake() as unknown as LakeCatalogApi & LakeStagingApi, fault) },
    logs: {
      getByName: (name) => ({
        between: async () => {
          const head = logs[Number(name)]!.length;
          return { oldest, head, range: head < oldest ? null : (range ?? { from: oldest, to: head }) };
        },
      }),
    },
    parquet,
  });
}

/** What a driver does, without a memory of its own: it asks for what is to be read, reads it, and asks again. */
async function build(target: ReplayTarget, of: ReplayJob, logs: Logs, rules: readonly RuleAt[] = []): Promise<void> {
  const read = rulesReader(rules);
  for (let reads = await target.plan(of); reads.length > 0; reads = await target.plan(of)) {
    for (const { shard, after, to, steps } of reads) {
      let step = steps;
      for (let from = after; from < to; from += 2) {
        const part = logs[shard]!.slice(from, Math.min(from + 2, to));
        await target.add(of, {
          shard,
          step: ++step,
          from,
          to: Math.min(from + 2, to),
          rules: Math.max(0, ...rules.map(({ version }) => version)),
          events: part.flatMap((each) => each.events.map(read)).filter((row) => row !== null),
          quarantine: part.flatMap((each) => each.quarantine),
        } satisfies ReplayStep);
      }
    }
  }
}

/** Takes the rows of one file of the live lake away, as a mishap would. @returns events lost. */
async function lose(): Promise<number> {
  const [file] = (await lake().plan({ table: "events" })).files;
  await lake().replace({ remove: [file!.id], add: [], operation: "delete" });
  return file!.rows;
}

it("promises 4 and 5: a rebuild gives the rows once, in one moment, whatever crashes, is evicted, flushed or compacted beside it", async () => {
  const fired = { before: 0, after: 0 };
  const action = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("work" as const),
        call: fc.integer({ min: 1, max: 25 }),
        when: fc.constantFrom("before" as const, "after" as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("flush" as const), shard: fc.nat(1) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("compact" as const, "evict" as const) }) },
  );
  const ends = fc.constantFrom("confirm", "revert");
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 3, maxLength: 7 }),
      ends,
      fc.boolean(),
      async (actions, end, compacted) => {
        await reset();
        const logs = logsOf([
          [4, 7, 3, 6, 2],
          [5, 4, 6],
        ]);
        await flush(0, logs[0]!, 2);
        await flush(1, logs[1]!, 2);
        await flush(0, logs[0]!, 3);
        if (compacted) await compactDays({ bucket, catalog: lake(), parquet }, Date.now() + MINUTE_MS, 1);
        const lost = await lose();
        const to = [3, 2];
        let old = await seen();
        let state = "open";
        /** All that the job does, up to the crash: the next time it goes on. */
        const work = async (fault: Fault) => {
          const target = targetOf(logs, fault);
          if (state === "open") {
            await build(target, job(), logs);
            expect(await target.compare(job())).toMatchObject({ identical: false });
            await target.swap(job());
            state = "swapped";
          }
          if (state === "swapped" && end === "revert") {
            await target.revert(job());
            state = "reverted";
          }
          if (state === "swapped") await target.confirm(job());
        };
        for (const step of [...actions, { kind: "work" as const, call: 0, when: "before" as const }]) {
          if (step.kind === "flush" && to[step.shard]! < logs[step.shard]!.length) {
            const [from, all] = [to[step.shard]!, logs[step.shard]!];
            to[step.shard] = all.length;
            await flush(step.shard, all, all.length);
            old = said([...old.map((text) => Object.fromEntries(JSON.parse(text))), ...events([all.slice(from)])]);
          }
          if (step.kind === "compact")
            await compactDays({ bucket, catalog: lake(), parquet }, Date.now() + MINUTE_MS, 1);
          if (step.kind === "evict") await abortAllDurableObjects();
          if (step.kind === "work") {
            const fault = new Fault(step.call, step.when);
            await work(fault).catch((error: Error) => expect(error.message).toBe("injected"));
            if (fault.fired) fired[step.when]++;
          }
          const whole = said(events(logs.map((log, shard) => log.slice(0, to[shard]))));
          expect([old, whole]).toContainEqual(await seen());
        }
        const whole = logs.map((log, shard) => log.slice(0, to[shard]));
        expect(await seen()).toEqual(end === "revert" ? old : said(events(whole)));
        expect(await seenQuarantine()).toEqual(said(whole.flat().flatMap((each) => each.quarantine)));
        expect(await lake().status()).toMatchObject({ rebuilt: end === "revert" ? 0 : lost, rebuilding: [] });
      },
    ),
    {
      numRuns: 3,
      examples: [
        [
          [
            { kind: "work", call: 6, when: "before" },
            { kind: "flush", shard: 0 },
            { kind: "compact" },
            { kind: "work", call: 9, when: "after" },
          ],
          "revert",
          true,
        ],
      ],
    },
  );
  expect(fired.before).toBeGreaterThan(0);
  expect(fired.after).toBeGreaterThan(0);
}, 60_000);

it("promise 4: a part of the log is built anew, by place, and what stands beside it in the same files stays", async () => {
  const logs = logsOf([
    [6, 6, 6, 6],
    [6, 6],
  ]);
  await flush(0, logs[0]!, 4);
  await flush(1, logs[1]!, 2);
  await compactDays({ bucket, catalog: lake(), parquet }, Date.now() + MINUTE_MS, 1);
  const before = await seen();
  const range = job({ range: { shard: 0, from: 2, to: 3 } });
  const target = targetOf(logs);
  // The log has other words for these two segments than the lake has.
  const changed = logs.map((log, shard) =>
    log.map((each, i) =>
      shard === 0 && (i === 1 || i === 2)
        ? { ...each, events: each.events.map((row) => ({ ...row, city: "Bonn" })) }
        : each,
    ),
  );
  expect(await target.plan(range)).toEqual([{ shard: 0, after: 1, to: 3, steps: 0 }]);
  await build(target, range, changed);
  const inRange = events([logs[0]!.slice(1, 3)]).length;
  expect(await target.compare(range)).toEqual({ identical: true, before: inRange, after: inRange, differences: [] });
  await target.swap(range);
  expect(await seen()).toEqual(said(events(changed)));
  await target.revert(range);
  expect(await seen()).toEqual(before);
});

it("promise 4: does not touch rows from before the oldest segment that the log still has, nor files without a part in it", async () => {
  const logs = logsOf([[5, 5, 5, 5], []]);
  await flush(0, logs[0]!, 2);
  await flush(0, logs[0]!, 4);
  const before = await seen();
  const keys = (await lake().plan({ table: "events" })).files.map(({ key }) => key);
  const target = targetOf(logs, undefined, 4);
  expect(await target.plan(job())).toEqual([{ shard: 0, after: 3, to: 4, steps: 0 }]);
  await build(target, job(), logs);
  expect(await target.compare(job())).toMatchObject({ identical: true, before: 4, after: 4 });
  await target.swap(job());
  expect(await seen()).toEqual(before);
  const after = (await lake().plan({ table: "events" })).files.map(({ key }) => key);
  expect(keys.filter((key) => after.includes(key)).length).toBeGreaterThan(0);
});

it("tells what differs by event name, and in quarantine", async () => {
  const logs = logsOf([[10, 10], []]);
  await flush(0, logs[0]!, 2);
  const target = targetOf(logs);
  const [first, second] = logs[0]!;
  const other = [
    { events: first!.events.slice(1), quarantine: [] },
    { ...second!, events: second!.events.map((row, i) => (i === 0 ? { ...row, user_id: "other" } : row)) },
  ];
  await build(target, job(), [other, []]);
  expect(await target.compare(job())).toEqual({
    identical: false,
    before: 16,
    after: 15,
    differences: [
      "events: 16 rows before, 15 after",
      "quarantine: 4 rows before, 2 after",
      'event "page": 8 rows before, 7 after',
    ],
  });
});

it("promise 4: begins anew where a rule was raised beside it, and then has passed it", async () => {
  const logs = logsOf([[6, 6], [4]]);
  await flush(0, logs[0]!, 2);
  const target = targetOf(logs);
  await build(target, job(), logs);
  await target.compare(job());
  const rule: RuleAt = {
    version: 1,
    id: "r",
    createdAt: 0,
    seq: 3,
    filter: { where: { event_name: ["page"] } },
    change: { kind: "retract" },
  };
  await lake().raise(1, rule.filter);
  await expect(target.swap(job()).catch((error: Error) => error.message)).resolves.toMatch(/^rules:/);
  await target.discard(job());
  await target.discard(job());
  const again = job({ id: "job-2" });
  await build(target, again, logs, [rule]);
  expect((await target.compare(again)).identical).toBe(false);
  await target.swap(again);
  await target.swap(again);
  expect(await seen()).toEqual(said(events([logs[0]!]).filter(({ event_name }) => event_name !== "page")));
  expect(await target.plan(again)).toEqual([]);
});

it("takes a step once, however often it comes", async () => {
  const logs = logsOf([[5], []]);
  await flush(0, logs[0]!, 1);
  const target = targetOf(logs);
  await target.plan(job());
  const step: ReplayStep = { shard: 0, step: 1, from: 0, to: 1, rules: 0, ...logs[0]![0]! };
  await target.add(job(), step);
  await target.add(job(), step);
  expect(await target.compare(job())).toMatchObject({ identical: true, before: 4, after: 4 });
  await target.swap(job());
  expect(await seen()).toEqual(said(events(logs)));
  expect(await target.fill(job(), step)).toBe(0);
});

it("promise 8: an event that is five days late lands in its own day", async () => {
  const day = (ago: number) => Math.floor(Date.now() / 86_400_000 - ago) * 86_400_000_000;
  const late = { ...segment(0, 1, 1).events[0]!, event_id: "late", event_time: day(5) + 5, flags: ["late"] };
  const log = [{ events: [late, { ...late, event_id: "today", event_time: day(0) + 5, flags: null }], quarantine: [] }];
  await flush(0, log, 1);
  const planned = async (ago: number) =>
    (await lake().plan({ table: "events", from: day(ago), to: day(ago - 1) })).files;
  const [file, ...others] = await planned(5);
  expect(others).toEqual([]);
  expect(file).toMatchObject({ rows: 1, minTime: late.event_time, maxTime: late.event_time });
  for (const ago of [6, 4, 1]) expect(await planned(ago)).toEqual([]);
  expect(await planned(0)).toHaveLength(1);
  // The same by the parts that a rebuild stores.
  const { files } = await storedParts({ bucket, parquet }, log[0]!, Date.now());
  expect(files.map(({ rows, minDay, maxDay }) => ({ rows, same: minDay === maxDay }))).toEqual([
    { rows: 1, same: true },
    { rows: 1, same: true },
  ]);
});
