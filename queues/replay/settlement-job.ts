/**
 * Settlement of republished events: a producer sent ids again to replace what it sent before. The segments that hold
 * them are read, older copies of the same (source, event_id) are looked for in the lake around their event_time, and
 * retracted by rules with places:
 *
 *     wait      until the lake has what the log had when the job began: no copy of before then is overlooked
 *     ids       republished rows of the given segments, an object in R2 for each step that has some
 *     copies    the lake's rows around their times, of all shards, for as many ids at once as memory allows
 *     decide    the newest republished copy stays; places of the others, lot by lot, become drafts of rules
 *     rules     rule-job.ts
 *
 * A copy that comes while it runs has a later segment: the next settlement finds it, and this one, too.
 */
import type { Settled, SettlementSpec } from "../../durable-objects/replay-desk/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import {
  addSettled,
  copyOf,
  type EventCopy,
  idKey,
  retractions,
  settledCounts,
  supersededCopies,
  withOrigins,
} from "./copies.ts";
import { JobStore } from "./job-store.ts";
import { logHeads } from "./log-heads.ts";
import { beginRead, type ReadState } from "./reads.ts";
import { beginRules, type Draft, RuleJob, type RuleProgress } from "./rule-job.ts";
import type { RuleParts } from "./rule-parts.ts";
import { type Advance, advanceStages, lookAgain, MORE, type Slice, type StageEnd } from "./slice.ts";
import { type Looks, NO_LOOKS } from "./stand-back.ts";
import { walkReads } from "./walk-reads.ts";

/** Ids of one step, in R2, and the times of their events, microseconds. */
interface IdLot {
  readonly object: string;
  readonly ids: number;
  readonly from: number;
  readonly to: number;
}

export interface SettlementProgress {
  readonly looks: Looks;
  readonly stage: "wait" | "ids" | "copies" | "rules";
  /** Of every shard, when the job began. */
  readonly heads: readonly number[];
  readonly reads: readonly ReadState[];
  readonly lots: readonly IdLot[];
  /** Lots that are looked for at once; those before them are decided. */
  readonly group: { readonly first: number; readonly end: number; readonly reads: readonly ReadState[] } | null;
  readonly drafts: readonly Draft[];
  readonly settled: readonly Settled[];
  readonly rules: RuleProgress | null;
}

export async function advanceSettlement(slice: Slice, parts: RuleParts): Promise<Advance> {
  if (slice.job.state === "cancelling") return { kind: "state", state: "cancelled", outcome: "cancelled" };
  const job = new SettlementJob(slice, parts, await begun(slice, parts));
  return job.advance();
}

async function begun(slice: Slice, parts: RuleParts): Promise<SettlementProgress> {
  if (slice.progress !== null) return slice.progress as SettlementProgress;
  const heads = await logHeads(parts);
  const reads = (slice.job.spec as SettlementSpec).reads.map((read) => beginRead({ ...read, steps: 0 }));
  const progress: SettlementProgress = {
    looks: NO_LOOKS,
    stage: "wait",
    heads,
    reads,
    lots: [],
    group: null,
    drafts: [],
    settled: [],
    rules: null,
  };
  await slice.save({ progress });
  return progress;
}

class SettlementJob {
  readonly #slice: Slice;
  readonly #parts: RuleParts;
  readonly #store: JobStore;
  #progress: SettlementProgress;

  constructor(slice: Slice, parts: RuleParts, progress: SettlementProgress) {
    this.#slice = slice;
    this.#parts = parts;
    this.#store = new JobStore(parts.bucket, slice.job.id);
    this.#progress = progress;
  }

  advance(): Promise<Advance> {
    return advanceStages(this.#slice, () => this.#stage());
  }

  async #stage(): Promise<StageEnd> {
    switch (this.#progress.stage) {
      case "wait":
        return this.#wait();
      case "ids":
        return this.#ids();
      case "copies":
        return this.#copies();
      case "rules":
        return new RuleJob(this.#slice, this.#parts, this.#progress.rules!, (rules, settled) =>
          this.#save({ rules }, settled),
        ).advance();
    }
  }

  async #wait(): Promise<StageEnd> {
    const { cursors } = await this.#parts.lake();
    const behind = this.#progress.heads.findIndex((head, shard) => (cursors[shard] ?? 0) < head);
    if (behind < 0) {
      await this.#save({ stage: "ids" });
      return "next";
    }
    await this.#slice.save({
      waitsFor: `lake of shard ${behind}: at ${cursors[behind] ?? 0} of ${this.#progress.heads[behind]}`,
    });
    return lookAgain;
  }

  async #ids(): Promise<StageEnd> {
    const { done } = await walkReads(this.#slice, this.#parts.source, this.#progress.reads, {
      sink: "lake",
      maxEvents: REPLAY.stepEvents,
      apply: async ({ shard, from, events }) => {
        const ids = events.map(copyOf).filter(({ republished }) => republished);
        const object = `ids/${shardName(shard)}-${from}.json.gz`;
        if (ids.length === 0 || this.#progress.lots.some((lot) => lot.object === object)) return;
        await this.#store.put(object, ids);
        const times = ids.map(({ eventTime }) => eventTime);
        const lot = { object, ids: ids.length, from: min(times), to: max(times) };
        this.#progress = { ...this.#progress, lots: [...this.#progress.lots, lot] };
      },
      save: (reads) => this.#save({ reads }),
    });
    if (!done) return MORE;
    await this.#save({ stage: "copies", lots: this.#progress.lots.toSorted((a, b) => a.from - b.from) });
    return "next";
  }

  async #copies(): Promise<StageEnd> {
    const { lots, drafts, settled } = this.#progress;
    const group = this.#progress.group ?? this.#groupFrom(0);
    if (group.first >= lots.length) {
      if (drafts.length === 0) return { kind: "state", state: "done", outcome: "nothing to settle" };
      await this.#save({ stage: "rules", rules: beginRules(drafts, settled) });
      return "next";
    }
    const ids = new Set<string>();
    for (const { object } of lots.slice(group.first, group.end)) {
      for (const copy of await this.#store.get<readonly EventCopy[]>(object)) ids.add(idKey(copy));
    }
    const found = `copies/${group.first}`;
    const { done } = await walkReads(this.#slice, this.#parts.lakeSource, group.reads, {
      sink: "lake",
      maxEvents: REPLAY.stepEvents,
      apply: async ({ shard, step, events }) => {
        const copies = events.filter((row) => ids.has(idKey(row))).map(copyOf);
        if (copies.length > 0) await this.#store.put(`${found}/${shardName(shard)}-${step}.json.gz`, copies);
      },
      save: (now) => this.#save({ group: { ...group, reads: now } }),
    });
    if (!done) return MORE;
    await this.#decide(group, found);
    return "next";
  }

  async #decide(group: { first: number; end: number }, found: string): Promise<void> {
    const copies: EventCopy[] = [];
    for (const name of await this.#store.names(`${found}/`, null)) {
      copies.push(...(await this.#store.get<readonly EventCopy[]>(name)));
    }
    const gone = supersededCopies(copies);
    const places = await withOrigins(gone, (shard) => this.#parts.source.holes("lake", shard));
    const drafts: Draft[] = [];
    for (const [n, filter] of retractions(places, REPLAY.placesPerRule).entries()) {
      const draft = { key: `${group.first}-${n}`, object: `drafts/${group.first}-${n}.json.gz` };
      await this.#store.put(draft.object, filter);
      drafts.push(draft);
    }
    await this.#save({
      group: this.#groupFrom(group.end),
      drafts: [...this.#progress.drafts, ...drafts],
      settled: addSettled(this.#progress.settled, settledCounts(gone, "republished")),
    });
  }

  /** Lots whose ids are looked for together, and where: the lake's rows around their times. */
  #groupFrom(first: number): NonNullable<SettlementProgress["group"]> {
    const { lots, heads } = this.#progress;
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

  async #save(change: Partial<SettlementProgress>, settled?: readonly Settled[]): Promise<void> {
    this.#progress = { ...this.#progress, ...change };
    await this.#slice.save({ progress: this.#progress, ...(settled && { settled }) });
  }
}

const min = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b));
const max = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b));
