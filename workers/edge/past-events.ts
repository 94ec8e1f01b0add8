/**
 * A user's events beyond what timelines keep, from the lake: the timeline's bitmap of active days says which days to look
 * at, the catalog which files they have, the files' Bloom filters which row groups. Newest first, with the same cursor as
 * the timeline's pages: a position in the order of events. Days are read one by one, so a page costs the days that it takes
 * to fill it; one that has looked at `PAST.daysPerPage` days, or read `PAST.bytesPerPage`, ends early with a cursor.
 *
 * The lake has what its sink has taken, some seconds less than the log: what is older than a timeline's reach has been there
 * for weeks. A file that a compaction took away between the plan and the read is kept for the reach of snapshots.
 */
import type { LakeCatalogApi, PlannedFile } from "../../durable-objects/lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { EventsPage } from "../../durable-objects/user-timeline/api.ts";
import {
  comparePositions,
  formatCursor,
  type Position,
  parseCursor,
  positionOf,
  startOf,
} from "../../durable-objects/user-timeline/event-order.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { type LookupFile, type RowPlace, userRows } from "../../r2-layout/lake-lookup.ts";
import { INGEST, PAST } from "../../r2-layout/limits.ts";
import { DAY_US } from "../../r2-layout/time.ts";
import { Refused } from "./parameters.ts";

export interface PastReader {
  readonly catalog: ObjectNamespace<Pick<LakeCatalogApi, "plan">>;
  readonly bucket: {
    get(
      key: string,
      options: { range: { offset: number; length: number } },
    ): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
  };
}

export interface PastRequest {
  readonly userId: string;
  /** Half-open range of event_time, microseconds. */
  readonly from: number;
  readonly to: number;
  readonly limit: number;
  readonly cursor?: string;
  /** `YYYY-MM-DD`: days on which the user had events. */
  readonly activeDays: readonly string[];
}

export interface PastPage extends EventsPage {
  readonly source: "lake";
}

/** @throws Refused where a day has more than `PAST.filesPerDay` files; Error where a file is missing or damaged. */
export async function readPastEvents(reader: PastReader, request: PastRequest): Promise<PastPage> {
  const { from, to, limit, cursor } = request;
  const before = cursor === undefined ? startOf(to) : minOf(parseCursor(cursor)!, startOf(to));
  const days = request.activeDays
    .map((day) => Date.parse(day) * 1_000)
    .filter((start) => start + DAY_US > from && start <= before.time)
    .sort((a, b) => b - a);
  const events: EventRow[] = [];
  let bytes = 0;
  for (const [number, start] of days.entries()) {
    if (number === PAST.daysPerPage || bytes > PAST.bytesPerPage) {
      // Everything at or after the end of this day has been looked at.
      return { events, next: formatCursor(startOf(start + DAY_US)), source: "lake" };
    }
    const isWanted = (place: RowPlace) =>
      place.event_time >= from && comparePositions(positionOf(place as EventRow), before) < 0;
    const range = { from: Math.max(from, start), to: Math.min(start + DAY_US, before.time + 1) };
    // One more than fits tells whether there are more.
    const day = await readDay(reader, { ...request, ...range, limit: limit - events.length + 1 }, isWanted);
    bytes += day.bytes;
    events.push(...day.events);
    if (events.length > limit) {
      events.length = limit;
      return { events, next: formatCursor(positionOf(events.at(-1)!)), source: "lake" };
    }
  }
  return { events, next: null, source: "lake" };
}

const minOf = (a: Position, b: Position): Position => (comparePositions(a, b) < 0 ? a : b);

async function readDay(
  { catalog, bucket }: PastReader,
  { userId, from, to, limit }: PastRequest,
  isWanted: (place: RowPlace) => boolean,
): Promise<{ events: EventRow[]; bytes: number }> {
  const { files, matched } = await catalog
    .getByName(LAKE_CATALOG_NAME)
    .plan({ table: "events", from, to, filesMax: PAST.filesPerDay });
  if (files.length === 0 && matched && matched.files > 0) {
    // Until compaction has been there.
    console.warn(JSON.stringify({ at: "past-events", reason: "files_per_day", files: matched.files }));
    throw new Refused({ reason: "upstream_unavailable", retry_after_s: INGEST.retryAfterSeconds });
  }
  let bytes = 0;
  const fileOf = ({ key, bytes: size }: PlannedFile): LookupFile => ({
    bytes: size,
    async read(start, end) {
      const object = await bucket.get(key, { range: { offset: start, length: end - start } });
      if (!object) throw new Error(`data file ${key} is missing`);
      bytes += end - start;
      return object.arrayBuffer();
    },
  });
  const compare = (a: RowPlace, b: RowPlace) => comparePositions(positionOf(b as EventRow), positionOf(a as EventRow));
  let events: EventRow[] = [];
  for (let i = 0; i < files.length; i += PAST.filesAtOnce) {
    const some = files.slice(i, i + PAST.filesAtOnce);
    const found = await Promise.all(some.map((file) => userRows(fileOf(file), { userId, isWanted, compare, limit })));
    events = [...events, ...found.flat()].sort(compare).slice(0, limit);
  }
  return { events, bytes };
}
