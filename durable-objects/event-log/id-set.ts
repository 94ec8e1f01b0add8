/** An exact set of ids in memory: open addressing over one arena, about 24 bytes an id, nothing for the collector to walk. */
import { compareIds, ID_WORDS } from "./packed-ids.ts";

const EMPTY = 0;

export class IdSet {
  #arena: Uint32Array;
  /** Index of an id in the arena plus one. Twice as many slots as the arena holds, a power of two. */
  #slots: Uint32Array;
  #size = 0;

  /** @param capacity ids that fit before it grows; a power of two. */
  constructor(capacity = 1_024) {
    this.#arena = new Uint32Array(capacity * ID_WORDS);
    this.#slots = new Uint32Array(capacity * 2);
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#arena.byteLength + this.#slots.byteLength;
  }

  has(words: Uint32Array, i: number): boolean {
    return this.#slots[this.#slot(words, i)] !== EMPTY;
  }

  /** @returns false if it was there already. */
  add(words: Uint32Array, i: number): boolean {
    if (this.#size * ID_WORDS === this.#arena.length) this.#grow();
    const slot = this.#slot(words, i);
    if (this.#slots[slot] !== EMPTY) return false;
    this.#arena.set(words.subarray(i * ID_WORDS, (i + 1) * ID_WORDS), this.#size * ID_WORDS);
    this.#slots[slot] = ++this.#size;
    return true;
  }

  /** The ids, in the order they came. A view: valid until the next `add`. */
  words(): Uint32Array {
    return this.#arena.subarray(0, this.#size * ID_WORDS);
  }

  /** The slot that holds the id, or the empty one where it belongs. The second word picks it; the first orders the runs. */
  #slot(words: Uint32Array, i: number): number {
    const mask = this.#slots.length - 1;
    let slot = words[i * ID_WORDS + 1]! & mask;
    for (;;) {
      const held = this.#slots[slot]!;
      if (held === EMPTY || compareIds(this.#arena, held - 1, words, i) === 0) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    const old = this.words();
    const count = this.#size;
    this.#arena = new Uint32Array(old.length * 2);
    this.#slots = new Uint32Array(this.#slots.length * 2);
    this.#size = 0;
    for (let i = 0; i < count; i++) this.add(old, i);
  }
}
