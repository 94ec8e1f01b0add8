/** What the edge tells of events that broke their contract, and what it is asked. */
import type { Result } from "../../../r2-layout/result.ts";
import { ok } from "../../../r2-layout/result.ts";
import { request } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";

interface Place {
  /** ISO 8601. */
  readonly at: string;
  readonly shard: number;
  readonly seq: number;
}

export interface CauseJson {
  readonly event: string;
  readonly field: string | null;
  readonly expected: string | null;
  readonly source: string;
  readonly app_version: string | null;
  readonly contract_version: number | null;
  readonly events: number;
  readonly first: Place;
  readonly last: Place;
}

export interface SampleJson {
  readonly event_id: string;
  readonly received_at: string;
  readonly actual: string | null;
  readonly shard: number;
  readonly seq: number;
  readonly raw: string;
}

export interface SamplesJson {
  readonly events: number;
  readonly in_events: number;
  readonly samples: readonly SampleJson[];
  readonly contract: { readonly version: number; readonly document: Readonly<Record<string, unknown>> } | null;
  readonly versions: readonly number[];
}

interface FailureGroup {
  readonly source: string;
  readonly app_version: string | null;
  readonly field: string | null;
  readonly expected: string | null;
  readonly events: number;
}

interface RedriveJson {
  readonly looked_at: number;
  readonly released: number;
  readonly released_before: number;
  readonly sent_again: number;
  readonly still_refused: { readonly events: number; readonly groups: readonly FailureGroup[] };
  readonly unreadable: readonly unknown[];
  readonly next: string | null;
}

/** Summed over as many calls as it takes. */
export interface RedriveSum {
  readonly lookedAt: number;
  readonly released: number;
  readonly releasedBefore: number;
  readonly sentAgain: number;
  readonly refused: number;
  /** The first reasons that were met. */
  readonly reasons: readonly FailureGroup[];
  readonly unreadable: number;
}

const REASONS = 5;
const PARTS = ["event", "field", "expected", "source", "app_version", "contract_version"] as const;

/** What names the cause in a request. */
export const partsOf = (cause: CauseJson): Record<string, string | number> =>
  Object.fromEntries(PARTS.flatMap((part) => (cause[part] === null ? [] : [[part, cause[part]]])));

export const keyOf = (cause: CauseJson): string => JSON.stringify(partsOf(cause));

export const samplesPath = (cause: CauseJson): string =>
  `/v1/violations/samples?${new URLSearchParams(Object.entries(partsOf(cause)).map(([name, value]) => [name, String(value)]))}`;

export interface Fix {
  readonly version: number | null;
  readonly mapping: unknown;
}

/** @param told after each call, with the sum so far */
export async function redrive(
  cause: CauseJson,
  { version, mapping }: Fix,
  only: "try" | "release",
  told: (sum: RedriveSum) => void,
): Promise<Result<RedriveSum, Problem>> {
  let sum: RedriveSum = {
    ...{ lookedAt: 0, released: 0, releasedBefore: 0, sentAgain: 0, refused: 0, unreadable: 0 },
    reasons: [],
  };
  let cursor: string | null = null;
  do {
    const body: Readonly<Record<string, unknown>> = {
      ...partsOf(cause),
      ...(version !== null && { version }),
      mapping,
      try: only === "try",
      ...(cursor !== null && { cursor }),
    };
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const answer: Result<RedriveJson, Problem> = await request<RedriveJson>("/v1/violations/redrive", init);
    if (!answer.ok) return answer;
    const { value } = answer;
    sum = {
      lookedAt: sum.lookedAt + value.looked_at,
      released: sum.released + value.released,
      releasedBefore: sum.releasedBefore + value.released_before,
      sentAgain: sum.sentAgain + value.sent_again,
      refused: sum.refused + value.still_refused.events,
      unreadable: sum.unreadable + value.unreadable.length,
      reasons: [...sum.reasons, ...value.still_refused.groups].slice(0, REASONS),
    };
    told(sum);
    cursor = value.next;
  } while (cursor !== null);
  return ok(sum);
}
