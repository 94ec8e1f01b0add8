/**
 * Stands in for r2-layout/parquet-merge.ts in simulated runs: the same files come out, made of rows. The engine itself knows
 * no protocol, and its own tests know its rows.
 */
import type { AnyRow } from "../../../r2-layout/arrow-rows.ts";
import { buildDataFile, TIME_COLUMN } from "../../../r2-layout/data-file.ts";
import { LAKE } from "../../../r2-layout/limits.ts";
import type { Merged, MergedPart, MergeOutput, MergeRequest } from "../../../r2-layout/parquet-merge.ts";
import { DAY_US, dayOf } from "../../../r2-layout/time.ts";
import { decodeParquet } from "./parquet-reader.ts";
import { ParquetWriter } from "./parquet-writer.ts";

export type { Merged, MergedPart, MergeInput, MergeOutput, MergeRequest } from "../../../r2-layout/parquet-merge.ts";

export async function mergeFiles<Stored>(
  module: WebAssembly.Module,
  { table, columns, inputs, own, least = 1 }: MergeRequest,
  open: (part: MergedPart) => Promise<MergeOutput<Stored>>,
): Promise<Merged<Stored>> {
  const taken = inputs.slice(0, LAKE.compactInputs);
  if (taken.length < least) return { taken: taken.length, files: [] };
  const rows: AnyRow[] = [];
  for (const { bytes, read } of taken) {
    const decoded = decodeParquet(module, table, await read(0, bytes), undefined, undefined, columns);
    for (let i = 0; i < decoded.length; i++) rows.push(decoded.row(i));
  }
  const partOf = (row: AnyRow): string => {
    const day = dayOf(Math.floor((row[TIME_COLUMN[table]] as number) / DAY_US) * DAY_US);
    const name = row.event_name as string | null | undefined;
    return JSON.stringify({ day, name: name && own(day).has(name) ? name : null } satisfies MergedPart);
  };
  // Made as the real one is, and no more of it is used.
  const writer = new ParquetWriter(module) as unknown as Parameters<typeof buildDataFile>[0];
  const files: Stored[] = [];
  for (const [text, ofPart] of Map.groupBy(rows, partOf)) {
    const part = JSON.parse(text) as MergedPart;
    const { bytes, facts } = await buildDataFile(writer, table, ofPart, undefined, columns);
    const output = await open(part);
    await output.append(bytes);
    files.push(await output.close({ ...facts, ...(part.name !== null && { partition: part.name }) }));
  }
  return { taken: taken.length, files };
}
