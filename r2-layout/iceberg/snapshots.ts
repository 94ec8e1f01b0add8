/** What a snapshot of an Iceberg table is, and how long which ones are kept. */
import { ICEBERG } from "../limits.ts";

export type IcebergOperation = "append" | "replace" | "delete" | "overwrite";

/** Data files, rows and bytes. */
export interface FileSums {
  readonly files: number;
  readonly rows: number;
  readonly bytes: number;
}

export const NO_FILES: FileSums = { files: 0, rows: 0, bytes: 0 };

export interface IcebergSnapshot {
  /** Below 2^53: many readers parse JSON's numbers as doubles. */
  readonly snapshotId: number;
  /** Of the snapshot that it was made from, which may be forgotten by now. */
  readonly parentId: number | null;
  readonly sequence: number;
  /** When the lake's commit was made that it shows: not when it was published. Milliseconds. */
  readonly timestampMs: number;
  readonly operation: IcebergOperation;
  readonly manifestListKey: string;
  readonly schemaId: number;
  /** The catalog's snapshot that has the same rows. */
  readonly lakeSnapshot: number;
  /** Nothing of the catalog's snapshots up to this one is in it that is not in its parent; absent: not known. */
  readonly lakeFrom?: number;
  readonly added: FileSums;
  readonly removed: FileSums;
  readonly total: FileSums;
}

/** A cut: the rows that the lake had at a snapshot. */
export interface NamedCut {
  /** With its version: `2026-11-21.v1`. */
  readonly name: string;
  readonly lakeSnapshot: number;
}

/**
 * The cuts that are tags, with the snapshots that have their rows. A cut that was folded over has none, nor one that the
 * lake's snapshots do not reach any more: from then on a cut names other files, with the same rows, for our own SQL.
 * @param snapshots oldest first. @param reached everything up to this snapshot of the lake is in them.
 */
export function tagsOf(
  cuts: readonly NamedCut[],
  snapshots: readonly IcebergSnapshot[],
  reached: number,
  nowMs: number,
): Record<string, number> {
  const tags: Record<string, number> = {};
  for (const { name, lakeSnapshot } of cuts) {
    if (lakeSnapshot > reached) continue;
    const at = snapshots.findLastIndex((snapshot) => snapshot.lakeSnapshot <= lakeSnapshot);
    const [found, next] = [snapshots[at], snapshots[at + 1]];
    if (!found) continue;
    const isNext = next?.parentId === found.snapshotId && (next.lakeFrom ?? -1) >= lakeSnapshot;
    if (next && (!isNext || nowMs - found.timestampMs > ICEBERG.snapshotReachMs)) continue;
    tags[name] = found.snapshotId;
  }
  return tags;
}

/**
 * Which snapshots to forget: those that the lake does not reach any more, and of those older than a while all but the
 * last of each hour. The newest stays, and those that a tag names.
 * @param snapshots oldest first. @returns their ids.
 */
export function expiredSnapshots(
  snapshots: readonly IcebergSnapshot[],
  nowMs: number,
  tagged: ReadonlySet<number> = new Set(),
): number[] {
  const untagged = snapshots.slice(0, -1).filter(({ snapshotId }) => !tagged.has(snapshotId));
  const newest = snapshots.at(-1);
  const gone = new Set<number>();
  for (const [at, snapshot] of untagged.entries()) {
    const age = nowMs - snapshot.timestampMs;
    const next = untagged[at + 1] ?? newest;
    const isLastOfHour = next === undefined || hourOf(next) !== hourOf(snapshot);
    if (age > ICEBERG.snapshotReachMs || (age > ICEBERG.everySnapshotMs && !isLastOfHour))
      gone.add(snapshot.snapshotId);
  }
  const kept = untagged.filter(({ snapshotId }) => !gone.has(snapshotId));
  for (const { snapshotId } of kept.slice(0, Math.max(0, kept.length + 1 - ICEBERG.snapshots))) gone.add(snapshotId);
  return [...gone];
}

const hourOf = ({ timestampMs }: IcebergSnapshot): number => Math.floor(timestampMs / 3_600_000);
