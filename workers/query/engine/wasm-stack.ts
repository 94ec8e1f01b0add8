/**
 * A larger C stack for DuckDB. The build has emscripten's default of 64 KiB, without a guard: `select *` over our
 * columns with an ORDER BY takes 83 KB, and what runs over falls into DuckDB's own static data (tables of functions
 * among it), where it shows as "null function", "memory access out of bounds" or a wrong error later on. The stack
 * pointer is a global that the glue can set, so the stack is moved to a piece of heap, once and for good.
 */
import type { GlueModule } from "./duckdb-glue.ts";

/** 25 times what the widest of our own statements took. */
const STACK_BYTES = 2 * 1_024 * 1_024;
/** For what runs while another is parked on the first. */
export const GUEST_STACK_BYTES = 1_024 * 1_024;
const CANARY_BYTES = 64;
const CANARY = 0xa5;

export class WasmStack {
  readonly #mod: GlueModule;
  readonly #bottom: number;
  readonly #top: number;

  constructor(mod: GlueModule, bytes = STACK_BYTES) {
    this.#mod = mod;
    this.#bottom = mod._malloc(bytes);
    if (this.#bottom === 0) throw new Error("no memory for DuckDB's stack");
    mod.HEAPU8.fill(CANARY, this.#bottom, this.#bottom + CANARY_BYTES);
    this.#top = (this.#bottom + bytes) & ~15;
  }

  /** What is called from now on uses it, from its beginning. */
  enter(): void {
    this.#mod.stackRestore(this.#top);
  }

  /** Whether nothing has written past its end. */
  isWhole(): boolean {
    return this.#mod.HEAPU8.subarray(this.#bottom, this.#bottom + CANARY_BYTES).every((byte) => byte === CANARY);
  }
}
