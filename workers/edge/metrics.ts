/** The ledger in Prometheus' text format, so that "every event is accounted for" can be an alert. */
import type { SourceCounts } from "../../durable-objects/event-log/api.ts";
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
  ["messages_total", "counter", "Messages of edges that arrived, without redeliveries.", (shard) => shard.messages],
  ["redelivered_messages_total", "counter", "Messages that came again.", (shard) => shard.redelivered_messages],
  ["missing_messages", "gauge", "Messages sent, by a later one's word, and not arrived.", (shard) => shard.gaps],
  ["oldest_gap_seconds", "gauge", "Age of the oldest missing message; 0 without one.", (s) => s.oldest_gap_seconds],
  ["late_events_total", "counter", "Events that came long after they happened.", (shard) => shard.late],
  ["clock_skewed_events_total", "counter", "Events from a clock that cannot be right.", (shard) => shard.clock_skewed],
  ["moved_in_events_total", "counter", "Events that a split took out of another shard.", (shard) => shard.moved_in],
  ["moved_out_events_total", "counter", "Events that a split gave to another shard.", (shard) => shard.moved_out],
  ["rules_version", "gauge", "Version of the newest rule that the shard has.", (shard) => shard.rules],
  ["dedup_ids", "gauge", "Ids in the dedup window.", (shard) => shard.ids],
  ["dedup_memory_bytes", "gauge", "Memory of the dedup window's sets and filters.", (shard) => shard.id_memory_bytes],
  ["epoch", "gauge", "Splits that the shard knows of.", (shard) => shard.epoch],
  ["log_head", "gauge", "The newest segment's number.", (shard) => shard.head],
];

const OF_SINK: readonly Metric<SinkLedger>[] = [
  ["sink_applied_events_total", "counter", "Events the sink has applied.", (sink) => sink.applied],
  ["sink_in_flight_events", "gauge", "Events on the queue or past the sink's cursor.", (sink) => sink.in_flight],
  ["sink_hole_events", "gauge", "Events left out and not redriven yet.", (sink) => sink.holes],
  ["sink_open_holes", "gauge", "Holes that are open.", (sink) => sink.open_holes],
  ["sink_retracted_events_total", "counter", "Applied events that a rule retracted.", (sink) => sink.retracted],
  ["sink_lag_segments", "gauge", "Segments past the sink's cursor.", (sink) => sink.lag_segments],
  ["sink_lag_seconds", "gauge", "Age of the oldest segment past the sink's cursor.", (sink) => sink.lag_seconds],
  ["sink_balanced", "gauge", "1 where the sink's sum is right.", (sink) => Number(sink.balanced)],
];

const OF_SOURCE: readonly Metric<SourceCounts>[] = [
  ["source_events_total", "counter", "Events of the source that arrived.", ({ events }) => events],
  ["source_duplicate_events_total", "counter", "Events the log owned already.", ({ duplicates }) => duplicates],
  ["source_late_events_total", "counter", "Events that came long after they happened.", ({ late }) => late],
  ["source_clock_skewed_events_total", "counter", "Events from a clock that cannot be right.", (s) => s.clock_skewed],
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
  for (const [name, kind, help, value] of OF_SOURCE) {
    declare(name, kind, help);
    for (const source of ledger.sources)
      lines.push(`eventpile_${name}{source="${label(source.source)}"} ${value(source)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** A label's text, with Prometheus' three escapes. */
const label = (text: string): string => text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
