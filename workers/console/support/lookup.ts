/** What `GET /v1/lookup` answers. */

export type Match = SubjectMatch | EventMatch;

export interface SubjectMatch {
  readonly kind: "user" | "device";
  readonly id: string;
  readonly by: "user_id" | "anonymous_id" | "email";
  readonly events: number;
  readonly first_seen: string | null;
  readonly last_seen: string | null;
  readonly email?: string;
  readonly users?: number;
}

export interface EventMatch {
  readonly kind: "event";
  readonly event_id: string;
  readonly event_name: string;
  readonly event_time: string;
  readonly user_id: string | null;
  readonly anonymous_id: string | null;
  readonly source: string;
  readonly quarantined: boolean;
}

export interface LookupAnswer {
  readonly q: string;
  readonly matches: readonly Match[];
  readonly more?: true;
  readonly taken_at?: string;
}

export const lookupPath = (text: string): string => `/v1/lookup?${new URLSearchParams({ q: text })}`;
/** @param days how far back by receipt, where no dedup window knows the id */
export function eventLookupPath(text: string, days: number | null, nowMs: number): string {
  const from: Record<string, string> = days === null ? {} : { from: new Date(nowMs - days * 86_400_000).toISOString() };
  return `/v1/lookup?${new URLSearchParams({ q: text, kind: "event", ...from })}`;
}
