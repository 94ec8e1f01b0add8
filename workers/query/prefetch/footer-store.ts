/**
 * Footers beyond one isolate's memory: in the Cache API, under the file's immutable key. A hit costs a few milliseconds and
 * no R2 read. What it holds goes after a day: a footer's bounds should not outlive the rows by much.
 */

export interface FooterStore {
  get(key: string): Promise<Uint8Array | null>;
  /** Never rejects: a cache may refuse. */
  put(key: string, bytes: Uint8Array): Promise<void>;
}

/** The slice of the Cache API that is needed. */
export interface ResponseCache {
  match(request: string): Promise<Response | undefined>;
  put(request: string, response: Response): Promise<void>;
}

const KEPT_S = 86_400;
const addressOf = (key: string): string => `https://footers.eventpile.invalid/${key}`;

export function cachedFooters(cache: ResponseCache): FooterStore {
  return {
    async get(key) {
      try {
        const found = await cache.match(addressOf(key));
        return found ? new Uint8Array(await found.arrayBuffer()) : null;
      } catch {
        return null;
      }
    },
    async put(key, bytes) {
      try {
        const headers = { "cache-control": `public, max-age=${KEPT_S}`, "content-length": String(bytes.length) };
        await cache.put(addressOf(key), new Response(bytes.slice(), { headers }));
      } catch (error) {
        console.warn("footer not cached", error);
      }
    },
  };
}
