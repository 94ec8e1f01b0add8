/** The desk in Prometheus' text format: jobs by kind and state, what open ones have read, and what was settled. */
import type { DeskOverview, Job } from "../../durable-objects/replay-desk/api.ts";
import { hasEnded } from "../../durable-objects/replay-desk/job-rules.ts";
import { shardName } from "../../r2-layout/keys.ts";

export function replayMetricLines({ jobs, settled, rules }: DeskOverview): string[] {
  const lines: string[] = [];
  const metric = (
    name: string,
    kind: "counter" | "gauge",
    help: string,
    samples: readonly (readonly [string, number])[],
  ) => {
    lines.push(`# HELP eventpile_${name} ${help}`, `# TYPE eventpile_${name} ${kind}`);
    for (const [labels, value] of samples) lines.push(`eventpile_${name}${labels} ${value}`);
  };
  const open = jobs.filter(({ state }) => !hasEnded(state));
  const each = (value: (job: Job) => number) =>
    open.map((job) => [`{job="${job.id}",kind="${job.kind}",state="${job.state}"}`, value(job)] as const);
  const byState = Map.groupBy(open, ({ kind, state }) => `{kind="${kind}",state="${state}"}`);
  metric(
    "jobs",
    "gauge",
    "Replays, corrections, settlements and audits that have not ended.",
    [...byState].map(([labels, of]) => [labels, of.length]),
  );
  metric(
    "job_events_read",
    "gauge",
    "Events that an open job has read.",
    each(({ meter }) => meter.read),
  );
  metric(
    "job_events_per_second",
    "gauge",
    "Events a second of an open job, pauses included.",
    each(({ meter }) => meter.rate),
  );
  metric(
    "job_failures",
    "gauge",
    "Failures of an open job since it last moved.",
    each(({ attempts }) => attempts),
  );
  metric("rule_version", "gauge", "The newest rule that was given out.", [["", rules]]);
  const sums = Map.groupBy(settled, ({ shard, cause }) => `{shard="${shardName(shard)}",cause="${cause}"}`);
  metric(
    "settled_events",
    "gauge",
    "Copies retracted because their event was stored more than once, in the days kept.",
    [...sums].map(([labels, of]) => [labels, of.reduce((sum, { events }) => sum + events, 0)]),
  );
  return lines;
}
