/** DuckDB's glue, evaluated while `process` is hidden. The order of these three imports is the point. */
import "./hide-node.ts";
import * as glue from "@duckdb/duckdb-wasm/dist/duckdb-browser-blocking.mjs";
import "./show-node.ts";

export type { GlueBindings, GlueModule } from "@duckdb/duckdb-wasm/dist/duckdb-browser-blocking.mjs";
export { glue };
