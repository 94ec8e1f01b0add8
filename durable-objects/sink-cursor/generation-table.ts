/**
 * Which build of its store a cursor feeds, and where the others stand. A switch is one transaction: the cursor leaves the
 * live generation with what it has applied there, and goes on in another one from that one's place.
 *
 * What has been applied is a count of lines up to a place in the log, so it belongs to the place: a generation that comes
 * back takes its own counts along, and a new one is given the lines that the log has up to its cursor, of which the holes
 * that it stands above are no part. So applied + holes = what the cursor has met, before a switch and after it.
 *
 *     a drain that runs while the switch comes    its token is not the newest any more: what it wrote stays in the
 *                                                 generation that it leased, the cursor does not move, it stops
 *     the switch comes twice                      the second finds the generation live and changes nothing
 *     it comes late, after one that undid it      refused: the later one has left its number (build-table.ts)
 *     the new one stands behind                   the drains read the log again from there; who keeps a last seq skips nothing of it
 *     one comes back, and holes were made below   refused: what it has there would come once more with their redrives
 *     where it stood
 *     the new one stands ahead, over a hole that  the hole was decided for the other generation and never passed: it is
 *     was decided and not passed                  forgotten, for the build has applied these lines; one that came back is the
 *                                                 build's, too: it has left them to the redrive
 *     that one is left and comes back             the hole is decided again: what is there may have been written without it
 *     one is left with holes passed, for another  they are ahead of that one, and are left out there, too; when the first comes
 *     that stands below them, and comes back      back, they are still its own
 */
import type { GenerationPlace, Hole } from "./api.ts";

/** What passed under a cursor, as its row counts it. */
export type PassedCounts = {
  events: number;
  quarantined: number;
  skipped_events: number;
  skipped_quarantined: number;
  retracted: number;
};

/** What a generation left behind, as JSON. */
interface Left {
  readonly counts: PassedCounts;
  /** Of the holes at or below its cursor. Were others made there meanwhile, its counts would not be true any more. */
  readonly holes: Pick<PassedCounts, "events" | "quarantined">;
  /** Holes that were decided and not passed; absent: none. */
  readonly ahead?: readonly Hole[];
  /** Those that were passed and that the generation which came after had ahead of it: their seqs; absent: none. */
  readonly passed?: readonly number[];
}

type GenerationRow = { generation: number; live: number; cursor: number; passed: string };

export class GenerationTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS sink_generation (
      shard INTEGER NOT NULL,
      generation INTEGER NOT NULL,
      live INTEGER NOT NULL,
      cursor INTEGER NOT NULL,
      passed TEXT NOT NULL,
      PRIMARY KEY (shard, generation)) WITHOUT ROWID`);
  }

  /** 0, the first, where there was no switch. */
  live(shard: number): number {
    return this.#rows(shard).find(({ live }) => live === 1)?.generation ?? 0;
  }

  /** Where the generations that are not live stood when they were left. */
  left(shard: number): GenerationPlace[] {
    return this.#rows(shard).flatMap(({ live, generation, cursor }) => (live ? [] : [{ generation, cursor }]));
  }

  /** What had passed when a generation was left at this cursor; null where it was not. */
  leftAt(shard: number, generation: number, cursor: number): Left | null {
    const row = this.#rows(shard).find((one) => one.generation === generation);
    return row?.cursor === cursor ? (JSON.parse(row.passed) as Left) : null;
  }

  /** @param left where the live generation stands now, and what has passed under it */
  switch(shard: number, generation: number, { cursor, ...left }: { cursor: number } & Left): void {
    const row = "INSERT OR REPLACE INTO sink_generation VALUES (?, ?, ?, ?, ?)";
    this.#sql.exec(row, shard, this.live(shard), 0, cursor, JSON.stringify(left));
    // Where the live one stands is said by the cursor's own row.
    this.#sql.exec(row, shard, generation, 1, 0, "{}");
  }

  #rows(shard: number): GenerationRow[] {
    return this.#sql.exec<GenerationRow>("SELECT * FROM sink_generation WHERE shard = ?", shard).toArray();
  }
}
