/**
 * Jobs that change the lake in one commit, prepared in many steps: a correction, a rebuild. What a job has staged is in
 * tables of its own, so that no reader meets it, and under its keys, so that the sweep spares its objects.
 *
 *     a step is cut off before `stage`         its objects are orphans; the step is done again
 *     `stage` done, its answer lost            the step comes again and is passed over; its second objects are orphans
 *     a file that a step replaces goes         the swap is refused and forgets that step: the files are looked at again
 *     a file comes that no step looked at      the same; what came in its place is looked at
 *     swap done, its answer lost               it comes again and gets the first answer
 *     discarded while a step is under way      its `stage` is refused; its objects are orphans
 *     a compaction beside a rebuild            refused: it would hide rows of the rebuild in a file that is new
 *
 * All methods are synchronous, for the transaction of their caller.
 */
import type { TableName } from "../../r2-layout/event-columns.ts";
import { addTallies, EMPTY_TALLY, type KeyTally } from "../../r2-layout/key-tally.ts";
import type { CatalogAnswer, LogReach, NewDataFile, RebuildScope, StagedMarks, StagedStatus } from "./api.ts";

type JobRow = {
  job: string;
  state: Exclude<StagedStatus["state"], "none">;
  scope: string | null;
  operation: "correct" | "rebuild" | null;
  swapped: string | null;
  reverted: string | null;
};

export interface StagingJob {
  readonly job: string;
  readonly state: JobRow["state"];
  /** Of a rebuild. */
  readonly scope: RebuildScope | null;
  readonly operation: JobRow["operation"];
  readonly swapped: CatalogAnswer | null;
  readonly reverted: CatalogAnswer | null;
}

export class StagingTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS staging_job (
      job TEXT PRIMARY KEY,
      state TEXT NOT NULL,
      changed_at INTEGER NOT NULL,
      scope TEXT,
      operation TEXT,
      swapped TEXT,
      reverted TEXT) WITHOUT ROWID`);
    sql.exec(`CREATE TABLE IF NOT EXISTS staged_step (
      job TEXT NOT NULL,
      step INTEGER NOT NULL,
      shard INTEGER,
      log_to INTEGER,
      before TEXT,
      after TEXT,
      PRIMARY KEY (job, step)) WITHOUT ROWID`);
    // Live files that a step looked at.
    sql.exec(`CREATE TABLE IF NOT EXISTS staged_input (
      job TEXT NOT NULL,
      file INTEGER NOT NULL,
      step INTEGER NOT NULL,
      removed INTEGER NOT NULL,
      PRIMARY KEY (job, file)) WITHOUT ROWID`);
    sql.exec(`CREATE TABLE IF NOT EXISTS staged_file (
      key TEXT PRIMARY KEY,
      job TEXT NOT NULL,
      step INTEGER NOT NULL,
      file TEXT NOT NULL)`);
    sql.exec("CREATE INDEX IF NOT EXISTS staged_file_job ON staged_file (job, step)");
  }

  job(job: string): StagingJob | null {
    const row = this.#sql.exec<JobRow>("SELECT * FROM staging_job WHERE job = ?", job).toArray()[0];
    return row
      ? {
          job,
          state: row.state,
          operation: row.operation,
          scope: parsed<RebuildScope>(row.scope),
          swapped: parsed<CatalogAnswer>(row.swapped),
          reverted: parsed<CatalogAnswer>(row.reverted),
        }
      : null;
  }

  /** @throws RangeError where the job has ended, or has been swapped in. */
  open(job: string, nowMs: number): StagingJob {
    const known = this.job(job);
    if (known && known.state !== "open") throw new RangeError(`job ${job} is ${known.state}`);
    if (!known) this.#sql.exec("INSERT INTO staging_job (job, state, changed_at) VALUES (?, 'open', ?)", job, nowMs);
    return known ?? { job, state: "open", scope: null, operation: null, swapped: null, reverted: null };
  }

  /** Rebuilds that are not swapped in yet. */
  rebuilding(): string[] {
    return this.#sql
      .exec<{ job: string }>("SELECT job FROM staging_job WHERE state = 'open' AND scope IS NOT NULL")
      .toArray()
      .map(({ job }) => job);
  }

  begin(job: string, scope: RebuildScope): void {
    this.#sql.exec("UPDATE staging_job SET scope = ? WHERE job = ?", JSON.stringify(scope), job);
  }

  /** @returns false where the job has the step already. */
  add(job: string, step: number, files: readonly NewDataFile[], marks: StagedMarks): boolean {
    if (this.#sql.exec("SELECT 1 FROM staged_step WHERE job = ? AND step = ?", job, step).toArray().length > 0) {
      return false;
    }
    const { read, before, after } = marks;
    this.#sql.exec(
      "INSERT INTO staged_step VALUES (?, ?, ?, ?, ?, ?)",
      job,
      step,
      read?.shard ?? null,
      read?.to ?? null,
      before ? JSON.stringify(before) : null,
      after ? JSON.stringify(after) : null,
    );
    for (const [inputs, removed] of [
      [marks.remove ?? [], 1],
      [marks.keep ?? [], 0],
    ] as const) {
      for (const file of inputs) {
        this.#sql.exec("INSERT OR REPLACE INTO staged_input VALUES (?, ?, ?, ?)", job, file, step, removed);
      }
    }
    for (const file of files) {
      this.#sql.exec("INSERT INTO staged_file VALUES (?, ?, ?, ?)", file.key, job, step, JSON.stringify(file));
    }
    return true;
  }

  files(job: string): NewDataFile[] {
    return this.#sql
      .exec<{ file: string }>("SELECT file FROM staged_file WHERE job = ? ORDER BY step, key", job)
      .toArray()
      .map(({ file }) => JSON.parse(file) as NewDataFile);
  }

  /** Live files that its steps remove. */
  removes(job: string): number[] {
    return this.#sql
      .exec<{ file: number }>("SELECT file FROM staged_input WHERE job = ? AND removed = 1 ORDER BY file", job)
      .toArray()
      .map(({ file }) => file);
  }

  looked(job: string): ReadonlySet<number> {
    return new Set(
      this.#sql
        .exec<{ file: number }>("SELECT file FROM staged_input WHERE job = ?", job)
        .toArray()
        .map(({ file }) => file),
    );
  }

  /** Forgets the steps that went over these files. */
  forgetSteps(job: string, files: readonly number[]): void {
    for (const file of files) {
      const step = this.#sql
        .exec<{ step: number }>("SELECT step FROM staged_input WHERE job = ? AND file = ?", job, file)
        .toArray()[0]?.step;
      if (step === undefined) continue;
      for (const table of ["staged_step", "staged_input", "staged_file"]) {
        this.#sql.exec(`DELETE FROM ${table} WHERE job = ? AND step = ?`, job, step);
      }
    }
  }

  status(job: string): StagedStatus {
    const { steps } = this.#sql
      .exec<{ steps: number }>("SELECT count(*) AS steps FROM staged_step WHERE job = ?", job)
      .one();
    const sums = this.#sql
      .exec<{ files: number; rows: number; bytes: number }>(
        `SELECT count(*) AS files, coalesce(sum(json_extract(file, '$.rows')), 0) AS rows,
           coalesce(sum(json_extract(file, '$.bytes')), 0) AS bytes FROM staged_file WHERE job = ?`,
        job,
      )
      .one();
    return { state: this.job(job)?.state ?? "none", steps, ...sums, reads: this.reads(job) };
  }

  reads(job: string): StagedStatus["reads"] {
    return Object.fromEntries(
      this.#sql
        .exec<{ shard: number; steps: number; log_to: number }>(
          `SELECT shard, count(*) AS steps, max(log_to) AS log_to FROM staged_step
           WHERE job = ? AND shard IS NOT NULL GROUP BY shard`,
          job,
        )
        .toArray()
        .map(({ shard, steps, log_to }) => [shard, { steps, to: log_to }]),
    );
  }

  tallies(job: string): { before: KeyTally; after: KeyTally } {
    let before = EMPTY_TALLY;
    let after = EMPTY_TALLY;
    for (const row of this.#sql.exec<{ before: string | null; after: string | null }>(
      "SELECT before, after FROM staged_step WHERE job = ? AND (before IS NOT NULL OR after IS NOT NULL)",
      job,
    )) {
      if (row.before) before = addTallies([before, JSON.parse(row.before) as KeyTally]);
      if (row.after) after = addTallies([after, JSON.parse(row.after) as KeyTally]);
    }
    return { before, after };
  }

  /** Files of a table that jobs have staged, by key after one. */
  filesAfter(table: TableName, afterKey: string, limit: number): { job: string; file: NewDataFile }[] {
    return this.#sql
      .exec<{ job: string; file: string }>(
        "SELECT job, file FROM staged_file WHERE key > ? AND json_extract(file, '$.table') = ? ORDER BY key LIMIT ?",
        afterKey,
        table,
        limit,
      )
      .toArray()
      .map(({ job, file }) => ({ job, file: JSON.parse(file) as NewDataFile }));
  }

  /** Another file in a staged one's place, or none. @returns whether it was there. */
  exchange(key: string, replacement: NewDataFile | null): boolean {
    if (!this.has(key)) return false;
    if (replacement === null) this.#sql.exec("DELETE FROM staged_file WHERE key = ?", key);
    else {
      const file = JSON.stringify(replacement);
      this.#sql.exec("UPDATE staged_file SET key = ?, file = ? WHERE key = ?", replacement.key, file, key);
    }
    return true;
  }

  has(key: string): boolean {
    return this.#sql.exec("SELECT 1 FROM staged_file WHERE key = ?", key).toArray().length > 0;
  }

  /** The files are the lake's now. The steps stay: what a comparison said can be asked for again. */
  swapped(job: string, operation: "correct" | "rebuild", answer: CatalogAnswer, nowMs: number): void {
    this.#sql.exec(
      "UPDATE staging_job SET state = 'swapped', operation = ?, swapped = ?, changed_at = ? WHERE job = ?",
      operation,
      JSON.stringify(answer),
      nowMs,
      job,
    );
    this.#sql.exec("DELETE FROM staged_file WHERE job = ?", job);
    this.#sql.exec("DELETE FROM staged_input WHERE job = ?", job);
  }

  reverted(job: string, answer: CatalogAnswer, nowMs: number): void {
    const text = JSON.stringify(answer);
    this.#sql.exec("UPDATE staging_job SET reverted = ? WHERE job = ?", text, job);
    this.end(job, "reverted", nowMs);
  }

  /** A job that has ended keeps its name, so that what comes late for it is refused. */
  end(job: string, state: "discarded" | "confirmed" | "reverted", nowMs: number): void {
    this.#sql.exec(
      `INSERT INTO staging_job (job, state, changed_at) VALUES (?, ?, ?)
       ON CONFLICT (job) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at`,
      job,
      state,
      nowMs,
    );
    for (const table of ["staged_step", "staged_input", "staged_file"]) {
      this.#sql.exec(`DELETE FROM ${table} WHERE job = ?`, job);
    }
  }

  /** Forgets jobs that ended before this time. */
  forget(beforeMs: number): void {
    this.#sql.exec(
      "DELETE FROM staging_job WHERE state IN ('discarded', 'confirmed', 'reverted') AND changed_at < ?",
      beforeMs,
    );
  }
}

/** A rebuild's parts of the log: cut at the cursors, empty ones left out. */
export function scopeOf(
  snapshot: number,
  cursors: Readonly<Record<number, number>>,
  asked: Readonly<Record<number, LogReach>> | undefined,
): RebuildScope {
  const reach: Record<number, LogReach> = {};
  for (const [shard, cursor] of Object.entries(cursors)) {
    const part = asked ? asked[Number(shard)] : { after: 0, to: cursor };
    if (!part) continue;
    const to = Math.min(part.to, cursor);
    if (to > part.after) reach[Number(shard)] = { after: part.after, to };
  }
  return { snapshot, cursors, reach };
}

const parsed = <T>(text: string | null): T | null => (text === null ? null : (JSON.parse(text) as T));
