/** As much of a bucket as jobs, records and receipts need, in a Map. */
interface Stored {
  readonly bytes: Uint8Array;
  readonly customMetadata?: Record<string, string>;
}

export class MapBucket {
  readonly objects = new Map<string, Stored>();

  async get(key: string) {
    const stored = this.objects.get(key);
    if (!stored) return null;
    const { bytes, customMetadata } = stored;
    return { ...(customMetadata && { customMetadata }), arrayBuffer: async () => bytes.slice().buffer as ArrayBuffer };
  }

  async put(key: string, body: string | Uint8Array, options: { customMetadata?: Record<string, string> } = {}) {
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body.slice();
    this.objects.set(key, { bytes, ...options });
  }

  async delete(keys: string | string[]) {
    for (const key of [keys].flat()) this.objects.delete(key);
  }

  async list({ prefix, startAfter = "", limit }: { prefix: string; startAfter?: string; limit: number }) {
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > startAfter).sort();
    return { objects: keys.slice(0, limit).map((key) => ({ key })), truncated: keys.length > limit };
  }

  text(key: string): string | null {
    const stored = this.objects.get(key);
    return stored ? new TextDecoder().decode(stored.bytes) : null;
  }
}
