/** Bytes kept at hand under a name, the newest of them, within a bound. */
export class BoundedCache<Value extends { readonly byteLength: number }> {
  readonly #maxBytes: number;
  readonly #values = new Map<string, Value>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get(name: string): Value | undefined {
    return this.#values.get(name);
  }

  /** Lets the oldest go until all fit; a value that is larger than the bound is not kept. @returns the value. */
  keep(name: string, value: Value): Value {
    this.#bytes += value.byteLength - (this.#values.get(name)?.byteLength ?? 0);
    this.#values.delete(name);
    this.#values.set(name, value);
    for (const [oldest, { byteLength }] of this.#values) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#values.delete(oldest);
      this.#bytes -= byteLength;
    }
    return value;
  }
}
