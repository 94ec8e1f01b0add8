/** What answering takes, from the Worker's bindings: for its requests, and for its objects that answer by themselves. */
import { proxyDurable } from "itty-durable";
import type { LakeCatalogApi } from "../../durable-objects/lake-catalog/api.ts";
import type { LakePlaceApi } from "../../durable-objects/lake-catalog/place-api.ts";
import type { LakeSchemaApi } from "../../durable-objects/lake-catalog/schema-api.ts";
import type { RollupTallyApi } from "../../durable-objects/minute-rollup/tally-api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { QueryBudgetApi } from "../../durable-objects/query-budget/api.ts";
import parserModule from "../../node_modules/@guanmingchiu/sqlparser-ts/wasm/sqlparser_rs_wasm_bg.wasm?module";
import { SQL } from "../../r2-layout/limits.ts";
import type { QueryParts } from "./answer-sql.ts";
import { type DistributedEnv, distributedSettings } from "./distributed/settings.ts";
import type { QueryEngineApi } from "./engine/statement.ts";
import { EngineChoice } from "./engine-choice.ts";
import { sqlParser } from "./plan/sql-parser.ts";
import { steadyCatalog } from "./steady-catalog.ts";

export interface QueryEnv extends DistributedEnv {
  readonly BUCKET: R2Bucket;
  readonly LAKE_CATALOG: ObjectNamespace<LakeCatalogApi & LakeSchemaApi & LakePlaceApi>;
  /** Absent: engines answer everything. */
  readonly MINUTE_ROLLUP?: ObjectNamespace<RollupTallyApi>;
  readonly QUERY_ENGINE: ObjectNamespace<QueryEngineApi>;
  readonly QUERY_BUDGET: DurableObjectNamespace;
  /** Milliseconds, where it is to be other than SQL.timeoutMs. */
  readonly SQL_TIMEOUT_MS?: string;
  /** "off": every answer is made anew, so that engines can be measured and tested. */
  readonly SQL_CACHE?: string;
  /** "on": a line of the log for each statement (gate/audit.ts). */
  readonly SQL_AUDIT?: string;
}

const parse = sqlParser(parserModule);
const choice = new EngineChoice(SQL.engines);

/** @param later keeps work going after the answer. */
export function queryParts(env: QueryEnv, later: (work: Promise<unknown>) => void): QueryParts {
  const catalog = steadyCatalog(() => env.LAKE_CATALOG.getByName("lake"));
  const budgets = proxyDurable(env.QUERY_BUDGET, { name: "QUERY_BUDGET", parse: true });
  return {
    parse,
    choice,
    catalog,
    rollups: env.MINUTE_ROLLUP ? { catalog, rollups: env.MINUTE_ROLLUP } : null,
    engine: (number) => env.QUERY_ENGINE.getByName(`engine-${number}`),
    budget: (name) => budgets.get(name) as unknown as QueryBudgetApi,
    cache: env.SQL_CACHE !== "off",
    timeoutMs: Number(env.SQL_TIMEOUT_MS ?? SQL.timeoutMs),
    distributed: distributedSettings(env),
    audit: env.SQL_AUDIT === "on" ? (entry) => console.log(JSON.stringify(entry)) : undefined,
    later,
  };
}
