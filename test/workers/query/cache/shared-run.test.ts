import { expect, it } from "vitest";
import { SharedRun } from "../../../../workers/query/cache/shared-run.ts";
import { RunningStatement } from "../../../../workers/query/engine/running-statement.ts";

const run = () => new SharedRun(new RunningStatement("first", 0));

it("goes on while somebody waits for it, and is cancelled when the last has gone", async () => {
  const shared = run();
  const first = shared.join("first");
  shared.join("second");
  shared.leave("first");
  await first;
  expect(shared.running.cancelled).toBe(false);
  shared.leave("first");
  shared.leave("nobody");
  expect(shared.running.cancelled).toBe(false);
  shared.leave("second");
  expect(shared.running.cancelled).toBe(true);
});

it("tells everybody what came of it, once", async () => {
  const shared = run();
  const [one, other] = [shared.outcome, shared.outcome];
  shared.settle({ kind: "alone" });
  shared.settle({ kind: "problem", problem: { reason: "statement_cancelled" } });
  expect(await Promise.all([one, other])).toEqual([{ kind: "alone" }, { kind: "alone" }]);
});
