/** Rollups follow a rule: hours that it has touched are built anew from the lake's rows, window by window, and swapped. */
import { RowsExpired } from "../lake/read-rows.ts";
import type { Damage } from "../read-segment.ts";
import { buildSink } from "./build-sink.ts";
import type { HourRange } from "./hour-ranges.ts";
import { FRESH, type SinkProgress } from "./progress.ts";
import type { RuleRun } from "./rule-run.ts";
import { MORE, type StageEnd } from "./slice.ts";
import type { More, ReplayJob, ReplayTarget } from "./target.ts";
import { ShardUnreadable } from "./uncorrected.ts";

export class RuleWindows {
  readonly #run: RuleRun;

  constructor(run: RuleRun) {
    this.#run = run;
  }

  /** One window, or the end of them. */
  async build(): Promise<StageEnd> {
    const { hours, window } = this.#run.progress;
    const range = hours[window.n];
    if (!range) {
      await this.#run.parts.refillTiles?.(this.#run.slice.job.id, hours);
      const { versions } = this.#run.progress;
      await this.#run.parts.settleRollups(versions[0]!, versions.at(-1)!);
      await this.#run.save({ stage: "record" });
      return "next";
    }
    const target = this.#windowTarget();
    const replay = this.#windowJob(range, window.attempt);
    const save = (change: Partial<SinkProgress>) => {
      return this.#run.save({ window: { ...window, build: { ...this.#run.progress.window.build, ...change } } });
    };
    const build = {
      sink: "rollups" as const,
      target,
      replay,
      source: this.#run.parts.lakeSource,
      state: () => this.#run.progress.window.build,
      save,
      onDamage: async (shard: number, damage: Damage) => {
        this.#run.losePatience(shard, damage);
        throw new ShardUnreadable(shard, damage);
      },
    };
    try {
      if (!(await buildSink(this.#run.slice, build))) return MORE;
    } catch (error) {
      if (error instanceof ShardUnreadable) {
        const { shard, damage } = error;
        return this.#keepWindow({ shard, seq: damage.ref.seq, events: damage.events }, replay, range);
      }
      // How many of the expired rows are of these hours nobody knows.
      if (error instanceof RowsExpired) return this.#keepWindow({ ...error, events: 0 }, replay, range);
      throw error;
    }
    if (this.#run.progress.window.build.stage === "built") {
      if ((await target.swap(replay)) === "more") return MORE;
      await save({ stage: "swapped" });
    }
    if ((await target.confirm(replay)) === "more") return MORE;
    await this.#run.save({ window: { n: window.n + 1, build: FRESH } });
    return "next";
  }

  /**
   * A shard whose part of a window cannot be read, or has expired in part, keeps its rows of it: built without them, it
   * would have fewer events than were accepted. The build is let go before that is noted: cut off in between, it comes to the same damage again.
   */
  async #keepWindow(
    { shard, seq, events }: { readonly shard: number; readonly seq: number; readonly events: number },
    replay: ReplayJob,
    range: HourRange,
  ): Promise<StageEnd> {
    if ((await this.#run.parts.correctedRollups([shard]).discard(replay)) === "more") return MORE;
    await this.#run.parts.doubtRollups(shard, range.from, range.to);
    const { window } = this.#run.progress;
    this.#run.note({ sink: "rollups", shard, seq, events, window: range });
    const reads = window.build.reads!.filter((read) => read.shard !== shard);
    const without = [...(window.without ?? []), shard];
    await this.#run.save({ window: { ...window, without, build: { ...window.build, reads } } });
    return "next";
  }

  /** A window that is half built is let go, so that it is in the way of no other; one that is swapped is done. */
  async letGo(): Promise<"done" | More> {
    const { window, hours } = this.#run.progress;
    const range = hours[window.n];
    if (!range) return "done";
    const { attempt = 1 } = window;
    const target = this.#windowTarget();
    if (window.build.stage === "swapped") {
      if ((await target.confirm(this.#windowJob(range, attempt))) === "more") return "more";
      await this.#run.save({ window: { n: window.n + 1, build: FRESH } });
      return "done";
    }
    // The new name first: however far this comes, a resumption does not meet a build that was let go.
    await this.#run.save({ window: { ...window, build: FRESH, attempt: attempt + 1 } });
    for (let old = 1; old <= attempt; old++) {
      if ((await target.discard(this.#windowJob(range, old))) === "more") return "more";
    }
    return "done";
  }

  /** In all shards but those that keep the window as it is. */
  #windowTarget(): ReplayTarget {
    const { without = [] } = this.#run.progress.window;
    const shards = this.#run.progress.places.keys().filter((shard) => !without.includes(shard));
    return this.#run.parts.correctedRollups([...shards]);
  }

  #windowJob(range: HourRange, attempt = 1): ReplayJob {
    const name = `${this.#run.slice.job.id}-w${this.#run.progress.window.n}`;
    const id = attempt === 1 ? name : `${name}-${attempt}`;
    return { id, shards: this.#run.progress.places.length, ...range, range: null };
  }
}
