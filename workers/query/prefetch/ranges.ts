/** Which bytes of a file a scan will read, in the order in which it reads them. Pure. */
import { compareText } from "../../../r2-layout/statistics.ts";
import { PAGE_BYTES } from "../engine/page-cache.ts";
import type { Footer, RowGroup } from "./footer.ts";

export interface ByteRange {
  readonly key: string;
  /** A multiple of PAGE_BYTES. */
  readonly at: number;
  /** A multiple of PAGE_BYTES, except at the end of the file. */
  readonly length: number;
}

/** What a statement asks of a table, as far as it decides which bytes matter. */
export interface ScanFilter {
  /** Column names, or null for all of them. */
  readonly columns: ReadonlySet<string> | null;
  /** Half-open, microseconds. */
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly eventNames: readonly string[] | undefined;
}

/** A request carries about this much at most, so that six of them run side by side. */
const RANGE_BYTES = 2 * 1_024 * 1_024;
/** Two chunks closer than this are one request: reading the gap costs less than asking twice. */
const GAP_BYTES = PAGE_BYTES;

/** Whether a row group may hold a row that passes: it is left out on proof only. */
export function mayMatch(group: RowGroup, filter: ScanFilter): boolean {
  const { time, eventName } = group;
  if (time && filter.from !== undefined && time[1] < filter.from) return false;
  if (time && filter.to !== undefined && time[0] >= filter.to) return false;
  if (!eventName || !filter.eventNames) return true;
  return filter.eventNames.some((name) => compareText(name, eventName[0]) >= 0 && compareText(name, eventName[1]) <= 0);
}

export interface FileScan {
  /** Aligned, coalesced, cut to RANGE_BYTES, in reading order. */
  readonly ranges: readonly ByteRange[];
  /** Bytes of the column chunks themselves, without gaps and alignment. */
  readonly neededBytes: number;
}

export function scanRanges(file: { key: string; bytes: number }, footer: Footer, filter: ScanFilter): FileScan {
  const ranges: { at: number; end: number }[] = [];
  let neededBytes = 0;
  for (const group of footer.rowGroups) {
    if (!mayMatch(group, filter)) continue;
    const chunks: { at: number; end: number }[] = [];
    for (const [i, name] of footer.columns.entries()) {
      if (filter.columns && !filter.columns.has(name)) continue;
      const at = group.chunks[i * 2]!;
      const length = group.chunks[i * 2 + 1]!;
      if (length > 0) chunks.push({ at, end: at + length });
      neededBytes += length;
    }
    chunks.sort((a, b) => a.at - b.at);
    for (const chunk of chunks) {
      const at = Math.floor(chunk.at / PAGE_BYTES) * PAGE_BYTES;
      const end = Math.min(file.bytes, Math.ceil(chunk.end / PAGE_BYTES) * PAGE_BYTES);
      const last = ranges.at(-1);
      // Row groups follow each other in the file, so this also joins the last chunk of one with the first of the next.
      if (last && at >= last.at && at - last.end <= GAP_BYTES) last.end = Math.max(last.end, end);
      else ranges.push({ at, end });
    }
  }
  return { ranges: ranges.flatMap(({ at, end }) => [...pieces(file.key, at, end)]), neededBytes };
}

export function* pieces(key: string, at: number, end: number): Generator<ByteRange> {
  for (let from = at; from < end; from += RANGE_BYTES)
    yield { key, at: from, length: Math.min(RANGE_BYTES, end - from) };
}
