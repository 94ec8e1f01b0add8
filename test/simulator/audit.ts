/**
 * What must hold once a world has settled. The log is compared with what was sent and acknowledged, each store with the
 * log, row by row; the ledger with the messages that the queues really took.
 */

import type { EventLogApi } from "../../durable-objects/event-log/api.ts";
import { readLedger } from "../../durable-objects/event-log/ledger.ts";
import type { LakeCatalogApi } from "../../durable-objects/lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { MinuteRollupApi, PartValue, RollupQuery } from "../../durable-objects/minute-rollup/api.ts";
import { minuteDeltas } from "../../durable-objects/minute-rollup/minute-delta.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { SINKS } from "../../durable-objects/sink-cursor/api.ts";
import type { UserTimelineApi } from "../../durable-objects/user-timeline/api.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { subjectOf } from "../../queues/sessions/subjects.ts";
import type { EventRow, QuarantineRow, TableName } from "../../r2-layout/event-columns.ts";
import { type MessageHeader, parseMessage } from "../../r2-layout/event-message.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { decodeSegment, decodeSegmentLines } from "../../r2-layout/segment.ts";
import { codec } from "./codec/codec.ts";
import { decodeParquet } from "./codec/parquet-reader.ts";
import type { Traffic } from "./traffic.ts";
import { IDENTITY_KEY, type World } from "./world.ts";

interface Env {
  readonly EVENT_LOG: ObjectNamespace<EventLogApi>;
  readonly SINK_CURSOR: ObjectNamespace<never>;
  readonly LAKE_CATALOG: ObjectNamespace<LakeCatalogApi>;
  readonly USER_TIMELINE: ObjectNamespace<UserTimelineApi>;
  readonly MINUTE_ROLLUP: ObjectNamespace<MinuteRollupApi>;
}

/** The log's rows of one shard. */
interface LoggedRows {
  readonly events: EventRow[];
  readonly quarantine: QuarantineRow[];
}

type Fail = (text: string) => void;

const ledgerOf = (env: Env, shards: number) =>
  readLedger({
    logs: env.EVENT_LOG,
    cursors: env.SINK_CURSOR,
    catalog: env.LAKE_CATALOG,
    shards,
  });

/** Whether a sink has still to read something. */
export async function isBehind(world: World): Promise<boolean> {
  const ledger = await world.ask((env) => ledgerOf(env as unknown as Env, world.shards));
  return ledger.shards.some(({ sinks }) => SINKS.some((sink) => sinks[sink].lag_segments > 0));
}

/** @returns what is wrong. */
export async function audit(world: World, traffic: Traffic): Promise<string[]> {
  const failures: string[] = [];
  const fail: Fail = (text) => {
    if (failures.length < 20) failures.push(text);
  };
  await world.ask(async (bindings) => {
    const env = bindings as unknown as Env;
    const logged = await readLog(world, env, traffic, fail);
    await auditLake(world, env, logged, fail);
    await auditTimelines(
      world,
      env,
      logged.flatMap(({ events }) => events),
      fail,
    );
    await auditRollups(env, logged, fail);
    await auditLedger(world, env, traffic, logged, fail);
  });
  return failures;
}

/** What was acknowledged is in the log once, what is in the log was sent. */
async function readLog(world: World, env: Env, traffic: Traffic, fail: Fail): Promise<LoggedRows[]> {
  const seen = new Map<string, string>();
  const shards: LoggedRows[] = [];
  for (let shard = 0; shard < world.shards; shard++) {
    const rows: LoggedRows = { events: [], quarantine: [] };
    shards.push(rows);
    const log = env.EVENT_LOG.getByName(shardName(shard));
    for (let after = 0; ; ) {
      const { segments, head } = await log.segments(after);
      for (const { seq, key, events, quarantined } of segments) {
        if (seq !== after + 1) fail(`log ${shard}: seq ${seq} follows ${after}`);
        after = seq;
        const object = world.bucket.objects.get(key);
        if (!object) {
          fail(`log ${shard}/${seq}: ${key} is gone`);
          continue;
        }
        const lines = decodeSegmentLines(object.bytes);
        const decoded = decodeSegment(object.bytes, { shard, seq });
        if (lines.length !== events || decoded.quarantine.length !== quarantined) {
          fail(`log ${shard}/${seq}: ${lines.length} lines, the row says ${events}`);
        }
        for (const line of lines) {
          const { row, q } = JSON.parse(line);
          const id = `${q ? "q" : "e"}\n${row.source}\n${row.event_id}`;
          const sent = traffic.sent.get(id);
          if (!sent?.lines.has(line)) fail(`log ${shard}/${seq}: a line that nobody sent: ${line}`);
          const before = seen.get(id);
          if (before) fail(`log ${shard}/${seq}: ${row.event_id} is there already, in ${before}`);
          seen.set(id, `${shard}/${seq}`);
        }
        rows.events.push(...decoded.events);
        rows.quarantine.push(...decoded.quarantine);
      }
      if (after >= head) break;
      if (segments.length === 0) {
        fail(`log ${shard}: nothing after ${after}, the head is ${head}`);
        break;
      }
    }
  }
  for (const { key, acknowledged } of traffic.sent.values()) {
    if (acknowledged && !seen.has(key)) fail(`acknowledged and not in the log: ${key.split("\n").at(-1)}`);
  }
  return shards;
}

async function auditLake(world: World, env: Env, logged: readonly LoggedRows[], fail: Fail): Promise<void> {
  const catalog = env.LAKE_CATALOG.getByName(LAKE_CATALOG_NAME);
  for (const table of ["events", "quarantine"] as const) {
    const { files } = await catalog.plan({ table });
    const rows = files.flatMap(({ key, rows: count }) => {
      const object = world.bucket.objects.get(key);
      if (!object) {
        fail(`lake: ${key} is in the catalog and gone`);
        return [];
      }
      const decoded = decodeParquet(codec.parquet!, table, object.bytes);
      if (decoded.length !== count) fail(`lake: ${key} has ${decoded.length} rows, the catalog says ${count}`);
      return Array.from({ length: decoded.length }, (_, i) => decoded.row(i));
    });
    compareRows(
      `lake ${table}`,
      rows,
      logged.flatMap((shard): readonly object[] => shard[table]),
      fail,
    );
  }
}

async function auditTimelines(world: World, env: Env, events: readonly EventRow[], fail: Fail): Promise<void> {
  const bySubject = Map.groupBy(events, (event) => {
    const subject = subjectOf(event);
    return subject ? timelineName(IDENTITY_KEY, subject) : "";
  });
  bySubject.delete("");
  /** Users that were seen on a device, by its timeline's name. */
  const usersOf = new Map<string, Set<string>>();
  for (const { user_id: user, anonymous_id: device } of events) {
    if (!user || !device) continue;
    const name = timelineName(IDENTITY_KEY, { kind: "device", id: device });
    usersOf.set(name, (usersOf.get(name) ?? new Set()).add(user));
  }
  const names = new Set([...world.objects.names("UserTimeline"), ...bySubject.keys(), ...usersOf.keys()]);
  for (const name of names) {
    const timeline = env.USER_TIMELINE.getByName(name);
    const found: EventRow[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await timeline.events({ limit: 1_000, ...(cursor && { cursor }) });
      found.push(...page.events);
      if (page.next === null) break;
      cursor = page.next;
    }
    const expected = bySubject.get(name) ?? [];
    compareRows(`timeline ${name.slice(0, 8)}`, found, expected, fail);
    const { users } = await timeline.users();
    const seen = usersOf.get(name) ?? new Set();
    if (users.length !== seen.size || users.some(({ id }) => !seen.has(id))) {
      fail(`timeline ${name.slice(0, 8)}: users ${users.map(({ id }) => id).join()}, not ${[...seen].join()}`);
    }
    const profile = await timeline.profile();
    if (profile.events !== expected.length) {
      fail(`timeline ${name.slice(0, 8)}: its profile counts ${profile.events} of ${expected.length}`);
    }
    const sessions = await timeline.sessions(500);
    const inSessions = sessions.reduce((sum, session) => sum + session.events, 0);
    if (inSessions !== expected.length) fail(`timeline ${name.slice(0, 8)}: ${inSessions} events in sessions`);
  }
}

const GRAINS = { hour: 3_600_000, day: 86_400_000 } as const;

async function auditRollups(env: Env, logged: readonly LoggedRows[], fail: Fail): Promise<void> {
  for (const [shard, { events }] of logged.entries()) {
    const rollup = env.MINUTE_ROLLUP.getByName(`core:${shardName(shard)}`);
    const status = await rollup.status();
    if (status.events !== events.length)
      fail(`rollups ${shard}: ${status.events} events, the log has ${events.length}`);
    for (const grain of ["hour", "day"] as const) {
      for (const by of ["event_name", "country"] as const) {
        const query: RollupQuery = { metric: "events", grain, from: 0, to: Number.MAX_SAFE_INTEGER, by };
        const found = new Map<string, number>();
        for (const { start, values } of (await rollup.query(query)).parts) {
          for (const value of values as readonly Extract<PartValue, { events: number }>[]) {
            found.set(`${start} ${value.key}`, value.events);
          }
        }
        const expected = new Map<string, number>();
        for (const event of events) {
          const start = Math.floor(event.event_time / 1_000 / GRAINS[grain]) * GRAINS[grain];
          const key = `${start} ${event[by] ?? "(none)"}`;
          expected.set(key, (expected.get(key) ?? 0) + 1);
        }
        for (const key of new Set([...found.keys(), ...expected.keys()])) {
          if ((found.get(key) ?? 0) !== (expected.get(key) ?? 0)) {
            fail(`rollups ${shard} by ${grain}: ${key} counts ${found.get(key) ?? 0}, not ${expected.get(key) ?? 0}`);
          }
        }
      }
    }
    const revenue = (
      await rollup.query({ metric: "revenue", grain: "day", from: 0, to: Number.MAX_SAFE_INTEGER })
    ).parts
      .flatMap(({ values }) => values as readonly Extract<PartValue, { micro: bigint }>[])
      .reduce((sum, { micro }) => sum + micro, 0n);
    const paid = minuteDeltas(events).reduce((sum, { revenue: all }) => all.reduce((s, [, m]) => s + m, sum), 0n);
    if (revenue !== paid) fail(`rollups ${shard}: revenue ${revenue}, not ${paid}`);
  }
}

/** The queues know which messages there were; from that follows what must stand in the ledger. */
async function auditLedger(
  world: World,
  env: Env,
  traffic: Traffic,
  logged: readonly LoggedRows[],
  fail: Fail,
): Promise<void> {
  const ledger = await ledgerOf(env, world.shards);
  if (!ledger.balanced) fail(`ledger: not balanced: ${JSON.stringify(ledger)}`);
  let duplicates = 0;
  for (const { shard, ...found } of ledger.shards) {
    const { events, quarantine } = logged[shard]!;
    const { accepted, arrived } = expectedOf(world, traffic, shard, fail);
    const owed = accepted - arrived;
    const expected = {
      accepted,
      arrived,
      committed: events.length,
      quarantined: quarantine.length,
    };
    duplicates += arrived - events.length - quarantine.length;
    for (const [term, value] of Object.entries(expected)) {
      const told = found[term as keyof typeof expected];
      if (told !== value) fail(`ledger ${shard}: ${term} ${told}, not ${value}`);
    }
    for (const sink of SINKS) {
      const { in_flight, applied } = found.sinks[sink];
      if (in_flight !== owed) fail(`ledger ${shard}: ${sink} in flight ${in_flight}, not ${owed}`);
      if (applied !== events.length) fail(`ledger ${shard}: ${sink} applied ${applied}, not ${events.length}`);
    }
  }
  const { total } = ledger;
  if (total.duplicates !== duplicates) fail(`ledger: ${total.duplicates} duplicates, not ${duplicates}`);
  if (total.moving !== 0) fail(`ledger: ${total.moving} events still move between shards`);
}

/** What the edges' numbers say once every message has arrived that its queue took. */
function expectedOf(world: World, traffic: Traffic, shard: number, fail: Fail): { accepted: number; arrived: number } {
  const byEdge = new Map<string, Map<number, MessageHeader>>();
  for (const body of world.queues.queue(`events-${shard}`).taken) {
    const message = parseMessage(body);
    if (!message.ok) continue;
    const { header } = message.value;
    const numbers = byEdge.get(header.edge) ?? new Map<number, MessageHeader>();
    byEdge.set(header.edge, numbers.set(header.n, header));
  }
  let accepted = 0;
  let arrived = 0;
  for (const [edge, numbers] of byEdge) {
    const last = numbers.get(Math.max(...numbers.keys()))!;
    accepted += last.before + last.events;
    const voided = new Map([...numbers.values()].flatMap((header) => header.void ?? []));
    for (const [number, events] of voided) if (!numbers.has(number)) accepted -= events;
    for (const { events } of numbers.values()) arrived += events;
    if (!traffic.isAlive(edge)) continue;
    for (let n = 1; n < last.n; n++) {
      if (!numbers.has(n) && !voided.has(n)) fail(`${edge} never said that its message ${n} to shard ${shard} failed`);
    }
  }
  return { accepted, arrived };
}

/** The same rows, whatever their order; a column without a value may be null or absent. */
function compareRows(where: string, found: readonly object[], expected: readonly object[], fail: Fail): void {
  const count = (rows: readonly object[]) => {
    const counts = new Map<string, number>();
    for (const row of rows) {
      const text = canonical(row);
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    return counts;
  };
  const [foundCounts, expectedCounts] = [count(found), count(expected)];
  for (const [text, times] of expectedCounts) {
    const there = foundCounts.get(text) ?? 0;
    if (there !== times) fail(`${where}: ${there} times instead of ${times}: ${text}`);
  }
  for (const [text, times] of foundCounts)
    if (!expectedCounts.has(text)) fail(`${where}: ${times} times too many: ${text}`);
}

function canonical(row: object): string {
  const entries = Object.entries(row).filter(([, value]) => value !== null && value !== undefined);
  return JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
}

export type { TableName };
