import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance, type DuckDBTimestampValue } from "@duckdb/node-api";
import fc from "fast-check";
import { parquetMetadata, parquetSchema } from "hyparquet";
import { afterAll, expect, it } from "vitest";
import { buildDataFile } from "../../r2-layout/data-file.ts";
import { type EventRow, TABLES } from "../../r2-layout/event-columns.ts";
import { LAKE, SCHEMA } from "../../r2-layout/limits.ts";
import { decodeParquet } from "../../r2-layout/parquet-reader.ts";
import { ParquetWriter } from "../../r2-layout/parquet-writer.ts";
import { promotedAt, schemaVersionOf, tableColumns } from "../../r2-layout/promoted-columns.ts";
import { Promotion } from "../../r2-layout/promoted-values.ts";
import { eventRow, TODAY_US } from "./event-rows.ts";
import { parquetModule } from "./parquet-module.ts";
import { ONE_OF_EACH, promotedColumn } from "./promoted.ts";

const writer = new ParquetWriter(parquetModule);
const columns = tableColumns("events", ONE_OF_EACH);
const folder = mkdtempSync(join(tmpdir(), "eventpile-promoted-"));
afterAll(() => rmSync(folder, { recursive: true }));

const built = (rows: readonly EventRow[], promotion: Promotion) =>
  buildDataFile(writer, "events", rows, (row) => promotion.whole(row), columns);

const properties = fc.record(
  {
    plan: fc.constantFrom("free", "pro", "größer 😀", ""),
    seats: fc.oneof(fc.maxSafeInteger().map(String), fc.constantFrom("many", "1.5")),
    score: fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }).map(String), fc.constant("high")),
    trial: fc.constantFrom("true", "false", "maybe"),
    renews_at: fc.constantFrom("2026-11-22T14:00:00.000001Z", "1969-07-20T20:17:40Z", "soon"),
    other: fc.string(),
  },
  { requiredKeys: [] },
);

it("promise 6: DuckDB and our own reader read what was promoted, and null where nothing was", async () => {
  const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
  let files = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(properties, { minLength: 1, maxLength: 20 }), async (maps) => {
      const rows = maps.map((map, id) => eventRow(id, { properties: map }));
      const promotion = new Promotion(ONE_OF_EACH);
      const { bytes, facts } = await built(rows, promotion);
      const decoded = decodeParquet(parquetModule, "events", bytes, undefined, undefined, columns);
      const read = Array.from({ length: decoded.length }, (_, i) => decoded.row(i));
      const expected = rows.map((row) => {
        const whole = new Promotion(ONE_OF_EACH).whole(row);
        return ONE_OF_EACH.map(({ name }) => whole[name] ?? null);
      });
      const byId = (row: { event_id?: unknown }) => Number(String(row.event_id).slice("event-".length));
      read.sort((a, b) => byId(a) - byId(b));
      expect(read.map((row) => ONE_OF_EACH.map(({ name }) => row[name] ?? null))).toEqual(expected);
      // The property itself stays in the map.
      expect(read.map((row) => row.properties ?? {})).toEqual(maps);

      const path = join(folder, `${files++}.parquet`);
      writeFileSync(path, bytes);
      const names = ONE_OF_EACH.map(({ name }) => name).join(", ");
      const duck = await duckdb.runAndReadAll(`select event_id, ${names} from read_parquet('${path}')`);
      const rowsOfDuck = duck.getRowObjects().sort((a, b) => byId(a) - byId(b));
      expect(rowsOfDuck.map((row) => ONE_OF_EACH.map(({ name }) => plain(row[name])))).toEqual(expected);

      const nulls = ONE_OF_EACH.map((_, i) => expected.filter((values) => values[i] === null).length);
      expect(ONE_OF_EACH.map(({ name }) => facts.columns[name]?.nulls)).toEqual(nulls);
      expect(facts.schemaVersion).toBe(6);
    }),
    { numRuns: 25 },
  );
  duckdb.closeSync();
});

const plain = (value: unknown): unknown => {
  if (typeof value === "bigint") return Number(value);
  return typeof value === "object" && value !== null ? Number((value as DuckDBTimestampValue).micros) : value;
};

it("bounds of promoted columns are as tight as those of others, booleans as 0 and 1", async () => {
  const maps = [
    { plan: "free", seats: "3", score: "0.5", trial: "false" },
    { plan: "pro", seats: "-7", renews_at: "2026-11-22T00:00:00Z" },
  ];
  const rows = maps.map((map, id) => eventRow(id, { properties: map as unknown as Record<string, string> }));
  const { facts } = await built(rows, new Promotion(ONE_OF_EACH));
  expect(facts.columns).toMatchObject({
    plan: { nulls: 0, min: "free", max: "pro" },
    seats: { nulls: 0, min: -7, max: 3 },
    score: { nulls: 1, min: 0.5, max: 0.5 },
    trial: { nulls: 1, min: 0, max: 0 },
    renews_at: { nulls: 1, min: TODAY_US, max: TODAY_US },
  });
});

it("a promoted column whose values tell people apart has no bounds, in the catalog or in the file (promise 7)", async () => {
  const promoted = [{ ...promotedColumn(0, "mail", "string"), identifier: true }, promotedColumn(1, "plan", "string")];
  const row = eventRow(1, { properties: { mail: "ada@example.com", plan: "pro" } });
  const promotion = new Promotion(promoted);
  const { bytes, facts } = await buildDataFile(
    writer,
    "events",
    [row],
    (of) => promotion.whole(of),
    tableColumns("events", promoted),
  );
  expect(facts.columns.plan).toEqual({ nulls: 0, min: "pro", max: "pro" });
  expect(facts.columns).not.toHaveProperty("mail");
  const [group] = parquetMetadata(bytes.buffer as ArrayBuffer).row_groups;
  const chunk = group!.columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === "mail");
  expect(chunk?.meta_data?.statistics?.min_value).toBeUndefined();
});

it("promise 6: a promoted column's field id is its own, from 1001 on, and the base's stay as they are", async () => {
  const { bytes } = await built([eventRow(1)], new Promotion(ONE_OF_EACH));
  const { children } = parquetSchema(parquetMetadata(bytes.buffer as ArrayBuffer));
  const ids = Object.fromEntries(children.map(({ element }) => [element.name, element.field_id]));
  expect(ids).toMatchObject({ event_id: 1, properties: 41, plan: 1_001, renews_at: 1_005 });
  const base = Object.values(TABLES).flatMap((table) => Object.values(table).map(({ id }) => id));
  expect(Math.max(...base)).toBeLessThan(999);
});

it("promise 6: a file of an older version reads as rows without the younger columns, one of a younger without what is not known", async () => {
  const older = promotedAt(ONE_OF_EACH, 3);
  expect(older.map(({ name }) => name)).toEqual(["plan", "seats"]);
  const row = eventRow(1, { properties: { plan: "pro", seats: "5", score: "1" } });
  const old = await buildDataFile(
    writer,
    "events",
    [row],
    (of) => new Promotion(older).whole(of),
    tableColumns("events", older),
  );
  expect(old.facts.schemaVersion).toBe(3);
  const asNew = decodeParquet(parquetModule, "events", old.bytes, undefined, undefined, columns).row(0);
  expect(asNew).toMatchObject({ plan: "pro", seats: 5 });
  expect(asNew).not.toHaveProperty("score");
  expect(decodeParquet(parquetModule, "events", old.bytes).row(0)).toEqual({ ...row, user_id: undefined });
});

it("versions are dense, and each is a prefix of the list", () => {
  for (let version = 1; version <= 1 + ONE_OF_EACH.length; version++) {
    const promoted = promotedAt(ONE_OF_EACH, version);
    expect(promoted).toEqual(ONE_OF_EACH.slice(0, version - 1));
    expect(schemaVersionOf(tableColumns("events", promoted))).toBe(version);
    expect(tableColumns("quarantine", promoted)).toBe(TABLES.quarantine);
  }
  expect(tableColumns("events", ONE_OF_EACH)).toBe(columns);
});

it("promise 10: as many promoted texts as there may be, each as long as it may be, are written in little memory", async () => {
  const promoted = Array.from({ length: SCHEMA.promotedColumns }, (_, at) =>
    promotedColumn(at, `c${at}`, "string", "x"),
  );
  const rows = Array.from({ length: LAKE.batchRows / 2 }, (_, id) =>
    eventRow(id, { properties: { x: `${id}`.padEnd(SCHEMA.textBytes, "x") } }),
  );
  const promotion = new Promotion(promoted);
  const { facts } = await buildDataFile(
    writer,
    "events",
    rows,
    (row) => promotion.whole(row),
    tableColumns("events", promoted),
  );
  expect(facts.rows).toBe(rows.length);
  expect(promotion.conflicts).toEqual({});
  expect(writer.memoryBytes).toBeLessThanOrEqual(64 * 1_024 * 1_024);
});
