/** Builds one sink anew: planned, read until the target has met its live store, compared. The swap is the caller's. */
import type { SinkName } from "../../durable-objects/sink-cursor/api.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import type { SinkProgress } from "./progress.ts";
import { beginRead } from "./reads.ts";
import type { Slice } from "./slice.ts";
import type { RowSource } from "./source.ts";
import type { ReplayJob, ReplayTarget } from "./target.ts";
import { type Walk, walkReads } from "./walk-reads.ts";

export interface SinkBuild {
  readonly sink: SinkName;
  readonly target: ReplayTarget;
  readonly replay: ReplayJob;
  readonly source: RowSource;
  /** As of `Walk`. */
  readonly onDamage?: Walk["onDamage"];
  state(): SinkProgress;
  save(change: Partial<SinkProgress>): Promise<void>;
}

/** @returns whether it is built; else it goes on in another slice. */
export async function buildSink(slice: Slice, build: SinkBuild): Promise<boolean> {
  const { target, replay, source, save } = build;
  while (build.state().stage === "read") {
    const { reads } = build.state();
    if (reads === null || reads.every(({ done }) => done)) {
      const more = await target.plan(replay);
      if (more.length === 0) {
        await save({ stage: "compare" });
        break;
      }
      const counts = await Promise.all(more.map(({ shard, after, to }) => source.count(shard, after, to)));
      slice.expectMore(counts.reduce((sum, count) => sum + count, 0));
      await save({ reads: more.map(beginRead), rounds: build.state().rounds + 1 });
    }
    const { done } = await walkReads(slice, source, build.state().reads!, {
      sink: build.sink,
      maxEvents: stepEvents(target),
      apply: (step) => target.add(replay, step),
      ...(build.onDamage && { onDamage: build.onDamage }),
      save: (now) => save({ reads: now }),
    });
    if (!done) return false;
  }
  if (build.state().stage === "compare") await save({ stage: "built", comparison: await target.compare(replay) });
  return true;
}

export const stepEvents = ({ maxEvents }: ReplayTarget): number =>
  Math.min(REPLAY.stepEvents, maxEvents ?? REPLAY.stepEvents);
