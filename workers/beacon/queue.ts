/**
 * Events waiting to be sent, oldest first, bounded in bytes: the oldest go when it is full. What may outlive the
 * page is saved under a key of this page's own, because two pages that share one would overwrite each other. A page
 * takes over the keys of pages that are gone: released at `pagehide`, or not written for a while (crashed). Should
 * that page live after all, both send the same event ids, and the server counts them once.
 */
import { type Store, tryWrite } from "./storage.ts";

export const QUEUE_BYTES = 256 * 1024;
export const ABANDONED_AFTER_MS = 90_000;
const PREFIX = "eventpile.queue.";

/** One event as it will be sent, and its size in UTF-8 bytes. */
export interface Entry {
  readonly json: string;
  readonly bytes: number;
  /** It has been in a request whose end is not known or was a failure. */
  tried?: boolean;
}

export interface Queue {
  readonly entries: readonly Entry[];
  add(json: string): void;
  /** The oldest entries that fit, at least one where there is one. */
  head(countMax: number, bytesMax: number, from?: readonly Entry[]): Entry[];
  remove(entries: readonly Entry[]): void;
  /** Writes what waits to the store. `released`: this page is going, the next may take it at once. */
  save(released?: boolean): void;
  /** Takes over what pages that are gone have left. */
  adopt(): void;
}

export function createQueue(store: Store, now: () => number, pageId: string, bytesMax = QUEUE_BYTES): Queue {
  const key = PREFIX + pageId;
  const size = new TextEncoder();
  let entries: Entry[] = [];
  let saved = false;

  const trim = () => {
    let bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    while (bytes > bytesMax) bytes -= entries.shift()!.bytes;
  };
  const entry = (json: string, tried?: boolean): Entry => ({ json, bytes: size.encode(json).length, tried });

  return {
    get entries() {
      return entries;
    },
    add(json) {
      entries.push(entry(json));
      trim();
    },
    head(countMax, headBytesMax, from = entries) {
      let bytes = 0;
      return from.slice(0, countMax).filter((entry, index) => {
        bytes += entry.bytes + 1;
        return !index || bytes <= headBytesMax;
      });
    },
    remove(sent) {
      entries = entries.filter((entry) => !sent.includes(entry));
      // Without this the next page would send again what has just been accepted.
      if (saved) this.save();
    },
    save(released) {
      saved = !!entries.length;
      if (!saved) return store.removeItem(key);
      // A store that is full keeps the newer half.
      for (let list = entries.map((entry) => entry.json); list.length; list = list.slice(Math.ceil(list.length / 2))) {
        if (tryWrite(store, key, JSON.stringify([released ? 0 : now(), list]))) break;
      }
    },
    adopt() {
      for (let index = store.length; index--; ) {
        const other = store.key(index);
        if (!other?.startsWith(PREFIX) || other === key) continue;
        try {
          const [savedAt, list] = JSON.parse(store.getItem(other)!) as [number, string[]];
          if (now() - savedAt < ABANDONED_AFTER_MS) continue;
          entries = [...list.map((json) => entry(json, true)), ...entries];
        } catch {
          // Not ours, or cut short: nothing to save.
        }
        store.removeItem(other);
      }
      trim();
    },
  };
}
