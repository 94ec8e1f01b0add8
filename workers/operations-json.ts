/** What GET /v1/operations answers: made by the edge, read by the operations page; /metrics has the same figures. */
import type { Ledger } from "../durable-objects/event-log/ledger.ts";
import type { SinkName } from "../r2-layout/sinks.ts";
import type { ErasuresJson } from "./erasure-json.ts";

export interface OperationsJson {
  /** ISO 8601. */
  readonly at: string;
  readonly ledger: Ledger;
  readonly sinks: readonly SinkDelay[];
  readonly queues: readonly QueueBacklog[];
  readonly objects: readonly ObjectPressure[];
  readonly lake: LakeSize;
  readonly cost_today: CostToday;
  readonly pii: PiiJson;
  readonly contracts: ContractsJson;
  readonly erasures: ErasuresJson;
}

/** Of all shards: the one that is furthest behind. */
export interface SinkDelay {
  readonly sink: SinkName;
  /** Age of the oldest segment that the sink has not applied; 0 at the head. */
  readonly lag_seconds: number;
  readonly objective_seconds: number;
  /** The shard that is furthest behind, null where none is. */
  readonly shard: number | null;
  /** Over all shards. */
  readonly in_flight: number;
  readonly holes: number;
}

/** One queue of events, by its own word; null where the queue did not answer. */
export interface QueueBacklog {
  readonly queue: string;
  readonly shard: number;
  readonly messages: number | null;
  readonly bytes: number | null;
  /** Of its oldest message; null where none waits. */
  readonly oldest_seconds: number | null;
  readonly objective_seconds: number;
}

/** What an object has used of something that it has only so much of. */
export interface ObjectPressure {
  readonly object: string;
  readonly what: "dedup_memory" | "dedup_disk";
  readonly bytes: number;
  readonly limit_bytes: number;
}

export interface LakeSize {
  readonly rows: number;
  readonly files: number;
  readonly bytes: number;
  /** Number of the newest snapshot, and commits since midnight (UTC). */
  readonly snapshot: number;
  readonly commits_today: number;
  /** How far the slowest Iceberg table is behind, and how far it may be. */
  readonly iceberg_behind_seconds: number;
  readonly iceberg_objective_seconds: number;
}

/** By list price, from what was counted since midnight (UTC). */
export interface CostToday {
  readonly events: number;
  readonly dollars: number;
  /** Null before the day's first event. */
  readonly dollars_per_million: number | null;
  readonly parts: readonly CostPart[];
}

export interface CostPart {
  readonly part: string;
  readonly dollars: number;
}

/** What the search for undeclared PII has found in the last days; no found value is in it. */
export interface PiiJson {
  /** ISO 8601; null before the first search. */
  readonly audited_at: string | null;
  /** Events looked at. */
  readonly sampled: number;
  /** The one that most events had stands first. */
  readonly findings: readonly PiiFindingJson[];
  /** Findings that there was no room for. */
  readonly left: number;
}

export interface PiiFindingJson {
  readonly source: string;
  /** `*` for a name that is itself a finding, also in `field`. */
  readonly event_name: string;
  readonly field: string;
  readonly kind: string;
  /** Sampled events of the source and name, and those that had it. */
  readonly sampled: number;
  readonly events: number;
  readonly first_day: string;
  readonly last_day: string;
  /** When the newest of them was received. */
  readonly newest_at: string;
}

/** What the hourly look at contracts' expectations has found. */
export interface ContractsJson {
  /** End of the newest hour that was judged, ISO 8601; null before the first. */
  readonly judged_through: string | null;
  readonly open_breaks: number;
  /** The newest first. */
  readonly breaks: readonly BreakJson[];
  /** Of each event the newest hour that was looked at and in which something came, by source. */
  readonly coverage: readonly SourceCoverageJson[];
  /** What there was no room for. */
  readonly left_events: number;
  readonly left_breaks: number;
  readonly left_lines: number;
  readonly webhooks: readonly WebhookJson[];
}

/** An expectation that does not hold, or has not held; hours in ISO 8601. */
export interface BreakJson {
  readonly break: number;
  readonly event: string;
  readonly source: string;
  readonly expectation: string;
  readonly field: string | null;
  readonly expected: number;
  readonly actual: number;
  readonly since: string;
  readonly last: string;
  readonly ended: { readonly hour: string; readonly because: string } | null;
}

export interface SourceCoverageJson {
  readonly event: string;
  readonly version: number;
  readonly source: string;
  /** ISO 8601. */
  readonly hour: string;
  /** Whether all that was received in the hour is in it. */
  readonly is_final: boolean;
  /** Why not all could be counted. */
  readonly unread: string | null;
  readonly events: number;
  readonly quarantined: number;
  readonly off_contract: number;
  readonly failure_rate: number;
  /** By property, 0 to 1; empty where it could not be counted. */
  readonly coverage: Readonly<Record<string, number>>;
  readonly newest_at: string;
}

export interface WebhookJson {
  readonly id: string;
  readonly url: string;
  readonly description: string;
  readonly created_at: string;
  readonly waiting: number;
  readonly delivered: number;
  readonly given_up: number;
  /** Null since the last call that was taken. */
  readonly last_error: string | null;
  readonly last_delivered_at: string | null;
}
