/**
 * Data files merged into others: the engine of compaction. Inputs are sorted runs, read a row group at a time; what comes
 * out is sorted, cut by day and, where a day's event name has files of its own, by name, in row groups of 100,000 rows with
 * a Bloom filter over users and devices.
 *
 * Memory: every open run holds a packed row group and a decoded window (`openBytes`), and as many inputs are taken as stay
 * within `LAKE.mergeOpenBytes`. Beside them are one row group in the encoder, 35 MB at its end, and one part of an upload.
 */

import type { Data, RecordBatch } from "apache-arrow";
import { initSync } from "parquet-wasm/esm";
import { arrowSchema } from "./arrow-columns.ts";
import { BloomValues } from "./bloom-filter.ts";
import { joinBytes } from "./bytes.ts";
import { chunkSizes } from "./chunk-sizes.ts";
import { type DataFileFacts, nameFacts, TIME_COLUMN } from "./data-file.ts";
import type { Columns, TableName } from "./event-columns.ts";
import { KiB, LAKE } from "./limits.ts";
import {
  FileJoin,
  footerSize,
  type RowGroupPart,
  readFooter,
  readFooterTail,
  rowCount,
  rowGroupParts,
} from "./parquet-footer.ts";
import { encodeRowGroup, writerProperties } from "./parquet-writer.ts";
import { schemaVersionOf } from "./promoted-columns.ts";
import { SortedMerge, type TimeRange } from "./sorted-merge.ts";
import { compareBytes, Names, openBytes, type RunPart, SortedRun } from "./sorted-run.ts";
import { fileBounds, rowGroupBounds } from "./statistics.ts";
import { DAY_US, dayOf } from "./time.ts";

/** A file to be merged. */
export interface MergeInput {
  readonly bytes: number;
  /** Bounds of its rows' times, microseconds, inclusive. */
  readonly minTime: number;
  readonly maxTime: number;
  /** Bytes `start` up to `end`. */
  readonly read: (start: number, end: number) => Promise<Uint8Array>;
}

/** Where a merged file goes while it is made. */
export interface MergeOutput<Stored> {
  append(bytes: Uint8Array): Promise<void>;
  close(facts: DataFileFacts): Promise<Stored>;
  abort(): Promise<void>;
}

/** `day` is null for a file of several days, `name` for one of all names that have none of their own. */
export interface MergedPart {
  readonly day: string | null;
  readonly name: string | null;
}

export interface MergeRequest {
  readonly table: TableName;
  /** Of what comes out; what an input lacks of them is null. */
  readonly columns: Columns;
  readonly inputs: readonly MergeInput[];
  /** Event names that have files of their own, by day. */
  readonly own: (day: string) => ReadonlySet<string>;
  /** Where fewer inputs than this fit into memory, nothing is made of them. */
  readonly least?: number;
  /** Runs the making of one row group when the isolate has room for it; absent: at once. */
  readonly turn?: <T>(build: () => Promise<T>) => Promise<T>;
}

export interface Merged<Stored> {
  /** So many of the inputs, the first ones, were taken: more would not fit into memory. */
  readonly taken: number;
  readonly files: readonly Stored[];
}

/** @throws where an input cannot be read or is damaged; what was begun is then aborted. */
export async function mergeFiles<Stored>(
  module: WebAssembly.Module,
  request: MergeRequest,
  open: (part: MergedPart) => Promise<MergeOutput<Stored>>,
): Promise<Merged<Stored>> {
  initSync({ module });
  const { table, columns, inputs, own, least = 1 } = request;
  const opened = await openInputs(table, inputs);
  if (opened.length < least) return { taken: opened.length, files: [] };
  const files = new MergedFiles(request, open);
  try {
    for (const bucket of bucketsOf(opened)) {
      const names = new Names();
      const runs = bucket.runs.map((parts, index) => new SortedRun(index, columns, names, parts));
      const ownNames = bucket.day === null ? new Set<string>() : own(bucket.day);
      const merge = new SortedMerge(arrowSchema(columns), names, ownNames, runs, bucket.range);
      await files.write(bucket.day, merge);
    }
    return { taken: opened.length, files: await files.end() };
  } catch (error) {
    await files.abort();
    throw error;
  }
}

interface OpenedInput {
  readonly input: MergeInput;
  readonly parts: readonly (RunPart & { readonly minTime: number; readonly maxTime: number })[];
}

/** Footers of the inputs, until one more would not fit into memory; the first is taken in any case. */
async function openInputs(table: TableName, inputs: readonly MergeInput[]): Promise<OpenedInput[]> {
  const opened: OpenedInput[] = [];
  let bytes = 0;
  for (const input of inputs) {
    if (opened.length === LAKE.compactInputs) break;
    const one = await openInput(table, input);
    bytes += openBytes(one.parts);
    if (bytes > LAKE.mergeOpenBytes && opened.length > 1) break;
    opened.push(one);
  }
  return opened;
}

/** Files up to this size are read at once: their footer and their one row group are most of them. */
const SMALL_BYTES = 256 * KiB;
const TAIL_BYTES = 32 * KiB;

async function openInput(table: TableName, input: MergeInput): Promise<OpenedInput> {
  const size = input.bytes;
  let tail = await input.read(size <= SMALL_BYTES ? 0 : size - TAIL_BYTES, size);
  let held: Uint8Array | null = size <= SMALL_BYTES ? tail : null;
  const footerBytes = footerSize(tail);
  if (footerBytes > tail.length) tail = await input.read(size - footerBytes, size);
  const footer = held ? readFooter(held) : readFooterTail(tail);
  const groups = rowGroupParts(footer);
  const times = rowGroupBounds(footer, TIME_COLUMN[table]);
  const read = async (start: number, end: number) => {
    const bytes = held ? held.subarray(start, end) : await input.read(start, end);
    if (groups.length === 1) held = null;
    return bytes;
  };
  const parts = groups.map((group: RowGroupPart, i) => ({
    group,
    read,
    minTime: times[i]?.min ?? input.minTime,
    maxTime: times[i]?.max ?? input.maxTime,
  }));
  return { input, parts };
}

interface Bucket {
  readonly day: string | null;
  /** Null where no run has rows of another bucket. */
  readonly range: TimeRange | null;
  readonly runs: (readonly RunPart[])[];
}

/**
 * What is merged together. Files of one day: each is a run. Files of several days are sorted within their row groups only,
 * one a day or nearly: each row group is a run of its days. Where there are very many days, those before the newest
 * `LAKE.splitDays` stay in one file together, for another turn.
 */
function bucketsOf(opened: readonly OpenedInput[]): Bucket[] {
  const days = new Set<number>();
  for (const { parts } of opened) {
    for (const { minTime, maxTime } of parts) {
      for (let day = Math.floor(minTime / DAY_US); day <= Math.floor(maxTime / DAY_US); day++) days.add(day);
    }
  }
  const sorted = [...days].sort((a, b) => b - a);
  if (sorted.length <= 1) {
    const day = sorted[0] === undefined ? null : dayOf(sorted[0] * DAY_US);
    return [{ day, range: null, runs: opened.map(({ parts }) => parts) }];
  }
  const single = sorted.slice(0, LAKE.splitDays).map((day) => ({ first: day, last: day, day: dayOf(day * DAY_US) }));
  const rest = sorted.slice(LAKE.splitDays);
  const perGroup = Math.ceil(rest.length / LAKE.rowGroupsPerFile);
  const together: { first: number; last: number; day: string | null }[] = [];
  for (let i = 0; i < rest.length; i += perGroup) {
    together.push({ first: rest[Math.min(i + perGroup, rest.length) - 1]!, last: rest[i]!, day: null });
  }
  return [...single, ...together].flatMap(({ first, last, day }) => {
    const range = { from: first * DAY_US, to: (last + 1) * DAY_US };
    const runs = opened
      .flatMap(({ parts }) => parts.filter(({ minTime, maxTime }) => maxTime >= range.from && minTime < range.to))
      .map((part) => [part]);
    return runs.length === 0 ? [] : [{ day, range, runs }];
  });
}

/** Files that are being made: at most one of a name of its own, one of the others, at a time. */
class MergedFiles<Stored> {
  readonly #request: MergeRequest;
  readonly #open: (part: MergedPart) => Promise<MergeOutput<Stored>>;
  readonly #stored: Stored[] = [];
  readonly #files = new Map<string | null, MergedFile<Stored>>();
  #day: string | null = null;

  constructor(request: MergeRequest, open: (part: MergedPart) => Promise<MergeOutput<Stored>>) {
    this.#request = request;
    this.#open = open;
  }

  async write(day: string | null, merge: SortedMerge): Promise<void> {
    // Days that stay together share a file.
    if (day !== this.#day) for (const name of this.#files.keys()) await this.#close(name);
    this.#day = day;
    for (;;) {
      const name = await merge.target();
      if (name === undefined) return;
      for (const other of this.#files.keys()) if (other !== name && other !== null) await this.#close(other);
      let file = this.#files.get(name);
      if (!file) {
        file = new MergedFile(this.#request, await this.#open({ day, name }));
        this.#files.set(name, file);
      }
      await file.rowGroup(merge, name);
      if (file.bytes >= LAKE.fileBytes) await this.#close(name);
    }
  }

  async end(): Promise<Stored[]> {
    for (const name of this.#files.keys()) await this.#close(name);
    return this.#stored;
  }

  async abort(): Promise<void> {
    for (const file of this.#files.values()) await file.abort();
  }

  async #close(name: string | null): Promise<void> {
    const file = this.#files.get(name)!;
    this.#stored.push(await file.close(name));
    this.#files.delete(name);
  }
}

/** Columns with a Bloom filter: whose rows people ask for by a value that no bound tells of. */
const FILTERED = ["user_id", "anonymous_id"];

class MergedFile<Stored> {
  readonly #request: MergeRequest;
  readonly #output: MergeOutput<Stored>;
  readonly #join = new FileJoin();
  readonly #names = new Map<string, number>();
  #rows = 0;

  constructor(request: MergeRequest, output: MergeOutput<Stored>) {
    this.#request = request;
    this.#output = output;
  }

  get bytes(): number {
    return this.#join.bytes;
  }

  /** Takes the next rows of the merge, as many as a row group has, of one target. */
  async rowGroup(merge: SortedMerge, target: string | null): Promise<void> {
    const filters = new Map(FILTERED.map((name) => [name, new BloomValues()]));
    let rows = 0;
    let wideBytes = 0;
    let packedBytes = 0;
    const isFull = () =>
      rows >= LAKE.rowGroupRows || wideBytes >= LAKE.rowGroupWideBytes || packedBytes >= LAKE.rowGroupPackedBytes;
    const next = async (): Promise<IteratorResult<RecordBatch>> => {
      if (isFull() || (await merge.target()) !== target) return { done: true, value: undefined };
      const merged = await merge.next(LAKE.rowGroupRows - rows);
      rows += merged.rows;
      wideBytes += merged.wideBytes;
      packedBytes += merged.packedBytes;
      for (const [name, count] of merged.names) this.#names.set(name, (this.#names.get(name) ?? 0) + count);
      for (const [name, values] of filters) addValues(values, merged.batch, name);
      return { done: false, value: merged.batch };
    };
    const { columns, turn = (build) => build() } = this.#request;
    const part = await turn(() => encodeRowGroup({ next }, writerProperties(columns)));
    const written = rowCount(readFooter(part));
    if (written !== rows) throw new Error(`encoder wrote ${written} of ${rows} rows`);
    const encoded = new Map<string, Uint8Array>();
    for (const [name, values] of filters) {
      const filter = values.encode();
      if (filter) encoded.set(name, filter);
    }
    for (const piece of this.#join.add(part, encoded)) await this.#output.append(piece);
    this.#rows += rows;
  }

  async close(name: string | null): Promise<Stored> {
    const tail = joinBytes(this.#join.end());
    await this.#output.append(tail);
    const { table } = this.#request;
    const footer = readFooterTail(tail);
    const columns = fileBounds(footer, this.#request.columns);
    const time = columns[TIME_COLUMN[table]]!;
    const received = columns.received_at!;
    return this.#output.close({
      table,
      bytes: this.#join.bytes + tail.length,
      rows: this.#rows,
      minDay: dayOf(time.min as number),
      maxDay: dayOf(time.max as number),
      minTime: time.min as number,
      maxTime: time.max as number,
      minReceivedAt: received.min as number,
      maxReceivedAt: received.max as number,
      ...nameFacts(this.#names),
      columns,
      chunks: chunkSizes(footer, tail),
      schemaVersion: schemaVersionOf(this.#request.columns),
      ...(name !== null && { partition: name }),
    });
  }

  abort(): Promise<void> {
    return this.#output.abort();
  }
}

function addValues(values: BloomValues, batch: RecordBatch, name: string): void {
  const at = batch.schema.fields.findIndex((field) => field.name === name);
  const data: Data | undefined = batch.data.children[at];
  if (!data || data.nullCount === data.length) return;
  const bytes = data.values as Uint8Array;
  const offsets = data.valueOffsets as Int32Array;
  let [start, end] = [0, -1];
  for (let i = 0; i < data.length; i++) {
    if (data.nullCount > 0 && !data.getValid(i)) continue;
    const [from, to] = [offsets[i]!, offsets[i + 1]!];
    if (end >= 0 && compareBytes(bytes, from, to, bytes, start, end) === 0) continue;
    [start, end] = [from, to];
    values.add(bytes, from, to);
  }
}
