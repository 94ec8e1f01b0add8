/**
 * Compaction: the small files of one day become one sorted file. Safe beside appends, which only add, and beside
 * itself: the catalog takes a replacement only while every input is live, so of two compactions of one file the second
 * is told "conflict" and plans again; its file is an orphan for the sweep. Snapshots taken before keep reading the
 * inputs, whose objects stay until no snapshot reaches them. Files that a rule has yet to go over are left to it, and
 * while a rebuild runs there is no compaction: both have to find the files they looked at.
 *
 * Memory: inputs are decoded to Arrow, at most `LAKE.compactDecodedBytes` of it by their footers' own count; rows are
 * made from it a batch at a time, on their way into the encoder.
 */
import type { CompactionWork, DataFile, LakeCatalogApi } from "../../durable-objects/lake-catalog/api.ts";
import type { AnyRow } from "../../r2-layout/arrow-rows.ts";
import { type BuiltDataFile, buildDataFile, ORDER_COLUMNS } from "../../r2-layout/data-file.ts";
import type { Columns } from "../../r2-layout/event-columns.ts";
import { LAKE } from "../../r2-layout/limits.ts";
import { decodedBytes, readFooter } from "../../r2-layout/parquet-footer.ts";
import { type DecodedRows, decodeParquet } from "../../r2-layout/parquet-reader.ts";
import { ParquetWriter } from "../../r2-layout/parquet-writer.ts";
import { tableColumns } from "../../r2-layout/promoted-columns.ts";
import { inBuildTurn } from "../lake/build-turn.ts";
import { type DataFileStore, storedFile } from "../lake/sink.ts";

export interface CompactDeps {
  readonly bucket: DataFileStore & { get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null> };
  readonly catalog: Pick<LakeCatalogApi, "compactionWork" | "replace" | "schema">;
  readonly parquet: WebAssembly.Module;
  /** Milliseconds. */
  readonly now?: () => number;
}

export type Compacted =
  | { readonly kind: "compacted"; readonly inputs: number; readonly rows: number }
  /** Another compaction, a deletion or a rule was quicker, or a rebuild has begun: plan again. */
  | { readonly kind: "conflict" }
  /** Fewer than two inputs fit into the bounds: this day stays as it is. */
  | { readonly kind: "too_large" };

/** Compacts day after day until none is crowded or `untilMs`. @returns whether there may be more to do. */
export async function compactDays(deps: CompactDeps, untilMs: number, aboveFiles?: number): Promise<"done" | "more"> {
  const now = deps.now ?? Date.now;
  const skip: string[] = [];
  while (now() < untilMs) {
    const work = await deps.catalog.compactionWork(skip, aboveFiles);
    if (!work) return "done";
    const { kind } = await compactDay(deps, work);
    if (kind === "too_large") {
      const day = `${work.table}/${work.day ?? "mixed"}`;
      console.warn(JSON.stringify({ at: "maintenance", kind: "compact", reason: kind, day, files: work.files.length }));
      skip.push(day);
    }
  }
  return "more";
}

/** One round of one day: as many of its small files as the bounds allow become one. */
export async function compactDay(deps: CompactDeps, work: CompactionWork): Promise<Compacted> {
  const { table, day, rules = 0 } = work;
  const inputs = await readInputs(deps, work.files);
  if (inputs.length < 2) return { kind: "too_large" };
  // After the work was planned: it has every column that an input has. A row that is older than one has null in it.
  const columns = tableColumns(table, (await deps.catalog.schema()).promoted);
  const built = await inBuildTurn(() => merged(deps.parquet, table, inputs, columns));
  const add = await storedFile(deps.bucket, { table, kind: "compact", day }, built, (deps.now ?? Date.now)());
  const remove = inputs.map(({ file }) => file.id);
  const answer = await deps.catalog.replace({ remove, add: [add], operation: "compact", rules });
  return answer.kind === "committed"
    ? { kind: "compacted", inputs: inputs.length, rows: built.facts.rows }
    : { kind: "conflict" };
}

interface Input {
  readonly file: DataFile;
  readonly bytes: Uint8Array;
}

/** Inputs in order, until one more would break a bound. @throws where an object is missing: the catalog named it. */
async function readInputs(deps: CompactDeps, files: readonly DataFile[]): Promise<Input[]> {
  const inputs: Input[] = [];
  let bytes = 0;
  let rows = 0;
  let decoded = 0;
  for (const file of files) {
    bytes += file.bytes;
    rows += file.rows;
    if (bytes > LAKE.compactBytes || rows > LAKE.compactRows) break;
    const object = await deps.bucket.get(file.key);
    if (!object) throw new Error(`data file ${file.key} is missing`);
    const packed = new Uint8Array(await object.arrayBuffer());
    decoded += decodedBytes(readFooter(packed));
    if (decoded > LAKE.compactDecodedBytes) break;
    inputs.push({ file, bytes: packed });
  }
  return inputs;
}

/** What sorting needs of a row, and where the rest of it is. */
interface RowRef extends AnyRow {
  readonly input: DecodedRows;
  readonly index: number;
}

function merged(
  parquet: WebAssembly.Module,
  table: CompactionWork["table"],
  inputs: readonly Input[],
  columns: Columns,
): Promise<BuiltDataFile> {
  const refs: RowRef[] = [];
  for (const { bytes } of inputs) {
    const input = decodeParquet(parquet, table, bytes, undefined, undefined, columns);
    for (let index = 0; index < input.length; index++) refs.push({ ...input.row(index, ORDER_COLUMNS), input, index });
  }
  return buildDataFile(new ParquetWriter(parquet), table, refs, ({ input, index }) => input.row(index), columns);
}
