/**
 * Rows of many Arrow columns copied into one, in any order, buffer by buffer: no value becomes a JavaScript value on its
 * way. What is copied is told as spans, runs of neighbouring rows of one source, so that neighbours go together; a list's or
 * map's entries are spans of its child.
 */
import { type Data, DataType, makeData } from "apache-arrow";

/** Span i is `length[i]` rows of source `source[i]` from `start[i]` on. */
export interface Spans {
  readonly count: number;
  readonly source: Int32Array;
  readonly start: Int32Array;
  readonly length: Int32Array;
  /** Of all spans. */
  readonly rows: number;
}

/** One column of each source, null where it has none: its rows are then null. */
type Sources = readonly (Data | null)[];

/** Below this many elements a loop is quicker than a call that copies. */
const COPY_CALL = 24;

/** @param type of what comes out. The sources are of the same shape. */
export function gather(type: DataType, sources: Sources, spans: Spans): Data {
  if (spans.rows > 0 && !DataType.isStruct(type) && sources.every(isEmpty)) return nulls(type, spans.rows);
  const validity = gatherValidity(sources, spans);
  const base = { type, length: spans.rows, ...validity };
  if (DataType.isUtf8(type)) return made({ ...base, ...gatherText(sources, spans) });
  if (DataType.isList(type) || DataType.isMap(type)) {
    const { valueOffsets, children } = childSpans(sources, spans);
    const child = gather(
      type.children[0]!.type,
      sources.map((data) => data?.children[0] ?? null),
      children,
    );
    return made({ ...base, valueOffsets, child });
  }
  if (DataType.isStruct(type)) {
    const children = type.children.map((field, at) =>
      gather(
        field.type,
        sources.map((data) => data?.children[at] ?? null),
        spans,
      ),
    );
    return made({ ...base, children });
  }
  if (DataType.isBool(type)) return made({ ...base, data: gatherBits(sources, spans) });
  return made({ ...base, data: gatherNumbers(type, sources, spans) });
}

/** Half of the columns have no value in most batches. */
function nulls(type: DataType, rows: number): Data {
  const base = { type, length: rows, nullCount: rows, nullBitmap: new Uint8Array((rows + 7) >> 3) };
  if (DataType.isUtf8(type)) return made({ ...base, valueOffsets: new Int32Array(rows + 1), data: NO_BYTES });
  if (DataType.isBool(type)) return made({ ...base, data: base.nullBitmap });
  if (!DataType.isList(type) && !DataType.isMap(type)) return made({ ...base, data: numbers(type, rows) });
  const none: Spans = { count: 0, source: NO_ROWS, start: NO_ROWS, length: NO_ROWS, rows: 0 };
  return made({ ...base, valueOffsets: new Int32Array(rows + 1), child: gather(type.children[0]!.type, [], none) });
}

const NO_BYTES = new Uint8Array(0);
const NO_ROWS = new Int32Array(0);

const made = (props: object): Data => makeData(props as Parameters<typeof makeData>[0]) as Data;

function gatherValidity(sources: Sources, spans: Spans): { nullCount: number; nullBitmap: Uint8Array | null } {
  if (sources.every((data) => data !== null && data.nullCount === 0)) return { nullCount: 0, nullBitmap: null };
  const bits = new Uint8Array((spans.rows + 7) >> 3);
  let valid = 0;
  let to = 0;
  for (let i = 0; i < spans.count; i++) {
    const data = sources[spans.source[i]!]!;
    const length = spans.length[i]!;
    if (data !== null && data.nullCount < data.length) {
      const from = data.nullCount === 0 ? null : data.nullBitmap;
      const start = spans.start[i]!;
      for (let j = 0; j < length; j++) {
        const at = start + j;
        if (from !== null && ((from[at >> 3]! >> (at & 7)) & 1) === 0) continue;
        bits[(to + j) >> 3]! |= 1 << ((to + j) & 7);
        valid++;
      }
    }
    to += length;
  }
  return { nullCount: spans.rows - valid, nullBitmap: bits };
}

/** Whether a source has nothing to copy. */
const isEmpty = (data: Data | null): data is null => data === null || data.nullCount === data.length;

function gatherText(sources: Sources, spans: Spans): { valueOffsets: Int32Array; data: Uint8Array } {
  const valueOffsets = new Int32Array(spans.rows + 1);
  let row = 0;
  let bytes = 0;
  for (let i = 0; i < spans.count; i++) {
    const source = sources[spans.source[i]!]!;
    const length = spans.length[i]!;
    if (isEmpty(source)) for (let j = 1; j <= length; j++) valueOffsets[row + j] = bytes;
    else {
      const offsets = source.valueOffsets as Int32Array;
      const start = spans.start[i]!;
      const shift = bytes - offsets[start]!;
      for (let j = 1; j <= length; j++) valueOffsets[row + j] = offsets[start + j]! + shift;
      bytes = valueOffsets[row + length]!;
    }
    row += length;
  }
  const data = new Uint8Array(bytes);
  let to = 0;
  for (let i = 0; i < spans.count; i++) {
    const source = sources[spans.source[i]!]!;
    if (isEmpty(source)) continue;
    const offsets = source.valueOffsets as Int32Array;
    const from = offsets[spans.start[i]!]!;
    const end = offsets[spans.start[i]! + spans.length[i]!]!;
    const values = source.values as Uint8Array;
    if (end - from < COPY_CALL) for (let at = from; at < end; at++) data[to++] = values[at]!;
    else {
      data.set(values.subarray(from, end), to);
      to += end - from;
    }
  }
  return { valueOffsets, data };
}

function childSpans(sources: Sources, spans: Spans): { valueOffsets: Int32Array; children: Spans } {
  const valueOffsets = new Int32Array(spans.rows + 1);
  const start = new Int32Array(spans.count);
  const length = new Int32Array(spans.count);
  let row = 0;
  let entries = 0;
  for (let i = 0; i < spans.count; i++) {
    const source = sources[spans.source[i]!]!;
    const rows = spans.length[i]!;
    const offsets = isEmpty(source) ? null : (source.valueOffsets as Int32Array);
    const first = offsets?.[spans.start[i]!] ?? 0;
    for (let j = 1; j <= rows; j++) {
      valueOffsets[row + j] = offsets === null ? entries : entries + offsets[spans.start[i]! + j]! - first;
    }
    start[i] = first;
    length[i] = valueOffsets[row + rows]! - entries;
    entries = valueOffsets[row + rows]!;
    row += rows;
  }
  return { valueOffsets, children: { count: spans.count, source: spans.source, start, length, rows: entries } };
}

/** Numbers as words of 32 bits: a copy must not look at them, for a double that is no number may change on the way. */
function gatherNumbers(type: DataType, sources: Sources, spans: Spans): ArrayBufferView {
  const values = numbers(type, spans.rows);
  const words = new Int32Array(values.buffer);
  const width = words.length / Math.max(1, spans.rows);
  const views = sources.map((data) => {
    const values = data?.values as ArrayBufferView | undefined;
    return values ? new Int32Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength >> 2) : null;
  });
  let to = 0;
  for (let i = 0; i < spans.count; i++) {
    const from = views[spans.source[i]!]!;
    const start = width * spans.start[i]!;
    const length = width * spans.length[i]!;
    if (from !== null && !isEmpty(sources[spans.source[i]!]!)) {
      if (length < COPY_CALL) for (let j = 0; j < length; j++) words[to + j] = from[start + j]!;
      else words.set(from.subarray(start, start + length), to);
    }
    to += length;
  }
  return values;
}

function numbers(type: DataType, length: number): Int32Array | Float64Array | BigInt64Array {
  if (DataType.isInt(type) && type.bitWidth === 32) return new Int32Array(length);
  return DataType.isFloat(type) ? new Float64Array(length) : new BigInt64Array(length);
}

function gatherBits(sources: Sources, spans: Spans): Uint8Array {
  const bits = new Uint8Array((spans.rows + 7) >> 3);
  let to = 0;
  for (let i = 0; i < spans.count; i++) {
    const from = sources[spans.source[i]!]?.values as Uint8Array | undefined;
    for (let j = 0; j < spans.length[i]!; j++, to++) {
      const at = spans.start[i]! + j;
      if (from !== undefined && (from[at >> 3]! >> (at & 7)) & 1) bits[to >> 3]! |= 1 << (to & 7);
    }
  }
  return bits;
}
