/** What a job keeps in R2 on its way: small JSON objects under `jobs/<id>/`, gzip. Writing one twice is writing it once. */
import { gunzipSync, gzipSync } from "node:zlib";
import { jobKey } from "../../r2-layout/keys.ts";

/** The slice of R2 that it needs. */
export interface JobBucket {
  get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
  put(key: string, body: string | Uint8Array): Promise<unknown>;
  list(options: {
    prefix: string;
    startAfter?: string;
    limit: number;
  }): Promise<{ objects: readonly { readonly key: string }[]; truncated: boolean }>;
}

/** R2, where a put may ask that there is no such object. */
export interface FirstPutBucket {
  put(key: string, body: Uint8Array, options: { onlyIf: { etagDoesNotMatch: string } }): Promise<unknown>;
}

export class JobStore {
  readonly #bucket: JobBucket;
  readonly #id: string;

  constructor(bucket: JobBucket, id: string) {
    this.#bucket = bucket;
    this.#id = id;
  }

  async put(name: string, value: unknown): Promise<void> {
    await this.#bucket.put(jobKey(this.#id, name), packed(value));
  }

  /** Written by the first who comes, whoever else does. @returns whether it was this one */
  async putFirst(bucket: FirstPutBucket, name: string, value: unknown): Promise<boolean> {
    const onlyIf = { etagDoesNotMatch: "*" };
    return (await bucket.put(jobKey(this.#id, name), packed(value), { onlyIf })) !== null;
  }

  /** @throws Error where there is no such object: a name that was noted was written before. */
  async get<Value>(name: string): Promise<Value> {
    const object = await this.#bucket.get(jobKey(this.#id, name));
    if (!object) throw new Error(`${jobKey(this.#id, name)} is missing`);
    return JSON.parse(gunzipSync(new Uint8Array(await object.arrayBuffer())).toString()) as Value;
  }

  /** Names under a prefix after one, in order; all of them where `limit` is null. */
  async names(prefix: string, after: string | null, limit: number | null = null): Promise<string[]> {
    const names: string[] = [];
    let startAfter = after;
    for (;;) {
      const page = await this.#bucket.list({
        prefix: jobKey(this.#id, prefix),
        limit: limit ?? 1_000,
        ...(startAfter !== null && { startAfter: jobKey(this.#id, startAfter) }),
      });
      for (const { key } of page.objects) names.push(key.slice(jobKey(this.#id, "").length));
      if (limit !== null || !page.truncated) return names;
      startAfter = names.at(-1)!;
    }
  }
}

function packed(value: unknown): Uint8Array {
  const bytes = gzipSync(JSON.stringify(value), { level: 1 });
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
