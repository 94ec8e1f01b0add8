/** The store `orphans`: objects of the lake and of the log that nothing names. */
import type { ErasureRun, ErasureStore } from "../erasure-store.ts";
import { type OrphansDeps, type OrphansPosition, walkOrphans } from "./orphan-objects.ts";

/** How far a verification is. */
interface Looked {
  readonly at: OrphansPosition;
  readonly listed: number;
  readonly holding: number;
}

export function orphansStore(deps: OrphansDeps): ErasureStore {
  const walk = (run: ErasureRun, isDeleted: boolean, position?: OrphansPosition) => {
    const { raisedAt, untilMs } = run;
    return walkOrphans({ ...deps, now: () => run.now() }, run, { raisedAt, untilMs, isDeleted }, position);
  };
  return {
    name: "orphans",
    async erase(run, saved) {
      const { done, position, orphans } = await walk(run, true, (saved as OrphansPosition | null) ?? undefined);
      const { length } = orphans.holding;
      return { done, position, found: { unit: "objects", found: length, removed: length, replaced: [] } };
    },
    async verify(run, saved) {
      const before = saved as Looked | null;
      const { done, position: at, orphans } = await walk(run, false, before?.at);
      const listed = (before?.listed ?? 0) + orphans.listed;
      const holding = (before?.holding ?? 0) + orphans.holding.length;
      return {
        done,
        position: { at, listed, holding },
        traces: holding,
        statement: `${listed} objects under lake/ and of the log's last days were listed: ${holding} that nothing names hold a subject. To look: list the bucket, and read what no snapshot, cut or segment names.`,
      };
    },
  };
}
