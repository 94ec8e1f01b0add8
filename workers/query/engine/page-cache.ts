/**
 * Bytes of data files in memory, in blocks of whole pages: what is fetched is aligned to them, so that two requests for
 * neighbouring column chunks never fetch a page twice. Keys are immutable, so a page never goes stale; the cache
 * is bounded, and the block that was read longest ago goes first.
 */

export const PAGE_BYTES = 16_384;

interface Block {
  readonly key: string;
  readonly at: number;
  readonly bytes: Uint8Array;
}

export class PageCache {
  /** By file, by page number. */
  readonly #pages = new Map<string, Map<number, Block>>();
  /** In the order of their last use. */
  readonly #blocks = new Set<Block>();
  #bytes = 0;
  #last: Block | null = null;

  get bytes(): number {
    return this.#bytes;
  }

  /** The bytes [at, at + length) of a file, null where any is missing. */
  find(key: string, at: number, length: number): Uint8Array | null {
    // Mostly the next bytes of the same block.
    const last = this.#last;
    if (last && last.key === key && at >= last.at && at + length <= last.at + last.bytes.length) {
      return last.bytes.subarray(at - last.at, at - last.at + length);
    }
    const pages = this.#pages.get(key);
    const block = pages?.get(Math.floor(at / PAGE_BYTES));
    if (!pages || !block) return null;
    this.#touch(block);
    this.#last = block;
    const end = at + length;
    if (end <= block.at + block.bytes.length) return block.bytes.subarray(at - block.at, end - block.at);
    return this.#joined(pages, at, end);
  }

  has(key: string, at: number, length: number): boolean {
    const pages = this.#pages.get(key);
    if (!pages) return false;
    for (let page = Math.floor(at / PAGE_BYTES); page * PAGE_BYTES < at + length; page++) {
      if (!pages.has(page)) return false;
    }
    return true;
  }

  /** @param at a multiple of PAGE_BYTES. `bytes` are whole pages, or reach the end of the file. */
  add(key: string, at: number, bytes: Uint8Array): void {
    let pages = this.#pages.get(key);
    if (!pages) {
      pages = new Map();
      this.#pages.set(key, pages);
    }
    const block: Block = { key, at, bytes };
    for (let page = at / PAGE_BYTES; page * PAGE_BYTES < at + bytes.length; page++) pages.set(page, block);
    this.#blocks.add(block);
    this.#bytes += bytes.length;
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
    const pages = this.#pages.get(block.key);
    for (let page = block.at / PAGE_BYTES; page * PAGE_BYTES < block.at + block.bytes.length; page++) {
      // A later block may have taken the page over.
      if (pages?.get(page) === block) pages.delete(page);
    }
    if (pages?.size === 0) this.#pages.delete(block.key);
    this.#blocks.delete(block);
    if (this.#last === block) this.#last = null;
    this.#bytes -= block.bytes.length;
  }

  #joined(pages: Map<number, Block>, at: number, end: number): Uint8Array | null {
    const joined = new Uint8Array(end - at);
    for (let position = at; position < end; ) {
      const block = pages.get(Math.floor(position / PAGE_BYTES));
      if (!block) return null;
      this.#touch(block);
      const part = block.bytes.subarray(position - block.at, Math.min(end, block.at + block.bytes.length) - block.at);
      if (part.length === 0) return null;
      joined.set(part, position - at);
      position += part.length;
    }
    return joined;
  }
}
