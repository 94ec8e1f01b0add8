/** A lake with people in it, quarantined and not, and an erasure of some of them, whose rule has been raised and swapped in. */
import { expect } from "vitest";
import type { PlanRequest } from "../../../../durable-objects/lake-catalog/api.ts";
import {
  eraseTable,
  FIRST,
  type FilesPosition,
  type LakeErasureDeps,
} from "../../../../queues/erasure/stores/lake-files.ts";
import type { Sought } from "../../../../queues/erasure/stores/named-rows.ts";
import { correctLake, swapCorrection } from "../../../../queues/lake/correct.ts";
import type { EventRow, QuarantineRow, TableName } from "../../../../r2-layout/event-columns.ts";
import { MINUTE_MS } from "../../../../r2-layout/limits.ts";
import { decodeParquet } from "../../../../r2-layout/parquet-reader.ts";
import type { RuleAt } from "../../../../r2-layout/rule.ts";
import { type Subject, subjectHasher, subjectsOf } from "../../../../r2-layout/subjects.ts";
import { DAY_US } from "../../../../r2-layout/time.ts";
import { bucket, catalogs, type LogSegment, lake, NOW_US, parquet, said } from "../../lake/lake-rig.ts";

export const ERASED: readonly Subject[] = [
  { kind: "user", id: "user-3" },
  { kind: "device", id: "device-5" },
  { kind: "email", id: "seven@example.com" },
];
const hash = subjectHasher("a key of tests");
export const sought: Sought = { subjects: ERASED, hashes: new Set(ERASED.map(hash)), hash };
const isErasedSubject = ({ kind, id }: Subject) => ERASED.some((one) => one.kind === kind && one.id === id);

export const isErased = (row: object): boolean => {
  const { raw, ...named } = row as EventRow & { raw?: string };
  return subjectsOf(named).some(isErasedSubject) || (raw?.includes("user-3") ?? false);
};

/** People 0 to 9; every person's events in every segment, over two days. Person 8 was person 3 before, by an alias. */
export function peoplesSegment(shard: number, seq: number): LogSegment {
  const events: EventRow[] = [];
  const quarantine: QuarantineRow[] = [];
  for (let person = 0; person < 10; person++) {
    const at = { source: "shop", received_at: NOW_US + seq, log_shard: shard, log_seq: seq };
    const isKnown = person % 2 === 1;
    events.push({
      ...at,
      event_id: `${shard}.${seq}.${person}`,
      event_name: person === 8 ? "alias" : `page ${seq % 2}`,
      event_type: "track",
      anonymous_id: `device-${person}`,
      user_id: isKnown ? `user-${person}` : null,
      page_path: `/account/${person}`,
      event_time: NOW_US - ((seq + person) % 2) * DAY_US - seq,
      properties:
        person === 7
          ? { email: " Seven@Example.com" }
          : person === 8
            ? { previous_id: "user-3" }
            : { step: String(seq) },
    });
    if (person % 3 === 0) {
      const raw = JSON.stringify({ userId: { of: `user-${person}` }, n: seq });
      quarantine.push({ ...at, event_id: `q${shard}.${seq}.${person}`, cause: "column_mismatch", raw });
    }
  }
  return { events, quarantine };
}

/** What a statement reads. */
export async function rowsOf(table: TableName, request: Omit<PlanRequest, "table"> = {}): Promise<object[]> {
  const { files } = await lake().plan({ table, ...request });
  const rows: object[] = [];
  for (const file of files) rows.push(...(await objectRows(file.key, table)));
  expect(rows).toHaveLength(files.reduce((sum, file) => sum + file.rows, 0));
  return rows;
}

export async function objectRows(key: string, table: TableName): Promise<object[]> {
  const object = await bucket.get(key);
  if (!object) throw new Error(`${key} is named and missing`);
  const decoded = decodeParquet(parquet, table, new Uint8Array(await object.arrayBuffer()));
  return Array.from({ length: decoded.length }, (_, i) => decoded.row(i));
}

/** What the erasure's rule does, by one that knows the rows: raised, and the live files of events swapped. */
export async function followRule(logs: readonly (readonly LogSegment[])[], version = 1): Promise<readonly RuleAt[]> {
  const all = logs.flat().flatMap(({ events }) => events);
  const places = all
    .filter(isErased)
    .map(({ log_shard, log_seq, source, event_id }) => ({ shard: log_shard, seq: log_seq, source, event_id }));
  const filter = { places };
  const rule: RuleAt = { version, id: "e", createdAt: 0, seq: 1_000, filter, change: { kind: "retract" } };
  await lake().raise(version, filter);
  const rules = new Map(logs.map((_, shard) => [shard, [rule]] as const));
  const deps = { bucket, catalog: catalogs, parquet };
  const correction = { job: `rule-${version}`, version, rules };
  for (;;) {
    await correctLake(deps, correction, async () => {}, Date.now() + MINUTE_MS);
    if ((await swapCorrection(deps, correction)).kind === "committed") break;
  }
  await lake().confirm(correction.job);
  return [rule];
}

export const eraseDeps = (): LakeErasureDeps => ({ bucket, catalog: catalogs, parquet });

/** Both tables to their end, a file at a time: each position survives JSON. */
export async function eraseAll(deps: LakeErasureDeps = eraseDeps(), version = 1): Promise<number> {
  let rows = 0;
  for (const table of ["events", "quarantine"] as const) {
    let position: FilesPosition = FIRST;
    for (;;) {
      const slice = await eraseTable(deps, { ...sought, table, version, untilMs: 0 }, position);
      rows += slice.erased.rows;
      if (slice.done) break;
      position = JSON.parse(JSON.stringify(slice.position));
    }
  }
  return rows;
}

/** Rows in any object under lake/, named or not, that are to be nowhere. */
export async function tracesInObjects(): Promise<string[]> {
  const traces: string[] = [];
  const { objects } = await bucket.list({ prefix: "lake/" });
  for (const { key } of objects) {
    const table = /^lake\/(events|quarantine)\/(fresh|compact)\//.exec(key)?.[1] as TableName | undefined;
    if (table && (await objectRows(key, table)).some(isErased)) traces.push(key);
  }
  return traces;
}

export const without = (rows: readonly object[]): string[] => said(rows.filter((row) => !isErased(row)));
