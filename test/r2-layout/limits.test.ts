/** Promise 9 in the lake's files: each bound at its value and one beyond it. */
import { describe, expect, it } from "vitest";
import { buildDataFile, rowGroups } from "../../r2-layout/data-file.ts";
import { INGEST, LAKE } from "../../r2-layout/limits.ts";
import { ParquetWriter } from "../../r2-layout/parquet-writer.ts";
import { DAY_US } from "../../r2-layout/time.ts";
import { eventRow, TODAY_US } from "./event-rows.ts";
import { parquetModule } from "./parquet-module.ts";

const rows = (count: number, part: (i: number) => object = () => ({})) =>
  Array.from({ length: count }, (_, i) => eventRow(i, { event_time: TODAY_US, ...part(i) }));

describe("a data file", () => {
  it("has row groups of LAKE.rowGroupRows rows, then another one", () => {
    // Only what sorting looks at, so that a hundred thousand take no time.
    const light = (count: number) =>
      Array.from({ length: count }, (_, i) => ({
        event_name: "a",
        anonymous_id: null,
        user_id: null,
        event_time: TODAY_US + i,
        event_id: "",
      }));
    expect(rowGroups("events", light(LAKE.rowGroupRows)).map((group) => group.length)).toEqual([LAKE.rowGroupRows]);
    expect(rowGroups("events", light(LAKE.rowGroupRows + 1)).map((group) => group.length)).toEqual([
      LAKE.rowGroupRows,
      1,
    ]);
  });

  it("has LAKE.rowGroupsPerFile days, each a row group; of more, neighbours share one", () => {
    const groups = (days: number) =>
      rowGroups(
        "events",
        rows(days, (i) => ({ event_time: TODAY_US - i * DAY_US })),
      ).length;
    expect(groups(LAKE.rowGroupsPerFile)).toBe(LAKE.rowGroupsPerFile);
    expect(groups(LAKE.rowGroupsPerFile + 1)).toBe(Math.ceil((LAKE.rowGroupsPerFile + 1) / 2));
  });

  it("lists LAKE.eventNamesPerFile names, and none where there are more", async () => {
    const names = async (count: number) => {
      const named = rows(count, (i) => ({ event_name: `name ${i}` }));
      return (await buildDataFile(new ParquetWriter(parquetModule), "events", named)).facts.eventNames;
    };
    expect((await names(LAKE.eventNamesPerFile))?.length).toBe(LAKE.eventNamesPerFile);
    expect(await names(LAKE.eventNamesPerFile + 1)).toBeNull();
  });

  it("bounds a text by LAKE.boundBytes of it: what is as long is its own bound, what is longer has a wider one", async () => {
    const bounds = async (chars: number) => {
      const file = await buildDataFile(
        new ParquetWriter(parquetModule),
        "events",
        rows(1, () => ({ page_path: "p".repeat(chars) })),
      );
      return file.facts.columns.page_path!;
    };
    const whole = "p".repeat(LAKE.boundBytes);
    expect(await bounds(LAKE.boundBytes)).toMatchObject({ min: whole, max: whole });
    const wider = await bounds(LAKE.boundBytes + 1);
    expect(wider.min).toBe(whole);
    expect(Buffer.byteLength(String(wider.max))).toBe(LAKE.boundBytes);
    expect(String(wider.max) > "p".repeat(LAKE.boundBytes + 1)).toBe(true);
  });

  it("is handed to the encoder in batches of LAKE.batchRows rows and LAKE.batchChars characters, and loses none between two", async () => {
    const wide = "w".repeat(INGEST.propertyValueBytes);
    const perBatch = LAKE.batchChars / wide.length;
    for (const count of [LAKE.batchRows, LAKE.batchRows + 1]) {
      expect((await buildDataFile(new ParquetWriter(parquetModule), "events", rows(count))).facts.rows).toBe(count);
    }
    for (const count of [perBatch, perBatch + 1]) {
      const properties = (i: number) => ({ properties: { p: wide }, event_id: `wide-${i}` });
      expect(
        (await buildDataFile(new ParquetWriter(parquetModule), "events", rows(count, properties))).facts.rows,
      ).toBe(count);
    }
  });
});
