/**
 * The pages of a column chunk of texts, alone or as what a list or a map is made of: read in order, one unpacked at a time.
 * Pages are of the format's first version, plain or by a dictionary, as the encoder makes them.
 */
import { parquetHeader } from "hyparquet/src/column.js";
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js";

export interface TextLevels {
  /** The definition level of a value; 0 where each row has one. */
  readonly defined: number;
  /** The one from which on a list has an entry; 0 where the column is no list's. */
  readonly entry: number;
}

export class TextPages {
  readonly #bytes: ArrayBuffer;
  readonly #levels: TextLevels;
  readonly #unpack: (page: Uint8Array, size: number) => Uint8Array;

  constructor(bytes: ArrayBuffer, levels: TextLevels, unpack: (page: Uint8Array, size: number) => Uint8Array) {
    this.#bytes = bytes;
    this.#levels = levels;
    this.#unpack = unpack;
  }

  /** Rows that have this text, ascending: of a column that is no list's. */
  rowsWith(text: string): number[] {
    const sought = encoder.encode(text);
    const rows: number[] = [];
    let first = 0;
    for (const { count, read } of this.#pages()) {
      const page = read();
      for (let i = 0; i < count; i++) if (page.values?.isEqual(page.valueAt[i]!, sought)) rows.push(first + i);
      first += count;
    }
    return rows;
  }

  /** Whether a page, or the dictionary that one reads by, has one of these texts: so a row may, and without it none does. */
  mayHave(texts: readonly string[]): boolean {
    const sought = texts.map((text) => encoder.encode(text));
    let checked: Texts | null = null;
    for (const { read } of this.#pages()) {
      const { values } = read();
      if (values === checked || values === null) continue;
      checked = values;
      for (let at = 0; at < values.length; at++) if (sought.some((text) => values.isEqual(at, text))) return true;
    }
    return false;
  }

  /** What these rows have, which ascend: a text, a list of texts, null. Fewer where the pages end before. */
  picked(rows: readonly number[]): unknown[] {
    const picked: unknown[] = [];
    const { entry } = this.#levels;
    const isFlat = entry === 0;
    let row = -1;
    for (const { count, read } of this.#pages()) {
      if (picked.length === rows.length && (isFlat || row > (rows.at(-1) ?? -1))) break;
      if (isFlat && rows[picked.length]! > row + count) {
        row += count;
        continue;
      }
      const { defined, repeated, valueAt, values } = read();
      for (let i = 0; i < count; i++) {
        // A row of a list may go on in the next page: only its first entry begins it.
        const begins = isFlat || repeated![i] === 0;
        if (begins) row++;
        if (begins && row === rows[picked.length]) {
          picked.push(isFlat ? textAt(values, valueAt[i]!) : defined[i]! < entry - 1 ? null : []);
        }
        if (!isFlat && defined[i]! >= entry && row === rows[picked.length - 1]) {
          (picked.at(-1) as unknown[]).push(textAt(values, valueAt[i]!));
        }
      }
    }
    return picked;
  }

  *#pages(): Generator<{ count: number; read: () => Page }> {
    const reader = { view: new DataView(this.#bytes), offset: 0 };
    let dictionary: Texts | null = null;
    while (reader.offset < this.#bytes.byteLength) {
      const header = parquetHeader(reader);
      const { type, compressed_page_size: size, uncompressed_page_size: whole } = header;
      const packed = new Uint8Array(this.#bytes, reader.offset, size);
      reader.offset += size;
      const unpacked = () => this.#unpack(packed, whole);
      if (type === "DICTIONARY_PAGE") {
        dictionary = new Texts(unpacked(), 0, header.dictionary_page_header!.num_values);
        continue;
      }
      const data = header.data_page_header;
      if (!data) throw new RangeError(`a page of type ${type} is none of ours`);
      const count = data.num_values;
      yield { count, read: () => this.#page(unpacked(), count, data.encoding, dictionary) };
    }
  }

  #page(bytes: Uint8Array, count: number, encoding: string, dictionary: Texts | null): Page {
    const { defined: deepest, entry } = this.#levels;
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
    const levels = (most: number): Uint8Array => {
      const read = new Uint8Array(count);
      readRleBitPackedHybrid(reader, 32 - Math.clz32(most), read as never);
      return read;
    };
    const repeated = entry > 0 ? levels(1) : null;
    const defined = deepest > 0 ? levels(deepest) : new Uint8Array(count);
    const valueAt = new Int32Array(count);
    let values = 0;
    for (let i = 0; i < count; i++) valueAt[i] = defined[i] === deepest ? values++ : -1;
    if (encoding === "PLAIN") return { defined, repeated, valueAt, values: new Texts(bytes, reader.offset, values) };
    if (encoding !== "RLE_DICTIONARY" && encoding !== "PLAIN_DICTIONARY") throw new RangeError(`encoding ${encoding}`);
    const indexes = new Int32Array(values);
    const width = values > 0 ? reader.view.getUint8(reader.offset++) : 0;
    const rest = reader.view.byteLength - reader.offset;
    if (width > 0) readRleBitPackedHybrid(reader, width, indexes as never, rest);
    for (let i = 0; i < count; i++) if (valueAt[i]! >= 0) valueAt[i] = indexes[valueAt[i]!]!;
    return { defined, repeated, valueAt, values: dictionary };
  }
}

interface Page {
  /** Definition level of each entry. */
  readonly defined: Uint8Array;
  /** Of a list's: 0 where an entry begins a row. */
  readonly repeated: Uint8Array | null;
  /** Where in `values` an entry's is; -1: it has none. */
  readonly valueAt: Int32Array;
  readonly values: Texts | null;
}

const encoder = new TextEncoder();
/** U+FEFF at the beginning of a text is part of it. */
const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

const textAt = (values: Texts | null, at: number): string | null => (at < 0 || !values ? null : values.text(at));

/** Texts as they lie in a page, each behind its length. */
class Texts {
  readonly #bytes: Uint8Array;
  readonly #ends: Int32Array;
  readonly #starts: Int32Array;

  constructor(bytes: Uint8Array, offset: number, count: number) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#bytes = bytes;
    this.#starts = new Int32Array(count);
    this.#ends = new Int32Array(count);
    let at = offset;
    for (let i = 0; i < count; i++) {
      this.#starts[i] = at + 4;
      at += 4 + view.getUint32(at, true);
      this.#ends[i] = at;
    }
  }

  get length(): number {
    return this.#ends.length;
  }

  text(at: number): string {
    return decoder.decode(this.#bytes.subarray(this.#starts[at]!, this.#ends[at]!));
  }

  isEqual(at: number, sought: Uint8Array): boolean {
    if (at < 0) return false;
    const start = this.#starts[at]!;
    if (this.#ends[at]! - start !== sought.length) return false;
    for (let i = 0; i < sought.length; i++) if (this.#bytes[start + i] !== sought[i]) return false;
    return true;
  }
}
