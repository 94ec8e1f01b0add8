/**
 * Live traffic first: a job works for its share of the time (`REPLAY.duty`), and pauses after each step, unless there is
 * nobody to make room for. And before a slice of reading it looks whether live sinks lag. One that lags and moves is short
 * of what the job would take, so the job stands back; one that lags and stands still is down, and would gain nothing by it.
 * After `REPLAY.standBackMaxMs` one slice goes on all the same, so that a job always comes to its end.
 */
import type { EventLogApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { SINKS, type SinkName } from "../../durable-objects/sink-cursor/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { REPLAY, SECOND_MS } from "../../r2-layout/limits.ts";

/** What was seen before the last slice. */
export interface Looks {
  /** Milliseconds since when the job has been standing back without a slice; null while it works. */
  readonly since: number | null;
  /** By `<sink>:<shard>`: the cursor. */
  readonly cursors: Readonly<Record<string, number>>;
}

export const NO_LOOKS: Looks = { since: null, cursors: {} };

export interface SinkLag {
  readonly sink: SinkName;
  readonly shard: number;
  readonly cursor: number;
  readonly lagMs: number;
}

/** Pure. @returns what to wait for, in words, or null to go on. */
export function standBack(
  before: Looks,
  lags: readonly SinkLag[],
  nowMs: number,
): { why: string | null; looks: Looks } {
  const cursors = Object.fromEntries(lags.map(({ sink, shard, cursor }) => [`${sink}:${shard}`, cursor]));
  const starved = lags.find(({ sink, shard, cursor, lagMs }) => {
    const seen = before.cursors[`${sink}:${shard}`];
    return lagMs > REPLAY.liveLagMs && (seen === undefined || cursor > seen);
  });
  const since = before.since ?? nowMs;
  if (!starved || nowMs - since >= REPLAY.standBackMaxMs) return { why: null, looks: { since: null, cursors } };
  const seconds = Math.round(starved.lagMs / SECOND_MS);
  return {
    why: `live traffic: ${starved.sink} of shard ${starved.shard} lags ${seconds} s`,
    looks: { since, cursors },
  };
}

export interface LiveTraffic {
  readonly lags: readonly SinkLag[];
  /** Milliseconds: the newest commit. */
  readonly committedAt: number;
}

/** The lag of each sink in a few shards; every shard has its turn. */
export async function readTraffic(
  logs: ObjectNamespace<Pick<EventLogApi, "status" | "tally">>,
  shards: number,
  nowMs: number,
): Promise<LiveTraffic> {
  const asked = Math.min(shards, REPLAY.lagShards);
  const first = Math.floor(nowMs / SECOND_MS) % shards;
  const some = Array.from({ length: asked }, (_, i) => (first + i) % shards);
  const seen = await Promise.all(
    some.map(async (shard) => {
      const log = logs.getByName(shardName(shard));
      const { cursors, committed_at } = await log.status();
      const { past } = await log.tally(cursors);
      const lags = SINKS.map((sink) => {
        const since = past[sink]?.since ?? null;
        return { sink, shard, cursor: cursors[sink] ?? 0, lagMs: since === null ? 0 : Math.max(0, nowMs - since) };
      });
      return { lags, committed_at };
    }),
  );
  return {
    lags: seen.flatMap(({ lags }) => lags),
    committedAt: Math.max(0, ...seen.map(({ committed_at }) => committed_at)),
  };
}
