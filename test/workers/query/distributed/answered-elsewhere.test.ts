import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { answerQuestion, type QueryParts } from "../../../../workers/query/answer-sql.ts";
import { EngineChoice } from "../../../../workers/query/engine-choice.ts";
import { problem } from "../../../../workers/query/problem.ts";
import { parse } from "../sql-parser-module.ts";

const ALLOWED = { allowed: true, bound: null, retry_after_s: 0 } as const;
const asked: string[] = [];
let url = "";

const server = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  asked.push(body);
  const columns = [{ name: "n", type: "bigint" }];
  response.end(JSON.stringify({ id: "q", columns, data: [[42]], stats: { state: "FINISHED" } }));
});

beforeAll(async () => {
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

/** @param run what the engine answers; null: the catalog has too many files to get so far. */
function parts(run: Response | null, isConfigured: boolean): QueryParts {
  const matched = { files: 100_000, rows: 1, bytes: 1 };
  const budget = { begin: async () => ALLOWED, end: async () => ALLOWED, find: async () => ({ statement: null }) };
  return {
    parse,
    choice: new EngineChoice(1),
    catalog: {
      plan: async () => ({ snapshot: 3, files: [], tableFiles: 0, tableBytes: 0, ...(run === null && { matched }) }),
    },
    engine: () => ({ run: async () => run?.clone(), cancel: async () => {}, settled: async () => null }) as never,
    budget: () => budget as never,
    timeoutMs: 1_000,
    cache: false,
    later: () => {},
    distributed: isConfigured ? { kind: "trino", url, user: "ann", token: "t", namespace: "lake.eventpile" } : null,
  };
}

const question = { sql: "SELECT count(*) AS n FROM events", format: "json", explain: false } as const;
const asker = { token: "ab", sight: null, signal: new AbortController().signal };
const refusedByEngine = () =>
  problem({ reason: "scan_too_large", detail: "too much", files: 1, scan_bytes: 9, limit_bytes: 1 });

it.each([
  ["the catalog", null],
  ["an engine, by the footers", refusedByEngine()],
])("hands over what %s finds too large", async (_, run) => {
  const answer = await answerQuestion(parts(run, true), question, asker);
  expect(await answer.json()).toMatchObject({ rows: [[42]], stats: { route: "distributed", rows: 1 } });
  expect(asked.at(-1)).toBe("SELECT count(*) AS n FROM lake.eventpile.events AS events");
});

it("refuses it with its figures, and the question for a Trino server, where no engine is configured", async () => {
  const before = asked.length;
  const answer = await answerQuestion(parts(null, false), question, asker);
  expect(await answer.json()).toMatchObject({
    reason: "too_many_files",
    files: 100_000,
    elsewhere: { trino: "SELECT count(*) AS n FROM lake.eventpile.events AS events" },
  });
  expect(answer.status).toBe(422);
  expect(asked.length).toBe(before);
});

it("hands over nothing of who sees a part of the rows: the other engine would show them all", async () => {
  const before = asked.length;
  const sight = { sources: ["web"], masked: [], pseudonymKey: "k" };
  const answer = await answerQuestion(parts(null, true), question, { ...asker, sight });
  expect(await answer.json()).toMatchObject({ reason: "too_many_files" });
  expect(asked.length).toBe(before);
});

it("hands over nothing that is refused for another reason", async () => {
  const before = asked.length;
  const answer = await answerQuestion(
    parts(problem({ reason: "memory_exceeded", detail: "x" }), true),
    question,
    asker,
  );
  expect(await answer.json()).toMatchObject({ reason: "memory_exceeded" });
  expect(asked.length).toBe(before);
});
