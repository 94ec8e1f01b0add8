/**
 * Which of the K engine objects runs a statement. One that was asked the same question before may have its answer, or be
 * making it. Else this isolate knows how many statements it has under way at each; the least burdened one is chosen, and
 * among equals the one the question hashes to, so that it finds its pages where it left them. Other isolates choose by
 * their own counts; an engine that is full says so and the next one is asked.
 */

export class EngineChoice {
  readonly #inFlight: number[];
  /** Where questions went, longest ago first. */
  readonly #places = new Map<string, number>();

  constructor(engines: number) {
    this.#inFlight = new Array<number>(engines).fill(0);
  }

  /** Engines in the order in which to ask them. */
  order(text: string): number[] {
    const place = this.#places.get(text) ?? -1;
    const engines = this.#inFlight.length;
    const home = hash(text) % engines;
    const distance = (engine: number) => (engine - home + engines) % engines;
    return this.#inFlight
      .map((_, engine) => engine)
      .sort(
        (a, b) =>
          Number(b === place) - Number(a === place) ||
          this.#inFlight[a]! - this.#inFlight[b]! ||
          distance(a) - distance(b),
      );
  }

  /** @param question remembered, where its answer may be of use to others. */
  async during<T>(engine: number, work: () => Promise<T>, question?: string): Promise<T> {
    if (question !== undefined) {
      this.#places.delete(question);
      this.#places.set(question, engine);
      if (this.#places.size > PLACES) this.#places.delete(this.#places.keys().next().value!);
    }
    this.#inFlight[engine]!++;
    try {
      return await work();
    } finally {
      this.#inFlight[engine]!--;
    }
  }
}

const PLACES = 1_000;

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
