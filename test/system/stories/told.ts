/** What a story's people do, in few words: producers send, analysts and support ask, an operator starts jobs. */
import { expect } from "vitest";
import { HOUR_MS, MINUTE_MS, SQL } from "../../../r2-layout/limits.ts";
import { control } from "../../../scripts/local/running-system.ts";
import { ORIGIN_HEADERS, type RunningSystem, type SqlAnswer, until } from "../harness.ts";

const YEARS_OF_MINUTES = 60 * 24 * 366;
const JOB_WAIT_MS = 60_000;
/** A token may ask so often, however quick the answers are; some questions are left for the others of its story. */
const ASK_EVERY_MS = MINUTE_MS / (SQL.statementsPerMinute - 100);

/** For who asks SQL on and on. */
export const nextAsk = () => new Promise<void>((next) => setTimeout(next, ASK_EVERY_MS));

export interface Sent {
  readonly messageId: string;
  readonly anonymousId: string;
  readonly userId?: string;
  /** Milliseconds, the device's clock. */
  readonly at?: number;
  readonly event?: string;
  readonly appVersion?: string;
  /** Euros. */
  readonly revenue?: number;
}

/** As an app sends them through Segment's API; all of them have to be accepted. @param query as `?republish=fix-1` */
export async function send(system: RunningSystem, events: readonly Sent[], query = ""): Promise<void> {
  const response = await fetch(`${system.url}/v1/batch${query}`, {
    method: "POST",
    headers: ORIGIN_HEADERS.write,
    body: JSON.stringify({ batch: events.map(segmentEvent) }),
  });
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ accepted: events.length });
}

function segmentEvent({ at, event = "Order Completed", appVersion, revenue, ...ids }: Sent) {
  return {
    type: "track",
    event,
    ...ids,
    ...(at !== undefined && { timestamp: new Date(at).toISOString() }),
    ...(appVersion !== undefined && { context: { app: { name: "Shop", version: appVersion } } }),
    ...(revenue !== undefined && { properties: { revenue, currency: "EUR" } }),
  };
}

export const hourOf = (ms: number): number => Math.floor(ms / HOUR_MS) * HOUR_MS;
export const iso = (ms: number): string => new Date(ms).toISOString();
/** Ids of events, as `name-0`, `name-1`, … */
export const idsOf = (events: readonly Sent[]): string[] => events.map(({ messageId }) => messageId).toSorted();

/** `count` events, evenly over a time. */
export function evenly(count: number, from: number, to: number, event: (at: number, i: number) => Sent): Sent[] {
  return Array.from({ length: count }, (_, i) => event(from + Math.floor(((to - from) * i) / count), i));
}

export async function sqlIds(system: RunningSystem, where: string, asOf?: number): Promise<string[]> {
  const { rows } = await system.read<SqlAnswer>("/v1/sql", {
    sql: `select event_id from events where ${where} order by 1`,
    format: "json",
    ...(asOf !== undefined && { as_of: asOf }),
  });
  return rows.map(([id]) => String(id));
}

export const deviceIds = (system: RunningSystem, device: string) => timelineIds(system, "devices", device);
export const userIds = (system: RunningSystem, user: string) => timelineIds(system, "users", user);

async function timelineIds(system: RunningSystem, kind: "users" | "devices", id: string): Promise<string[]> {
  const query = { limit: 1_000, minutes: YEARS_OF_MINUTES };
  const page = await (kind === "users" ? system.userEvents(id, query) : system.deviceEvents(id, query));
  expect(page.next).toBeNull();
  return page.events.map(({ event_id }) => String(event_id)).toSorted();
}

export interface Point {
  readonly start: string;
  readonly key: Readonly<Record<string, string>>;
  readonly value: number;
  readonly state: string;
  readonly version: number;
}

/** Every figure of a time that the rollups can tell, by what it was asked for. */
export async function figures(
  system: RunningSystem,
  from: number,
  to: number,
  grains: readonly string[] = ["minute", "hour", "day"],
): Promise<ReadonlyMap<string, Point>> {
  const all = new Map<string, Point>();
  const day = 24 * HOUR_MS;
  const days = { from: iso(Math.floor(from / day) * day), to: iso(Math.ceil(to / day) * day) };
  for (const metric of ["events", "users", "revenue"]) {
    for (const grain of grains) {
      for (const by of metric === "users" ? [""] : ["", "event_name"]) {
        const range = grain === "day" ? days : { from: iso(from), to: iso(to) };
        const points = (await system.rollups({ metric, grain, ...range, ...(by && { by }) })) as readonly Point[];
        for (const point of points) all.set(`${metric} ${grain} ${point.start} ${JSON.stringify(point.key)}`, point);
      }
    }
  }
  return all;
}

/** Events of this name in the days since a time, as the rollups count them. */
export async function countedAs(system: RunningSystem, event: string, since: number): Promise<number> {
  const points = await system.rollups({ metric: "events", grain: "day", by: "event_name", from: iso(since) });
  return points.filter(({ key }) => key.event_name === event).reduce((sum, { value }) => sum + value, 0);
}

export interface Change {
  readonly minute: string;
  readonly version: number;
  readonly reason: string;
  readonly job: string | null;
  readonly events: number;
  readonly revenue: Readonly<Record<string, number>>;
}

/** What changed in minutes of that time that were final. */
export async function changes(system: RunningSystem, from: number, to: number): Promise<readonly Change[]> {
  const query = new URLSearchParams({ from: iso(from), to: iso(to), limit: "1000" });
  return (await system.read<{ changes: Change[] }>(`/v1/rollups/changes?${query}`)).changes;
}

export interface Job {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly outcome: string | null;
  readonly error: string | null;
  readonly comparison:
    | readonly { readonly sink: string; readonly identical: boolean; readonly before: number; readonly after: number }[]
    | null;
}
export interface Correction extends Job {
  readonly count: number;
  readonly as_of: number;
  readonly samples: readonly Readonly<Record<"before" | "after", Readonly<Record<string, unknown>>>>[];
  readonly rules: { readonly snapshot_before: number; readonly snapshot_after: number } | null;
}

/** Waits until it has ended, or waits for somebody. */
export async function restOf<T extends Job>(
  system: RunningSystem,
  path: "replays" | "corrections",
  job: T,
): Promise<T> {
  let now = job;
  await until(`${path} ${job.id} rests`, JOB_WAIT_MS, async () => {
    now = await system.read<T>(`/v1/${path}/${job.id}`);
    return !["running", "confirming", "reverting"].includes(now.state);
  });
  return now;
}

/** Starts a job and waits for it. */
export async function replay(system: RunningSystem, request: object): Promise<Job> {
  return restOf(system, "replays", await system.read<Job>("/v1/replays", request));
}

export async function confirm<T extends Job>(
  system: RunningSystem,
  path: "replays" | "corrections",
  job: T,
): Promise<T> {
  await system.read(`/v1/${path}/${job.id}/confirm`, {});
  const done = await restOf(system, path, job);
  expect(done).toMatchObject({ state: "done", error: null });
  return done;
}

/** Builds all three stores anew from the log, and swaps them in. */
export async function rebuildAll(system: RunningSystem): Promise<void> {
  const built = await replay(system, { sinks: ["lake", "sessions", "rollups"], mode: "rebuild" });
  expect(built.state).toBe("waiting_for_confirmation");
  expect(built.comparison?.map(({ sink, identical }) => [sink, identical])).toEqual(
    ["lake", "sessions", "rollups"].map((sink) => [sink, true]),
  );
  await confirm(system, "replays", built);
}

/** A time in whole minutes that has no traffic but a story's own. */
export const quietHour = (hoursAgo: number): number => hourOf(Date.now()) - hoursAgo * HOUR_MS + 5 * MINUTE_MS;

/** Runs the minute's cron until so many settlements are done, and once more: whatever it finds to do is done. */
export async function settlements(system: RunningSystem, atLeast: number): Promise<readonly Job[]> {
  let done: readonly Job[] = [];
  await until(`${atLeast} settlements`, JOB_WAIT_MS, async () => {
    await control("POST", "/local/cron", undefined, system.url);
    const { replays } = await system.read<{ replays: Job[] }>("/v1/replays?limit=200");
    done = replays.filter(({ kind }) => kind === "settlement");
    return done.length >= atLeast && done.every(({ state }) => state === "done");
  });
  return done;
}
