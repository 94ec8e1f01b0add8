/** The ledger in Prometheus' text format, so that "every event is accounted for" can be an alert. */
import type { Ledger, ShardLedger, SinkLedger } from "../../durable-objects/event-log/ledger.ts";
import { SINKS } from "../../durable-objects/sink-cursor/api.ts";
import { shardName } from "../../r2-layout/keys.ts";

type Kind = "counter" | "gauge";
type Metric<T> = readonly [name: string, kind: Kind, help: string, value: (from: T) => number];

const OF_SHARD: readonly Metric<ShardLedger>[] = [
  ["accepted_events_total", "counter", "Events that edges put on the shard's queue.", (shard) => shard.accepted],
  ["arrived_events_total", "counter", "Accepted events whose message has reached the log.", (shard) => shard.arrived],
  ["committed_events_total", "counter", "Events in the shard's segments.", (shard) => shard.committed],
  ["duplicate_events_total", "counter", "Events the log owned already.", (shard) => shard.duplicates],
  ["quarantined_events_total", "counter", "Events that do not fit their columns.", (shard) => shard.quarantined],
  ["suppressed_events_total", "counter", "Events held back by a rule.", (shard) => shard.suppressed],
  ["redelivered_messages_total", "counter", "Messages that came again.", (shard) => shard.redelivered_messages],
  ["missing_messages", "gauge", "Messages sent, by a later one's word, and not arrived.", (shard) => shard.gaps],
  ["log_head", "gauge", "The newest segment's number.", (shard) => shard.head],
];

const OF_SINK: readonly Metric<SinkLedger>[] = [
  ["sink_applied_events_total", "counter", "Events the sink has applied.", (sink) => sink.applied],
  ["sink_in_flight_events", "gauge", "Events on the queue or past the sink's cursor.", (sink) => sink.in_flight],
  ["sink_lag_segments", "gauge", "Segments past the sink's cursor.", (sink) => sink.lag_segments],
  ["sink_lag_seconds", "gauge", "Age of the oldest segment past the sink's cursor.", (sink) => sink.lag_seconds],
  ["sink_balanced", "gauge", "1 where the sink's sum is right.", (sink) => Number(sink.balanced)],
];

export function prometheusText(ledger: Ledger): string {
  const lines: string[] = [];
  const declare = (name: string, kind: Kind, help: string) =>
    lines.push(`# HELP eventpile_${name} ${help}`, `# TYPE eventpile_${name} ${kind}`);
  declare("balanced", "gauge", "1 where every accepted event is accounted for in every sink.");
  lines.push(`eventpile_balanced ${Number(ledger.balanced)}`);
  for (const [name, kind, help, value] of OF_SHARD) {
    declare(name, kind, help);
    for (const shard of ledger.shards)
      lines.push(`eventpile_${name}{shard="${shardName(shard.shard)}"} ${value(shard)}`);
  }
  for (const [name, kind, help, value] of OF_SINK) {
    declare(name, kind, help);
    for (const shard of ledger.shards) {
      for (const sink of SINKS) {
        const labels = `shard="${shardName(shard.shard)}",sink="${sink}"`;
        lines.push(`eventpile_${name}{${labels}} ${value(shard.sinks[sink])}`);
      }
    }
  }
  return `${lines.join("\n")}\n`;
}
