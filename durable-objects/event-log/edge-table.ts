/**
 * The state of every edge instance that sends to this shard, without a row for every message: a commit's row keeps what
 * its messages said, and only when those rows become a run are the states that changed written, a row an instance. So
 * the truth is the rows of this table plus the notes of the commits since.
 */
import type { EdgeState, GapChange, SentMessage } from "./edge-gaps.ts";
import { arrive } from "./edge-gaps.ts";

type Note = readonly (readonly [
  edge: string,
  n: number,
  events: number,
  before: number,
  ...voided: (readonly [n: number, events: number])[],
])[];

type EdgeRow = { n: number; sent: number; missing: string };

export type EdgeMessage = SentMessage & { readonly edge: string };

export class EdgeTable {
  readonly #sql: SqlStorage;
  readonly #notes: () => readonly string[];
  /** States that changed since they were written. A cache; null until the notes are read. */
  #changed: Map<string, EdgeState> | null = null;

  /** @param notes of the commits since the last `write`, oldest first. */
  constructor(sql: SqlStorage, notes: () => readonly string[]) {
    this.#sql = sql;
    this.#notes = notes;
    sql.exec(`CREATE TABLE IF NOT EXISTS edges (
      edge TEXT PRIMARY KEY, n INTEGER NOT NULL, sent INTEGER NOT NULL, missing TEXT NOT NULL, at INTEGER NOT NULL
    ) WITHOUT ROWID`);
  }

  /** Takes messages in. The caller keeps the note in the transaction that holds them, and calls `forget` if it fails. */
  arrive(messages: readonly EdgeMessage[]): { change: GapChange; note: string } {
    const changed = this.#read();
    let accepted = 0;
    let gaps = 0;
    for (const message of messages) {
      const { state, change } = arrive(this.#state(changed, message.edge), message);
      changed.set(message.edge, state);
      accepted += change.accepted;
      gaps += change.gaps;
    }
    const note: Note = messages.map(({ edge, n, events, before, void: voided }) => [
      edge,
      n,
      events,
      before,
      ...voided,
    ]);
    return { change: { accepted, gaps }, note: JSON.stringify(note) };
  }

  /** Writes what changed; from then on the notes are not needed. To be called in a transaction. */
  write(nowMs: number, forgetBeforeMs: number): void {
    for (const [edge, { n, sent, missing }] of this.#read()) {
      this.#sql.exec(
        "INSERT OR REPLACE INTO edges VALUES (?, ?, ?, ?, ?)",
        edge,
        n,
        sent,
        JSON.stringify(missing),
        nowMs,
      );
    }
    this.#sql.exec("DELETE FROM edges WHERE at < ?", forgetBeforeMs);
    this.#changed = null;
  }

  forget(): void {
    this.#changed = null;
  }

  #read(): Map<string, EdgeState> {
    if (this.#changed) return this.#changed;
    const changed = new Map<string, EdgeState>();
    for (const text of this.#notes()) {
      for (const [edge, n, events, before, ...voided] of JSON.parse(text) as Note) {
        changed.set(edge, arrive(this.#state(changed, edge), { n, events, before, void: voided }).state);
      }
    }
    this.#changed = changed;
    return changed;
  }

  #state(changed: Map<string, EdgeState>, edge: string): EdgeState | undefined {
    const known = changed.get(edge);
    if (known) return known;
    const row = this.#sql.exec<EdgeRow>("SELECT n, sent, missing FROM edges WHERE edge = ?", edge).toArray()[0];
    return row && { n: row.n, sent: row.sent, missing: JSON.parse(row.missing) as [number, number][] };
  }
}
