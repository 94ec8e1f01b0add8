/** What one call of a trial answers (POST /v1/contracts/{event}/trials), and what whoever asks adds up: the page and `npm run contracts`. */

export interface FailureGroupJson {
  readonly source: string;
  readonly app_version: string | null;
  readonly field: string | null;
  readonly expected: string | null;
  readonly events: number;
}

export interface TrialSampleJson {
  readonly event_id: string;
  readonly source: string;
  readonly app_version: string | null;
  readonly field: string | null;
  readonly expected: string | null;
  readonly actual: string | null;
  readonly shard: number;
  readonly seq: number;
}

export interface TrialJson {
  readonly event_name: string;
  readonly version: number;
  /** ISO 8601: received in. */
  readonly from: string;
  readonly to: string;
  readonly events: number;
  readonly sources: readonly { readonly source: string; readonly events: number }[];
  readonly would_fail: number;
  readonly failures: readonly FailureGroupJson[];
  readonly samples: readonly TrialSampleJson[];
  readonly segments: number;
  readonly unreadable: number;
  /** Goes back as `cursor`; null: it is through. */
  readonly next: string | null;
}

/** Over as many calls as it takes. */
export type TrialSum = Omit<TrialJson, "next">;

const SAMPLES = 10;

export function addTrial(sum: TrialSum | null, { next: _, ...answer }: TrialJson): TrialSum {
  if (!sum) return answer;
  return {
    ...answer,
    events: sum.events + answer.events,
    would_fail: sum.would_fail + answer.would_fail,
    segments: sum.segments + answer.segments,
    unreadable: sum.unreadable + answer.unreadable,
    sources: grouped([...sum.sources, ...answer.sources]),
    failures: grouped([...sum.failures, ...answer.failures]),
    samples: [...sum.samples, ...answer.samples].slice(0, SAMPLES),
  };
}

/** Those that are alike but for their events as one, the most frequent first. */
function grouped<G extends { readonly events: number }>(groups: readonly G[]): G[] {
  const sums = new Map<string, G>();
  for (const group of groups) {
    const { events, ...rest } = group;
    const key = JSON.stringify(Object.entries(rest).sort());
    sums.set(key, { ...group, events: events + (sums.get(key)?.events ?? 0) });
  }
  return [...sums.values()].sort((a, b) => b.events - a.events);
}
