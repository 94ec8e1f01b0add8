/** Reads on in each of a job's parts, step by step, as long as the slice lasts. */
import type { SinkName } from "../../durable-objects/sink-cursor/api.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { Damage, LeftOutPart } from "../read-segment.ts";
import { type ReadState, stepDone, withCut } from "./reads.ts";
import type { Slice } from "./slice.ts";
import type { RowSource } from "./source.ts";
import type { More, ReplayStep } from "./target.ts";

export interface Walk {
  readonly sink: SinkName;
  readonly maxEvents: number;
  /** Makes the effect. "more": the invocation's calls are used up, the same step comes again in another. */
  apply(step: ReplayStep): Promise<unknown | More>;
  /** As of `RowSource.rows`. */
  onDamage?(shard: number, damage: Damage): Promise<LeftOutPart>;
  /** Saves where the reads stand, before each effect. */
  save(reads: readonly ReadState[]): Promise<void>;
}

/**
 * A walk that finds all of it read saves nothing: what is saved counts as progress, and a job of several walks, the last of
 * which fails, would never come to the end of its attempts.
 * @returns the reads as they stand then, saved; `done` once all are
 */
export async function walkReads(
  slice: Slice,
  source: RowSource,
  given: readonly ReadState[],
  walk: Walk,
): Promise<{ reads: readonly ReadState[]; done: boolean }> {
  const reads = [...given];
  let moved = false;
  for (let i = 0; i < reads.length; i++) {
    while (!reads[i]!.done) {
      if (slice.over) {
        await walk.save(reads);
        return { reads, done: false };
      }
      const read = await withPending(reads, i, source, walk);
      const { to, origin } = read.pending!;
      const onDamage = walk.onDamage && ((damage: Damage) => walk.onDamage!(read.shard, damage));
      const rows = await source.rows(read, to, origin, walk.sink, onDamage);
      const events = read.window ? rows.events.filter(within(read.window)) : rows.events;
      const answer = await walk.apply({
        shard: read.shard,
        step: read.pending!.step,
        from: read.after,
        to: read.pending!.to,
        rules: rows.rules,
        events,
        quarantine: rows.quarantine,
      });
      if (answer === "more") return { reads, done: false };
      slice.count(rows.events.length + rows.quarantine.length);
      reads[i] = stepDone(read);
      moved = true;
      await slice.makeRoom();
    }
  }
  if (moved) await walk.save(reads);
  return { reads, done: true };
}

/** A read whose next cut is saved. */
async function withPending(reads: ReadState[], i: number, source: RowSource, walk: Walk): Promise<ReadState> {
  const read = reads[i]!;
  if (read.pending) return read;
  const { to, origin } = await source.cut(read, walk.sink, walk.maxEvents);
  const cut = withCut(read, to, origin);
  reads[i] = cut;
  await walk.save(reads);
  return cut;
}

const within =
  ({ from, to }: { readonly from: number; readonly to: number }) =>
  ({ event_time }: { readonly event_time: number }) =>
    event_time >= from * MICROS_PER_MS && event_time < to * MICROS_PER_MS;
