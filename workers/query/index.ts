/** The query Worker: SQL over the lake. Reached from the edge only, which has checked the token and its scope. */
import { proxyDurable } from "itty-durable";
import type { LakeCatalogApi } from "../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { QueryBudgetApi } from "../../durable-objects/query-budget/api.ts";
import parserModule from "../../node_modules/@guanmingchiu/sqlparser-ts/wasm/sqlparser_rs_wasm_bg.wasm?module";
import { SQL } from "../../r2-layout/limits.ts";
import { answerSql, askerOf } from "./answer-sql.ts";
import type { QueryEngineApi } from "./engine/statement.ts";
import { EngineChoice } from "./engine-choice.ts";
import { answerStatement } from "./gate/statement-routes.ts";
import { sqlParser } from "./plan/sql-parser.ts";
import { problem } from "./problem.ts";

export { QueryEngine } from "./query-engine.ts";

interface Env {
  readonly BUCKET: R2Bucket;
  readonly LAKE_CATALOG: ObjectNamespace<LakeCatalogApi>;
  readonly QUERY_ENGINE: ObjectNamespace<QueryEngineApi>;
  readonly QUERY_BUDGET: DurableObjectNamespace;
  /** Milliseconds, where it is to be other than SQL.timeoutMs. */
  readonly SQL_TIMEOUT_MS?: string;
}

const parse = sqlParser(parserModule);
const choice = new EngineChoice(SQL.engines);
const PATH = /^(\/v1\/sql)(?:\/([^/]+))?$/;

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const [, path = "", id] = PATH.exec(new URL(request.url).pathname) ?? [];
    if (path === "") return problem({ reason: "not_found" });
    const budgets = proxyDurable(env.QUERY_BUDGET, { name: "QUERY_BUDGET", parse: true });
    const budget = (name: string) => budgets.get(name) as unknown as QueryBudgetApi;
    const engine = (number: number) => env.QUERY_ENGINE.getByName(`engine-${number}`);
    if (id !== undefined) {
      const engines = Array.from({ length: SQL.engines }, (_, number) => engine(number));
      return answerStatement({ budget, engines }, request, askerOf(request).token, id);
    }
    if (request.method !== "POST") return problem({ reason: "method_not_allowed", allow: "POST" });
    return answerSql(
      {
        parse,
        choice,
        catalog: env.LAKE_CATALOG.getByName("lake"),
        engine,
        budget,
        timeoutMs: Number(env.SQL_TIMEOUT_MS ?? SQL.timeoutMs),
        later: (work) => ctx.waitUntil(work),
      },
      request,
    );
  },
} satisfies ExportedHandler<Env>;
