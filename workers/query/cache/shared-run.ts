/**
 * One run that several askers of the same answer wait for, within one object, whose promises they may share. The run is
 * nobody's own: it is cancelled when the last of them has gone, and each of them gets an answer of its own.
 *
 *     first   join ─────────────── gone
 *     run         ────────────────────────── whole
 *     second        join ──────────────────── its answer
 */
import type { RunningStatement } from "../engine/running-statement.ts";
import type { QueryProblem } from "../problem.ts";
import type { WholeResult } from "../results/whole-result.ts";

/** `alone`: what came of it is of no use to others (sent while made, no turn at the engine, a file gone); each runs itself. */
export type Outcome =
  | { readonly kind: "whole"; readonly result: WholeResult }
  | { readonly kind: "problem"; readonly problem: QueryProblem }
  | { readonly kind: "alone" };

export class SharedRun {
  readonly running: RunningStatement;
  readonly outcome: Promise<Outcome>;
  readonly #settle: (outcome: Outcome) => void;
  readonly #leave = new Map<string, () => void>();

  constructor(running: RunningStatement) {
    this.running = running;
    const settled = Promise.withResolvers<Outcome>();
    this.outcome = settled.promise;
    this.#settle = settled.resolve;
  }

  settle(outcome: Outcome): void {
    this.#settle(outcome);
  }

  /** @returns a promise that resolves once this asker has gone. */
  join(id: string): Promise<void> {
    const left = Promise.withResolvers<void>();
    this.#leave.set(id, left.resolve);
    return left.promise;
  }

  /** This asker has gone. */
  leave(id: string): void {
    const left = this.#leave.get(id);
    if (!left) return;
    this.#leave.delete(id);
    if (this.#leave.size === 0) this.running.cancelled = true;
    left();
  }
}
