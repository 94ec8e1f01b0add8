/**
 * Rules from their draft to the last store, for corrections, settlements and audits. Each stage notes its end before the
 * next begins, and each of its calls may be made again, so a crash costs at most what one slice had not noted:
 *
 *     raise      a version from the desk, the rule's object in R2, its place in every shard's log, then the stores' fences.
 *                Before the first rule the lake's cursors are noted: what stands above them may have been written either way
 *     wait       until every sink's cursor has passed the last rule's place: from then on whatever a store has of rows below it
 *                was written before the rule (and is found now) or has passed through it
 *     lake       files are rewritten and staged, each changed row is kept as a pair (before, after) in R2, then one commit
 *     gap        rows between the lake's noted cursor and the rule, read from the log as they stand in it: the lake may have
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
import type { CorrectionSpec, Settled } from "../../durable-objects/replay-desk/api.ts";
import { SINKS, type SinkName } from "../../durable-objects/sink-cursor/api.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { ruleKey, shardName } from "../../r2-layout/keys.ts";
import { HOUR_MS, REPLAY } from "../../r2-layout/limits.ts";
import type { Rule, RuleChange, RuleFilter } from "../../r2-layout/rule.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { Damage } from "../read-segment.ts";
import { buildSink } from "./build-sink.ts";
import { eachShard } from "./each-shard.ts";
import { addHours, type HourRange, mergeRanges } from "./hour-ranges.ts";
import { JobStore } from "./job-store.ts";
import { logHeads } from "./log-heads.ts";
import { endOfPatience } from "./patience.ts";
import { FRESH, type SinkProgress } from "./progress.ts";
import { beginRead, joinedSeqs, type ReadState } from "./reads.ts";
import type { ChangedRow, LakeCorrection, RuleParts } from "./rule-parts.ts";
import type { Saved } from "./saved.ts";
import { type Advance, advanceStages, lookAgain, MORE, type Slice, type StageEnd } from "./slice.ts";
import type { ReplayJob, ReplayTarget } from "./target.ts";
import { pairsAsInTimelines, type TimelinePlaces, timelinePlaces } from "./timeline-places.ts";
import {
  ALL_CORRECTED,
  isKnownUnreadable,
  ShardUnreadable,
  type Uncorrected,
  type UncorrectedPlace,
  withUncorrected,
} from "./uncorrected.ts";
import { walkReads } from "./walk-reads.ts";

/** One rule of the job: a correction has one, a settlement one for each lot of places. */
export interface Draft {
  /** Idempotency key of its version. */
  readonly key: string;
  /** The object with its filter, where that is large; else the job's own. */
  readonly object: string | null;
}

export interface RuleProgress {
  readonly stage: "raise" | "wait" | "lake" | "gap" | "timelines" | "rollups" | "record" | "recorded";
  readonly drafts: readonly Draft[];
  readonly versions: readonly number[];
  /** By shard: the last rule's place. These are the shards that have rows from before it, so all that the job looks at. */
  readonly places: readonly number[];
  /** As of before the first rule. */
  readonly lakeBefore: { readonly snapshot: number; readonly cursors: Readonly<Record<number, number>> } | null;
  readonly snapshot: number | null;
  /** Milliseconds: when it first waited for a sink. */
  readonly waitsSince?: number;
  readonly gap: readonly ReadState[] | null;
  readonly pairs: {
    /** The last page that was amended, and pairs of the next one. */
    readonly page: string | null;
    readonly offset: number;
    readonly lake: number;
    readonly added: number;
    readonly replaced: number;
    readonly removed: number;
    readonly beyondReach: number;
  };
  readonly hours: readonly HourRange[];
  readonly window: {
    readonly n: number;
    readonly build: SinkProgress;
    /** Shards in which it cannot be built: they keep what they have. */
    readonly without?: readonly number[];
    /** How often it was begun: targets remember the names of builds that were let go. Absent: once. */
    readonly attempt?: number;
  };
  /** Absent: everything could be read. */
  readonly uncorrected?: Uncorrected;
  readonly settled: readonly Settled[];
}

export const beginRules = (drafts: readonly Draft[], settled: readonly Settled[] = []): RuleProgress => ({
  stage: "raise",
  drafts,
  versions: [],
  places: [],
  lakeBefore: null,
  snapshot: null,
  gap: null,
  pairs: { page: null, offset: 0, lake: 0, added: 0, replaced: 0, removed: 0, beyondReach: 0 },
  hours: [],
  window: { n: 0, build: FRESH },
  settled,
});

export class RuleJob {
  readonly #slice: Slice;
  readonly #parts: RuleParts;
  readonly #store: JobStore;
  readonly #saved: Saved<RuleProgress>;
  #places: Promise<ReadonlySet<string> | null> | null = null;

  constructor(slice: Slice, parts: RuleParts, progress: Saved<RuleProgress>) {
    this.#slice = slice;
    this.#parts = parts;
    this.#store = new JobStore(parts.bucket, slice.job.id);
    this.#saved = progress;
  }

  get #progress(): RuleProgress {
    return this.#saved.now;
  }

  advance(): Promise<Advance> {
    if (this.#slice.job.state === "abandoning") return this.#abandon();
    return advanceStages(this.#slice, () => this.#stage());
  }

  async #stage(): Promise<StageEnd> {
    switch (this.#progress.stage) {
      case "raise":
        return this.#raise();
      case "wait":
        return this.#wait();
      case "lake":
        return this.#lake();
      case "gap":
        return this.#gap();
      case "timelines":
        return this.#timelines();
      case "rollups":
        return this.#rollups();
      case "record":
        this.#slice.allRead();
        // The counts and that they were counted, in one: this stage may come again.
        await this.#saved.save({ stage: "recorded" }, this.#progress.settled);
        return "next";
      case "recorded":
        return { kind: "state", state: "done", outcome: this.#outcome() };
    }
  }

  async #raise(): Promise<StageEnd> {
    const { drafts, versions, lakeBefore } = this.#progress;
    if (lakeBefore === null) await this.#save({ lakeBefore: await this.#parts.lake() });
    const draft = drafts[versions.length];
    if (!draft) {
      await this.#save({ stage: "wait" });
      return "next";
    }
    const turn = await this.#slice.takeRule(draft.key);
    if ("waitsFor" in turn) return this.#waitFor(turn.waitsFor);
    const { filter, change, note } = await this.#ruleOf(draft);
    const { id, createdAt } = this.#slice.job;
    const rule: Rule = { version: turn.version, id, filter, change, createdAt, ...(note !== null && { note }) };
    await this.#parts.bucket.put(ruleKey(rule.version), JSON.stringify(rule));
    const places = await eachShard(this.#parts.shards, async (shard) => {
      const { seq } = await this.#parts.logs.getByName(shardName(shard)).raise(rule, ruleKey(rule.version));
      return seq;
    });
    // A shard that joins after this begins with the rule, below all its rows; one that has joined before has a place of its own.
    await logHeads(this.#parts);
    await this.#slice.ruleRaised(rule.version);
    await this.#parts.fence(rule.version, filter);
    await this.#save({ versions: [...versions, rule.version], places });
    return "next";
  }

  /**
   * A store that lost its rows stands still until a replay restores it: after a while this job stands aside for replays of
   * the sinks that it waits for. They read through the rule; this job's own changes come after they are out of the way.
   */
  async #wait(): Promise<StageEnd> {
    const before = await this.#behind();
    if (before === null) {
      const inTheWay = await this.#slice.standAside(null);
      if (inTheWay !== null) return this.#waitFor(inTheWay);
    }
    // Once more: a way that was cleared may have set a cursor back.
    const behind = before ?? (await this.#behind());
    if (behind === null) {
      await this.#save({ stage: "lake" });
      return "next";
    }
    const now = this.#slice.now();
    const { waitsSince = now } = this.#progress;
    if (waitsSince === now) await this.#save({ waitsSince });
    if (now - waitsSince < REPLAY.asideMs) return this.#waitFor(behind.words);
    await this.#slice.standAside(behind.sinks);
    return this.#waitFor(`${behind.words}; a replay without the lake may mend it`);
  }

  /** Sinks that have not passed the rules everywhere; null where all have. */
  async #behind(): Promise<{ sinks: SinkName[]; words: string } | null> {
    const cursors = await this.#parts.cursors(this.#progress.places.length);
    const missing = SINKS.flatMap((sink) => {
      const shard = this.#progress.places.findIndex((seq, at) => (cursors[sink][at] ?? 0) < seq);
      return shard < 0 ? [] : [{ sink, shard, at: cursors[sink][shard] ?? 0, place: this.#progress.places[shard]! }];
    });
    const [first] = missing;
    if (!first) return null;
    const words = `${first.sink} of shard ${first.shard}: at ${first.at}, the rule is at ${first.place}`;
    return { sinks: missing.map(({ sink }) => sink), words };
  }

  async #lake(): Promise<StageEnd> {
    const correction = await this.#correction();
    const answer = await this.#parts.correctLake(
      correction,
      async ({ file, page, rows }) => {
        // A file that was swapped in already has nothing left to change: its pages stay as they were written.
        if (rows.length > 0) await this.#store.put(pairName("lake", file, page), rows);
      },
      this.#slice.now() + REPLAY.sliceMs,
    );
    if (answer === "more") {
      await this.#save({});
      return MORE;
    }
    const swapped = await this.#parts.swapLake(correction);
    if (!swapped) return MORE;
    await this.#save({ stage: "gap", snapshot: swapped.snapshot });
    return "next";
  }

  async #gap(): Promise<StageEnd> {
    const reads = this.#progress.gap ?? (await this.#expected(await this.#gapReads()));
    const unreadable = async (shard: number, damage: Damage) => {
      // The lake has tried it long enough.
      const holes = await this.#parts.source.holes("lake", shard);
      if (!holes.some(({ seq }) => seq === damage.ref.seq)) this.#losePatience(shard, damage);
      await this.#leaveOut(shard, damage.ref.seq, damage);
      return damage;
    };
    // Both readings take the sessions' part of the log: it is timelines that this is for.
    const { done } = await walkReads(this.#slice, this.#parts.rawSource, reads, {
      sink: "sessions",
      maxEvents: REPLAY.stepEvents,
      apply: async ({ shard, from, to, events }) => {
        if (events.length === 0) return;
        const read = beginRead({ shard, after: from, to, steps: 0 });
        const now = await this.#parts.source.rows(read, to, "log", "sessions", (damage) => unreadable(shard, damage));
        const pairs = changedRows(events, now.events);
        if (pairs.length > 0) await this.#store.put(pairName("gap", shard, from), pairs);
      },
      onDamage: unreadable,
      save: (gap) => this.#save({ gap }),
    });
    if (!done) return MORE;
    await this.#save({ stage: "timelines" });
    return "next";
  }

  async #expected(reads: readonly ReadState[]): Promise<readonly ReadState[]> {
    for (const { shard, after, to } of reads) this.#slice.expectMore(await this.#parts.source.count(shard, after, to));
    return reads;
  }

  /** What stands between the lake's cursor and the rule, and before that what timelines have otherwise than the lake. */
  async #gapReads(): Promise<ReadState[]> {
    const { lakeBefore, places } = this.#progress;
    const known: Record<number, TimelinePlaces> = {};
    const reads: ReadState[] = [];
    for (const [shard, place] of places.entries()) {
      const after = lakeBefore?.cursors[shard] ?? 0;
      if (after < place) reads.push(beginRead({ shard, after, to: place, steps: 0 }));
      const lake = await this.#parts.source.holes("lake", shard);
      const sessions = await this.#parts.source.holes("sessions", shard);
      if (lake.length + sessions.length === 0) continue;
      const here = timelinePlaces(lake, sessions, after);
      known[shard] = here;
      const { segments } = await this.#parts.logs.getByName(shardName(shard)).segments(0, 1);
      const oldest = segments[0]?.seq ?? place;
      const seqs = here.read.filter((seq) => seq >= oldest && seq <= after && seq < place);
      for (const part of joinedSeqs(seqs)) reads.push(beginRead({ shard, ...part, steps: 0 }));
    }
    await this.#store.put(PLACES, known);
    return reads;
  }

  async #timelines(): Promise<StageEnd> {
    const rules = this.#progress.versions.at(-1)!;
    const places = await this.#store.get<Record<number, TimelinePlaces>>(PLACES);
    while (!this.#slice.over) {
      const [name] = await this.#store.names("pairs/", this.#progress.pairs.page, 1);
      if (name === undefined) {
        await this.#save({ stage: "rollups", hours: mergeRanges(this.#progress.hours, REPLAY.windows) });
        return "next";
      }
      const pairs = await this.#store.get<readonly ChangedRow[]>(name);
      const amended = name.startsWith("pairs/lake") ? pairsAsInTimelines(pairs, places) : pairs;
      if (this.#progress.pairs.offset === 0) this.#slice.expectMore(amended.length);
      while (this.#progress.pairs.offset < amended.length) {
        const { offset } = this.#progress.pairs;
        const part = amended.slice(offset, offset + REPLAY.pairsAtOnce);
        const answer = await this.#parts.amend(part, rules, this.#slice.calls);
        if (answer === "more") return MORE;
        this.#slice.count(part.length);
        await this.#savePairs(answer, { offset: offset + part.length });
      }
      const lake = this.#progress.pairs.lake + (name.startsWith("pairs/lake") ? pairs.length : 0);
      const hours = addHours(this.#progress.hours, hoursOf(pairs));
      await this.#save({ hours, pairs: { ...this.#progress.pairs, page: name, offset: 0, lake } });
    }
    return MORE;
  }

  async #rollups(): Promise<StageEnd> {
    const { hours, window } = this.#progress;
    const range = hours[window.n];
    if (!range) {
      await this.#save({ stage: "record" });
      return "next";
    }
    const target = this.#windowTarget();
    const replay = this.#windowJob(range, window.attempt);
    const save = (change: Partial<SinkProgress>) => {
      return this.#save({ window: { ...window, build: { ...this.#progress.window.build, ...change } } });
    };
    const build = {
      sink: "rollups" as const,
      target,
      replay,
      source: this.#parts.lakeSource,
      state: () => this.#progress.window.build,
      save,
      onDamage: async (shard: number, damage: Damage) => {
        this.#losePatience(shard, damage);
        throw new ShardUnreadable(shard, damage);
      },
    };
    try {
      if (!(await buildSink(this.#slice, build))) return MORE;
    } catch (error) {
      if (!(error instanceof ShardUnreadable)) throw error;
      return this.#keepWindow(error, replay, range);
    }
    if (this.#progress.window.build.stage === "built") {
      if ((await target.swap(replay)) === "more") return MORE;
      await save({ stage: "swapped" });
    }
    if ((await target.confirm(replay)) === "more") return MORE;
    await this.#save({ window: { n: window.n + 1, build: FRESH } });
    return "next";
  }

  /**
   * A shard whose part of a window cannot be read keeps its rows of it: built without them, it would have fewer events than
   * were accepted. The build is let go before that is noted: cut off in between, it comes to the same damage again.
   */
  async #keepWindow({ shard, damage }: ShardUnreadable, replay: ReplayJob, range: HourRange): Promise<StageEnd> {
    if ((await this.#parts.correctedRollups([shard]).discard(replay)) === "more") return MORE;
    const { window } = this.#progress;
    this.#note({ sink: "rollups", shard, seq: damage.ref.seq, events: damage.events, window: range });
    const reads = window.build.reads!.filter((read) => read.shard !== shard);
    const without = [...(window.without ?? []), shard];
    await this.#save({ window: { ...window, without, build: { ...window.build, reads } } });
    return "next";
  }

  /** @throws SegmentDamaged while it may be that only this reading has failed: as often as a job fails before it gives up. */
  #losePatience(shard: number, damage: Damage): void {
    const known = this.#progress.uncorrected ?? ALL_CORRECTED;
    if (!isKnownUnreadable(known, shard, damage.ref.seq)) endOfPatience(this.#slice, damage);
  }

  /** Rows that nobody can read stay uncorrected in the stores that have read them before, if the rules may concern them. */
  async #leaveOut(shard: number, seq: number, { events }: Pick<Damage, "events">): Promise<void> {
    this.#places ??= this.#rulePlaces();
    const places = await this.#places;
    if (places !== null && !places.has(`${shard}/${seq}`)) return;
    for (const sink of ["sessions", "rollups"] as const) {
      const holes = await this.#parts.source.holes(sink, shard);
      if (!holes.some((hole) => hole.seq === seq)) this.#note({ sink, shard, seq, events, window: null });
    }
  }

  /** Saved with what is saved next. */
  #note(place: UncorrectedPlace): void {
    const known = this.#progress.uncorrected ?? ALL_CORRECTED;
    const uncorrected = withUncorrected(known, place);
    if (uncorrected === known) return;
    this.#saved.note({ uncorrected });
    console.error(JSON.stringify({ at: "replay", job: this.#slice.job.id, reason: "uncorrected", ...place }));
  }

  /** Segments (`<shard>/<seq>`) that the job's rules name; null where one of them goes by what a row says. */
  async #rulePlaces(): Promise<ReadonlySet<string> | null> {
    const named = new Set<string>();
    for (const draft of this.#progress.drafts) {
      const { places } = (await this.#ruleOf(draft)).filter;
      if (!places) return null;
      for (const { shard, seq } of places) named.add(`${shard}/${seq}`);
    }
    return named;
  }

  /**
   * Set aside: the stages that were done stay done, a window of rollups that is half built is let go, so that it is in the
   * way of no other. What the lake has staged waits unseen, for a resumption.
   */
  async #abandon(): Promise<Advance> {
    const { stage, window, hours } = this.#progress;
    const range = hours[window.n];
    if (stage === "rollups" && range) {
      const { attempt = 1 } = window;
      const target = this.#windowTarget();
      if (window.build.stage === "swapped") {
        if ((await target.confirm(this.#windowJob(range, attempt))) === "more") return MORE;
        await this.#save({ window: { n: window.n + 1, build: FRESH } });
      } else {
        // The new name first: however far this comes, a resumption does not meet a build that was let go.
        await this.#save({ window: { ...window, build: FRESH, attempt: attempt + 1 } });
        for (let old = 1; old <= attempt; old++) {
          if ((await target.discard(this.#windowJob(range, old))) === "more") return MORE;
        }
      }
    }
    return { kind: "state", state: "abandoned", outcome: abandonedIn(stage) };
  }

  /** In all shards but those that keep the window as it is. */
  #windowTarget(): ReplayTarget {
    const { without = [] } = this.#progress.window;
    const shards = this.#progress.places.keys().filter((shard) => !without.includes(shard));
    return this.#parts.correctedRollups([...shards]);
  }

  #windowJob(range: HourRange, attempt = 1): ReplayJob {
    const name = `${this.#slice.job.id}-w${this.#progress.window.n}`;
    const id = attempt === 1 ? name : `${name}-${attempt}`;
    return { id, shards: this.#progress.places.length, ...range, range: null };
  }

  async #ruleOf({ object }: Draft): Promise<{ filter: RuleFilter; change: RuleChange; note: string | null }> {
    if (object !== null) {
      return { filter: await this.#store.get<RuleFilter>(object), change: { kind: "retract" }, note: null };
    }
    const { filter, change, note } = this.#slice.job.spec as CorrectionSpec;
    return { filter, change, note };
  }

  async #correction(): Promise<LakeCorrection> {
    const version = this.#progress.versions.at(-1)!;
    const rules = await eachShard(this.#progress.places.length, async (shard) => {
      const known = await this.#parts.logs.getByName(shardName(shard)).rules();
      return [shard, known.rules.filter((rule) => rule.version <= version)] as const;
    });
    return { job: this.#slice.job.id, version, rules: new Map(rules) };
  }

  async #waitFor(waitsFor: string): Promise<Advance> {
    await this.#slice.save({ waitsFor });
    return lookAgain;
  }

  #outcome(): string {
    const { lake, beyondReach } = this.#progress.pairs;
    const { sessions, rollups } = this.#progress.uncorrected ?? ALL_CORRECTED;
    const lost = Math.max(sessions, rollups);
    return [
      `${lake} events`,
      ...(beyondReach > 0 ? [`${beyondReach} beyond the timelines' reach`] : []),
      ...(lost > 0 ? [`${lost} in segments that cannot be read stay uncorrected`] : []),
    ].join(", ");
  }

  #savePairs(
    amended: { added: number; replaced: number; removed: number; beyondReach: number },
    change: { offset: number },
  ): Promise<void> {
    const { pairs } = this.#progress;
    return this.#save({
      pairs: {
        ...pairs,
        ...change,
        added: pairs.added + amended.added,
        replaced: pairs.replaced + amended.replaced,
        removed: pairs.removed + amended.removed,
        beyondReach: pairs.beyondReach + amended.beyondReach,
      },
    });
  }

  #save(change: Partial<RuleProgress>): Promise<void> {
    return this.#saved.save(change);
  }
}

function abandonedIn(stage: RuleProgress["stage"]): string {
  const before = `abandoned in stage ${stage}`;
  if (stage === "record" || stage === "recorded") return `${before}: every store has the rule`;
  const behind =
    stage === "rollups" ? "rollups" : stage === "gap" || stage === "timelines" ? "sessions, rollups" : SINKS.join(", ");
  return `${before}: the rule stays in force, a rebuild of a sink brings its store into the rule's state (${behind})`;
}

/** Where timelines have what the lake has elsewhere, by shard. */
const PLACES = "timeline-places.json.gz";

/** Names sort, so that pages are walked in one order. */
const pairName = (from: "lake" | "gap", of: number, page: number): string =>
  `pairs/${from}-${String(of).padStart(12, "0")}-${String(page).padStart(6, "0")}.json.gz`;

const rowKey = ({ log_seq, source, event_id }: EventRow): string => `${log_seq}\n${source}\n${event_id}`;

/** Pure. Rows of the same segments, without rules and with them: those that differ. */
export function changedRows(raw: readonly EventRow[], now: readonly EventRow[]): ChangedRow[] {
  const byKey = new Map(now.map((row) => [rowKey(row), row]));
  return raw.flatMap((before) => {
    const after = byKey.get(rowKey(before)) ?? null;
    return after !== null && JSON.stringify(after) === JSON.stringify(before) ? [] : [{ before, after }];
  });
}

/** No rule changes an event's time: before and after are of one hour. */
const hoursOf = (pairs: readonly ChangedRow[]): number[] => [
  ...new Set(pairs.map(({ before }) => Math.floor(before.event_time / MICROS_PER_MS / HOUR_MS) * HOUR_MS)),
];
