/**
 * `rebuild`: every sink is built anew beside its live store, then all are compared, then all are swapped, one after the
 * other; the old ones are kept until somebody confirms or reverts.
 *
 *     crash while building            the cut of the step under way is saved, the step is made again (reads.ts)
 *     crash between two swaps         `stage` says which have swapped; a swap that was done and not noted is done again (idempotent)
 *     a rule is raised while building the desk sends the job to `restart`: the build is let go, and begins anew with a name of its own
 *     shards are split meanwhile      the build covers the shards that there were when it began: what a later one has came live.
 *                                     All timelines built anew cover the later ones too, and find them by themselves (whole-build.ts)
 *     a live sink leaves out more     its swap is refused ("holes:"): where none has swapped yet, the build begins anew, too
 *     a swap that is refused for good the job fails, and can be reverted: what has swapped is taken back, the rest let go
 *     cancelled while building        `cancelling`: each target lets its build go, then it is `cancelled`
 *     a segment that cannot be read   the job fails: the build would have less than the live store. Told to leave such segments out
 *                                     it goes on, names them, and waits for its swap to be asked for
 *     a target that refuses to        the job fails, and can be abandoned: every target ends it with what its readers see, those that
 *     confirm, to revert, to let go   refuse even that after the others
 */
import { ALL_TIME } from "../../durable-objects/minute-rollup/api.ts";
import type { RebuildSpec } from "../../durable-objects/replay-desk/api.ts";
import { PHASE } from "../../durable-objects/replay-desk/job-rules.ts";
import type { SinkName } from "../../durable-objects/sink-cursor/api.ts";
import { HOUR_MS } from "../../r2-layout/limits.ts";
import type { Damage } from "../read-segment.ts";
import { buildSink } from "./build-sink.ts";
import type { HourRange } from "./hour-ranges.ts";
import type { ReplayParts } from "./parts.ts";
import {
  freshProgress,
  type ReplayProgress,
  replayProgress,
  type SinkProgress,
  targetJob,
  unreadablePlace,
  withSink,
  withUnreadable,
} from "./progress.ts";
import { type Advance, lookAgain, MORE, type Slice } from "./slice.ts";
import type { More, ReplayJob, ReplayTarget } from "./target.ts";

export async function advanceRebuild(slice: Slice, parts: ReplayParts): Promise<Advance> {
  const rebuild = new Rebuild(slice, parts);
  switch (slice.job.state) {
    case "cancelling":
      return rebuild.letGo("discard", { kind: "state", state: "cancelled", outcome: "cancelled" });
    case "confirming":
      return rebuild.letGo("confirm", { kind: "state", state: "done", outcome: "confirmed" });
    case "reverting":
      return rebuild.letGo("revert", { kind: "state", state: "done", outcome: "reverted" });
    case "abandoning":
      return rebuild.abandon();
    default:
      return rebuild.advance();
  }
}

class Rebuild {
  readonly #slice: Slice;
  readonly #parts: ReplayParts;
  readonly #spec: RebuildSpec;
  readonly #targets: Readonly<Record<SinkName, ReplayTarget>>;
  #progress: ReplayProgress;

  constructor(slice: Slice, parts: ReplayParts) {
    this.#slice = slice;
    this.#parts = parts;
    this.#spec = slice.job.spec as RebuildSpec;
    this.#targets = parts.targets(slice.calls);
    this.#progress = replayProgress(slice);
  }

  async advance(): Promise<Advance> {
    const { phase } = this.#slice.job;
    if (phase === PHASE.restart) return this.#restart();
    if (phase !== PHASE.swap) {
      if (this.#isUntouched()) {
        // Noted before a target begins anything: whoever raises a rule must know that there is a build.
        const shards = this.#progress.shards ?? this.#parts.shards;
        this.#progress = { ...this.#progress, rules: this.#slice.rules, shards };
        await this.#slice.save({ holds: true, progress: this.#progress });
      }
      if (this.#progress.rules !== this.#slice.rules) return this.#restart();
      for (const sink of this.#spec.sinks) if (!(await this.#build(sink))) return MORE;
      if (this.#spec.swap === "manual" || this.#progress.unreadable)
        return { kind: "state", state: "waiting_for_swap" };
      await this.#slice.save({ phase: PHASE.swap, progress: this.#progress });
    }
    for (const sink of this.#spec.sinks) {
      const swapped = await this.#swap(sink);
      if (swapped === "outdated") return this.#restart();
      if (!swapped) return MORE;
    }
    return { kind: "state", state: "waiting_for_confirmation" };
  }

  /** Ends the build or the old of every sink, the last one first. */
  async letGo(how: "discard" | "confirm" | "revert", end: Advance): Promise<Advance> {
    for (const sink of this.#spec.sinks.toReversed()) {
      if (this.#progress.sinks[sink]!.stage === "let_go") continue;
      if ((await this.#leave(sink, how)) === "more") return lookAgain;
      await this.#save(sink, { stage: "let_go" });
    }
    await this.#slice.save({ holds: false });
    return end;
  }

  /** Sinks that were let go before stay as they are. */
  async abandon(): Promise<Advance> {
    const failures: unknown[] = [];
    for (const sink of this.#spec.sinks.toReversed()) {
      if (this.#stage(sink).stage === "let_go") continue;
      let left: "built" | "before" | More;
      try {
        left = await this.#targets[sink].abandon(this.#replay());
      } catch (error) {
        failures.push(error);
        continue;
      }
      if (left === "more") return lookAgain;
      await this.#save(sink, { stage: "let_go", left });
    }
    if (failures.length > 0) throw failures[0];
    await this.#slice.save({ holds: false });
    const kept = this.#spec.sinks.flatMap((sink) => {
      const { left } = this.#stage(sink);
      return left ? `${sink} ${left === "built" ? "stays as it was built" : "stays as it was before"}` : [];
    });
    return {
      kind: "state",
      state: "abandoned",
      outcome: [this.#slice.job.outcome, ...kept].filter(Boolean).join(", "),
    };
  }

  async #leave(sink: SinkName, how: "discard" | "confirm" | "revert"): Promise<unknown | More> {
    const target = this.#targets[sink];
    const replay = this.#replay();
    if (how !== "revert") return target[how](replay);
    // It failed before it had swapped all; or this one has, and died before it was noted: then `discard` is a revert, too.
    if (this.#stage(sink).stage !== "swapped") return target.discard(replay);
    if ((await target.revert(replay)) === "more") return "more";
    return undefined;
  }

  async #build(sink: SinkName): Promise<boolean> {
    return buildSink(this.#slice, {
      sink,
      target: this.#targets[sink],
      replay: this.#replay(),
      source: this.#parts.source,
      ...(this.#slice.job.unreadable === "left_out" && {
        onDamage: async (shard: number, damage: Damage) => {
          // Saved with what is saved next.
          this.#progress = withUnreadable(this.#progress, unreadablePlace(sink, shard, damage));
          return damage;
        },
      }),
      state: () => this.#stage(sink),
      save: (change) => this.#save(sink, change),
    });
  }

  /** "outdated": a live sink has left out events since the build began that the build has; nothing has swapped yet. */
  async #swap(sink: SinkName): Promise<boolean | "outdated"> {
    if (this.#stage(sink).stage === "swapped") return true;
    try {
      if ((await this.#targets[sink].swap(this.#replay())) === "more") return false;
    } catch (error) {
      const anySwapped = this.#spec.sinks.some((one) => this.#stage(one).stage === "swapped");
      if (anySwapped || !(error instanceof Error) || !error.message.startsWith("holes:")) throw error;
      return "outdated";
    }
    if (sink === "rollups") await this.#parts.refillTiles?.(this.#slice.job.id, [hoursOf(this.#replay())]);
    await this.#save(sink, { stage: "swapped" });
    return true;
  }

  async #restart(): Promise<Advance> {
    for (const sink of this.#spec.sinks) {
      if ((await this.#targets[sink].discard(this.#replay())) === "more") return lookAgain;
    }
    const progress = freshProgress(this.#spec.sinks, this.#progress.attempt + 1, this.#slice.rules);
    this.#slice.recount();
    await this.#slice.save({ phase: PHASE.build, progress, holds: false });
    return MORE;
  }

  #isUntouched(): boolean {
    return Object.values(this.#progress.sinks).every(({ stage, reads }) => stage === "read" && reads === null);
  }

  #replay(): ReplayJob {
    return targetJob(this.#slice.job, this.#progress, this.#parts.shards);
  }

  #stage(sink: SinkName): SinkProgress {
    return this.#progress.sinks[sink]!;
  }

  async #save(sink: SinkName, change: Partial<SinkProgress>): Promise<void> {
    this.#progress = withSink(this.#progress, sink, change);
    await this.#slice.save({ progress: this.#progress });
  }
}

/** Of event_time, as the rollups take it. */
const hoursOf = ({ from, to }: ReplayJob): HourRange => ({
  from: from === null ? ALL_TIME.from : Math.floor(from / HOUR_MS) * HOUR_MS,
  to: to === null ? ALL_TIME.to : Math.ceil(to / HOUR_MS) * HOUR_MS,
});
