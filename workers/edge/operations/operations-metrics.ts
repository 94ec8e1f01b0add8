/** What /metrics has beyond the ledger, the lake and the jobs: objectives, queues, objects, and the day's cost. */
import { shardName } from "../../../r2-layout/keys.ts";
import type { OperationsJson } from "../../operations-json.ts";

type Samples = readonly (readonly [labels: string, value: number])[];

export function operationsMetricLines({ ledger, sinks, queues, objects, lake, cost_today }: OperationsJson): string[] {
  const { today } = ledger;
  const told = queues.filter(({ messages }) => messages !== null);
  const ofQueue = (value: (queue: (typeof queues)[number]) => number | null): Samples =>
    told.map((queue) => [`{shard="${shardName(queue.shard)}",queue="${queue.queue}"}`, value(queue) ?? 0]);
  const ofObject = (value: (object: (typeof objects)[number]) => number): Samples =>
    objects.map((object) => [`{object="${object.object}",what="${object.what}"}`, value(object)]);
  return [
    ...gauge(
      "sink_lag_objective_seconds",
      "How far a sink may be behind.",
      sinks.map(({ sink, objective_seconds }) => [`{sink="${sink}"}`, objective_seconds]),
    ),
    ...gauge(
      "queue_backlog_messages",
      "Messages that wait on a queue of events.",
      ofQueue(({ messages }) => messages),
    ),
    ...gauge(
      "queue_backlog_bytes",
      "Their bytes.",
      ofQueue(({ bytes }) => bytes),
    ),
    ...gauge(
      "queue_oldest_message_seconds",
      "Age of the oldest message that waits; 0 without one.",
      ofQueue(({ oldest_seconds }) => oldest_seconds),
    ),
    ...gauge("queues_silent", "Queues of events that did not say what waits on them.", [
      ["", queues.length - told.length],
    ]),
    ...gauge(
      "object_bytes",
      "What an object has used of what it has only so much of.",
      ofObject(({ bytes }) => bytes),
    ),
    ...gauge(
      "object_limit_bytes",
      "How much it has.",
      ofObject(({ limit_bytes }) => limit_bytes),
    ),
    ...gauge("today_events", "Events that arrived since midnight, UTC.", [["", today.events]]),
    ...gauge("today_messages", "Messages of edges since midnight, UTC.", [["", today.messages]]),
    ...gauge("today_segments", "Segments of the log since midnight, UTC.", [["", today.segments]]),
    ...gauge("today_log_bytes", "Bytes of these segments.", [["", today.bytes]]),
    ...gauge("today_lake_commits", "Commits of the lake since midnight, UTC.", [["", lake.commits_today]]),
    ...gauge(
      "today_dollars",
      "What today's events cost by list price, estimated from these counts.",
      cost_today.parts.map(({ part, dollars }) => [`{part="${part}"}`, dollars]),
    ),
    // Absent, not 0, before the day's first event: nothing was cheap.
    ...gauge(
      "today_dollars_per_million_events",
      "The same over today's events.",
      cost_today.dollars_per_million === null ? [] : [["", cost_today.dollars_per_million]],
    ),
  ];
}

const gauge = (name: string, help: string, samples: Samples): string[] => [
  `# HELP eventpile_${name} ${help}`,
  `# TYPE eventpile_${name} gauge`,
  ...samples.map(([labels, value]) => `eventpile_${name}${labels} ${value}`),
];
