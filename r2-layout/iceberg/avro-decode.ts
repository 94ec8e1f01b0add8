/** Avro, read: manifests that this system wrote, to be written anew. The schema is the file's own. */
import { inflateRawSync } from "node:zlib";
import { MAGIC } from "./avro-encode.ts";
import { type AvroType, isOptional } from "./avro-schema.ts";

export interface AvroFile {
  readonly metadata: Readonly<Record<string, string>>;
  readonly values: unknown[];
}

/** @throws RangeError where it is no whole container of ours. */
export function decodeContainer(bytes: Uint8Array): AvroFile {
  const source = new ByteSource(bytes);
  if (!MAGIC.every((byte) => byte === source.byte())) throw new RangeError("no Avro file");
  const metadata: Record<string, string> = {};
  for (let count = source.long(); count !== 0; count = source.long()) {
    for (let i = 0; i < count; i++) metadata[source.text()] = source.text();
  }
  const sync = source.raw(16);
  const decode = decoderOf(JSON.parse(metadata["avro.schema"] ?? "null"));
  const codec = metadata["avro.codec"] ?? "null";
  if (codec !== "deflate") throw new RangeError(`codec ${codec} is none of ours`);
  const values: unknown[] = [];
  while (!source.isAtEnd) {
    const count = source.long();
    const inflated = inflateRawSync(source.raw(source.long()));
    // Not the Buffer that it is: of that, `slice` is no copy.
    const block = new ByteSource(new Uint8Array(inflated.buffer, inflated.byteOffset, inflated.length));
    for (let i = 0; i < count; i++) values.push(decode(block));
    const end = source.raw(16);
    if (!block.isAtEnd || !end.every((byte, at) => byte === sync[at])) throw new RangeError("a block is damaged");
  }
  return { metadata, values };
}

class ByteSource {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError("the bytes end early");
    return byte;
  }

  raw(length: number): Uint8Array {
    if (length < 0 || this.#at + length > this.#bytes.length) throw new RangeError("the bytes end early");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  long(): number {
    let byte = this.byte();
    let zigzag = byte & 0x7f;
    for (let shift = 7; byte > 0x7f; shift += 7) {
      byte = this.byte();
      if (shift > 21) return this.#wide(zigzag, byte, shift);
      zigzag |= (byte & 0x7f) << shift;
    }
    return (zigzag >>> 1) ^ -(zigzag & 1);
  }

  text(): string {
    return utf8.decode(this.raw(this.long()));
  }

  #wide(low: number, first: number, from: number): number {
    let zigzag = BigInt(low);
    let byte = first;
    for (let shift = BigInt(from); ; shift += 7n) {
      zigzag |= BigInt(byte & 0x7f) << shift;
      if (byte <= 0x7f) break;
      byte = this.byte();
    }
    const value = Number((zigzag >> 1n) ^ -(zigzag & 1n));
    if (!Number.isSafeInteger(value)) throw new RangeError("a number is larger than ours are");
    return value;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

type Decode = (source: ByteSource) => unknown;

function decoderOf(type: AvroType): Decode {
  if (isOptional(type)) {
    const decode = decoderOf(type[1]);
    return (source) => (source.long() === 0 ? null : decode(source));
  }
  if (typeof type === "string") return PRIMITIVES[type];
  switch (type.type) {
    case "int":
      return PRIMITIVES.int;
    case "array": {
      const decode = decoderOf(type.items);
      return (source) => {
        const values: unknown[] = [];
        for (let count = source.long(); count !== 0; count = source.long()) {
          for (let i = 0; i < count; i++) values.push(decode(source));
        }
        return values;
      };
    }
    case "record": {
      const fields = type.fields.map(({ name, type }) => ({ name, decode: decoderOf(type) }));
      return (source) => {
        const record: Record<string, unknown> = {};
        for (const { name, decode } of fields) record[name] = decode(source);
        return record;
      };
    }
  }
}

const PRIMITIVES: Record<"boolean" | "int" | "long" | "bytes" | "string", Decode> = {
  boolean: (source) => source.byte() === 1,
  int: (source) => source.long(),
  long: (source) => source.long(),
  bytes: (source) => source.raw(source.long()).slice(),
  string: (source) => source.text(),
};
