/**
 * What to compact next. A partition is what files are merged within: a day of a table, shared by event names; a day's
 * event name that has files of its own; files of several days, which are taken apart.
 *
 * Work is given for a partition that
 *
 *     is crowded     it has more than `LAKE.compactAboveFiles` files that are not finished
 *     is quiet       nothing came for `LAKE.quietMs`, and it has more files than it needs: late data came, or the day ended
 *
 * the one with the most files first: it is what a reader of the day opens, since files of a partition overlap.
 *
 * Write amplification. Files are merged smallest first, and a larger one joins only while it is at most twice what is there
 * already (`mergedTogether`): a merge makes half as much again of its largest input at least, so a row of a day of n bytes in
 * files of m is rewritten log1.5(n/m) times at worst; with 50 inputs of like size at once, three to five times until a file has
 * 240 MB and is finished. Late data joins a large file by that rule, too; only a day that has been quiet for
 * `LAKE.settledMs` and is below 64 MB is made one file whatever it costs: once a day at most.
 *
 * All methods are synchronous and change nothing: what is planned may be gone when it is committed, which then says so.
 */
import type { TableName } from "../../r2-layout/event-columns.ts";
import { LAKE } from "../../r2-layout/limits.ts";
import { DAY_US, dayOf } from "../../r2-layout/time.ts";
import type { CompactionWork } from "./api.ts";
import { dataFile, type FileRow } from "./data-files.ts";
import { SINCE } from "./plan-files.ts";

export interface PartitionFiles {
  readonly table: TableName;
  /** Null: files of several days. */
  readonly day: string | null;
  readonly name: string | null;
  /** Those that are not finished: below `LAKE.finishedBytes`. */
  readonly files: number;
  readonly bytes: number;
  /** Since when nothing came, milliseconds. */
  readonly quietMs: number;
}

export interface PlanSettings {
  readonly aboveFiles: number;
  /** Asked for by somebody: nothing waits for being quiet. */
  readonly isAsked: boolean;
}

/** How a partition is called in `skip`, and, without its name, in what cuts hold. */
export const partitionKey = ({ table, day, name }: Pick<PartitionFiles, "table" | "day" | "name">): string =>
  `${table}/${day ?? "mixed"}${name === null ? "" : `/${name}`}`;

/** Whether there is something to do, as far as counts tell. */
export function isDue({ day, files, quietMs }: PartitionFiles, { aboveFiles, isAsked }: PlanSettings): boolean {
  if (files > aboveFiles) return true;
  const isQuiet = isAsked || quietMs >= LAKE.quietMs;
  return isQuiet && files > (day === null ? 0 : 1);
}

/**
 * Which files are merged. @param bytes of all, ascending. @param all whatever it costs: a small partition that has settled.
 * @returns from, up to but not including to; equal where nothing is worth it.
 */
export function mergedTogether(bytes: readonly number[], all: boolean): { from: number; to: number } {
  for (let from = 0; from + 1 < bytes.length; from++) {
    let sum = bytes[from]!;
    let to = from + 1;
    while (to < bytes.length && to - from < LAKE.compactInputs) {
      const next = bytes[to]!;
      const isWorthIt = all || next <= Math.max(2 * sum, LAKE.smallFileBytes);
      if (!isWorthIt || sum + next > LAKE.compactBytes) break;
      sum += next;
      to++;
    }
    if (to - from > 1) return { from, to };
  }
  return { from: 0, to: 0 };
}

/** The names that are large enough for files of their own. @param bytes of each, about. @param has those that have some. */
export function ownNames(bytes: ReadonlyMap<string, number>, has: ReadonlySet<string>): string[] {
  const large = [...bytes]
    .filter(([name, size]) => size >= LAKE.largeFileBytes && !has.has(name))
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .map(([name]) => name);
  return [...has, ...large.slice(0, Math.max(0, LAKE.ownNames - has.size))].sort();
}

export class CompactionPlan {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The most urgent work, null where there is none. @param left partitions, or days, not to be given. */
  next(settings: PlanSettings, left: readonly string[], rules: number, nowMs: number): CompactionWork | null {
    return this.#first(this.#partitions(nowMs), settings, left, rules);
  }

  /**
   * What a cut at a snapshot has of its day, and of files of several days, whether it is crowded or not: later files stay
   * apart, so that the cut names what comes of it (cut-files.ts).
   */
  ofCut(day: string, seq: number, left: readonly string[], rules: number, nowMs: number): CompactionWork | null {
    const partitions = this.#partitions(nowMs, seq).filter(
      (partition) => partition.day === null || partition.day === day,
    );
    return this.#first(partitions, { aboveFiles: 1, isAsked: true }, left, rules, seq);
  }

  #first(
    partitions: readonly PartitionFiles[],
    settings: PlanSettings,
    left: readonly string[],
    rules: number,
    cut?: number,
  ): CompactionWork | null {
    const due = partitions.filter((partition) => isDue(partition, settings));
    due.sort((a, b) => b.files - a.files || (b.day ?? "").localeCompare(a.day ?? ""));
    for (const partition of due) {
      const { table, day } = partition;
      if (left.includes(partitionKey(partition)) || left.includes(partitionKey({ table, day, name: null }))) continue;
      const work = this.#work(partition, settings, rules, cut);
      if (work) return work;
    }
    return null;
  }

  /** Counted in an index: no file's own row is read. (A day's length is bound as a double: its quotient would have a fraction.) */
  #partitions(nowMs: number, cut?: number): PartitionFiles[] {
    return this.#sql
      .exec<{
        tbl: TableName;
        spans_days: number;
        day: number;
        name: string | null;
        files: number;
        bytes: number;
        newest: number;
      }>(
        `SELECT tbl, spans_days, CASE WHEN spans_days THEN 0 ELSE min_time / ${DAY_US} END AS day, partition_name AS name,
           count(*) AS files, sum(bytes) AS bytes, max(added_seq) AS newest
         FROM data_file WHERE removed_seq IS NULL AND bytes < ?${cut === undefined ? "" : ` AND ${SINCE} <= ?`}
         GROUP BY tbl, spans_days, day, name HAVING files > 1 OR spans_days`,
        LAKE.finishedBytes,
        ...(cut === undefined ? [] : [cut]),
      )
      .toArray()
      .map(({ tbl, spans_days, day, name, files, bytes, newest }) => ({
        table: tbl,
        day: spans_days ? null : dayOf(day * DAY_US),
        name,
        files,
        bytes,
        quietMs: nowMs - this.#committedAt(newest),
      }));
  }

  /** 0 of a snapshot that has been forgotten: long ago. */
  #committedAt(seq: number): number {
    return (
      this.#sql.exec<{ at: number }>("SELECT committed_at AS at FROM snapshot WHERE seq = ?", seq).toArray()[0]?.at ?? 0
    );
  }

  #work(partition: PartitionFiles, settings: PlanSettings, rules: number, cut?: number): CompactionWork | null {
    const { table, day, name } = partition;
    const files = this.#files(partition, rules, cut);
    const bytes = files.map((file) => file.bytes);
    const total = bytes.reduce((sum, size) => sum + size, 0);
    const base = { table, day, rules: files[0]?.rules ?? rules, ...(name !== null && { partition: name }) };
    if (day === null) {
      // One alone is taken apart, too.
      const { from, to } = mergedTogether(bytes, true);
      return files.length > 0 ? { ...base, files: files.slice(from, Math.max(to, 1)) } : null;
    }
    const own = name === null ? this.#ownNames(table, day) : [name];
    const names = own.length > 0 && { own: { [day]: own } };
    const isSettled = settings.isAsked || partition.quietMs >= LAKE.settledMs;
    const { from, to } = mergedTogether(bytes, isSettled && total < LAKE.largeFileBytes);
    return to > from ? { ...base, ...names, files: files.slice(from, to) } : null;
  }

  /** Those that may be merged, smallest first: not what a rule has yet to go over, nor what a job may still take back. */
  #files({ table, day, name }: PartitionFiles, rules: number, cut: number = Number.MAX_SAFE_INTEGER) {
    const from = day === null ? 0 : Date.parse(day) * 1_000;
    return this.#sql
      .exec<FileRow>(
        `SELECT * FROM data_file WHERE tbl = ? AND spans_days = ? AND min_time >= ? AND min_time < ? AND removed_seq IS NULL
           AND partition_name IS ? AND bytes < ? AND rules >= ? AND added_by IS NULL AND ${SINCE} <= ? ORDER BY rules, bytes, id LIMIT ?`,
        table,
        day === null ? 1 : 0,
        day === null ? -Number.MAX_SAFE_INTEGER : from,
        day === null ? Number.MAX_SAFE_INTEGER : from + DAY_US,
        name,
        LAKE.finishedBytes,
        rules,
        cut,
        LAKE.plannedInputs,
      )
      .toArray()
      .map(dataFile)
      .filter((file, _, all) => file.rules === all[0]!.rules);
  }

  /** Names of a day with files of their own, and those that are to have some. */
  #ownNames(table: TableName, day: string): string[] {
    if (table !== "events") return [];
    const from = Date.parse(day) * 1_000;
    const has = new Set<string>();
    const bytes = new Map<string, number>();
    let total = 0;
    for (const row of this.#sql.exec<{
      name: string | null;
      bytes: number;
      row_count: number;
      name_rows: string | null;
    }>(
      `SELECT partition_name AS name, bytes, row_count, name_rows FROM data_file
       WHERE tbl = ? AND spans_days = 0 AND min_time >= ? AND min_time < ? AND removed_seq IS NULL`,
      table,
      from,
      from + DAY_US,
    )) {
      total += row.bytes;
      if (row.name !== null) has.add(row.name);
      if (row.name_rows === null) continue;
      for (const [name, rows] of Object.entries(JSON.parse(row.name_rows) as Record<string, number>)) {
        bytes.set(name, (bytes.get(name) ?? 0) + (row.bytes * rows) / row.row_count);
      }
    }
    return total < LAKE.largeFileBytes ? [...has].sort() : ownNames(bytes, has);
  }
}
