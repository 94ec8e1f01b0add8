/**
 * Packed ids: 16-byte hashes one after the other. In memory an id is four 32-bit words, big-endian, so that comparing
 * words is comparing bytes, which is how SQLite orders blobs. Hashes are uniform: the first word says where an id lies.
 */

export const ID_BYTES = 16;
export const ID_WORDS = 4;

/** @throws RangeError unless the bytes are whole ids. */
export function toWords(packed: Uint8Array): Uint32Array {
  if (packed.byteLength % ID_BYTES !== 0) throw new RangeError(`${packed.byteLength} bytes are no packed ids`);
  const words = new Uint32Array(packed.byteLength / 4);
  for (let i = 0, at = 0; i < words.length; i++, at += 4) {
    words[i] = (packed[at]! << 24) | (packed[at + 1]! << 16) | (packed[at + 2]! << 8) | packed[at + 3]!;
  }
  return words;
}

export function toBytes(words: Uint32Array): Uint8Array {
  const packed = new Uint8Array(words.length * 4);
  for (let i = 0, at = 0; i < words.length; i++, at += 4) {
    const word = words[i]!;
    packed[at] = word >>> 24;
    packed[at + 1] = word >>> 16;
    packed[at + 2] = word >>> 8;
    packed[at + 3] = word;
  }
  return packed;
}

/** Order of id `i` of `a` and id `j` of `b`: negative, 0 or positive. */
export function compareIds(a: Uint32Array, i: number, b: Uint32Array, j: number): number {
  const at = i * ID_WORDS;
  const bt = j * ID_WORDS;
  for (let word = 0; word < ID_WORDS; word++) {
    const difference = a[at + word]! - b[bt + word]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A copy in ascending order: ids go to as many buckets as there are ids by their first word, each nearly alone in its own. */
export function sortIds(words: Uint32Array): Uint32Array {
  const count = words.length / ID_WORDS;
  const scale = count / 2 ** 32;
  const starts = new Uint32Array(count + 1);
  for (let i = 0; i < count; i++) starts[Math.floor(words[i * ID_WORDS]! * scale) + 1]!++;
  for (let bucket = 0; bucket < count; bucket++) starts[bucket + 1]! += starts[bucket]!;
  const next = starts.slice(0, count);
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[next[Math.floor(words[i * ID_WORDS]! * scale)]!++] = i;
  for (let bucket = 0; bucket < count; bucket++) {
    const from = starts[bucket]!;
    const to = starts[bucket + 1]!;
    if (to - from > 1) order.subarray(from, to).sort((i, j) => compareIds(words, i, words, j));
  }
  const sorted = new Uint32Array(words.length);
  for (let i = 0; i < count; i++) {
    const from = order[i]! * ID_WORDS;
    const to = i * ID_WORDS;
    sorted[to] = words[from]!;
    sorted[to + 1] = words[from + 1]!;
    sorted[to + 2] = words[from + 2]!;
    sorted[to + 3] = words[from + 3]!;
  }
  return sorted;
}

/** Whether sorted packed bytes hold id `i` of `words`. */
export function sortedBytesHold(sorted: Uint8Array, words: Uint32Array, i: number): boolean {
  const view = new DataView(sorted.buffer, sorted.byteOffset, sorted.byteLength);
  const at = i * ID_WORDS;
  let low = 0;
  let high = sorted.byteLength / ID_BYTES;
  while (low < high) {
    const middle = (low + high) >>> 1;
    let difference = 0;
    for (let word = 0; word < ID_WORDS && difference === 0; word++) {
      difference = view.getUint32(middle * ID_BYTES + word * 4) - words[at + word]!;
    }
    if (difference === 0) return true;
    if (difference < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}
