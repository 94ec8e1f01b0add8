/** wrangler, vitest's pool and the local run hand `*.wasm` over as a compiled module. */
declare module "parquet-wasm/esm/parquet_wasm_bg.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
