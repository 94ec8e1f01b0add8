/**
 * What a store keeps of an erasure to be able to look again when nobody knows the identifiers any more: keyed hashes, gzip
 * JSON, under `erasures/<job>/`. Kept for good, like the receipt.
 */
import { gunzipSync, gzipSync } from "node:zlib";
import { keptNamesKey } from "../../../r2-layout/keys.ts";
import type { JobBucket } from "../../replay/job-store.ts";

/** Writing it twice is writing it once. */
export async function keepNames(bucket: JobBucket, job: string, store: string, names: unknown): Promise<void> {
  const packed = gzipSync(JSON.stringify(names));
  await bucket.put(keptNamesKey(job, store), new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength));
}

/** @throws Error where it is missing: what cannot be looked for is not confirmed */
export async function readNames<Names>(bucket: JobBucket, job: string, store: string): Promise<Names> {
  const object = await bucket.get(keptNamesKey(job, store));
  if (!object) throw new Error(`${keptNamesKey(job, store)} is missing: the store ${store} cannot look again`);
  return JSON.parse(gunzipSync(new Uint8Array(await object.arrayBuffer())).toString()) as Names;
}
