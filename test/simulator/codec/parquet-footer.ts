/** Stands in for r2-layout/parquet-footer.ts in simulated runs: footers of plain files beside the real ones. See codec.ts. */

import type { ColumnChunk } from "../../../r2-layout/parquet-footer.ts";
import * as real from "../../../r2-layout/parquet-footer.ts";
import type { ThriftStruct } from "../../../r2-layout/thrift-compact.ts";
import { decodePlain, isPlain, plainChunks, plainRows } from "./codec.ts";

// What is not named below is the real one's.
export * from "../../../r2-layout/parquet-footer.ts";

export const readFooter = (file: Uint8Array): ThriftStruct =>
  (decodePlain(file) as unknown as ThriftStruct | null) ?? real.readFooter(file);

export const rowCount = (footer: ThriftStruct): number =>
  isPlain(footer) ? plainRows(footer).length : real.rowCount(footer);

export const rowGroupRows = (footer: ThriftStruct): number[] =>
  isPlain(footer) ? footer.groups.map((rows) => rows.length) : real.rowGroupRows(footer);

export const decodedBytes = (footer: ThriftStruct): number =>
  isPlain(footer) ? 400 * plainRows(footer).length : real.decodedBytes(footer);

export const columnChunks = (footer: ThriftStruct): ColumnChunk[] =>
  isPlain(footer) ? plainChunks(footer) : real.columnChunks(footer);

/** A plain file has none at its end: whoever asks what a file's parts take is told of the least that there can be. */
export const footerSize = (tail: Uint8Array): number =>
  tail.at(-1) === LAST_OF_MAGIC ? real.footerSize(tail) : LEAST_FOOTER_BYTES;

const LAST_OF_MAGIC = "1".charCodeAt(0);
const LEAST_FOOTER_BYTES = 8;
