/** FUZZ_SEED repeats a run, FUZZ_STATEMENTS makes it longer; `npm run fuzz -- --sql 20000` is the long one. */
import { expect, it } from "vitest";
import { fuzzStatements } from "../../../fuzz/sql/fuzz-sql.ts";

const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000_000);
const STATEMENTS = Number(process.env.FUZZ_STATEMENTS ?? 1_000);

it(`FUZZ_SEED=${SEED}: each of ${STATEMENTS} hostile or random statements is answered or refused, and shows nothing besides the tables (promise 9)`, {
  timeout: 300_000,
}, async () => {
  const { statements, tally, boots } = await fuzzStatements(SEED, STATEMENTS);
  console.log(`FUZZ_SEED=${SEED}`, tally, { boots });
  expect(statements).toBe(STATEMENTS);
  const named =
    "200 sql_error table_not_allowed function_not_allowed unsupported_syntax several_statements not_a_select";
  expect(named.split(" ").filter((reason) => !tally[reason])).toEqual([]);
});
