import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { afterAll, describe, expect, it } from "vitest";
import type { AnyRow } from "../../r2-layout/arrow-rows.ts";
import { mayHoldText } from "../../r2-layout/bloom-filter.ts";
import { chunkSizes } from "../../r2-layout/chunk-sizes.ts";
import { buildDataFile, type DataFileFacts } from "../../r2-layout/data-file.ts";
import { type Columns, type EventRow, TABLES, type TableName } from "../../r2-layout/event-columns.ts";
import { LAKE } from "../../r2-layout/limits.ts";
import { columnChunks, readFooter, rowGroupRows } from "../../r2-layout/parquet-footer.ts";
import { type MergedPart, type MergeInput, mergeFiles } from "../../r2-layout/parquet-merge.ts";
import { decodeParquet } from "../../r2-layout/parquet-reader.ts";
import { ParquetWriter } from "../../r2-layout/parquet-writer.ts";
import { tableColumns } from "../../r2-layout/promoted-columns.ts";
import { sortedRows } from "../../r2-layout/row-order.ts";
import { DAY_US, dayOf } from "../../r2-layout/time.ts";
import { eventRow, eventRowArbitrary, TODAY_US } from "./event-rows.ts";
import { parquetModule } from "./parquet-module.ts";

const writer = new ParquetWriter(parquetModule);
const folder = mkdtempSync(join(tmpdir(), "parquet-merge-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface File {
  readonly bytes: Uint8Array;
  readonly facts: DataFileFacts;
}
type Made = File & { readonly part: MergedPart };

const built = (rows: readonly AnyRow[], table: TableName = "events"): Promise<File> =>
  buildDataFile(writer, table, rows);

/** One after the other, as an isolate builds: side by side they would take the encoder's memory that many times. */
async function builtAll(parts: readonly (readonly AnyRow[])[], table: TableName = "events"): Promise<File[]> {
  const files: File[] = [];
  for (const rows of parts) files.push(await built(rows, table));
  return files;
}

async function merged(
  files: readonly File[],
  own: readonly string[] = [],
  table: TableName = "events",
  columns: Columns = TABLES[table],
) {
  let read = 0;
  const inputs = files.map(
    ({ bytes, facts }): MergeInput => ({
      bytes: bytes.length,
      minTime: facts.minTime,
      maxTime: facts.maxTime,
      read: async (start, end) => {
        read += end - start;
        return bytes.slice(start, end);
      },
    }),
  );
  const request = { table, columns, inputs, own: () => new Set(own) };
  const { taken, files: made } = await mergeFiles<Made>(parquetModule, request, async (part) => {
    const pieces: Uint8Array[] = [];
    return {
      append: async (bytes) => void pieces.push(bytes.slice()),
      close: async (facts) => ({ bytes: Buffer.concat(pieces), facts, part }),
      abort: async () => {},
    };
  });
  return { taken, made, read };
}

function rowsOf({ bytes, facts }: File): AnyRow[] {
  const decoded = decodeParquet(parquetModule, facts.table, bytes);
  return Array.from({ length: decoded.length }, (_, i) => decoded.row(i));
}

const text = (row: AnyRow) =>
  JSON.stringify(
    Object.entries(row)
      .filter(([, value]) => value !== null && value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [name, name === "properties" ? Object.entries(value as object) : value]),
  );
const texts = (rows: readonly AnyRow[]) => rows.map(text).sort();

it("promise 5: what comes out is every row that went in, whatever their values, sorted, by day and by name", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(eventRowArbitrary, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 6 }),
      async (parts) => {
        const { made, taken } = await merged(await builtAll(parts), ["page", "", "😀"]);
        expect(taken).toBe(parts.length);
        expect(texts(made.flatMap(rowsOf))).toEqual(texts(parts.flat()));
        for (const file of made) {
          const rows = rowsOf(file);
          expect(rows.map(text)).toEqual(sortedRows(rows).map(text));
          expect(new Set(rows.map((row) => dayOf(row.event_time as number)))).toEqual(new Set([file.part.day]));
          const { facts } = await built(rows);
          const { bytes: _, columns, chunks, ...kept } = file.facts;
          expect({ ...facts, ...kept }).toEqual({
            ...facts,
            ...(file.part.name !== null && { partition: file.part.name }),
          });
          expect(columns).toEqual(facts.columns);
          expect(chunks).toEqual(chunkSizes(readFooter(file.bytes), file.bytes));
        }
        const perPart = made.map(({ part }) => JSON.stringify(part));
        expect(new Set(perPart).size).toBe(perPart.length);
        for (const { part, facts } of made) {
          if (part.name !== null) expect(facts.eventNames).toEqual([part.name]);
          else for (const name of ["page", "😀"]) expect(facts.eventNames).not.toContain(name);
        }
      },
    ),
    { numRuns: 25 },
  );
}, 60_000);

it("keeps equal rows in the order of their files", async () => {
  const row = (id: number) => eventRow(0, { event_id: `e${id}` });
  const { made } = await merged([await built([row(1), row(2)]), await built([row(3)]), await built([row(4)])]);
  expect(rowsOf(made[0]!).map(({ event_id }) => event_id)).toEqual(["e1", "e2", "e3", "e4"]);
});

it("merges quarantined rows by the time they came", async () => {
  const row = (id: number) => ({
    event_id: `q${id}`,
    source: "shop",
    received_at: TODAY_US - (id % 3) * DAY_US,
    cause: "missing_name",
    raw: "{}",
    log_shard: 0,
    log_seq: id,
    ...(id % 2 === 0 && { event_name: "page", user_id: `u${id % 5}` }),
  });
  const parts = [0, 1, 2].map((part) => Array.from({ length: 20 }, (_, i) => row(part * 20 + i)));
  const { made } = await merged(await builtAll(parts, "quarantine"), [], "quarantine");
  expect(made.map(({ part }) => part.day)).toEqual([0, 1, 2].map((back) => dayOf(TODAY_US - back * DAY_US)));
  expect(texts(made.flatMap(rowsOf))).toEqual(texts(parts.flat()));
});

it("leaves days beyond LAKE.splitDays in one file of many days, and takes them apart the next time", async () => {
  const days = LAKE.splitDays + 70;
  const rows = Array.from({ length: 2 * days }, (_, i) =>
    eventRow(i, { event_time: TODAY_US + i - (i % days) * DAY_US }),
  );
  const first = await merged([await built(rows.slice(0, days)), await built(rows.slice(days))]);
  expect(first.made.map(({ part }) => part.day)).toEqual([
    ...Array.from({ length: LAKE.splitDays }, (_, back) => dayOf(TODAY_US - back * DAY_US)),
    null,
  ]);
  const rest = first.made.at(-1)!;
  expect(rowGroupRows(readFooter(rest.bytes)).length).toBeLessThanOrEqual(LAKE.rowGroupsPerFile);
  const second = await merged([rest]);
  expect(second.made.at(-1)!.part.day).toBeNull();
  const third = await merged([second.made.at(-1)!]);
  const all = [...first.made, ...second.made, ...third.made].filter(({ part }) => part.day !== null);
  expect(texts(all.flatMap(rowsOf))).toEqual(texts(rows));
  // One day exactly at the bound.
  const atBound = rows.filter((_, i) => i % days < LAKE.splitDays);
  expect((await merged([await built(atBound)])).made).toHaveLength(LAKE.splitDays);
});

it("promise 6: rows of a file from before a column have null in it, rows of later ones what they had", async () => {
  const promoted = (["string", "long", "double", "boolean", "timestamp"] as const).map((type, i) => ({
    ...{ name: `own_${type}`, type, property: type, doc: "", fieldId: 1_001 + i, schemaVersion: 2 + i },
    ...{ addedSeq: 1, addedAt: 0 },
  }));
  const columns = tableColumns("events", promoted);
  const values = (i: number) => ({
    own_string: i % 3 === 0 ? null : `v${i}`,
    own_long: i % 4 === 0 ? null : i * 1e10,
    own_double: i % 5 === 0 ? null : i / 7,
    own_boolean: i % 6 === 0 ? null : i % 2 === 0,
    own_timestamp: i % 7 === 0 ? null : TODAY_US + i,
  });
  const old = Array.from({ length: 50 }, (_, i) => eventRow(2 * i));
  const young = Array.from({ length: 50 }, (_, i) => ({ ...eventRow(2 * i + 1), ...values(i) }));
  const files = [await built(old), await buildDataFile(writer, "events", young, undefined, columns)];
  const { made } = await merged(files, [], "events", columns);
  const decoded = decodeParquet(parquetModule, "events", made[0]!.bytes, undefined, undefined, columns);
  const rows = Array.from({ length: decoded.length }, (_, i) => decoded.row(i));
  expect(texts(rows)).toEqual(texts([...old, ...young]));
  expect(made[0]!.facts.schemaVersion).toBe(6);
});

describe("the files", () => {
  const ROWS = 3_000;
  const light = (seed: number) =>
    Array.from({ length: ROWS }, (_, i) =>
      eventRow(i, { event_id: `e${seed}-${i}`, user_id: `user-${(i * 7 + seed) % 900}`, anonymous_id: null }),
    );

  it("have a Bloom filter per row group that no user is missing from, as another reader finds it", async () => {
    const files = await builtAll([light(0), light(1)]);
    const file = (await merged(files)).made[0]!;
    const chunks = columnChunks(readFooter(file.bytes)).filter(({ bloomFilter }) => bloomFilter !== null);
    expect(chunks.map(({ path }) => path[0])).toEqual(["user_id"]);
    const { start, bytes } = chunks[0]!.bloomFilter!;
    const filter = file.bytes.subarray(start, start + bytes);
    for (let user = 0; user < 900; user++) expect(mayHoldText(filter, `user-${user}`)).toBe(true);
    let inVain = 0;
    for (let user = 900; user < 1_900; user++) if (mayHoldText(filter, `user-${user}`)) inVain++;
    expect(inVain).toBeLessThan(40);

    const buffer = file.bytes.buffer.slice(
      file.bytes.byteOffset,
      file.bytes.byteOffset + file.bytes.length,
    ) as ArrayBuffer;
    const meta = parquetMetadata(buffer).row_groups[0]!.columns.find(
      ({ meta_data }) => meta_data!.path_in_schema[0] === "user_id",
    )!.meta_data!;
    expect([Number(meta.bloom_filter_offset), meta.bloom_filter_length]).toEqual([start, bytes]);
    const asked = (user: string) =>
      parquetReadObjects({
        file: buffer,
        compressors,
        columns: ["event_id"],
        filter: { user_id: { $eq: user } },
        useBloomFilters: true,
      } as Parameters<typeof parquetReadObjects>[0]);
    expect((await asked("user-17")).length).toBe(
      files.flatMap(rowsOf).filter((row) => row.user_id === "user-17").length,
    );
    expect(await asked("nobody")).toEqual([]);
  });

  it("are read by DuckDB, which leaves out row groups by the filter", async () => {
    const file = (await merged(await builtAll([light(0), light(1)]))).made[0]!;
    const path = join(folder, "filtered.parquet");
    writeFileSync(path, file.bytes);
    const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
    const rows = async (sql: string) => (await duckdb.runAndReadAll(sql)).getRows();
    const [[count, users]] = (await rows(`select count(*), count(distinct user_id) from read_parquet('${path}')`)) as [
      [bigint, bigint],
    ];
    expect([Number(count), Number(users)]).toEqual([2 * ROWS, 900]);
    const probe = (user: string) =>
      rows(`select bloom_filter_excludes from parquet_bloom_probe('${path}', 'user_id', '${user}')`);
    expect(await probe("user-17")).toEqual([[false]]);
    expect(await probe("nobody at all")).toEqual([[true]]);
    const [[at]] = (await rows(
      `select bloom_filter_offset from parquet_metadata('${path}') where path_in_schema = 'user_id'`,
    )) as [[bigint]];
    expect(Number(at)).toBeGreaterThan(0);
    duckdb.closeSync();
  });

  it("count the rows of their LAKE.countedNames most frequent names", async () => {
    const named = (names: number) =>
      Array.from({ length: 2 * names }, (_, i) =>
        eventRow(i, { event_name: `n${i % names < names / 2 ? i % names : 0}-${i % names}` }),
      );
    for (const names of [LAKE.countedNames, LAKE.countedNames + 1]) {
      const file = (await merged([await built(named(names)), await built(named(names))])).made[0]!;
      expect(Object.keys(file.facts.nameRows!)).toHaveLength(LAKE.countedNames);
      expect(Object.values(file.facts.nameRows!).every((rows) => rows === 4)).toBe(true);
    }
  });
});

it("goes on in another file once one has LAKE.fileBytes, of the same day and name", async () => {
  const rows = Array.from({ length: 3_000 }, (_, i) => eventRow(i));
  const files = await builtAll([rows.slice(0, 1_500), rows.slice(1_500)]);
  const { fileBytes, rowGroupPackedBytes, batchRows } = LAKE;
  try {
    Object.assign(LAKE, { batchRows: 200, rowGroupPackedBytes: 5_000, fileBytes: 20_000 });
    const { made } = await merged(files);
    expect(made.length).toBeGreaterThan(2);
    for (const { bytes } of made.slice(0, -1)) expect(bytes.length).toBeGreaterThan(LAKE.fileBytes);
    expect(texts(made.flatMap(rowsOf))).toEqual(texts(rows));
    Object.assign(LAKE, { fileBytes: 10_000_000 });
    expect((await merged(files)).made).toHaveLength(1);
  } finally {
    Object.assign(LAKE, { fileBytes, rowGroupPackedBytes, batchRows });
  }
});

describe("promise 10", () => {
  const wide = (seed: number, rows: number, chars: number): EventRow[] =>
    Array.from({ length: rows }, (_, i) =>
      eventRow(i, { event_id: `w${seed}-${i}`, properties: { text: `${seed} ${i} `.repeat(chars / 8) } }),
    );

  it("ends a row group at LAKE.rowGroupWideBytes of wide values, though it has few rows", async () => {
    const rows = 600;
    const chars = 32_000;
    const files = await builtAll([0, 1, 2].map((seed) => wide(seed, rows, chars)));
    const bytes = files.flatMap(rowsOf).reduce((sum, row) => sum + JSON.stringify(row.properties).length, 0);
    expect(bytes).toBeGreaterThan(LAKE.rowGroupWideBytes);
    const { made } = await merged(files);
    const groups = rowGroupRows(readFooter(made[0]!.bytes));
    expect(groups.length).toBe(Math.ceil(bytes / (LAKE.rowGroupWideBytes + LAKE.batchChars)));
    // A row less than the bound's worth stays in one.
    const few = await merged([files[0]!]);
    expect(rowGroupRows(readFooter(few.made[0]!.bytes))).toEqual([rows]);
  }, 60_000);

  it("ends a row group at LAKE.rowGroupPackedBytes of what does not pack, and takes as many inputs as LAKE.mergeOpenBytes has room for, a window of LAKE.windowBytes each", async () => {
    const small = await builtAll(Array.from({ length: LAKE.compactInputs + 1 }, (_, i) => [eventRow(i)]));
    expect((await merged(small)).taken).toBe(LAKE.compactInputs);
    expect((await merged(small.slice(1))).taken).toBe(LAKE.compactInputs);
    // Texts that do not pack: a file of 6 MiB is held whole beside its window.
    const random = new Uint8Array(3 * 2 ** 20);
    for (let from = 0; from < random.length; from += 65_536)
      crypto.getRandomValues(random.subarray(from, from + 65_536));
    const hex = Buffer.from(random).toString("base64");
    const rows = Array.from({ length: 128 }, (_, i) =>
      eventRow(i, { properties: { hex: hex.slice(i * 32_000, (i + 1) * 32_000) } }),
    );
    const file = await built(rows);
    const open = file.bytes.length + LAKE.windowBytes;
    const room = Math.floor(LAKE.mergeOpenBytes / open);
    const { taken, made } = await merged(Array.from({ length: 12 }, () => file));
    const groups = rowGroupRows(readFooter(made[0]!.bytes));
    expect(groups.length).toBe(Math.ceil((taken * file.bytes.length) / (LAKE.rowGroupPackedBytes + 32_000)));
    expect(rowGroupRows(readFooter((await merged([file, file])).made[0]!.bytes))).toEqual([256]);
    expect(taken).toBeGreaterThanOrEqual(room);
    expect(taken).toBeLessThanOrEqual(room + 1);
  }, 60_000);
});
