/** An R2 bucket: whole objects under keys, strongly consistent. What code here uses of it, shown by the contract suite. */
import type { Network } from "./network.ts";
import type { Departs } from "./objects.ts";
import type { Process } from "./scheduler.ts";

export interface StoredObject {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly etag: string;
  /** Milliseconds. */
  readonly uploaded: number;
  readonly customMetadata: Readonly<Record<string, string>>;
  readonly httpMetadata: Readonly<Record<string, unknown>>;
}

type Body = string | ArrayBuffer | ArrayBufferView | null;
type Condition = { readonly etagMatches?: string; readonly etagDoesNotMatch?: string };
type Range = { readonly offset?: number; readonly length?: number; readonly suffix?: number };
interface ListOptions {
  readonly prefix?: string;
  readonly cursor?: string;
  readonly startAfter?: string;
  readonly limit?: number;
  readonly include?: readonly string[];
}

const KEYS_PER_LIST = 1_000;

export class SimulatedBucket {
  /** By key. */
  readonly objects = new Map<string, StoredObject>();
  /** Told after each put: damage is done here. */
  onPut: ((key: string) => void) | null = null;
  /** By process: the key that it got last. */
  readonly lastRead = new Map<string, string>();
  readonly #network: Network;
  #etags = 0;

  constructor(network: Network) {
    this.#network = network;
  }

  /** The binding, for one process. */
  binding(from: Process, departs?: Departs): object {
    const call = <T>(method: string, key: string, effect: () => T) =>
      this.#network.call(from, target(method, key), effect, departs);
    return {
      put: (key: string, body: Body, options: PutOptions = {}) =>
        // Not before it arrives: what becomes of the buffer until then is stored, as by the real one.
        call("put", key, () => this.put(key, bytesOf(body), options)),
      get: async (key: string, options: { range?: Range; onlyIf?: Condition } = {}) => {
        const found = await call("get", key, () => this.objects.get(key) ?? null);
        if (!found) return null;
        this.lastRead.set(from.name, key);
        if (options.onlyIf && !meets(found, options.onlyIf)) return headOf(found);
        const { bytes, range } = cut(found.bytes, options.range);
        const read = async () => call("read", key, () => bytes);
        return {
          ...headOf(found),
          ...(range && { range }),
          arrayBuffer: async () => (await read()).slice().buffer,
          bytes: async () => (await read()).slice(),
          text: async () => new TextDecoder().decode(await read()),
          json: async () => JSON.parse(new TextDecoder().decode(await read())),
        };
      },
      head: async (key: string) => {
        const found = await call("head", key, () => this.objects.get(key) ?? null);
        return found && headOf(found);
      },
      list: (options: ListOptions = {}) => call("list", options.prefix ?? "", () => this.list(options)),
      delete: (keys: string | readonly string[]) => {
        const all = typeof keys === "string" ? [keys] : [...keys];
        return call("delete", all[0] ?? "", () => {
          for (const key of all) this.objects.delete(key);
        });
      },
    };
  }

  /** @returns null where the condition is not met: then nothing is written. */
  put(key: string, bytes: Uint8Array, options: PutOptions) {
    const present = this.objects.get(key);
    if (options.onlyIf && !meets(present, options.onlyIf)) return null;
    const stored: StoredObject = {
      key,
      bytes,
      etag: (++this.#etags).toString(16).padStart(32, "0"),
      uploaded: Math.floor(this.#network.scheduler.now),
      customMetadata: { ...options.customMetadata },
      httpMetadata: { ...options.httpMetadata },
    };
    this.objects.set(key, stored);
    this.onPut?.(key);
    return headOf(stored);
  }

  list({ prefix = "", cursor, startAfter, limit = KEYS_PER_LIST, include = [] }: ListOptions) {
    const after = cursor ?? startAfter ?? "";
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const page = keys.slice(0, Math.min(limit, KEYS_PER_LIST));
    const truncated = keys.length > page.length;
    return {
      objects: page.map((key) => {
        const { customMetadata, httpMetadata, ...head } = headOf(this.objects.get(key)!);
        return {
          ...head,
          ...(include.includes("customMetadata") && { customMetadata }),
          ...(include.includes("httpMetadata") && { httpMetadata }),
        };
      }),
      truncated,
      ...(truncated && { cursor: page.at(-1)! }),
      delimitedPrefixes: [],
    };
  }
}

interface PutOptions {
  readonly onlyIf?: Condition;
  readonly customMetadata?: Readonly<Record<string, string>>;
  readonly httpMetadata?: Readonly<Record<string, unknown>>;
}

/** Named by what lies there, for the table of faults: `R2.put lake`. */
const target = (method: string, key: string) => ({
  name: `R2.${method} ${key.slice(0, Math.max(0, key.indexOf("/"))) || "-"}`,
  failure: () => new Error(`${method}: We encountered an internal error. Please try again. (10001)`),
});

const headOf = ({ key, bytes, etag, uploaded, customMetadata, httpMetadata }: StoredObject) => ({
  key,
  size: bytes.byteLength,
  etag,
  httpEtag: `"${etag}"`,
  uploaded: new Date(uploaded),
  customMetadata,
  httpMetadata,
});

function meets(present: StoredObject | undefined, { etagMatches, etagDoesNotMatch }: Condition): boolean {
  if (etagMatches !== undefined && present?.etag !== etagMatches) return false;
  if (etagDoesNotMatch === undefined) return true;
  return etagDoesNotMatch === "*" ? present === undefined : present?.etag !== etagDoesNotMatch;
}

function cut(bytes: Uint8Array, range: Range | undefined): { bytes: Uint8Array; range?: Range } {
  if (!range) return { bytes };
  const size = bytes.byteLength;
  const offset = range.suffix === undefined ? (range.offset ?? 0) : Math.max(0, size - range.suffix);
  if (offset >= size) throw new Error("get: The requested range is not satisfiable (10039)");
  const end = range.length === undefined ? size : Math.min(size, offset + range.length);
  return { bytes: bytes.subarray(offset, end), range: { offset, length: end - offset } };
}

function bytesOf(body: Body): Uint8Array {
  if (body === null) return new Uint8Array(0);
  if (typeof body === "string") return new TextEncoder().encode(body);
  if (body instanceof ArrayBuffer) return new Uint8Array(body.slice(0));
  return new Uint8Array(body.buffer as ArrayBuffer, body.byteOffset, body.byteLength).slice();
}
