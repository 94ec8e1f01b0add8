/** The store `lake`: files of events that are history, in snapshots, in cuts and staged; the live ones followed the rule. */
import { LAKE_CATALOG_NAME } from "../../../durable-objects/lake-catalog/api.ts";
import type { ErasureStore } from "../erasure-store.ts";
import type { LakeErasureDeps, UploadsBucket } from "./lake-files.ts";
import { tableStore } from "./table-store.ts";

export function lakeStore(deps: LakeErasureDeps & { readonly bucket: UploadsBucket }): ErasureStore {
  const table = tableStore(deps, "events");
  return {
    ...table,
    name: "lake",
    async erase(run, position) {
      const step = await table.erase(run, position);
      if (!step.done) return step;
      const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
      // Rules from before name people in clear; what they can concern is no longer known then, and files are looked at.
      await catalog.forgetFilters(
        run.version,
        run.subjects.map(({ id }) => id),
      );
      for (;;) {
        const uploads = await catalog.uploadsBefore(run.raisedAt);
        if (uploads.length === 0) return step;
        for (const { key, uploadId } of uploads) {
          await abort(deps.bucket, key, uploadId);
          await catalog.uploadEnded(key);
        }
      }
    },
  };
}

/** One that R2 does not know any more has been completed, or aborted. */
async function abort(bucket: UploadsBucket, key: string, uploadId: string): Promise<void> {
  try {
    // Awaited for the local run, whose bindings answer later.
    await (await bucket.resumeMultipartUpload(key, uploadId)).abort();
  } catch (error) {
    console.warn(JSON.stringify({ at: "erasure", kind: "abort-upload", key, error: String(error) }));
  }
}
