/**
 * What the last batches added, in memory: so long a count can be told as it was some batches ago, where the lake still is. Live traffic
 * changes today's row with every batch, and late events those of yesterday; without this, such a row would be of no use until
 * the lake has caught up. An eviction forgets it, and then the answer is the engine's.
 */
import { ROLLUP } from "../../r2-layout/limits.ts";
import { DIMENSIONS, type MinuteDelta, type RollupBatch } from "./api.ts";

/** What counts are made of. */
export type AddedMinute = Pick<MinuteDelta, "minute" | "events" | "by">;

interface RecentBatch {
  /** The seq that it came after. */
  readonly after: number;
  readonly minutes: readonly AddedMinute[];
  readonly values: number;
}

export class RecentBatches {
  /** Oldest first, without a gap. */
  #batches: RecentBatch[] = [];
  #values = 0;

  /** One that was just applied. */
  add({ from, minutes }: Pick<RollupBatch, "from" | "minutes">): void {
    const values = minutes.reduce((sum, minute) => sum + valuesOf(minute), 1);
    const added = minutes.map(({ minute, events, by }) => ({ minute, events, by }));
    this.#batches.push({ after: from - 1, minutes: added, values });
    this.#values += values;
    while (this.#batches.length > ROLLUP.recentBatches || this.#values > ROLLUP.recentValues) {
      this.#values -= this.#batches.shift()!.values;
    }
  }

  /** Rows were exchanged, or a transaction rolled back: what was added to them is no longer what they have of it. */
  forget(): void {
    this.#batches = [];
    this.#values = 0;
  }

  /** What was added after this seq, up to the object's own place; null where no batch ended there, or it was forgotten. */
  since(seq: number): AddedMinute[] | null {
    const first = this.#batches.findIndex(({ after }) => after === seq);
    return first < 0 ? null : this.#batches.slice(first).flatMap(({ minutes }) => minutes);
  }
}

const valuesOf = ({ by }: AddedMinute): number => DIMENSIONS.reduce((sum, dimension) => sum + by[dimension].length, 1);
