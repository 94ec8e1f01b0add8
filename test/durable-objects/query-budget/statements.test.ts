import { expect, it } from "vitest";
import {
  current,
  ended,
  find,
  isInUse,
  type Statements,
  started,
  underWay,
} from "../../../durable-objects/query-budget/statements.ts";
import { SQL } from "../../../r2-layout/limits.ts";

const NOW = Date.UTC(2026, 10, 22, 12);
const DONE = { state: "done", bytes_read: 7, bytes_planned: 9 } as const;

it("a place is held for SQL.placeMs and no longer, whether or not its statement ever ends", () => {
  const held = started([], "a", NOW);
  expect(underWay(current(held, NOW + SQL.placeMs))).toBe(1);
  const late = current(held, NOW + SQL.placeMs + 1);
  expect(underWay(late)).toBe(0);
  expect(find(late, "a")).toMatchObject({ state: "failed", ended_ms: NOW + SQL.placeMs });
  // What comes after that does not make it another.
  expect(ended(late, "a", DONE, NOW + SQL.placeMs + 2)).toEqual(late);
});

it("how a statement ended is kept for SQL.endedKeptMs and no longer", () => {
  const over = ended(started([], "a", NOW), "a", DONE, NOW + 5);
  expect(find(current(over, NOW + 5 + SQL.endedKeptMs), "a")).toEqual({
    id: "a",
    started_ms: NOW,
    ended_ms: NOW + 5,
    ...DONE,
  });
  expect(find(current(over, NOW + 6 + SQL.endedKeptMs), "a")).toBeNull();
});

it("how SQL.endedKept statements ended is kept, the newest of them, and all that are under way", () => {
  let statements: Statements = started([], "running", NOW);
  for (let i = 0; i <= SQL.endedKept; i++) {
    const id = `s${i}`;
    statements = ended(started(statements, id, NOW + i), id, DONE, NOW + i);
    if (i === SQL.endedKept - 1) expect(find(statements, "s0")).not.toBeNull();
  }
  expect(find(statements, "s0")).toBeNull();
  expect(find(statements, "s1")).not.toBeNull();
  expect(underWay(statements)).toBe(1);
  expect(statements).toHaveLength(SQL.endedKept + 1);
});

it("a name is free again once its statement has ended", () => {
  const first = started([], "a", NOW);
  expect(isInUse(first, "a")).toBe(true);
  const over = ended(first, "a", DONE, NOW + 1);
  expect(isInUse(over, "a")).toBe(false);
  const second = started(over, "a", NOW + 2);
  expect(second).toHaveLength(1);
  expect(find(second, "a")).toMatchObject({ state: "running", started_ms: NOW + 2 });
});
