/** The store `iceberg`: what is published of the lake for other engines. */
import type { ErasureStore } from "../erasure-store.ts";
import { countErasedEntries, eraseIceberg, type IcebergErasureDeps } from "./iceberg-erasure.ts";

export const icebergStore = (deps: IcebergErasureDeps): ErasureStore => ({
  name: "iceberg",
  async erase(run, position) {
    const isBegun = position === "begun";
    const { done, tables } = await eraseIceberg({ ...deps, now: () => run.now() }, run.untilMs, isBegun);
    return {
      done,
      position: done ? null : "begun",
      found: { unit: "tables", found: tables, removed: tables, replaced: [] },
    };
  },
  async verify() {
    const { snapshots, entries } = await countErasedEntries(deps);
    return {
      done: true,
      position: null,
      traces: entries,
      statement: `${snapshots} published snapshots were read to their manifests: ${entries} entries name a file that held rows of a subject. To look: count the subjects' rows with any engine, in each snapshot.`,
    };
  },
});
