import fc from "fast-check";
import { expect, it } from "vitest";
import { buildDataFile } from "../../r2-layout/data-file.ts";
import { EVENT_COLUMNS } from "../../r2-layout/event-columns.ts";
import { readFooter, rowGroupRows, withColumns } from "../../r2-layout/parquet-footer.ts";
import { decodeParquet } from "../../r2-layout/parquet-reader.ts";
import { ParquetWriter } from "../../r2-layout/parquet-writer.ts";
import { rowGroupBounds } from "../../r2-layout/statistics.ts";
import { eventRow, eventRowArbitrary } from "./event-rows.ts";
import { parquetModule } from "./parquet-module.ts";

const writer = new ParquetWriter(parquetModule);
const names = Object.keys(EVENT_COLUMNS);

it("reads any part of a file, with any of its columns, as it reads the whole", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(eventRowArbitrary, { minLength: 1, maxLength: 12 }),
      fc.subarray(names, { minLength: 1 }),
      fc.nat(12),
      fc.nat(12),
      async (rows, columns, a, b) => {
        const { bytes } = await buildDataFile(writer, "events", rows);
        const whole = decodeParquet(parquetModule, "events", bytes);
        const [from, to] = [Math.min(a, b, rows.length), Math.min(Math.max(a, b), rows.length)];
        const part = decodeParquet(parquetModule, "events", bytes, columns, { from, to });
        expect(part.length).toBe(to - from);
        for (let i = 0; i < part.length; i++) expect(part.row(i)).toEqual(whole.row(from + i, columns));
      },
    ),
    { numRuns: 20 },
  );
});

it("leaves the file it was given as it is, and says which columns it lacks", async () => {
  const { bytes } = await buildDataFile(writer, "events", [eventRow(1), eventRow(2)]);
  const before = bytes.slice();
  const narrow = withColumns(bytes, ["log_seq", "properties", "unknown"]);
  expect(bytes).toEqual(before);
  expect(decodeParquet(parquetModule, "events", narrow).row(0)).toEqual({
    properties: eventRow(2).properties,
    log_seq: 1,
  });
  expect(() => withColumns(bytes, ["unknown"])).toThrow(/no column unknown/);
});

it("tells the bounds of a time in each row group", async () => {
  const days = [0, 1, 2].map((day) => eventRow(day, { event_time: day * 86_400_000_000 + 5 }));
  const { bytes } = await buildDataFile(writer, "events", days);
  const footer = readFooter(bytes);
  expect(rowGroupRows(footer)).toEqual([1, 1, 1]);
  expect(rowGroupBounds(footer, "event_time")).toEqual(
    days.map(({ event_time }) => ({ min: event_time, max: event_time })),
  );
  expect(rowGroupBounds(footer, "flags")).toEqual([]);
});
