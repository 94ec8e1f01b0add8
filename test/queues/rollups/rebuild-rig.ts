/** A small log in memory, the real objects behind it, and a driver that walks a rebuild, crashed at will. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { EventLogPlacesApi, EventLogRulesApi } from "../../../durable-objects/event-log/api.ts";
import { DIMENSIONS, GRAINS, type Grain } from "../../../durable-objects/minute-rollup/api.ts";
import type { RolledEvent } from "../../../durable-objects/minute-rollup/minute-delta.ts";
import type { MinuteRollup } from "../../../durable-objects/minute-rollup/minute-rollup.ts";
import { decodeRow, type RollupRow } from "../../../durable-objects/minute-rollup/rollup-row.ts";
import { encodeSketch } from "../../../durable-objects/minute-rollup/user-sketch.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { SinkCursor } from "../../../durable-objects/sink-cursor/sink-cursor.ts";
import type { ReplayJob, ReplayTarget } from "../../../queues/replay/target.ts";
import { createRollupsRebuild, type RollupsRebuildOptions } from "../../../queues/rollups/rebuild.ts";
import { createRollupsSink } from "../../../queues/rollups/sink.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { type Rule, type RuleAt, rulesReader } from "../../../r2-layout/rule.ts";
import type { Fault } from "../log-rig.ts";

export const { MINUTE_ROLLUP: rollups, SINK_CURSOR: cursors } = env as unknown as {
  MINUTE_ROLLUP: DurableObjectNamespace<MinuteRollup>;
  SINK_CURSOR: DurableObjectNamespace<SinkCursor>;
};

interface Segment {
  readonly rows: readonly EventRow[];
  /** Milliseconds. */
  readonly receivedAt: number;
}

/** One shard's log. Seq 1 is the first segment. */
export class TestLog {
  readonly segments: Segment[] = [];
  readonly rules: RuleAt[] = [];
  readonly shard: number;

  constructor(shard: number) {
    this.shard = shard;
  }

  get head(): number {
    return this.segments.length;
  }

  append(events: readonly RolledEvent[], receivedAt: number): void {
    const seq = this.head + 1;
    const rows = events.map((event, i) => ({
      event_id: `${this.shard}/${seq}/${i}`,
      event_type: "track",
      source: "shop",
      received_at: receivedAt * 1_000,
      properties: {},
      ...event,
      log_shard: this.shard,
      log_seq: seq,
    })) as EventRow[];
    this.segments.push({ rows, receivedAt });
  }

  raise(rule: Omit<Rule, "version" | "createdAt">): number {
    this.segments.push({ rows: [], receivedAt: 0 });
    const version = this.rules.length + 1;
    this.rules.push({ ...rule, version, createdAt: 0, seq: this.head });
    return version;
  }

  /** As they are after the rules up to a version. */
  rows(after: number, to: number, version = this.rules.length): EventRow[] {
    const read = rulesReader(this.rules.slice(0, version));
    return this.segments.slice(after, to).flatMap(({ rows }) => rows.flatMap((row) => read(row) ?? []));
  }

  api(): Pick<EventLogPlacesApi, "between"> & Pick<EventLogRulesApi, "rules"> {
    return {
      between: async (from, to) => {
        const found = this.segments.flatMap(({ receivedAt }, i) =>
          receivedAt >= from && receivedAt < to ? [i + 1] : [],
        );
        const range = found.length > 0 ? { from: found[0]!, to: found.at(-1)! } : null;
        return { oldest: 1, head: this.head, range };
      },
      rules: async () => ({ version: this.rules.length, rules: this.rules }),
    };
  }
}

export const rollupOf = (shard: number) => rollups.getByName(`core:${shardName(shard)}`);
const cursorOf = (shard: number) => cursors.getByName(`rollups:${shardName(shard)}`);

/** The live sink applies the log on from its cursor. @param segments at most so many @throws what the sink throws */
export async function drainLive(log: TestLog, segments = Number.POSITIVE_INFINITY, completeUntil = 0): Promise<void> {
  const sink = createRollupsSink({ cursors, rollups });
  const { shard } = log;
  const lease = (await sink.lease(shard, "live"))!;
  const to = Math.min(log.head, lease.cursor + segments);
  const rules = log.rules.length;
  if (to > lease.cursor) {
    const events = log.rows(lease.cursor, to);
    const applied = { events: events.length, quarantined: 0 };
    await sink.apply({
      shard,
      token: lease.token,
      from: lease.cursor,
      to,
      completeUntil,
      events,
      quarantine: [],
      applied,
      rules,
    });
  } else await sink.tick!(shard, lease.cursor, completeUntil);
  await sink.release(shard, lease.token);
}

export const appliedTo = async (shard: number) => (await cursorOf(shard).status()).cursor;

/** Every call of the target through the faults, as calls to objects and as a crash of the caller. */
export function targetOf(logs: readonly TestLog[], faults: readonly Fault[] = [], options: RollupsRebuildOptions = {}) {
  const faulty = (name: string) => {
    const real = rollups.getByName(name) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    return new Proxy(real, {
      get:
        (_, method: string) =>
        (...args: unknown[]) =>
          faults.reduce<() => Promise<unknown>>(
            (inner, fault) => () => fault.around(inner),
            () => real[method]!(...args),
          )(),
    });
  };
  const namespace = { getByName: faulty } as unknown as ObjectNamespace<MinuteRollup>;
  const named = { getByName: (name: string) => logOf(logs, Number(name)).api() };
  const shards = logs.map(({ shard }) => shard);
  return createRollupsRebuild({ rollups: namespace, cursors, logs: named }, { shards, ...options });
}

const logOf = (logs: readonly TestLog[], shard: number) => logs.find((log) => log.shard === shard)!;

export const jobOf = (
  id: string,
  logs: readonly TestLog[],
  window: { from: number; to: number } | null = null,
): ReplayJob => ({
  id,
  shards: logs.length,
  from: window?.from ?? null,
  to: window?.to ?? null,
  range: null,
});

/** Makes a call until it gets through, as a driver does that was killed: injected faults only. */
export async function again<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!String(error).includes("injected")) throw error;
    }
  }
}

/**
 * Plans, adds and plans again until the build has met the live store. The cut of a step is noted before it is added, so that it comes again as it
 * was. @param between called before each call
 */
export async function build(
  target: ReplayTarget,
  job: ReplayJob,
  logs: readonly TestLog[],
  stepSegments: number,
  between: () => Promise<void> = async () => {},
): Promise<void> {
  const steps = new Map<number, number>();
  for (;;) {
    await between();
    const reads = await again(() => target.plan(job));
    if (reads.length === 0) return;
    for (const { shard, after, to, window } of reads) {
      for (let from = after; from < to; from += stepSegments) {
        const step = (steps.get(shard) ?? 0) + 1;
        steps.set(shard, step);
        const until = Math.min(to, from + stepSegments);
        const log = logOf(logs, shard);
        await between();
        await again(() => {
          const events = log
            .rows(from, until)
            .filter(({ event_time: us }) => !window || (us >= window.from * 1_000 && us < window.to * 1_000));
          return target.add(job, { shard, step, from, to: until, rules: log.rules.length, events, quarantine: [] });
        });
      }
    }
  }
}

const TABLES = { minute: "minutes", hour: "hours", day: "days" } as const;

/** All rows as they lie in SQLite, by grain and start. */
export function bytesOf(shard: number): Promise<Map<string, string>> {
  return runInDurableObject(rollupOf(shard), (_, { storage }) => {
    const rows = GRAINS.flatMap((grain) =>
      storage.sql
        .exec<RollupRow & { start: number; version: number }>(`SELECT * FROM ${TABLES[grain]} ORDER BY start`)
        .toArray()
        .map(
          (row) =>
            [
              `${grain} ${row.start}`,
              JSON.stringify({ ...row, users: Buffer.from(row.users).toString("hex") }),
            ] as const,
        ),
    );
    return new Map(rows);
  });
}

/** What the rows say, by grain and start: not in which order it came together, nor in which version. Rows that say nothing are left out. */
export function statesOf(shard: number): Promise<Map<string, unknown>> {
  return runInDurableObject(rollupOf(shard), (_, { storage }) => {
    const states = new Map<string, unknown>();
    for (const grain of GRAINS) {
      for (const row of storage.sql.exec<RollupRow & { start: number }>(
        `SELECT * FROM ${TABLES[grain]} ORDER BY start`,
      )) {
        if (row.events > 0) states.set(`${grain} ${row.start}`, canonical(row));
      }
    }
    return states;
  });
}

export function versionsOf(shard: number, grain: Grain): Promise<Map<number, number>> {
  return runInDurableObject(rollupOf(shard), (_, { storage }) => {
    const rows = storage.sql.exec<{ start: number; version: number }>(`SELECT start, version FROM ${TABLES[grain]}`);
    return new Map(rows.toArray().map(({ start, version }) => [start, version]));
  });
}

function canonical(row: RollupRow) {
  const state = decodeRow(row);
  const sorted = <V>(map: Map<string, V>) => [...map].sort(([one], [other]) => (one < other ? -1 : 1));
  return {
    events: state.events,
    revenue: sorted(state.revenue).map(([currency, micro]) => [currency, String(micro)]),
    users: Buffer.from(encodeSketch(state.users)).toString("hex"),
    by: DIMENSIONS.map((dimension) =>
      sorted(state.by[dimension].values).map(([key, { events, revenue }]) => [
        key,
        events,
        revenue && sorted(revenue).map(([currency, micro]) => [currency, String(micro)]),
      ]),
    ),
  };
}

/** All that the object has is gone, and its instance with it. */
export async function wipe(shard: number): Promise<void> {
  await runInDurableObject(rollupOf(shard), (_, { storage }) => storage.deleteAll());
  await evictDurableObject(rollupOf(shard));
}
