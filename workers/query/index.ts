/** The query Worker: SQL over the lake. Reached from the edge only, which has checked the token and its scope. */
import { inJurisdiction } from "../../durable-objects/jurisdiction.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { SQL } from "../../r2-layout/limits.ts";
import { answerSql, askerOf } from "./answer-sql.ts";
import { answerStatement } from "./gate/statement-routes.ts";
import { problem } from "./problem.ts";
import { type QueryEnv, queryParts } from "./query-parts.ts";
import { answerTrino } from "./trino/answer-trino.ts";
import type { TrinoQueryApi } from "./trino/trino-query.ts";

export { QueryEngine } from "./query-engine.ts";
export { TrinoQuery } from "./trino/trino-query.ts";

import { steadyCatalog } from "./steady-catalog.ts";

interface Env extends QueryEnv {
  readonly TRINO_QUERY: ObjectNamespace<TrinoQueryApi>;
}

const PATH = /^(\/v1\/sql)(?:\/([^/]+))?$/;
const TRINO_PATH = /^\/v1\/(statement(\/.*)?|query\/.*|info)$/;

export default {
  async fetch(request, bindings, ctx): Promise<Response> {
    const env = inJurisdiction(bindings);
    const { pathname } = new URL(request.url);
    const parts = queryParts(env, (work) => ctx.waitUntil(work));
    if (TRINO_PATH.test(pathname)) {
      const lake = () => steadyCatalog(() => env.LAKE_CATALOG.getByName("lake")).schema();
      const query = (name: string) => env.TRINO_QUERY.getByName(name);
      return answerTrino({ parse: parts.parse, lake, query }, request, askerOf(request));
    }
    const [, path = "", id] = PATH.exec(pathname) ?? [];
    if (path === "") return problem({ reason: "not_found" });
    if (id !== undefined) {
      const engines = Array.from({ length: SQL.engines }, (_, number) => parts.engine(number));
      return answerStatement({ budget: parts.budget, engines }, request, askerOf(request).token, id);
    }
    if (request.method !== "POST") return problem({ reason: "method_not_allowed", allow: "POST" });
    return answerSql(parts, request);
  },
} satisfies ExportedHandler<Env>;
