/**
 * Parquet's split-block Bloom filter over the texts of one column in one row group: 8 bits, one in each word of a block
 * of 32 bytes. "Not in it" is certain, so that a row group is left unread. Other engines read it, too.
 *
 * https://github.com/apache/parquet-format/blob/master/BloomFilter.md
 */
import { LAKE } from "./limits.ts";
import { readThriftPrefix, type ThriftStruct, writeThrift } from "./thrift-compact.ts";
import { xxhash64 } from "./xxhash64.ts";

const SALTS = [0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31];
const BLOCK_WORDS = 8;
const BLOCK_BYTES = 4 * BLOCK_WORDS;
/** With 10.5 bits a value one lookup in a hundred is told "perhaps" in vain. */
const BITS_PER_VALUE = 10.5;

const HEADER = { bytes: 1, algorithm: 2, hash: 3, compression: 4 } as const;

/** Collects what a filter is to hold. Repeats beside each other, as in sorted rows, count once. */
export class BloomValues {
  /** High and low half of each hash. */
  #hashes = new Uint32Array(2_048);
  #count = 0;

  /** @param bytes UTF-8; the text lies at `from` up to `to`. */
  add(bytes: Uint8Array, from: number, to: number): void {
    if (2 * this.#count + 2 > this.#hashes.length) {
      const larger = new Uint32Array(2 * this.#hashes.length);
      larger.set(this.#hashes);
      this.#hashes = larger;
    }
    const at = 2 * this.#count;
    xxhash64(bytes, from, to, this.#hashes, at);
    const repeats =
      at > 0 && this.#hashes[at] === this.#hashes[at - 2] && this.#hashes[at + 1] === this.#hashes[at - 1];
    if (!repeats) this.#count++;
  }

  /** Header and filter as they lie in a file; null where no value was added. */
  encode(): Uint8Array | null {
    if (this.#count === 0) return null;
    const words = new Uint32Array((BLOCK_WORDS * filterBytes(this.#distinct())) / BLOCK_BYTES);
    for (let i = 0; i < this.#count; i++) insert(words, this.#hashes[2 * i]!, this.#hashes[2 * i + 1]!);
    const header = writeThrift(headerOf(words.byteLength));
    const bytes = new Uint8Array(header.length + words.byteLength);
    bytes.set(header);
    bytes.set(new Uint8Array(words.buffer), header.length); // Little-endian, like every machine this runs on.
    return bytes;
  }

  #distinct(): number {
    const keys = new Float64Array(this.#count);
    for (let i = 0; i < this.#count; i++)
      keys[i] = this.#hashes[2 * i]! * 0x20_0000 + (this.#hashes[2 * i + 1]! >>> 11);
    keys.sort();
    let distinct = 0;
    for (let i = 0; i < keys.length; i++) if (i === 0 || keys[i] !== keys[i - 1]) distinct++;
    return distinct;
  }
}

/** A power of two: one reader of the format takes no other size. */
function filterBytes(distinct: number): number {
  let bytes = BLOCK_BYTES;
  while (bytes * 8 < distinct * BITS_PER_VALUE && bytes < LAKE.bloomFilterBytes) bytes *= 2;
  return bytes;
}

function insert(words: Uint32Array, high: number, low: number): void {
  const at = blockOf(words, high);
  for (let i = 0; i < BLOCK_WORDS; i++) words[at + i]! |= 1 << (Math.imul(low, SALTS[i]!) >>> 27);
}

/** The first word of a hash's block. Two factors below 2^32, the second a small one: exact in a double. */
const blockOf = (words: Uint32Array, high: number): number =>
  BLOCK_WORDS * Math.floor((high * (words.length / BLOCK_WORDS)) / 0x1_0000_0000);

const int = (value: number) => ({ type: "int", wire: 5, value }) as const;
const struct = (fields: ThriftStruct["fields"]): ThriftStruct => ({ type: "struct", fields });
/** A union whose first member, which says nothing more, is chosen. */
const first = (): ThriftStruct => struct(new Map([[1, struct(new Map())]]));

const headerOf = (bytes: number): ThriftStruct =>
  struct(
    new Map<number, ThriftStruct | ReturnType<typeof int>>([
      [HEADER.bytes, int(bytes)],
      [HEADER.algorithm, first()],
      [HEADER.hash, first()],
      [HEADER.compression, first()],
    ]),
  );

const encoder = new TextEncoder();

/**
 * Whether the filter may hold the text.
 * @param filter header and filter, as they lie in the file. @throws RangeError where it is damaged, or of a kind unknown.
 */
export function mayHoldText(filter: Uint8Array, text: string): boolean {
  const { struct: header, end } = readThriftPrefix(filter);
  const size = header.fields.get(HEADER.bytes);
  const known = [HEADER.algorithm, HEADER.hash, HEADER.compression].every((id) => {
    const union = header.fields.get(id);
    return union?.type === "struct" && union.fields.has(1);
  });
  if (!known || size?.type !== "int" || size.value % BLOCK_BYTES !== 0 || end + size.value > filter.length) {
    throw new RangeError("not a Bloom filter that this reader knows");
  }
  const words = new Uint32Array(size.value / 4);
  new Uint8Array(words.buffer).set(filter.subarray(end, end + size.value)); // Where it lies need not be a word's place.
  const bytes = encoder.encode(text);
  const hash = new Uint32Array(2);
  xxhash64(bytes, 0, bytes.length, hash, 0);
  const at = blockOf(words, hash[0]!);
  return SALTS.every((salt, i) => (words[at + i]! & (1 << (Math.imul(hash[1]!, salt) >>> 27))) !== 0);
}
