/**
 * Compaction: files of a partition become fewer, files of several days become files of one. Safe beside appends, which
 * only add, and beside itself: the catalog takes a replacement only while every input is live, so of two compactions of
 * one file the second is told "conflict" and plans again; its files are orphans for the sweep. Snapshots taken before keep
 * reading the inputs, whose objects stay until no snapshot reaches them. Files that a rule has yet to go over are left to
 * it, and while a rebuild runs there is no compaction: both have to find the files they looked at.
 *
 * A unit of work is one pass: 50 inputs and `LAKE.compactBytes` at most, about a minute. It keeps no state between units,
 * so one that is cut off costs itself and is planned again from what there is:
 *
 *     cut off while it reads or merges      nothing happened; an upload under way is aborted by the sweep
 *     cut off after its last file           orphans, which the sweep deletes
 *     `replace` done, its answer lost       done: the next plan does not find the inputs
 *     the same work twice at once           the second `replace` is a conflict
 *     an input expires, is corrected, is    conflict, or "rules": planned again
 *     rebuilt or merged meanwhile
 *     a column is added meanwhile           inputs have no more columns than were asked for after the plan: it stands
 */
import type { CompactionWork, LakeCatalogApi } from "../../durable-objects/lake-catalog/api.ts";
import { tableColumns } from "../../r2-layout/promoted-columns.ts";
import { type CompactFilesDeps, compactPass } from "./compact-files.ts";

export interface CompactDeps extends Omit<CompactFilesDeps, "uploads"> {
  readonly catalog: Pick<LakeCatalogApi, "compactionWork" | "replace" | "schema" | "uploadBegan" | "uploadEnded">;
}

export type Compacted =
  | { readonly kind: "compacted"; readonly inputs: number; readonly files: number; readonly rows: number }
  /** Another compaction, a deletion or a rule was quicker, or a rebuild has begun: plan again. */
  | { readonly kind: "conflict" }
  /** Fewer than two inputs fit into the bounds: these stay as they are. */
  | { readonly kind: "too_large" };

/** Compacts partition after partition until none needs it or `untilMs`. @returns whether there may be more to do. */
export async function compactDays(deps: CompactDeps, untilMs: number, aboveFiles?: number): Promise<"done" | "more"> {
  const now = deps.now ?? Date.now;
  const skip: string[] = [];
  while (now() < untilMs) {
    const work = await deps.catalog.compactionWork(skip, aboveFiles);
    if (!work) return "done";
    const { kind } = await compactDay(deps, work);
    if (kind === "too_large") {
      const name = work.partition === undefined ? "" : `/${work.partition}`;
      const partition = `${work.table}/${work.day ?? "mixed"}${name}`;
      console.warn(JSON.stringify({ at: "maintenance", kind: "compact", reason: kind, partition }));
      skip.push(partition);
    }
  }
  return "more";
}

/** One pass over one partition: as many of its files as the bounds allow, in their order. */
export async function compactDay(deps: CompactDeps, work: CompactionWork): Promise<Compacted> {
  const { catalog } = deps;
  const { table, day, files, own, rules = 0 } = work;
  // After the work was planned: it has every column that an input has. A row that is older than one has null in it.
  const columns = tableColumns(table, (await catalog.schema()).promoted);
  const uploads = {
    began: (key: string, uploadId: string) => catalog.uploadBegan(key, uploadId),
    ended: (key: string) => catalog.uploadEnded(key),
  };
  const least = day === null ? 1 : 2;
  const { taken, add } = await compactPass({ ...deps, uploads }, { table, files, columns, least, ...(own && { own }) });
  if (taken < least) return { kind: "too_large" };
  const remove = files.slice(0, taken).map(({ id }) => id);
  const answer = await catalog.replace({ remove, add, operation: "compact", rules });
  const rows = add.reduce((sum, file) => sum + file.rows, 0);
  return answer.kind === "committed"
    ? { kind: "compacted", inputs: taken, files: add.length, rows }
    : { kind: "conflict" };
}
