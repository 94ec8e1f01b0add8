/**
 * Bytes of data files in memory, as they were fetched: column chunks, footers. Keys are immutable, so bytes never go stale;
 * the cache is bounded, and the block that was read longest ago goes first. No byte is held twice.
 */

interface Block {
  readonly key: string;
  readonly at: number;
  readonly bytes: Uint8Array;
}

export interface Gap {
  readonly at: number;
  readonly length: number;
}

const endOf = (block: Block): number => block.at + block.bytes.length;

export class RangeCache {
  /** By file, by place; none overlaps another. */
  readonly #files = new Map<string, Block[]>();
  /** In the order of their last use. */
  readonly #blocks = new Set<Block>();
  #bytes = 0;
  #last: Block | null = null;

  get bytes(): number {
    return this.#bytes;
  }

  /** The bytes [at, at + length) of a file, null where any is missing. */
  find(key: string, at: number, length: number): Uint8Array | null {
    const last = this.#last;
    if (last && last.key === key && at >= last.at && at + length <= endOf(last)) {
      return last.bytes.subarray(at - last.at, at - last.at + length);
    }
    const blocks = this.#files.get(key);
    const index = blocks ? placeOf(blocks, at) : -1;
    const block = blocks?.[index];
    if (!blocks || !block || at >= endOf(block)) return null;
    this.#touch(block);
    this.#last = block;
    if (at + length <= endOf(block)) return block.bytes.subarray(at - block.at, at - block.at + length);
    return this.#joined(blocks, index, at, at + length);
  }

  /** Which parts of [at, at + length) are not there, in order. */
  missing(key: string, at: number, length: number): Gap[] {
    const gaps: Gap[] = [];
    const blocks = this.#files.get(key) ?? [];
    const end = at + length;
    let position = at;
    for (let i = Math.max(0, placeOf(blocks, at)); i < blocks.length && position < end; i++) {
      const block = blocks[i]!;
      if (endOf(block) <= position) continue;
      if (block.at >= end) break;
      if (block.at > position) gaps.push({ at: position, length: block.at - position });
      position = endOf(block);
    }
    if (position < end) gaps.push({ at: position, length: end - position });
    return gaps;
  }

  add(key: string, at: number, bytes: Uint8Array): void {
    const blocks = this.#files.get(key) ?? [];
    for (const gap of this.missing(key, at, bytes.length)) {
      const block = { key, at: gap.at, bytes: bytes.subarray(gap.at - at, gap.at - at + gap.length) };
      blocks.splice(placeOf(blocks, gap.at) + 1, 0, block);
      this.#blocks.add(block);
      this.#bytes += gap.length;
    }
    if (blocks.length > 0) this.#files.set(key, blocks);
  }

  /** Drops blocks, longest unused first, until at most `bytes` are held. */
  shrinkTo(bytes: number): void {
    for (const block of this.#blocks) {
      if (this.#bytes <= bytes) return;
      this.#drop(block);
    }
  }

  #touch(block: Block): void {
    this.#blocks.delete(block);
    this.#blocks.add(block);
  }

  #drop(block: Block): void {
    const blocks = this.#files.get(block.key)!;
    blocks.splice(blocks.indexOf(block), 1);
    if (blocks.length === 0) this.#files.delete(block.key);
    this.#blocks.delete(block);
    if (this.#last === block) this.#last = null;
    this.#bytes -= block.bytes.length;
  }

  #joined(blocks: readonly Block[], from: number, at: number, end: number): Uint8Array | null {
    const joined = new Uint8Array(end - at);
    let position = at;
    for (let i = from; position < end; i++) {
      const block = blocks[i];
      if (!block || block.at > position) return null;
      this.#touch(block);
      const part = block.bytes.subarray(position - block.at, Math.min(end, endOf(block)) - block.at);
      joined.set(part, position - at);
      position += part.length;
    }
    return joined;
  }
}

/** The last block that begins at or before a place, -1 where none does. */
function placeOf(blocks: readonly Block[], at: number): number {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (blocks[middle]!.at <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
