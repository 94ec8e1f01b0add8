/**
 * What a client is told when it is refused: RFC 9457 problem documents. One table gives every reason its status and
 * title. `reason` is also the metric label and the log field, so it stays short and stable; everything else that a
 * rejection carries (the limit that was met, the parameter that is wrong) becomes a member of the document.
 */

import { INGEST } from "../r2-layout/limits.ts";
import { problemDocument } from "./problem-document.ts";

/**
 * `raw` reads the lake's files themselves, through Iceberg; `profile` users' profiles and nothing else of them; `pii` sees the
 * columns that are masked for others.
 */
export type Scope = "support" | "profile" | "sql" | "live" | "raw" | "pii" | "admin";

export type Rejection =
  | { reason: "missing_write_key" }
  | { reason: "unknown_write_key" }
  | { reason: "missing_token" }
  | { reason: "unknown_token" }
  | { reason: "missing_scope"; scope: Scope }
  | { reason: "expired_token" }
  | { reason: "sees_a_part" }
  | { reason: "refused_assertion"; detail: string }
  | { reason: "nothing_granted" }
  | { reason: "cross_site" }
  | { reason: "refused_user_token"; detail: string }
  | { reason: "user_tokens_off" }
  | { reason: "rate_limited"; retry_after_s: number }
  | { reason: "empty_body" }
  | { reason: "body_too_large"; limit_bytes: number }
  | { reason: "body_cut_off" }
  | { reason: "bad_gzip" }
  | { reason: "bad_json"; detail: string }
  | { reason: "json_too_complex"; limit: string }
  | { reason: "too_many_events"; limit: number }
  | { reason: "event_refused"; cause: string; detail: string }
  | { reason: "bad_parameter"; parameter: string; detail: string }
  | { reason: "sink_is_busy"; detail: string; job: string }
  | { reason: "job_refuses"; detail: string; state: string }
  | { reason: "idempotency_mismatch"; job: string }
  | { reason: "too_many_jobs"; limit: number; retry_after_s: number }
  | { reason: "cut_exists" }
  | { reason: "beyond_the_log"; shard: number; oldest_seq: number; oldest_received_at: string | null }
  | { reason: "column_exists"; detail: string }
  | { reason: "too_many_columns"; limit: number }
  | { reason: "too_many_rollups"; limit: number }
  | { reason: "dashboard_changed"; version: number }
  | { reason: "too_many_dashboards"; limit: number }
  | { reason: "not_countable"; detail: string }
  | { reason: "not_searchable"; detail: string }
  | { reason: "still_refused"; cause: string; detail: string }
  | { reason: "statement_too_large"; limit_bytes: number }
  | { reason: "not_a_contract"; path: string; detail: string }
  | { reason: "contract_exists"; detail: string }
  | { reason: "contract_version_gap"; expected: number; detail: string }
  | { reason: "incompatible_contract" }
  | { reason: "too_many_contracts"; limit: number }
  | { reason: "too_many_webhooks"; limit: number }
  | { reason: "not_found" }
  | { reason: "method_not_allowed"; allow: string }
  | { reason: "upgrade_required" }
  | { reason: "too_busy"; retry_after_s: number }
  | { reason: "store_unavailable"; retry_after_s: number }
  | { reason: "upstream_unavailable"; retry_after_s: number }
  | { reason: "misconfigured" }
  | { reason: "internal" };

const PROBLEMS = {
  missing_write_key: { status: 401, title: "A write key is needed" },
  unknown_write_key: { status: 401, title: "This write key is not known" },
  missing_token: { status: 401, title: "A token is needed" },
  unknown_token: { status: 401, title: "This token is not known" },
  missing_scope: { status: 403, title: "This token may not do that" },
  expired_token: { status: 401, title: "This token has expired" },
  sees_a_part: { status: 403, title: "This token sees the rows of some sources only, and this is of all" },
  refused_assertion: { status: 401, title: "The assertion of Cloudflare Access is not accepted" },
  nothing_granted: { status: 403, title: "Cloudflare Access has signed you in, but nothing here is granted to you" },
  cross_site: { status: 403, title: "Another site made this request" },
  refused_user_token: { status: 401, title: "This is no token of a user" },
  user_tokens_off: { status: 404, title: "No key for users' tokens is configured here" },
  rate_limited: { status: 429, title: "This was asked too often" },
  empty_body: { status: 400, title: "The body is empty" },
  body_too_large: { status: 413, title: "The body is too large" },
  body_cut_off: { status: 400, title: "The body ended early" },
  bad_gzip: { status: 400, title: "The body is not whole gzip" },
  bad_json: { status: 400, title: "The body cannot be read" },
  json_too_complex: { status: 413, title: "The body nests too deep or holds too many values" },
  too_many_events: { status: 413, title: "Too many events in one request" },
  event_refused: { status: 422, title: "The event cannot be kept" },
  bad_parameter: { status: 400, title: "A parameter is wrong" },
  sink_is_busy: { status: 409, title: "An open replay has one of these sinks" },
  job_refuses: { status: 409, title: "The job cannot do that in its state" },
  idempotency_mismatch: { status: 409, title: "This Idempotency-Key came with another request" },
  too_many_jobs: { status: 429, title: "Too many jobs are open" },
  cut_exists: { status: 409, title: "There is a cut of this name, and cuts do not change" },
  beyond_the_log: { status: 422, title: "The log does not reach back so far, and the lake is the long record" },
  column_exists: { status: 409, title: "A column of this name is another one" },
  too_many_columns: { status: 422, title: "There are as many columns as there may be" },
  too_many_rollups: { status: 422, title: "There are as many custom rollups as there may be" },
  dashboard_changed: { status: 412, title: "Somebody else has changed this dashboard" },
  too_many_dashboards: { status: 422, title: "There are as many dashboards as there may be" },
  not_countable: { status: 422, title: "What the filter means cannot be counted" },
  not_searchable: { status: 422, title: "That much cannot be searched in one go" },
  still_refused: { status: 422, title: "It would fail again as it is" },
  statement_too_large: { status: 413, title: "The statement is too large" },
  not_a_contract: { status: 422, title: "The document is no contract" },
  contract_exists: { status: 409, title: "There is another contract of this version" },
  contract_version_gap: { status: 409, title: "Versions of a contract follow each other" },
  incompatible_contract: { status: 409, title: "This version would break what was sent or read by those before it" },
  too_many_contracts: { status: 422, title: "There are as many contracts as there may be" },
  too_many_webhooks: { status: 422, title: "There are as many webhooks as there may be" },
  not_found: { status: 404, title: "There is nothing here" },
  method_not_allowed: { status: 405, title: "This method is not for this address" },
  upgrade_required: { status: 426, title: "This address is for websockets" },
  too_busy: { status: 429, title: "More is under way here than can be held" },
  store_unavailable: { status: 503, title: "Events cannot be stored right now" },
  upstream_unavailable: { status: 503, title: "A part that answers this is not there right now" },
  misconfigured: { status: 500, title: "The Worker is not configured" },
  internal: { status: 500, title: "Something broke here" },
} as const satisfies Record<Rejection["reason"], { status: number; title: string }>;

/**
 * @param members further members of the document, such as the outcomes of a request's events.
 */
export function problem(rejection: Rejection, members?: Readonly<Record<string, unknown>>): Response {
  const response = problemDocument(PROBLEMS[rejection.reason], { ...rejection, ...members });
  // Not for write keys: a browser would answer `Basic` with a login window over the customer's page.
  if (rejection.reason.endsWith("_token")) response.headers.set("www-authenticate", 'Bearer realm="eventpile"');
  return response;
}

export const storeUnavailable: Rejection = {
  reason: "store_unavailable",
  retry_after_s: INGEST.retryAfterSeconds,
};
