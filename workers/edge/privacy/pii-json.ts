/** The report of the search for undeclared PII: as JSON, and for Prometheus. */
import type { PiiReport } from "../../../durable-objects/pii-audit/api.ts";
import { MICROS_PER_MS } from "../../../r2-layout/time.ts";
import type { PiiJson } from "../../operations-json.ts";

export const piiJson = ({ auditedAt, findings, sampled, left }: PiiReport): PiiJson => ({
  audited_at: auditedAt === null ? null : new Date(auditedAt).toISOString(),
  sampled,
  findings: findings.map(({ eventName, firstDay, lastDay, newestAt, ...rest }) => ({
    source: rest.source,
    event_name: eventName,
    field: rest.field,
    kind: rest.kind,
    sampled: rest.sampled,
    events: rest.events,
    first_day: firstDay,
    last_day: lastDay,
    newest_at: new Date(newestAt / MICROS_PER_MS).toISOString(),
  })),
  left,
});

/** By source and kind: names of events and fields are too many for labels. @param nowMs milliseconds */
export function piiMetricLines({ audited_at, findings }: PiiJson, nowMs: number): string[] {
  const fields = Map.groupBy(findings, ({ source, kind }) => `{source="${label(source)}",kind="${kind}"}`);
  const lines = [
    "# HELP eventpile_undeclared_pii_fields Fields in which the daily search found PII that no contract declares.",
    "# TYPE eventpile_undeclared_pii_fields gauge",
    ...[...fields].map(([labels, of]) => `eventpile_undeclared_pii_fields${labels} ${of.length}`),
  ];
  // Absent before the first: no search has found nothing.
  if (audited_at === null) return lines;
  const age = Math.max(0, nowMs - Date.parse(audited_at)) / 1_000;
  return [
    ...lines,
    "# HELP eventpile_pii_audit_age_seconds Since the daily search was last over.",
    "# TYPE eventpile_pii_audit_age_seconds gauge",
    `eventpile_pii_audit_age_seconds ${age}`,
  ];
}

const label = (text: string): string => text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
