/** Counts of failures, told apart by what fails where; the most of them are few kinds. */
import { VIOLATIONS } from "../../../r2-layout/limits.ts";
import type { QuarantineMark } from "../../../r2-layout/log-line.ts";

export interface FailureGroup {
  readonly source: string;
  readonly app_version: string | null;
  readonly field: string | null;
  readonly expected: string | null;
  readonly events: number;
}

export class FailureTally {
  readonly #groups = new Map<string, FailureGroup>();
  /** Events of groups beyond those that are told apart. */
  untold = 0;
  events = 0;

  add(row: { readonly source: string; readonly app_version?: string | null | undefined }, mark: QuarantineMark): void {
    this.events++;
    const group = {
      source: row.source,
      app_version: row.app_version ?? null,
      field: mark.field ?? null,
      expected: mark.expected ?? null,
    };
    const key = JSON.stringify(group);
    const known = this.#groups.get(key);
    if (!known && this.#groups.size >= VIOLATIONS.groupsTold) this.untold++;
    else this.#groups.set(key, { ...group, events: (known?.events ?? 0) + 1 });
  }

  /** The most frequent first. */
  get groups(): FailureGroup[] {
    return [...this.#groups.values()].toSorted((a, b) => b.events - a.events);
  }
}
