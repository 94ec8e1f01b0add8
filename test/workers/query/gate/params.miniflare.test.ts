/** What goes in as a parameter comes out as it was, whatever it is. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { lakeFile, type QueryRig, startRig } from "../rig.ts";
import { shopRows } from "../shop-rows.ts";

let rig: QueryRig;
beforeAll(async () => {
  rig = await startRig();
  await rig.commit([await lakeFile("events", [...shopRows({ seed: 1, rows: 2_000, firstDay: 0, days: 2 })])]);
});
afterAll(async () => {
  await rig?.stop();
});

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({
    unit: fc.constantFrom(
      "'",
      '"',
      "\0",
      "\\",
      "\n",
      "\r",
      "-",
      "$",
      "?",
      "😀",
      "\u{1f3f3}\ufe0f",
      "\ud83d\ude00",
      "é",
      "\u202e",
    ),
  }),
  fc.constantFrom("", "\0", "'", "''", "\\'", "' or 1=1 --", "\ufeff", "\uffff", "\u{10ffff}"),
);

it("any text comes back as it was given: quotes, zeros, pairs of surrogates, everything", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        text.map((one) => one.toWellFormed()),
        { minLength: 1, maxLength: 20 },
      ),
      async (params) => {
        const { detail, rows } = await rig.sql(`select ${params.map((_, i) => `$${i + 1}`).join(", ")}`, { params });
        expect(detail).toBeUndefined();
        expect(rows).toEqual([params]);
      },
    ),
    { numRuns: 60 },
  );
});

it.each([0, -1, 5, 2 ** 53 - 1, 0.1, -0.5, 1e300, 5e-324, -1.7976931348623157e308, true, false, null])(
  "%j comes back as it was given",
  async (value) => {
    expect((await rig.sql("select ?", { params: [value] })).rows).toEqual([[value]]);
  },
);

it("a time in ISO 8601 is compared as the moment it is, and leaves out the same rows as a written one", async () => {
  const count = async (params: Record<string, string>) =>
    (await rig.sql("select count(*) from events where event_time >= $from and event_time < $to", { params }))
      .rows[0]![0];
  const { rows } = await rig.sql(
    "select count(*) from events where event_time >= '2026-11-20 06:00:00' and event_time < '2026-11-21'",
  );
  expect(rows[0]![0]).toBeGreaterThan(0);
  expect(await count({ from: "2026-11-20T06:00:00Z", to: "2026-11-21" })).toBe(rows[0]![0]);
  expect(await count({ from: "2026-11-20T06:00:00.000Z", to: "2026-11-21T00:00:00.000000Z" })).toBe(rows[0]![0]);
  expect(await count({ from: "2026-11-20T08:00:00+02:00", to: "2026-11-21" })).toBe(rows[0]![0]);
});

it("a list is the values of an IN, or a list", async () => {
  const params = { names: ["page", "it's none"], list: [1, 2, null] };
  const { rows } = await rig.sql("select count(*), len($list), $list from events where event_name in $names", {
    params,
  });
  const written = await rig.sql(
    "select count(*), 3, [1, 2, null] from events where event_name in ('page', 'it''s none')",
  );
  expect(rows).toEqual(written.rows);
});

it("what does not fit is refused with what is wrong", async () => {
  expect(await rig.sql("select ?", { params: [1, 2] })).toMatchObject({
    status: 400,
    reason: "bad_parameter",
    parameter: "params",
    detail: expect.stringContaining("number 2"),
  });
  expect(await rig.sql("select ?")).toMatchObject({ status: 400, reason: "bad_parameter" });
  expect((await rig.sql("select * from ?", { params: ["x.parquet"] })).status).toBe(400);
});
