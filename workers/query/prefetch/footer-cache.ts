/** Footers by key, which is immutable, within a bound of memory; the one used longest ago goes first. */
import type { Footer } from "./footer.ts";

export class FooterCache {
  readonly #footers = new Map<string, Footer>();
  readonly #capacity: number;
  #bytes = 0;

  constructor(capacityBytes: number) {
    this.#capacity = capacityBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  clear(): void {
    this.#footers.clear();
    this.#bytes = 0;
  }

  /** @param asked columns whose bounds it has to have. */
  get(key: string, asked: Iterable<string> = []): Footer | undefined {
    const footer = this.#footers.get(key);
    if (footer && [...asked].some((column) => !footer.asked.has(column))) return undefined;
    if (footer) {
      this.#footers.delete(key);
      this.#footers.set(key, footer);
    }
    return footer;
  }

  set(key: string, footer: Footer): void {
    const before = this.#footers.get(key);
    if (before) this.#bytes -= weight(before);
    this.#footers.delete(key);
    this.#footers.set(key, footer);
    this.#bytes += weight(footer);
    for (const [oldest, old] of this.#footers) {
      if (this.#bytes <= this.#capacity || oldest === key) break;
      this.#footers.delete(oldest);
      this.#bytes -= weight(old);
    }
  }
}

/** About what one takes in memory. */
const weight = (footer: Footer): number =>
  200 +
  footer.columns.length * 40 +
  footer.rowGroups.reduce((sum, group) => sum + group.chunks.byteLength + 500 + footer.asked.size * 200, 0);
