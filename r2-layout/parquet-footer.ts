/**
 * What a Parquet file says of itself: its row groups, where their column chunks lie, and their statistics. Joins files
 * that were written a row group each into one, which the encoder cannot do: it has no way to end a row group early.
 * Numbers in here are field numbers of parquet.thrift.
 */
import { joinBytes } from "./bytes.ts";
import { readThrift, type Thrift, type ThriftStruct, writeThrift } from "./thrift-compact.ts";

const MAGIC = new Uint8Array([0x50, 0x41, 0x52, 0x31]); // PAR1
const TRAILER_BYTES = 8;

const FILE = { schema: 2, numRows: 3, rowGroups: 4, keyValues: 5, columnOrders: 7 } as const;
const ELEMENT = { name: 4, children: 5 } as const;
const ROW_GROUP = { columns: 1, numRows: 3, fileOffset: 5, ordinal: 7 } as const;
const CHUNK = {
  fileOffset: 2,
  meta: 3,
  offsetIndexAt: 4,
  offsetIndexBytes: 5,
  columnIndexAt: 6,
  columnIndexBytes: 7,
} as const;
const META = {
  path: 3,
  values: 5,
  compressedBytes: 7,
  dataPageAt: 9,
  indexPageAt: 10,
  dictionaryPageAt: 11,
  statistics: 12,
  bloomFilterAt: 14,
  bloomFilterBytes: 15,
  sizes: 16,
} as const;
const STATISTICS = { nulls: 3, max: 5, min: 6 } as const;
const SIZES = { textBytes: 1 } as const;

export interface ColumnChunk {
  readonly path: readonly string[];
  /** Values, nulls included; of a list or map, its leaves. */
  readonly values: number;
  /** Null where the chunk has no statistics. */
  readonly nulls: number | null;
  readonly min: Uint8Array | null;
  readonly max: Uint8Array | null;
  /** Where its pages start in the file, and their bytes. */
  readonly start: number;
  readonly compressedBytes: number;
  /** Bytes of its texts, decoded; 0 for numbers. */
  readonly textBytes: number;
  /** Where its Bloom filter lies in the file, header included; null where it has none. */
  readonly bloomFilter: { readonly start: number; readonly bytes: number } | null;
}

/** How many of a file's last bytes its footer takes, its length and the magic included. @param tail 8 bytes at least. */
export function footerSize(tail: Uint8Array): number {
  if (!MAGIC.every((byte, i) => tail[tail.length - 4 + i] === byte)) throw new RangeError("not a Parquet file");
  return footerBytes(tail) + TRAILER_BYTES;
}

/** @param tail the last bytes of a file, `footerSize` of them at least. */
export function readFooterTail(tail: Uint8Array): ThriftStruct {
  const size = footerSize(tail);
  if (size > tail.length) throw new RangeError("Parquet footer is longer than its file");
  return readThrift(tail.subarray(tail.length - size, tail.length - TRAILER_BYTES));
}

/** @throws RangeError where the bytes are no whole Parquet file. */
export function readFooter(file: Uint8Array): ThriftStruct {
  const end = file.length - TRAILER_BYTES;
  if (end < MAGIC.length || !MAGIC.every((byte, i) => file[file.length - 4 + i] === byte && file[i] === byte)) {
    throw new RangeError("not a Parquet file");
  }
  const length = footerBytes(file);
  if (length > end - MAGIC.length) throw new RangeError("Parquet footer is longer than its file");
  return readThrift(file.subarray(end - length, end));
}

const footerBytes = (file: Uint8Array): number =>
  new DataView(file.buffer, file.byteOffset + file.length - TRAILER_BYTES, 4).getUint32(0, true);

export const rowCount = (footer: ThriftStruct): number => int(footer, FILE.numRows);

/** Rows of each row group, in order. */
export const rowGroupRows = (footer: ThriftStruct): number[] =>
  structs(footer, FILE.rowGroups).map((group) => int(group, ROW_GROUP.numRows));

/** Bytes that the rows take in memory once decoded: all text as it is, and eight bytes a value beside it. */
export const decodedBytes = (footer: ThriftStruct): number =>
  columnChunks(footer).reduce((sum, chunk) => sum + chunk.textBytes + 8 * chunk.values, 0);

/** Every column chunk of every row group, in file order. */
export function columnChunks(footer: ThriftStruct): ColumnChunk[] {
  return structs(footer, FILE.rowGroups).flatMap((group) => structs(group, ROW_GROUP.columns).map(columnChunk));
}

/**
 * One file with the row groups of all parts, in order.
 * @throws RangeError where there is no part or one is damaged.
 */
export function joinParts(parts: readonly Uint8Array[]): { bytes: Uint8Array; footer: ThriftStruct } {
  const join = new FileJoin();
  const bytes = joinBytes([...parts.flatMap((part) => join.add(part)), ...join.end()]);
  return { bytes, footer: readFooter(bytes) };
}

/**
 * A file made of parts as they come, to be sent on as they come. Page indexes stay behind: the offsets in them would be
 * wrong, and no engine of ours reads them. So does the Arrow schema that the encoder adds, a second telling of the first.
 * Row groups are kept encoded: as trees those of the largest file would be ten megabytes.
 */
export class FileJoin {
  #footer: ThriftStruct | null = null;
  readonly #groups: Thrift[] = [];
  #rows = 0;
  #at = 0;

  /** Bytes so far, the footer not among them. */
  get bytes(): number {
    return this.#at;
  }

  get rowGroups(): number {
    return this.#groups.length;
  }

  /**
   * @param filters Bloom filters with their headers, by column: they follow the row group.
   * @returns what comes next in the file, parts of `part` among it. @throws RangeError where the part is damaged.
   */
  add(part: Uint8Array, filters: ReadonlyMap<string, Uint8Array> = new Map()): Uint8Array[] {
    const footer = readFooter(part);
    const pieces: Uint8Array[] = [];
    if (this.#footer === null) {
      pieces.push(MAGIC);
      this.#at = MAGIC.length;
      this.#footer = footer;
    }
    const end = Math.max(...columnChunks(footer).map((chunk) => chunk.start + chunk.compressedBytes));
    const shift = this.#at - MAGIC.length;
    pieces.push(part.subarray(MAGIC.length, end));
    this.#at += end - MAGIC.length;
    for (const group of structs(footer, FILE.rowGroups)) {
      moved(group, shift, this.#groups.length);
      for (const chunk of structs(group, ROW_GROUP.columns)) {
        const { path } = columnChunk(chunk);
        const filter = path.length === 1 ? filters.get(path[0]!) : undefined;
        if (!filter) continue;
        const { fields } = struct(chunk, CHUNK.meta);
        fields.set(META.bloomFilterAt, { type: "int", wire: 6, value: this.#at });
        fields.set(META.bloomFilterBytes, { type: "int", wire: 5, value: filter.length });
        pieces.push(filter);
        this.#at += filter.length;
      }
      this.#rows += int(group, ROW_GROUP.numRows);
      this.#groups.push({ type: "encoded", bytes: writeThrift(group) });
    }
    return pieces;
  }

  /** The end of the file. @throws RangeError where there was no part. */
  end(): Uint8Array[] {
    if (this.#footer === null) throw new RangeError("a Parquet file needs a part");
    setInt(this.#footer, FILE.numRows, this.#rows);
    setList(this.#footer, FILE.rowGroups, this.#groups);
    this.#footer.fields.delete(FILE.keyValues);
    return ending(this.#footer);
  }
}

/** A row group of a file, to be read by itself. */
export interface RowGroupPart {
  readonly rows: number;
  /** Where its pages lie in the file. */
  readonly start: number;
  readonly end: number;
  /** What they take in memory once decoded, about. */
  readonly decodedBytes: number;
  /** The end of a file that has this row group only. */
  readonly ending: Uint8Array;
}

/** Each row group as a part of its own: little is kept of the footer. */
export function rowGroupParts(footer: ThriftStruct): RowGroupPart[] {
  const groups = structs(footer, FILE.rowGroups);
  const parts = groups.map((group): RowGroupPart => {
    const chunks = structs(group, ROW_GROUP.columns).map(columnChunk);
    const start = Math.min(...chunks.map((chunk) => chunk.start));
    const end = Math.max(...chunks.map((chunk) => chunk.start + chunk.compressedBytes));
    const rows = int(group, ROW_GROUP.numRows);
    const alone = readThrift(writeThrift(group));
    moved(alone, MAGIC.length - start, 0);
    for (const chunk of structs(alone, ROW_GROUP.columns)) {
      const { fields } = struct(chunk, CHUNK.meta);
      fields.delete(META.bloomFilterAt);
      fields.delete(META.bloomFilterBytes);
    }
    const fields = new Map(footer.fields);
    fields.delete(FILE.keyValues);
    fields.set(FILE.numRows, { type: "int", wire: 6, value: rows });
    fields.set(FILE.rowGroups, { type: "list", of: 12, items: [alone] });
    const decodedBytes = chunks.reduce((sum, chunk) => sum + chunk.textBytes + 8 * chunk.values, 0);
    return { rows, start, end, decodedBytes, ending: joinBytes(ending({ type: "struct", fields })) };
  });
  return parts;
}

/** A file of one row group. @param pages the bytes of the whole file from the part's `start` to its `end`. */
export const rowGroupFile = (part: RowGroupPart, pages: Uint8Array): Uint8Array =>
  joinBytes([MAGIC, pages, part.ending]);

/**
 * The end of a file that has some of its row groups only, which stay where they lie: who reads through it finds no others.
 * @param tail the file's last bytes, the whole footer within. @param kept indexes of row groups, rising.
 */
export function endWithRowGroups(tail: Uint8Array, kept: readonly number[]): Uint8Array {
  const footer = readFooterTail(tail);
  const groups = structs(footer, FILE.rowGroups);
  const items = kept.map((index) => groups[index]!);
  setList(footer, FILE.rowGroups, items);
  setInt(
    footer,
    FILE.numRows,
    items.reduce((sum, group) => sum + int(group, ROW_GROUP.numRows), 0),
  );
  return joinBytes(ending(footer));
}

/** A footer, its length, and the magic bytes. */
function ending(footer: ThriftStruct): Uint8Array[] {
  const tail = writeThrift(footer);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, tail.length, true);
  return [tail, length, MAGIC];
}

/**
 * The same file with some of its columns: the bytes of the others stay where they are, and its footer does not tell of
 * them. For the encoder's reader, which knows no choice of columns. @throws RangeError where it has none of them.
 */
export function withColumns(file: Uint8Array, names: readonly string[]): Uint8Array {
  const footer = readFooter(file);
  const [root, ...elements] = structs(footer, FILE.schema);
  const kept = [root!];
  let children = 0;
  for (let i = 0; i < elements.length; ) {
    const end = elementEnd(elements, i);
    if (names.includes(text(elements[i]!, ELEMENT.name))) {
      kept.push(...elements.slice(i, end));
      children++;
    }
    i = end;
  }
  if (children === 0) throw new RangeError(`the file has no column ${names.join(", ")}`);
  setInt(root!, ELEMENT.children, children);
  setList(footer, FILE.schema, kept);
  for (const group of structs(footer, FILE.rowGroups)) {
    const chunks = structs(group, ROW_GROUP.columns);
    setList(
      group,
      ROW_GROUP.columns,
      chunks.filter((chunk) => names.includes(columnChunk(chunk).path[0]!)),
    );
  }
  footer.fields.delete(FILE.keyValues);
  footer.fields.delete(FILE.columnOrders);
  const body = file.subarray(0, file.length - TRAILER_BYTES - footerBytes(file));
  return joinBytes([body, ...ending(footer)]);
}

/** Where a schema element's descendants end: they follow it. */
function elementEnd(elements: readonly ThriftStruct[], at: number): number {
  const element = elements[at]!;
  let end = at + 1;
  const children = element.fields.has(ELEMENT.children) ? int(element, ELEMENT.children) : 0;
  for (let i = 0; i < children; i++) end = elementEnd(elements, end);
  return end;
}

function moved(group: ThriftStruct, by: number, ordinal: number): ThriftStruct {
  shift(group, ROW_GROUP.fileOffset, by);
  if (group.fields.has(ROW_GROUP.ordinal)) setInt(group, ROW_GROUP.ordinal, ordinal);
  for (const chunk of structs(group, ROW_GROUP.columns)) {
    // 0 where the metadata is in the footer only, as the format now asks.
    if (int(chunk, CHUNK.fileOffset) > 0) shift(chunk, CHUNK.fileOffset, by);
    for (const id of [CHUNK.offsetIndexAt, CHUNK.offsetIndexBytes, CHUNK.columnIndexAt, CHUNK.columnIndexBytes]) {
      chunk.fields.delete(id);
    }
    const meta = struct(chunk, CHUNK.meta);
    for (const id of [META.dataPageAt, META.indexPageAt, META.dictionaryPageAt, META.bloomFilterAt]) {
      shift(meta, id, by);
    }
  }
  return group;
}

function columnChunk(chunk: ThriftStruct): ColumnChunk {
  const meta = struct(chunk, CHUNK.meta);
  const statistics = meta.fields.get(META.statistics);
  const sizes = meta.fields.get(META.sizes);
  const dictionaryAt = meta.fields.has(META.dictionaryPageAt) ? int(meta, META.dictionaryPageAt) : 0;
  const dataAt = int(meta, META.dataPageAt);
  return {
    path: list(meta, META.path).map(decodedText),
    values: int(meta, META.values),
    start: dictionaryAt > 0 ? Math.min(dictionaryAt, dataAt) : dataAt,
    compressedBytes: int(meta, META.compressedBytes),
    textBytes: sizes?.type === "struct" && sizes.fields.has(SIZES.textBytes) ? int(sizes, SIZES.textBytes) : 0,
    bloomFilter:
      meta.fields.has(META.bloomFilterAt) && meta.fields.has(META.bloomFilterBytes)
        ? { start: int(meta, META.bloomFilterAt), bytes: int(meta, META.bloomFilterBytes) }
        : null,
    nulls: null,
    min: null,
    max: null,
    ...(statistics?.type === "struct" && {
      nulls: statistics.fields.has(STATISTICS.nulls) ? int(statistics, STATISTICS.nulls) : null,
      min: binary(statistics, STATISTICS.min),
      max: binary(statistics, STATISTICS.max),
    }),
  };
}

const decoder = new TextDecoder();
const decodedText = (item: Thrift) => decoder.decode((item as Extract<Thrift, { type: "binary" }>).value);
const text = (parent: ThriftStruct, id: number) => decodedText(parent.fields.get(id)!);

function list(parent: ThriftStruct, id: number): Thrift[] {
  const value = parent.fields.get(id);
  if (value?.type !== "list") throw new RangeError(`footer field ${id} is no list`);
  return value.items;
}

const structs = (parent: ThriftStruct, id: number) => list(parent, id) as ThriftStruct[];

function struct(parent: ThriftStruct, id: number): ThriftStruct {
  const value = parent.fields.get(id);
  if (value?.type !== "struct") throw new RangeError(`footer field ${id} is no struct`);
  return value;
}

function int(parent: ThriftStruct, id: number): number {
  const value = parent.fields.get(id);
  if (value?.type !== "int") throw new RangeError(`footer field ${id} is no number`);
  return value.value;
}

function setList(parent: ThriftStruct, id: number, items: Thrift[]): void {
  (parent.fields.get(id) as Extract<Thrift, { type: "list" }>).items = items;
}

function setInt(parent: ThriftStruct, id: number, to: number): void {
  const value = parent.fields.get(id);
  if (value?.type === "int") value.value = to;
}

function shift(parent: ThriftStruct, id: number, by: number): void {
  const value = parent.fields.get(id);
  if (value?.type === "int") value.value += by;
}

function binary(parent: ThriftStruct, id: number): Uint8Array | null {
  const value = parent.fields.get(id);
  return value?.type === "binary" ? value.value : null;
}
