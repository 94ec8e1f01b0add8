/** wrangler and the local run hand `*.wasm` over as compiled modules; the glue's types say less than we use. */
declare module "@duckdb/duckdb-wasm/dist/duckdb-eh.wasm" {
  const module: WebAssembly.Module;
  export default module;
}

/** Spelt so that the package's own declaration, of the instance's exports, is not found. */
declare module "*.wasm?module" {
  const module: WebAssembly.Module;
  export default module;
}

declare module "@duckdb/duckdb-wasm/dist/duckdb-browser-blocking.mjs" {
  export interface GlueModule {
    HEAPU8: Uint8Array;
    HEAPF64: Float64Array;
    stackSave(): number;
    stackAlloc(bytes: number): number;
    stackRestore(pointer: number): void;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    ccall(name: string, returns: "number" | "boolean" | null, types: string[], values: unknown[]): unknown;
    readonly [wrapper: `_duckdb_web_${string}`]: ((...values: number[]) => void) | undefined;
  }
  export interface GlueBindings {
    readonly mod: GlueModule;
    instantiateWasm(
      imports: { a: Record<string, WebAssembly.ImportValue> },
      done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => unknown,
    ): unknown;
    instantiate(): Promise<unknown>;
    open(config: object): void;
    connect(): { readonly _conn: number };
    getVersion(): string;
  }
  export function createDuckDB(bundles: object, logger: object, runtime: object): Promise<GlueBindings>;
  export class VoidLogger {}
  export const BROWSER_RUNTIME: object;
  export function callSRet(
    mod: GlueModule,
    name: string,
    types: string[],
    values: unknown[],
  ): [status: number, data: number, bytes: number];
  export function readString(mod: GlueModule, at: number, bytes: number): string;
  export function copyBuffer(mod: GlueModule, at: number, bytes: number): Uint8Array<ArrayBuffer>;
  export function dropResponseBuffers(mod: GlueModule): void;
  export function failWith(mod: GlueModule, message: string): void;
}

/** JSPI, which workerd has switched on and its types do not know yet. */
declare namespace WebAssembly {
  class Suspending {
    constructor(call: (...values: never[]) => number | Promise<number>);
  }
  function promising(exported: (...values: never[]) => unknown): (...values: number[]) => Promise<number | undefined>;
}
