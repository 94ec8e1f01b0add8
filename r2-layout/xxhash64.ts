/**
 * XXH64 with seed 0, the hash of Parquet's Bloom filters, in halves of 32 bits. Packages were looked at: hyparquet's and
 * js-xxhash's are on BigInt, thirty times slower for the hundred thousand ids of a row group; the fast ones compile
 * WebAssembly at run time, which workerd forbids.
 *
 * https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, section "XXH64 Algorithm Description".
 */

const [P1H, P1L] = [0x9e3779b1, 0x85ebca87];
const [P2H, P2L] = [0xc2b2ae3d, 0x27d4eb4f];
const [P3H, P3L] = [0x165667b1, 0x9e3779f9];
const [P4H, P4L] = [0x85ebca77, 0xc2b2ae63];
const [P5H, P5L] = [0x27d4eb2f, 0x165667c5];

/** The halves of the last result, so that no operation makes an object. */
let hi = 0;
let lo = 0;

/** Hashes bytes `from` up to `to`. @param out takes the high and the low half at `at` and `at + 1`. */
export function xxhash64(bytes: Uint8Array, from: number, to: number, out: Uint32Array, at: number): void {
  const length = to - from;
  let i = from;
  if (length >= 32) {
    i = stripes(bytes, from, to);
  } else {
    hi = P5H | 0;
    lo = P5L | 0;
  }
  add(0, length);
  for (; i + 8 <= to; i += 8) {
    const [h, l] = [hi, lo];
    round(0, 0, word(bytes, i + 4), word(bytes, i));
    hi ^= h;
    lo ^= l;
    rotate(27);
    multiply(P1H, P1L);
    add(P4H, P4L);
  }
  if (i + 4 <= to) {
    const [h, l] = [hi, lo];
    hi = 0;
    lo = word(bytes, i);
    multiply(P1H, P1L);
    hi ^= h;
    lo ^= l;
    rotate(23);
    multiply(P2H, P2L);
    add(P3H, P3L);
    i += 4;
  }
  for (; i < to; i++) {
    const [h, l] = [hi, lo];
    hi = 0;
    lo = bytes[i]!;
    multiply(P5H, P5L);
    hi ^= h;
    lo ^= l;
    rotate(11);
    multiply(P1H, P1L);
  }
  lo ^= hi >>> 1; // h ^= h >>> 33
  multiply(P2H, P2L);
  const [h, l] = [hi, lo]; // h ^= h >>> 29
  lo = l ^ ((l >>> 29) | (h << 3));
  hi = h ^ (h >>> 29);
  multiply(P3H, P3L);
  lo ^= hi; // h ^= h >>> 32
  out[at] = hi;
  out[at + 1] = lo;
}

/** The four lanes of a long input, merged. @returns where the rest begins. */
function stripes(bytes: Uint8Array, from: number, to: number): number {
  const lanes = new Int32Array(8); // High and low half of each.
  hi = P1H;
  lo = P1L;
  add(P2H, P2L);
  lanes.set([hi, lo, P2H, P2L, 0, 0], 0);
  hi = ~P1H;
  lo = ~P1L;
  add(0, 1);
  lanes.set([hi, lo], 6);
  let i = from;
  for (; i + 32 <= to; i += 32) {
    for (let lane = 0; lane < 4; lane++) {
      const at = i + 8 * lane;
      round(lanes[2 * lane]!, lanes[2 * lane + 1]!, word(bytes, at + 4), word(bytes, at));
      lanes[2 * lane] = hi;
      lanes[2 * lane + 1] = lo;
    }
  }
  let [h, l] = [0, 0];
  for (const [lane, by] of [1, 7, 12, 18].entries()) {
    hi = lanes[2 * lane]!;
    lo = lanes[2 * lane + 1]!;
    rotate(by);
    add(h, l);
    [h, l] = [hi, lo];
  }
  for (let lane = 0; lane < 4; lane++) {
    const [before, beforeLow] = [hi, lo];
    round(0, 0, lanes[2 * lane]!, lanes[2 * lane + 1]!);
    hi ^= before;
    lo ^= beforeLow;
    multiply(P1H, P1L);
    add(P4H, P4L);
  }
  return i;
}

/** rotl(accumulator + input * P2, 31) * P1 */
function round(accHigh: number, accLow: number, high: number, low: number): void {
  hi = high;
  lo = low;
  multiply(P2H, P2L);
  add(accHigh, accLow);
  rotate(31);
  multiply(P1H, P1L);
}

function add(high: number, low: number): void {
  const sum = (lo >>> 0) + (low >>> 0);
  hi = (hi + high + (sum > 0xffff_ffff ? 1 : 0)) | 0;
  lo = sum | 0;
}

/** By less than 32. */
function rotate(by: number): void {
  const h = hi;
  hi = (h << by) | (lo >>> (32 - by));
  lo = (lo << by) | (h >>> (32 - by));
}

/** The low 64 bits of a product; of the low halves' product the upper half, from halves of 16 bits. */
function multiply(high: number, low: number): void {
  const [a0, a1] = [lo & 0xffff, lo >>> 16];
  const [b0, b1] = [low & 0xffff, low >>> 16];
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const carried = a0 * b1 + (middle % 0x1_0000);
  const upper = a1 * b1 + Math.floor(middle / 0x1_0000) + Math.floor(carried / 0x1_0000);
  hi = (upper + Math.imul(hi, low) + Math.imul(lo, high)) | 0;
  lo = Math.imul(lo, low);
}

const word = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
