/** Snapshots and cuts as JSON: times are ISO 8601. */
import type { SnapshotEntry } from "../../durable-objects/lake-catalog/api.ts";
import type { Cut, OpenCut } from "../../durable-objects/lake-catalog/cuts-api.ts";
import { isoMicros, MICROS_PER_MS } from "../../r2-layout/time.ts";

export type CutRequest = { readonly day: string } | { readonly name: string };

const iso = (ms: number): string => isoMicros(ms * MICROS_PER_MS);

export const snapshotJson = ({ seq, operation, committedAt, tables }: SnapshotEntry) => ({
  seq,
  operation,
  time: iso(committedAt),
  rows: { events: tables.events.rows, quarantine: tables.quarantine.rows },
  files: tables.events.files + tables.quarantine.files,
});

/** What a list tells. `as_of` is what a statement gives to read it, with its version. */
export const cutSummary = (cut: Cut) => ({
  as_of: `${cut.name}.v${cut.version}`,
  name: cut.name,
  version: cut.version,
  day: cut.day,
  state: cut.state,
  snapshot: cut.seq,
  frozen_at: iso(cut.frozenAt),
  through: cut.through === null ? null : isoMicros(cut.through),
  rows: cut.diff?.rows.after ?? cut.comparison?.events.cut ?? null,
  missing: cut.missing.length,
  agrees_with_rollups: cut.comparison?.agrees ?? null,
  expired_rows: cut.expiredRows,
  phase: cut.phase,
});

export const cutJson = (cut: Cut) => ({
  ...cutSummary(cut),
  missing: cut.missing,
  cursors: cut.cursors,
  swapped: cut.swapped,
  diff: cut.diff,
  comparison: cut.comparison && { ...cut.comparison, at: iso(cut.comparison.at) },
});

/** One that is not frozen yet. */
export const openCutJson = ({ name, version, day, phase }: OpenCut) => ({
  as_of: `${name}.v${version}`,
  name,
  version,
  day,
  state: null,
  phase,
});
