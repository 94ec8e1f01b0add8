/**
 * What the sockets were last told, in one row: it lets a hub that was evicted go on where it was. A restored minute that
 * looks as it did when it was sent keeps its number and is not sent again, one that changed while nobody remembered is.
 *
 * Numbers begin at the microsecond of a hub's first frame, so that a hub that has lost its storage goes on above all that the lost
 * one can have given, and knows by a number whether it is one of its own.
 */
import { addColumns } from "../add-columns.ts";

/** @param seq of the frame that told it. */
export interface SentMinute {
  readonly signature: string;
  readonly seq: number;
}

type SentRow = { seq: number; shards: number; base: number; minutes: string };

export class SentFrames {
  readonly #sql: SqlStorage;
  readonly #minutes: Map<number, SentMinute>;
  /** The number before its first. */
  readonly base: number;
  /** Largest number of shards that any publish has named. */
  shards: number;
  #seq: number;
  #isSaved: boolean;

  constructor(sql: SqlStorage, shards: number, clock: () => number = Date.now) {
    this.#sql = sql;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS sent (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, shards INTEGER NOT NULL, minutes TEXT NOT NULL)",
    );
    addColumns(sql, "sent", { base: "INTEGER NOT NULL DEFAULT 0" });
    const [row] = sql.exec<SentRow>("SELECT seq, shards, base, minutes FROM sent").toArray();
    this.base = row?.base ?? clock() * 1_000;
    this.#seq = row?.seq ?? this.base;
    this.shards = Math.max(shards, row?.shards ?? 1);
    this.#isSaved = row !== undefined;
    // The previous version kept no number with a minute: that of the newest frame is not below it.
    const minutes = row ? (JSON.parse(row.minutes) as [number, string, number?][]) : [];
    this.#minutes = new Map(minutes.map(([start, signature, seq = this.#seq]) => [start, { signature, seq }]));
  }

  /** Of the newest frame. */
  get seq(): number {
    return this.#seq;
  }

  /** Whether what was told is remembered: nothing may be told with a number that is not. */
  get isSaved(): boolean {
    return this.#isSaved;
  }

  /** The next number. Call `save` when done. */
  next(): number {
    this.#isSaved = false;
    return ++this.#seq;
  }

  /** Starts of the minutes that sockets have been told. */
  starts(): number[] {
    return [...this.#minutes.keys()];
  }

  minute(start: number): SentMinute | undefined {
    return this.#minutes.get(start);
  }

  /** Numbers a state of a minute: as it was, where it looks as it did. Call `save` when done. */
  tell(start: number, signature: string): { readonly seq: number; readonly isNew: boolean } {
    const known = this.#minutes.get(start);
    if (known?.signature === signature) return { seq: known.seq, isNew: false };
    const seq = this.next();
    this.#minutes.set(start, { signature, seq });
    return { seq, isNew: true };
  }

  /** One row. @param from minutes before it are forgotten */
  save(from: number): void {
    for (const start of this.#minutes.keys()) if (start < from) this.#minutes.delete(start);
    this.#sql.exec(
      "INSERT OR REPLACE INTO sent (id, seq, shards, base, minutes) VALUES (1, ?, ?, ?, ?)",
      this.#seq,
      this.shards,
      this.base,
      JSON.stringify(Array.from(this.#minutes, ([start, { signature, seq }]) => [start, signature, seq])),
    );
    this.#isSaved = true;
  }
}
