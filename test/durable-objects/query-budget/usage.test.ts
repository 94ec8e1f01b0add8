import fc from "fast-check";
import { expect, it } from "vitest";
import { admit, NO_USAGE, spend, type Usage } from "../../../durable-objects/query-budget/usage.ts";
import { DAY_MS, MINUTE_MS, SQL } from "../../../r2-layout/limits.ts";

const NOON = Date.UTC(2026, 10, 22, 12);

function beginMany(usage: Usage, count: number, nowMs: number): { usage: Usage; allowed: number } {
  let allowed = 0;
  let current = usage;
  for (let i = 0; i < count; i++) {
    const step = admit(current, 0, nowMs);
    current = step.usage;
    if (step.answer.allowed) allowed++;
  }
  return { usage: current, allowed };
}

it("allows exactly the statements of a minute, then says when to come back", () => {
  const { usage, allowed } = beginMany(NO_USAGE, SQL.statementsPerMinute + 5, NOON + 20_000);
  expect(allowed).toBe(SQL.statementsPerMinute);
  const { answer } = admit(usage, 0, NOON + 20_000);
  expect(answer).toEqual({ allowed: false, bound: "statements", retry_after_s: 40 });
});

it("a burst at the end of a minute is still felt at the beginning of the next, and gone after it", () => {
  const { usage } = beginMany(NO_USAGE, SQL.statementsPerMinute, NOON + MINUTE_MS - 1);
  expect(beginMany(usage, 10, NOON + MINUTE_MS).allowed).toBe(0);
  expect(beginMany(usage, SQL.statementsPerMinute, NOON + MINUTE_MS * 1.5).allowed).toBe(SQL.statementsPerMinute / 2);
  expect(beginMany(usage, SQL.statementsPerMinute, NOON + MINUTE_MS * 2).allowed).toBe(SQL.statementsPerMinute);
});

it("bytes are counted until the day ends", () => {
  expect(admit(spend(NO_USAGE, NOON, SQL.bytesPerDay - 1), 0, NOON).answer.allowed).toBe(true);
  const usage = spend(NO_USAGE, NOON, SQL.bytesPerDay);
  expect(admit(usage, 0, NOON).answer).toEqual({ allowed: false, bound: "bytes", retry_after_s: 12 * 3_600 });
  expect(admit(usage, 0, NOON + DAY_MS / 2).answer.allowed).toBe(true);
});

it("never allows more than twice a minute's statements in any sixty seconds, whatever the times", () => {
  const times = fc.array(fc.integer({ min: 0, max: 5 * MINUTE_MS }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(times, (given) => {
      let usage: Usage = NO_USAGE;
      const allowedAt: number[] = [];
      for (const at of given.toSorted((a, b) => a - b)) {
        const many = beginMany(usage, SQL.statementsPerMinute / 4, NOON + at);
        usage = many.usage;
        for (let i = 0; i < many.allowed; i++) allowedAt.push(at);
      }
      for (const start of new Set(allowedAt)) {
        const within = allowedAt.filter((at) => at >= start && at < start + MINUTE_MS).length;
        expect(within).toBeLessThanOrEqual(2 * SQL.statementsPerMinute);
      }
    }),
    { numRuns: 50 },
  );
});

it("a clock that goes back forgets nothing", () => {
  const { usage } = beginMany(NO_USAGE, SQL.statementsPerMinute, NOON);
  expect(admit(usage, 0, NOON - 2 * MINUTE_MS).answer.allowed).toBe(false);
});

it("promise 9: allows SQL.statementsAtOnce under way and no more, and says that a moment may be enough", () => {
  expect(admit(NO_USAGE, SQL.statementsAtOnce - 1, NOON).answer.allowed).toBe(true);
  const { usage, answer } = admit(NO_USAGE, SQL.statementsAtOnce, NOON);
  expect(answer).toEqual({ allowed: false, bound: "at_once", retry_after_s: 1 });
  // What was refused was not counted.
  expect(usage.statements).toBe(0);
});
