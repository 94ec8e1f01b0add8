/**
 * How many distinct users: a HyperLogLog sketch. Merging is the union, so it may be repeated and reordered at will.
 *
 * Layout as in HyperLogLog++ (Heule, Nunkesser, Hall: "HyperLogLog in Practice", EDBT 2013): a small set is kept as sorted
 * 32-bit entries of a much finer sketch (26 index bits, 6 bits of rank), which counts up to 1,024 users all but exactly;
 * a larger one as 4,096 registers (precision 12). Which of the two is decided by the set alone, never by the order in
 * which it came together, so equal sets encode to equal bytes.
 *
 * The estimate is Otmar Ertl's improved raw estimator ("New cardinality estimation algorithms for HyperLogLog sketches",
 * arXiv:1702.01284, section 4): no bias tables, one formula from a handful to billions. Its relative standard error is
 * 1.04 / sqrt(4096) = 1.6 %.
 */
import { murmur3 } from "./murmur3.ts";

export const PRECISION = 12;
const REGISTERS = 1 << PRECISION;
/** Hash bits behind the index: ranks run from 1 to HASH_BITS + 1. */
const HASH_BITS = 64 - PRECISION;
const SPARSE_PRECISION = 26;
const SPARSE_RANK_BITS = 6;
/** As many entries as take the room of the registers. */
export const SPARSE_MAX = REGISTERS / 4;

/** A sketch in the making. `entries` maps a sparse index to its rank until there are too many, then `registers` is it. */
export interface UserSketch {
  entries: Map<number, number> | null;
  registers: Uint8Array | null;
}

export const emptySketch = (): UserSketch => ({ entries: new Map(), registers: null });

const text = new TextEncoder();
const scratch = new Uint8Array(4_096);
const hash = new Uint32Array(4);

/** Counts a user. The same identifier is the same user in every shard and process. */
export function addUser(sketch: UserSketch, user: string): void {
  const fits = user.length * 3 <= scratch.length;
  const bytes = fits ? scratch : text.encode(user);
  const length = fits ? text.encodeInto(user, scratch).written : bytes.length;
  murmur3(bytes, length, 0, hash);
  addHash(sketch, hash[0]!, hash[1]!);
}

/** Unsigned 32 bits each. */
export function addHash(sketch: UserSketch, high: number, low: number): void {
  const index = high >>> (32 - SPARSE_PRECISION);
  // The 38 bits behind the index: 6 of the high word, then the low word.
  const rest = (high << SPARSE_PRECISION) >>> SPARSE_PRECISION;
  const rank = rest === 0 ? 6 + Math.clz32(low) + 1 : Math.clz32(rest) - SPARSE_PRECISION + 1;
  addEntry(sketch, index, rank);
}

/** Adds all users of `other`, which is left as it is. */
export function mergeSketch(sketch: UserSketch, other: UserSketch): void {
  if (other.entries) {
    for (const [index, rank] of other.entries) addEntry(sketch, index, rank);
    return;
  }
  toDense(sketch);
  const mine = sketch.registers!;
  const theirs = other.registers!;
  for (let i = 0; i < REGISTERS; i++) if (theirs[i]! > mine[i]!) mine[i] = theirs[i]!;
}

/** Users, rounded. */
export function estimateUsers(sketch: UserSketch): number {
  if (sketch.entries) {
    // Linear counting over 2^26 cells: for a thousand users it is off by less than a hundredth of one.
    const cells = 2 ** SPARSE_PRECISION;
    return Math.round(-cells * Math.log1p(-sketch.entries.size / cells));
  }
  const counts = new Array<number>(HASH_BITS + 2).fill(0);
  for (const rank of sketch.registers!) counts[rank]!++;
  let z = REGISTERS * tau(1 - counts[HASH_BITS + 1]! / REGISTERS);
  for (let rank = HASH_BITS; rank >= 1; rank--) z = 0.5 * (z + counts[rank]!);
  z += REGISTERS * sigma(counts[0]! / REGISTERS);
  return Math.round(REGISTERS ** 2 / (2 * Math.LN2 * z));
}

/** Whether the count is an estimate of the registers, and not all but exact. */
export const isEstimate = (sketch: UserSketch): boolean => sketch.entries === null;

const SPARSE = 1;
const DENSE = 2;

/** First byte 1: sorted entries of four bytes, little endian, rank in the low six bits. First byte 2: the registers. */
export function encodeSketch(sketch: UserSketch): Uint8Array {
  if (sketch.registers) {
    const bytes = new Uint8Array(1 + REGISTERS);
    bytes[0] = DENSE;
    bytes.set(sketch.registers, 1);
    return bytes;
  }
  const words = new Uint32Array(sketch.entries!.size);
  let n = 0;
  for (const [index, rank] of sketch.entries!) words[n++] = ((index << SPARSE_RANK_BITS) | rank) >>> 0;
  words.sort();
  const bytes = new Uint8Array(1 + words.length * 4);
  bytes[0] = SPARSE;
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < words.length; i++) view.setUint32(1 + i * 4, words[i]!, true);
  return bytes;
}

/** @throws RangeError if `encodeSketch` did not write it. */
export function decodeSketch(bytes: Uint8Array): UserSketch {
  if (bytes[0] === DENSE && bytes.length === 1 + REGISTERS) return { entries: null, registers: bytes.slice(1) };
  if (bytes[0] !== SPARSE || bytes.length % 4 !== 1) throw new RangeError("not a sketch");
  const entries = new Map<number, number>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 1; at < bytes.length; at += 4) {
    const entry = view.getUint32(at, true);
    entries.set(entry >>> SPARSE_RANK_BITS, entry & ((1 << SPARSE_RANK_BITS) - 1));
  }
  return { entries, registers: null };
}

function addEntry(sketch: UserSketch, index: number, rank: number): void {
  if (sketch.registers) {
    raise(sketch.registers, index, rank);
    return;
  }
  const entries = sketch.entries!;
  const known = entries.get(index);
  if (known !== undefined && known >= rank) return;
  entries.set(index, rank);
  if (entries.size > SPARSE_MAX) toDense(sketch);
}

function toDense(sketch: UserSketch): void {
  if (sketch.registers) return;
  const registers = new Uint8Array(REGISTERS);
  for (const [index, rank] of sketch.entries!) raise(registers, index, rank);
  sketch.registers = registers;
  sketch.entries = null;
}

/** A sparse entry as the coarse sketch would have seen it: the index bits beyond the first 12 belong to the rank. */
function raise(registers: Uint8Array, sparseIndex: number, sparseRank: number): void {
  const spare = SPARSE_PRECISION - PRECISION;
  const index = sparseIndex >>> spare;
  const behind = sparseIndex & ((1 << spare) - 1);
  const rank = behind === 0 ? spare + sparseRank : Math.clz32(behind) - (32 - spare) + 1;
  if (rank > registers[index]!) registers[index] = rank;
}

function sigma(x: number): number {
  if (x === 1) return Number.POSITIVE_INFINITY;
  let power = x;
  let y = 1;
  let z = x;
  for (let before = Number.NaN; z !== before; ) {
    power *= power;
    before = z;
    z += power * y;
    y += y;
  }
  return z;
}

function tau(x: number): number {
  if (x === 0 || x === 1) return 0;
  let root = x;
  let y = 1;
  let z = 1 - x;
  for (let before = Number.NaN; z !== before; ) {
    root = Math.sqrt(root);
    before = z;
    y *= 0.5;
    z -= (1 - root) ** 2 * y;
  }
  return z / 3;
}
