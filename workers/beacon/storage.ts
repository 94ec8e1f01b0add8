/** Where the beacon remembers: localStorage, else sessionStorage, else this page's memory. No cookies. */

export type Store = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;

/** The first store that really writes: private modes and site settings let one exist that throws. */
export function openStore(candidates: readonly (() => Store)[]): Store {
  for (const open of candidates) {
    try {
      const store = open();
      store.setItem("eventpile", "");
      store.removeItem("eventpile");
      return store;
    } catch {
      // Blocked: the next one.
    }
  }
  return memoryStore();
}

export function memoryStore(): Store {
  const items = new Map<string, string>();
  return {
    get length() {
      return items.size;
    },
    key: (index) => [...items.keys()][index] ?? null,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}

/** A full store loses what does not fit, never the page's own call. @returns whether it was written. */
export function tryWrite(store: Store, key: string, value: string): boolean {
  try {
    store.setItem(key, value);
    return true;
  } catch {
    return false;
  }
}
