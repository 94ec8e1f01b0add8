/** The store `quarantine`: files of quarantined events, live ones, too, because no rule goes over them. */
import type { ErasureStore } from "../erasure-store.ts";
import type { LakeErasureDeps } from "./lake-files.ts";
import { tableStore } from "./table-store.ts";

export const quarantineStore = (deps: LakeErasureDeps): ErasureStore => ({
  ...tableStore(deps, "quarantine"),
  name: "quarantine",
});
