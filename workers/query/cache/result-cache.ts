/**
 * Answers of a moment ago, in the memory of an isolate: bounded, the one that was asked for longest ago goes first, and
 * none is kept for long, because rows may have been erased since and a copy is a copy.
 */
import { SQL } from "../../../r2-layout/limits.ts";
import type { WholeResult } from "../results/whole-result.ts";

export interface CachedResult {
  readonly result: WholeResult;
  /** Milliseconds, when the files it was made of were last known to be those to read. */
  plannedAt: number;
  /** Milliseconds, when it was made. */
  readonly madeAt: number;
}

export class ResultCache {
  /** By fingerprint, longest unused first. */
  readonly #results = new Map<string, CachedResult>();
  /** By question: the fingerprint of its last answer. */
  readonly #latest = new Map<string, string>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** @param plannedAt when the plan was made that the fingerprint is of. */
  find(key: string, plannedAt: number, now: number): CachedResult | null {
    const found = this.#live(key, now);
    if (found) found.plannedAt = Math.max(found.plannedAt, plannedAt);
    return found;
  }

  /** The question's last answer, of a plan no older than `since`. */
  findRecent(question: string, since: number, now: number): CachedResult | null {
    const key = this.#latest.get(question);
    const found = key === undefined ? null : this.#live(key, now);
    return found && found.plannedAt >= since ? found : null;
  }

  add(key: string, question: string | undefined, result: WholeResult, plannedAt: number, now: number): void {
    this.#drop(key);
    if (result.bytes > SQL.cachedResultBytes) return;
    this.#results.set(key, { result, plannedAt, madeAt: now });
    this.#bytes += result.bytes;
    for (const oldest of this.#results.keys()) {
      if (this.#bytes <= SQL.cacheBytes && this.#results.size <= SQL.cachedResults) break;
      this.#drop(oldest);
    }
    if (question !== undefined) this.noteQuestion(question, key);
  }

  noteQuestion(question: string, key: string): void {
    this.#latest.delete(question);
    this.#latest.set(question, key);
    if (this.#latest.size > SQL.cachedResults) this.#latest.delete(this.#latest.keys().next().value!);
  }

  clear(): void {
    this.#results.clear();
    this.#latest.clear();
    this.#bytes = 0;
  }

  #live(key: string, now: number): CachedResult | null {
    const found = this.#results.get(key);
    if (!found) return null;
    if (now - found.madeAt > SQL.cachedMs) {
      this.#drop(key);
      return null;
    }
    this.#results.delete(key);
    this.#results.set(key, found);
    return found;
  }

  #drop(key: string): void {
    const found = this.#results.get(key);
    if (!found) return;
    this.#results.delete(key);
    this.#bytes -= found.result.bytes;
  }
}
