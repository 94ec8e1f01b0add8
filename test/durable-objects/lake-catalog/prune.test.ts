import fc from "fast-check";
import { expect, it } from "vitest";
import { mayHold, mayHoldName } from "../../../durable-objects/lake-catalog/prune.ts";
import { buildDataFile } from "../../../r2-layout/data-file.ts";
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { ParquetWriter } from "../../../r2-layout/parquet-writer.ts";
import { eventRow, eventRowArbitrary } from "../../r2-layout/event-rows.ts";
import { parquetModule } from "../../r2-layout/parquet-module.ts";

const writer = new ParquetWriter(parquetModule);

it("never leaves out a file that holds a value asked for, whatever the value", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(eventRowArbitrary, { minLength: 1, maxLength: 20 }), async (rows) => {
      const { facts } = await buildDataFile(writer, "events", rows);
      for (const [name, { type }] of Object.entries(EVENT_COLUMNS)) {
        if (type === "list_utf8" || type === "map_utf8") continue;
        for (const row of rows) {
          const value = row[name as keyof typeof row] as string | number | null;
          if (value === null) continue;
          const asked = typeof value === "string" ? value.toWellFormed() : value;
          expect(mayHold(facts.columns[name], facts.rows, [asked])).toBe(true);
        }
      }
      for (const { event_name } of rows) expect(mayHoldName(facts.eventNames, [event_name])).toBe(true);
    }),
    { numRuns: 40 },
  );
});

it("leaves out a file whose bounds or names exclude every value", async () => {
  const { facts } = await buildDataFile(writer, "events", [
    eventRow(0, { country: "DE" }),
    eventRow(3, { country: "FR" }),
  ]);
  expect(mayHold(facts.columns.country, 2, ["DE"])).toBe(true);
  expect(mayHold(facts.columns.country, 2, ["ES"])).toBe(true);
  expect(mayHold(facts.columns.country, 2, ["AT", "US"])).toBe(false);
  expect(mayHold(facts.columns.city, 2, ["Berlin"])).toBe(false);
  expect(mayHold(facts.columns.user_id, 2, ["nobody"])).toBe(true);
  expect(mayHold(facts.columns.country, 2, [5])).toBe(true);
  expect(mayHoldName(facts.eventNames, ["screen"])).toBe(false);
  expect(mayHoldName(null, ["screen"])).toBe(true);
});
