/**
 * How DuckDB-wasm calls a function of ours, a chunk of at most 2,048 rows at a time: a description in JSON says where in
 * its heap the arguments' columns lie; the answer is three pointers, to values, validity and lengths. DuckDB frees the
 * pointers, the validity, and values that are no texts; texts it copies, so they lie in a scratch of ours.
 *
 * The package's own runtime does the same with typed arrays that it keeps over allocations: when the heap grows, they
 * are detached. Here everything is allocated first, and looked at after.
 */
import type { GlueModule } from "../engine/duckdb-glue.ts";
import type { ScalarFunction, ScalarValue } from "./scalar-functions.ts";

interface Column {
  readonly physicalType: string;
  readonly validityBuffer?: number;
  readonly dataBuffer?: number;
  readonly lengthBuffer?: number;
}

interface Chunk {
  readonly rows: number;
  readonly args: readonly Column[];
}

type Reader = (row: number) => ScalarValue;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** What a call of DuckDB's came with. */
export interface ScalarCall {
  /** Where to put status, pointer and length, as doubles. */
  readonly response: number;
  readonly description: number;
  readonly descriptionBytes: number;
  readonly pointers: number;
}

export function answerScalarCall(mod: GlueModule, scratch: Scratch, called: ScalarFunction, call: ScalarCall): void {
  try {
    const chunk = JSON.parse(textAt(mod, call.description, call.descriptionBytes)) as Chunk;
    const readers = chunk.args.map((column) => readerOf(mod, column, call.pointers));
    const results: ScalarValue[] = [];
    for (let row = 0; row < chunk.rows; row++) {
      const values = readers.map((read) => read(row));
      results.push(values.includes(null) ? null : called.call(...values));
    }
    respond(mod, call.response, 0, write(mod, scratch, called.returns, results), 0);
  } catch (error) {
    const message = encoder.encode(error instanceof Error ? error.message : String(error));
    const at = allocated(mod, message.length);
    mod.HEAPU8.set(message, at);
    respond(mod, call.response, 1, at, message.length);
  }
}

/** Room for texts, kept from call to call: it grows to what the largest chunk took. */
export class Scratch {
  #at = 0;
  #bytes = 0;

  room(mod: GlueModule, bytes: number): number {
    if (bytes > this.#bytes) {
      if (this.#at !== 0) mod._free(this.#at);
      this.#bytes = 0;
      this.#at = allocated(mod, bytes);
      this.#bytes = bytes;
    }
    return this.#at;
  }
}

function readerOf(mod: GlueModule, column: Column, pointers: number): Reader {
  const pointer = (index: number | undefined) => {
    if (index === undefined) throw new Error(`a ${column.physicalType} cannot be given to this function`);
    return mod.HEAPF64[(pointers >> 3) + index]!;
  };
  const at = pointer(column.dataBuffer);
  const valid = column.validityBuffer === undefined ? null : pointer(column.validityBuffer);
  const present = (row: number) => valid === null || mod.HEAPU8[valid + row] !== 0;
  const of =
    (read: Reader): Reader =>
    (row) =>
      present(row) ? read(row) : null;
  switch (column.physicalType) {
    case "VARCHAR": {
      const lengths = pointer(column.lengthBuffer);
      return of((row) => textAt(mod, mod.HEAPF64[(at >> 3) + row]!, mod.HEAPF64[(lengths >> 3) + row]!));
    }
    case "DOUBLE":
      return of((row) => mod.HEAPF64[(at >> 3) + row]!);
    default:
      throw new Error(`a ${column.physicalType} cannot be given to this function`);
  }
}

const WIDTHS = { VARCHAR: 8, BIGINT: 8, BOOLEAN: 1 } as const;

/** @returns a pointer to the three pointers. */
function write(
  mod: GlueModule,
  scratch: Scratch,
  returns: ScalarFunction["returns"],
  results: readonly ScalarValue[],
): number {
  const rows = results.length;
  const texts = returns === "VARCHAR" ? results.map((value) => encoder.encode(String(value ?? ""))) : [];
  const textBytes = texts.reduce((sum, { length }) => sum + length, 0);
  const validity = allocated(mod, rows);
  const answer = allocated(mod, 24);
  // Pointers and lengths of texts, then the texts.
  const data =
    returns === "VARCHAR" ? scratch.room(mod, rows * 16 + textBytes) : allocated(mod, rows * WIDTHS[returns]);
  const lengths = data + rows * 8;
  let textAt = lengths + rows * 8;
  const view = new DataView(mod.HEAPU8.buffer);
  for (const [row, value] of results.entries()) {
    mod.HEAPU8[validity + row] = value === null ? 0 : 1;
    if (returns === "VARCHAR") {
      const text = texts[row]!;
      mod.HEAPU8.set(text, textAt);
      view.setFloat64(data + row * 8, textAt, true);
      view.setFloat64(lengths + row * 8, text.length, true);
      textAt += text.length;
    } else if (returns === "BIGINT") view.setBigInt64(data + row * 8, BigInt(Number(value ?? 0)), true);
    else mod.HEAPU8[data + row] = value === true ? 1 : 0;
  }
  view.setFloat64(answer, data, true);
  view.setFloat64(answer + 8, validity, true);
  view.setFloat64(answer + 16, returns === "VARCHAR" ? lengths : 0, true);
  return answer;
}

function respond(mod: GlueModule, response: number, status: 0 | 1, at: number, bytes: number): void {
  mod.HEAPF64[response >> 3] = status;
  mod.HEAPF64[(response >> 3) + 1] = at;
  mod.HEAPF64[(response >> 3) + 2] = bytes;
}

function allocated(mod: GlueModule, bytes: number): number {
  const at = mod._malloc(Math.max(8, bytes));
  if (at === 0) throw new Error("Out of Memory Error: no room for a function's answer");
  return at;
}

const textAt = (mod: GlueModule, at: number, bytes: number): string =>
  decoder.decode(mod.HEAPU8.subarray(at, at + bytes));
