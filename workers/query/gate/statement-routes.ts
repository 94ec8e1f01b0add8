/**
 * GET and DELETE /v1/sql/{id}: how far a statement has come, and an end to it. Any isolate may be asked: the token's own
 * budget object knows the statement, whichever isolate works at it, and the engines know how far it is. A token sees
 * nothing but its own.
 */
import { budgetName, type StatementRecord } from "../../../durable-objects/query-budget/api.ts";
import type { QueryEngineApi, StatementProgress } from "../engine/statement.ts";
import { problem } from "../problem.ts";
import { STATEMENT_ID } from "../sql-request.ts";
import type { Budgets } from "./admission.ts";
import { engineId } from "./engine-id.ts";

export interface StatementParts extends Pick<Budgets, "budget"> {
  readonly engines: readonly QueryEngineApi[];
}

/** @param token the hash of who asks. */
export async function answerStatement(
  parts: StatementParts,
  { method }: Request,
  token: string,
  id: string,
): Promise<Response> {
  if (method !== "GET" && method !== "DELETE") return problem({ reason: "method_not_allowed", allow: "GET, DELETE" });
  if (!STATEMENT_ID.test(id)) return problem({ reason: "unknown_statement" });
  const name = engineId(token, id);
  const known = await parts.budget(budgetName(token)).find(Date.now(), id);
  if (!known.statement) return problem({ reason: "unknown_statement" });
  const { statement } = known;
  if (method === "GET") {
    const progress = statement.state === "running" ? await progressOf(parts.engines, name) : null;
    return Response.json(statementJson(statement, progress, Date.now()), { headers: { "cache-control": "no-store" } });
  }
  if (statement.state === "running") await cancel(parts.engines, name);
  return new Response(null, { status: 204 });
}

/** Where it is; and where it is nowhere yet, wherever it may come to. */
async function cancel(engines: readonly QueryEngineApi[], name: string): Promise<void> {
  const has = await Promise.all(engines.map(async (engine) => (await engine.progress(name)) !== null));
  const holders = engines.filter((_, i) => has[i]);
  await Promise.all((holders.length > 0 ? holders : engines).map((engine) => engine.cancel(name)));
}

async function progressOf(engines: readonly QueryEngineApi[], name: string): Promise<StatementProgress | null> {
  const found = await Promise.all(engines.map((engine) => engine.progress(name)));
  return found.find((progress) => progress !== null) ?? null;
}

function statementJson(statement: StatementRecord, progress: StatementProgress | null, nowMs: number) {
  const { id, state, started_ms, ended_ms, bytes_read, bytes_planned } = statement;
  const elapsed_ms = Math.max(0, (ended_ms ?? nowMs) - started_ms);
  if (state !== "running") return { id, state, bytes_read, bytes_planned, elapsed_ms };
  // No engine has it yet: it is being planned, or it is on its way.
  if (!progress) return { id, state: "queued", bytes_read: 0, bytes_planned: 0, bytes_scanned: 0, rows: 0, elapsed_ms };
  const { state: stage, bytes_scanned, rows } = progress;
  const bytes = { bytes_read: progress.bytes_read, bytes_planned: progress.bytes_planned, bytes_scanned };
  return { id, state: stage, ...bytes, rows, elapsed_ms };
}
