import fc from "fast-check";
import { expect, it } from "vitest";
import { dayRows } from "../../../queues/maintenance/day-rows.ts";
import { buildDataFile } from "../../../r2-layout/data-file.ts";
import { ParquetWriter } from "../../../r2-layout/parquet-writer.ts";
import { DAY_US } from "../../../r2-layout/time.ts";
import { parquetModule as parquet } from "../../r2-layout/parquet-module.ts";

const FIRST_US = Date.UTC(2031, 2, 5) * 1_000;
const writer = new ParquetWriter(parquet);

/** Days of rows, a row group each; what is read of the file is added up. */
async function fileOf(rowsByDay: readonly number[]) {
  const rows = rowsByDay.flatMap((count, day) =>
    Array.from({ length: count }, (_, i) => ({
      event_id: crypto.randomUUID(),
      event_name: "page",
      event_type: "page",
      source: "shop",
      event_time: FIRST_US + day * DAY_US + i,
      received_at: FIRST_US + 9 * DAY_US,
      properties: { text: "x".repeat(i % 50) },
      log_shard: 0,
      log_seq: 1,
    })),
  );
  const { bytes } = await buildDataFile(writer, "events", rows);
  const read = { bytes: 0 };
  const get = async (_key: string, options?: { range: { offset: number; length: number } }) => {
    const { offset, length } = options!.range;
    read.bytes += length;
    return { arrayBuffer: async () => bytes.slice(offset, offset + length).buffer as ArrayBuffer };
  };
  return { rows, read, bucket: { get }, file: { key: "k", bytes: bytes.length, table: "events" as const } };
}

it("gives exactly the rows of a range, whatever other days the file has", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc
        .array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 5 })
        .filter((days) => days.some((n) => n > 0)),
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 0, max: 40 }),
      async (days, day, offset) => {
        const { rows, bucket, file } = await fileOf(days);
        const range = { from: FIRST_US + day * DAY_US + offset, through: FIRST_US + (day + 1) * DAY_US + offset };
        const found: unknown[] = [];
        for await (const some of dayRows({ bucket, parquet }, { file, ...range })) found.push(...some);
        const ids = rows.filter((row) => row.event_time >= range.from && row.event_time < range.through);
        expect(found.map((row) => (row as { event_id: string }).event_id).sort()).toEqual(
          ids.map(({ event_id }) => event_id).sort(),
        );
      },
    ),
    { numRuns: 20 },
  );
});

it("reads of a file of many days the day that is asked, and the columns that are asked", async () => {
  const { read, bucket, file } = await fileOf([9_000, 9_000, 9_000, 9_000]);
  const request = { file, from: FIRST_US + DAY_US, through: FIRST_US + 2 * DAY_US, columns: ["event_name"] };
  let rows = 0;
  for await (const some of dayRows({ bucket, parquet }, request)) {
    rows += some.length;
    expect(Object.keys(some[0]!).sort()).toEqual(["event_name", "event_time"]);
  }
  expect(rows).toBe(9_000);
  expect(read.bytes).toBeLessThan(file.bytes / 2);
});

it("says that a file is gone, or shorter than the catalog knows it", async () => {
  const { bucket, file } = await fileOf([3]);
  const all = async (of: typeof bucket | { get: () => Promise<null> }, bytes = file.bytes) => {
    for await (const _ of dayRows({ bucket: of, parquet }, { file: { ...file, bytes }, from: 0, through: 1 }));
  };
  await expect(all({ get: async () => null })).rejects.toThrow(/k is missing/);
  await expect(all(bucket, file.bytes + 1)).rejects.toThrow(/ends early/);
});
