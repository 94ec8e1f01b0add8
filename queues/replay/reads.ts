/**
 * How far a job has read a part of one shard's log. A step's cut is decided and saved before the step is applied, so that
 * after a crash the step of the same number comes with the same segments, and a target that counts steps can skip it:
 *
 *     save (pending 7: 40 -> 52)     crash: nothing was applied, step 7 is made again, 40 -> 52
 *     apply step 7                   crash: step 7 is made again, the target has it already
 *     save (pending 8: 52 -> 60)     which says that step 7 is done
 *
 * Pure: the driver changes a copy and saves it.
 */
import { REPLAY } from "../../r2-layout/limits.ts";
import type { ReplayRead } from "./target.ts";

/** Where the rows of a cut come from. */
export type RowOrigin = "log" | "lake";

export interface Cut {
  readonly step: number;
  /** Inclusive. */
  readonly to: number;
  readonly origin: RowOrigin;
}

export interface ReadState extends ReplayRead {
  /** Where the read began; `after` moves. */
  readonly start: number;
  readonly pending: Cut | null;
  /** The last step of a read ends at `to`, and comes even where it has no rows: then this is true. */
  readonly done: boolean;
}

export const beginRead = (read: ReplayRead): ReadState => ({ ...read, start: read.after, pending: null, done: false });

export const withCut = (read: ReadState, to: number, origin: RowOrigin): ReadState => ({
  ...read,
  pending: { step: read.steps + 1, to: Math.min(to, read.to), origin },
});

/** Parts of a log that hold these segments, those that lie between near ones among them. @param seqs in order */
export function joinedSeqs(seqs: readonly number[]): { readonly after: number; readonly to: number }[] {
  const parts: { after: number; to: number }[] = [];
  for (const seq of seqs) {
    const last = parts.at(-1);
    if (last && seq - last.to <= REPLAY.readAlong) last.to = seq;
    else parts.push({ after: seq - 1, to: seq });
  }
  return parts;
}

/** @throws RangeError where no step is pending. */
export function stepDone(read: ReadState): ReadState {
  const { pending } = read;
  if (!pending) throw new RangeError(`shard ${read.shard} has no step pending`);
  return { ...read, after: pending.to, steps: pending.step, pending: null, done: pending.to >= read.to };
}
