/**
 * What is known of events that a timeline no longer keeps: the state that they alone make, in a row of its own, written
 * only when some expire. All that a subject's state holds can be joined, so the state is that of the past events with
 * the kept ones folded in; that is how it is made anew when kept events are changed, without loss for the others.
 *
 * A timeline that let events go before this row was kept knows less of them than there were (`events` tells); there only
 * sums can be taken back.
 */
import type { Subject } from "./api.ts";
import { hasTable } from "./chunk-store.ts";
import type { Position } from "./event-order.ts";
import { comparePositions } from "./event-order.ts";
import type { FeaturePlan } from "./feature-plan.ts";
import type { EncodedState } from "./subject-state.ts";
import { SubjectState } from "./subject-state.ts";
import type { Entry } from "./timeline-entry.ts";
import type { ErasedSubjects } from "./without-subjects.ts";

/** The row of the table `head` that holds it; the head itself is 0. */
const ROW = 1;

type EncodedPast = EncodedState & {
  /** Events received before this time (microseconds) may be gone. */
  readonly receivedBefore: number;
  /** Events up to this position may be gone; null: none for its place in the order. */
  readonly upTo: Position | null;
};

export class PastEvents {
  readonly #sql: SqlStorage;
  readonly #state: SubjectState;
  #receivedBefore: number;
  #upTo: Position | null;

  constructor(sql: SqlStorage, subject: Subject, plan?: FeaturePlan) {
    this.#sql = sql;
    const rows = hasTable(sql, "head")
      ? sql.exec<{ state: string }>("SELECT state FROM head WHERE id = ?", ROW).toArray()
      : [];
    const encoded = rows[0] && (JSON.parse(rows[0].state) as EncodedPast);
    this.#state = new SubjectState(subject, encoded, plan);
    this.#receivedBefore = encoded?.receivedBefore ?? Number.NEGATIVE_INFINITY;
    this.#upTo = encoded?.upTo ?? null;
    this.#state.settlePastFeatures(this.#upTo?.time ?? null);
  }

  get events(): number {
    return this.#state.events;
  }

  /** Whether events were let go for their number. */
  get cut(): boolean {
    return this.#upTo !== null;
  }

  /** Events up to this position may have been let go for their number; null: none. */
  get upTo(): Position | null {
    return this.#upTo;
  }

  /** Takes in events that are let go, for their age or, oldest first, for their number. */
  add(entries: readonly Entry[], why: "age" | "number"): void {
    for (const { event, position } of entries) {
      this.#state.fold(event, 0);
      if (why === "age") this.#receivedBefore = Math.max(this.#receivedBefore, event.received_at + 1);
      else if (!this.#upTo || comparePositions(position, this.#upTo) > 0) this.#upTo = position;
    }
  }

  save(): void {
    const past: EncodedPast = { ...this.#state.encode(), receivedBefore: this.#receivedBefore, upTo: this.#upTo };
    this.#sql.exec(
      "INSERT INTO head VALUES (?, ?, '') ON CONFLICT (id) DO UPDATE SET state = excluded.state",
      ROW,
      JSON.stringify(past),
    );
  }

  /** Whether an event that is not kept may be one that was let go. Unknown times may. */
  mayHold(position: Position | null, receivedAt: number | undefined): boolean {
    if (!position || receivedAt === undefined) return true;
    return receivedAt < this.#receivedBefore || (this.#upTo !== null && comparePositions(position, this.#upTo) <= 0);
  }

  /** Begins the features of a state anew, to fold the kept events into. */
  beginFeatures(now: SubjectState): void {
    now.beginFeatures(this.#state);
  }

  /** A state of its own, to fold the kept events into. @param now what the subject's state has beside its events */
  begin(now: SubjectState): SubjectState {
    return now.withFigures(this.#state);
  }
}

/** Takes erased subjects out of what is known of past events. @returns how many traces there were; with `isWritten` they are gone */
export function scrubPast(sql: SqlStorage, erased: ErasedSubjects, isWritten: boolean): number {
  if (!hasTable(sql, "head")) return 0;
  const [row] = sql.exec<{ state: string }>("SELECT state FROM head WHERE id = ?", ROW).toArray();
  if (!row) return 0;
  const { state, traces } = erased.without(JSON.parse(row.state) as EncodedPast);
  if (isWritten && traces > 0) sql.exec("UPDATE head SET state = ? WHERE id = ?", JSON.stringify(state), ROW);
  return traces;
}
