/**
 * A TrinoQuery object: one statement of a Trino client, from its beginning to the last poll. The statement runs here, for
 * a client's request ends long before it; the isolate it shares with others holds one record batch of it at a time. An
 * alarm lets go of what nobody has asked after for some minutes, and ends what still runs.
 */
import { DurableObject } from "cloudflare:workers";
import { inJurisdiction } from "../../../durable-objects/jurisdiction.ts";
import { TRINO } from "../../../r2-layout/limits.ts";
import { answerQuestion } from "../answer-sql.ts";
import { type QueryEnv, queryParts } from "../query-parts.ts";
import { errorOfProblem, TrinoFailed, trinoError } from "./errors.ts";
import { writePages } from "./pages.ts";
import { ResultSpool, type SpoolAnswer, type SpoolRecord } from "./result-spool.ts";
import { type TrinoColumn, varcharColumn } from "./trino-types.ts";

export interface TrinoQueryApi {
  start(given: Pick<SpoolRecord, "question" | "token" | "sight" | "describe">): Promise<void>;
  poll(page: number, token: string): Promise<SpoolAnswer | null>;
  /** @returns false where there is no such statement. */
  cancel(token: string): Promise<boolean>;
}

export class TrinoQuery extends DurableObject<QueryEnv> implements TrinoQueryApi {
  readonly #spool: ResultSpool;
  /** Of the run in this isolate; null where there is none. */
  #running: AbortController | null = null;

  constructor(ctx: DurableObjectState, env: QueryEnv) {
    super(ctx, inJurisdiction(env));
    this.#spool = new ResultSpool(ctx.storage, Date.now);
  }

  async start(given: Pick<SpoolRecord, "question" | "token" | "sight" | "describe">): Promise<void> {
    await this.#spool.begin(given);
    this.#run(this.#spool.record);
  }

  async poll(page: number, token: string): Promise<SpoolAnswer | null> {
    if (this.#running === null && this.#spool.mayRepeat()) this.#run(this.#spool.record);
    return this.#spool.poll(page, token, TRINO.pollWaitMs);
  }

  async cancel(token: string): Promise<boolean> {
    if (this.#spool.record?.token !== token) return false;
    this.#running?.abort();
    await this.#spool.forget();
    return true;
  }

  override async alarm(): Promise<void> {
    this.#running?.abort();
    await this.#spool.forget();
  }

  #run(record: SpoolRecord | undefined): void {
    if (!record) return;
    const running = new AbortController();
    this.#running = running;
    const ended = this.#answer(record, running.signal)
      .catch((error: unknown) => {
        if (running.signal.aborted) return undefined;
        if (error instanceof TrinoFailed) return this.#spool.end(error.error);
        console.error("statement failed", error);
        return this.#spool.end(trinoError("GENERIC_INTERNAL_ERROR", "Something broke here"));
      })
      .finally(() => {
        if (this.#running === running) this.#running = null;
      });
    this.ctx.waitUntil(ended);
  }

  async #answer({ question, token, sight, describe }: SpoolRecord, signal: AbortSignal): Promise<void> {
    const parts = queryParts(this.env, (work) => this.ctx.waitUntil(work));
    const answer = await answerQuestion(parts, question, { token, sight, signal });
    if (!answer.ok || !answer.body) {
      const problem = (await answer.json()) as { reason: string; title?: string; detail?: string };
      return this.#spool.end(errorOfProblem(problem));
    }
    await writePages(answer.body, describe ? described(this.#spool) : this.#spool);
    this.#spool.end();
  }
}

/** DESCRIBE OUTPUT: a result's columns as its rows. */
function described(spool: ResultSpool): Pick<ResultSpool, "columns" | "page"> {
  return {
    columns(columns: readonly TrinoColumn[]) {
      spool.columns(["Column Name", "Catalog", "Schema", "Table", "Type", "Type Size", "Aliased"].map(varcharColumn));
      const rows = columns.map(({ name, type }) => JSON.stringify([name, "", "", "", type, "0", "false"]));
      spool.page(new TextEncoder().encode(rows.join(",")), rows.length);
    },
    page: () => undefined,
  };
}
