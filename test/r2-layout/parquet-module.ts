import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const Module = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;

/** The Parquet encoder, as Node loads it; workers import it as a module. */
export const parquetModule = new Module(
  readFileSync(createRequire(import.meta.url).resolve("parquet-wasm/esm/parquet_wasm_bg.wasm")),
);
