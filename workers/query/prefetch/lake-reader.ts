/**
 * The data files of one statement, as DuckDB sees them. Before the statement runs, footers, Bloom filters where they are
 * worth it, and then the column chunks it needs are fetched in parallel waves, at most six requests at a time; DuckDB's
 * reads then find their bytes in memory. Row groups that cannot matter are not shown to DuckDB at all. What is larger than
 * memory is fetched as far as it fits, in reading order, and the next stretch when DuckDB arrives there: a wave again, not a
 * page. A read that nobody foresaw is answered too, and counted.
 *
 * Waves of a cold statement: footers, which the catalog knows the size of; Bloom filters, for who asks for one user;
 * column chunks. Of a file whose footer nobody told the size: its end, then the rest of a footer that was longer.
 */
import type { PlannedFile } from "../../../durable-objects/lake-catalog/api.ts";
import { mayHoldText } from "../../../r2-layout/bloom-filter.ts";
import { joinBytes } from "../../../r2-layout/bytes.ts";
import { KiB, MiB, PLATFORM, SQL } from "../../../r2-layout/limits.ts";
import { TAIL_BYTES, WHOLE_FILE_BYTES } from "../../../r2-layout/scan-policy.ts";
import type { VirtualFiles } from "../engine/virtual-files.ts";
import { StatementFailed } from "../problem.ts";
import { type Footer, footerBytes, readFooter } from "./footer.ts";
import type { FooterCache } from "./footer-cache.ts";
import type { FooterStore } from "./footer-store.ts";
import type { RangeCache } from "./range-cache.ts";
import { type ByteRange, mayMatch, type ScanFilter, scanRanges, worthwhileFilters } from "./ranges.ts";
import { ScanFile } from "./scan-file.ts";

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
  /** Footers and column chunks that the statement needs, cached or not, without gaps. */
  bytesNeeded: number;
  /** Reads of DuckDB that no plan foresaw. */
  fallbackReads: number;
}

/** An unforeseen read takes its neighbours along. */
const FALLBACK_BYTES = 128 * KiB;
/** A read that takes longer is given up. */
const READ_TIMEOUT_MS = 10_000;
const READS_PER_CHECK = 64;
/** Footers of more files than this are not looked for in the store: each look is a subrequest, too. */
const STORED_FOOTERS = 200;

export class LakeReader implements VirtualFiles {
  readonly counts: ReadCounts = { waves: 0, requests: 0, bytesRead: 0, bytesNeeded: 0, fallbackReads: 0 };
  /** Row groups of the planned files, and those of them that may matter. */
  readonly rowGroups = { planned: 0, kept: 0 };
  readonly footers = new Map<string, Footer>();
  readonly #source: RangeSource;
  readonly #cache: RangeCache;
  readonly #footerCache: FooterCache;
  readonly #footerStore: FooterStore | null;
  readonly #tables: readonly TableFiles[];
  /** Bytes that may be held now. */
  readonly #capacity: () => number;
  /** Throws where the statement has to end. */
  readonly #check: () => void;
  /** By name, those that are shown. */
  readonly #shown = new Map<string, ScanFile>();
  readonly #shownOf: ScanFile[][] = [];
  /** What the statement will read, in order, and where each file begins in it. */
  #order: readonly OrderedRange[] = [];
  readonly #firstOf = new Map<string, number>();
  #heldBytes = 0;
  /** The end of a file whose end is not held, read last. */
  #lastEnd: { readonly name: string; readonly bytes: Uint8Array } | null = null;
  #reads = 0;

  constructor(parts: {
    source: RangeSource;
    cache: RangeCache;
    footerCache: FooterCache;
    footerStore?: FooterStore | null;
    tables: readonly TableFiles[];
    capacity?: () => number;
    check: () => void;
  }) {
    this.#source = parts.source;
    this.#cache = parts.cache;
    this.#footerCache = parts.footerCache;
    this.#footerStore = parts.footerStore ?? null;
    this.#tables = parts.tables;
    this.#capacity = parts.capacity ?? (() => SQL.prefetchBytes);
    this.#check = parts.check;
  }

  /** Reads every file's footer, then knows what the statement needs. @returns the bytes of the column chunks. */
  async plan(): Promise<number> {
    await this.#readFooters();
    const kept = await this.#keptGroups();
    for (const [table, { files }] of this.#tables.entries()) {
      const shown: ScanFile[] = [];
      this.#shownOf.push(shown);
      for (const [i, file] of files.entries()) {
        const footer = this.footers.get(file.key)!;
        const groups = kept[table]![i]!;
        this.rowGroups.planned += footer.rowGroups.length;
        this.rowGroups.kept += groups.length;
        this.counts.bytesNeeded += footer.bytes;
        // Without a row that may matter it is not opened.
        if (groups.length > 0) shown.push(new ScanFile(file, footer, groups));
      }
    }
    await this.#holdEnds(this.#shownOf.flat());
    return this.#orderReads();
  }

  /** @returns the bytes of the column chunks. */
  #orderReads(): number {
    const order: OrderedRange[] = [];
    let chunkBytes = 0;
    for (const [table, { filter }] of this.#tables.entries()) {
      const columns = columnsRead(filter.columns, this.#shownOf[table]!);
      for (const shown of this.#shownOf[table]!) {
        const { file, footer, kept, name, endAt } = shown;
        this.#shown.set(name, shown);
        this.#firstOf.set(name, order.length);
        if (!shown.end) order.push({ key: file.key, at: endAt, length: footer.bytes, name, group: -1, groupBytes: 0 });
        const { ranges, neededBytes } = scanRanges(file, footer, columns, kept);
        const ofGroup = new Map<number, number>();
        for (const { group, length } of ranges) ofGroup.set(group, (ofGroup.get(group) ?? 0) + length);
        for (const range of ranges) order.push({ ...range, name, groupBytes: ofGroup.get(range.group)! });
        chunkBytes += neededBytes;
      }
    }
    this.#order = order;
    this.counts.bytesNeeded += chunkBytes;
    return chunkBytes;
  }

  /** What a cold run reads, once it is planned: footers, and then the ranges in order. */
  foretold(): { bytes: number; requests: number } {
    const chunks = this.#order.filter(({ group }) => group >= 0);
    const footers = [...this.footers.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    return {
      bytes: chunks.reduce((sum, { length }) => sum + length, footers),
      requests: this.footers.size + chunks.length,
    };
  }

  /** The files of a table that are shown, in the order of the plan. */
  shownOf(table: number): readonly ScanFile[] {
    return this.#shownOf[table] ?? [];
  }

  /** Fetches what fits in memory, in reading order. */
  async prefetch(): Promise<void> {
    await this.#fill(0, this.room());
  }

  names(): Iterable<string> {
    return this.#shown.keys();
  }

  size(name: string): number | undefined {
    return this.#shown.get(name)?.bytes;
  }

  read(name: string, at: number, length: number): Uint8Array | Promise<Uint8Array> {
    // Headers of pages come byte by byte.
    if (++this.#reads % READS_PER_CHECK === 0) this.#check();
    const shown = this.#shown.get(name);
    if (!shown) return new Uint8Array(0);
    if (at < shown.endAt) {
      if (at + length <= shown.endAt)
        return this.#cache.find(shown.file.key, at, length) ?? this.#miss(shown, at, length);
      const parts = [this.read(name, at, shown.endAt - at), this.read(name, shown.endAt, at + length - shown.endAt)];
      return Promise.all(parts).then(joinBytes);
    }
    const end = shown.end ?? (this.#lastEnd?.name === name ? this.#lastEnd.bytes : null);
    const from = at - shown.endAt;
    if (end) return end.subarray(from, from + length);
    return this.#readEnd(shown).then((late) => late.subarray(from, from + length));
  }

  async #readEnd(shown: ScanFile): Promise<Uint8Array> {
    const { file, footer, endAt } = shown;
    if (!this.#cache.find(file.key, endAt, footer.bytes)) {
      await this.#fill(this.#firstOf.get(shown.name)!, this.room() / 2);
    }
    const bytes = shown.shownEnd((await this.#bytesOf(file.key, endAt, footer.bytes)).slice());
    this.#lastEnd = { name: shown.name, bytes };
    return bytes;
  }

  async #miss(shown: ScanFile, at: number, length: number): Promise<Uint8Array> {
    const { key } = shown.file;
    const planned = this.#rangeAt(shown.name, at);
    const range = planned === null ? null : this.#order[planned]!;
    if (!range) {
      this.counts.fallbackReads++;
      const end = Math.min(Math.max(at + length, at + FALLBACK_BYTES), shown.endAt);
      await this.#wave(this.#missing([{ key, at, length: end - at }]));
    } else if (range.groupBytes > this.room()) {
      // The columns of a row group are read side by side: where they do not fit together, each gets a little.
      const piece = Math.max(length, 64 * KiB, Math.floor(this.room() / (4 * shown.footer.columns.length)));
      await this.#wave(this.#missing([{ key, at, length: Math.min(piece, range.at + range.length - at) }]));
    } else {
      await this.#fill(planned!, this.room() / 2);
    }
    this.#check();
    return this.#cache.find(key, at, length) ?? this.#bytesOf(key, at, length);
  }

  /** Whatever it takes, also past the end of what was planned. */
  async #bytesOf(key: string, at: number, length: number): Promise<Uint8Array> {
    const found = this.#cache.find(key, at, length);
    if (found) return found;
    this.counts.fallbackReads++;
    await this.#wave(this.#missing([{ key, at, length }]));
    return this.#cache.find(key, at, length) ?? new Uint8Array(0);
  }

  #rangeAt(name: string, at: number): number | null {
    const first = this.#firstOf.get(name);
    if (first === undefined) return null;
    for (let i = first; this.#order[i]?.name === name; i++) {
      const range = this.#order[i]!;
      if (at >= range.at && at < range.at + range.length) return i;
    }
    return null;
  }

  /** Bytes of column chunks that may be held beside the footers. */
  room(): number {
    return Math.max(MiB, this.#capacity() - this.#heldBytes);
  }

  #missing(ranges: readonly ByteRange[]): ByteRange[] {
    return ranges.flatMap(({ key, at, length }) =>
      this.#cache.missing(key, at, length).map((gap) => ({ key, ...gap })),
    );
  }

  /** Fetches ranges from the `first` on, up to `bytes` of them, making room for them. */
  async #fill(first: number, bytes: number): Promise<void> {
    const wanted: ByteRange[] = [];
    let sum = 0;
    for (let i = first; i < this.#order.length; i++) {
      const range = this.#order[i]!;
      if (sum + range.length > bytes && sum > 0) break;
      sum += range.length;
      wanted.push(range);
    }
    await this.#wave(this.#missing(wanted));
  }

  async #readFooters(): Promise<void> {
    const all = this.#tables.flatMap(({ files, timeColumn, filter }) => {
      const asked = new Set(Object.keys(filter.equals ?? {}));
      return files.map((file) => ({ file, timeColumn, asked, isRead: filter.columns?.size !== 0 }));
    });
    const missing = all.filter(({ file, asked }) => {
      const footer = this.#footerCache.get(file.key, asked);
      if (footer) this.footers.set(file.key, footer);
      return !footer;
    });
    await this.#storedFooters(missing.map(({ file }) => file));
    // Small files whole, unless they would be gone from memory before they are scanned.
    const whole = all.reduce((sum, { file }) => sum + Math.min(file.bytes, WHOLE_FILE_BYTES), 0) <= this.room() / 2;
    const firstRead = ({ file, isRead }: (typeof all)[number]): ByteRange => {
      // Of a footer that is at hand nothing more is fetched.
      if (this.#cache.find(file.key, file.bytes - 8, 8)) return tailRange(file, 8);
      if (whole && isRead && file.bytes <= WHOLE_FILE_BYTES) return { key: file.key, at: 0, length: file.bytes };
      return tailRange(file, file.footerBytes ?? TAIL_BYTES);
    };
    // In groups, because the footers of thousands of files are more than may be held at once.
    const perGroup = Math.max(1, Math.floor(this.room() / 2 / WHOLE_FILE_BYTES));
    for (let from = 0; from < missing.length; from += perGroup) {
      const group = missing.slice(from, from + perGroup);
      await this.#wave(this.#missing(group.map(firstRead)));
      await this.#wave(this.#missing(group.map(({ file }) => tailRange(file, footerBytes(this.#tail(file, 8))))));
      for (const { file, timeColumn, asked } of group) {
        const end = this.#tail(file, footerBytes(this.#tail(file, 8)));
        const footer = readFooter(end, timeColumn, asked);
        this.#footerCache.set(file.key, footer);
        this.footers.set(file.key, footer);
        if (missing.length <= STORED_FOOTERS) void this.#footerStore?.put(file.key, end.slice());
      }
    }
  }

  /** Takes what the store has of these files' footers into memory. */
  async #storedFooters(files: readonly PlannedFile[]): Promise<void> {
    const store = this.#footerStore;
    if (!store || files.length > STORED_FOOTERS) return;
    await sideBySide(files, async (file) => {
      if (file.footerBytes !== undefined && this.#cache.find(file.key, file.bytes - file.footerBytes, file.footerBytes))
        return;
      const bytes = await store.get(file.key);
      if (bytes) this.#cache.add(file.key, file.bytes - bytes.length, bytes);
    });
  }

  /** For each file of each table, the row groups that may matter. */
  async #keptGroups(): Promise<number[][][]> {
    const kept = this.#tables.map(({ files, filter }) =>
      files.map((file) => {
        const { rowGroups } = this.footers.get(file.key)!;
        return [...rowGroups.keys()].filter((index) => mayMatch(rowGroups[index]!, filter));
      }),
    );
    const looks = this.#tables.flatMap(({ files, filter }, table) =>
      files.flatMap((file, at) => {
        const footer = this.footers.get(file.key)!;
        return kept[table]![at]!.flatMap((group) =>
          worthwhileFilters(footer, footer.rowGroups[group]!, filter).map(({ column, ...range }) => ({
            range: { key: file.key, ...range },
            sought: filter.equals![column]!,
            drop: () => {
              kept[table]![at] = kept[table]![at]!.filter((other) => other !== group);
            },
          })),
        );
      }),
    );
    for (let from = 0; from < looks.length; ) {
      const batch: typeof looks = [];
      for (let bytes = 0; from < looks.length && bytes < this.room() / 4; from++) {
        batch.push(looks[from]!);
        bytes += looks[from]!.range.length;
      }
      await this.#wave(this.#missing(batch.map(({ range }) => range)));
      for (const { range, sought, drop } of batch) {
        const filter = this.#cache.find(range.key, range.at, range.length);
        if (filter && !sought.some((text) => typeof text !== "string" || mayHoldText(filter, text))) drop();
      }
    }
    return kept;
  }

  /** DuckDB reads each file's end again: those of not too many files stay at hand. */
  async #holdEnds(files: readonly ScanFile[]): Promise<void> {
    const endOf = ({ file, endAt, footer }: ScanFile) => this.#cache.find(file.key, endAt, footer.bytes);
    for (let from = 0; from < files.length; ) {
      const batch: ScanFile[] = [];
      for (let bytes = 0; from < files.length && bytes < this.room() / 4; from++) {
        batch.push(files[from]!);
        bytes += files[from]!.footer.bytes;
      }
      // The length of an end that is changed has to be known before the file is opened.
      const needed = batch.filter((shown) => !shown.isWhole);
      await this.#wave(
        this.#missing(needed.map(({ file, endAt, footer }) => ({ key: file.key, at: endAt, length: footer.bytes }))),
      );
      for (const shown of batch) {
        const found = endOf(shown);
        if (!found) continue;
        const end = shown.shownEnd(found.slice());
        if (this.#heldBytes + end.length > SQL.heldFooterBytes) continue;
        this.#heldBytes += end.length;
        shown.hold(end);
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
    this.#cache.shrinkTo(Math.max(0, this.room() - ranges.reduce((sum, range) => sum + range.length, 0)));
    await sideBySide(ranges, async (range) => {
      this.#check();
      await this.#get(range);
    });
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

interface OrderedRange extends ByteRange {
  readonly name: string;
  /** Of the file; -1 for its footer. */
  readonly group: number;
  /** Bytes that are read of the row group. */
  readonly groupBytes: number;
}

/**
 * Rows can be counted by footers alone, except where files differ in their columns: the view is then a union of scans, and
 * DuckDB reads the first column of each.
 */
function columnsRead(columns: ScanFilter["columns"], files: readonly ScanFile[]): ScanFilter["columns"] {
  if (columns?.size !== 0) return columns;
  const kinds = new Set(files.map(({ footer }) => footer.columns.join()));
  return kinds.size > 1 ? new Set(files.map(({ footer }) => footer.columns[0]!)) : columns;
}

async function sideBySide<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const connection = async () => {
    while (next < items.length) await work(items[next++]!);
  };
  await Promise.all(Array.from({ length: Math.min(PLATFORM.simultaneousConnections, items.length) }, connection));
}

function tailRange(file: { key: string; bytes: number }, length: number): ByteRange {
  const at = Math.max(0, file.bytes - length);
  return { key: file.key, at, length: file.bytes - at };
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
