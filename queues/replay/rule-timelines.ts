/**
 * Timelines follow a rule: by the pairs that the lake has named, and by those that only the log can name, because the lake
 * had them otherwise, or not (timeline-places.ts). What was changed says which hours of the rollups are touched.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { HOUR_MS, REPLAY } from "../../r2-layout/limits.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { Damage } from "../read-segment.ts";
import { addHours, mergeRanges } from "./hour-ranges.ts";
import { beginRead, joinedSeqs, type ReadState } from "./reads.ts";
import type { Amended, ChangedRow } from "./rule-parts.ts";
import type { RuleRun } from "./rule-run.ts";
import { MORE, type StageEnd } from "./slice.ts";
import type { ReplayStep } from "./target.ts";
import { pairsAsInTimelines, rollupPlaces, type TimelinePlaces, timelinePlaces } from "./timeline-places.ts";
import { walkReads } from "./walk-reads.ts";

export class RuleTimelines {
  readonly #run: RuleRun;

  constructor(run: RuleRun) {
    this.#run = run;
  }

  /** Pairs that only the log can name, to R2. */
  async gap(): Promise<StageEnd> {
    if (this.#run.progress.gap === null) await this.#findGap();
    const unreadable = async (shard: number, damage: Damage) => {
      // The lake has tried it long enough.
      const holes = await this.#run.parts.source.holes("lake", shard);
      if (!holes.some(({ seq }) => seq === damage.ref.seq)) this.#run.losePatience(shard, damage);
      await this.#run.leaveOut(shard, damage.ref.seq, damage);
      return damage;
    };
    // As timelines have it: earlier rules have been carried through.
    const before = this.#run.parts.sourceBelow(this.#run.progress.versions[0]!);
    const pairsOf = (sink: "sessions" | "rollups", kind: "gap" | "hours") => ({
      sink,
      maxEvents: REPLAY.stepEvents,
      apply: async ({ shard, from, to, events }: ReplayStep) => {
        if (events.length === 0) return;
        const read = beginRead({ shard, after: from, to, steps: 0 });
        const onDamage = (damage: Damage) => unreadable(shard, damage);
        const now = await this.#run.parts.source.rows(read, to, "log", sink, onDamage);
        const pairs = changedRows(events, now.events);
        if (pairs.length > 0) await this.#run.store.put(pairName(kind, shard, from), pairs);
      },
      onDamage: unreadable,
    });
    const { slice, progress } = this.#run;
    const timelines = { ...pairsOf("sessions", "gap"), save: (gap: Reads) => this.#run.save({ gap }) };
    if (!(await walkReads(slice, before, progress.gap ?? [], timelines)).done) return MORE;
    const rollups = { ...pairsOf("rollups", "hours"), save: (apart: Reads) => this.#run.save({ apart }) };
    if (!(await walkReads(slice, before, progress.apart ?? [], rollups)).done) return MORE;
    await this.#run.save({ stage: "timelines" });
    return "next";
  }

  /**
   * What stands between the lake's cursor and the rule, and before that what timelines have otherwise than the lake; and what
   * neither of them can name, and the rollups may have.
   */
  async #findGap(): Promise<void> {
    const { slice, parts, progress } = this.#run;
    const { lakeBefore, places } = progress;
    const known: Record<number, TimelinePlaces> = {};
    const reads: ReadState[] = [];
    const apart: ReadState[] = [];
    for (const [shard, place] of places.entries()) {
      const after = lakeBefore?.cursors[shard] ?? 0;
      if (after < place) reads.push(beginRead({ shard, after, to: place, steps: 0 }));
      const lake = await this.#run.parts.source.holes("lake", shard);
      const sessions = await this.#run.parts.source.holes("sessions", shard);
      if (lake.length + sessions.length === 0) continue;
      const here = timelinePlaces(lake, sessions, after);
      known[shard] = here;
      const { segments } = await this.#run.parts.logs.getByName(shardName(shard)).segments(0, 1);
      const oldest = segments[0]?.seq ?? place;
      const seqs = here.read.filter((seq) => seq >= oldest && seq <= after && seq < place);
      for (const part of joinedSeqs(seqs)) reads.push(beginRead({ shard, ...part, steps: 0 }));
      const rollups = await this.#run.parts.source.holes("rollups", shard);
      for (const seq of rollupPlaces(lake, sessions, rollups, after)) {
        if (seq >= oldest && seq < place) apart.push(beginRead({ shard, after: seq - 1, to: seq, steps: 0 }));
      }
    }
    await this.#run.store.put(PLACES, known);
    for (const { shard, after, to } of [...reads, ...apart]) {
      slice.expectMore(await parts.source.count(shard, after, to));
    }
    await this.#run.save({ gap: reads, apart });
  }

  /** Every pair is amended. */
  async amend(): Promise<StageEnd> {
    const rules = this.#run.progress.versions.at(-1)!;
    const places = await this.#run.store.get<Record<number, TimelinePlaces>>(PLACES);
    while (!this.#run.slice.over) {
      const [name] = await this.#run.store.names("pairs/", this.#run.progress.pairs.page, 1);
      if (name === undefined) {
        await this.#run.save({ stage: "rollups", hours: mergeRanges(this.#run.progress.hours, REPLAY.windows) });
        return "next";
      }
      const pairs = await this.#run.store.get<readonly ChangedRow[]>(name);
      const amended = pairsOfTimelines(name, pairs, places);
      if (this.#run.progress.pairs.offset === 0) this.#run.slice.expectMore(amended.length);
      while (this.#run.progress.pairs.offset < amended.length) {
        const { offset } = this.#run.progress.pairs;
        const part = amended.slice(offset, offset + REPLAY.pairsAtOnce);
        const answer = await this.#run.parts.amend(part, rules, this.#run.slice.calls);
        if (answer === "more") return MORE;
        this.#run.slice.count(part.length);
        await this.#savePairs(answer, { offset: offset + part.length });
      }
      const lake = this.#run.progress.pairs.lake + (name.startsWith("pairs/lake") ? pairs.length : 0);
      const hours = addHours(this.#run.progress.hours, hoursOf(pairs));
      await this.#run.save({ hours, pairs: { ...this.#run.progress.pairs, page: name, offset: 0, lake } });
    }
    return MORE;
  }

  #savePairs(amended: Amended, change: { readonly offset: number }): Promise<void> {
    const { pairs } = this.#run.progress;
    return this.#run.save({
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
}

/** Where timelines have what the lake has elsewhere, by shard. */
const PLACES = "timeline-places.json.gz";

type Reads = readonly ReadState[];

/** Those of `hours` only say which hours are touched. */
function pairsOfTimelines(
  name: string,
  pairs: readonly ChangedRow[],
  places: Readonly<Record<number, TimelinePlaces>>,
): readonly ChangedRow[] {
  if (name.startsWith("pairs/hours")) return [];
  return name.startsWith("pairs/lake") ? pairsAsInTimelines(pairs, places) : pairs;
}

/** Names sort, so that pages are walked in one order. */
export const pairName = (from: "lake" | "gap" | "hours", of: number, page: number): string =>
  `pairs/${from}-${String(of).padStart(12, "0")}-${String(page).padStart(6, "0")}.json.gz`;

const rowKey = ({ log_seq, source, event_id }: EventRow): string => `${log_seq}\n${source}\n${event_id}`;

/** Pure. Rows of the same segments, without the rules and with them: those that differ. */
export function changedRows(without: readonly EventRow[], now: readonly EventRow[]): ChangedRow[] {
  const byKey = new Map(now.map((row) => [rowKey(row), row]));
  return without.flatMap((before) => {
    const after = byKey.get(rowKey(before)) ?? null;
    return after !== null && JSON.stringify(after) === JSON.stringify(before) ? [] : [{ before, after }];
  });
}

/** No rule changes an event's time: before and after are of one hour. */
const hoursOf = (pairs: readonly ChangedRow[]): number[] => [
  ...new Set(pairs.map(({ before }) => Math.floor(before.event_time / MICROS_PER_MS / HOUR_MS) * HOUR_MS)),
];
