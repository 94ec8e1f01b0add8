/** What tests of the sessions' rebuilds share: a log in memory, live drains, and a driver that steps through a job. */
import { env } from "cloudflare:workers";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { SinkCursor } from "../../../durable-objects/sink-cursor/sink-cursor.ts";
import type { Subject } from "../../../durable-objects/user-timeline/api.ts";
import { readDeviceEvents } from "../../../durable-objects/user-timeline/device-view.ts";
import { timelineName } from "../../../durable-objects/user-timeline/timeline-name.ts";
import type { UserTimeline } from "../../../durable-objects/user-timeline/user-timeline.ts";
import type { More, ReplayJob, ReplayTarget } from "../../../queues/replay/target.ts";
import { createSessionsRebuild } from "../../../queues/sessions/rebuild.ts";
import { createSessionsSink } from "../../../queues/sessions/sink.ts";
import type { BuildDeps } from "../../../queues/sessions/whole-build.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { SINK } from "../../../r2-layout/limits.ts";
import { formatLogLine } from "../../../r2-layout/log-line.ts";
import type { SegmentRef } from "../../../r2-layout/segment.ts";
import { encodeSegment } from "../../../r2-layout/segment.ts";
import { bindings } from "../../bindings.ts";
import { plainEvent } from "../../durable-objects/user-timeline/events.ts";
import type { Fault } from "../log-rig.ts";

export const { SINK_CURSOR: cursors, USER_TIMELINE: timelines } = env as unknown as {
  SINK_CURSOR: DurableObjectNamespace<SinkCursor>;
  USER_TIMELINE: DurableObjectNamespace<UserTimeline>;
};
export const identityKey = "test-identity-key";
export const cursorOf = (shard: number) => cursors.getByName(`sessions:${String(shard).padStart(3, "0")}`);
export const liveGeneration = () => cursors.getByName("sessions").liveGeneration();
export const timelineOf = (subject: Subject, generation = 0) =>
  timelines.getByName(timelineName(identityKey, subject, generation));

/** Every event of the log, each with its shard and seq, and as segments in R2. */
export class TestLog {
  readonly rows: EventRow[] = [];
  readonly heads: number[];
  readonly #segments: SegmentRef[][];
  readonly turned: number[] = [];

  constructor(shards: number) {
    this.heads = new Array<number>(shards).fill(0);
    this.#segments = this.heads.map(() => []);
  }

  /** One segment. */
  async commit(shard: number, given: readonly Partial<EventRow>[]): Promise<void> {
    const seq = ++this.heads[shard]!;
    const rows = given.map((row, i) => {
      const n = this.rows.length + i;
      const at = Date.now() * 1_000 - 1_000_000_000 + n * 1_000_000;
      return plainEvent({ event_id: `e${n}`, event_time: at, log_shard: shard, log_seq: seq, ...row });
    });
    this.rows.push(...rows);
    const body = encodeSegment(rows.map(({ log_shard, log_seq, ...row }) => formatLogLine({ raw: {}, row, d: 1 })));
    const key = `log/test-${shard}-${seq}`;
    await bindings.BUCKET.put(key, body);
    const counts = { bytes: body.byteLength, events: rows.length, quarantined: 0 };
    this.#segments[shard]!.push({ seq, key, ...counts, minReceivedAt: 0, maxReceivedAt: 0, committedAt: 0 });
  }

  read(shard: number, after: number, to: number): EventRow[] {
    return this.rows.filter(({ log_shard, log_seq }) => log_shard === shard && log_seq > after && log_seq <= to);
  }

  namespace(): BuildDeps["logs"] {
    return {
      getByName: (name) => ({
        status: async () => ({ head: this.heads[Number(name)]! }) as never,
        count: async (after, to = Number.POSITIVE_INFINITY) => ({
          events: this.read(Number(name), after, to).length,
          quarantined: 0,
        }),
        segments: async (after) => ({
          head: this.heads[Number(name)]!,
          asOf: 0,
          segments: this.#segments[Number(name)]!.filter(({ seq }) => seq > after),
        }),
        rules: async () => ({ version: 0, rules: [] }),
        between: async () => ({
          oldest: 1,
          head: this.heads[Number(name)]!,
          range: { from: 1, to: this.heads[Number(name)]! },
        }),
        turned: async (_sink, seq) => {
          this.turned[Number(name)] = seq;
        },
      }),
    };
  }
}

/** Every call of every object of a namespace passes the fault. */
export function faulty<Api extends object>(namespace: ObjectNamespace<Api>, fault: Fault): ObjectNamespace<Api> {
  const around = (object: Api): Api =>
    new Proxy({} as Api, {
      get: (_, method) => (method === "then" ? undefined : callOf(object, method)),
    });
  const callOf =
    (object: Api, method: string | symbol) =>
    (...args: unknown[]) =>
      fault.around(async () => (object as Record<typeof method, (...given: unknown[]) => unknown>)[method]!(...args));
  return { getByName: (name) => around(namespace.getByName(name)) };
}

export function depsOf(log: TestLog, more: Partial<BuildDeps> = {}): BuildDeps {
  return {
    ...{ cursors, timelines, identityKey, logs: log.namespace(), bucket: bindings.BUCKET },
    calls: { left: SINK.callsPerInvocation },
    // A swap is old enough at once.
    now: () => Date.now() + 3_600_000,
    ...more,
  };
}

export const target = (log: TestLog, more: Partial<BuildDeps> = {}): ReplayTarget =>
  createSessionsRebuild(depsOf(log, more));

export const jobOf = (id: string, log: TestLog, more: Partial<ReplayJob> = {}): ReplayJob => ({
  ...{ id, shards: log.heads.length, from: null, to: null, range: null },
  ...more,
});

/** The live sink, on from its cursor up to a seq. */
export async function drain(log: TestLog, shard: number, to = log.heads[shard]!): Promise<void> {
  const sink = createSessionsSink({ cursors, builds: cursors, timelines, identityKey });
  const lease = (await sink.lease(shard, crypto.randomUUID()))!;
  const { cursor: from, token, generation = 0 } = lease;
  const events = log.read(shard, from, to);
  const applied = { events: events.length, quarantined: 0 };
  if (to > from)
    await sink.apply({ shard, token, generation, from, to, completeUntil: 0, events, quarantine: [], applied });
  await sink.release(shard, token);
}

/** Calls until it is no longer "more", each time as in an invocation of its own. */
export async function untilDone<T>(call: () => Promise<T | More>): Promise<Exclude<T, More>> {
  for (let calls = 0; calls < 200; calls++) {
    const answer = await call();
    if (answer !== "more") return answer as Exclude<T, More>;
  }
  throw new Error("there is always more");
}

/** Plans, reads and adds until nothing is left. @param segments of one step */
export async function buildAll(job: ReplayJob, log: TestLog, make: () => ReplayTarget, segments = 2): Promise<void> {
  for (let plans = 0; plans < 20; plans++) {
    const reads = await make().plan(job);
    if (reads.length === 0) return;
    for (const { shard, after, to, steps } of reads) {
      for (let from = after, step = steps + 1; from < to; from = Math.min(to, from + segments), step++) {
        const end = Math.min(to, from + segments);
        const rows = { events: log.read(shard, from, end), quarantine: [] };
        await untilDone(() => make().add(job, { shard, step, from, to: end, rules: 0, ...rows }));
      }
    }
  }
  throw new Error("the build does not meet the live store");
}

/** All that readers can see of these subjects in a generation. */
export async function viewsOf(users: readonly string[], devices: readonly string[], generation: number) {
  const reader = { timelines, identityKey, generation: async () => generation };
  const seen: unknown[] = [];
  for (const id of users) {
    const timeline = timelineOf({ kind: "user", id }, generation);
    seen.push(await timeline.profile(), await timeline.sessions(100), await timeline.events({ limit: 1_000 }));
  }
  for (const id of devices) {
    seen.push(await readDeviceEvents(reader, id, { limit: 1_000 }));
    // When each was last seen there is told once a day, so it depends on how the log was cut.
    const { users } = await timelineOf({ kind: "device", id }, generation).users();
    seen.push(users.map((user) => user.id).sort());
  }
  return seen;
}
