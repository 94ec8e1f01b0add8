/** What the page has seen of the last minutes: the ingest rate and each sink's lag, for lines and for a calm figure. Pure. */
import type { SinkName } from "../../../durable-objects/sink-cursor/api.ts";
import type { OperationsJson } from "../../operations-json.ts";

export interface Sample {
  /** Milliseconds, by the server's clock. */
  readonly at: number;
  readonly accepted: number;
  readonly waiting: number;
  readonly lag: Readonly<Record<SinkName, number>>;
}

/** Five minutes of a question every two seconds. */
const SAMPLES_KEPT = 150;
/** Requests come in bursts: a rate over less than this jumps. */
const RATE_OVER_MS = 10_000;

/** Another system, or one that began anew, starts a new trail. */
export function withSample(trail: readonly Sample[], operations: OperationsJson): readonly Sample[] {
  const sample: Sample = {
    at: Date.parse(operations.at),
    accepted: operations.ledger.total.accepted,
    waiting: operations.queues.reduce((sum, { messages }) => sum + (messages ?? 0), 0),
    lag: Object.fromEntries(operations.sinks.map(({ sink, lag_seconds }) => [sink, lag_seconds])) as Sample["lag"],
  };
  const last = trail.at(-1);
  if (last && sample.at === last.at) return trail;
  if (last && (sample.accepted < last.accepted || sample.at < last.at)) return [sample];
  return [...trail.slice(1 - SAMPLES_KEPT), sample];
}

/** Events a second up to one of the samples; null before there is a second one to compare with. */
export function rateAt(trail: readonly Sample[], index = trail.length - 1): number | null {
  const to = trail[index];
  if (!to) return null;
  let from = index;
  while (from > 0 && to.at - trail[from]!.at < RATE_OVER_MS) from--;
  const { at, accepted } = trail[from]!;
  return at === to.at ? null : ((to.accepted - accepted) * 1_000) / (to.at - at);
}

export const rates = (trail: readonly Sample[]): number[] =>
  trail.map((_, index) => rateAt(trail, index)).filter((rate) => rate !== null);
