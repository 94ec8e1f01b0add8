/**
 * Names of statements that were cancelled before they came: their planning was under way. Kept for a moment, because the
 * same name may be used again, and a few only, because anybody may cancel what never comes.
 */
import { SQL } from "../../../r2-layout/limits.ts";

export class EarlyCancels {
  /** When each was cancelled, in milliseconds, oldest first. */
  readonly #at = new Map<string, number>();

  add(id: string, nowMs: number): void {
    this.#at.delete(id);
    this.#at.set(id, nowMs);
    for (const [oldest, at] of this.#at) {
      if (this.#at.size <= SQL.earlyCancels && nowMs - at <= SQL.earlyCancelMs) return;
      this.#at.delete(oldest);
    }
  }

  /** @returns whether it was cancelled before it came; asked once, it is forgotten. */
  take(id: string, nowMs: number): boolean {
    const at = this.#at.get(id);
    this.#at.delete(id);
    return at !== undefined && nowMs - at <= SQL.earlyCancelMs;
  }
}
