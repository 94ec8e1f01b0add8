/** What the hourly look at expectations has found: as JSON, and for Prometheus. */
import type { Break, HealthOverview, StoredHour } from "../../../durable-objects/contract-health/api.ts";
import { HEALTH, HOUR_MS } from "../../../r2-layout/limits.ts";
import type { BreakJson, ContractsJson, SourceCoverageJson } from "../../operations-json.ts";
import { webhookJson } from "../webhooks/webhook-routes.ts";
import { hourJson } from "./health.ts";

const iso = (ms: number): string => new Date(ms).toISOString();

export function contractsJson({ judged, hours, breaks, webhooks, ...counts }: HealthOverview): ContractsJson {
  const lines = hours.flatMap(linesOf);
  return {
    judged_through: judged === null ? null : iso(judged + HOUR_MS),
    open_breaks: counts.open,
    breaks: breaks.map(breakJson),
    coverage: lines.slice(0, HEALTH.linesTold),
    left_events: counts.leftEvents,
    left_breaks: counts.leftBreaks,
    left_lines: Math.max(0, lines.length - HEALTH.linesTold) + hours.reduce((sum, { left }) => sum + left, 0),
    webhooks: webhooks.map(webhookJson),
  };
}

export const breakJson = ({ id, eventName, since, last, ended, ...rest }: Break): BreakJson => ({
  break: id,
  event: eventName,
  ...rest,
  since: iso(since),
  last: iso(last),
  ended: ended && { hour: iso(ended.hour), because: ended.because },
});

/** A line a source. */
export const linesOf = (stored: StoredHour): SourceCoverageJson[] =>
  stored.sources.map((one) => ({
    event: stored.eventName,
    version: stored.version,
    is_final: stored.isFinal,
    unread: stored.unread,
    ...hourJson(stored.hour, one, stored.fields),
  }));

type ToldContracts = Pick<ContractsJson, "judged_through" | "breaks" | "open_breaks" | "webhooks">;

/** By source: names of events and fields are too many for labels. @param nowMs milliseconds */
export function contractMetricLines(
  { judged_through, breaks, open_breaks, webhooks }: ToldContracts,
  nowMs: number,
): string[] {
  const bySource = Map.groupBy(breaks, ({ source, expectation }) => {
    return `{source="${label(source)}",expectation="${expectation}"}`;
  });
  const ofWebhooks = (what: string, value: (webhook: (typeof webhooks)[number]) => number) =>
    webhooks.map((webhook) => `eventpile_webhook_${what}{webhook="${webhook.id}"} ${value(webhook)}`);
  return [
    "# HELP eventpile_contract_breaks Expectations of contracts that do not hold, of the newest hundred.",
    "# TYPE eventpile_contract_breaks gauge",
    ...[...bySource].map(([labels, of]) => `eventpile_contract_breaks${labels} ${of.length}`),
    "# HELP eventpile_contract_breaks_open Expectations of contracts that do not hold.",
    "# TYPE eventpile_contract_breaks_open gauge",
    `eventpile_contract_breaks_open ${open_breaks}`,
    "# HELP eventpile_contracts_judged_age_seconds Since the end of the newest hour that was judged.",
    "# TYPE eventpile_contracts_judged_age_seconds gauge",
    // Absent before the first.
    ...(judged_through === null
      ? []
      : [`eventpile_contracts_judged_age_seconds ${(nowMs - Date.parse(judged_through)) / 1_000}`]),
    "# HELP eventpile_webhook_waiting Messages that wait for a receiver.",
    "# TYPE eventpile_webhook_waiting gauge",
    ...ofWebhooks("waiting", ({ waiting }) => waiting),
    "# HELP eventpile_webhook_given_up_total Messages that a receiver did not take, and that are not tried any more.",
    "# TYPE eventpile_webhook_given_up_total counter",
    ...ofWebhooks("given_up_total", ({ given_up }) => given_up),
  ];
}

const label = (text: string): string => text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
