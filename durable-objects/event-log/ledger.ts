/**
 * The answer of GET /v1/ledger (promise 3): whether every accepted event is accounted for in every sink. The terms come
 * from different parties: accepted from the edges' running numbers, committed and duplicates from the log, applied from
 * the sinks' cursors, and what is in flight from the segments past a cursor, never as a remainder. So it can fail.
 *
 *     accepted = applied + duplicates + quarantined + suppressed + in flight      for each sink
 *
 * Cursors are read before the log: what a cursor says it has applied is then certainly in the log's counts, and what the
 * log took in the meantime lies past the cursor, in flight. So a system that moves does not look unbalanced.
 */
import { shardName } from "../../r2-layout/keys.ts";
import { SECOND_MS } from "../../r2-layout/limits.ts";
import type { LakeCatalogApi } from "../lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../lake-catalog/api.ts";
import type { ObjectNamespace } from "../namespace.ts";
import type { CursorStatus, SinkCursorApi, SinkName } from "../sink-cursor/api.ts";
import { SINKS } from "../sink-cursor/api.ts";
import type { EventLogApi, LogStatus, PastCursor } from "./api.ts";

export interface LedgerDeps {
  readonly logs: ObjectNamespace<Pick<EventLogApi, "tally">>;
  readonly cursors: ObjectNamespace<Pick<SinkCursorApi, "status">>;
  readonly catalog: ObjectNamespace<Pick<LakeCatalogApi, "status">>;
  readonly shards: number;
  /** Milliseconds. */
  readonly now?: () => number;
}

export interface SinkLedger {
  /** The last seq applied. */
  readonly cursor: number;
  readonly applied: number;
  /** On the queue, or in segments past the cursor. */
  readonly in_flight: number;
  readonly lag_segments: number;
  /** Age of the oldest segment past the cursor. */
  readonly lag_seconds: number;
  readonly balanced: boolean;
}

export interface ShardLedger {
  readonly shard: number;
  readonly head: number;
  readonly accepted: number;
  readonly arrived: number;
  readonly committed: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly suppressed: number;
  /** Messages that an edge sent, by a later one's word, and that have not arrived. */
  readonly gaps: number;
  readonly redelivered_messages: number;
  readonly sinks: Readonly<Record<SinkName, SinkLedger>>;
}

export interface Ledger {
  readonly balanced: boolean;
  readonly total: {
    readonly accepted: number;
    readonly duplicates: number;
    readonly quarantined: number;
    readonly suppressed: number;
    /** Of the sink with the most. */
    readonly in_flight: number;
  } & Readonly<Record<SinkName, number>>;
  readonly shards: readonly ShardLedger[];
}

/** @throws whatever an object threw: half a ledger is none. */
export async function readLedger(deps: LedgerDeps): Promise<Ledger> {
  const now = deps.now ?? Date.now;
  const lake = (await deps.catalog.getByName(LAKE_CATALOG_NAME).status()).cursors;
  const shards = await Promise.all(
    Array.from({ length: deps.shards }, async (_, shard) => {
      const [sessions, rollups] = await Promise.all([
        deps.cursors.getByName(`sessions:${shardName(shard)}`).status(),
        deps.cursors.getByName(`rollups:${shardName(shard)}`).status(),
      ]);
      const cursors = { lake: lake[shard] ?? NEVER_MOVED, sessions, rollups };
      const { status, past } = await deps.logs.getByName(shardName(shard)).tally({
        lake: cursors.lake.cursor,
        sessions: sessions.cursor,
        rollups: rollups.cursor,
      });
      return shardLedger(shard, status, cursors, past, now());
    }),
  );
  return addLedgers(shards);
}

const NEVER_MOVED: CursorStatus = { cursor: 0, applied: { events: 0, quarantined: 0 }, moved_at: 0 };

/** Pure. @param past what lies past each cursor, read after the cursors. */
export function shardLedger(
  shard: number,
  status: LogStatus,
  cursors: Readonly<Record<SinkName, CursorStatus>>,
  past: Readonly<Partial<Record<SinkName, PastCursor>>>,
  nowMs: number,
): ShardLedger {
  const { head, accepted, arrived, committed, duplicates, quarantined, suppressed, gaps, redelivered_messages } =
    status;
  const sinkLedger = (sink: SinkName): SinkLedger => {
    const { cursor, applied } = cursors[sink];
    const left = past[sink] ?? { events: 0, quarantined: 0, segments: 0, since: null };
    const inFlight = accepted - arrived + left.events;
    return {
      cursor,
      applied: applied.events,
      in_flight: inFlight,
      lag_segments: left.segments,
      lag_seconds: left.since === null ? 0 : Math.max(0, (nowMs - left.since) / SECOND_MS),
      balanced:
        cursor <= head &&
        applied.quarantined + left.quarantined === quarantined &&
        applied.events + duplicates + quarantined + suppressed + inFlight === accepted,
    };
  };
  const sinks = Object.fromEntries(SINKS.map((sink) => [sink, sinkLedger(sink)])) as Record<SinkName, SinkLedger>;
  return {
    shard,
    head,
    accepted,
    arrived,
    committed,
    duplicates,
    quarantined,
    suppressed,
    gaps,
    redelivered_messages,
    sinks,
  };
}

/** Pure. */
export function addLedgers(shards: readonly ShardLedger[]): Ledger {
  const total = (of: (shard: ShardLedger) => number) => shards.reduce((sum, shard) => sum + of(shard), 0);
  const inFlight = SINKS.map((sink) => total((shard) => shard.sinks[sink].in_flight));
  return {
    balanced: shards.every(
      (shard) =>
        shard.arrived === shard.committed + shard.quarantined + shard.duplicates + shard.suppressed &&
        SINKS.every((sink) => shard.sinks[sink].balanced),
    ),
    total: {
      accepted: total((shard) => shard.accepted),
      duplicates: total((shard) => shard.duplicates),
      quarantined: total((shard) => shard.quarantined),
      suppressed: total((shard) => shard.suppressed),
      in_flight: Math.max(...inFlight),
      lake: total((shard) => shard.sinks.lake.applied),
      sessions: total((shard) => shard.sinks.sessions.applied),
      rollups: total((shard) => shard.sinks.rollups.applied),
    },
    shards,
  };
}
