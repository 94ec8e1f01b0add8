/**
 * Thrift's compact protocol, as Parquet footers use it: read to a tree, changed there, written back. The tree keeps
 * every field with its type, so that what a newer writer adds survives. Only what footers hold: no maps, no sets.
 */

export type Thrift =
  | { readonly type: "bool"; value: boolean }
  /** i8, i16, i32, i64 by their wire type. Numbers, because a footer's offsets and counts stay far below 2^53. */
  | { readonly type: "int"; readonly wire: 3 | 4 | 5 | 6; value: number }
  | { readonly type: "double"; value: number }
  | { readonly type: "binary"; value: Uint8Array }
  | { readonly type: "list"; readonly of: number; items: Thrift[] }
  | { readonly type: "struct"; readonly fields: Map<number, Thrift> }
  /** A struct as it is written: only ever written, never read. */
  | { readonly type: "encoded"; readonly bytes: Uint8Array };

export type ThriftStruct = Extract<Thrift, { type: "struct" }>;

const STOP = 0;
const TRUE = 1;
const FALSE = 2;
const I8 = 3;
const DOUBLE = 7;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;

/** @throws RangeError where the bytes end early or hold a type that footers do not have. */
export function readThrift(bytes: Uint8Array): ThriftStruct {
  return new Reader(bytes).struct();
}

/** A struct that other bytes follow. @returns it, and where it ends. @throws RangeError as `readThrift`. */
export function readThriftPrefix(bytes: Uint8Array): { struct: ThriftStruct; end: number } {
  const reader = new Reader(bytes);
  return { struct: reader.struct(), end: reader.at };
}

export function writeThrift(struct: ThriftStruct): Uint8Array {
  const writer = new Writer();
  writer.struct(struct);
  return writer.bytes();
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get at(): number {
    return this.#at;
  }

  struct(): ThriftStruct {
    const fields = new Map<number, Thrift>();
    for (let id = 0; ; ) {
      const head = this.#view.getUint8(this.#at++);
      if (head === STOP) return { type: "struct", fields };
      id = head >> 4 === 0 ? this.#zigzag() : id + (head >> 4);
      fields.set(id, this.#value(head & 15));
    }
  }

  #value(wire: number): Thrift {
    if (wire === TRUE || wire === FALSE) return { type: "bool", value: wire === TRUE };
    return this.#item(wire);
  }

  #item(wire: number): Thrift {
    switch (wire) {
      // In a list a boolean takes a byte; in a field its type is its value.
      case TRUE:
      case FALSE:
        return { type: "bool", value: this.#view.getUint8(this.#at++) === TRUE };
      case I8:
        return { type: "int", wire, value: this.#view.getInt8(this.#at++) };
      case 4:
      case 5:
      case 6:
        return { type: "int", wire, value: this.#zigzag() };
      case DOUBLE:
        this.#at += 8;
        return { type: "double", value: this.#view.getFloat64(this.#at - 8, true) };
      case BINARY: {
        const length = this.#varint();
        if (this.#at + length > this.#bytes.length) throw new RangeError("thrift text ends early");
        this.#at += length;
        return { type: "binary", value: this.#bytes.subarray(this.#at - length, this.#at) };
      }
      case LIST: {
        const head = this.#view.getUint8(this.#at++);
        const count = head >> 4 === 15 ? this.#varint() : head >> 4;
        const items: Thrift[] = [];
        for (let i = 0; i < count; i++) items.push(this.#item(head & 15));
        return { type: "list", of: head & 15, items };
      }
      case STRUCT:
        return this.struct();
      default:
        throw new RangeError(`thrift type ${wire} in a footer`);
    }
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#view.getUint8(this.#at++);
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  #zigzag(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

class Writer {
  #buffer = new Uint8Array(16_384);
  #at = 0;

  bytes(): Uint8Array {
    return this.#buffer.slice(0, this.#at);
  }

  struct(struct: ThriftStruct): void {
    let last = 0;
    for (const [id, value] of [...struct.fields].sort(([a], [b]) => a - b)) {
      const wire = wireType(value);
      if (id - last <= 15) this.#byte(((id - last) << 4) | wire);
      else {
        this.#byte(wire);
        this.#zigzag(id);
      }
      if (value.type !== "bool") this.#item(value);
      last = id;
    }
    this.#byte(STOP);
  }

  #item(value: Thrift): void {
    switch (value.type) {
      case "bool":
        this.#byte(value.value ? TRUE : FALSE);
        break;
      case "int":
        if (value.wire === I8) this.#byte(value.value);
        else this.#zigzag(value.value);
        break;
      case "double":
        this.#reserve(8);
        new DataView(this.#buffer.buffer).setFloat64(this.#at, value.value, true);
        this.#at += 8;
        break;
      case "binary":
        this.#varint(value.value.length);
        this.#reserve(value.value.length);
        this.#buffer.set(value.value, this.#at);
        this.#at += value.value.length;
        break;
      case "list":
        if (value.items.length < 15) this.#byte((value.items.length << 4) | value.of);
        else {
          this.#byte(0xf0 | value.of);
          this.#varint(value.items.length);
        }
        for (const item of value.items) this.#item(item);
        break;
      case "struct":
        this.struct(value);
        break;
      case "encoded":
        this.#reserve(value.bytes.length);
        this.#buffer.set(value.bytes, this.#at);
        this.#at += value.bytes.length;
    }
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#at++] = value;
  }

  #varint(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#byte((rest % 128) | 128);
    this.#byte(rest);
  }

  #zigzag(value: number): void {
    this.#varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#buffer.length, this.#at + bytes));
    larger.set(this.#buffer);
    this.#buffer = larger;
  }
}

function wireType(value: Thrift): number {
  switch (value.type) {
    case "bool":
      return value.value ? TRUE : FALSE;
    case "int":
      return value.wire;
    case "double":
      return DOUBLE;
    case "binary":
      return BINARY;
    case "list":
      return LIST;
    case "struct":
    case "encoded":
      return STRUCT;
  }
}
