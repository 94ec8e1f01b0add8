/** Makes a new instance know our functions. */
import type { GlueModule } from "../engine/duckdb-glue.ts";
import { glue } from "../engine/duckdb-glue.ts";
import { answerScalarCall, type ScalarCall, Scratch } from "./scalar-call.ts";
import { SCALAR_FUNCTIONS } from "./scalar-functions.ts";

/** As the glue names types. */
const RETURN_TYPES = { VARCHAR: "utf8", BIGINT: "int64", BOOLEAN: "bool" } as const;

const scratches = new WeakMap<GlueModule, Scratch>();

/** @throws Error where DuckDB refuses one. */
export function installScalarFunctions(mod: GlueModule, connection: number): void {
  scratches.set(mod, new Scratch());
  for (const [functionId, { name, returns }] of SCALAR_FUNCTIONS.entries()) {
    const declaration = { functionId, name, returnType: { sqlType: RETURN_TYPES[returns] } };
    const values = [connection, JSON.stringify(declaration)];
    const [status, at, bytes] = glue.callSRet(mod, "duckdb_web_udf_scalar_create", ["number", "string"], values);
    if (status !== 0) throw new Error(`DuckDB cannot learn ${name}: ${glue.readString(mod, at, bytes)}`);
    glue.dropResponseBuffers(mod);
  }
}

/** Called by DuckDB, through the glue's runtime. */
export function callScalar(mod: GlueModule, functionId: number, call: ScalarCall): void {
  answerScalarCall(mod, scratches.get(mod)!, SCALAR_FUNCTIONS[functionId]!, call);
}
