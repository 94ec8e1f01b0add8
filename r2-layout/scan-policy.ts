/**
 * How a scan goes about a file, given what its parts take: which ranges, in how many requests. The reader follows it and
 * the catalog adds it up before anything is read (durable-objects/lake-catalog/scan-sums.ts says the same in SQL), so what
 * is foretold is what is read. For that it looks at a file as a whole: one gap is read along in every row group or in none.
 */
import type { ChunkSizes } from "./chunk-sizes.ts";
import { KiB, MiB } from "./limits.ts";

/** A file up to this size is fetched whole: one request instead of two rounds of them. */
export const WHOLE_FILE_BYTES = 128 * KiB;
/** Row groups of this size or less, on average, are fetched side by side, whole. */
export const WHOLE_GROUP_BYTES = 64 * KiB;
/** Wanted columns no farther apart than this, on average, are one request: reading the gap costs less than asking twice. */
export const GAP_BYTES = 16 * KiB;
/** A request carries this much at most, so that six of them run side by side. */
export const REQUEST_BYTES = 2 * MiB;
/** Read first of a file whose footer's size nobody told: most footers fit. */
export const TAIL_BYTES = 32 * KiB;

export type Approach =
  /** All of it, in one request. */
  | "whole"
  /** The footer, then everything between the first and the last row group that may matter. */
  | "groups"
  /** The footer, then columns. */
  | "columns";

export function approachOf(fileBytes: number, sizes: Pick<ChunkSizes, "footer" | "rowGroups">): Approach {
  if (fileBytes <= WHOLE_FILE_BYTES) return "whole";
  return fileBytes - sizes.footer <= sizes.rowGroups * WHOLE_GROUP_BYTES ? "groups" : "columns";
}

/**
 * The wanted columns of a file in runs that are read as one, by their places in the file's order, both ends inclusive.
 * @param sizes bytes of each column over all row groups.
 */
export function columnRuns(
  wanted: readonly boolean[],
  sizes: readonly number[],
  rowGroups: number,
): (readonly [first: number, last: number])[] {
  const runs: [number, number][] = [];
  let gap = 0;
  for (const [at, isWanted] of wanted.entries()) {
    if (!isWanted) {
      gap += sizes[at]!;
      continue;
    }
    const last = runs.at(-1);
    if (last && gap <= rowGroups * GAP_BYTES) last[1] = at;
    else runs.push([at, at]);
    gap = 0;
  }
  return runs;
}
