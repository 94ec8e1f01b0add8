/**
 * Older copies of events that a producer sent again to replace what it sent before. The segments that hold the republished
 * ones are read, other copies of the same (source, event_id) are looked for in the lake around their event_time:
 *
 *     wait      until the lake has what the log had when the search began: no copy of before then is overlooked
 *     ids       republished rows of the given segments, an object in R2 for each step that has some
 *     copies    the lake's rows around their times, of all shards, for as many ids at once as memory allows; the newest
 *               republished copy stays, places of the others, lot by lot, become drafts of rules
 *     done
 *
 * The label decides, not the order: an original that was late on its queue, or sent again without a label, goes as well.
 */
import type { Settled } from "../../durable-objects/replay-desk/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import { addSettled, copyOf, type EventCopy, idKey, placeKey, settledCounts, supersededCopies } from "./copies.ts";
import { draftRetractions, storedCopies } from "./copies-job.ts";
import type { JobStore } from "./job-store.ts";
import { logHeads } from "./log-heads.ts";
import { leaveOutInTheEnd } from "./patience.ts";
import { beginRead, type ReadState } from "./reads.ts";
import type { RuleParts } from "./rule-parts.ts";
import type { Draft } from "./rule-progress.ts";
import type { Saved } from "./saved.ts";
import { lookAgain, MORE, type Slice, type StageEnd } from "./slice.ts";
import { walkReads } from "./walk-reads.ts";

/** Ids of one step, in R2, and the times of their events, microseconds. */
interface IdLot {
  readonly object: string;
  readonly ids: number;
  readonly from: number;
  readonly to: number;
}

export interface RepublishedProgress {
  /** `rules` is what a settlement has come to after it. */
  readonly stage: "wait" | "ids" | "copies" | "done" | "rules";
  /** Of every shard, when the search began. */
  readonly heads: readonly number[];
  readonly reads: readonly ReadState[];
  readonly lots: readonly IdLot[];
  /** Lots that are looked for at once; those before them are decided. */
  readonly group: { readonly first: number; readonly end: number; readonly reads: readonly ReadState[] } | null;
  readonly drafts: readonly Draft[];
  readonly settled: readonly Settled[];
}

/** @param reads segments that hold republished events */
export async function beginRepublished(
  parts: RuleParts,
  reads: readonly { readonly shard: number; readonly after: number; readonly to: number }[],
): Promise<RepublishedProgress> {
  return {
    stage: "wait",
    heads: await logHeads(parts),
    reads: reads.map((read) => beginRead({ ...read, steps: 0 })),
    lots: [],
    group: null,
    drafts: [],
    settled: [],
  };
}

export class RepublishedSearch {
  readonly #slice: Slice;
  readonly #parts: RuleParts;
  readonly #store: JobStore;
  readonly #progress: Saved<RepublishedProgress>;
  readonly #prefix: string;
  readonly #known: () => Promise<ReadonlySet<string>>;

  /**
   * @param prefix of its objects among the job's
   * @param known places (`placeKey`) that the job retracts for another reason
   */
  constructor(
    slice: Slice,
    parts: RuleParts,
    store: JobStore,
    progress: Saved<RepublishedProgress>,
    prefix = "",
    known: () => Promise<ReadonlySet<string>> = async () => new Set(),
  ) {
    this.#slice = slice;
    this.#parts = parts;
    this.#store = store;
    this.#progress = progress;
    this.#prefix = prefix;
    this.#known = known;
  }

  /** One stage; "next" also where all is done. */
  async stage(): Promise<StageEnd> {
    switch (this.#progress.now.stage) {
      case "wait":
        return this.#wait();
      case "ids":
        return this.#ids();
      case "copies":
        return this.#copies();
      default:
        return "next";
    }
  }

  async #wait(): Promise<StageEnd> {
    const { cursors } = await this.#parts.lake();
    const { heads } = this.#progress.now;
    const behind = heads.findIndex((head, shard) => (cursors[shard] ?? 0) < head);
    if (behind < 0) {
      await this.#progress.save({ stage: "ids" });
      return "next";
    }
    await this.#slice.save({ waitsFor: `lake of shard ${behind}: at ${cursors[behind] ?? 0} of ${heads[behind]}` });
    return lookAgain;
  }

  async #ids(): Promise<StageEnd> {
    const { done } = await walkReads(this.#slice, this.#parts.source, this.#progress.now.reads, {
      sink: "lake",
      maxEvents: REPLAY.stepEvents,
      onDamage: leaveOutInTheEnd(this.#slice),
      apply: async ({ shard, from, events }) => {
        const ids = events.map(copyOf).filter(({ republished }) => republished);
        const object = `${this.#prefix}ids/${shardName(shard)}-${from}.json.gz`;
        if (ids.length === 0 || this.#progress.now.lots.some((lot) => lot.object === object)) return;
        await this.#store.put(object, ids);
        const times = ids.map(({ eventTime }) => eventTime);
        const lot = { object, ids: ids.length, from: min(times), to: max(times) };
        this.#progress.note({ lots: [...this.#progress.now.lots, lot] });
      },
      save: (reads) => this.#progress.save({ reads }),
    });
    if (!done) return MORE;
    await this.#progress.save({ stage: "copies", lots: this.#progress.now.lots.toSorted((a, b) => a.from - b.from) });
    return "next";
  }

  async #copies(): Promise<StageEnd> {
    const { lots } = this.#progress.now;
    const group = this.#progress.now.group ?? this.#groupFrom(0);
    if (group.first >= lots.length) {
      await this.#progress.save({ stage: "done" });
      return "next";
    }
    const ids = new Set<string>();
    for (const { object } of lots.slice(group.first, group.end)) {
      for (const copy of await this.#store.get<readonly EventCopy[]>(object)) ids.add(idKey(copy));
    }
    const found = `${this.#prefix}copies/${group.first}/`;
    const { done } = await walkReads(this.#slice, this.#parts.lakeSource, group.reads, {
      sink: "lake",
      maxEvents: REPLAY.stepEvents,
      onDamage: leaveOutInTheEnd(this.#slice),
      apply: async ({ shard, step, events }) => {
        const copies = events.filter((row) => ids.has(idKey(row))).map(copyOf);
        if (copies.length > 0) await this.#store.put(`${found}${shardName(shard)}-${step}.json.gz`, copies);
      },
      save: (now) => this.#progress.save({ group: { ...group, reads: now } }),
    });
    if (!done) return MORE;
    await this.#decide(group, found);
    return "next";
  }

  async #decide({ first, end }: { first: number; end: number }, found: string): Promise<void> {
    const known = await this.#known();
    const superseded = supersededCopies(await storedCopies(this.#store, found));
    const gone = superseded.filter((copy) => !known.has(placeKey(copy)));
    const drafts = await draftRetractions(this.#store, this.#parts.source, gone, `${this.#prefix}${first}-`);
    const now = this.#progress.now;
    await this.#progress.save({
      group: this.#groupFrom(end),
      drafts: [...now.drafts, ...drafts],
      settled: addSettled(now.settled, settledCounts(gone, "republished")),
    });
  }

  /** Lots whose ids are looked for together, and where: the lake's rows around their times. */
  #groupFrom(first: number): NonNullable<RepublishedProgress["group"]> {
    const { lots, heads } = this.#progress.now;
    if (first >= lots.length) return { first, end: first, reads: [] };
    let end = first;
    let ids = 0;
    let to = 0;
    for (; end < lots.length; end++) {
      const lot = lots[end]!;
      if (end > first && (ids + lot.ids > REPLAY.settleIds || lot.from > to + 2 * REPLAY.settleReachMs * MICROS_PER_MS))
        break;
      ids += lot.ids;
      to = Math.max(to, lot.to);
    }
    const window = {
      from: Math.floor(lots[first]!.from / MICROS_PER_MS) - REPLAY.settleReachMs,
      to: Math.ceil(to / MICROS_PER_MS) + REPLAY.settleReachMs,
    };
    const reads = heads.flatMap((head, shard) =>
      head === 0 ? [] : [beginRead({ shard, after: 0, to: head, steps: 0, window })],
    );
    return { first, end, reads };
  }
}

const min = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b));
const max = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b));
