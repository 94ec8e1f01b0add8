/**
 * Rows to one file of the lake: which row groups it has, in which order, and what the catalog is told of it. A file of
 * one day is sorted whole; a file of many days has a row group per day, each sorted, so that late data cannot explode
 * the number of files and a query for one day still reads that day only.
 */
import type { AnyRow } from "./arrow-rows.ts";
import { type ChunkSizes, chunkSizes } from "./chunk-sizes.ts";
import { type Columns, TABLES, type TableName } from "./event-columns.ts";
import { LAKE } from "./limits.ts";
import type { ParquetFile, ParquetWriter, RowGroup } from "./parquet-writer.ts";
import { schemaVersionOf } from "./promoted-columns.ts";
import { sortedRows } from "./row-order.ts";
import { type ColumnBounds, fileBounds } from "./statistics.ts";
import { DAY_US, dayOf } from "./time.ts";

/** What the catalog keeps of a file besides its key. Times are microseconds, days `YYYY-MM-DD`. */
export interface DataFileFacts {
  readonly table: TableName;
  readonly bytes: number;
  readonly rows: number;
  /** Days of event_time in it (received_at for quarantine). */
  readonly minDay: string;
  readonly maxDay: string;
  /** Bounds of event_time (received_at for quarantine), and of received_at. */
  readonly minTime: number;
  readonly maxTime: number;
  readonly minReceivedAt: number;
  readonly maxReceivedAt: number;
  /** All event names in it, or null where there are more than `LAKE.eventNamesPerFile`. Rows without one do not count. */
  readonly eventNames: readonly string[] | null;
  /** Rows of its most frequent event names, at most `LAKE.countedNames`; absent where nobody counted. */
  readonly nameRows?: Readonly<Record<string, number>>;
  /** The event name whose partition of its day it belongs to, which all its rows have; absent: names share it. */
  readonly partition?: string;
  readonly columns: Readonly<Record<string, ColumnBounds>>;
  /** What its parts take; absent: of a writer that did not tell, so that a read is priced by the whole file. */
  readonly chunks?: ChunkSizes;
  /** Of the columns that it was written with: it lacks those of later versions. */
  readonly schemaVersion: number;
}

/** What `buildDataFile` reads of a row besides writing it. */
export const ORDER_COLUMNS = ["event_name", "user_id", "anonymous_id", "event_time", "received_at"] as const;

export interface BuiltDataFile {
  readonly bytes: Uint8Array;
  readonly facts: DataFileFacts;
}

/** The time that says which day a row belongs to: when it happened, in quarantine when it came. */
export const TIME_COLUMN: Record<TableName, "event_time" | "received_at"> = {
  events: "event_time",
  quarantine: "received_at",
};

/**
 * @param whole makes the row that is written of one that has what sorting and counting need only (`ORDER_COLUMNS`): so
 *   that rows which exist packed somewhere else need not all be in memory at once.
 * @param columns the table's, promoted ones included.
 * @throws RangeError without rows.
 */
export async function buildDataFile<Row extends AnyRow>(
  writer: ParquetWriter,
  table: TableName,
  rows: readonly Row[],
  whole?: (row: Row) => AnyRow,
  columns: Columns = TABLES[table],
): Promise<BuiltDataFile> {
  const groups: RowGroup[] = rowGroups(table, rows).map((group) =>
    whole ? { length: group.length, slice: (from, to) => group.slice(from, to).map(whole) } : group,
  );
  return factsOf(table, rows, await writer.write(table, groups, columns), columns);
}

/** Row groups, in order: one a day, a day of many rows cut up, neighbouring days joined where there are very many. */
export function rowGroups<Row extends AnyRow>(table: TableName, rows: readonly Row[]): Row[][] {
  const timeColumn = TIME_COLUMN[table];
  const byDay = Map.groupBy(rows, (row) => Math.floor((row[timeColumn] as number) / DAY_US));
  const days = [...byDay.keys()].sort((a, b) => a - b);
  const daysPerGroup = Math.ceil(days.length / LAKE.rowGroupsPerFile);
  const groups: Row[][] = [];
  for (let first = 0; first < days.length; first += daysPerGroup) {
    const sorted = sortedRows(
      days.length === 1 ? rows : days.slice(first, first + daysPerGroup).flatMap((day) => byDay.get(day)!),
    );
    for (let from = 0; from < sorted.length; from += LAKE.rowGroupRows) {
      groups.push(sorted.length <= LAKE.rowGroupRows ? sorted : sorted.slice(from, from + LAKE.rowGroupRows));
    }
  }
  return groups;
}

function factsOf(
  table: TableName,
  rows: readonly AnyRow[],
  { bytes, footer }: ParquetFile,
  columns: Columns,
): BuiltDataFile {
  const { time, received, names } = spread(rows, TIME_COLUMN[table]);
  const facts: DataFileFacts = {
    table,
    bytes: bytes.length,
    rows: rows.length,
    minDay: dayOf(time.min),
    maxDay: dayOf(time.max),
    minTime: time.min,
    maxTime: time.max,
    minReceivedAt: received.min,
    maxReceivedAt: received.max,
    ...nameFacts(names),
    columns: fileBounds(footer, columns),
    chunks: chunkSizes(footer, bytes),
    schemaVersion: schemaVersionOf(columns),
  };
  return { bytes, facts };
}

/** What the catalog is told of event names. @param names rows of each. */
export function nameFacts(names: ReadonlyMap<string, number>): Pick<DataFileFacts, "eventNames" | "nameRows"> {
  const counted = [...names].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).slice(0, LAKE.countedNames);
  return {
    eventNames: names.size > LAKE.eventNamesPerFile ? null : [...names.keys()].sort(),
    nameRows: Object.fromEntries(counted),
  };
}

/** Bounds of the times, and rows by event name: one walk, as in `sortedRows`. */
function spread(rows: readonly AnyRow[], timeColumn: (typeof TIME_COLUMN)[TableName]) {
  const time = { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
  const received = { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
  const names = new Map<string, number>();
  const widen = (range: typeof time, value: number) => {
    if (value < range.min) range.min = value;
    if (value > range.max) range.max = value;
  };
  for (const row of rows) {
    const { event_name: name } = row;
    widen(received, row.received_at as number);
    widen(time, (timeColumn === "event_time" ? row.event_time : row.received_at) as number);
    if (typeof name === "string") names.set(name, (names.get(name) ?? 0) + 1);
  }
  return { time, received, names };
}
