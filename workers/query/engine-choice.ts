/**
 * Which of the K engine objects runs a statement. This isolate knows how many statements it has under way at each; the
 * least burdened one is chosen, and among equals the one the statement's text hashes to, so that the same question
 * finds its pages where it left them. Other isolates choose by their own counts; an engine that is full says so and
 * the next one is asked.
 */

export class EngineChoice {
  readonly #inFlight: number[];

  constructor(engines: number) {
    this.#inFlight = new Array<number>(engines).fill(0);
  }

  /** Engines in the order in which to ask them. */
  order(text: string): number[] {
    const engines = this.#inFlight.length;
    const home = hash(text) % engines;
    const distance = (engine: number) => (engine - home + engines) % engines;
    return this.#inFlight
      .map((_, engine) => engine)
      .sort((a, b) => this.#inFlight[a]! - this.#inFlight[b]! || distance(a) - distance(b));
  }

  async during<T>(engine: number, work: () => Promise<T>): Promise<T> {
    this.#inFlight[engine]!++;
    try {
      return await work();
    } finally {
      this.#inFlight[engine]!--;
    }
  }
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
