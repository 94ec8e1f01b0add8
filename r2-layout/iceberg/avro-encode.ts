/**
 * Avro, written: a schema becomes a function that writes its values, once, and that function writes many. Made without
 * generating code, which the runtime forbids. Longs are numbers: what does not fit one exactly is refused.
 */
import { deflateRawSync } from "node:zlib";
import { type AvroRecord, type AvroType, isOptional } from "./avro-schema.ts";

/** Bytes that grow as they are written. */
export class ByteSink {
  #bytes = new Uint8Array(4_096);
  #length = 0;

  /** What was written: valid until the next write. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  byte(value: number): void {
    this.#reserve(1)[this.#length++] = value;
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length).set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A zigzag varint. @throws RangeError where the number is not a whole one that is exact. */
  long(value: number): void {
    const target = this.#reserve(10);
    // Nearly all of them are small: 32-bit arithmetic is an order of magnitude quicker.
    if (value === (value | 0) && value < 0x3fff_ffff && value > -0x4000_0000) {
      let rest = (value << 1) ^ (value >> 31);
      while (rest > 0x7f) {
        target[this.#length++] = (rest & 0x7f) | 0x80;
        rest >>>= 7;
      }
      target[this.#length++] = rest;
      return;
    }
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no whole number that is exact`);
    let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
    while (rest > 0x7fn) {
      target[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    target[this.#length++] = Number(rest);
  }

  text(value: string): void {
    // Three bytes a unit at most: keys and names are short, so what is not used is little.
    if (value.length < 42) {
      const target = this.#reserve(1 + value.length * 3);
      const { written } = utf8.encodeInto(value, target.subarray(this.#length + 1));
      if (written < 64) {
        target[this.#length] = written << 1;
        this.#length += 1 + written;
        return;
      }
    }
    const bytes = utf8.encode(value);
    this.long(bytes.length);
    this.raw(bytes);
  }

  #reserve(bytes: number): Uint8Array {
    if (this.#length + bytes > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + bytes));
      grown.set(this.written);
      this.#bytes = grown;
    }
    return this.#bytes;
  }
}

const utf8 = new TextEncoder();

// biome-ignore lint/suspicious/noExplicitAny: a value is what its schema says, which no static type follows.
type Value = any;
type Encode = (sink: ByteSink, value: Value) => void;

/** What writes values of a type. A missing member of a record is null. @throws TypeError where a required one is missing. */
export function encoderOf(type: AvroType): Encode {
  if (isOptional(type)) {
    const encode = encoderOf(type[1]);
    return (sink, value) => {
      if (value === null || value === undefined) return sink.byte(0);
      sink.byte(2);
      encode(sink, value);
    };
  }
  if (typeof type === "string") return required(type, PRIMITIVES[type]);
  switch (type.type) {
    case "int":
      return required("int", PRIMITIVES.int);
    case "array": {
      const encode = encoderOf(type.items);
      return (sink, values: readonly Value[]) => {
        if (values.length > 0) {
          sink.long(values.length);
          for (const value of values) encode(sink, value);
        }
        sink.byte(0);
      };
    }
    case "record": {
      const fields = type.fields.map(({ name, type }) => ({ name, encode: encoderOf(type) }));
      return (sink, value) => {
        for (const { name, encode } of fields) encode(sink, value[name]);
      };
    }
  }
}

const PRIMITIVES: Record<"boolean" | "int" | "long" | "bytes" | "string", Encode> = {
  boolean: (sink, value: boolean) => sink.byte(value ? 1 : 0),
  int: (sink, value: number) => sink.long(value),
  long: (sink, value: number) => sink.long(value),
  bytes(sink, value: Uint8Array) {
    sink.long(value.length);
    sink.raw(value);
  },
  string: (sink, value: string) => sink.text(value),
};

function required(type: string, encode: Encode): Encode {
  return (sink, value) => {
    if (value === null || value === undefined) throw new TypeError(`a ${type} is missing`);
    encode(sink, value);
  };
}

/** Bytes of one block before it is packed: what an encoder holds, and a reader has to hold. */
const BLOCK_BYTES = 64 * 1_024;

/**
 * An Avro container file, deflated.
 * @param metadata beside the schema and the codec.
 */
export function encodeContainer(
  schema: AvroRecord,
  metadata: Readonly<Record<string, string>>,
  values: Iterable<unknown>,
): Uint8Array {
  const header = { "avro.schema": JSON.stringify(schema), "avro.codec": "deflate", ...metadata };
  const file = new ByteSink();
  file.raw(MAGIC);
  file.long(Object.keys(header).length);
  for (const [key, text] of Object.entries(header)) {
    file.text(key);
    file.text(text);
  }
  file.byte(0);
  file.raw(SYNC);
  const encode = encoderOf(schema);
  const block = new ByteSink();
  let count = 0;
  const flush = () => {
    if (count === 0) return;
    const packed = deflateRawSync(block.written);
    file.long(count);
    file.long(packed.length);
    file.raw(packed);
    file.raw(SYNC);
    block.clear();
    count = 0;
  };
  for (const value of values) {
    encode(block, value);
    count += 1;
    if (block.written.length >= BLOCK_BYTES) flush();
  }
  flush();
  return file.written.slice();
}

export const MAGIC = Uint8Array.of(0x4f, 0x62, 0x6a, 1);

/** Between blocks. Any sixteen bytes that a block hardly holds; the same ones give the same file for the same values. */
export const SYNC = Uint8Array.of(
  ...[0xe7, 0x1c, 0x3a, 0x90, 0x5d, 0xf2, 0x48, 0xb6, 0x0e, 0x83, 0x6f, 0xd1, 0x29, 0xc4, 0x77, 0xba],
);
