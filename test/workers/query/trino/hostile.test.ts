import fc from "fast-check";
import { expect, it } from "vitest";
import { planStatement } from "../../../../workers/query/plan/plan-statement.ts";
import { TrinoFailed } from "../../../../workers/query/trino/errors.ts";
import { sessionOf } from "../../../../workers/query/trino/session.ts";
import { readStatement } from "../../../../workers/query/trino/statement.ts";
import { parse } from "../sql-parser-module.ts";

const WORDS =
  `select from where group by order limit events quarantine information_schema . , ( ) ( ) * = < > - + / % || [ ] -> ' " ; :: ? $1 array map row
 unnest with ordinality cross join on using as cast try_cast timestamp date interval '1' 'a' 1 0.5 null properties event_time date_diff date_add element_at if case when then end
 union all except values at time zone 'UTC' is not distinct between and or in exists over partition rows unbounded preceding filter execute immediate prepare describe show tables
 columns catalogs like use set session = input output system jdbc /* */ -- \\u0000 \\ud800 { } & read_parquet 'x.parquet' attach pragma copy to recursive lateral`.split(
    /\s+/,
  );

const statement = fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 30 }).map((words) => words.join(" "));
const prefix = fc.constantFrom(
  "",
  "select ",
  "select * from events where ",
  "EXECUTE IMMEDIATE 'select ?' USING ",
  "SHOW ",
  "with t as (select 1) select ",
);

it("answers any text with a question of checked SQL, or an error with a name", async () => {
  const session = sessionOf(new Headers({ "x-trino-prepared-statement": "p=select%20%3F" }));
  const lake = async () => ({ version: 1, promoted: [] });
  let questions = 0;
  await fc.assert(
    fc.asyncProperty(prefix, statement, async (begins, text) => {
      try {
        const asked = await readStatement({ parse, lake }, begins + text, session);
        if (asked.kind !== "question") return;
        questions++;
        // Whatever came of it, the planner's allow list is asked again.
        const plan = planStatement(parse, asked.question.sql, 0);
        if (plan.ok) for (const { table } of plan.value.tables) expect(["events", "quarantine"]).toContain(table);
      } catch (error) {
        expect(error).toBeInstanceOf(TrinoFailed);
      }
    }),
    { numRuns: 4_000, seed: 5 },
  );
  expect(questions).toBeGreaterThan(10);
});
