/**
 * What the sockets were last told, in one row: it lets a hub that was evicted go on where it was. A restored minute that
 * looks as it did when it was sent is not sent again, one that changed while nobody remembered is.
 */

interface SentState {
  seq: number;
  /** Largest number of shards that any publish has named. */
  shards: number;
}

export class SentFrames {
  readonly #sql: SqlStorage;
  readonly #state: SentState;
  readonly #signatures: Map<number, string>;

  constructor(sql: SqlStorage, shards: number) {
    this.#sql = sql;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS sent (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, shards INTEGER NOT NULL, minutes TEXT NOT NULL)",
    );
    const [row] = sql
      .exec<{ seq: number; shards: number; minutes: string }>("SELECT seq, shards, minutes FROM sent")
      .toArray();
    this.#state = { seq: row?.seq ?? 0, shards: Math.max(shards, row?.shards ?? 1) };
    this.#signatures = new Map(row ? (JSON.parse(row.minutes) as [number, string][]) : []);
  }

  get seq(): number {
    return this.#state.seq;
  }

  get shards(): number {
    return this.#state.shards;
  }

  set shards(shards: number) {
    this.#state.shards = shards;
  }

  /** Starts of the minutes that sockets have been told. */
  minutes(): number[] {
    return [...this.#signatures.keys()];
  }

  /** Numbers a frame of this minute, or null where the sockets have it already. Call `save` when done. */
  next(minute: number, signature: string): number | null {
    if (this.#signatures.get(minute) === signature) return null;
    this.#signatures.set(minute, signature);
    return ++this.#state.seq;
  }

  /** The sockets have been told all of this at once, by a snapshot. */
  replace(signatures: Iterable<readonly [minute: number, signature: string]>): void {
    this.#signatures.clear();
    for (const [minute, signature] of signatures) this.#signatures.set(minute, signature);
  }

  /** One row. @param from minutes before it are forgotten */
  save(from: number): void {
    for (const minute of this.#signatures.keys()) if (minute < from) this.#signatures.delete(minute);
    this.#sql.exec(
      "INSERT OR REPLACE INTO sent (id, seq, shards, minutes) VALUES (1, ?, ?, ?)",
      this.#state.seq,
      this.#state.shards,
      JSON.stringify([...this.#signatures]),
    );
  }
}
