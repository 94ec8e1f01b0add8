/**
 * What the object keeps of the hours: a row an event and hour, a row a source, a row a break. An hour is judged in one transaction
 * with what follows from it, and once: whoever reports it again is told that it is known.
 */
import type { Expectations } from "../../r2-layout/contracts/contract.ts";
import { cameOf, type Expectation, failedOf, type SourceHour } from "../../r2-layout/contracts/expected.ts";
import { HEALTH, HOUR_MS } from "../../r2-layout/limits.ts";
import type { Break, EndReason, HourReport, StoredHour } from "./api.ts";
import { type Baseline, judge } from "./judge.ts";

type HourRow = { hour: number; final: number; report: string };
type SourceRow = { source: string; first_hour: number; newest_at: number };
type BreakRow = {
  id: number;
  event: string;
  source: string;
  expectation: Expectation;
  field: string | null;
  expected: number;
  actual: number;
  since: number;
  last: number;
  good_hours: number;
  ended: number | null;
  because: EndReason | null;
};

export class HealthTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS hour (
      event TEXT NOT NULL, hour INTEGER NOT NULL, final INTEGER NOT NULL, report TEXT NOT NULL,
      PRIMARY KEY (event, hour)) WITHOUT ROWID`);
    // Of each event the newest hour in which something came: it is asked for every two seconds, by whoever looks at operations.
    sql.exec("CREATE TABLE IF NOT EXISTS newest (event TEXT PRIMARY KEY, hour INTEGER NOT NULL) WITHOUT ROWID");
    sql.exec(`CREATE TABLE IF NOT EXISTS source (
      event TEXT NOT NULL, source TEXT NOT NULL, first_hour INTEGER NOT NULL, newest_at INTEGER NOT NULL,
      PRIMARY KEY (event, source)) WITHOUT ROWID`);
    sql.exec(`CREATE TABLE IF NOT EXISTS break (
      id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, source TEXT NOT NULL, expectation TEXT NOT NULL, field TEXT,
      expected REAL NOT NULL, actual REAL NOT NULL, since INTEGER NOT NULL, last INTEGER NOT NULL,
      good_hours INTEGER NOT NULL, ended INTEGER, because TEXT)`);
    sql.exec("CREATE INDEX IF NOT EXISTS open_break ON break (event, source) WHERE ended IS NULL");
    sql.exec(`CREATE TABLE IF NOT EXISTS judged (
      one INTEGER PRIMARY KEY CHECK (one = 1), hour INTEGER NOT NULL, left_events INTEGER NOT NULL)`);
    // Breaks that there was no room for, by the hour that says so.
    sql.exec("CREATE TABLE IF NOT EXISTS left_break (hour INTEGER PRIMARY KEY, breaks INTEGER NOT NULL)");
  }

  get judged(): { readonly hour: number; readonly leftEvents: number } | null {
    const [row] = this.#sql
      .exec<{ hour: number; left_events: number }>("SELECT hour, left_events FROM judged")
      .toArray();
    return row ? { hour: row.hour, leftEvents: row.left_events } : null;
  }

  /** What `newest`, the beginning of the last whole hour, leaves to be judged. */
  openHours(newest: number): number[] {
    const { judged } = this;
    const oldest = judged ? Math.max(judged.hour + HOUR_MS, newest - (HEALTH.openHours - 1) * HOUR_MS) : newest;
    return Array.from({ length: Math.max(0, (newest - oldest) / HOUR_MS + 1) }, (_, i) => oldest + i * HOUR_MS);
  }

  stored(eventName: string, hour: number): { readonly isFinal: boolean } | null {
    const [row] = this.#sql
      .exec<{ final: number }>("SELECT final FROM hour WHERE event = ? AND hour = ?", eventName, hour)
      .toArray();
    return row ? { isFinal: row.final === 1 } : null;
  }

  put(report: HourReport, isFinal: boolean): void {
    const { eventName, hour, ...rest } = report;
    const values = [eventName, hour, Number(isFinal), JSON.stringify(rest)];
    this.#sql.exec("INSERT OR REPLACE INTO hour VALUES (?, ?, ?, ?)", ...values);
    if (report.sources.length === 0 && report.unread === null) return;
    const newest = "INSERT INTO newest VALUES (?, ?) ON CONFLICT DO UPDATE SET hour = max(hour, excluded.hour)";
    this.#sql.exec(newest, eventName, hour);
  }

  /** @returns breaks that open, and those that end. */
  judge({ eventName, hour, sources, left, unread }: HourReport, expectations: Expectations): Break[] {
    // Nothing was counted: that is not the same as nothing having come.
    if (unread !== null && sources.length === 0) return [];
    const told: Break[] = [];
    const baselines = this.#baselines(eventName, hour);
    const known = new Map(this.#sources(eventName).map((row) => [row.source, row]));
    const came = new Map(sources.map((one) => [one.source, one]));
    // One that is not told of may be among those that there was no room for.
    const names = left > 0 ? came.keys() : new Set([...known.keys(), ...came.keys()]);
    for (const name of names) {
      const before = known.get(name);
      const one = came.get(name) ?? silent(name);
      const newestAt = Math.max(one.newestAt, before?.newest_at ?? 0);
      const firstHour = before?.first_hour ?? hour;
      this.#sql.exec("INSERT OR REPLACE INTO source VALUES (?, ?, ?, ?)", eventName, name, firstHour, newestAt);
      const judged = {
        ...{ hour, expectations, isFirst: firstHour === hour, source: { ...one, newestAt } },
        baseline: baselines.get(name) ?? { came: 0, failed: 0 },
      };
      const open = this.#openOf(eventName, name).map((row) => ({ ...breakOf(row), goodHours: row.good_hours }));
      for (const change of judge(judged, open)) {
        switch (change.kind) {
          case "opens": {
            const opened = this.#insert(eventName, name, hour, change.verdict);
            if (opened) told.push(opened);
            break;
          }
          case "goes on": {
            const { actual } = change.verdict;
            this.#sql.exec(
              "UPDATE break SET actual = ?, last = ?, good_hours = 0 WHERE id = ?",
              actual,
              hour,
              change.open.id,
            );
            break;
          }
          case "is good":
            this.#sql.exec("UPDATE break SET good_hours = ? WHERE id = ?", change.goodHours, change.open.id);
            break;
          case "ends":
            told.push(this.#end(change.open.id, hour, change.because));
        }
      }
    }
    return told;
  }

  /** @returns breaks that end because their source is not waited for any more. */
  finish(hour: number, leftEvents: number): Break[] {
    const { judged } = this;
    if (judged && judged.hour >= hour) return [];
    this.#sql.exec("INSERT OR REPLACE INTO judged VALUES (1, ?, ?)", hour, leftEvents);
    const oldest = hour - (HEALTH.keptHours - 1) * HOUR_MS;
    this.#sql.exec("DELETE FROM hour WHERE hour < ?", oldest);
    this.#sql.exec("DELETE FROM newest WHERE hour < ?", oldest);
    this.#sql.exec("DELETE FROM left_break WHERE hour < ?", hour);
    const gone = hour + HOUR_MS - HEALTH.sourceMs;
    const rows = this.#sql.exec<BreakRow>(
      `SELECT break.* FROM break LEFT JOIN source USING (event, source)
       WHERE ended IS NULL AND coalesce(newest_at, 0) < ?`,
      gone,
    );
    const ended = rows.toArray().map(({ id }) => this.#end(id, hour, "source_gone"));
    this.#sql.exec("DELETE FROM source WHERE newest_at < ?", gone);
    this.#sql.exec(
      `DELETE FROM break WHERE ended IS NOT NULL AND id NOT IN
       (SELECT id FROM break WHERE ended IS NOT NULL ORDER BY ended DESC, id DESC LIMIT ?)`,
      HEALTH.breaksKept,
    );
    return ended;
  }

  /** Of each event the newest that is kept and in which something came. */
  newestHours(limit: number): StoredHour[] {
    const rows = this.#sql.exec<HourRow & { event: string }>(
      "SELECT event, hour, final, report FROM newest JOIN hour USING (event, hour) ORDER BY event LIMIT ?",
      limit,
    );
    return rows.toArray().map((row) => storedOf(row.event, row));
  }

  hours(eventName: string): StoredHour[] {
    const rows = this.#sql.exec<HourRow>(
      "SELECT hour, final, report FROM hour WHERE event = ? ORDER BY hour DESC",
      eventName,
    );
    return rows.toArray().map((row) => storedOf(eventName, row));
  }

  /** The newest first. */
  breaks(eventName: string, limit: number): Break[] {
    return this.#sql
      .exec<BreakRow>("SELECT * FROM break WHERE event = ? ORDER BY id DESC LIMIT ?", eventName, limit)
      .toArray()
      .map(breakOf);
  }

  openBreaks(limit: number): Break[] {
    return this.#sql
      .exec<BreakRow>("SELECT * FROM break WHERE ended IS NULL ORDER BY id DESC LIMIT ?", limit)
      .toArray()
      .map(breakOf);
  }

  get open(): number {
    return this.#sql.exec<{ n: number }>("SELECT count(*) AS n FROM break WHERE ended IS NULL").one().n;
  }

  get leftBreaks(): number {
    return this.#sql.exec<{ n: number | null }>("SELECT sum(breaks) AS n FROM left_break").one().n ?? 0;
  }

  #sources(eventName: string): SourceRow[] {
    return this.#sql
      .exec<SourceRow>("SELECT source, first_hour, newest_at FROM source WHERE event = ?", eventName)
      .toArray();
  }

  #baselines(eventName: string, hour: number): Map<string, Baseline> {
    const rows = this.#sql.exec<HourRow>(
      "SELECT hour, final, report FROM hour WHERE event = ? AND final = 1 AND hour >= ? AND hour < ?",
      eventName,
      hour - HEALTH.baselineHours * HOUR_MS,
      hour,
    );
    const sums = new Map<string, Baseline>();
    for (const row of rows) {
      for (const one of storedOf(eventName, row).sources) {
        const { came, failed } = sums.get(one.source) ?? { came: 0, failed: 0 };
        sums.set(one.source, { came: came + cameOf(one), failed: failed + failedOf(one) });
      }
    }
    return sums;
  }

  #openOf(eventName: string, source: string): BreakRow[] {
    return this.#sql
      .exec<BreakRow>("SELECT * FROM break WHERE event = ? AND source = ? AND ended IS NULL", eventName, source)
      .toArray();
  }

  #insert(
    eventName: string,
    source: string,
    hour: number,
    { expectation, field, expected, actual }: Pick<Break, "expectation" | "field" | "expected" | "actual">,
  ): Break | null {
    if (this.open >= HEALTH.breaksOpen) {
      this.#sql.exec("INSERT INTO left_break VALUES (?, 1) ON CONFLICT DO UPDATE SET breaks = breaks + 1", hour);
      return null;
    }
    const row = this.#sql
      .exec<BreakRow>(
        `INSERT INTO break (event, source, expectation, field, expected, actual, since, last, good_hours)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0) RETURNING *`,
        ...[eventName, source, expectation, field, expected, actual, hour, hour],
      )
      .one();
    return breakOf(row);
  }

  #end(id: number, hour: number, because: EndReason): Break {
    const query = "UPDATE break SET ended = ?, because = ? WHERE id = ? RETURNING *";
    return breakOf(this.#sql.exec<BreakRow>(query, hour, because, id).one());
  }
}

const silent = (source: string): SourceHour => ({
  ...{ source, events: 0, quarantined: 0, offContract: 0, newestAt: 0, skewMinutes: 0 },
  present: null,
});

const storedOf = (eventName: string, { hour, final, report }: HourRow): StoredHour => ({
  ...(JSON.parse(report) as Omit<HourReport, "eventName" | "hour">),
  eventName,
  hour,
  isFinal: final === 1,
});

const breakOf = ({ event, good_hours: _, ended, because, ...row }: BreakRow): Break => ({
  ...row,
  eventName: event,
  ended: ended === null ? null : { hour: ended, because: because! },
});
