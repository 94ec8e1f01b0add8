/**
 * What changed in final minutes, by how much and why: written in the transaction that changes them (promise 8).
 *
 * A row holds many records. Late events come with nearly every batch of a live system (phones that were offline), so those of one
 * minute of the object's clock share a row, one record for each minute that they changed: 1,440 rows a day at most. A batch that changes
 * more minutes than a row holds (an import of last year) is recorded by the hour, or by the day.
 */
import { MINUTE_MS, ROLLUP } from "../../r2-layout/limits.ts";
import { GRAINS, type MicroUnits, type MinuteChange, OTHER_VALUES, type PlacedChange } from "./api.ts";
import { GRAIN_MS, grainStart } from "./grains.ts";

/** One thing that changed. */
export type Changed = Pick<MinuteChange, "minute" | "version" | "events" | "revenue" | "grain">;
export type Reason = Pick<MinuteChange, "reason" | "job">;

type JsonChange = [minute: number, grain: number, version: number, events: number, revenue: [string, string][]];
type ChangeRow = { id: number; at: number; reason: MinuteChange["reason"]; job: string | null; records: string };

export class ChangeLog {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    // first (inclusive) and last (exclusive): what its records cover, so that a question leaves out what it does not ask for.
    sql.exec(`CREATE TABLE IF NOT EXISTS changes (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, reason TEXT NOT NULL,
      job TEXT, first INTEGER NOT NULL, last INTEGER NOT NULL, records TEXT NOT NULL)`);
  }

  /** To be called in the transaction that makes the changes. @param now milliseconds */
  record(changed: readonly Changed[], { reason, job }: Reason, now: number): void {
    if (changed.length === 0) return;
    const newest = this.#newest();
    // Times never fall, whatever the clock does: they are the order in which pages are read.
    const at = Math.max(now, newest?.at ?? 0);
    let records = coarser(joined(changed));
    if (newest && reason === "late" && newest.reason === "late" && sameMinute(newest.at, at)) {
      const together = joined([...decode(newest.records), ...records]);
      if (together.length <= ROLLUP.changesPerRow) {
        this.#write(newest.id, at, { reason, job }, together);
        return;
      }
    }
    for (let id = (newest?.id ?? 0) + 1; records.length > 0; id++) {
      this.#write(id, at, { reason, job }, records.slice(0, ROLLUP.changesPerRow));
      records = records.slice(ROLLUP.changesPerRow);
    }
  }

  /** As in MinuteRebuildApi. */
  read(
    from: number,
    to: number,
    limit: number,
    before = { at: Number.MAX_SAFE_INTEGER, id: Number.MAX_SAFE_INTEGER },
  ): PlacedChange[] {
    const found: PlacedChange[] = [];
    const rows = this.#sql.exec<ChangeRow>(
      `SELECT id, at, reason, job, records FROM changes
         WHERE at <= ? AND first < ? AND last > ? ORDER BY id DESC`,
      before.at,
      to,
      from,
    );
    for (const { id, at, reason, job, records } of rows) {
      const changed = decode(records);
      for (let i = changed.length - 1; i >= 0; i--) {
        const one = changed[i]!;
        const place = id * PLACES_PER_ROW + i;
        const isBefore = at < before.at || place < before.id;
        if (!isBefore || one.minute >= to || endOf(one) <= from) continue;
        found.push({ ...one, at, reason, job, id: place });
        if (found.length === limit) return found;
      }
    }
    return found;
  }

  /** Rows of a job and of its windows (`<job>-w<n>`). @returns how many there were; with `isTaken` they are gone */
  ofJob(job: string, isTaken: boolean): number {
    const of = "job = ? OR substr(job, 1, length(?)) = ?";
    const windows = `${job}-w`;
    const { n } = this.#sql
      .exec<{ n: number }>(`SELECT count(*) AS n FROM changes WHERE ${of}`, job, windows, windows)
      .one();
    if (isTaken && n > 0) this.#sql.exec(`DELETE FROM changes WHERE ${of}`, job, windows, windows);
    return n;
  }

  /** Drops what is too old, and what is too much. */
  sweep(now: number): void {
    const newest = this.#newest()?.id ?? 0;
    const [kept] = this.#sql
      .exec<{ id: number }>("SELECT id FROM changes WHERE at >= ? ORDER BY id LIMIT 1", now - ROLLUP.changesKeptMs)
      .toArray();
    const firstKept = Math.max(newest - ROLLUP.changeRows + 1, kept?.id ?? newest + 1);
    this.#sql.exec("DELETE FROM changes WHERE id < ?", firstKept);
  }

  #newest(): ChangeRow | undefined {
    return this.#sql
      .exec<ChangeRow>("SELECT id, at, reason, job, records FROM changes ORDER BY id DESC LIMIT 1")
      .toArray()[0];
  }

  #write(id: number, at: number, { reason, job }: Reason, records: readonly Changed[]): void {
    let first = Number.POSITIVE_INFINITY;
    let last = Number.NEGATIVE_INFINITY;
    for (const one of records) {
      first = Math.min(first, one.minute);
      last = Math.max(last, endOf(one));
    }
    this.#sql.exec(
      "INSERT OR REPLACE INTO changes (id, at, reason, job, first, last, records) VALUES (?, ?, ?, ?, ?, ?, ?)",
      ...[id, at, reason, job, first, last, encode(records)],
    );
  }
}

/** Records of a row are numbered within it. */
const PLACES_PER_ROW = 2 ** Math.ceil(Math.log2(ROLLUP.changesPerRow));

const endOf = ({ minute, grain }: Changed): number => minute + GRAIN_MS[grain];

const sameMinute = (one: number, other: number): boolean =>
  Math.floor(one / MINUTE_MS) === Math.floor(other / MINUTE_MS);

/** One record for each minute, hour or day, oldest first: its newest version, the sums of what it gained. */
function joined(changed: readonly Changed[]): Changed[] {
  const known = new Map<string, Changed>();
  for (const one of changed) {
    const key = `${one.grain}${one.minute}`;
    const before = known.get(key);
    known.set(
      key,
      before
        ? {
            ...one,
            version: Math.max(one.version, before.version),
            events: one.events + before.events,
            revenue: boundedRevenue([...before.revenue, ...one.revenue]),
          }
        : { ...one, revenue: boundedRevenue(one.revenue) },
    );
  }
  return [...known.values()].sort((one, other) => one.minute - other.minute);
}

/** As many records as a row holds, if hours or days instead of minutes make it so. */
function coarser(changed: Changed[]): Changed[] {
  let records = changed;
  for (const grain of ["hour", "day"] as const) {
    if (records.length <= ROLLUP.changesPerRow) break;
    records = joined(
      records.map((one) => ({ ...one, minute: grainStart(grain, one.minute), grain: coarse(one, grain) })),
    );
  }
  return records;
}

const coarse = (one: Changed, grain: "hour" | "day") => (GRAIN_MS[one.grain] > GRAIN_MS[grain] ? one.grain : grain);

function boundedRevenue(revenue: MinuteChange["revenue"]): [string, MicroUnits][] {
  const sums = new Map<string, MicroUnits>();
  for (const [currency, micro] of revenue) {
    const named = sums.has(currency) || sums.size < ROLLUP.changeCurrencies ? currency : OTHER_VALUES;
    sums.set(named, (sums.get(named) ?? 0n) + micro);
  }
  return [...sums].filter(([, micro]) => micro !== 0n);
}

const encode = (records: readonly Changed[]): string =>
  JSON.stringify(
    records.map(
      ({ minute, grain, version, events, revenue }): JsonChange => [
        minute,
        GRAINS.indexOf(grain),
        version,
        events,
        revenue.map(([currency, micro]) => [currency, String(micro)]),
      ],
    ),
  );

const decode = (text: string): Changed[] =>
  (JSON.parse(text) as JsonChange[]).map(([minute, grain, version, events, revenue]) => ({
    minute,
    grain: GRAINS[grain]!,
    version,
    events,
    revenue: revenue.map(([currency, micro]) => [currency, BigInt(micro)]),
  }));
