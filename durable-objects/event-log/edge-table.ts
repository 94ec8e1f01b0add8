/**
 * The state of every edge instance that sends to this shard, without a row for every message: a commit's row keeps what
 * its messages said, and only when those rows become a run are the states that changed written, a row an instance. So
 * the truth is the rows of this table plus the notes of the commits since.
 */
import type { EdgeState, GapChange, SentMessage } from "./edge-gaps.ts";
import { arrive, oldestGapAt, owedBetween } from "./edge-gaps.ts";

/** What one message said. */
export type EdgeNote = readonly [
  edge: string,
  n: number,
  events: number,
  before: number,
  ...voided: (readonly [n: number, events: number])[],
];

type EdgeRow = { edge: string; n: number; sent: number; missing: string; at: number };

export type EdgeMessage = SentMessage & { readonly edge: string };

export class EdgeTable {
  readonly #sql: SqlStorage;
  /** States that changed since they were written. A cache of the notes. */
  readonly #changed = new Map<string, EdgeState>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS edges (
      edge TEXT PRIMARY KEY, n INTEGER NOT NULL, sent INTEGER NOT NULL, missing TEXT NOT NULL, at INTEGER NOT NULL
    ) WITHOUT ROWID`);
    // Partial: instances that owe something are few.
    sql.exec("CREATE INDEX IF NOT EXISTS owing_edges ON edges (edge) WHERE missing <> '[]'");
  }

  /** Forgets what is in memory; the notes of the commits since the last `write` are to follow, oldest first. */
  load(): void {
    this.#changed.clear();
  }

  replay(notes: readonly EdgeNote[], atMs: number): void {
    for (const [edge, n, events, before, ...voided] of notes) {
      this.#changed.set(edge, arrive(this.#state(edge), { n, events, before, void: voided }, atMs).state);
    }
  }

  /** Takes messages in. The caller keeps the notes in the transaction that holds them. */
  arrive(messages: readonly EdgeMessage[], atMs: number): { change: GapChange; notes: EdgeNote[] } {
    let accepted = 0;
    let gaps = 0;
    const notes = messages.map((message): EdgeNote => {
      const { state, change } = arrive(this.#state(message.edge), message, atMs);
      this.#changed.set(message.edge, state);
      accepted += change.accepted;
      gaps += change.gaps;
      return [message.edge, message.n, message.events, message.before, ...message.void];
    });
    return { change: { accepted, gaps }, notes };
  }

  /** Writes what changed; from then on the notes are not needed. To be called in a transaction. */
  write(nowMs: number, forgetBeforeMs: number): void {
    for (const [edge, { n, sent, missing }] of this.#changed) {
      this.#sql.exec(
        "INSERT OR REPLACE INTO edges VALUES (?, ?, ?, ?, ?)",
        edge,
        n,
        sent,
        JSON.stringify(missing),
        nowMs,
      );
    }
    // Who owes something is kept: without its row the gap would stay and its age be unknown.
    this.#sql.exec("DELETE FROM edges WHERE at < ? AND missing = '[]'", forgetBeforeMs);
    this.#changed.clear();
  }

  /** Milliseconds since when the oldest gap is known, null without one. */
  oldestGapAt(): number | null {
    let oldest: number | null = null;
    for (const state of this.#owing()) {
      const at = oldestGapAt(state);
      if (at !== null && (oldest === null || at < oldest)) oldest = at;
    }
    return oldest;
  }

  /** Messages owed that became known to be missing in from..to, milliseconds, the ends among them. */
  owedBetween(fromMs: number, toMs: number): number {
    let owed = 0;
    for (const state of this.#owing()) owed += owedBetween(state, fromMs, toMs);
    return owed;
  }

  /** States that may owe something. */
  *#owing(): Generator<EdgeState> {
    yield* this.#changed.values();
    for (const row of this.#sql.exec<EdgeRow>("SELECT * FROM edges WHERE missing <> '[]'")) {
      if (!this.#changed.has(row.edge)) yield stateOf(row);
    }
  }

  #state(edge: string): EdgeState | undefined {
    const known = this.#changed.get(edge);
    if (known) return known;
    const row = this.#sql.exec<EdgeRow>("SELECT * FROM edges WHERE edge = ?", edge).toArray()[0];
    return row && stateOf(row);
  }
}

/** Ranges written before they had a time are as old as their row at least. */
function stateOf({ n, sent, missing, at }: EdgeRow): EdgeState {
  const ranges = JSON.parse(missing) as (readonly [from: number, to: number, sinceMs?: number])[];
  return { n, sent, missing: ranges.map(([from, to, since]) => [from, to, since ?? at]) };
}
