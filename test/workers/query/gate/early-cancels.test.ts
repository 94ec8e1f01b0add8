import { expect, it } from "vitest";
import { SQL } from "../../../../r2-layout/limits.ts";
import { EarlyCancels } from "../../../../workers/query/gate/early-cancels.ts";

it("a cancellation is remembered for SQL.earlyCancelMs and no longer", () => {
  const cancels = new EarlyCancels();
  cancels.add("a", 1_000);
  cancels.add("b", 1_000);
  expect(cancels.take("a", 1_000 + SQL.earlyCancelMs)).toBe(true);
  expect(cancels.take("a", 1_000)).toBe(false);
  expect(cancels.take("b", 1_001 + SQL.earlyCancelMs)).toBe(false);
});

it("SQL.earlyCancels are remembered and no more, the newest of them", () => {
  const cancels = new EarlyCancels();
  for (let i = 0; i <= SQL.earlyCancels; i++) cancels.add(`s${i}`, 1_000);
  expect(cancels.take("s0", 1_000)).toBe(false);
  expect(cancels.take("s1", 1_000)).toBe(true);
});
