/** A version, or a document, tried against what the log has recorded: call by call, for as long as nobody stops it. */
import type { Result } from "../../../r2-layout/result.ts";
import { ok } from "../../../r2-layout/result.ts";
import { addTrial, type TrialJson, type TrialSum } from "../../trial-json.ts";
import { request } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";

export interface TrialRequest {
  readonly event: string;
  /** A registered version, or else a whole contract. */
  readonly what: { readonly version: number } | { readonly document: unknown };
  readonly hours: number;
  /** Null: all. */
  readonly source: string | null;
}

/** @param told after each call, with the sum so far. @throws AbortError where it was stopped */
export async function tryContract(
  { event, what, hours, source }: TrialRequest,
  signal: AbortSignal,
  told: (sum: TrialSum) => void,
): Promise<Result<null, Problem>> {
  let sum: TrialSum | null = null;
  let cursor: string | null = null;
  do {
    const body: Readonly<Record<string, unknown>> = {
      ...what,
      hours,
      ...(source !== null && { source }),
      ...(cursor !== null && { cursor }),
    };
    const answer: Result<TrialJson, Problem> = await request<TrialJson>(
      `/v1/contracts/${encodeURIComponent(event)}/trials`,
      { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal },
    );
    if (!answer.ok) return answer;
    sum = addTrial(sum, answer.value);
    cursor = answer.value.next;
    told(sum);
  } while (cursor !== null);
  return ok(null);
}
