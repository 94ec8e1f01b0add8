import { expect, it, vi } from "vitest";
import type { PlanRequest } from "../../../durable-objects/lake-catalog/api.ts";
import type { BudgetAnswer, StatementEnd } from "../../../durable-objects/query-budget/api.ts";
import { answerSql, type QueryParts } from "../../../workers/query/answer-sql.ts";
import type { EngineStatement, QueryEngineApi } from "../../../workers/query/engine/statement.ts";
import { EngineChoice } from "../../../workers/query/engine-choice.ts";
import { problem, StatementFailed } from "../../../workers/query/problem.ts";
import { parse } from "./sql-parser-module.ts";

const ALLOWED: BudgetAnswer = { allowed: true, bound: null, retry_after_s: 0 };
const STATS = JSON.stringify({ bytes_read: 1_000 });

function engine(run: QueryEngineApi["run"]): QueryEngineApi & { cancelled: string[] } {
  const cancelled: string[] = [];
  return {
    run,
    cancelled,
    async cancel(id) {
      cancelled.push(id);
    },
    progress: async () => null,
    settled: async () => null,
    status: async () => ({ statements: 0, boots: 0, guests: 0, ticks: 0, heap_bytes: 0, page_bytes: 0 }),
    recall: async () => null,
    reset: async () => {},
  };
}

function rig(engines: QueryEngineApi[]) {
  const spent: number[] = [];
  const later: Promise<unknown>[] = [];
  const budget = {
    begin: vi.fn(async () => ALLOWED),
    end: vi.fn(async (_now: number, _id: string, { bytes_read }: StatementEnd) => {
      spent.push(bytes_read);
      return ALLOWED;
    }),
    find: async () => ({ statement: null }),
  };
  const names: string[] = [];
  const parts: QueryParts = {
    parse,
    choice: new EngineChoice(engines.length),
    catalog: { plan: async () => ({ snapshot: 3, files: [], tableFiles: 0, tableBytes: 0 }) },
    engine: (number) => engines[number]!,
    budget: (name) => {
      names.push(name);
      return budget;
    },
    timeoutMs: 1_000,
    cache: true,
    later: (work) => later.push(work),
  };
  return { parts, budget, spent, later, names };
}

const request = (sql: string, init: RequestInit = {}) =>
  new Request("http://query/v1/sql", {
    method: "POST",
    body: JSON.stringify({ sql }),
    headers: { "x-eventpile-token": "ab".repeat(32) },
    ...init,
  });

const answered = () => new Response("{}", { headers: { "x-eventpile-stats": STATS } });

it("passes on that the client has gone, so that the engine is free for others", async () => {
  const client = new AbortController();
  let asked: EngineStatement | null = null;
  const slow = engine(async (statement) => {
    asked = statement;
    client.abort();
    await vi.waitUntil(() => slow.cancelled.length > 0, { timeout: 10_000 });
    return problem({ reason: "statement_cancelled" });
  });
  const { parts } = rig([slow]);
  const answer = await answerSql(parts, request("select 1", { signal: client.signal }));
  expect(slow.cancelled).toEqual([asked!.id]);
  expect(answer.status).toBe(499);
});

it("asks the next engine where one is full or fails, and says that all are busy where none can", async () => {
  const busy = () => engine(async () => problem({ reason: "engine_busy", retry_after_s: 2 }));
  const broken = () =>
    engine(async () => {
      throw new Error("the object was reset");
    });
  vi.spyOn(console, "error").mockImplementation(() => {});
  expect((await answerSql(rig([busy(), engine(async () => answered())]).parts, request("select 1"))).status).toBe(200);
  expect((await answerSql(rig([broken(), engine(async () => answered())]).parts, request("select 1"))).status).toBe(
    200,
  );
  const none = await answerSql(rig([busy(), broken()]).parts, request("select 1"));
  expect(none.status).toBe(503);
  expect(none.headers.get("retry-after")).not.toBeNull();
});

it("spreads statements over engines by what is under way, and sends the same question to the same engine", async () => {
  const choice = new EngineChoice(2);
  const home = choice.order("select 1")[0]!;
  expect(choice.order("select 1")[0]).toBe(home);
  const { promise, resolve } = Promise.withResolvers<void>();
  const running = choice.during(home, () => promise);
  expect(choice.order("select 1")[0]).toBe(1 - home);
  resolve();
  await running;
  expect(choice.order("select 1")[0]).toBe(home);
});

it("charges the token what the statement read, and asks nothing of an engine once the budget is used up", async () => {
  const run = vi.fn(async () => answered());
  const { parts, spent, later, budget, names } = rig([engine(run)]);
  await answerSql(parts, request("select 1"));
  await Promise.all(later);
  expect(spent).toEqual([1_000]);
  // Not the bare hash, which itty-durable would take for an object's id.
  expect(names[0]).toBe(`token:${"ab".repeat(32)}`);
  budget.begin.mockResolvedValueOnce({ allowed: false, bound: "bytes", retry_after_s: 60 });
  const refused = await answerSql(parts, request("select 1"));
  expect(refused.status).toBe(429);
  expect(refused.headers.get("retry-after")).toBe("60");
  expect(run).toHaveBeenCalledTimes(1);
});

it("plans every table of a statement at the same snapshot", async () => {
  let asked: EngineStatement | null = null;
  const { parts } = rig([
    engine(async (statement) => {
      asked = statement;
      return answered();
    }),
  ]);
  const plan = vi.fn(async (_request: PlanRequest) => ({ snapshot: 8, files: [], tableFiles: 0, tableBytes: 0 }));
  await answerSql({ ...parts, catalog: { plan } }, request("select count(*) from events, quarantine"));
  expect(plan.mock.calls.map(([given]) => given.asOf)).toEqual([undefined, 8]);
  expect(asked!.snapshot).toBe(8);
});

const TABLES = { snapshot: 8, files: [], tableFiles: 0, tableBytes: 0 };
const asked = (as_of: unknown) =>
  request("", { body: JSON.stringify({ sql: "select count(*) from events, quarantine", as_of }) });

it("reads every table of a statement at the version of a cut that the first was planned at", async () => {
  let statement: EngineStatement | null = null;
  const { parts } = rig([
    engine(async (given) => {
      statement = given;
      return answered();
    }),
  ]);
  const cut = { name: "2026-11-21.v2", through: 5 };
  const plan = vi.fn(async (_request: PlanRequest) => ({ ...TABLES, cut }));
  await answerSql({ ...parts, catalog: { plan } }, asked("2026-11-21"));
  expect(plan.mock.calls.map(([given]) => given.cut)).toEqual(["2026-11-21", "2026-11-21.v2"]);
  expect(statement).toMatchObject({ snapshot: 8, cut: "2026-11-21.v2", tables: [{ before: 5 }, { before: 5 }] });
});

it.each([
  [41, "unknown_snapshot"],
  ["2026-11-01T00:00:00Z", "unknown_snapshot"],
  ["2026-11-01", "unknown_cut"],
])("says how far the lake's history reaches where %j is beyond it", async (as_of, reason) => {
  const run = vi.fn(async () => answered());
  const { parts } = rig([engine(run)]);
  const plan = async () => {
    throw new RangeError("it is not kept; snapshots reach from 5 to 9");
  };
  const refused = await answerSql({ ...parts, catalog: { plan } }, asked(as_of));
  expect(refused.status).toBe(404);
  expect(await refused.json()).toMatchObject({ reason, detail: expect.stringContaining("reach from 5 to 9") });
  expect(run).not.toHaveBeenCalled();
});

const gone = () =>
  new StatementFailed({ reason: "store_unavailable", detail: "a data file is gone", retry_after_s: 1 }, true).answer();

it("plans once more where a data file has gone since it planned, and no more than once", async () => {
  const plan = vi.fn(async (_request: PlanRequest) => TABLES);
  const once = vi.fn(async () => (once.mock.calls.length === 1 ? gone() : answered()));
  const found = await answerSql({ ...rig([engine(once)]).parts, catalog: { plan } }, asked(undefined));
  expect(found.status).toBe(200);
  expect(plan).toHaveBeenCalledTimes(4);
  // The newest state is asked for again, not the one that was out of date.
  expect(plan.mock.calls.map(([given]) => given.asOf)).toEqual([undefined, 8, undefined, 8]);
  const always = vi.fn(async () => gone());
  const lost = await answerSql({ ...rig([engine(always)]).parts, catalog: { plan } }, asked(undefined));
  expect(lost.status).toBe(503);
  expect(always).toHaveBeenCalledTimes(2);
});

it("answers with the reach where a snapshot went out of it while it was read", async () => {
  const plan = vi.fn(async (_request: PlanRequest) => {
    if (plan.mock.calls.length > 2) throw new RangeError("snapshot 8 is not kept; snapshots reach from 9 to 9");
    return TABLES;
  });
  const late = await answerSql({ ...rig([engine(async () => gone())]).parts, catalog: { plan } }, asked(8));
  expect(late.status).toBe(404);
  expect(await late.json()).toMatchObject({ reason: "unknown_snapshot" });
});
