/**
 * Sums by name, at most `capacity` names. Which names are kept must not depend on the order of the log, or a rebuild
 * would give other figures; so it is a fixed order of the names: the shortest first, then by text. (Names that are made
 * up at run time, `viewed /product/123`, are mostly longer than those that were chosen.) As names only ever leave for
 * better ones, a name that is kept was kept from its first event on: its sum is exact. The rest is one sum, `(other)`.
 */
export const OTHER = "(other)";

export interface EncodedCounts {
  readonly sums: readonly (readonly [name: string, sum: string])[];
  readonly other: string;
}

export function compareNames(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

export class BoundedCounts {
  readonly #capacity: number;
  readonly #sums: Map<string, bigint>;
  #other: bigint;

  constructor(capacity: number, encoded: EncodedCounts = { sums: [], other: "0" }) {
    this.#capacity = capacity;
    this.#sums = new Map(encoded.sums.map(([name, sum]) => [name, BigInt(sum)]));
    this.#other = BigInt(encoded.other);
  }

  add(name: string, amount: bigint): void {
    const before = this.#sums.get(name);
    this.#sums.set(name, (before ?? 0n) + amount);
    if (before === undefined && this.#sums.size > this.#capacity) this.#cut();
  }

  /** Takes back what `add` added. A name that was cut is in the rest, and its amount is taken from there. */
  subtract(name: string, amount: bigint): void {
    const before = this.#sums.get(name);
    if (before === undefined) this.#other -= amount;
    else if (before === amount) this.#sums.delete(name);
    else this.#sums.set(name, before - amount);
  }

  /** Largest first; `(other)` last, where names were cut. */
  entries(): [name: string, sum: bigint][] {
    const named = [...this.#sums].sort(([a, x], [b, y]) => (y > x ? 1 : y < x ? -1 : compareNames(a, b)));
    return this.#other === 0n ? named : [...named.filter(([name]) => name !== OTHER), [OTHER, this.#rest()]];
  }

  encode(): EncodedCounts {
    return { sums: [...this.#sums].map(([name, sum]) => [name, String(sum)]), other: String(this.#other) };
  }

  #cut(): void {
    const last = [...this.#sums.keys()].reduce((a, b) => (compareNames(a, b) > 0 ? a : b));
    this.#other += this.#sums.get(last)!;
    this.#sums.delete(last);
  }

  /** A sender may use the name `(other)` too. */
  #rest(): bigint {
    return this.#other + (this.#sums.get(OTHER) ?? 0n);
  }
}
