import { abortAllDurableObjects, reset } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import type { LakeCatalogApi, LakeStagingApi } from "../../../durable-objects/lake-catalog/api.ts";
import { correctLake, swapCorrection } from "../../../queues/lake/correct.ts";
import { createLakeRows } from "../../../queues/lake/read-rows.ts";
import { createLakeRebuild } from "../../../queues/lake/rebuild.ts";
import { createLakeSink } from "../../../queues/lake/sink.ts";
import { compactDays } from "../../../queues/maintenance/compact.ts";
import type { ReplayJob } from "../../../queues/replay/target.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import type { NewPromotedColumn } from "../../../r2-layout/promoted-columns.ts";
import { promotedValue } from "../../../r2-layout/promoted-values.ts";
import type { RuleAt } from "../../../r2-layout/rule.ts";
import { DAY_US } from "../../../r2-layout/time.ts";
import { Fault } from "../log-rig.ts";
import { bucket, catalogs, faulty, lake, NOW_US, parquet, said, seen } from "./lake-rig.ts";

afterEach(() => reset());

const COLUMNS: readonly NewPromotedColumn[] = [
  { name: "plan", type: "string", property: "Plan", doc: "" },
  { name: "seats", type: "long", property: "seats", doc: "" },
  { name: "trial", type: "boolean", property: "trial", doc: "" },
  { name: "seats_text", type: "string", property: "seats", doc: "" },
];

/** Events of segment seq: some with values that convert, some with others, some without. */
function events(seq: number, size = 6): EventRow[] {
  return Array.from({ length: size }, (_, i) => ({
    event_id: `${seq}.${i}`,
    event_name: i % 2 === 0 ? "page" : "Upgraded",
    event_type: "track",
    source: "shop",
    anonymous_id: `device-${i % 3}`,
    event_time: NOW_US - (i % 3) * DAY_US - i,
    received_at: NOW_US + seq,
    log_shard: 0,
    log_seq: seq,
    properties:
      i % 4 === 3
        ? null
        : { Plan: ["free", "pro 😀"][i % 2]!, seats: i % 3 === 0 ? "many" : String(seq * 10 + i), trial: "true" },
  }));
}

/** The event as the lake has it that took it while it had these columns. */
function promoted(row: EventRow, columns: readonly NewPromotedColumn[]) {
  const texts = row.properties ?? {};
  return {
    ...row,
    ...Object.fromEntries(
      columns.flatMap(({ name, type, property }) =>
        Object.hasOwn(texts, property) ? [[name, promotedValue(type, texts[property]!)]] : [],
      ),
    ),
  };
}

const conflictsOf = (rows: readonly object[], columns: readonly NewPromotedColumn[]) =>
  Object.fromEntries(
    columns.map(({ name }) => [name, rows.filter((row) => (row as Record<string, unknown>)[name] === null).length]),
  );

/** One step of the log through the sink, from lease to append. @param between happens after the lease. */
async function flush(
  to: number,
  fault = new Fault(0, "before"),
  between = async () => {},
  rules: readonly RuleAt[] = [],
) {
  const catalog = { getByName: () => faulty(lake(), fault) as unknown as ReturnType<typeof lake> };
  const sink = createLakeSink({ bucket: faulty(bucket, fault), catalog, parquet });
  const { token, cursor } = (await sink.lease(0, "flush"))!;
  await between();
  if (to <= cursor) return;
  const rows = Array.from({ length: to - cursor }, (_, i) => events(cursor + 1 + i)).flat();
  await sink.apply({
    ...{ shard: 0, token, from: cursor, to, completeUntil: 0, events: rows, quarantine: [] },
    applied: { events: rows.length, quarantined: 0 },
    rules: Math.max(0, ...rules.map(({ version }) => version)),
  });
}

const until = () => Date.now() + 20_000;
const compact = () => compactDays({ bucket, catalog: lake(), parquet }, until(), 1);

it("promises 2, 5 and 6: every event committed after a column's answer has it, none before, and conflicts count once, whatever crashes", async () => {
  const fired = { before: 0, after: 0, refused: 0 };
  const action = fc.oneof(
    { weight: 2, arbitrary: fc.constant({ kind: "column" as const }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("flush" as const),
        call: fc.nat(7),
        when: fc.constantFrom("before" as const, "after" as const),
        /** A column is added after the sink has asked which there are. */
        late: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: "compact" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "evict" as const }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 4, maxLength: 9 }), async (actions) => {
      await reset();
      let columns = 0;
      let seq = 0;
      const expected: object[] = [];
      const snapshots: { asOf: number; rows: string[] }[] = [];
      const addColumn = async () => {
        const next = COLUMNS[columns];
        if (!next) return;
        expect((await lake().addColumn(next)).kind).toBe("added");
        columns++;
      };
      for (const step of actions) {
        if (step.kind === "column") await addColumn();
        if (step.kind === "evict") await abortAllDurableObjects();
        if (step.kind === "compact") await compact();
        if (step.kind === "flush") {
          const fault = new Fault(step.call, step.when);
          const between = async () => {
            if (!step.late || columns === COLUMNS.length) return;
            await addColumn();
            fired.refused++;
          };
          await flush(seq + 1, fault, between).catch((error: Error) => expect(error.message).toBe("injected"));
          if (fault.fired) fired[step.when]++;
          await flush(seq + 1);
          seq++;
          expected.push(...events(seq).map((row) => promoted(row, COLUMNS.slice(0, columns))));
        }
        expect(await seen()).toEqual(said(expected));
        expect((await lake().schema()).conflicts).toEqual(conflictsOf(expected, COLUMNS.slice(0, columns)));
        snapshots.push({ asOf: (await lake().status()).snapshot, rows: said(expected) });
      }
      for (const { asOf, rows } of snapshots) expect(await seen(asOf)).toEqual(rows);
    }),
    {
      numRuns: 5,
      examples: [
        [
          [
            { kind: "flush", call: 0, when: "before", late: false },
            { kind: "column" },
            { kind: "flush", call: 2, when: "after", late: true },
            { kind: "compact" },
            { kind: "evict" },
            // Calls: the lease, three puts, the refused append, three puts, the append whose answer is lost.
            { kind: "flush", call: 9, when: "after", late: true },
            { kind: "flush", call: 4, when: "before", late: false },
          ],
        ],
      ],
    },
  );
  expect(fired.before).toBeGreaterThan(0);
  expect(fired.after).toBeGreaterThan(0);
  expect(fired.refused).toBeGreaterThan(0);
}, 60_000);

it("promise 6: merged files give null for rows from before a column, and lose no value", async () => {
  await flush(2);
  await lake().addColumn(COLUMNS[0]!);
  await flush(3);
  for (const column of COLUMNS.slice(1)) await lake().addColumn(column);
  await flush(4);
  const before = await seen();
  expect(await compact()).toBe("done");
  const { files, promoted: known } = await lake().plan({ table: "events" });
  expect(files.length).toBeLessThan(4 * 3);
  expect(known).toHaveLength(COLUMNS.length);
  expect(await seen()).toEqual(before);
});

const job: ReplayJob = { id: "rebuild", shards: 1, from: null, to: null, range: null };

/** Of seqs `from` to `to`, both inclusive. */
const rebuildOf = (from: number, to: number) =>
  createLakeRebuild({
    ...{ bucket, parquet },
    catalog: { getByName: () => lake() as unknown as LakeCatalogApi & LakeStagingApi },
    logs: { getByName: () => ({ between: async () => ({ oldest: from, head: to, range: { from, to } }) }) },
  });

it("promise 4: a rebuild gives every row that it reads the columns there are, counts no conflict again, and a revert takes them back", async () => {
  await flush(3);
  await lake().addColumn(COLUMNS[0]!);
  await lake().addColumn(COLUMNS[1]!);
  await flush(4);
  const before = await seen();
  const { conflicts } = await lake().schema();
  const target = rebuildOf(1, 4);
  for (const [step, { shard, after, to }] of (await target.plan(job)).entries()) {
    const rows = Array.from({ length: to - after }, (_, i) => events(after + 1 + i)).flat();
    await target.add(job, {
      ...{ shard, step, from: after, to, rules: 0, events: rows, quarantine: [] },
    } as Parameters<typeof target.add>[1]);
  }
  expect(await target.compare(job)).toMatchObject({ identical: true });
  // A column that comes between the steps and the swap: as for any row that was in the lake before it.
  await lake().addColumn(COLUMNS[2]!);
  await target.swap(job);
  const all = [1, 2, 3, 4].flatMap((seq) => events(seq)).map((row) => promoted(row, COLUMNS.slice(0, 2)));
  expect(await seen()).toEqual(said(all));
  expect((await lake().schema()).conflicts).toEqual({ ...conflicts, trial: 0 });
  await target.revert(job);
  expect(await seen()).toEqual(before);
});

it("promise 4: a file at the edge of a rebuild keeps its own columns in the rows that stay", async () => {
  await lake().addColumn(COLUMNS[0]!);
  // One step, so that one file holds both segments.
  await flush(2);
  const target = rebuildOf(2, 2);
  await lake().addColumn(COLUMNS[1]!);
  const [read] = await target.plan(job);
  expect(read).toMatchObject({ after: 1, to: 2 });
  await target.add(job, {
    ...{ shard: 0, step: 0, from: 1, to: 2, rules: 0, events: events(2), quarantine: [] },
  } as Parameters<typeof target.add>[1]);
  await target.compare(job);
  await target.swap(job);
  const expected = [
    ...events(1).map((row) => promoted(row, COLUMNS.slice(0, 1))),
    ...events(2).map((row) => promoted(row, COLUMNS.slice(0, 2))),
  ];
  expect(await seen()).toEqual(said(expected));
});

it("a correction keeps promoted columns, derives anew what follows a property that it changes, and gives no old file a column", async () => {
  await flush(1);
  await lake().addColumn(COLUMNS[0]!);
  await lake().addColumn(COLUMNS[1]!);
  await flush(2);
  const change = { kind: "set", values: { "properties.Plan": "team", "properties.seats": "none" } } as const;
  const rules: RuleAt[] = [
    { id: "r1", version: 1, createdAt: 0, seq: 3, filter: { where: { event_name: ["page"] } }, change },
  ];
  await lake().raise(1);
  const deps = { bucket, catalog: catalogs, parquet };
  const correction = { job: "rule-1", version: 1, rules: new Map([[0, rules]]) };
  const pages: object[] = [];
  await correctLake(
    deps,
    correction,
    async ({ rows }) => void pages.push(...rows.flatMap(({ before, after }) => [before, after!])),
    until(),
  );
  expect(await swapCorrection(deps, correction)).toMatchObject({ kind: "committed" });
  const changed = (row: EventRow): EventRow =>
    row.event_name === "page" ? { ...row, properties: { trial: "true", Plan: "team", seats: "none" } } : row;
  const expected = [...events(1).map(changed), ...events(2).map((row) => promoted(changed(row), COLUMNS.slice(0, 2)))];
  expect(await seen()).toEqual(said(expected));
  // Timelines and rollups are told of rows as the log has them.
  expect(pages.length).toBeGreaterThan(0);
  for (const row of pages) expect(Object.keys(row)).not.toEqual(expect.arrayContaining(["plan"]));
});

it("promise 4: rows that feed other sinks from the lake are what the log said, without promoted columns", async () => {
  await lake().addColumn(COLUMNS[0]!);
  await flush(3);
  const read = createLakeRows({ bucket, catalog: catalogs, parquet });
  const rows: EventRow[] = [];
  for await (const step of read({ shard: 0, after: 0, to: 3, rules: { version: 0, rules: [] } }))
    rows.push(...step.events);
  expect(said(rows)).toEqual(said([1, 2, 3].flatMap((seq) => events(seq))));
});
