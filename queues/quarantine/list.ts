/**
 * The quarantine's entries, newest first, a page at a time. Two orders are merged: the messages' keys, which R2 lists a
 * day at a time with the newest first, and the holes of every cursor. A page looks at a bounded number of objects, so it
 * may end early where most do not fit its filter; its cursor goes on from there.
 */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { HolePlace, HolesApi } from "../../durable-objects/sink-cursor/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { QUARANTINE } from "../../r2-layout/limits.ts";
import type { SinkName } from "../../r2-layout/sinks.ts";
import { SINKS } from "../../r2-layout/sinks.ts";
import { boundedParallel } from "../sessions/bounded-parallel.ts";
import type { QuarantineEntry } from "./entry.ts";
import { holeEntry, holesRank, messageEntry, type ParkedObject, parseEntryId, rankOf } from "./entry.ts";
import { holePages } from "./hole-pages.ts";

/** The slice of R2 that a listing needs. */
export interface ObjectLister {
  list(options: {
    prefix: string;
    delimiter?: string;
    startAfter?: string;
    cursor?: string;
    include?: "customMetadata"[];
  }): Promise<{
    readonly objects: readonly ParkedObject[];
    readonly delimitedPrefixes: readonly string[];
    readonly truncated: boolean;
    readonly cursor?: string;
  }>;
}

export interface QuarantineDeps {
  readonly bucket: ObjectLister;
  readonly cursors: ObjectNamespace<Pick<HolesApi, "holes">>;
  readonly catalog: Pick<HolesApi, "holes">;
  readonly shards: number;
}

export interface QuarantineRequest {
  readonly state: "open" | "redriven" | "all";
  readonly kind: "message" | "hole" | null;
  readonly limit: number;
  /** As a page before gave it. */
  readonly after: PagePlace | null;
}

/** The last entry that a page looked at, and the last message. */
export interface PagePlace {
  readonly at: string;
  readonly id: string;
  readonly key: string | null;
}

export interface QuarantinePage {
  readonly entries: readonly QuarantineEntry[];
  readonly next: PagePlace | null;
}

export async function listQuarantine(deps: QuarantineDeps, request: QuarantineRequest): Promise<QuarantinePage> {
  const { limit, state, kind, after } = request;
  const holes = kind === "message" ? null : await HoleMerge.start(deps, request);
  const messages = kind === "hole" ? none() : parked(deps.bucket, after?.key ?? null);
  const entries: QuarantineEntry[] = [];
  let place = after;
  let looked = 0;
  let message = await messages.next();
  for (;;) {
    const hole = holes?.first();
    const first = message.done ? hole : hole && isNewer(hole, message.value.entry) ? hole : message.value.entry;
    if (!first) return { entries, next: null };
    if (entries.length === limit || looked++ === QUARANTINE.objectsPerPage) return { entries, next: place };
    // Keys of an earlier version are not in the order of time: the place never goes back up, or holes would come twice.
    const { at, id } = place && isNewer(first, place) ? place : first;
    place = { at, id, key: place?.key ?? null };
    if (first === hole) await holes?.shift();
    else if (!message.done) {
      place = { ...place, key: message.value.key };
      message = await messages.next();
    }
    if (state === "all" || state === first.state) entries.push(first);
  }
}

type Placed = Pick<QuarantineEntry, "at" | "id">;

const isNewer = (one: Placed, other: Placed): boolean =>
  one.at > other.at || (one.at === other.at && rankOf(one.id) < rankOf(other.id));

/** What a cursor gave, never empty, and the way to what comes after it. */
interface Head {
  entries: QuarantineEntry[];
  readonly more: () => Promise<QuarantineEntry[]>;
}

/** Every cursor's holes in one order. A cursor is asked for more only once those that it gave are used up. */
class HoleMerge {
  #heads: Head[] = [];

  static async start(deps: QuarantineDeps, { state, limit, after }: QuarantineRequest): Promise<HoleMerge> {
    const merge = new HoleMerge();
    const keepers = SINKS.flatMap((sink) => Array.from({ length: deps.shards }, (_, shard) => ({ sink, shard })));
    await boundedParallel(keepers, QUARANTINE.cursorsAtOnce, async ({ sink, shard }) => {
      const before = after && holePlace(after, sink, shard);
      const pages = holePages(holeKeeper(deps, sink, shard), shard, {
        open: state === "open",
        ...(before && { before }),
        // One more than an answer has tells whether another follows.
        pageSize: limit + 1,
      });
      const more = async () => {
        const next = await pages.next();
        return next.done ? [] : next.value.map((hole) => holeEntry(sink, hole));
      };
      const entries = await more();
      if (entries.length > 0) merge.#heads.push({ entries, more });
    });
    return merge;
  }

  first(): QuarantineEntry | undefined {
    return this.#newest()?.entries[0];
  }

  async shift(): Promise<void> {
    const head = this.#newest();
    if (!head) return;
    head.entries.shift();
    if (head.entries.length === 0) head.entries = await head.more();
    if (head.entries.length === 0) this.#heads = this.#heads.filter((one) => one !== head);
  }

  #newest(): Head | undefined {
    let newest: Head | undefined;
    for (const head of this.#heads) {
      if (!newest || isNewer(head.entries[0]!, newest.entries[0]!)) newest = head;
    }
    return newest;
  }
}

/** Where a cursor's holes go on after an entry, which may be another's. */
function holePlace({ at, id }: PagePlace, sink: SinkName, shard: number): HolePlace {
  const ms = Date.parse(at);
  const entry = parseEntryId(id);
  if (entry?.kind === "hole" && entry.sink === sink && entry.shard === shard) return { at: ms, seq: entry.seq };
  // Of the same millisecond either none was listed yet, or all of them.
  return holesRank({ sink, shard }) > rankOf(id) ? { at: ms + 1, seq: 0 } : { at: ms, seq: 0 };
}

export const holeKeeper = <Api>(
  deps: { readonly cursors: ObjectNamespace<Api>; readonly catalog: Api },
  sink: SinkName,
  shard: number,
): Api => (sink === "lake" ? deps.catalog : deps.cursors.getByName(`${sink}:${shardName(shard)}`));

async function* none(): AsyncGenerator<never> {}

/** Parked messages from the newest on, after a key. */
async function* parked(
  bucket: ObjectLister,
  after: string | null,
): AsyncGenerator<{ key: string; entry: QuarantineEntry }> {
  const days: string[] = [];
  for (let cursor: string | undefined, more = true; more; ) {
    const page = await bucket.list({ prefix: "poison/", delimiter: "/", ...(cursor && { cursor }) });
    days.push(...page.delimitedPrefixes);
    more = page.truncated;
    cursor = page.cursor;
  }
  for (const day of days.sort().reverse()) {
    if (after && day > after) continue;
    let cursor: string | undefined;
    for (let more = true; more; ) {
      const page = await bucket.list({
        prefix: day,
        include: ["customMetadata"],
        ...(cursor ? { cursor } : after?.startsWith(day) && { startAfter: after }),
      });
      for (const object of page.objects) {
        const entry = messageEntry(object);
        if (entry) yield { key: object.key, entry };
      }
      more = page.truncated;
      cursor = page.cursor;
    }
  }
}
