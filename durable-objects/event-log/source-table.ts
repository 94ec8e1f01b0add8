/**
 * Counts of each source's events, without a row for every commit: what a commit adds stands in its note, and only when the
 * commits become a run are the sources that changed written, a row each. At most `LOG.sources` of them.
 */
import { LOG } from "../../r2-layout/limits.ts";
import type { CommittedMessage, SourceCounts } from "./api.ts";

/** What one commit adds to a source. */
export type SourceNote = readonly [source: string, events: number, duplicates: number, late: number, skewed: number];

type Counts = { -readonly [K in keyof SourceCounts]: SourceCounts[K] };

const OTHER = "(other)";

export class SourceTable {
  readonly #sql: SqlStorage;
  /** A cache of the rows and the notes since. */
  readonly #counts = new Map<string, Counts>();
  readonly #changed = new Set<string>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS sources (
      source TEXT PRIMARY KEY, events INTEGER NOT NULL, duplicates INTEGER NOT NULL, late INTEGER NOT NULL,
      clock_skewed INTEGER NOT NULL) WITHOUT ROWID`);
  }

  /** Reads the rows again; the notes of the commits since are to follow. */
  load(): void {
    this.#counts.clear();
    this.#changed.clear();
    for (const row of this.#sql.exec<Counts>("SELECT * FROM sources")) this.#counts.set(row.source, row);
  }

  replay(notes: readonly SourceNote[]): void {
    for (const note of notes) this.#add(note);
  }

  /** Counts messages. The caller keeps the notes in the transaction that holds them. */
  arrive(messages: readonly CommittedMessage[]): SourceNote[] {
    const notes = Array.from(
      Map.groupBy(messages, ({ source }) => source),
      ([source, some]): SourceNote => {
        const sum = (of: (message: CommittedMessage) => number) =>
          some.reduce((total, message) => total + of(message), 0);
        return [
          source,
          sum((message) => (message.movedIn ? 0 : message.events)), // Its home has counted it.
          sum(({ duplicates }) => duplicates),
          sum(({ late = 0 }) => late),
          sum(({ clockSkewed = 0 }) => clockSkewed),
        ];
      },
    );
    this.replay(notes);
    return notes;
  }

  /** Writes what changed; from then on the notes are not needed. To be called in a transaction. */
  write(): void {
    for (const source of this.#changed) {
      const { events, duplicates, late, clock_skewed } = this.#counts.get(source)!;
      this.#sql.exec(
        "INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?, ?)",
        source,
        events,
        duplicates,
        late,
        clock_skewed,
      );
    }
    this.#changed.clear();
  }

  /** Those with the most events first. */
  all(): SourceCounts[] {
    return Array.from(this.#counts.values(), (counts) => ({ ...counts })).sort(
      (a, b) => b.events - a.events || (a.source < b.source ? -1 : 1),
    );
  }

  #add([given, events, duplicates, late, skewed]: SourceNote): void {
    const source = this.#counts.has(given) || this.#counts.size < LOG.sources ? given : OTHER;
    const counts = this.#counts.get(source) ?? { source, events: 0, duplicates: 0, late: 0, clock_skewed: 0 };
    counts.events += events;
    counts.duplicates += duplicates;
    counts.late += late;
    counts.clock_skewed += skewed;
    this.#counts.set(source, counts);
    this.#changed.add(source);
  }
}
