/** What the page shows, as the address bar says it: a colleague can be sent it. */

export type SubjectKind = "user" | "device";
export interface Subject {
  readonly kind: SubjectKind;
  readonly id: string;
}

/** `at`: the moment that was jumped to, ISO 8601; absent: now, live. `event`: an event's id to open there. */
export type Address =
  | { readonly subject: Subject; readonly at?: string; readonly event?: string }
  /** A text that may be anything. */
  | { readonly query: string };

export function formatAddress(address: Address): string {
  if ("query" in address) return `?${new URLSearchParams({ q: address.query })}`;
  const { subject, at, event } = address;
  return `?${new URLSearchParams({ [subject.kind]: subject.id, ...(at && { at }), ...(event && { event }) })}`;
}

export function parseAddress(search: string): Address | null {
  const query = new URLSearchParams(search);
  for (const kind of ["user", "device"] as const) {
    const id = query.get(kind)?.trim();
    if (!id) continue;
    const at = query.get("at") ?? "";
    const event = query.get("event") ?? "";
    const isTime = !Number.isNaN(Date.parse(at));
    return { subject: { kind, id }, ...(isTime && { at }), ...(event && { event }) };
  }
  const text = query.get("q")?.trim();
  return text ? { query: text } : null;
}

export const subjectPath = ({ kind, id }: Subject): string => `/v1/${kind}s/${encodeURIComponent(id)}`;
export const sessionsPath = (subject: Subject): string => `${subjectPath(subject)}/sessions?limit=500`;
export const profilePath = (subject: Subject): string => `${subjectPath(subject)}/profile`;

/** Which events: half-open range of event_time, ISO 8601. Without `from`: all that timelines keep; without `to`: up to now. */
export interface Span {
  readonly from?: string;
  readonly to?: string;
}

const DAYS_KEPT = 30;
const MINUTES_KEPT = DAYS_KEPT * 24 * 60;

export function eventsPath(subject: Subject, span: Span, limit: number, cursor: string | null): string {
  return `${subjectPath(subject)}/events?${spanQuery(subject, span, { limit: String(limit), ...(cursor && { cursor }) })}`;
}

export function exportPath(subject: Subject, span: Span, format: "json" | "csv"): string {
  return `${subjectPath(subject)}/export?${spanQuery(subject, span, { format })}`;
}

function spanQuery(subject: Subject, { from, to }: Span, more: Record<string, string>): URLSearchParams {
  const stitch = subject.kind === "user" && { stitch: "1" };
  const range: Record<string, string> =
    from || to ? { ...(from && { from }), ...(to && { to }) } : { minutes: String(MINUTES_KEPT) };
  return new URLSearchParams({ ...range, ...stitch, ...more });
}

/** From when on timelines have everything: their days, less what a clock may be ahead. */
export const keptSince = (nowMs: number): string =>
  new Date(nowMs - DAYS_KEPT * 86_400_000 + 2 * 3_600_000).toISOString();
