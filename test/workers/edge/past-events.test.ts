import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { PlannedFile, PlanRequest } from "../../../durable-objects/lake-catalog/api.ts";
import { parseCursor, positionOf } from "../../../durable-objects/user-timeline/event-order.ts";
import type { AnyRow } from "../../../r2-layout/arrow-rows.ts";
import { buildDataFile, type DataFileFacts } from "../../../r2-layout/data-file.ts";
import { type EventRow, TABLES } from "../../../r2-layout/event-columns.ts";
import { INGEST, LAKE, PAST, TIMELINE } from "../../../r2-layout/limits.ts";
import { mergeFiles } from "../../../r2-layout/parquet-merge.ts";
import { ParquetWriter } from "../../../r2-layout/parquet-writer.ts";
import { DAY_US, dayOf } from "../../../r2-layout/time.ts";
import { type PastReader, type PastRequest, readPastEvents } from "../../../workers/edge/past-events.ts";
import { isPast } from "../../../workers/edge/timelines.ts";
import { eventRow, TODAY_US } from "../../r2-layout/event-rows.ts";
import { parquetModule } from "../../r2-layout/parquet-module.ts";

const writer = new ParquetWriter(parquetModule);
const DAYS = 330;

interface File {
  readonly bytes: Uint8Array;
  readonly facts: DataFileFacts;
}

/** A lake in memory that counts what is read of it. */
class Lake {
  readonly files: (File & { readonly key: string })[] = [];
  bytesRead = 0;
  keysRead = new Set<string>();

  add(file: File): void {
    this.files.push({ ...file, key: `f${this.files.length}` });
  }

  get bytes(): number {
    return this.files.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  reader(): PastReader {
    const plan = async ({ from = 0, to = Number.MAX_SAFE_INTEGER, filesMax = 0 }: PlanRequest) => {
      const files = this.files
        .filter(({ facts }) => facts.maxTime >= from && facts.minTime < to)
        .map(({ key, bytes, facts }, id): PlannedFile => ({ ...facts, id, key, bytes: bytes.length }));
      const matched = { files: files.length, rows: 0, bytes: 0 };
      return { snapshot: 1, files: files.length > filesMax ? [] : files, matched, tableFiles: 0, tableBytes: 0 };
    };
    return {
      catalog: { getByName: () => ({ plan }) },
      bucket: {
        get: async (key, { range }) => {
          this.bytesRead += range.length;
          this.keysRead.add(key);
          const { bytes } = this.files.find((file) => file.key === key)!;
          const part = bytes.slice(range.offset, range.offset + range.length);
          return { arrayBuffer: async () => part.buffer };
        },
      },
    };
  }
}

const built = (rows: readonly AnyRow[]): Promise<File> => buildDataFile(writer, "events", rows);

async function compacted(files: readonly File[]): Promise<File> {
  const request = {
    table: "events" as const,
    columns: TABLES.events,
    inputs: files.map(({ bytes, facts: { minTime, maxTime } }) => ({
      bytes: bytes.length,
      minTime,
      maxTime,
      read: async (start: number, end: number) => bytes.slice(start, end),
    })),
    own: () => new Set<string>(),
  };
  const { files: made } = await mergeFiles<File>(parquetModule, request, async () => {
    const pieces: Uint8Array[] = [];
    return {
      append: async (bytes) => void pieces.push(bytes.slice()),
      close: async (facts) => ({ bytes: new Uint8Array(Buffer.concat(pieces)), facts }),
      abort: async () => {},
    };
  });
  return made[0]!;
}

/** Events of one day: of many users, and some of Ada's. */
function dayRows(daysAgo: number, ada: number, others = 220): EventRow[] {
  const start = TODAY_US - daysAgo * DAY_US;
  const of = (id: string, i: number, user: string) =>
    eventRow(i, {
      event_id: id,
      user_id: user,
      event_time: start + i * 1_000_000,
      received_at: start + i * 1_000_000 + 7,
    });
  return [
    ...Array.from({ length: others }, (_, i) => of(`o${daysAgo}-${i}`, i, `user-${(i * 13) % 97}`)),
    ...Array.from({ length: ada }, (_, i) => of(`a${daysAgo}-${i}`, 3 * i, "ada")),
  ];
}

const ACTIVE = [300, 299, 12];
const lake = new Lake();
const truth: EventRow[] = [];

beforeAll(async () => {
  for (let ago = 0; ago < DAYS; ago++) {
    const rows = dayRows(ago, ACTIVE.includes(ago) ? 40 : 0);
    truth.push(...rows.filter(({ user_id }) => user_id === "ada"));
    lake.add(await compacted([await built(rows)]));
  }
}, 60_000);

const request = (part: Partial<PastRequest> = {}): PastRequest => ({
  userId: "ada",
  from: TODAY_US - 310 * DAY_US,
  to: TODAY_US - 290 * DAY_US,
  limit: 100,
  activeDays: ACTIVE.map((ago) => dayOf(TODAY_US - ago * DAY_US)),
  ...part,
});

const newestFirst = (rows: readonly EventRow[]) =>
  rows.toSorted((a, b) => b.event_time - a.event_time || (a.event_id < b.event_id ? 1 : -1));
const inRange = ({ from, to }: PastRequest) =>
  newestFirst(truth.filter(({ event_time }) => event_time >= from && event_time < to));

it("a user's events of 300 days ago come back, whole, for less than 1% of the lake's bytes", async () => {
  lake.bytesRead = 0;
  lake.keysRead.clear();
  const page = await readPastEvents(lake.reader(), request());
  const wanted = inRange(request());
  expect(wanted).toHaveLength(80);
  const present = (row: object) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
  expect(page).toEqual({ events: wanted.map(present), next: null, source: "lake" });
  expect(lake.keysRead.size).toBe(2);
  expect(lake.bytesRead).toBeGreaterThan(0);
  expect(lake.bytesRead).toBeLessThan(lake.bytes / 100);
});

it("pages by the cursor of the timeline's pages, without a gap and without a repeat", async () => {
  for (const limit of [1, 7, 40, 79, 80, 81]) {
    const all: EventRow[] = [];
    for (let cursor: string | undefined, pages = 0; pages < 100; pages++) {
      const page = await readPastEvents(lake.reader(), request({ limit, ...(cursor !== undefined && { cursor }) }));
      expect(page.events.length).toBeLessThanOrEqual(limit);
      all.push(...page.events);
      if (page.next === null) break;
      expect(parseCursor(page.next)).toEqual(positionOf(page.events.at(-1)!));
      cursor = page.next;
    }
    expect(all.map(({ event_id }) => event_id)).toEqual(inRange(request()).map(({ event_id }) => event_id));
  }
});

it("looks at no file where the user had no events", async () => {
  lake.bytesRead = 0;
  const page = await readPastEvents(
    lake.reader(),
    request({ from: TODAY_US - 200 * DAY_US, to: TODAY_US - 100 * DAY_US }),
  );
  expect([page.events, page.next, lake.bytesRead]).toEqual([[], null, 0]);
});

it("promise 9: looks at PAST.daysPerPage days, or until PAST.bytesPerPage were read, then ends with a cursor", async () => {
  const days = (count: number) => Array.from({ length: count }, (_, ago) => dayOf(TODAY_US - ago * DAY_US));
  const at = (count: number) =>
    request({ from: TODAY_US - 400 * DAY_US, to: TODAY_US + DAY_US, activeDays: days(count), userId: "nobody" });
  expect((await readPastEvents(lake.reader(), at(PAST.daysPerPage))).next).toBeNull();
  const cut = await readPastEvents(lake.reader(), at(PAST.daysPerPage + 1));
  expect(parseCursor(cut.next!)!.time).toBe(TODAY_US - (PAST.daysPerPage - 1) * DAY_US);
  expect((await readPastEvents(lake.reader(), { ...at(PAST.daysPerPage + 1), cursor: cut.next! })).next).toBeNull();

  const { bytesPerPage } = PAST;
  const read = async () => readPastEvents(lake.reader(), at(2));
  lake.bytesRead = 0;
  await readPastEvents(lake.reader(), at(1));
  const oneDay = lake.bytesRead;
  try {
    Object.assign(PAST, { bytesPerPage: oneDay });
    expect((await read()).next).toBeNull();
    Object.assign(PAST, { bytesPerPage: oneDay - 1 });
    expect((await read()).next).not.toBeNull();
  } finally {
    Object.assign(PAST, { bytesPerPage });
  }
});

it("promise 9: refuses a day of more than PAST.filesPerDay files, until it is compacted", async () => {
  const crowded = new Lake();
  const file = await built(dayRows(300, 1, 1));
  for (let i = 0; i < PAST.filesPerDay; i++) crowded.add(file);
  const { limit } = request();
  expect((await readPastEvents(crowded.reader(), request({ limit }))).events).toHaveLength(limit);
  crowded.add(file);
  await expect(readPastEvents(crowded.reader(), request())).rejects.toThrow("upstream_unavailable");
}, 60_000);

it("reads of a large file the row groups that the Bloom filters leave, and no others", async () => {
  const { rowGroupRows, batchRows } = LAKE;
  const large = new Lake();
  try {
    Object.assign(LAKE, { rowGroupRows: 2_000, batchRows: 500 });
    // Everybody else comes once, under an id that does not pack: the column of users is most of the file.
    const rows = dayRows(300, 9, 24_000).map((row) => {
      const other = createHash("sha256").update(row.event_id).digest("base64");
      return { ...row, event_name: "page", user_id: row.user_id === "ada" ? "ada" : other };
    });
    large.add(await compacted([await built(rows)]));
  } finally {
    Object.assign(LAKE, { rowGroupRows, batchRows });
  }
  const { bytes } = large;
  const page = await readPastEvents(large.reader(), request());
  expect(page.events).toHaveLength(9);
  const found = large.bytesRead;
  expect(found).toBeLessThan(bytes / 3);
  large.bytesRead = 0;
  expect((await readPastEvents(large.reader(), request({ userId: "grace" }))).events).toEqual([]);
  // Footer and filters, no column.
  expect(large.bytesRead).toBeLessThan(found);
  expect(large.bytesRead).toBeLessThan(bytes / 8);
});

/** All pages, one after the other. */
async function pages(reader: PastReader, asked: PastRequest): Promise<EventRow[][]> {
  const all: EventRow[][] = [];
  for (let cursor: string | undefined; all.length < 100; ) {
    const page = await readPastEvents(reader, { ...asked, ...(cursor !== undefined && { cursor }) });
    all.push([...page.events]);
    if (page.next === null) return all;
    cursor = page.next;
  }
  throw new Error("the pages do not end");
}
const ids = (rows: readonly EventRow[]) => rows.map(({ event_id }) => event_id);

it("tells an event once that lies in a file of several days, and events of all days in order", async () => {
  const mixed = new Lake();
  const rows = [300, 299, 12].flatMap((ago) => dayRows(ago, 5, 20));
  mixed.add(await built(rows));
  const all = { from: TODAY_US - 310 * DAY_US, to: TODAY_US };
  const wanted = ids(newestFirst(rows.filter(({ user_id }) => user_id === "ada")));
  for (const limit of [2, 5, 100]) {
    expect(ids((await pages(mixed.reader(), request({ ...all, limit }))).flat())).toEqual(wanted);
  }
});

it("promise 9: comes to an end where each day takes all that a page may read, with events at its very beginning", async () => {
  const { bytesPerPage } = PAST;
  const days = [3, 2, 1, 0];
  const midnights = new Lake();
  for (const ago of days) {
    const at = TODAY_US - ago * DAY_US;
    midnights.add(
      await built([eventRow(ago, { event_id: `m${ago}`, user_id: "ada", event_time: at, received_at: at })]),
    );
  }
  const activeDays = days.map((ago) => dayOf(TODAY_US - ago * DAY_US));
  try {
    Object.assign(PAST, { bytesPerPage: 0 });
    const found = await pages(midnights.reader(), request({ from: 0, to: TODAY_US + DAY_US, activeDays }));
    expect(found.map(ids)).toEqual([["m0"], ["m1"], ["m2"], ["m3"]]);
  } finally {
    Object.assign(PAST, { bytesPerPage });
  }
});

it("promise 9: a page has TIMELINE.pageBytes of events, or one that is larger, and looks at PAST.filesPerDay files or a day's", async () => {
  const { pageBytes } = TIMELINE;
  const { filesPerDay } = PAST;
  const asked = request({ limit: 1_000 });
  const wanted = ids(inRange(asked));
  const one = JSON.stringify((await readPastEvents(lake.reader(), request({ limit: 1 }))).events[0]).length;
  try {
    Object.assign(TIMELINE, { pageBytes: one * 4 });
    const found = await pages(lake.reader(), asked);
    expect(ids(found.flat())).toEqual(wanted);
    expect(Math.max(...found.map((page) => JSON.stringify(page).length))).toBeLessThan(one * 4 + 100);
    Object.assign(TIMELINE, { pageBytes: 1 });
    expect((await pages(lake.reader(), asked)).map(({ length }) => length)).toEqual(wanted.map(() => 1));
    Object.assign(TIMELINE, { pageBytes });
    Object.assign(PAST, { filesPerDay: 1 });
    const activeDays = [302, 301, 300, 299].map((ago) => dayOf(TODAY_US - ago * DAY_US));
    const counts = (await pages(lake.reader(), { ...asked, activeDays })).map(({ length }) => length);
    expect(counts).toEqual([80, 0]);
  } finally {
    Object.assign(TIMELINE, { pageBytes });
    Object.assign(PAST, { filesPerDay });
  }
});

it("is asked for whatever a timeline may have let go of, also of a sender whose clock was ahead", () => {
  const now = TODAY_US;
  const receivedJustBefore = now - TIMELINE.daysKept * DAY_US - 1;
  const aheadUs = INGEST.futureSkewMs * 1_000;
  expect(isPast({ from: receivedJustBefore + aheadUs, to: now }, now)).toBe(true);
  expect(isPast({ from: receivedJustBefore + aheadUs + 1, to: now }, now)).toBe(false);
});

afterAll(() => {
  lake.files.length = 0;
});
