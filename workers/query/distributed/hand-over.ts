/**
 * What is too large for one isolate, asked of the configured engine over the same tables, and answered in the same format
 * as our own. It reads the lake as it was last published (a minute ago at most), so only the present can be handed over;
 * and only what can be said there without a doubt.
 */
import { SQL } from "../../../r2-layout/limits.ts";
import type { StatementStats } from "../engine/statement.ts";
import type { ParseSql } from "../plan/plan-statement.ts";
import { problem, type QueryProblem, StatementFailed } from "../problem.ts";
import { closing, ResultEncoder } from "../results/encode.ts";
import { NOTHING_READ } from "../results/nothing-read.ts";
import { answerOf } from "../results/whole-result.ts";
import type { SqlRequest } from "../sql-request.ts";
import { ArrowRows } from "./arrow-rows.ts";
import { EngineRefused, type RowSink } from "./engine-rows.ts";
import { forTrino } from "./for-trino.ts";
import { askR2Sql, forR2Sql } from "./r2-sql.ts";
import type { DistributedSettings } from "./settings.ts";
import { askTrino } from "./trino-endpoint.ts";

export interface HandOver {
  readonly question: SqlRequest;
  /** The statement as planned. */
  readonly sql: string;
  readonly startedAt: number;
  readonly signal: AbortSignal;
}

const TOO_LARGE: ReadonlySet<QueryProblem["reason"]> = new Set(["scan_too_large", "too_many_files", "too_many_reads"]);

/** The answer as it is; where it refuses a statement for its size, what the configured engine answers, or how to ask one. */
export async function answeredElsewhere(
  parse: ParseSql,
  settings: DistributedSettings | null,
  answer: Response,
  over: HandOver,
): Promise<Response> {
  if (answer.status !== TOO_LARGE_STATUS) return answer;
  const refusal = (await answer.clone().json()) as QueryProblem & { elsewhere?: object };
  if (!TOO_LARGE.has(refusal.reason)) return answer;
  const handed = await handOver(parse, settings, refusal, over);
  const trino = forTrino(parse, over.sql);
  if (handed || !trino.ok) return handed ?? answer;
  const told = { ...refusal, elsewhere: { ...refusal.elsewhere, trino: trino.value } };
  return new Response(JSON.stringify(told), { status: answer.status, headers: answer.headers });
}

const TOO_LARGE_STATUS = 422;

/** @returns null where there is no engine for it: then the refusal stands. */
export async function handOver(
  parse: ParseSql,
  settings: DistributedSettings | null,
  refusal: QueryProblem,
  { question, sql, startedAt, signal }: HandOver,
): Promise<Response | null> {
  if (!settings || !TOO_LARGE.has(refusal.reason) || question.explain || question.as_of) return null;
  // It is written by the engine itself.
  if (question.format === "parquet") return null;
  const { namespace } = settings;
  const said = settings.kind === "trino" ? forTrino(parse, sql, namespace) : forR2Sql(parse, sql, namespace);
  if (!said.ok) return problem(withWhy(refusal, `and the distributed engine cannot take it: ${said.error}`));
  const result = new Result(question);
  try {
    if (settings.kind === "trino") await askTrino(settings, said.value, result, signal);
    else await askR2Sql(settings, said.value, result, signal);
    return result.answer(startedAt);
  } catch (error) {
    if (error instanceof StatementFailed) return error.answer();
    if (signal.aborted) return problem({ reason: "statement_cancelled" });
    if (error instanceof EngineRefused) {
      return problem(withWhy(refusal, `and the distributed engine refuses it: ${error.message}`));
    }
    console.error("distributed engine failed", error);
    return problem({ reason: "store_unavailable", detail: "the distributed engine does not answer", retry_after_s: 5 });
  }
}

/** The refusal with its figures, and why nobody else answers. */
const withWhy = (refusal: QueryProblem, why: string): QueryProblem =>
  "detail" in refusal ? { ...refusal, detail: `${refusal.detail}; ${why}` } : refusal;

/** Kept whole: the engine may take it back until its last page. */
class Result implements RowSink {
  readonly #question: SqlRequest;
  readonly #pieces: Uint8Array<ArrayBuffer>[] = [];
  readonly #encoder: ResultEncoder;
  #rows: ArrowRows | null = null;
  #left: number;

  constructor(question: SqlRequest) {
    this.#question = question;
    this.#left = question.limit ?? Number.POSITIVE_INFINITY;
    this.#encoder = new ResultEncoder(question.format, (piece) => void this.#pieces.push(piece));
  }

  columns(columns: Parameters<RowSink["columns"]>[0]): void {
    this.#rows = new ArrowRows(columns);
    this.#encoder.add(this.#rows.schemaMessage);
  }

  rows(rows: Parameters<RowSink["rows"]>[0]): void {
    const kept = rows.slice(0, Math.min(rows.length, this.#left));
    this.#left -= rows.length;
    if (kept.length > 0) this.#encoder.add(this.#rows!.batchMessage(kept));
    if (this.#encoder.rows > SQL.resultRows || this.#encoder.bytes > SQL.resultBytes) throw tooLarge();
  }

  answer(startedAt: number): Response {
    const stats: StatementStats = {
      // Here; what the other engine reads, its bill says.
      ...NOTHING_READ,
      route: "distributed",
      dollars: 0,
      // As it was last published: which that is, the engine does not say.
      snapshot: 0,
      elapsed_ms: Date.now() - startedAt,
      rows: this.#encoder.rows,
      ...(this.#left < 0 && { truncated: true }),
    };
    const { format } = this.#question;
    const body = new Blob([...this.#pieces, closing(format, stats)]);
    return answerOf(format, body, stats);
  }
}

function tooLarge(): StatementFailed {
  return new StatementFailed({
    reason: "result_too_large",
    detail: "aggregate, or take less with LIMIT",
    limit_rows: SQL.resultRows,
    limit_bytes: SQL.resultBytes,
  });
}
