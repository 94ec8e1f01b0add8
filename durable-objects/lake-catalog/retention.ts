/**
 * Retention: rows go so long after they were received (not after they happened: imported history stays), whole files at a
 * time, in commits of their own. A file is due once the time of everything in it is over: one in an event name's own
 * partition by that name's time, one that names share by the longest of theirs, and where its names are too many to be
 * listed by the longest there is. So nothing is rewritten, and a row that shares a file may stay as long as its neighbours.
 *
 *     expire, answer lost                  the files are gone; the next call finds others, or none
 *     two at once                          one transaction each: the second finds what the first left
 *     a compaction planned on the files    conflict: it plans again; what came together with younger rows goes with them
 *     a correction or a rebuild            its swap is refused ("conflict"), and looks again at what there is
 *     a job that can still be reverted     its files wait until it is confirmed
 *     a reader of an older snapshot        reads on: the objects are deleted by the sweep, once no snapshot reaches them
 *
 * Cuts: unless they have a time of their own they end with the lake's rows. A cut of a day goes when the day is so old, and
 * a file that expires leaves the cuts that name it at the same time, also one that only they still have; each says how many
 * of its rows went (`expiredRows`). With a time of their own, cuts keep what they name until they go.
 *
 * Conserved: what went is counted (`SnapshotTable`), and the lake's rows are what was applied, plus what rebuilds added,
 * less what rules retracted and what expired. What expired is nowhere any more: a rebuild from the lake cannot bring it
 * back. One from the log brings it back, where the log is kept for longer, and it expires again.
 */
import type { TableName } from "../../r2-layout/event-columns.ts";
import { RETENTION } from "../../r2-layout/limits.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { Cuts } from "./cuts.ts";
import type { DataFileTable } from "./data-files.ts";
import { GONE, SINCE } from "./plan-files.ts";
import type { SnapshotTable } from "./snapshots.ts";

/** Milliseconds after receipt. */
export interface RetentionSettings {
  readonly keptMs: number;
  /** Event names with a time of their own. */
  readonly byName: Readonly<Record<string, number>>;
  /** Of cuts, after their day, or after they were frozen; null: as the rows. */
  readonly cutsKeptMs: number | null;
}

export interface Expired {
  /** The commit, null where no live file was due. */
  readonly snapshot: number | null;
  readonly files: number;
  readonly rows: number;
  /** Files that only cuts had. */
  readonly cutFiles: number;
  readonly cuts: number;
  /** There may be more that is due. */
  readonly more: boolean;
}

type DueRow = {
  id: number;
  tbl: TableName;
  bytes: number;
  row_count: number;
  max_received_at: number;
  partition_name: string | null;
  event_names: string | null;
  since: number;
  gone: number | null;
  min_time: number;
};

export class Retention {
  readonly #sql: SqlStorage;
  readonly #files: DataFileTable;
  readonly #snapshots: SnapshotTable;
  readonly #cuts: Cuts;

  constructor(sql: SqlStorage, files: DataFileTable, snapshots: SnapshotTable, cuts: Cuts) {
    this.#sql = sql;
    this.#files = files;
    this.#snapshots = snapshots;
    this.#cuts = cuts;
  }

  /** One bounded commit. To be called in a transaction. */
  expire(settings: RetentionSettings, nowMs: number): Expired {
    const cuts = this.#cuts.drop(nowMs - (settings.cutsKeptMs ?? settings.keptMs));
    const inCuts = settings.cutsKeptMs === null;
    const live = this.#due("removed_seq IS NULL AND added_by IS NULL", settings, nowMs);
    const snapshot = live.length > 0 ? this.#dropLive(live, inCuts, nowMs) : null;
    const held = inCuts
      ? this.#due(
          `removed_seq IS NOT NULL AND removed_by IS NULL AND expired = 0 AND ${GONE} > ${SINCE}`,
          settings,
          nowMs,
        )
      : [];
    for (const file of held) this.#leaveCuts(file, file.gone!);
    if (cuts > 0) this.#cuts.files.forgetExpired();
    return {
      snapshot,
      files: live.length,
      rows: live.reduce((sum, file) => sum + file.row_count, 0),
      cutFiles: held.length,
      cuts,
      more: Math.max(live.length, held.length) === RETENTION.filesPerCommit,
    };
  }

  #due(where: string, settings: RetentionSettings, nowMs: number): DueRow[] {
    const soonest = Math.min(settings.keptMs, ...Object.values(settings.byName));
    const due: DueRow[] = [];
    for (const row of this.#sql.exec<DueRow>(
      `SELECT id, tbl, bytes, row_count, max_received_at, partition_name, event_names, ${SINCE} AS since, ${GONE} AS gone,
         min_time FROM data_file WHERE max_received_at < ? AND ${where} ORDER BY id`,
      (nowMs - soonest) * MICROS_PER_MS,
    )) {
      if (row.max_received_at >= (nowMs - keptMs(row, settings)) * MICROS_PER_MS) continue;
      due.push(row);
      if (due.length === RETENTION.filesPerCommit) break;
    }
    return due;
  }

  #dropLive(files: readonly DueRow[], inCuts: boolean, nowMs: number): number {
    const removed = files.map(({ tbl, bytes, row_count }) => ({ table: tbl, bytes, rows: row_count }));
    const snapshot = this.#snapshots.commit({ operation: "expire", added: [], removed }, nowMs);
    for (const file of files) {
      this.#files.remove(file.id, snapshot, nowMs);
      if (inCuts) this.#leaveCuts(file, snapshot);
      else this.#sql.exec("UPDATE data_file SET expired = 1 WHERE id = ?", file.id);
    }
    return snapshot;
  }

  /** No cut names it any more. @param gone from this snapshot on none did. */
  #leaveCuts({ id, since, min_time, row_count }: DueRow, gone: number): void {
    this.#cuts.files.expired({ id, since, gone, minTime: min_time, rows: row_count });
    this.#sql.exec("UPDATE data_file SET expired = 1, rows_gone = ? WHERE id = ?", since, id);
  }
}

/** How long the rows of a file are kept: as long as the one that is kept longest. */
function keptMs({ tbl, partition_name, event_names }: DueRow, { keptMs, byName }: RetentionSettings): number {
  // Quarantined rows may have no name, and are no name's.
  if (tbl === "quarantine") return keptMs;
  const of = (name: string) => (Object.hasOwn(byName, name) ? byName[name]! : keptMs);
  if (partition_name !== null) return of(partition_name);
  const names = event_names === null ? null : (JSON.parse(event_names) as string[]);
  return names && names.length > 0 ? Math.max(...names.map(of)) : Math.max(keptMs, ...Object.values(byName));
}
