/**
 * A question in SQL on its way to its answer, one stage after the other; each is a function of its own folder.
 *
 *     read the request -> bind its parameters -> plan the statement -> admit the token, ask the catalog -> run on an engine -> charge
 *                                                                                    -> ask the rollups -> charge
 *
 * POST /v1/sql and other protocols alike come in by `answerQuestion`.
 */
import type { LakeCatalogApi } from "../../durable-objects/lake-catalog/api.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import { type Sight, sightOf } from "../sight.ts";
import { isVolatile, questionKey, resultKey } from "./cache/fingerprint.ts";
import { answeredElsewhere } from "./distributed/hand-over.ts";
import type { DistributedSettings } from "./distributed/settings.ts";
import type { EngineStatement } from "./engine/statement.ts";
import { admit, type Budgets } from "./gate/admission.ts";
import { type Audit, auditStatement } from "./gate/audit.ts";
import { bindParams } from "./gate/params.ts";
import { type ParseSql, planStatement } from "./plan/plan-statement.ts";
import { type PlannedTables, plannedTables } from "./planned-tables.ts";
import { GONE_HEADER, problem, type QueryProblem } from "./problem.ts";
import { byRollups, type RollupStores } from "./rollups/answer-by-rollups.ts";
import { type EngineAnswer, type Engines, runOnEngine } from "./run-on-engine.ts";
import { readSqlRequest, type SqlRequest } from "./sql-request.ts";

export interface QueryParts extends Engines, Budgets {
  readonly parse: ParseSql;
  readonly catalog: Pick<LakeCatalogApi, "plan">;
  /** Count exactly what the lake has, where they can; null or absent: nobody does. */
  readonly rollups?: RollupStores | null;
  readonly timeoutMs: number;
  /** Writes down what came of each statement; absent: nobody does. */
  readonly audit?: Audit | undefined;
  /** Takes what is too large for an engine here; none where absent. */
  readonly distributed?: DistributedSettings | null;
  /** Whether answers are kept, and runs shared. */
  readonly cache: boolean;
}

/** Who asks: the hash of the token, what of the rows it sees (null: all), and whether they are still there. */
export interface Asker {
  readonly token: string;
  readonly sight: Sight | null;
  readonly signal: AbortSignal;
}

export async function answerSql(parts: QueryParts, request: Request): Promise<Response> {
  const question = await readSqlRequest(request);
  if (!question.ok) return problem(question.error);
  return answerQuestion(parts, question.value, askerOf(request));
}

/** The edge has checked the token. */
export const askerOf = ({ headers, signal }: Request): Asker => ({
  token: headers.get("x-eventpile-token") ?? "none",
  sight: sightOf(headers),
  signal,
});

/** @returns the answer in the format asked for, with its figures in `x-eventpile-stats`, or a problem document. */
export async function answerQuestion(parts: QueryParts, question: SqlRequest, asker: Asker): Promise<Response> {
  const askedAt = Date.now();
  const answer = await answered(parts, question, asker);
  if (parts.audit) {
    parts.later(auditStatement(parts.audit, asker.token, question.sql, answer, Date.now() - askedAt));
  }
  return answer;
}

async function answered(parts: QueryParts, question: SqlRequest, asker: Asker): Promise<Response> {
  const startedAt = Date.now();
  const bound = bindParams(question.sql, question.params);
  const statement = bound.ok ? planStatement(parts.parse, bound.value, startedAt * MICROS_PER_MS) : bound;
  const { sight } = asker;
  const inLake = () => (statement.ok ? plannedTables(parts.catalog, statement.value, question.as_of, sight) : null);
  // Rollups, and engines elsewhere, know of nobody who sees a part.
  const rollups = statement.ok && !sight ? byRollups(parts, question, statement.value.sql) : null;
  const distributed = sight ? null : (parts.distributed ?? null);
  const recent = () => recentAnswer(parts, question, bound.ok ? bound.value : null, asker, startedAt);
  // The token pays for a refused statement too; asked side by side, because each is a call to another object.
  const candidate = { ...asker, id: question.id, over: !statement.ok };
  const staleness = question.explain || !parts.cache ? 0 : (question.max_staleness_s ?? 0);
  // Where a recent answer will do, it is looked for first: it saves the plan, too.
  const [admitted, known, planned] = await Promise.all([
    admit(parts, candidate, startedAt),
    staleness > 0 && statement.ok ? recent() : null,
    staleness > 0 || rollups ? null : inLake(),
  ]);
  if (!admitted.ok) return problem(admitted.error);
  if (!statement.ok) return problem(statement.error);
  if (known) return admitted.value.end(downloadable(known, question));
  const counted = await rollups?.(startedAt);
  if (counted) return admitted.value.end(downloadable(counted, question));
  const tables = planned ?? (await inLake());
  const over = { question, sql: statement.value.sql, startedAt, signal: asker.signal };
  const orElsewhere = async (answer: Response) =>
    downloadable(await answeredElsewhere(parts.parse, distributed, answer, over), question);
  if (!tables?.ok) return admitted.value.end(await orElsewhere(problem(tables?.error ?? NO_PLAN)));

  const run = async (planned: PlannedTables): Promise<EngineAnswer> =>
    runOnEngine(
      parts,
      {
        ...(parts.cache && (await keysOf(question, statement.value.sql, bound.ok ? bound.value : "", asker, planned))),
        id: admitted.value.engineId,
        token: asker.token,
        sql: statement.value.sql,
        format: question.format,
        ...(question.limit !== undefined && { limit: question.limit }),
        explain: question.explain,
        startedAt,
        timeoutMs: parts.timeoutMs,
        ...planned,
      },
      asker.signal,
    );
  let answer = await run(tables.value);
  if (answer.response.headers.get(GONE_HEADER) !== null) {
    // Between the plan and the read the file was replaced, and its time was over: the rows are elsewhere now, or out of reach.
    const again = await inLake();
    if (!again?.ok) return admitted.value.end(problem(again?.error ?? NO_PLAN));
    answer = await run(again.value);
  }
  return admitted.value.end(await orElsewhere(answer.response), answer.settled);
}

const NO_PLAN: QueryProblem = { reason: "internal", detail: "no plan" };

/** Under what an answer is kept; nothing where it may be another one each time. */
async function keysOf(
  question: SqlRequest,
  sql: string,
  bound: string,
  { sight }: Asker,
  planned: PlannedTables,
): Promise<Pick<EngineStatement, "key" | "question">> {
  if (question.explain || isVolatile(sql)) return {};
  const { format, limit } = question;
  const key = resultKey({ sql, format, ...(limit !== undefined && { limit }), tables: planned.tables });
  return { key: await key, question: await questionKey(bound, { ...question, sight }) };
}

/** An answer that was planned at most `max_staleness_s` ago, where an engine has kept it. */
async function recentAnswer(
  parts: QueryParts,
  question: SqlRequest,
  bound: string | null,
  { sight }: Asker,
  startedAt: number,
): Promise<Response | null> {
  if (bound === null) return null;
  try {
    const key = await questionKey(bound, { ...question, sight });
    const since = startedAt - (question.max_staleness_s ?? 0) * 1_000;
    return await parts.engine(parts.choice.order(key)[0]!).recall({ question: key, since, startedAt });
  } catch (error) {
    console.error("an engine does not remember", error);
    return null;
  }
}

/** Names the file where the answer is to be one. */
function downloadable(answer: Response, { download, format }: SqlRequest): Response {
  if (download !== undefined && answer.ok) {
    answer.headers.set("content-disposition", `attachment; filename="${download}.${format}"`);
  }
  return answer;
}
