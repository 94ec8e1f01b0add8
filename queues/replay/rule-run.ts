/** What the stages of a job with rules share: its slice, its progress, its rules, and what they do with what cannot be read. */
import type { CorrectionSpec } from "../../durable-objects/replay-desk/api.ts";
import type { RuleChange, RuleFilter } from "../../r2-layout/rule.ts";
import type { Damage } from "../read-segment.ts";
import { JobStore } from "./job-store.ts";
import { endOfPatience } from "./patience.ts";
import type { RuleParts } from "./rule-parts.ts";
import type { Draft, RuleProgress } from "./rule-progress.ts";
import type { Saved } from "./saved.ts";
import { type Advance, lookAgain, type Slice } from "./slice.ts";
import { ALL_CORRECTED, isKnownUnreadable, type UncorrectedPlace, withUncorrected } from "./uncorrected.ts";

export class RuleRun {
  readonly slice: Slice;
  readonly parts: RuleParts;
  readonly store: JobStore;
  readonly #saved: Saved<RuleProgress>;
  #places: Promise<ReadonlySet<string> | null> | null = null;

  constructor(slice: Slice, parts: RuleParts, progress: Saved<RuleProgress>) {
    this.slice = slice;
    this.parts = parts;
    this.store = new JobStore(parts.bucket, slice.job.id);
    this.#saved = progress;
  }

  get progress(): RuleProgress {
    return this.#saved.now;
  }

  save(...change: Parameters<Saved<RuleProgress>["save"]>): Promise<void> {
    return this.#saved.save(...change);
  }

  async waitFor(waitsFor: string, next: Advance = lookAgain): Promise<Advance> {
    await this.slice.save({ waitsFor });
    return next;
  }

  async ruleOf({ object }: Draft): Promise<{ filter: RuleFilter; change: RuleChange; note: string | null }> {
    if (object !== null) {
      const { spec } = this.slice.job;
      const kind = spec.kind === "erasure" ? spec.mode : "retract";
      return { filter: await this.store.get<RuleFilter>(object), change: { kind }, note: null };
    }
    const { filter, change, note } = this.slice.job.spec as CorrectionSpec;
    return { filter, change, note };
  }

  /** @throws SegmentDamaged while it may be that only this reading has failed: as often as a job fails before it gives up. */
  losePatience(shard: number, damage: Damage): void {
    const known = this.progress.uncorrected ?? ALL_CORRECTED;
    if (!isKnownUnreadable(known, shard, damage.ref.seq)) endOfPatience(this.slice, damage);
  }

  /** Rows that nobody can read stay uncorrected in the stores that have read them before, if the rules may concern them. */
  async leaveOut(shard: number, seq: number, { events }: Pick<Damage, "events">): Promise<void> {
    this.#places ??= this.#rulePlaces();
    const places = await this.#places;
    if (places !== null && !places.has(`${shard}/${seq}`)) return;
    for (const sink of ["sessions", "rollups"] as const) {
      const holes = await this.parts.source.holes(sink, shard);
      if (!holes.some((hole) => hole.seq === seq)) this.note({ sink, shard, seq, events, window: null });
    }
  }

  /** Saved with what is saved next. */
  note(place: UncorrectedPlace): void {
    const known = this.progress.uncorrected ?? ALL_CORRECTED;
    const uncorrected = withUncorrected(known, place);
    if (uncorrected === known) return;
    this.#saved.note({ uncorrected });
    console.error(JSON.stringify({ at: "replay", job: this.slice.job.id, reason: "uncorrected", ...place }));
  }

  /** Segments (`<shard>/<seq>`) that the job's rules name; null where one of them goes by what a row says. */
  async #rulePlaces(): Promise<ReadonlySet<string> | null> {
    const named = new Set<string>();
    for (const draft of this.progress.drafts) {
      const { places } = (await this.ruleOf(draft)).filter;
      if (!places) return null;
      for (const { shard, seq } of places) named.add(`${shard}/${seq}`);
    }
    return named;
  }
}
