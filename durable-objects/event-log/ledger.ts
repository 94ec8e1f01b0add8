/**
 * The answer of GET /v1/ledger (promise 3): whether every accepted event is accounted for in every sink. The terms come
 * from different parties: accepted from the edges' running numbers, committed and duplicates from the log, applied from
 * the sinks' cursors, and what is in flight from the segments past a cursor, never as a remainder. So it can fail.
 *
 *     accepted + moved in = applied + holes + duplicates + quarantined + suppressed + in flight + moved out
 *     applied + left out  = met: what the log says a sink has passed at this cursor, its own redrives among them
 *
 * for each sink of each shard, the second for events and for quarantined lines. Both must hold: the first could be whole
 * by two errors that cancel each other. `moved` are events that a split has handed from one shard's messages to another.
 *
 * What the lake has applied is not what it holds for ever. Its rows are a sum of their own, `stored`, of what the catalog
 * counts with each commit; what expired was applied all the same, and stays in the sums above:
 *
 *     rows = applied + rebuilt - retracted - expired
 *
 * Cursors are read before the log: what a cursor says it has applied is then certainly in the log's counts, and what the
 * log took in the meantime lies past the cursor, in flight. So a system that moves does not look unbalanced.
 */
import { shardName } from "../../r2-layout/keys.ts";
import { LOG, SECOND_MS } from "../../r2-layout/limits.ts";
import { dayOf, MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { CatalogStatus, LakeCatalogApi } from "../lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../lake-catalog/api.ts";
import type { ObjectNamespace } from "../namespace.ts";
import type { CursorStatus, SinkCursorApi, SinkName } from "../sink-cursor/api.ts";
import { SINKS } from "../sink-cursor/api.ts";
import type { EventLogApi, LogStatus, PastCursor, SourceCounts } from "./api.ts";
import type { DayCounts } from "./day-counts.ts";

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
  /** Left out, and not redriven yet: recorded holes. */
  readonly holes: number;
  /** How many holes, not events, are open. */
  readonly open_holes: number;
  /** Of the applied: what a rule has retracted, as far as the sink has counted it. */
  readonly retracted: number;
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
  /** Age of the oldest of them: minutes are a delay, a day is a loss. 0 without any. */
  readonly oldest_gap_seconds: number;
  readonly redelivered_messages: number;
  /** Out of other shards' messages, and to other shards, when shards were split. */
  readonly moved_in: number;
  readonly moved_out: number;
  /** Of the arrived: flagged by the edge. */
  readonly late: number;
  readonly clock_skewed: number;
  /** Version of the newest rule, and the number of splits that the log knows of. */
  readonly rules: number;
  readonly epoch: number;
  /** The dedup window: ids, and bytes of memory that their sets and filters take. */
  readonly ids: number;
  readonly id_memory_bytes: number;
  /** Messages of edges that arrived, without redeliveries. */
  readonly messages: number;
  readonly today: Today;
  readonly sinks: Readonly<Record<SinkName, SinkLedger>>;
}

/** What arrived since midnight, UTC. */
export type Today = Omit<DayCounts, "day">;

/** The lake's rows of events, and what became of those that it has applied. Cumulative, but for the rows. */
export interface StoredLedger {
  readonly rows: number;
  readonly applied: number;
  /** Added by rebuilds, less what they took. */
  readonly rebuilt: number;
  /** By rules, on the way here or later. */
  readonly retracted: number;
  /** Dropped because their time was over. */
  readonly expired: number;
  readonly balanced: boolean;
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
    readonly holes: number;
    /** Those of a split that are in their new shard, and not yet counted out of the old: in `accepted` for now. */
    readonly moving: number;
    readonly late: number;
    readonly clock_skewed: number;
    readonly gaps: number;
  } & Readonly<Record<SinkName, number>>;
  readonly today: Today;
  readonly stored: StoredLedger;
  /** Over all shards, those with the most events first; at most `LOG.sources`. */
  readonly sources: readonly SourceCounts[];
  readonly shards: readonly ShardLedger[];
}

/** @throws whatever an object threw: half a ledger is none. */
export async function readLedger(deps: LedgerDeps): Promise<Ledger> {
  const now = deps.now ?? Date.now;
  const catalog = await deps.catalog.getByName(LAKE_CATALOG_NAME).status();
  const lake = catalog.cursors;
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
      return { ledger: shardLedger(shard, status, cursors, past, now()), sources: status.sources ?? [] };
    }),
  );
  return addLedgers(
    shards.map(({ ledger }) => ledger),
    shards.flatMap(({ sources }) => sources),
    storedLedger(catalog),
  );
}

/** Pure. */
export function storedLedger({ rows, cursors, ...status }: CatalogStatus): StoredLedger {
  const applied = Object.values(cursors).reduce((sum, cursor) => sum + cursor.applied.events, 0);
  // Absent where the catalog is a version behind the asker.
  const { rebuilt = 0, retracted = 0, expired = 0 } = status;
  const balanced = rows.events === applied + rebuilt - retracted - expired;
  return { rows: rows.events, applied, rebuilt, retracted, expired, balanced };
}

const NOTHING_STORED: StoredLedger = { rows: 0, applied: 0, rebuilt: 0, retracted: 0, expired: 0, balanced: true };

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
  // Absent where the objects are a version behind the asker.
  const {
    moved_in = 0,
    moved_out = 0,
    late = 0,
    clock_skewed = 0,
    rules = 0,
    epoch = 0,
    oldest_gap_at = null,
    messages = 0,
    newest_day,
  } = status;
  const sinkLedger = (sink: SinkName): SinkLedger => {
    const { cursor, applied, holes: left, retracted } = cursors[sink];
    const leftOut = left ?? { events: 0, quarantined: 0, open: 0 };
    const ahead = past[sink] ?? NOTHING_PAST;
    const inFlight = accepted - arrived + ahead.events;
    const holes = leftOut.events - (ahead.redriven ?? 0);
    const met = ahead.met ?? {
      events: committed - ahead.events,
      quarantined: quarantined - ahead.quarantined,
    };
    return {
      cursor,
      applied: applied.events,
      holes,
      open_holes: leftOut.open,
      retracted: retracted ?? 0,
      in_flight: inFlight,
      lag_segments: ahead.segments,
      lag_seconds: ahead.since === null ? 0 : Math.max(0, (nowMs - ahead.since) / SECOND_MS),
      balanced:
        cursor <= head &&
        holes >= 0 &&
        applied.events + leftOut.events === met.events &&
        applied.quarantined + leftOut.quarantined === met.quarantined &&
        applied.events + holes + duplicates + quarantined + suppressed + inFlight + moved_out === accepted + moved_in,
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
    oldest_gap_seconds: oldest_gap_at === null ? 0 : Math.max(0, (nowMs - oldest_gap_at) / SECOND_MS),
    redelivered_messages,
    moved_in,
    moved_out,
    late,
    clock_skewed,
    rules,
    epoch,
    ids: status.ids,
    id_memory_bytes: status.id_memory_bytes,
    messages,
    today: newest_day?.day === dayOf(nowMs * MICROS_PER_MS) ? withoutName(newest_day) : NOTHING_TODAY,
    sinks,
  };
}

const NOTHING_TODAY: Today = { events: 0, messages: 0, segments: 0, bytes: 0 };
const withoutName = ({ events, messages, segments, bytes }: DayCounts): Today => ({
  events,
  messages,
  segments,
  bytes,
});

const NOTHING_PAST: PastCursor = {
  events: 0,
  quarantined: 0,
  segments: 0,
  met: { events: 0, quarantined: 0 },
  redriven: 0,
  since: null,
};

/** Pure. @param sources of all shards, in any order. */
export function addLedgers(
  shards: readonly ShardLedger[],
  sources: readonly SourceCounts[] = [],
  stored: StoredLedger = NOTHING_STORED,
): Ledger {
  const total = (of: (shard: ShardLedger) => number) => shards.reduce((sum, shard) => sum + of(shard), 0);
  const most = (of: (sink: SinkLedger) => number) =>
    Math.max(...SINKS.map((sink) => total((shard) => of(shard.sinks[sink]))));
  const moving = total((shard) => shard.moved_in - shard.moved_out);
  return {
    balanced: shards.every(
      (shard) =>
        shard.arrived + shard.moved_in ===
          shard.committed + shard.quarantined + shard.duplicates + shard.suppressed + shard.moved_out &&
        SINKS.every((sink) => shard.sinks[sink].balanced),
    ),
    total: {
      accepted: total((shard) => shard.accepted) + moving,
      duplicates: total((shard) => shard.duplicates),
      quarantined: total((shard) => shard.quarantined),
      suppressed: total((shard) => shard.suppressed),
      in_flight: most((sink) => sink.in_flight),
      holes: most((sink) => sink.holes),
      moving,
      late: total((shard) => shard.late),
      clock_skewed: total((shard) => shard.clock_skewed),
      gaps: total((shard) => shard.gaps),
      lake: total((shard) => shard.sinks.lake.applied),
      sessions: total((shard) => shard.sinks.sessions.applied),
      rollups: total((shard) => shard.sinks.rollups.applied),
    },
    today: {
      events: total(({ today }) => today.events),
      messages: total(({ today }) => today.messages),
      segments: total(({ today }) => today.segments),
      bytes: total(({ today }) => today.bytes),
    },
    stored,
    sources: addSources(sources),
    shards,
  };
}

function addSources(sources: readonly SourceCounts[]): SourceCounts[] {
  const sums = Array.from(
    Map.groupBy(sources, ({ source }) => source),
    ([source, some]) => {
      const sum = (of: (counts: SourceCounts) => number) => some.reduce((total, counts) => total + of(counts), 0);
      return {
        source,
        events: sum(({ events }) => events),
        duplicates: sum(({ duplicates }) => duplicates),
        late: sum(({ late }) => late),
        clock_skewed: sum(({ clock_skewed }) => clock_skewed),
      };
    },
  );
  return sums.sort((a, b) => b.events - a.events).slice(0, LOG.sources);
}
