/**
 * The parser: datafusion-sqlparser, DuckDB's dialect, in wasm. The package's own glue keeps one instance for good, but
 * a statement built to exhaust the parser's stack leaves an instance behind that traps at every later call. So this is
 * a binding of our own to the one function that is used, and an instance that trapped is replaced.
 */
import { MiB } from "../../../r2-layout/limits.ts";
import type { ParseSql } from "./plan-statement.ts";

interface ParserExports {
  readonly memory: WebAssembly.Memory;
  readonly __wbindgen_externrefs: WebAssembly.Table;
  readonly __wbindgen_malloc: (bytes: number, align: number) => number;
  readonly __wbindgen_free: (at: number, bytes: number, align: number) => void;
  readonly __externref_table_dealloc: (index: number) => void;
  readonly __wbindgen_start: () => void;
  readonly parse_sql_to_json_string: (
    dialect: number,
    dialectBytes: number,
    sql: number,
    sqlBytes: number,
  ) => [at: number, bytes: number, error: number, failed: number];
}

/** @param module the package's `sqlparser_rs_wasm_bg.wasm`, compiled. */
export function sqlParser(module: WebAssembly.Module): ParseSql {
  let current: ParserInstance | null = null;
  return (sql) => {
    const instance = current ?? new ParserInstance(module);
    // Kept only where the call comes back in order.
    current = null;
    const answer = instance.parse(sql);
    if (instance.memoryBytes <= KEPT_BYTES) current = instance;
    if (answer.ok) return JSON.parse(answer.text);
    throw new Error(answer.text);
  };
}

/** Wasm memory never shrinks: an instance that grew past this on a long statement is let go. */
const KEPT_BYTES = 8 * MiB;

class ParserInstance {
  readonly #wasm: ParserExports;

  constructor(module: WebAssembly.Module) {
    const imports: Record<string, Record<string, WebAssembly.ImportValue>> = {};
    for (const wanted of WebAssembly.Module.imports(module)) {
      imports[wanted.module] ??= {};
      imports[wanted.module]![wanted.name] = this.#import(wanted.name);
    }
    this.#wasm = new WebAssembly.Instance(module, imports).exports as unknown as ParserExports;
    this.#wasm.__wbindgen_start();
  }

  get memoryBytes(): number {
    return this.#wasm.memory.buffer.byteLength;
  }

  /** The syntax tree as JSON, or the parser's message. @throws WebAssembly.RuntimeError where it ran out of stack. */
  parse(sql: string): { ok: boolean; text: string } {
    const dialect = this.#write("duckdb");
    const statement = this.#write(sql);
    const [at, bytes, error, failed] = this.#wasm.parse_sql_to_json_string(...dialect, ...statement);
    if (failed === 0) {
      const text = this.#read(at, bytes);
      this.#wasm.__wbindgen_free(at, bytes, 1);
      return { ok: true, text };
    }
    const cause: unknown = this.#wasm.__wbindgen_externrefs.get(error);
    this.#wasm.__externref_table_dealloc(error);
    const message = typeof cause === "object" && cause !== null && "message" in cause ? cause.message : cause;
    return { ok: false, text: String(message) };
  }

  /** wasm-bindgen's imports by the stable beginning of their names: what reporting an error takes, and nothing more. */
  #import(name: string): WebAssembly.ImportValue {
    if (name === "__wbindgen_init_externref_table") return () => this.#initTable();
    if (name.startsWith("__wbindgen_cast_")) {
      return (a: unknown, b?: number) => (b === undefined ? a : this.#read(a as number, b));
    }
    if (name.startsWith("__wbg_Error_")) return (at: number, bytes: number) => new Error(this.#read(at, bytes));
    if (name.startsWith("__wbg_new_")) return () => ({});
    if (name.startsWith("__wbg_set_"))
      return (target: object, key: string, value: unknown) => Reflect.set(target, key, value);
    if (name.startsWith("__wbg___wbindgen_throw_")) {
      return (at: number, bytes: number) => {
        throw new Error(this.#read(at, bytes));
      };
    }
    return () => undefined;
  }

  #initTable(): void {
    const table = this.#wasm.__wbindgen_externrefs;
    const first = table.grow(4);
    for (const [i, value] of [undefined, null, true, false].entries()) table.set(first + i, value);
  }

  #write(text: string): [at: number, bytes: number] {
    const bytes = new TextEncoder().encode(text);
    const at = this.#wasm.__wbindgen_malloc(bytes.length, 1) >>> 0;
    new Uint8Array(this.#wasm.memory.buffer).set(bytes, at);
    return [at, bytes.length];
  }

  #read(at: number, bytes: number): string {
    return new TextDecoder().decode(new Uint8Array(this.#wasm.memory.buffer, at >>> 0, bytes));
  }
}
