/** `fill`: every sink is handed the range once more, and applies what it lacks. Nothing is built, nothing to swap. */
import { ALL_TIME } from "../../durable-objects/minute-rollup/api.ts";
import type { ReplaySpec } from "../../durable-objects/replay-desk/api.ts";
import type { Damage } from "../read-segment.ts";
import { stepEvents } from "./build-sink.ts";
import type { ReplayParts } from "./parts.ts";
import {
  type ReplayProgress,
  replayProgress,
  targetJob,
  unreadablePlace,
  withSink,
  withUnreadable,
} from "./progress.ts";
import { beginRead, type ReadState } from "./reads.ts";
import { type Advance, MORE, type Slice } from "./slice.ts";
import { walkReads } from "./walk-reads.ts";

export async function advanceFill(slice: Slice, parts: ReplayParts): Promise<Advance> {
  const spec = slice.job.spec as ReplaySpec;
  if (slice.job.state === "cancelling") return { kind: "state", state: "cancelled", outcome: "cancelled" };
  if (slice.job.state === "abandoning") return { kind: "state", state: "abandoned" };
  let progress = replayProgress(slice);
  const replay = targetJob(slice.job, progress, parts.shards);
  const targets = parts.targets(slice.calls);
  if (Object.values(progress.sinks).some(({ reads }) => reads === null)) {
    progress = await planned(slice, parts, progress, spec);
  }
  for (const sink of spec.sinks) {
    const target = targets[sink];
    const { done } = await walkReads(slice, parts.source, progress.sinks[sink]!.reads!, {
      sink,
      maxEvents: stepEvents(target),
      ...(slice.job.unreadable === "left_out" && {
        onDamage: async (shard: number, damage: Damage) => {
          progress = withUnreadable(progress, unreadablePlace(sink, shard, damage));
          return damage;
        },
      }),
      apply: async (step) => {
        const missing = await target.fill(replay, step);
        if (missing === "more") return missing;
        progress = withSink(progress, sink, { missing: progress.sinks[sink]!.missing + missing });
        return missing;
      },
      save: async (reads) => {
        progress = withSink(progress, sink, { reads });
        await slice.save({ progress });
      },
    });
    if (!done) return MORE;
  }
  const missing = spec.sinks.reduce((sum, sink) => sum + progress.sinks[sink]!.missing, 0);
  if ((progress.sinks.rollups?.missing ?? 0) > 0) await parts.refillTiles?.(slice.job.id, [ALL_TIME]);
  const outcome = missing === 0 ? "nothing was missing" : `${missing} events applied`;
  const lost = progress.unreadable ? `, ${progress.unreadable.events} in segments that cannot be read left out` : "";
  return { kind: "state", state: "done", outcome: `${outcome}${lost}` };
}

/** The range as it is now: what comes later comes live. */
async function planned(
  slice: Slice,
  parts: ReplayParts,
  progress: ReplayProgress,
  spec: ReplaySpec,
): Promise<ReplayProgress> {
  const ranges = await parts.ranges(spec);
  const counts = await Promise.all(ranges.map(({ shard, after, to }) => parts.source.count(shard, after, to)));
  const reads: ReadState[] = ranges.map((range) => beginRead({ ...range, steps: 0 }));
  slice.expectMore(counts.reduce((sum, count) => sum + count, 0) * spec.sinks.length);
  const next = spec.sinks.reduce((all, sink) => withSink(all, sink, { reads }), progress);
  await slice.save({ progress: next });
  return next;
}
