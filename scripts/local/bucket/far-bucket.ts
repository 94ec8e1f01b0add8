/**
 * R2 for a Worker that runs in another process than the bucket: reads by key and range, over a service binding to the
 * bucket's own Worker (worker.ts). Writing and listing it has not, because the Workers that run apart only read.
 */

/** What is asked for, as the body of a POST. */
export interface FarGet {
  readonly key: string;
  readonly range?: { readonly offset: number; readonly length: number };
}

export type FarObject = Pick<R2ObjectBody, "key" | "size" | "etag" | "body" | "arrayBuffer">;

export class FarBucket {
  readonly #service: Fetcher;

  constructor(service: Fetcher) {
    this.#service = service;
  }

  /** Null where there is no such object. @throws Error with the bucket's words where it refuses, or is not there. */
  async get(key: string, options: Pick<FarGet, "range"> = {}): Promise<FarObject | null> {
    const body = JSON.stringify({ key, range: options.range } satisfies FarGet);
    const response = await this.#service.fetch("http://bucket.invalid/", { method: "POST", body });
    if (response.status === 404) return null;
    if (!response.ok || !response.body) throw new Error(await response.text());
    return {
      key,
      size: Number(response.headers.get("x-object-size")),
      etag: response.headers.get("etag") ?? "",
      body: response.body as R2ObjectBody["body"],
      arrayBuffer: () => response.arrayBuffer(),
    };
  }
}
