/** The desk's tables: jobs, the rule versions given out, what was settled, and marks. Synchronous, one transaction a call. */

import { REPLAY } from "../../r2-layout/limits.ts";
import { redacted, redactedJson } from "../../r2-layout/redact.ts";
import { addColumns } from "../add-columns.ts";
import type { Job, JobChange, JobKind, JobMeter, JobSpec, JobState, NewJob, ReplaySpec, Settled } from "./api.ts";
import { JOB_ACTIONS } from "./api.ts";
import { isOffered, type JobFacts } from "./job-rules.ts";

type JobRow = {
  n: number;
  id: string;
  kind: JobKind;
  state: JobState;
  phase: string;
  spec: string;
  progress: string | null;
  preview: string | null;
  meter: string;
  waits_for: string | null;
  error: string | null;
  attempts: number;
  outcome: string | null;
  failed_in: JobState | null;
  unreadable: Job["unreadable"];
  holds: number;
  rules: number;
  key: string | null;
  fingerprint: string | null;
  token: number;
  owner: string | null;
  lease_until: number;
  next_at: number | null;
  created_at: number;
  started_at: number | null;
  updated_at: number;
  ended_at: number | null;
};

/** A job as the desk itself sees it. */
export interface DeskJob {
  readonly job: Job;
  readonly facts: JobFacts & { readonly updatedAt: number };
  readonly fingerprint: string;
  readonly token: number;
  readonly owner: string | null;
  readonly leaseUntil: number;
  readonly nextAt: number | null;
}

/** Columns that a step of a job's life writes. */
export interface JobPatch {
  readonly state?: JobState;
  readonly phase?: string;
  readonly progress?: unknown;
  readonly meter?: JobMeter;
  readonly waitsFor?: string | null;
  readonly error?: string | null;
  readonly attempts?: number;
  readonly outcome?: string | null;
  readonly failedIn?: JobState | null;
  readonly unreadable?: Job["unreadable"];
  readonly holds?: boolean;
  readonly token?: number;
  readonly owner?: string | null;
  readonly leaseUntil?: number;
  readonly nextAt?: number | null;
  readonly startedAt?: number;
  readonly endedAt?: number | null;
}

const COLUMN: Record<keyof JobPatch, string> = {
  state: "state",
  phase: "phase",
  progress: "progress",
  meter: "meter",
  waitsFor: "waits_for",
  error: "error",
  attempts: "attempts",
  outcome: "outcome",
  failedIn: "failed_in",
  unreadable: "unreadable",
  holds: "holds",
  token: "token",
  owner: "owner",
  leaseUntil: "lease_until",
  nextAt: "next_at",
  startedAt: "started_at",
  endedAt: "ended_at",
};

export class JobTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS job (
      n INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      kind TEXT NOT NULL,
      state TEXT NOT NULL,
      phase TEXT NOT NULL,
      spec TEXT NOT NULL,
      progress TEXT,
      preview TEXT,
      meter TEXT NOT NULL,
      waits_for TEXT,
      error TEXT,
      attempts INTEGER NOT NULL DEFAULT 0,
      outcome TEXT,
      failed_in TEXT,
      holds INTEGER NOT NULL DEFAULT 0,
      rules INTEGER NOT NULL DEFAULT 0,
      key TEXT UNIQUE,
      fingerprint TEXT,
      token INTEGER NOT NULL DEFAULT 0,
      owner TEXT,
      lease_until INTEGER NOT NULL DEFAULT 0,
      next_at INTEGER,
      created_at INTEGER NOT NULL,
      started_at INTEGER,
      updated_at INTEGER NOT NULL,
      ended_at INTEGER)`);
    addColumns(sql, "job", { unreadable: "TEXT" });
    sql.exec(`CREATE TABLE IF NOT EXISTS rule_version (
      version INTEGER PRIMARY KEY,
      job TEXT NOT NULL,
      key TEXT NOT NULL,
      raised INTEGER NOT NULL DEFAULT 0,
      UNIQUE (job, key))`);
    sql.exec(`CREATE TABLE IF NOT EXISTS settled (
      day TEXT NOT NULL,
      shard INTEGER NOT NULL,
      cause TEXT NOT NULL,
      events INTEGER NOT NULL,
      PRIMARY KEY (day, shard, cause)) WITHOUT ROWID`);
    sql.exec("CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID");
  }

  add({ id, spec, preview, key, fingerprint }: NewJob, state: JobState, phase: string, nowMs: number): void {
    const started = state === "running" ? nowMs : null;
    this.#sql.exec(
      `INSERT INTO job (id, kind, state, phase, spec, preview, meter, key, fingerprint, next_at, created_at, started_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      id,
      spec.kind,
      state,
      phase,
      JSON.stringify(spec),
      preview === undefined ? null : JSON.stringify(preview),
      JSON.stringify({ read: 0, total: null, rate: 0 } satisfies JobMeter),
      key ?? null,
      fingerprint ?? null,
      started,
      nowMs,
      started,
      nowMs,
    );
  }

  patch(id: string, patch: JobPatch, nowMs: number): void {
    const entries = Object.entries(patch) as [keyof JobPatch, unknown][];
    const values = entries.map(([name, value]) => {
      if (name === "progress" || name === "meter") return value === null ? null : JSON.stringify(value);
      return typeof value === "boolean" ? Number(value) : (value as string | number | null);
    });
    const set = [...entries.map(([name]) => `${COLUMN[name]} = ?`), "updated_at = ?"].join(", ");
    this.#sql.exec(`UPDATE job SET ${set} WHERE id = ?`, ...values, nowMs, id);
  }

  /** What a driver's save carries, as columns. */
  static changed({ phase, progress, meter, waitsFor, holds }: JobChange): JobPatch {
    return {
      ...(phase !== undefined && { phase }),
      ...(progress !== undefined && { progress }),
      ...(meter !== undefined && { meter }),
      ...(waitsFor !== undefined && { waitsFor }),
      ...(holds !== undefined && { holds }),
    };
  }

  get(id: string): DeskJob | null {
    return this.#jobs("WHERE id = ?", id)[0] ?? null;
  }

  byKey(key: string): DeskJob | null {
    return this.#jobs("WHERE key = ?", key)[0] ?? null;
  }

  /** Neither done nor cancelled, oldest first. */
  open(): DeskJob[] {
    return this.#jobs("WHERE ended_at IS NULL ORDER BY n");
  }

  /** Open ones that are to be called by then, oldest first. */
  due(byMs: number): { id: string; updatedAt: number }[] {
    return this.#sql
      .exec<{ id: string; updatedAt: number }>(
        "SELECT id, updated_at AS updatedAt FROM job WHERE ended_at IS NULL AND next_at <= ? ORDER BY n",
        byMs,
      )
      .toArray();
  }

  /** Milliseconds when an open one is to be called next, null where none is: asked after each change, so without reading any whole. */
  nextAt(): number | null {
    return this.#sql.exec<{ at: number | null }>("SELECT min(next_at) AS at FROM job WHERE ended_at IS NULL").one().at;
  }

  newest(kinds: readonly JobKind[] | undefined, limit: number, before: number = Number.MAX_SAFE_INTEGER): Job[] {
    const named = kinds === undefined ? "" : `AND kind IN (${kinds.map(() => "?").join(", ")})`;
    const where = `WHERE n < ? ${named} ORDER BY n DESC LIMIT ?`;
    return this.#jobs(where, before, ...(kinds ?? []), limit).map(({ job }) => job);
  }

  /** Forgets the oldest of the ended beyond `REPLAY.jobsKept`, and what was settled long ago. Erasures are kept: they are looked at again. */
  forget(oldestDay: string): void {
    this.#sql.exec(
      `DELETE FROM job WHERE ended_at IS NOT NULL AND (kind <> 'erasure' OR state = 'cancelled')
         AND n <= (SELECT n FROM job WHERE ended_at IS NOT NULL AND kind <> 'erasure' ORDER BY n DESC LIMIT 1 OFFSET ?)`,
      REPLAY.jobsKept,
    );
    this.#sql.exec("DELETE FROM settled WHERE day < ?", oldestDay);
  }

  /** @returns how many jobs have one of these texts, as they were. */
  redact(names: ReadonlyMap<string, string>, isTrial: boolean): number {
    type Texts = { id: string; spec: string; progress: string | null; preview: string | null; error: string | null };
    const jobs = this.#sql.exec<Texts>("SELECT id, spec, progress, preview, error FROM job").toArray();
    let named = 0;
    for (const { id, error, ...texts } of jobs) {
      const [spec, progress] = [texts.spec, texts.progress].map((text) => redactedJson(text, names));
      const preview = redactedPreview(texts.preview, names);
      // Words that a store threw: whoever is in them is in there somewhere.
      const saysWho = error !== null && [...names.keys()].some((name) => error.includes(name));
      if (!spec && !progress && !preview && !saysWho) continue;
      named++;
      if (isTrial) continue;
      this.#sql.exec(
        `UPDATE job SET spec = coalesce(?, spec), progress = coalesce(?, progress), preview = coalesce(?, preview),
           error = ? WHERE id = ?`,
        spec ?? null,
        progress ?? null,
        preview ?? null,
        saysWho ? null : error,
        id,
      );
    }
    return named;
  }

  /** The newest version given out, 0 before the first. */
  rules(): number {
    return (
      this.#sql.exec<{ newest: number | null }>("SELECT max(version) AS newest FROM rule_version").one().newest ?? 0
    );
  }

  rule(job: string, key: string): number | null {
    const rows = this.#sql.exec<{ version: number }>(
      "SELECT version FROM rule_version WHERE job = ? AND key = ?",
      job,
      key,
    );
    return rows.toArray()[0]?.version ?? null;
  }

  /** The version that not every shard has yet. */
  raising(): { version: number; job: string } | null {
    const rows = this.#sql.exec<{ version: number; job: string }>(
      "SELECT version, job FROM rule_version WHERE raised = 0 ORDER BY version LIMIT 1",
    );
    return rows.toArray()[0] ?? null;
  }

  takeRule(job: string, key: string): number {
    const version = this.rules() + 1;
    this.#sql.exec("INSERT INTO rule_version (version, job, key) VALUES (?, ?, ?)", version, job, key);
    this.#sql.exec("UPDATE job SET rules = ? WHERE id = ?", version, job);
    return version;
  }

  raised(job: string, version: number): void {
    this.#sql.exec("UPDATE rule_version SET raised = 1 WHERE version = ? AND job = ?", version, job);
  }

  /** A rebuild remembers which rules were in force when it swapped. */
  swappedUnder(job: string): void {
    this.#sql.exec("UPDATE job SET rules = ? WHERE id = ?", this.rules(), job);
  }

  /** A rebuild that swapped a lake in under this rule or a later one. */
  lakeBuiltUnder(job: string): string | null {
    const rows = this.#sql.exec<{ id: string }>(
      `SELECT built.id FROM job AS ruled JOIN job AS built ON built.kind = 'rebuild' AND built.rules >= ruled.rules
       WHERE ruled.id = ? AND EXISTS (SELECT 1 FROM json_each(built.spec, '$.sinks') WHERE value = 'lake') LIMIT 1`,
      job,
    );
    return rows.toArray()[0]?.id ?? null;
  }

  addSettled({ day, shard, cause, events }: Settled): void {
    this.#sql.exec(
      `INSERT INTO settled VALUES (?, ?, ?, ?)
       ON CONFLICT (day, shard, cause) DO UPDATE SET events = events + excluded.events`,
      day,
      shard,
      cause,
      events,
    );
  }

  settled(): Settled[] {
    return this.#sql
      .exec<{ day: string; shard: number; cause: Settled["cause"]; events: number }>(
        "SELECT day, shard, cause, events FROM settled ORDER BY day DESC, shard, cause LIMIT ?",
        REPLAY.settledRows,
      )
      .toArray();
  }

  mark(name: string): string | null {
    return this.#sql.exec<{ value: string }>("SELECT value FROM mark WHERE name = ?", name).toArray()[0]?.value ?? null;
  }

  setMark(name: string, value: string | null): void {
    if (value === null) {
      this.#sql.exec("DELETE FROM mark WHERE name = ?", name);
      return;
    }
    this.#sql.exec(
      "INSERT INTO mark VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      name,
      value,
    );
  }

  #jobs(where: string, ...bound: readonly (string | number)[]): DeskJob[] {
    const rules = this.rules();
    const raising = this.raising()?.job ?? null;
    return this.#sql
      .exec<JobRow>(`SELECT * FROM job ${where}`, ...bound)
      .toArray()
      .map((row) => deskJob(row, rules, raising));
  }
}

const parsed = (text: string | null): unknown => (text === null ? null : JSON.parse(text));

/** A sample is a whole row: where one of them names somebody, all go. */
function redactedPreview(text: string | null, names: ReadonlyMap<string, string>): string | null {
  const change = redacted(parsed(text), names);
  return change && JSON.stringify({ ...(change.value as object), samples: [] });
}

function deskJob(row: JobRow, rules: number, raising: string | null): DeskJob {
  const facts = {
    id: row.id,
    kind: row.kind,
    state: row.state,
    phase: row.phase,
    ruled: row.kind !== "rebuild" && row.rules > 0,
    sinks: (parsed(row.spec) as Partial<ReplaySpec>).sinks ?? [],
    holds: row.holds === 1,
    failedIn: row.failed_in,
    unreadable: row.unreadable,
    overruled: row.kind === "rebuild" && row.state === "waiting_for_confirmation" && row.rules < rules,
    raising: raising === row.id,
    outruled: row.rules < rules,
    halts: row.waits_for !== null || row.attempts > 0,
    updatedAt: row.updated_at,
  };
  return {
    job: {
      id: row.id,
      n: row.n,
      kind: row.kind,
      state: row.state,
      phase: row.phase,
      spec: parsed(row.spec) as JobSpec,
      progress: parsed(row.progress),
      preview: parsed(row.preview),
      meter: parsed(row.meter) as JobMeter,
      waitsFor: row.waits_for,
      error: row.error,
      attempts: row.attempts,
      unreadable: row.unreadable,
      actions: JOB_ACTIONS.filter((action) => isOffered(facts, action)),
      outcome: row.outcome,
      createdAt: row.created_at,
      startedAt: row.started_at,
      updatedAt: row.updated_at,
      endedAt: row.ended_at,
    },
    facts,
    fingerprint: row.fingerprint ?? "",
    token: row.token,
    owner: row.owner,
    leaseUntil: row.lease_until,
    nextAt: row.next_at,
  };
}
