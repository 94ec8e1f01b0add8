/**
 * The audit (promise 2): an id that two shards own was accepted twice, because the same event came under another
 * identity, or without a label a second time. Each shard's window is exact, so the windows are compared:
 *
 *     ids       each day's ids of a shard, a page at a time, are asked of all other shards; what another owns is a suspect
 *     copies    the segments of the days on which either shard took them are read: the suspects' rows and places. Rows have
 *               passed through the rules, so a copy that was retracted before is not found again
 *     decide    of those with two or more rows left the one that the log took first stays; the others are retracted
 *     rules     rule-job.ts
 *
 * Message ids are among a shard's ids and are of one shard only. An id that was republished under a label is another id
 * (its settlement is settlement-job.ts): rows with that flag are no copies here.
 */
import type { AuditSpec, Settled } from "../../durable-objects/replay-desk/api.ts";
import { idHash } from "../../r2-layout/event-id.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { DAY_MS, REPLAY } from "../../r2-layout/limits.ts";
import { dayOf, MICROS_PER_MS } from "../../r2-layout/time.ts";
import { copyOf, type EventCopy, idKey, repeatedCopies, retractions, settledCounts, withOrigins } from "./copies.ts";
import { JobStore } from "./job-store.ts";
import { logHeads } from "./log-heads.ts";
import { beginRead, type ReadState } from "./reads.ts";
import { beginRules, type Draft, RuleJob, type RuleProgress } from "./rule-job.ts";
import type { RuleParts } from "./rule-parts.ts";
import { seqAt } from "./seq-at.ts";
import { type Advance, advanceStages, MORE, type Slice, type StageEnd } from "./slice.ts";
import { type Looks, NO_LOOKS } from "./stand-back.ts";
import { walkReads } from "./walk-reads.ts";

const ID_BYTES = 16;

export interface AuditProgress {
  readonly looks: Looks;
  readonly stage: "ids" | "copies" | "rules";
  /** Shards whose ids are compared: those of its beginning. Absent in an audit from before this was kept. */
  readonly shards?: number;
  /** Where the comparing stands: the day and shard, and the last page's end, hexadecimal. */
  readonly at: { readonly day: number; readonly shard: number; readonly after: string | null };
  /** `<shard>/<day>` of segments to be read. */
  readonly days: readonly string[];
  readonly suspects: number;
  readonly reads: readonly ReadState[] | null;
  readonly rules: RuleProgress | null;
}

export async function advanceAudit(slice: Slice, parts: RuleParts): Promise<Advance> {
  if (slice.job.state === "cancelling") return { kind: "state", state: "cancelled", outcome: "cancelled" };
  return new AuditJob(slice, parts).advance();
}

class AuditJob {
  readonly #slice: Slice;
  readonly #parts: RuleParts;
  readonly #store: JobStore;
  readonly #days: readonly string[];
  #progress: AuditProgress;

  constructor(slice: Slice, parts: RuleParts) {
    this.#slice = slice;
    this.#parts = parts;
    this.#store = new JobStore(parts.bucket, slice.job.id);
    this.#days = (slice.job.spec as AuditSpec).days;
    this.#progress = (slice.progress as AuditProgress | null) ?? {
      looks: NO_LOOKS,
      stage: "ids",
      at: { day: 0, shard: 0, after: null },
      days: [],
      suspects: 0,
      reads: null,
      rules: null,
    };
  }

  advance(): Promise<Advance> {
    return advanceStages(this.#slice, () => this.#stage());
  }

  async #stage(): Promise<StageEnd> {
    switch (this.#progress.stage) {
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

  async #ids(): Promise<StageEnd> {
    if (this.#progress.shards === undefined) {
      const { length: shards } = await logHeads(this.#parts);
      await this.#save({ shards });
    }
    // One shard has nobody to share an id with.
    while (this.#progress.shards! > 1 && this.#progress.at.day < this.#days.length) {
      if (this.#slice.over) return MORE;
      await this.#comparePage();
    }
    if (this.#progress.suspects === 0) return { kind: "state", state: "done", outcome: "no id in two shards" };
    await this.#save({ stage: "copies" });
    return "next";
  }

  async #comparePage(): Promise<void> {
    const { at } = this.#progress;
    const day = this.#days[at.day]!;
    const after = at.after === null ? null : new Uint8Array(Buffer.from(at.after, "hex"));
    const { ids, next } = await this.#parts.logs.getByName(shardName(at.shard)).idsOf(day, after);
    const found = new Set<string>();
    const days = new Set(this.#progress.days);
    for (let other = 0; other < this.#progress.shards! && ids.length > 0; other++) {
      if (other === at.shard) continue;
      const owned = await this.#parts.logs.getByName(shardName(other)).ownedAt(ids);
      for (let i = 0; i < owned.length; i++) {
        if (owned[i] === 0) continue;
        found.add(Buffer.from(ids.subarray(i * ID_BYTES, (i + 1) * ID_BYTES)).toString("hex"));
        days.add(`${at.shard}/${day}`).add(`${other}/${dayOf(owned[i]! * MICROS_PER_MS)}`);
      }
    }
    this.#slice.count(ids.length / ID_BYTES);
    if (found.size > 0) {
      // Named by where it began: made again, it is written again.
      await this.#store.put(`suspects/${day}-${shardName(at.shard)}-${at.after ?? ""}.json.gz`, [...found]);
    }
    const moved =
      next !== null
        ? { ...at, after: Buffer.from(next).toString("hex") }
        : at.shard + 1 < this.#progress.shards!
          ? { day: at.day, shard: at.shard + 1, after: null }
          : { day: at.day + 1, shard: 0, after: null };
    await this.#save({ at: moved, days: [...days], suspects: this.#progress.suspects + found.size });
  }

  async #copies(): Promise<StageEnd> {
    const suspects = new Set<string>();
    for (const name of await this.#store.names("suspects/", null)) {
      for (const id of await this.#store.get<readonly string[]>(name)) suspects.add(id);
    }
    if (this.#progress.reads === null) await this.#save({ reads: await this.#readsOf(this.#progress.days) });
    const { done } = await walkReads(this.#slice, this.#parts.source, this.#progress.reads!, {
      sink: "lake",
      maxEvents: REPLAY.stepEvents,
      apply: async ({ shard, from, events }) => {
        const copies = events.map(copyOf).filter((copy) => !copy.republished && suspects.has(hexId(copy)));
        if (copies.length > 0) await this.#store.put(`copies/${shardName(shard)}-${from}.json.gz`, copies);
      },
      save: (reads) => this.#save({ reads }),
    });
    return done ? this.#decide() : MORE;
  }

  async #decide(): Promise<StageEnd> {
    const copies: (EventCopy & { readonly committedAt: number })[] = [];
    const byPlace = new Map<string, number>();
    const all: EventCopy[] = [];
    for (const name of await this.#store.names("copies/", null))
      all.push(...(await this.#store.get<EventCopy[]>(name)));
    const several = new Set(
      [...Map.groupBy(all, idKey)].filter(([, group]) => new Set(group.map(place)).size > 1).map(([key]) => key),
    );
    for (const copy of all) {
      if (!several.has(idKey(copy))) continue;
      const segment = `${copy.shard}/${copy.seq}`;
      if (!byPlace.has(segment)) {
        const { segments } = await this.#parts.logs.getByName(shardName(copy.shard)).segments(copy.seq - 1, 1);
        byPlace.set(segment, segments[0]?.committedAt ?? 0);
      }
      copies.push({ ...copy, committedAt: byPlace.get(segment)! });
    }
    const gone = repeatedCopies(copies);
    if (gone.length === 0) return { kind: "state", state: "done", outcome: "no id in two shards" };
    const places = await withOrigins(gone, (shard) => this.#parts.source.holes("lake", shard));
    const drafts: Draft[] = [];
    for (const [n, filter] of retractions(places, REPLAY.placesPerRule).entries()) {
      const draft = { key: String(n), object: `drafts/${n}.json.gz` };
      await this.#store.put(draft.object, filter);
      drafts.push(draft);
    }
    await this.#save({ stage: "rules", rules: beginRules(drafts, settledCounts(gone, "repeated")) });
    return "next";
  }

  /** The segments that were committed on each day, and the day before and after: runs of ids are known by the day. */
  async #readsOf(days: readonly string[]): Promise<ReadState[]> {
    const reads: ReadState[] = [];
    for (const [name, some] of Map.groupBy(days, (day) => day.slice(0, day.indexOf("/")))) {
      const shard = Number(name);
      const log = this.#parts.logs.getByName(shardName(shard));
      const starts = some.map((day) => Date.parse(day.slice(day.indexOf("/") + 1))).sort((a, b) => a - b);
      let last = 0;
      for (const start of starts) {
        const after = Math.max(last, (await seqAt(log, start - DAY_MS)) - 1);
        const to = (await seqAt(log, start + 2 * DAY_MS)) - 1;
        if (to > after) reads.push(beginRead({ shard, after, to, steps: 0 }));
        last = Math.max(last, to);
      }
    }
    return reads;
  }

  async #save(change: Partial<AuditProgress>, settled?: readonly Settled[]): Promise<void> {
    this.#progress = { ...this.#progress, ...change };
    await this.#slice.save({ progress: this.#progress, ...(settled && { settled }) });
  }
}

const place = ({ shard, seq }: EventCopy): string => `${shard}/${seq}`;

const hexId = ({ source, event_id }: EventCopy): string =>
  Buffer.from(idHash("event", source, event_id)).toString("hex");
