/** A rule's filter as SQL means in DuckDB, behind the planner, what the matcher means. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EVENT_COLUMNS, type EventRow } from "../../../r2-layout/event-columns.ts";
import { fieldValue, type RuleField, type RuleFilter, type RuleValue, ruleMatcher } from "../../../r2-layout/rule.ts";
import { parseRuleFilter } from "../../../r2-layout/rule-parse.ts";
import { ruleSql } from "../../../r2-layout/rule-sql.ts";
import { eventRow, eventRowArbitrary, TODAY_US } from "../../r2-layout/event-rows.ts";
import { reaching } from "../../reaching.ts";
import { lakeFile, type QueryRig, startRig } from "./rig.ts";

let rig: QueryRig;

const ODD = [
  "it's",
  'a "quote"',
  "back\\slash",
  "\\'",
  "😀",
  "München",
  "",
  "a\nb",
  "%_",
  "--",
  "/* */",
  "$1",
  "__proto__",
];
const ODD_ROWS = ODD.map((text, i) =>
  eventRow(i, {
    city: text,
    properties: Object.fromEntries([[text, text]]),
    flags: i % 3 === 0 ? null : i % 3 === 1 ? [] : [text, "bot"],
    revenue: [0.1, 1e21, -2.5, 0, null][i % 5]!,
    client_seq: [Number.MAX_SAFE_INTEGER, -1, null][i % 3]!,
    sent_at: TODAY_US + i * 1_000_001,
    log_seq: i,
  }),
);
/** Drawn once, so that one file serves every question. NUL characters are beyond what SQL can name. */
const DRAWN_ROWS: EventRow[] = fc
  .sample(eventRowArbitrary, { numRuns: 60, seed: 7 })
  .map((row, i) => JSON.parse(JSON.stringify({ ...row, event_id: `drawn-${i}` }).toWellFormed()) as EventRow);
const ROWS = [...ODD_ROWS, ...DRAWN_ROWS];

beforeAll(async () => {
  rig = await startRig();
  await rig.commit([await lakeFile("events", ROWS)]);
});

afterAll(() => rig?.stop());

const ids = (rows: readonly { event_id: string }[]) => rows.map(({ event_id }) => event_id).sort();

async function expectSame(filter: RuleFilter) {
  const { status, rows, detail } = await rig.sql(`select event_id from events where ${ruleSql(filter)}`);
  expect([status, detail]).toEqual([200, undefined]);
  expect([filter, rows.map(([id]) => id).sort()]).toEqual([filter, ids(ROWS.filter(ruleMatcher(filter)))]);
}

it("finds the rows of every odd text, flag, number and time, one by one", async () => {
  for (const row of ODD_ROWS) {
    const [property] = Object.keys(row.properties!) as [string];
    await expectSame({
      where: { city: [row.city!], [`properties.${property}`]: [property, null] } as RuleFilter["where"],
    });
    await expectSame({ where: { flags: [row.flags?.[0] ?? null, "late"], sent_at: [row.sent_at!, null] } });
    await expectSame({ where: { revenue: [row.revenue!], client_seq: [row.client_seq!] } });
    await expectSame({ from: row.event_time, to: row.event_time + 1 });
  }
  await expectSame({
    places: ODD_ROWS.slice(3, 6).map((r) => ({ shard: 0, seq: r.log_seq, source: r.source, event_id: r.event_id })),
  });
  await expectSame({ places: [{ shard: 0, seq: 3, source: "shop", event_id: "event-4" }] });
});

const names = (Object.keys(EVENT_COLUMNS) as RuleField[]).filter((name) => (name as string) !== "properties");

it("means the same as the matcher for any filter over any rows", async () => {
  const condition = fc.record({
    field: fc.constantFrom<RuleField>(...names, "properties.price", "properties.😀", "properties.'\"\\"),
    from: fc.array(fc.nat(ROWS.length - 1), { minLength: 1, maxLength: 30 }),
    withNull: fc.boolean(),
  });
  await reaching(async () => {
    let found = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(condition, { minLength: 1, maxLength: 3 }),
        fc.option(fc.integer({ min: -3 * 24, max: 24 }), { freq: 3, nil: undefined }),
        async (conditions, hour) => {
          const where = Object.fromEntries(
            conditions.map(({ field, from, withNull }) => {
              const values = from.flatMap((i) => fieldValue(ROWS[i]!, field) as RuleValue).filter((v) => v !== null);
              return [field, withNull || values.length === 0 ? [...values, null] : values];
            }),
          );
          const parsed = parseRuleFilter({
            where,
            ...(hour !== undefined && { from: TODAY_US + hour * 3_600_000_000 }),
          });
          fc.pre(parsed.ok);
          await expectSame(parsed.value);
          found += ROWS.filter(ruleMatcher(parsed.value)).length;
        },
      ),
      { numRuns: 50 },
    );
    return { "more than 50 rows that match": found > 50 };
  }, 5);
}, 60_000);

it("promise 9: refuses what SQL cannot say, and puts no name into a statement that is no column", () => {
  expect(() => ruleSql({ where: { city: ["a\0b"] } })).toThrow(RangeError);
  expect(() => ruleSql({ where: { "1=1 or city": ["x"] } as unknown as RuleFilter["where"] })).toThrow("no column");
  expect(ruleSql({ where: { city: [] }, places: [] })).toBe("false AND false");
});
