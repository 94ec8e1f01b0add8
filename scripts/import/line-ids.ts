/**
 * Ids that are the same whenever a file is imported: from a line's bytes and from how many equal lines of the file came
 * before it, so that equal lines are separate events and importing twice adds none.
 */
import { createHash } from "node:crypto";

/** Lines in each of two generations: equal lines share their second, so they stand near each other. About 60 MB. */
const GENERATION = 250_000;

export class LineIds {
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  readonly #generation: number;

  /** Counts at least the newest `generation` distinct lines; equal lines further apart than that would share an id. */
  constructor(generation: number = GENERATION) {
    this.#generation = generation;
  }

  next(line: Uint8Array): string {
    const content = createHash("sha256").update(line).digest("base64url");
    const occurrence = (this.#young.get(content) ?? this.#old.get(content) ?? 0) + 1;
    if (this.#young.size >= this.#generation && !this.#young.has(content)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(content, occurrence);
    return `log-${content}-${occurrence}`;
  }
}
