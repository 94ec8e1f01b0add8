/** A statement's result as a Parquet file: DuckDB writes it into the encoder, piece by piece. */
import { tableFromIPC } from "apache-arrow";
import { columnsOf, type ResultEncoder } from "../results/encode.ts";
import { parquetCopy } from "../results/parquet-copy.ts";
import type { DuckDbInstance } from "./duckdb-instance.ts";

/** @param turn as in `DuckDbInstance.stream`. @returns rows of the file. */
export async function writeParquet(
  instance: DuckDbInstance,
  sql: string,
  turn: () => void | Promise<void>,
  encoder: Pick<ResultEncoder, "addFile">,
): Promise<number> {
  const [schema] = await messages(instance, `SELECT * FROM (${sql}) LIMIT 0`, turn);
  const columns = columnsOf(tableFromIPC(schema).schema);
  const pieces = new Pieces((bytes) => encoder.addFile(bytes));
  const name = instance.openResult((bytes) => pieces.add(bytes));
  try {
    const [countSchema, ...counts] = await messages(instance, parquetCopy(sql, columns, name), turn);
    pieces.flush();
    let rows = 0;
    for (const count of counts) rows += Number(tableFromIPC([countSchema!, count]).getChildAt(0)?.get(0) ?? 0);
    return rows;
  } finally {
    instance.closeResult();
  }
}

async function messages(
  instance: DuckDbInstance,
  sql: string,
  turn: () => void | Promise<void>,
): Promise<Uint8Array<ArrayBuffer>[]> {
  const all: Uint8Array<ArrayBuffer>[] = [];
  await instance.stream(sql, turn, (message) => all.push(message));
  return all;
}

const PIECE_BYTES = 256 * 1_024;

/** DuckDB writes 4 kB at a time. */
class Pieces {
  readonly #send: (bytes: Uint8Array<ArrayBuffer>) => void;
  #parts: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;

  constructor(send: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.#send = send;
  }

  add(bytes: Uint8Array<ArrayBuffer>): void {
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= PIECE_BYTES) this.flush();
  }

  flush(): void {
    const piece = new Uint8Array(this.#bytes);
    let at = 0;
    for (const part of this.#parts) {
      piece.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#bytes = 0;
    if (piece.length > 0) this.#send(piece);
  }
}
