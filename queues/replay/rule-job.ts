/**
 * Rules from their draft to the last store, for corrections, settlements and audits. Each stage notes its end before the
 * next begins, and each of its calls may be made again, so a crash costs at most what one slice had not noted:
 *
 *     raise      a version from the desk, the rule's object in R2, its place in every shard's log, then the stores' fences.
 *                Before the first rule the lake's cursors are noted: what stands above them may have been written either way
 *     wait       until every sink's cursor has passed the last rule's place: from then on whatever a store has of rows below it
 *                was written before the rule (and is found now) or has passed through it
 *     lake       files are rewritten and staged, each changed row is kept as a pair (before, after) in R2, then one commit
 *     gap        rows between the lake's noted cursor and the rule, read from the log without it: the lake may have
 *                written them corrected while timelines had them as they were, so the lake's pairs do not name them. The same
 *                for segments of which lake or timelines left something out (timeline-places.ts)
 *     timelines  every pair is amended: by place and id, so the same pair twice is harmless
 *     rollups    hours touched by pairs are built anew from the lake's rows and swapped, window by window
 *     record     what was done, for people
 *
 * A segment that cannot be read, though a store has read it before, holds nothing up: after a few attempts its rows are left
 * as they are in that store, a window of rollups in that shard whole, and the record names the place (uncorrected.ts).
 *
 * Shards that are split meanwhile: the rule's places are those of all shards that there are when it is raised (log-heads.ts),
 * and the job looks at these alone; a later shard has no row that the rule is about.
 *
 * A row that comes in between: the log takes it above the rule's place, where the rule does not hold. A drain that read
 * below the rule before it was raised is refused by the store's fence and reads again.
 */
import { SINKS, type SinkName } from "../../durable-objects/sink-cursor/api.ts";
import { ruleKey, shardName } from "../../r2-layout/keys.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import type { Rule } from "../../r2-layout/rule.ts";
import { eachShard } from "./each-shard.ts";
import { logHeads } from "./log-heads.ts";
import type { LakeCorrection, RuleParts } from "./rule-parts.ts";
import type { RuleProgress } from "./rule-progress.ts";
import { RuleRun } from "./rule-run.ts";
import { pairName, RuleTimelines } from "./rule-timelines.ts";
import { RuleWindows } from "./rule-windows.ts";
import type { Saved } from "./saved.ts";
import { type Advance, advanceStages, lookAgain, lookAgainLater, MORE, type Slice, type StageEnd } from "./slice.ts";
import { ALL_CORRECTED } from "./uncorrected.ts";

export class RuleJob {
  readonly #run: RuleRun;
  readonly #timelines: RuleTimelines;
  readonly #windows: RuleWindows;

  constructor(slice: Slice, parts: RuleParts, progress: Saved<RuleProgress>) {
    this.#run = new RuleRun(slice, parts, progress);
    this.#timelines = new RuleTimelines(this.#run);
    this.#windows = new RuleWindows(this.#run);
  }

  advance(): Promise<Advance> {
    if (this.#run.slice.job.state === "abandoning") return this.#abandon();
    return advanceStages(this.#run.slice, () => this.#stage());
  }

  async #stage(): Promise<StageEnd> {
    switch (this.#run.progress.stage) {
      case "raise":
        return this.#raise();
      case "wait":
        return this.#wait();
      case "lake":
        return this.#lake();
      case "gap":
        return this.#timelines.gap();
      case "timelines":
        return this.#timelines.amend();
      case "rollups":
        return this.#windows.build();
      case "record":
        this.#run.slice.allRead();
        // The counts and that they were counted, in one: this stage may come again.
        await this.#run.save({ stage: "recorded" }, this.#run.progress.settled);
        return "next";
      case "recorded":
        return { kind: "state", state: "done", outcome: this.#outcome() };
    }
  }

  async #raise(): Promise<StageEnd> {
    const { drafts, versions, lakeBefore } = this.#run.progress;
    if (lakeBefore === null) await this.#run.save({ lakeBefore: await this.#run.parts.lake() });
    const draft = drafts[versions.length];
    if (!draft) {
      await this.#run.save({ stage: "wait" });
      return "next";
    }
    const turn = await this.#run.slice.takeRule(draft.key);
    if ("waitsFor" in turn) {
      return this.#run.waitFor(turn.waitsFor, turn.takes === "long" ? lookAgainLater : lookAgain);
    }
    const { filter, change, note } = await this.#run.ruleOf(draft);
    const { id, createdAt } = this.#run.slice.job;
    const rule: Rule = { version: turn.version, id, filter, change, createdAt, ...(note !== null && { note }) };
    await this.#run.parts.bucket.put(ruleKey(rule.version), JSON.stringify(rule));
    const places = await eachShard(this.#run.parts.shards, async (shard) => {
      const { seq } = await this.#run.parts.logs.getByName(shardName(shard)).raise(rule, ruleKey(rule.version));
      return seq;
    });
    // A shard that joins after this begins with the rule, below all its rows; one that has joined before has a place of its own.
    await logHeads(this.#run.parts);
    await this.#run.slice.ruleRaised(rule.version);
    // Below its place a suppression means no row.
    await this.#run.parts.fence(rule.version, change.kind === "suppress" ? { places: [] } : filter);
    await this.#run.save({ versions: [...versions, rule.version], places });
    return "next";
  }

  /**
   * A store that lost its rows stands still until a replay restores it: after a while this job stands aside for replays of
   * the sinks that it waits for. They read through the rule; this job's own changes come after they are out of the way.
   */
  async #wait(): Promise<StageEnd> {
    const before = await this.#behind();
    if (before === null) {
      const inTheWay = await this.#run.slice.standAside(null);
      if (inTheWay !== null) return this.#run.waitFor(inTheWay);
    }
    // Once more: a way that was cleared may have set a cursor back.
    const behind = before ?? (await this.#behind());
    if (behind === null) {
      await this.#run.save({ stage: "lake" });
      return "next";
    }
    const now = this.#run.slice.now();
    const { waitsSince = now } = this.#run.progress;
    if (waitsSince === now) await this.#run.save({ waitsSince });
    if (now - waitsSince < REPLAY.asideMs) return this.#run.waitFor(behind.words);
    await this.#run.slice.standAside(behind.sinks);
    return this.#run.waitFor(`${behind.words}; a replay without the lake may mend it`);
  }

  /** Sinks that have not passed the rules everywhere; null where all have. */
  async #behind(): Promise<{ sinks: SinkName[]; words: string } | null> {
    const cursors = await this.#run.parts.cursors(this.#run.progress.places.length);
    const missing = SINKS.flatMap((sink) => {
      const shard = this.#run.progress.places.findIndex((seq, at) => (cursors[sink][at] ?? 0) < seq);
      return shard < 0
        ? []
        : [{ sink, shard, at: cursors[sink][shard] ?? 0, place: this.#run.progress.places[shard]! }];
    });
    const [first] = missing;
    if (!first) return null;
    const words = `${first.sink} of shard ${first.shard}: at ${first.at}, the rule is at ${first.place}`;
    return { sinks: missing.map(({ sink }) => sink), words };
  }

  async #lake(): Promise<StageEnd> {
    const correction = await this.#correction();
    const answer = await this.#run.parts.correctLake(
      correction,
      async ({ file, page, rows }) => {
        // A file that was swapped in already has nothing left to change: its pages stay as they were written.
        if (rows.length > 0) await this.#run.store.put(pairName("lake", file, page), rows);
      },
      this.#run.slice.now() + REPLAY.sliceMs,
    );
    if (answer === "more") {
      await this.#run.save({});
      return MORE;
    }
    const swapped = await this.#run.parts.swapLake(correction);
    if (!swapped) return MORE;
    await this.#run.save({ stage: "gap", snapshot: swapped.snapshot });
    return "next";
  }

  /** Set aside: the stages that were done stay done. What the lake has staged waits unseen, for a resumption. */
  async #abandon(): Promise<Advance> {
    const { stage } = this.#run.progress;
    if (stage === "rollups" && (await this.#windows.letGo()) === "more") return MORE;
    return { kind: "state", state: "abandoned", outcome: abandonedIn(stage) };
  }

  async #correction(): Promise<LakeCorrection> {
    const version = this.#run.progress.versions.at(-1)!;
    const rules = await eachShard(this.#run.progress.places.length, async (shard) => {
      const known = await this.#run.parts.logs.getByName(shardName(shard)).rules();
      return [shard, known.rules.filter((rule) => rule.version <= version)] as const;
    });
    return { job: this.#run.slice.job.id, version, rules: new Map(rules) };
  }

  #outcome(): string {
    const { lake, beyondReach } = this.#run.progress.pairs;
    const { sessions, rollups } = this.#run.progress.uncorrected ?? ALL_CORRECTED;
    const lost = Math.max(sessions, rollups);
    return [
      `${lake} events`,
      ...(beyondReach > 0 ? [`${beyondReach} beyond the timelines' reach`] : []),
      ...(lost > 0 ? [`${lost} in segments that cannot be read stay uncorrected`] : []),
    ].join(", ");
  }
}

function abandonedIn(stage: RuleProgress["stage"]): string {
  const before = `abandoned in stage ${stage}`;
  if (stage === "record" || stage === "recorded") return `${before}: every store has the rule`;
  const behind =
    stage === "rollups" ? "rollups" : stage === "gap" || stage === "timelines" ? "sessions, rollups" : SINKS.join(", ");
  return `${before}: the rule stays in force, a rebuild of a sink brings its store into the rule's state (${behind})`;
}
