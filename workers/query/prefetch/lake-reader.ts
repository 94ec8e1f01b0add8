/**
 * The data files of one statement, as DuckDB sees them. Before the statement runs, footers and then the column chunks
 * it needs are fetched in parallel waves, at most six requests at a time; DuckDB's reads then find their pages in
 * memory: those of headers byte by byte, of column chunks page by page as they are decoded. What is larger than memory is fetched as far as it fits, in reading order, and the next stretch when DuckDB
 * arrives there: a wave again, not a page. A read that nobody foresaw is answered too, and counted.
 *
 * Waves of a cold statement: ends of files; the rest of footers that were longer than that; column chunks.
 */
import type { PlannedFile } from "../../../durable-objects/lake-catalog/api.ts";
import { PLATFORM, SQL } from "../../../r2-layout/limits.ts";
import { PAGE_BYTES, type PageCache } from "../engine/page-cache.ts";
import type { VirtualFiles } from "../engine/virtual-files.ts";
import { StatementFailed } from "../problem.ts";
import { type Footer, footerBytes, readFooter } from "./footer.ts";
import type { FooterCache } from "./footer-cache.ts";
import { type ByteRange, type ScanFilter, scanRanges } from "./ranges.ts";

/** The slice of R2 that is needed. */
export interface RangeSource {
  get(
    key: string,
    options: { range: { offset: number; length: number } },
  ): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
}

export interface TableFiles {
  readonly files: readonly PlannedFile[];
  readonly timeColumn: string;
  readonly filter: ScanFilter;
}

export interface ReadCounts {
  /** Rounds of requests that had to wait for the one before. */
  waves: number;
  requests: number;
  bytesRead: number;
  /** Footers and column chunks that the statement needs, cached or not, without alignment and gaps. */
  bytesNeeded: number;
  /** Reads of DuckDB that no plan foresaw. */
  fallbackReads: number;
}

/** Read first: the ends of files, where most footers fit whole. */
const TAIL_BYTES = 2 * PAGE_BYTES;
/** A file up to this size is fetched whole at once: one request instead of two rounds of them. */
const WHOLE_FILE_BYTES = 8 * PAGE_BYTES;
/** An unforeseen read takes its neighbours along. */
const FALLBACK_BYTES = 8 * PAGE_BYTES;
/** A read that takes longer is given up. */
const READ_TIMEOUT_MS = 10_000;
const READS_PER_CHECK = 64;

export class LakeReader implements VirtualFiles {
  readonly counts: ReadCounts = { waves: 0, requests: 0, bytesRead: 0, bytesNeeded: 0, fallbackReads: 0 };
  readonly footers = new Map<string, Footer>();
  readonly #source: RangeSource;
  readonly #cache: PageCache;
  readonly #footerCache: FooterCache;
  readonly #tables: readonly TableFiles[];
  readonly #sizes = new Map<string, number>();
  /** Throws where the statement has to end. */
  readonly #check: () => void;
  /** What the statement will read, in order, and where each file begins in it. */
  #order: readonly ByteRange[] = [];
  readonly #firstOf = new Map<string, number>();
  #reads = 0;

  constructor(parts: {
    source: RangeSource;
    cache: PageCache;
    footerCache: FooterCache;
    tables: readonly TableFiles[];
    check: () => void;
  }) {
    this.#source = parts.source;
    this.#cache = parts.cache;
    this.#footerCache = parts.footerCache;
    this.#tables = parts.tables;
    this.#check = parts.check;
    for (const { files } of parts.tables) for (const file of files) this.#sizes.set(file.key, file.bytes);
  }

  /** Reads every file's footer, then knows what the statement needs. @returns the bytes of the column chunks. */
  async plan(): Promise<number> {
    await this.#readFooters();
    const order: ByteRange[] = [];
    let chunkBytes = 0;
    for (const { files, filter } of this.#tables) {
      for (const file of files) {
        const footer = this.footers.get(file.key)!;
        const scan = scanRanges(file, footer, filter);
        this.#firstOf.set(file.key, order.length);
        order.push(tailRange(file, footer.bytes), ...scan.ranges);
        chunkBytes += scan.neededBytes;
        this.counts.bytesNeeded += scan.neededBytes + footer.bytes;
      }
    }
    this.#order = order;
    return chunkBytes;
  }

  /** Fetches what fits in memory, in reading order. @param capacity bytes of pages that may be held. */
  async prefetch(capacity: number): Promise<void> {
    await this.#fill(0, capacity);
  }

  names(): Iterable<string> {
    return this.#sizes.keys();
  }

  size(name: string): number | undefined {
    return this.#sizes.get(name);
  }

  read(name: string, at: number, length: number): Uint8Array | Promise<Uint8Array> {
    // Headers of pages come byte by byte.
    if (++this.#reads % READS_PER_CHECK === 0) this.#check();
    return this.#cache.find(name, at, length) ?? this.#miss(name, at, length);
  }

  async #miss(key: string, at: number, length: number): Promise<Uint8Array> {
    const planned = this.#rangeAt(key, at);
    if (planned === null) {
      this.counts.fallbackReads++;
      const from = Math.floor(at / PAGE_BYTES) * PAGE_BYTES;
      const end = Math.ceil((at + length) / PAGE_BYTES) * PAGE_BYTES;
      await this.#wave([rangeOf(key, from, Math.max(end, from + FALLBACK_BYTES), this.#sizes.get(key)!)]);
    } else {
      await this.#fill(planned, SQL.prefetchBytes / 2);
    }
    this.#check();
    const found = this.#cache.find(key, at, length);
    if (found) return found;
    // It runs over the end of what was planned.
    this.counts.fallbackReads++;
    const from = Math.floor(at / PAGE_BYTES) * PAGE_BYTES;
    await this.#wave([rangeOf(key, from, at + length, this.#sizes.get(key)!)]);
    return this.#cache.find(key, at, length) ?? new Uint8Array(0);
  }

  #rangeAt(key: string, at: number): number | null {
    const first = this.#firstOf.get(key);
    if (first === undefined) return null;
    for (let i = first; this.#order[i]?.key === key; i++) {
      const range = this.#order[i]!;
      if (at >= range.at && at < range.at + range.length) return i;
    }
    return null;
  }

  /** Fetches ranges from the `first` on, up to `bytes` of them, making room for them. */
  async #fill(first: number, bytes: number): Promise<void> {
    const wanted: ByteRange[] = [];
    let sum = 0;
    for (let i = first; i < this.#order.length; i++) {
      const range = this.#order[i]!;
      if (sum + range.length > bytes && sum > 0) break;
      sum += range.length;
      if (!this.#cache.has(range.key, range.at, range.length)) wanted.push(range);
    }
    await this.#wave(wanted);
  }

  async #readFooters(): Promise<void> {
    const all = this.#tables.flatMap(({ files, timeColumn }) => files.map((file) => ({ file, timeColumn })));
    const total = all.reduce((sum, { file }) => sum + Math.min(file.bytes, WHOLE_FILE_BYTES), 0);
    const whole = total <= SQL.prefetchBytes / 2 ? WHOLE_FILE_BYTES : 0;
    // In groups, because the ends of thousands of files are more than may be held at once.
    const perGroup = Math.floor(SQL.prefetchBytes / 2 / Math.max(TAIL_BYTES + PAGE_BYTES, whole));
    for (let from = 0; from < all.length; from += perGroup) {
      const group = all.slice(from, from + perGroup);
      const missing = group.filter(({ file }) => {
        const footer = this.#footerCache.get(file.key);
        if (footer) this.footers.set(file.key, footer);
        return !footer;
      });
      await this.#wave(
        missing
          .map(({ file }) => tailRange(file, file.bytes <= whole ? file.bytes : TAIL_BYTES))
          .filter((range) => !this.#cache.has(range.key, range.at, range.length)),
      );
      await this.#wave(
        missing.flatMap(({ file }) => {
          const tail = this.#tail(file, 8);
          const range = tailRange(file, footerBytes(tail));
          const had = tailRange(file, file.bytes <= whole ? file.bytes : TAIL_BYTES);
          return range.at < had.at ? [{ key: file.key, at: range.at, length: had.at - range.at }] : [];
        }),
      );
      for (const { file, timeColumn } of missing) {
        const footer = readFooter(this.#tail(file, footerBytes(this.#tail(file, 8))), timeColumn);
        this.#footerCache.set(file.key, footer);
        this.footers.set(file.key, footer);
      }
    }
  }

  /** The last `length` bytes of a file that were just fetched. */
  #tail(file: PlannedFile, length: number): Uint8Array {
    const bytes = this.#cache.find(file.key, file.bytes - length, length);
    if (!bytes) throw new Error(`the end of ${file.key} is not there`);
    return bytes;
  }

  /** Fetches ranges side by side, six at a time. */
  async #wave(ranges: readonly ByteRange[]): Promise<void> {
    if (ranges.length === 0) return;
    this.counts.waves++;
    this.#cache.shrinkTo(Math.max(0, SQL.prefetchBytes - ranges.reduce((sum, range) => sum + range.length, 0)));
    let next = 0;
    const connection = async () => {
      for (let range = ranges[next++]; range; range = ranges[next++]) {
        this.#check();
        await this.#get(range);
      }
    };
    await Promise.all(Array.from({ length: Math.min(PLATFORM.simultaneousConnections, ranges.length) }, connection));
  }

  async #get({ key, at, length }: ByteRange): Promise<void> {
    this.counts.requests++;
    const bytes = await withTimeout(
      this.#source.get(key, { range: { offset: at, length } }).then((object) => object?.arrayBuffer() ?? null),
    );
    if (!bytes || bytes.byteLength !== length) {
      const detail = bytes
        ? "a data file ended early"
        : bytes === null
          ? "a data file is gone"
          : "a data file could not be read in time";
      throw new StatementFailed({ reason: "store_unavailable", detail, retry_after_s: 1 }, bytes === null);
    }
    this.counts.bytesRead += length;
    this.#cache.add(key, at, new Uint8Array(bytes));
  }
}

function tailRange(file: { key: string; bytes: number }, length: number): ByteRange {
  const at = Math.floor(Math.max(0, file.bytes - length) / PAGE_BYTES) * PAGE_BYTES;
  return { key: file.key, at, length: file.bytes - at };
}

function rangeOf(key: string, from: number, end: number, size: number): ByteRange {
  return { key, at: from, length: Math.min(end, size) - from };
}

async function withTimeout<T>(work: Promise<T>): Promise<T | undefined> {
  const timer = new AbortController();
  const late = scheduler.wait(READ_TIMEOUT_MS, { signal: timer.signal }).then(
    () => undefined,
    () => undefined,
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}
