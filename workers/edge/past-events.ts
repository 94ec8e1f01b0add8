/**
 * A user's events beyond what timelines keep, from the lake: the timeline's bitmap of active days says which days to look
 * at, the catalog which files they have, the files' Bloom filters which row groups. Newest first, with the same cursor as
 * the timeline's pages: a position in the order of events. Days are read one by one, so a page costs the days that it takes
 * to fill it; one that has looked at `PAST.daysPerPage` days or at more than `PAST.filesPerDay` files, has read
 * `PAST.bytesPerPage`, or has `TIMELINE.pageBytes` of events, ends early with a cursor.
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
import { FirstRows, type RowsInOrder } from "../../r2-layout/first-rows.ts";
import { type LookupFile, type RowPlace, userRows } from "../../r2-layout/lake-lookup.ts";
import { INGEST, PAST, TIMELINE } from "../../r2-layout/limits.ts";
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
    // A day that the page before has looked at is none of this page's: its begin may be the cursor.
    .filter((start) => start + DAY_US > from && comparePositions(startOf(start), before) < 0)
    .sort((a, b) => b - a);
  const page = new FirstRows<EventRow>(newestFirst, limit, TIMELINE.pageBytes);
  let bytes = 0;
  let files = 0;
  for (const [number, start] of days.entries()) {
    if (number === PAST.daysPerPage || bytes > PAST.bytesPerPage || files > PAST.filesPerDay) {
      // Everything at or after the end of this day has been looked at.
      return { events: [...page.rows], next: formatCursor(startOf(start + DAY_US)), source: "lake" };
    }
    const range = { from: Math.max(from, start), to: Math.min(start + DAY_US, before.time + 1) };
    // A file of several days has rows of others, too: they come when it is those days' turn.
    const isWanted = (place: RowPlace) =>
      place.event_time >= range.from &&
      place.event_time < range.to &&
      comparePositions(positionOf(place as EventRow), before) < 0;
    // One more than fits tells whether there are more.
    const day = await readDay(reader, { ...request, ...range, limit: limit - page.rows.length + 1 }, isWanted);
    bytes += day.bytes;
    files += day.files;
    page.add(day.found);
    if (!page.isWhole) {
      return { events: [...page.rows], next: formatCursor(positionOf(page.rows.at(-1)!)), source: "lake" };
    }
  }
  return { events: [...page.rows], next: null, source: "lake" };
}

const newestFirst = (a: RowPlace, b: RowPlace): number =>
  comparePositions(positionOf(b as EventRow), positionOf(a as EventRow));
const minOf = (a: Position, b: Position): Position => (comparePositions(a, b) < 0 ? a : b);

async function readDay(
  { catalog, bucket }: PastReader,
  { userId, from, to, limit }: PastRequest,
  isWanted: (place: RowPlace) => boolean,
): Promise<{ found: RowsInOrder<EventRow>; bytes: number; files: number }> {
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
  const lookup = { userId, isWanted, compare: newestFirst, limit, bytesMax: TIMELINE.pageBytes };
  const found = new FirstRows<EventRow>(newestFirst, limit, TIMELINE.pageBytes);
  for (let i = 0; i < files.length; i += PAST.filesAtOnce) {
    const some = files.slice(i, i + PAST.filesAtOnce);
    for (const rows of await Promise.all(some.map((file) => userRows(fileOf(file), lookup)))) found.add(rows);
  }
  return { found, bytes, files: files.length };
}
