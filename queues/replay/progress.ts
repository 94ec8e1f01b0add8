/** What a fill or a rebuild remembers between slices: plain JSON in the job's row. */
import type { Job, ReplaySpec } from "../../durable-objects/replay-desk/api.ts";
import type { SinkName } from "../../durable-objects/sink-cursor/api.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import type { Damage } from "../read-segment.ts";
import type { ReadState } from "./reads.ts";
import type { Slice } from "./slice.ts";
import { type Looks, NO_LOOKS } from "./stand-back.ts";
import type { ReplayComparison, ReplayJob } from "./target.ts";

export interface SinkProgress {
  /** What it is at; a sink of a `fill` only reads. */
  readonly stage: "read" | "compare" | "built" | "swapped" | "let_go";
  /** Null until they were planned. */
  readonly reads: readonly ReadState[] | null;
  /** How often the target has said what is to be read: from the second time on it is what came live meanwhile. */
  readonly rounds: number;
  /** `fill`: events that the store lacked. */
  readonly missing: number;
  readonly comparison: ReplayComparison | null;
  /** What readers have been left with by a job that was abandoned. */
  readonly left?: "built" | "before";
}

/** A segment that nobody can read: it was left out, because somebody asked for that. */
export interface UnreadablePlace {
  readonly sink: SinkName;
  readonly shard: number;
  readonly seq: number;
  /** With the quarantined. */
  readonly events: number;
}

export interface Unreadable {
  readonly events: number;
  /** At most `REPLAY.uncorrectedListed`. */
  readonly places: readonly UnreadablePlace[];
  readonly more: number;
}

export interface ReplayProgress {
  /** A build that began anew has a name of its own for the targets. */
  readonly attempt: number;
  /** The newest rule version when the build began. */
  readonly rules: number;
  /**
   * That the build covers: those that there were when it began. What a later shard has came live. Null before it begins;
   * absent in one that began when this was not kept.
   */
  readonly shards?: number | null;
  /** Absent: everything could be read. */
  readonly unreadable?: Unreadable;
  readonly looks: Looks;
  readonly sinks: Readonly<Partial<Record<SinkName, SinkProgress>>>;
}

export const FRESH: SinkProgress = { stage: "read", reads: null, rounds: 0, missing: 0, comparison: null };

export function replayProgress({ job, progress, rules }: Slice): ReplayProgress {
  const { sinks } = job.spec as ReplaySpec;
  return (progress as ReplayProgress | null) ?? freshProgress(sinks, 1, rules);
}

export const freshProgress = (sinks: readonly SinkName[], attempt: number, rules: number): ReplayProgress => ({
  attempt,
  rules,
  looks: NO_LOOKS,
  sinks: Object.fromEntries(sinks.map((sink) => [sink, FRESH])),
});

export const unreadablePlace = (
  sink: SinkName,
  shard: number,
  { ref, events, quarantined }: Damage,
): UnreadablePlace => ({
  ...{ sink, shard, seq: ref.seq },
  events: events + quarantined,
});

/** Twice is once. */
export function withUnreadable<Progress extends Pick<ReplayProgress, "unreadable">>(
  progress: Progress,
  place: UnreadablePlace,
): Progress {
  const { events, places, more } = progress.unreadable ?? { events: 0, places: [], more: 0 };
  const isKnown = places.some(
    ({ sink, shard, seq }) => sink === place.sink && shard === place.shard && seq === place.seq,
  );
  if (isKnown) return progress;
  const sum = events + place.events;
  const unreadable =
    places.length < REPLAY.uncorrectedListed
      ? { events: sum, places: [...places, place], more }
      : { events: sum, places, more: more + 1 };
  return { ...progress, unreadable };
}

export const withSink = (progress: ReplayProgress, sink: SinkName, change: Partial<SinkProgress>): ReplayProgress => ({
  ...progress,
  sinks: { ...progress.sinks, [sink]: { ...(progress.sinks[sink] ?? FRESH), ...change } },
});

/** The job as its targets know it. @param shardsNow how many there are, as far as this Worker knows */
export function targetJob(job: Job, { attempt, shards }: ReplayProgress, shardsNow: number): ReplayJob {
  const { from, to, range } = job.spec as ReplaySpec;
  const id = attempt === 1 ? job.id : `${job.id}-${attempt}`;
  return { id, shards: shards ?? shardsNow, from, to, range };
}
