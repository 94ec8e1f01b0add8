/**
 * The quarantine's entries, newest first, a page at a time. Two orders are merged: the messages' keys, which R2 lists a
 * day at a time with the newest first, and the holes of every cursor. A page looks at a bounded number of objects, so it
 * may end early where most do not fit its filter; its cursor goes on from there.
 */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { HolesApi, HolesRequest } from "../../durable-objects/sink-cursor/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { QUARANTINE } from "../../r2-layout/limits.ts";
import type { SinkName } from "../../r2-layout/sinks.ts";
import { SINKS } from "../../r2-layout/sinks.ts";
import { boundedParallel } from "../sessions/bounded-parallel.ts";
import type { QuarantineEntry } from "./entry.ts";
import { holeEntry, messageEntry, type ParkedObject } from "./entry.ts";

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
  const holes = kind === "message" ? [] : await holesAfter(deps, request);
  const messages = kind === "hole" ? none() : parked(deps.bucket, after?.key ?? null);
  const entries: QuarantineEntry[] = [];
  let place = after;
  let looked = 0;
  let message = await messages.next();
  for (;;) {
    const hole = holes[0];
    const first = message.done ? hole : hole && isNewer(hole, message.value.entry) ? hole : message.value.entry;
    if (!first) return { entries, next: null };
    if (entries.length === limit || looked++ === QUARANTINE.objectsPerPage) return { entries, next: place };
    // Keys of an earlier version are not in the order of time: the place never goes back up, or holes would come twice.
    const { at, id } = place && isNewer(first, place) ? place : first;
    place = { at, id, key: place?.key ?? null };
    if (first === hole) holes.shift();
    else if (!message.done) {
      place = { ...place, key: message.value.key };
      message = await messages.next();
    }
    if (state === "all" || state === first.state) entries.push(first);
  }
}

type Placed = Pick<QuarantineEntry, "at" | "id">;

const isNewer = (one: Placed, other: Placed): boolean =>
  one.at > other.at || (one.at === other.at && one.id < other.id);

/** At most a page of each cursor's, newest first. */
async function holesAfter(
  deps: QuarantineDeps,
  { state, limit, after }: QuarantineRequest,
): Promise<QuarantineEntry[]> {
  const request: HolesRequest = {
    // Some may share the last one's millisecond, and be left out again.
    limit: 2 * limit,
    ...(state === "open" && { open: true }),
    ...(after && { until: Date.parse(after.at) }),
  };
  const entries: QuarantineEntry[] = [];
  const keepers = SINKS.flatMap((sink) => Array.from({ length: deps.shards }, (_, shard) => ({ sink, shard })));
  await boundedParallel(keepers, QUARANTINE.cursorsAtOnce, async ({ sink, shard }) => {
    const holes = await holeKeeper(deps, sink, shard).holes(shard, request);
    for (const hole of holes) entries.push(holeEntry(sink, hole));
  });
  return entries.filter((entry) => !after || isNewer(after, entry)).sort((a, b) => (isNewer(a, b) ? -1 : 1));
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
