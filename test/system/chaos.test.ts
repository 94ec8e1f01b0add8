/**
 * Promises 1 to 4 over the real local runtime while everything around it fails. CHAOS_SEED repeats a suite's faults and
 * traffic (not the order in which the runtime does things), CHAOS_RUNS says how many runs, CHAOS_FIRST which is the first.
 */
import { afterAll, describe, expect, it } from "vitest";
import { FAULT_KINDS } from "../../scripts/local/faults/plan.ts";
import { QUEUE_CHAOS } from "./chaos/draw-faults.ts";
import { ChaosSuite } from "./chaos/run-chaos.ts";

const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000_000);
const RUNS = Number(process.env.CHAOS_RUNS ?? 20);
const FIRST = Number(process.env.CHAOS_FIRST ?? 0);

const suite = new ChaosSuite();
afterAll(() => suite.stop());

describe(`CHAOS_SEED=${SEED}`, () => {
  it.each(Array.from({ length: RUNS }, (_, i) => FIRST + i))(
    "run %i: whatever fails, each acknowledged event is in all three stores exactly once, nothing else is, and the ledger adds up",
    { timeout: 180_000 },
    (run) => suite.run(SEED, run),
  );

  it("every kind of fault has fired", () => {
    console.log(`${JSON.stringify(suite.traffic)}\n${suite.table}`);
    const kinds = [...FAULT_KINDS, ...QUEUE_CHAOS, "kill", "job"];
    if (RUNS >= 20) expect(kinds.filter((kind) => suite.table.total(kind) === 0)).toEqual([]);
  });
});
