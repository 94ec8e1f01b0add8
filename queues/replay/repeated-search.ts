/**
 * An id that two shards own was accepted twice, because the same event came under another identity, or without a label a
 * second time. Each shard's window is exact, so the windows are compared:
 *
 *     ids       each day's ids of a shard, a page at a time, are asked of all other shards; what another owns is a suspect
 *     copies    the segments of the days on which either shard took them are read: the suspects' rows and places. Rows have
 *               passed through the rules, so a copy that was retracted before is not found again. Of those with two or more
 *               rows left the one that the log took first stays; the others become drafts of rules. What the lake had left
 *               out of these segments is read where it came back, however much later that was
 *
 * Message ids are among a shard's ids and are of one shard only. An id that was republished under a label is another id: rows
 * with that flag are no copies here.
 */
import type { Settled } from "../../durable-objects/replay-desk/api.ts";
import type { RecordedHole } from "../../durable-objects/sink-cursor/api.ts";
import { idHash } from "../../r2-layout/event-id.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { DAY_MS, REPLAY } from "../../r2-layout/limits.ts";
import { dayOf, MICROS_PER_MS } from "../../r2-layout/time.ts";
import { copyOf, type EventCopy, idKey, repeatedCopies, settledCounts } from "./copies.ts";
import { draftRetractions, storedCopies } from "./copies-job.ts";
import type { JobStore } from "./job-store.ts";
import { logHeads } from "./log-heads.ts";
import { leaveOutInTheEnd } from "./patience.ts";
import { beginRead, type ReadState } from "./reads.ts";
import type { RuleParts } from "./rule-parts.ts";
import type { Draft } from "./rule-progress.ts";
import type { Saved } from "./saved.ts";
import { seqAt } from "./seq-at.ts";
import { MORE, type Slice, type StageEnd } from "./slice.ts";
import { walkReads } from "./walk-reads.ts";

const ID_BYTES = 16;

export interface RepeatedProgress {
  /** `republished` and `rules` come after it. */
  readonly stage: "ids" | "copies" | "republished" | "rules";
  /** Shards whose ids are compared: those of its beginning. Absent in an audit from before this was kept. */
  readonly shards?: number;
  /** Where the comparing stands: the day and shard, and the last page's end, hexadecimal. */
  readonly at: { readonly day: number; readonly shard: number; readonly after: string | null };
  /** `<shard>/<day>` of segments to be read. */
  readonly days: readonly string[];
  readonly suspects: number;
  readonly reads: readonly ReadState[] | null;
  /** Absent before it has ended. */
  readonly drafts?: readonly Draft[];
  readonly settled?: readonly Settled[];
}

export const beginRepeated = (): Omit<RepeatedProgress, "drafts" | "settled"> => ({
  stage: "ids",
  at: { day: 0, shard: 0, after: null },
  days: [],
  suspects: 0,
  reads: null,
});

export class RepeatedSearch {
  readonly #slice: Slice;
  readonly #parts: RuleParts;
  readonly #store: JobStore;
  readonly #progress: Saved<RepeatedProgress>;
  readonly #days: readonly string[];

  /** @param days `YYYY-MM-DD`: whose ids are compared */
  constructor(
    slice: Slice,
    parts: RuleParts,
    store: JobStore,
    progress: Saved<RepeatedProgress>,
    days: readonly string[],
  ) {
    this.#slice = slice;
    this.#parts = parts;
    this.#store = store;
    this.#progress = progress;
    this.#days = days;
  }

  /** One stage of it. */
  stage(): Promise<StageEnd> {
    return this.#progress.now.stage === "ids" ? this.#ids() : this.#copies();
  }

  async #ids(): Promise<StageEnd> {
    if (this.#progress.now.shards === undefined) {
      const { length: shards } = await logHeads(this.#parts);
      await this.#progress.save({ shards });
    }
    const shards = this.#progress.now.shards!;
    // One shard has nobody to share an id with.
    while (shards > 1 && this.#progress.now.at.day < this.#days.length) {
      if (this.#slice.over) return MORE;
      await this.#comparePage(shards);
    }
    await this.#progress.save({ stage: this.#progress.now.suspects === 0 ? "republished" : "copies" });
    return "next";
  }

  async #comparePage(shards: number): Promise<void> {
    const { at, days: known, suspects } = this.#progress.now;
    const day = this.#days[at.day]!;
    const after = at.after === null ? null : new Uint8Array(Buffer.from(at.after, "hex"));
    const { ids, next } = await this.#parts.logs.getByName(shardName(at.shard)).idsOf(day, after);
    const found = new Set<string>();
    const days = new Set(known);
    for (let other = 0; other < shards && ids.length > 0; other++) {
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
        : at.shard + 1 < shards
          ? { day: at.day, shard: at.shard + 1, after: null }
          : { day: at.day + 1, shard: 0, after: null };
    await this.#progress.save({ at: moved, days: [...days], suspects: suspects + found.size });
  }

  async #copies(): Promise<StageEnd> {
    const suspects = new Set<string>();
    for (const name of await this.#store.names("suspects/", null)) {
      for (const id of await this.#store.get<readonly string[]>(name)) suspects.add(id);
    }
    if (this.#progress.now.reads === null) {
      await this.#progress.save({ reads: await this.#readsOf(this.#progress.now.days) });
    }
    const { done } = await walkReads(this.#slice, this.#parts.source, this.#progress.now.reads!, {
      sink: "lake",
      maxEvents: REPLAY.stepEvents,
      onDamage: leaveOutInTheEnd(this.#slice),
      apply: async ({ shard, from, events }) => {
        const copies = events.map(copyOf).filter((copy) => !copy.republished && suspects.has(hexId(copy)));
        if (copies.length > 0) await this.#store.put(`copies/${shardName(shard)}-${from}.json.gz`, copies);
      },
      save: (reads) => this.#progress.save({ reads }),
    });
    return done ? this.#decide() : MORE;
  }

  async #decide(): Promise<StageEnd> {
    const all = await storedCopies(this.#store, "copies/");
    const several = new Set(
      [...Map.groupBy(all, idKey)].filter(([, group]) => new Set(group.map(segmentKey)).size > 1).map(([key]) => key),
    );
    const copies: (EventCopy & { readonly committedAt: number })[] = [];
    const committed = new Map<string, number>();
    for (const copy of all) {
      if (!several.has(idKey(copy))) continue;
      const segment = segmentKey(copy);
      if (!committed.has(segment)) {
        const { segments } = await this.#parts.logs.getByName(shardName(copy.shard)).segments(copy.seq - 1, 1);
        committed.set(segment, segments[0]?.committedAt ?? 0);
      }
      copies.push({ ...copy, committedAt: committed.get(segment)! });
    }
    const gone = repeatedCopies(copies);
    const drafts = await draftRetractions(this.#store, this.#parts.source, gone, "");
    await this.#progress.save({ stage: "republished", drafts, settled: settledCounts(gone, "repeated") });
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
      reads.push(...redrivesOf(reads, shard, await this.#parts.source.holes("lake", shard)));
    }
    return reads;
  }
}

/** Pure. Reads of the segments as which holes of these reads came back, beyond them. One that came back may be a hole itself. */
export function redrivesOf(
  reads: readonly ReadState[],
  shard: number,
  holes: readonly Pick<RecordedHole, "seq" | "redrivenAs">[],
): ReadState[] {
  const isRead = (seq: number) => reads.some((read) => read.shard === shard && seq > read.after && seq <= read.to);
  const backAs = new Map(holes.map(({ seq, redrivenAs }) => [seq, redrivenAs]));
  const found = new Set<number>();
  for (const { seq } of holes.filter((hole) => isRead(hole.seq))) {
    for (let back = backAs.get(seq) ?? null; back !== null; back = backAs.get(back) ?? null) {
      if (!isRead(back)) found.add(back);
    }
  }
  return [...found].sort((a, b) => a - b).map((seq) => beginRead({ shard, after: seq - 1, to: seq, steps: 0 }));
}

const segmentKey = ({ shard, seq }: EventCopy): string => `${shard}/${seq}`;

const hexId = ({ source, event_id }: EventCopy): string =>
  Buffer.from(idHash("event", source, event_id)).toString("hex");
