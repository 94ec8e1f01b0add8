/** Each store against the rows that it must have, row by row. */
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { MinuteRollupApi, PartValue } from "../../durable-objects/minute-rollup/api.ts";
import { minuteDeltas } from "../../durable-objects/minute-rollup/minute-delta.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { SESSIONS_BUILDS_NAME } from "../../durable-objects/user-timeline/live-generation.ts";
import type { ProfileStoreApi } from "../../durable-objects/user-timeline/profile-api.ts";
import { nameIn, timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { subjectOf } from "../../queues/sessions/subjects.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { tableColumns } from "../../r2-layout/promoted-columns.ts";
import type { AuditEnv, Fail } from "./audit.ts";
import { auditProfile } from "./audit-profiles.ts";
import { codec } from "./codec/codec.ts";
import { decodeParquet } from "./codec/parquet-reader.ts";
import { type AddedColumns, withoutColumns } from "./columns.ts";
import type { LogModel, SinkRows } from "./log-model.ts";
import { IDENTITY_KEY, type World } from "./world.ts";

export async function auditLake(
  world: World,
  env: AuditEnv,
  expected: SinkRows,
  added: AddedColumns,
  fail: Fail,
): Promise<void> {
  const catalog = env.LAKE_CATALOG.getByName(LAKE_CATALOG_NAME);
  for (const table of ["events", "quarantine"] as const) {
    const { files, promoted = [] } = await catalog.plan({ table });
    const columns = tableColumns(table, promoted);
    if (table === "events" && promoted.length < added.size) fail(`lake: ${promoted.length} of ${added.size} columns`);
    const rows = files.flatMap(({ key, rows: count }) => {
      const object = world.bucket.objects.get(key);
      if (!object) {
        fail(`lake: ${key} is in the catalog and gone`);
        return [];
      }
      const decoded = decodeParquet(codec.parquet!, table, object.bytes, undefined, undefined, columns);
      if (decoded.length !== count) fail(`lake: ${key} has ${decoded.length} rows, the catalog says ${count}`);
      return Array.from({ length: decoded.length }, (_, i) => withoutColumns(decoded.row(i), promoted, added, fail));
    });
    compareRows(`lake ${table}`, rows, expected[table], fail);
  }
}

export async function auditTimelines(
  world: World,
  env: AuditEnv,
  events: readonly EventRow[],
  model: LogModel,
  fail: Fail,
): Promise<void> {
  const generation = await env.SINK_CURSOR.getByName(SESSIONS_BUILDS_NAME).liveGeneration();
  const bySubject = Map.groupBy(events, (event) => {
    const subject = subjectOf(event);
    return subject ? timelineName(IDENTITY_KEY, subject, generation) : "";
  });
  bySubject.delete("");
  /** Users that were seen on a device, by its timeline's name. */
  const usersOf = new Map<string, Set<string>>();
  for (const { user_id: user, anonymous_id: device } of events) {
    if (!user || !device) continue;
    const name = timelineName(IDENTITY_KEY, { kind: "device", id: device }, generation);
    usersOf.set(name, (usersOf.get(name) ?? new Set()).add(user));
  }
  // Of the live generation: a straggler may still write to one that has been let go, where nobody reads.
  const live = world.objects.names("UserTimeline").filter((name) => nameIn(generation, name.slice(0, 64)) === name);
  const names = new Set([...live, ...bySubject.keys(), ...usersOf.keys()]);
  for (const name of names) {
    const timeline = env.USER_TIMELINE.getByName(name);
    const where = `timeline ${name.slice(0, 8)}${name.slice(64)}`;
    const found: EventRow[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await timeline.events({ limit: 1_000, ...(cursor && { cursor }) });
      found.push(...page.events);
      if (page.next === null) break;
      cursor = page.next;
    }
    const expected = bySubject.get(name) ?? [];
    compareRows(where, found, expected, fail);
    const { users } = await timeline.users();
    const seen = usersOf.get(name) ?? new Set();
    // A correction, or a straggler, may leave a pointer to a user that is no longer there; none that is there goes unknown.
    const known = new Set(users.map(({ id }) => id));
    if (!seen.isSubsetOf(known) || (model.rules.length === 0 && known.size > seen.size)) {
      fail(`${where}: users ${users.map(({ id }) => id).join()}, not ${[...seen].join()}`);
    }
    const profile = await timeline.profile();
    if (profile.events !== expected.length) {
      fail(`${where}: its profile counts ${profile.events} of ${expected.length}`);
    }
    const counted = Object.values(profile.counts).reduce((sum, events) => sum + events, 0);
    if (counted !== expected.length) fail(`${where}: ${counted} events by name`);
    const profiles = env.USER_TIMELINE as unknown as ObjectNamespace<ProfileStoreApi>;
    await auditProfile(profiles, name, expected, fail);
    const sessions = await timeline.sessions(500);
    const inSessions = sessions.reduce((sum, session) => sum + session.events, 0);
    if (inSessions !== expected.length) fail(`${where}: ${inSessions} events in sessions`);
  }
}

const GRAINS = { hour: 3_600_000, day: 86_400_000 } as const;
const ALWAYS = { from: 0, to: Number.MAX_SAFE_INTEGER } as const;

export async function auditRollups(
  world: World,
  env: AuditEnv,
  events: readonly EventRow[],
  model: LogModel,
  fail: Fail,
): Promise<void> {
  for (let shard = 0; shard < world.shards; shard++) {
    const own = events.filter(({ log_shard }) => log_shard === shard);
    const rollup = env.MINUTE_ROLLUP.getByName(`core:${shardName(shard)}`);
    const status = await rollup.status();
    // What was applied; a rule takes nothing back from that.
    if (model.rules.length === 0 && status.events !== own.length) {
      fail(`rollups ${shard}: ${status.events} events, the log has ${own.length}`);
    }
    for (const grain of ["hour", "day"] as const) {
      for (const by of ["event_name", "country"] as const) {
        const found = await countsOf(rollup, grain, by);
        const expected = new Map<string, number>();
        for (const event of own) {
          const start = Math.floor(event.event_time / 1_000 / GRAINS[grain]) * GRAINS[grain];
          const key = `${start} ${event[by] ?? "(none)"}`;
          expected.set(key, (expected.get(key) ?? 0) + 1);
        }
        for (const key of new Set([...found.keys(), ...expected.keys()])) {
          const [there, due] = [found.get(key) ?? 0, expected.get(key) ?? 0];
          if (there !== due) fail(`rollups ${shard} by ${grain}: ${key} counts ${there}, not ${due}`);
        }
      }
    }
    const { parts } = await rollup.query({ metric: "revenue", grain: "day", ...ALWAYS });
    const revenue = parts
      .flatMap(({ values }) => values as readonly Extract<PartValue, { micro: bigint }>[])
      .reduce((sum, { micro }) => sum + micro, 0n);
    const paid = minuteDeltas(own).reduce((sum, { revenue: all }) => all.reduce((s, [, m]) => s + m, sum), 0n);
    if (revenue !== paid) fail(`rollups ${shard}: revenue ${revenue}, not ${paid}`);
  }
}

async function countsOf(
  rollup: MinuteRollupApi,
  grain: "hour" | "day",
  by: "event_name" | "country",
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { start, values } of (await rollup.query({ metric: "events", grain, by, ...ALWAYS })).parts) {
    for (const value of values as readonly Extract<PartValue, { events: number }>[]) {
      counts.set(`${start} ${value.key}`, value.events);
    }
  }
  return counts;
}

/** The same rows, whatever their order; a column without a value may be null or absent. */
function compareRows(where: string, found: readonly object[], expected: readonly object[], fail: Fail): void {
  const counted = (rows: readonly object[]) => {
    const counts = new Map<string, number>();
    for (const row of rows) {
      const text = canonical(row);
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    return counts;
  };
  const [foundCounts, expectedCounts] = [counted(found), counted(expected)];
  for (const [text, times] of expectedCounts) {
    const there = foundCounts.get(text) ?? 0;
    if (there !== times) fail(`${where}: ${there} times instead of ${times}: ${text}`);
  }
  for (const [text, times] of foundCounts) {
    if (!expectedCounts.has(text)) fail(`${where}: ${times} times too many: ${text}`);
  }
}

function canonical(row: object): string {
  const entries = Object.entries(row).filter(([, value]) => value !== null && value !== undefined);
  return JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
}
