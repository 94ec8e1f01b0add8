/** Reports of the daily search for undeclared PII: a row a day and shard, for `PII.auditDays` days. */
import { DurableObject } from "cloudflare:workers";
import { PII } from "../../r2-layout/limits.ts";
import type { PiiAuditApi, PiiFinding, PiiReport, ShardReport } from "./api.ts";

type Row = { day: string; report: string };

export class PiiAudit extends DurableObject implements PiiAuditApi {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS shard_report (
      day TEXT NOT NULL, shard INTEGER NOT NULL, report TEXT NOT NULL, PRIMARY KEY (day, shard)) WITHOUT ROWID`);
    this.#sql.exec("CREATE TABLE IF NOT EXISTS audited (day TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID");
  }

  async begin(day: string): Promise<boolean> {
    return this.#sql.exec("SELECT 1 FROM audited WHERE day = ?", day).toArray().length === 0;
  }

  async put(day: string, shard: number, report: ShardReport): Promise<void> {
    this.#sql.exec("INSERT OR REPLACE INTO shard_report VALUES (?, ?, ?)", day, shard, JSON.stringify(report));
  }

  async finish(day: string, atMs: number): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec("INSERT OR REPLACE INTO audited VALUES (?, ?)", day, atMs);
      const kept = this.#days(PII.auditDays).at(-1)!;
      this.#sql.exec("DELETE FROM audited WHERE day < ?", kept);
      this.#sql.exec("DELETE FROM shard_report WHERE day < ?", kept);
    });
  }

  async report(days: number): Promise<PiiReport> {
    const { at } = this.#sql.exec<{ at: number | null }>("SELECT max(at) AS at FROM audited").one();
    const from = this.#days(days).at(-1) ?? "";
    const rows = this.#sql.exec<Row>("SELECT day, report FROM shard_report WHERE day >= ? ORDER BY day", from);
    return { auditedAt: at, ...merged(rows) };
  }

  /** Audited ones, the newest first. */
  #days(count: number): string[] {
    const rows = this.#sql.exec<{ day: string }>("SELECT day FROM audited ORDER BY day DESC LIMIT ?", count);
    return rows.toArray().map(({ day }) => day);
  }
}

type Merged = { -readonly [K in keyof PiiReport["findings"][number]]: PiiReport["findings"][number][K] };

function merged(rows: Iterable<Row>): Omit<PiiReport, "auditedAt"> {
  const findings = new Map<string, Merged>();
  const sampled = new Map<string, number>();
  let left = 0;
  for (const { day, report } of rows) {
    const { findings: found, sampled: of, left: more } = JSON.parse(report) as ShardReport;
    left += more;
    for (const one of of) sampled.set(nameOf(one), (sampled.get(nameOf(one)) ?? 0) + one.events);
    for (const one of found) {
      const key = `${nameOf(one)}\n${one.field}\n${one.kind}`;
      const known = findings.get(key);
      if (!known) findings.set(key, { ...one, sampled: 0, firstDay: day, lastDay: day });
      else {
        known.events += one.events;
        known.newestAt = Math.max(known.newestAt, one.newestAt);
        known.lastDay = day;
      }
    }
  }
  const all = [...findings.values()].sort(
    (one, other) => other.events - one.events || (one.field < other.field ? -1 : 1),
  );
  for (const one of all) one.sampled = sampled.get(nameOf(one)) ?? 0;
  return {
    findings: all.slice(0, PII.auditReported),
    sampled: [...sampled.values()].reduce((sum, events) => sum + events, 0),
    left: left + Math.max(0, all.length - PII.auditReported),
  };
}

const nameOf = ({ source, eventName }: Pick<PiiFinding, "source" | "eventName">): string => `${source}\n${eventName}`;
