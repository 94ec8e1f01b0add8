import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sqlParser } from "../../../workers/query/plan/sql-parser.ts";

const Module = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;
const path = "node_modules/@guanmingchiu/sqlparser-ts/wasm/sqlparser_rs_wasm_bg.wasm";

/** The parser as Node loads it; the Worker imports it as a module. */
export const parse = sqlParser(new Module(readFileSync(join(import.meta.dirname, "../../..", path))));
