/**
 * Data files into fewer, larger, sorted ones, whoever asks: maintenance, or the cut of a day. Nothing is committed here:
 * what comes back are files that nothing names yet.
 */
import { ulid } from "ulidx";
import type { DataFile, NewDataFile } from "../../durable-objects/lake-catalog/api.ts";
import type { DataFileFacts } from "../../r2-layout/data-file.ts";
import { type Columns, TABLES, type TableName } from "../../r2-layout/event-columns.ts";
import { dataFileKey } from "../../r2-layout/keys.ts";
import { LAKE } from "../../r2-layout/limits.ts";
import { type MergedPart, type MergeInput, type MergeOutput, mergeFiles } from "../../r2-layout/parquet-merge.ts";
import { DAY_US } from "../../r2-layout/time.ts";
import { inBuildTurn } from "../lake/build-turn.ts";
import { MultipartFile, type UploadList, type UploadStore } from "./multipart-file.ts";

export interface CompactStore extends UploadStore {
  get(
    key: string,
    options?: { range: { offset: number; length: number } },
  ): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
}

export interface CompactFilesDeps {
  readonly bucket: CompactStore;
  readonly uploads: UploadList;
  /** parquet-wasm's module. */
  readonly parquet: WebAssembly.Module;
  /** Milliseconds. */
  readonly now?: () => number;
}

export interface CompactFilesRequest {
  readonly table: TableName;
  readonly files: readonly Pick<DataFile, "key" | "bytes" | "minTime" | "maxTime">[];
  /** Event names that have files of their own, by day. Absent: none. */
  readonly own?: Readonly<Record<string, readonly string[]>>;
  /** Of what comes out; absent: those that every lake has. */
  readonly columns?: Columns;
  /** Of fewer files nothing is made; absent: of one, too. */
  readonly least?: number;
}

export interface CompactedFiles {
  /** So many of the files, the first ones, are in what came out. */
  readonly taken: number;
  readonly add: readonly NewDataFile[];
}

/**
 * One pass: as many of the files, in their order, as fit into memory.
 * @throws where an object is missing or damaged; uploads that were begun are aborted.
 */
export async function compactPass(deps: CompactFilesDeps, request: CompactFilesRequest): Promise<CompactedFiles> {
  const { table, files, own = {}, columns = TABLES[table], least = 1 } = request;
  const ownNames = new Map(Object.entries(own).map(([day, names]) => [day, new Set(names)]));
  const none = new Set<string>();
  const merge = {
    table,
    columns,
    inputs: files.map((file) => inputOf(deps.bucket, file)),
    own: (day: string) => ownNames.get(day) ?? none,
    turn: inBuildTurn,
    least,
  };
  const { taken, files: add } = await mergeFiles(deps.parquet, merge, async (part) => outputOf(deps, table, part));
  return { taken, add };
}

/**
 * All of the files, in as many passes as it takes: files of several days become files of one, then each day's files are
 * merged until one pass takes all. Objects of passes between are orphans, for the sweep. Work for an offline job: a day of
 * many gigabytes takes minutes.
 */
export async function compactFiles(deps: CompactFilesDeps, request: CompactFilesRequest): Promise<NewDataFile[]> {
  type File = CompactFilesRequest["files"][number];
  const daysOf = ({ minTime, maxTime }: File) => [Math.floor(minTime / DAY_US), Math.floor(maxTime / DAY_US)] as const;
  const isMixed = (file: File) => daysOf(file)[0] !== daysOf(file)[1];
  const made = new Map<string, NewDataFile>();
  let mixed = request.files.filter(isMixed);
  const single: File[] = request.files.filter((file) => !isMixed(file));
  const pass = async (files: readonly File[]) => {
    const { taken, add } = await compactPass(deps, { ...request, files });
    for (const { key } of files.slice(0, taken)) made.delete(key);
    for (const file of add) made.set(file.key, file);
    return { rest: files.slice(taken), add };
  };
  while (mixed.length > 0) {
    const { rest, add } = await pass(mixed);
    single.push(...add.filter((file) => !isMixed(file)));
    mixed = [...rest, ...add.filter(isMixed)];
  }
  for (const ofDay of Map.groupBy(single, (file) => daysOf(file)[0]).values()) {
    // What came of a name's own is done; the others become fewer with each pass.
    let files = ofDay.filter(({ key }) => made.get(key)?.partition === undefined);
    const asGiven = (file: File) => !made.has(file.key);
    while (files.length > 1 || files.some(asGiven)) {
      const { rest, add } = await pass(files.toSorted((a, b) => a.bytes - b.bytes));
      files = [...rest, ...add.filter(({ partition, bytes }) => partition === undefined && bytes < LAKE.fileBytes)];
    }
  }
  return [...made.values()];
}

function inputOf(bucket: CompactStore, file: CompactFilesRequest["files"][number]): MergeInput {
  const { key, bytes, minTime, maxTime } = file;
  const read = async (start: number, end: number) => {
    const whole = start === 0 && end === bytes;
    const object = await bucket.get(key, whole ? undefined : { range: { offset: start, length: end - start } });
    if (!object) throw new Error(`data file ${key} is missing`);
    const read = new Uint8Array(await object.arrayBuffer());
    if (read.length !== end - start) throw new RangeError(`data file ${key} is shorter than its ${bytes} bytes`);
    return read;
  };
  return { bytes, minTime, maxTime, read };
}

function outputOf(deps: CompactFilesDeps, table: TableName, { day }: MergedPart): MergeOutput<NewDataFile> {
  const key = dataFileKey({ table, kind: "compact", day, ulid: ulid((deps.now ?? Date.now)()) });
  const file = new MultipartFile(deps.bucket, deps.uploads, key);
  return {
    append: (bytes) => file.append(bytes),
    async close(facts: DataFileFacts) {
      await file.close();
      return { ...facts, key, kind: "compact" };
    },
    abort: () => file.abort(),
  };
}
