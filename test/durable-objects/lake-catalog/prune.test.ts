import fc from "fast-check";
import { expect, it } from "vitest";
import { mayHold, mayHoldName, mayMatch, mayReach } from "../../../durable-objects/lake-catalog/prune.ts";
import { buildDataFile } from "../../../r2-layout/data-file.ts";
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { ParquetWriter } from "../../../r2-layout/parquet-writer.ts";
import { fieldValue, type RuleField, type RuleFilter, type RuleValue, ruleMatcher } from "../../../r2-layout/rule.ts";
import { eventRow, eventRowArbitrary } from "../../r2-layout/event-rows.ts";
import { parquetModule } from "../../r2-layout/parquet-module.ts";
import { reaching } from "../../reaching.ts";

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

it("never leaves out a file in which a rule may match a row, or which holds rows of a part of the log", async () => {
  const fields = (Object.keys(EVENT_COLUMNS) as RuleField[]).filter((name) => (name as string) !== "properties");
  await reaching(async () => {
    let left = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(eventRowArbitrary, { minLength: 2, maxLength: 8 }),
        fc.array(fc.constantFrom<RuleField>(...fields, "properties.page"), { maxLength: 3 }),
        fc.nat(7),
        async (rows, named, at) => {
          const { facts } = await buildDataFile(writer, "events", rows.slice(0, -1));
          const other = rows[at % rows.length]!;
          const where = Object.fromEntries(
            named.map((field) => [field, [fieldValue(other, field) as RuleValue].flat()]),
          ) as RuleFilter["where"];
          const place = { shard: other.log_shard, seq: other.log_seq, source: other.source, event_id: other.event_id };
          for (const filter of [
            { where },
            { where, from: other.event_time, to: other.event_time + 1 },
            { places: [place] },
          ] satisfies RuleFilter[]) {
            const matches = rows.slice(0, -1).some(ruleMatcher(filter));
            if (matches) expect(mayMatch(filter, facts)).toBe(true);
            if (!mayMatch(filter, facts)) left++;
          }
          for (const { log_shard, log_seq } of rows.slice(0, -1)) {
            expect(mayReach(facts.columns, [[log_shard, { after: log_seq - 1, to: log_seq }]])).toBe(true);
          }
        },
      ),
      { numRuns: 60 },
    );
    return { "a file left out": left > 0 };
  });
});
