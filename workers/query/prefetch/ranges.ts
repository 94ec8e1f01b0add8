/** Which row groups of a file may matter, and which bytes of them a scan will read, in the order in which it reads them. Pure. */

import { mayHold } from "../../../durable-objects/lake-catalog/prune.ts";
import { approachOf, columnRuns, REQUEST_BYTES } from "../../../r2-layout/scan-policy.ts";
import { compareText } from "../../../r2-layout/statistics.ts";
import type { Footer, RowGroup } from "./footer.ts";

export interface ByteRange {
  readonly key: string;
  readonly at: number;
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
  /** For a column, the only values that pass. */
  readonly equals?: Readonly<Record<string, readonly (string | number)[]>> | undefined;
}

/** Whether a row group may hold a row that passes, by its statistics: it is left out on proof only. */
export function mayMatch(group: RowGroup, filter: ScanFilter): boolean {
  const { time, eventName, bounds, rows } = group;
  if (time && filter.from !== undefined && time[1] < filter.from) return false;
  if (time && filter.to !== undefined && time[0] >= filter.to) return false;
  for (const [column, values] of Object.entries(filter.equals ?? {})) {
    if (Object.hasOwn(bounds, column) && !mayHold(bounds[column], rows, values)) return false;
  }
  if (!eventName || !filter.eventNames) return true;
  return filter.eventNames.some((name) => compareText(name, eventName[0]) >= 0 && compareText(name, eventName[1]) <= 0);
}

/** Filters are asked only where they cost less than a quarter of what they may spare. */
const FILTER_SHARE = 1 / 4;

/** The Bloom filters of a row group that are worth reading before its columns. */
export function worthwhileFilters(
  footer: Footer,
  group: RowGroup,
  filter: ScanFilter,
): { column: string; at: number; length: number }[] {
  const columns = Object.keys(filter.equals ?? {}).filter((name) => Object.hasOwn(group.filters, name));
  if (columns.length === 0) return [];
  const chunkBytes = wantedBytes(footer, group, filter.columns);
  return columns
    .map((column) => ({ column, ...group.filters[column]! }))
    .filter(({ length }) => length <= chunkBytes * FILTER_SHARE);
}

function wantedBytes(footer: Footer, group: RowGroup, columns: ScanFilter["columns"]): number {
  let sum = 0;
  for (const [i, name] of footer.columns.entries()) if (!columns || columns.has(name)) sum += group.chunks[i * 2 + 1]!;
  return sum;
}

export interface FileScan {
  /** Coalesced, cut to REQUEST_BYTES, in reading order; each with the row group it belongs to. */
  readonly ranges: readonly (ByteRange & { readonly group: number })[];
  /** Bytes of the column chunks themselves, without gaps. */
  readonly neededBytes: number;
}

/** @param kept indexes of the row groups that may matter. */
export function scanRanges(
  file: { key: string; bytes: number },
  footer: Footer,
  columns: ScanFilter["columns"],
  kept: readonly number[],
): FileScan {
  const neededBytes = kept.reduce((sum, group) => sum + wantedBytes(footer, footer.rowGroups[group]!, columns), 0);
  if (neededBytes === 0) return { ranges: [], neededBytes };
  const approach = approachOf(file.bytes, { footer: footer.bytes, rowGroups: footer.rowGroups.length });
  if (approach !== "columns") {
    const spans = kept.map((group) => spanOf(footer.rowGroups[group]!));
    const at = approach === "whole" ? 0 : Math.min(...spans.map((span) => span.at));
    const end = approach === "whole" ? file.bytes - footer.bytes : Math.max(...spans.map((span) => span.end));
    return { ranges: [...pieces(file.key, kept[0]!, at, end)], neededBytes };
  }
  const wanted = footer.columns.map((name) => !columns || columns.has(name));
  const sizes = footer.columns.map((_, i) => footer.rowGroups.reduce((sum, { chunks }) => sum + chunks[i * 2 + 1]!, 0));
  const runs = columnRuns(wanted, sizes, footer.rowGroups.length);
  const ranges = kept.flatMap((index) => {
    const { chunks } = footer.rowGroups[index]!;
    return runs.flatMap(([first, last]) => {
      const places = [];
      for (let i = first; i <= last; i++) {
        if (chunks[i * 2 + 1]! > 0) places.push({ at: chunks[i * 2]!, end: chunks[i * 2]! + chunks[i * 2 + 1]! });
      }
      if (places.length === 0) return [];
      const at = Math.min(...places.map((place) => place.at));
      return [...pieces(file.key, index, at, Math.max(...places.map((place) => place.end)))];
    });
  });
  return { ranges, neededBytes };
}

function spanOf({ chunks }: RowGroup): { at: number; end: number } {
  let at = Number.POSITIVE_INFINITY;
  let end = 0;
  for (let i = 0; i < chunks.length; i += 2) {
    if (chunks[i + 1] === 0) continue;
    at = Math.min(at, chunks[i]!);
    end = Math.max(end, chunks[i]! + chunks[i + 1]!);
  }
  return { at, end };
}

function* pieces(key: string, group: number, at: number, end: number): Generator<ByteRange & { group: number }> {
  for (let from = at; from < end; from += REQUEST_BYTES)
    yield { key, group, at: from, length: Math.min(REQUEST_BYTES, end - from) };
}
