/** A bounded list that this browser keeps, newest first, the same in all its windows. */
import { useEffect, useState } from "preact/hooks";

/** The part of localStorage that is used. It throws where the browser blocks or fills it. */
export type TextStore = Pick<Storage, "getItem" | "setItem">;

export interface StoredListOptions<Item> {
  readonly key: string;
  /** What was stored by a page of last year may look otherwise. @returns null for what is no item. */
  readonly parse: (value: unknown) => Item | null;
  /** Two items with the same identity are one. */
  readonly identity: (item: Item) => string;
  readonly itemsMax: number;
  /** Of the JSON; browsers give a page some five million. */
  readonly charsMax: number;
}

export class StoredList<Item> {
  readonly #options: StoredListOptions<Item>;
  readonly #store: () => TextStore;
  readonly #listeners = new Set<() => void>();
  /** Of a browser that keeps nothing: as long as the page lives. */
  #unkept: readonly Item[] = [];

  constructor(options: StoredListOptions<Item>, store: () => TextStore = () => localStorage) {
    this.#options = options;
    this.#store = store;
  }

  read(): readonly Item[] {
    let stored: unknown;
    try {
      const text = this.#store().getItem(this.#options.key);
      if (text === null) return this.#unkept;
      stored = JSON.parse(text);
    } catch {
      return this.#unkept;
    }
    if (!Array.isArray(stored)) return [];
    return stored.map(this.#options.parse).filter((item) => item !== null);
  }

  /** Puts it in front; an item with the same identity gives way, and the oldest go where there are too many. */
  put(item: Item): void {
    this.#write([item, ...this.#without(this.#options.identity(item))]);
  }

  remove(identity: string): void {
    this.#write(this.#without(identity));
  }

  clear(): void {
    this.#write([]);
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #without(identity: string): Item[] {
    return this.read().filter((item) => this.#options.identity(item) !== identity);
  }

  #write(items: readonly Item[]): void {
    const kept: Item[] = [];
    let chars = 2;
    for (const item of items.slice(0, this.#options.itemsMax)) {
      chars += JSON.stringify(item).length + 1;
      if (chars > this.#options.charsMax) break;
      kept.push(item);
    }
    try {
      this.#store().setItem(this.#options.key, JSON.stringify(kept));
      this.#unkept = [];
    } catch {
      this.#unkept = kept;
    }
    for (const listener of this.#listeners) listener();
  }
}

export function useStoredList<Item>(list: StoredList<Item>): readonly Item[] {
  const [items, setItems] = useState(() => list.read());
  useEffect(() => {
    const look = () => setItems(list.read());
    const leave = list.subscribe(look);
    // Fires for other windows' writes.
    addEventListener("storage", look);
    return () => {
      leave();
      removeEventListener("storage", look);
    };
  }, [list]);
  return items;
}
