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
 * back. Timelines do not have it either; rollups keep hours and days for good, so a rebuild of theirs that needs what has
 * expired is refused (`reach`), and a correction leaves those hours of the shard as they are and says so. A rebuild from the
 * log brings rows back, where the log is kept for longer, and they expire again.
 */
import type { TableName } from "../../r2-layout/event-columns.ts";
import { RETENTION } from "../../r2-layout/limits.ts";
import type { ColumnBounds } from "../../r2-layout/statistics.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { Cuts } from "./cuts.ts";
import type { DataFileTable } from "./data-files.ts";
import { GONE, SINCE } from "./plan-files.ts";
import type { Expired, ExpiredReach, RetentionSettings } from "./retention-api.ts";
import type { SnapshotTable } from "./snapshots.ts";

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
  max_time: number;
  log_shard: string | null;
  log_seq: string | null;
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
    sql.exec(`CREATE TABLE IF NOT EXISTS expired_reach (
      shard INTEGER PRIMARY KEY, to_seq INTEGER NOT NULL, min_time INTEGER NOT NULL, max_time INTEGER NOT NULL)`);
  }

  /** By shard, as wide as the files say: what lies outside has not expired. */
  reach(): Record<number, ExpiredReach> {
    return Object.fromEntries(
      this.#sql
        .exec<{ shard: number; to_seq: number; min_time: number; max_time: number }>("SELECT * FROM expired_reach")
        .toArray()
        .map(({ shard, to_seq, min_time, max_time }) => [shard, { to: to_seq, minTime: min_time, maxTime: max_time }]),
    );
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
         min_time, max_time, json_extract(columns, '$.log_shard') AS log_shard, json_extract(columns, '$.log_seq') AS log_seq
         FROM data_file WHERE max_received_at < ? AND ${where} ORDER BY id`,
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
      this.#widenReach(file);
      this.#files.remove(file.id, snapshot, nowMs);
      if (inCuts) this.#leaveCuts(file, snapshot);
      else this.#sql.exec("UPDATE data_file SET expired = 1 WHERE id = ?", file.id);
    }
    return snapshot;
  }

  #widenReach({ tbl, log_shard, log_seq, min_time, max_time }: DueRow): void {
    if (tbl !== "events") return;
    const bounds = (text: string | null) => (text === null ? {} : JSON.parse(text)) as ColumnBounds;
    const { min: first, max: last } = bounds(log_shard);
    const { max: to = Number.MAX_SAFE_INTEGER } = bounds(log_seq);
    // A file that does not say of which shards it is was no sink's.
    if (typeof first !== "number" || typeof last !== "number") return;
    for (let shard = first; shard <= last; shard++) {
      this.#sql.exec(
        `INSERT INTO expired_reach VALUES (?, ?, ?, ?) ON CONFLICT (shard) DO UPDATE SET to_seq = max(to_seq, excluded.to_seq),
           min_time = min(min_time, excluded.min_time), max_time = max(max_time, excluded.max_time)`,
        shard,
        to,
        min_time,
        max_time,
      );
    }
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
