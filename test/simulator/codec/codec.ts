/**
 * Files of the lake without the Parquet encoder: the rows as JSON behind a magic word, with the facts that the code asks
 * a footer for. Encoding is most of the time of a simulated run and no protocol depends on it, so most seeds use this;
 * a share of them uses the real encoder (`real`). Both kinds are read wherever one may turn up.
 */
import type { AnyRow } from "../../../r2-layout/arrow-rows.ts";
import { type Column, TABLES, type TableName } from "../../../r2-layout/event-columns.ts";
import type { ColumnChunk } from "../../../r2-layout/parquet-footer.ts";
import type { Scheduler } from "../platform/scheduler.ts";

export const codec: { real: boolean; scheduler: Scheduler | null; parquet: WebAssembly.Module | null } = {
  real: false,
  scheduler: null,
  parquet: null,
};

const MAGIC = "SIMULATED";

/** A footer of ours: told from a real one by its rows. */
export interface PlainFooter {
  readonly plain: true;
  readonly table: TableName;
  readonly groups: readonly (readonly AnyRow[])[];
}

export const isPlain = (footer: object): footer is PlainFooter => "plain" in footer;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodePlain(table: TableName, groups: readonly (readonly AnyRow[])[]) {
  const footer: PlainFooter = { plain: true, table, groups };
  return { bytes: encoder.encode(`${MAGIC}${JSON.stringify({ table, groups })}`), footer };
}

/** Null where the bytes are no file of ours. @throws where they are damaged */
export function decodePlain(bytes: Uint8Array): PlainFooter | null {
  if (decoder.decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) return null;
  return { plain: true, ...JSON.parse(decoder.decode(bytes.subarray(MAGIC.length))) };
}

export const plainRows = (footer: PlainFooter): AnyRow[] => footer.groups.flat();

/** Bounds of a few columns only: one that has none keeps its file in every plan, as in a file of an older schema. */
const BOUNDED = ["event_time", "received_at", "event_name", "source", "app_version", "country", "log_seq"];

export function plainChunks({ table, groups }: PlainFooter): ColumnChunk[] {
  const columns = Object.entries<Column>(TABLES[table]).filter(([name]) => BOUNDED.includes(name));
  return groups.flatMap((rows) =>
    columns.map(([name, { type }]) => {
      const values = rows.flatMap((row) => (row[name] === null || row[name] === undefined ? [] : [row[name]]));
      const sorted = type === "utf8" ? values.toSorted() : values.toSorted((a, b) => Number(a) - Number(b));
      const bytesOf = (value: unknown) => (value === undefined ? null : boundBytes(value as string | number));
      return {
        path: [name],
        values: rows.length,
        nulls: rows.length - values.length,
        min: bytesOf(sorted[0]),
        max: bytesOf(sorted.at(-1)),
        start: 0,
        compressedBytes: 0,
        textBytes: 0,
        bloomFilter: null,
      };
    }),
  );
}

function boundBytes(value: string | number): Uint8Array {
  if (typeof value === "string") return encoder.encode(value);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true);
  return bytes;
}
