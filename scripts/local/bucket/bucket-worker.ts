/** The Worker that reads the buckets for another process, for Miniflare, and the binding that stands for a bucket there. */
import { join } from "node:path";
import { bundleWorker } from "../bundle.ts";
import { type V4Worker, v4Modules } from "../v4-worker.ts";
import { ROOT } from "../wrangler-config.ts";

const BUCKET_WORKER_NAME = "eventpile-bucket";

export const bucketBinding = (bucket: string) => ({
  name: BUCKET_WORKER_NAME,
  entrypoint: "Bucket",
  props: { bucket },
});

export async function bucketWorker(buckets: readonly string[], compatibilityDate: string): Promise<V4Worker> {
  const entry = JSON.stringify(join(ROOT, "scripts/local/bucket/worker.ts"));
  return {
    name: BUCKET_WORKER_NAME,
    compatibilityDate,
    ...v4Modules(
      await bundleWorker({
        entry: `export * from ${entry};\nexport { default } from ${entry};`,
        folder: ROOT,
        name: BUCKET_WORKER_NAME,
      }),
    ),
    r2Buckets: Object.fromEntries(buckets.map((bucket) => [bucket, bucket])),
  };
}
