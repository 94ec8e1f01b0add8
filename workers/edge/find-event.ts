/**
 * An event by its id alone. No store has a row for each event, and none needs one: the dedup windows know every id of the
 * last week, and when it was taken.
 *
 *     every shard's window is asked, by the hash that the id has for each source          one call a shard
 *     taken within the last hour or so: the moment is exact, and names its segment        the line is read
 *     taken before: the hour or the day is known                                          the lake is asked for just that
 *     not in a window                                                                     the lake, of a time that is named
 *
 * The lake is asked in SQL: with bounds on received_at, which leave out files, and with the price checked before the run. So
 * it takes no time to know that an id was never taken this week, and what a search of an old one takes is what it reads.
 */
import type { EventLogApi, EventLogAuditApi, EventLogPlacesApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { readSegment } from "../../queues/read-segment.ts";
import { segmentObject } from "../../queues/segment-object.ts";
import { idHash } from "../../r2-layout/event-id.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { DAY_MS, HOUR_MS, LOG, MINUTE_MS, SUPPORT } from "../../r2-layout/limits.ts";
import type { SegmentRef } from "../../r2-layout/segment.ts";

export interface EventFinder {
  readonly logs: ObjectNamespace<Pick<EventLogApi, "segments"> & EventLogPlacesApi & EventLogAuditApi>;
  readonly shards: number;
  readonly sources: readonly string[];
  readonly bucket: { get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null> };
  /** A statement's rows. @throws Refused where it is refused. */
  sql(text: string, params: Readonly<Record<string, string>>): Promise<unknown[][]>;
}

/** Where an event was found; times as text. */
export interface FoundEvent {
  readonly event_id: string;
  readonly event_name: string;
  /** Microseconds in a number, or a text of SQL: `timeText` in lookup.ts makes them one. */
  readonly event_time: number | string;
  readonly user_id: string | null;
  readonly anonymous_id: string | null;
  readonly source: string;
  readonly quarantined: boolean;
}

/** An id that a window owns. */
export interface OwnedId {
  readonly shard: number;
  /** Milliseconds, the log's clock: the moment, or the beginning of the run that it is in. */
  readonly takenAt: number;
  readonly quarantined: boolean;
}

/** In every shard and for every source. */
export async function ownersOf({ logs, shards, sources }: EventFinder, eventId: string): Promise<OwnedId[]> {
  const spaces = ["event", "quarantine"] as const;
  const hashes = spaces.flatMap((space) => sources.map((source) => idHash(space, source, eventId)));
  const ids = new Uint8Array(Buffer.concat(hashes));
  const all = await Promise.all(
    Array.from({ length: shards }, async (_, shard) => {
      const times = await logs.getByName(shardName(shard)).ownedAt(ids);
      return Array.from(times, (takenAt, i): OwnedId => ({ shard, takenAt, quarantined: i >= sources.length }));
    }),
  );
  return all.flat().filter(({ takenAt }) => takenAt > 0);
}

/** How long before its commit an event was received, at most, for the quick way: what waited longer is in the lake. */
const RECEIVED_BEFORE_MS = 5 * MINUTE_MS;

/** The event in the segment that was committed when its id was taken; null where that moment names no segment with it. */
export async function inSegment(finder: EventFinder, owner: OwnedId, eventId: string): Promise<FoundEvent | null> {
  const log = finder.logs.getByName(shardName(owner.shard));
  const { range } = await log.between(owner.takenAt - RECEIVED_BEFORE_MS, owner.takenAt + 1);
  if (!range) return null;
  const named: SegmentRef[] = [];
  for (let after = range.from - 1; after < range.to && named.length < SUPPORT.segmentsRead; ) {
    const { segments } = await log.segments(after, LOG.segmentsPerRead);
    const last = segments.at(-1);
    if (!last) break;
    named.push(...segments.filter(({ committedAt, kind }) => committedAt === owner.takenAt && kind === undefined));
    if (last.committedAt > owner.takenAt) break;
    after = last.seq;
  }
  for (const ref of named.slice(0, SUPPORT.segmentsRead)) {
    const { body } = await segmentObject(ref, finder.bucket, log);
    if (!body) continue;
    const part = readSegment(ref, body, owner.shard, [], false);
    if ("cause" in part) continue;
    const event = part.events.find(({ event_id: id }) => id === eventId);
    if (event) return foundOf(event, false);
    const refused = part.quarantine.find(({ event_id: id }) => id === eventId);
    if (refused) return foundOf(refused as Partial<FoundEvent>, true);
  }
  return null;
}

const foundOf = (row: { readonly [K in keyof FoundEvent]?: unknown }, quarantined: boolean): FoundEvent => ({
  event_id: row.event_id as string,
  event_name: (row.event_name as string | undefined) ?? "",
  event_time: (row.event_time as number | undefined) ?? 0,
  user_id: (row.user_id as string | undefined) ?? null,
  anonymous_id: (row.anonymous_id as string | undefined) ?? null,
  source: (row.source as string | undefined) ?? "",
  quarantined,
});

/** Half-open range of received_at, milliseconds. */
export interface ReceivedRange {
  readonly from: number;
  readonly to: number;
}

/** What an event may have waited on its way to the log, and what the runs of a day reach over its end. */
export const receivedAround = ({ takenAt }: OwnedId): ReceivedRange => ({
  from: takenAt - 12 * HOUR_MS,
  to: takenAt + DAY_MS + 3 * HOUR_MS,
});

/** @throws Refused where that is too much to read. */
export async function inLake(finder: EventFinder, eventId: string, range: ReceivedRange): Promise<FoundEvent[]> {
  const rows = await finder.sql(
    `select event_id, event_name, cast(event_time as varchar), user_id, anonymous_id, source from events
      where event_id = $id and received_at >= $from and received_at < $to limit ${MATCHES}`,
    { id: eventId, from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() },
  );
  return rows.map(([event_id, event_name, event_time, user_id, anonymous_id, source]) =>
    foundOf(
      { event_id, event_name, event_time: `${event_time}Z`.replace(" ", "T"), user_id, anonymous_id, source },
      false,
    ),
  );
}

/** One id for each source and copy; more would be a sender that mints none. */
const MATCHES = 10;
