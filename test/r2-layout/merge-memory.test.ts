/** Alone in its process: the encoder's memory never shrinks, and other tests' files would be in it. */
import { expect, it } from "vitest";
import type { DataFileFacts } from "../../r2-layout/data-file.ts";
import { buildDataFile } from "../../r2-layout/data-file.ts";
import { TABLES } from "../../r2-layout/event-columns.ts";
import { LAKE } from "../../r2-layout/limits.ts";
import { mergeFiles } from "../../r2-layout/parquet-merge.ts";
import { ParquetWriter } from "../../r2-layout/parquet-writer.ts";
import { eventRow, TODAY_US } from "./event-rows.ts";
import { parquetModule } from "./parquet-module.ts";

it("promise 10: the encoder's memory follows a row group, however many and large the inputs are", async () => {
  const writer = new ParquetWriter(parquetModule);
  const files: { bytes: Uint8Array; facts: DataFileFacts }[] = [];
  for (let seed = 0; seed < 10; seed++) {
    const rows = Array.from({ length: 5_000 }, (_, i) => {
      const time = TODAY_US + ((i * 7_919 + seed) % 86_400) * 1_000_000;
      return eventRow(i, { event_id: crypto.randomUUID(), user_id: `user-${(i * 31) % 9_000}`, event_time: time });
    });
    files.push(await buildDataFile(writer, "events", rows));
  }
  const merge = async (inputs: readonly { bytes: Uint8Array; facts: DataFileFacts }[]) => {
    const { taken, files: made } = await mergeFiles(
      parquetModule,
      {
        table: "events",
        columns: TABLES.events,
        inputs: inputs.map(({ bytes, facts: { minTime, maxTime } }) => ({
          bytes: bytes.length,
          minTime,
          maxTime,
          read: async (start, end) => bytes.slice(start, end),
        })),
        own: () => new Set(),
      },
      async () => {
        const pieces: Uint8Array[] = [];
        return {
          append: async (bytes) => void pieces.push(bytes.slice()),
          close: async (facts) => ({ bytes: new Uint8Array(Buffer.concat(pieces)), facts }),
          abort: async () => {},
        };
      },
    );
    expect(taken).toBe(inputs.length);
    return made[0]!;
  };
  const one = await merge(files);
  const after50 = writer.memoryBytes;
  const large = await merge([one, one, one]);
  expect(large.facts.rows).toBe(150_000);
  expect(writer.memoryBytes).toBeLessThan(50 * 2 ** 20);
  expect(writer.memoryBytes - after50).toBeLessThan(24 * 2 ** 20);
  const peak = writer.memoryBytes;
  await merge([large, one]);
  await merge([large, large]);
  expect(writer.memoryBytes - peak).toBeLessThan(6 * 2 ** 20);
  expect(LAKE.mergeOpenBytes + peak).toBeLessThan(90 * 2 ** 20);
}, 60_000);
