import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DuckDBInstance,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBValue,
} from "@duckdb/node-api";
import fc from "fast-check";
import { parquetMetadata, parquetSchema, type SchemaTree } from "hyparquet";
import { afterAll, expect, it } from "vitest";
import { buildDataFile } from "../../r2-layout/data-file.ts";
import { EVENT_COLUMNS, type EventRow, TABLES, type TableName } from "../../r2-layout/event-columns.ts";
import { LAKE } from "../../r2-layout/limits.ts";
import { decodeParquet } from "../../r2-layout/parquet-reader.ts";
import { ParquetWriter } from "../../r2-layout/parquet-writer.ts";
import { compareBounds } from "../../r2-layout/statistics.ts";
import { DAY_US } from "../../r2-layout/time.ts";
import { eventRow, eventRowArbitrary, TODAY_US } from "./event-rows.ts";
import { parquetModule } from "./parquet-module.ts";

const writer = new ParquetWriter(parquetModule);
const folder = mkdtempSync(join(tmpdir(), "eventpile-parquet-"));
const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
afterAll(() => {
  duckdb.closeSync();
  rmSync(folder, { recursive: true });
});

let files = 0;
function savedFile(bytes: Uint8Array): string {
  const path = join(folder, `${files++}.parquet`);
  writeFileSync(path, bytes);
  return path;
}

async function duckRows(path: string): Promise<Record<string, unknown>[]> {
  const reader = await duckdb.runAndReadAll(`select * from read_parquet('${path}')`);
  return reader.getRowObjects().map((row) => Object.fromEntries(Object.entries(row).map(([k, v]) => [k, plain(v)])));
}

/** A DuckDB value as our rows have it. A TIMESTAMPTZ would be a bug, so it stays as it is. */
function plain(value: DuckDBValue): unknown {
  if (value instanceof DuckDBTimestampTZValue) return value;
  if (value instanceof DuckDBTimestampValue) return Number(value.micros);
  if (value instanceof DuckDBListValue) return value.items.map(plain);
  if (value instanceof DuckDBMapValue) {
    return Object.fromEntries(value.entries.map(({ key, value }) => [plain(key), plain(value)]));
  }
  return typeof value === "bigint" ? Number(value) : value;
}

/** A row as a file gives it back: null where there is nothing, halves of surrogate pairs replaced. */
function stored(table: TableName, row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const wellFormed = (value: unknown): unknown => {
    if (typeof value === "string") return value.toWellFormed();
    if (Array.isArray(value)) return value.map(wellFormed);
    if (value === null || typeof value !== "object") return value ?? null;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k.toWellFormed(), wellFormed(v)]));
  };
  return Object.fromEntries(Object.keys(TABLES[table]).map((name) => [name, wellFormed(row[name])]));
}

const byText = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

it("DuckDB reads every value that the writer wrote, to the microsecond and the last emoji", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(eventRowArbitrary, { minLength: 1, maxLength: 40 }), async (rows) => {
      const { bytes, facts } = await buildDataFile(writer, "events", rows);
      const read = await duckRows(savedFile(bytes));
      expect(read.sort(byText)).toEqual(rows.map((row) => stored("events", row)).sort(byText));
      expect(facts.rows).toBe(rows.length);
    }),
    { numRuns: 60 },
  );
});

it("reads back itself what it wrote, across batches and row groups", async () => {
  const rows = Array.from({ length: 2 * LAKE.batchRows + 100 }, (_, id) =>
    eventRow(id, { event_time: TODAY_US - (id % 5) * DAY_US, flags: id % 3 === 0 ? ["late", "😀"] : null }),
  );
  const { bytes } = await buildDataFile(writer, "events", rows);
  const decoded = decodeParquet(parquetModule, "events", bytes);
  const read = Array.from({ length: decoded.length }, (_, i) => stored("events", decoded.row(i)));
  expect(read.sort(byText)).toEqual(rows.map((row) => stored("events", row)).sort(byText));
});

it("reads quarantined rows too", async () => {
  const row = {
    event_id: "e",
    source: "s",
    received_at: TODAY_US,
    cause: "c",
    raw: '{"a":"😀"}',
    log_shard: 1,
    log_seq: 2,
  };
  const { bytes, facts } = await buildDataFile(writer, "quarantine", [row]);
  expect(await duckRows(savedFile(bytes))).toEqual([stored("quarantine", row)]);
  expect(facts).toMatchObject({ table: "quarantine", minTime: TODAY_US, eventNames: [], minDay: "2026-11-22" });
});

it("shows times as TIMESTAMP without a zone, properties as MAP and flags as LIST", async () => {
  const { bytes } = await buildDataFile(writer, "events", [eventRow(1)]);
  const path = savedFile(bytes);
  const reader = await duckdb.runAndReadAll(`describe select * from read_parquet('${path}')`);
  const types = Object.fromEntries(reader.getRows().map(([name, type]) => [name, type]));
  expect(types).toMatchObject({
    event_time: "TIMESTAMP",
    received_at: "TIMESTAMP",
    properties: "MAP(VARCHAR, VARCHAR)",
    flags: "VARCHAR[]",
    revenue: "DOUBLE",
    client_seq: "BIGINT",
    log_shard: "INTEGER",
  });
});

const pinned = ({ element, children }: SchemaTree): string => {
  const type = [element.type, element.logical_type?.type ?? element.converted_type].filter(Boolean).join(" ");
  const head = `${element.name} ${element.field_id ?? "-"} ${element.repetition_type ?? ""} ${type}`.trim();
  return children.length > 0 ? `${head} (${children.map(pinned).join(", ")})` : head;
};

it.each(["events", "quarantine"] as const)("promise 6: keeps the Parquet schema of %s as it is", async (table) => {
  const row =
    table === "events"
      ? eventRow(1)
      : { event_id: "", source: "", received_at: 1, cause: "", raw: "", log_shard: 0, log_seq: 1 };
  const { bytes } = await buildDataFile(writer, table, [row]);
  const tree = parquetSchema(parquetMetadata(bytes.buffer as ArrayBuffer));
  expect(tree.children.map(pinned)).toMatchSnapshot();
});

it("promise 6: rows of a file older than a column read as rows without it", async () => {
  const old = new ParquetWriter(parquetModule);
  const { bytes } = await buildDataFile(old, "quarantine", [
    { event_id: "e", source: "s", received_at: TODAY_US, cause: "c", raw: "{}", log_shard: 0, log_seq: 1 },
  ]);
  // To `events`, a quarantine file is a file that lacks columns.
  expect(decodeParquet(parquetModule, "events", bytes).row(0)).toEqual({
    event_id: "e",
    source: "s",
    received_at: TODAY_US,
    log_shard: 0,
    log_seq: 1,
  });
});

it("has a row group for each day, in order, each sorted by name, identity and time", async () => {
  const rows = Array.from({ length: 300 }, (_, id) => eventRow(id, { event_time: TODAY_US - ((id * 7) % 4) * DAY_US }));
  const { bytes, facts } = await buildDataFile(writer, "events", rows);
  const metadata = parquetMetadata(bytes.buffer as ArrayBuffer);
  expect(metadata.row_groups.map((group) => Number(group.num_rows))).toEqual([75, 75, 75, 75]);
  expect([facts.minDay, facts.maxDay]).toEqual(["2026-11-19", "2026-11-22"]);
  const read = (await duckRows(savedFile(bytes))) as unknown as EventRow[];
  const key = (row: EventRow) => [
    Math.floor(row.event_time / DAY_US),
    row.event_name,
    row.user_id ?? row.anonymous_id ?? "",
    row.event_time,
  ];
  const sorted = [...read].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    const at = x.findIndex((value, i) => value !== y[i]);
    return at === -1 ? 0 : x[at]! < y[at]! ? -1 : 1;
  });
  expect(read.map(key)).toEqual(sorted.map(key));
});

it("promise 9: a file of very many days has at most the bound's row groups", async () => {
  const rows = Array.from({ length: 500 }, (_, id) => eventRow(id, { event_time: TODAY_US - id * DAY_US }));
  const { bytes } = await buildDataFile(writer, "events", rows);
  const groups = parquetMetadata(bytes.buffer as ArrayBuffer).row_groups;
  expect(groups.length).toBeLessThanOrEqual(LAKE.rowGroupsPerFile);
  expect(await duckRows(savedFile(bytes))).toHaveLength(500);
});

it("gives bounds that hold for every row, cut to 64 bytes, none for people's ids", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(eventRowArbitrary, { minLength: 1, maxLength: 30 }), async (rows) => {
      const { facts } = await buildDataFile(writer, "events", rows);
      for (const [name, { nulls, min, max }] of Object.entries(facts.columns)) {
        const values = rows
          .map((row) => stored("events", row)[name] as string | number | null)
          .filter((value) => value !== null);
        expect(nulls).toBe(rows.length - values.length);
        for (const value of values) {
          if (min !== undefined) expect(compareBounds(value, min)).toBeGreaterThanOrEqual(0);
          if (max !== undefined) expect(compareBounds(value, max)).toBeLessThanOrEqual(0);
        }
        for (const bound of [min, max]) {
          if (typeof bound === "string") expect(Buffer.byteLength(bound)).toBeLessThanOrEqual(LAKE.boundBytes);
        }
      }
      const times = rows.map((row) => row.event_time);
      expect([facts.minTime, facts.maxTime]).toEqual([Math.min(...times), Math.max(...times)]);
      expect(facts.columns.event_time).toEqual({ nulls: 0, min: facts.minTime, max: facts.maxTime });
    }),
    { numRuns: 40 },
  );
  const { bytes, facts } = await buildDataFile(writer, "events", [eventRow(2, { user_id: "someone@example.com" })]);
  expect(Object.keys(facts.columns)).not.toEqual(expect.arrayContaining(["user_id", "anonymous_id", "event_id"]));
  for (const { columns } of parquetMetadata(bytes.buffer as ArrayBuffer).row_groups) {
    const people = columns.filter(({ meta_data }) => /^(user|anonymous)_id$/.test(meta_data?.path_in_schema[0] ?? ""));
    expect(people.map(({ meta_data }) => meta_data?.statistics?.min_value)).toEqual([undefined, undefined]);
  }
  expect(Object.keys(facts.columns)).toContain("country");
});

it("refuses a row without a required value instead of writing a hole", async () => {
  const { source: _, ...row } = eventRow(1);
  await expect(buildDataFile(writer, "events", [row])).rejects.toThrow();
  await expect(buildDataFile(writer, "events", [eventRow(1)])).resolves.toMatchObject({ facts: { rows: 1 } });
});

it("promise 10: the encoder's memory stays where the first flushes took it, however many follow", async () => {
  const rows = Array.from({ length: 5_000 }, (_, id) =>
    eventRow(id, { page_url: `https://shop.example/${id}`, properties: { text: `${id} `.repeat(20) } }),
  );
  for (let flush = 0; flush < 3; flush++) await buildDataFile(writer, "events", rows);
  const warm = writer.memoryBytes;
  for (let flush = 0; flush < 40; flush++) {
    const { bytes } = await buildDataFile(writer, "events", rows);
    if (flush % 10 === 0) decodeParquet(parquetModule, "events", bytes);
  }
  expect(writer.memoryBytes).toBeLessThanOrEqual(Math.max(warm, 40 * 1_024 * 1_024));
}, 60_000);

it("promise 10: one step of the widest events fits", async () => {
  const wide = "x".repeat(30_000);
  const rows = Array.from({ length: 800 }, (_, id) => eventRow(id, { properties: { wide: `${id}${wide}` } }));
  await buildDataFile(writer, "events", rows);
  expect(writer.memoryBytes).toBeLessThanOrEqual(48 * 1_024 * 1_024);
});

it("covers every column with a field id of its own", () => {
  const ids = Object.values(EVENT_COLUMNS).flatMap(({ id, type }) =>
    type === "map_utf8" ? [id, id + 1, id + 2] : type === "list_utf8" ? [id, id + 1] : [id],
  );
  expect(new Set(ids).size).toBe(ids.length);
});
