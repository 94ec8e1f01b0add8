/** The pipeline as deployed, over real objects, R2 and two shards; messages are handed to it one by one. */
import { env } from "cloudflare:workers";
import type { JobAction, JobSpec, JobState } from "../../../durable-objects/replay-desk/api.ts";
import { SINKS, type SinkName } from "../../../durable-objects/sink-cursor/api.ts";
import type { Subject } from "../../../durable-objects/user-timeline/api.ts";
import { SESSIONS_BUILDS_NAME } from "../../../durable-objects/user-timeline/live-generation.ts";
import { timelineName } from "../../../durable-objects/user-timeline/timeline-name.ts";
import { BarredSubjects } from "../../../queues/fan-out/barred.ts";
import { redriveHole } from "../../../queues/quarantine/redrive.ts";
import type { DerivedEvent, EventRow } from "../../../r2-layout/event-columns.ts";
import { idHash } from "../../../r2-layout/event-id.ts";
import { encodeMessage, packIds } from "../../../r2-layout/event-message.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { HOUR_MS } from "../../../r2-layout/limits.ts";
import { formatLogLine } from "../../../r2-layout/log-line.ts";
import { subjectHasher } from "../../../r2-layout/subjects.ts";
import type { PipelineEnv } from "../../../workers/pipeline/env.ts";
import pipeline from "../../../workers/pipeline/index.ts";
import { lakeRows } from "../lake/lake-rows.ts";
import { batchOf } from "../log-rig.ts";
import type { Clock } from "./replay-rig.ts";

export const SHARDS = 2;
export const real = { ...(env as unknown as PipelineEnv), SHARDS: String(SHARDS) };
export const desk = () => real.REPLAY_DESK.getByName("desk");

/** Noon of a day that the rollups keep. Milliseconds. */
export const NOON = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 5 * HOUR_MS;

let edges = 0;
let seconds = 0;

export interface TestEvent extends Partial<DerivedEvent> {
  readonly event_id: string;
}

/** One message of a shard, through the fan-out. */
export const send = (shard: number, events: readonly TestEvent[], label?: string): Promise<void> =>
  deliver(`events-${shard}`, [messageOf(shard, events, label)]);

/** A message's ids are of `(source, id)`, or of `(source, id, label)`. */
export function messageOf(shard: number, events: readonly TestEvent[], label?: string, epoch = 0): string {
  const rows = events.map(
    (event): DerivedEvent => ({
      event_name: "bought",
      event_type: "track",
      source: "shop",
      event_time: NOON * 1_000,
      received_at: (NOON + ++seconds) * 1_000,
      anonymous_id: "phone",
      ...event,
    }),
  );
  return encodeMessage({
    header: {
      v: 1,
      edge: `edge-${edges++}`,
      n: 1,
      shard,
      epoch,
      source: "shop",
      received_at: NOON * 1_000,
      events: rows.length,
      before: 0,
      ids: packIds(rows.map(({ event_id }) => idHash("event", "shop", event_id, label))),
      ...(label && { republish: label }),
    },
    lines: rows.map((row) => formatLogLine({ raw: { type: "track" }, row, d: 1 })),
  });
}

export async function deliver(queue: string, bodies: readonly unknown[], to: PipelineEnv = real): Promise<void> {
  const { batch } = batchOf(queue, bodies);
  await pipeline.queue(batch, to);
}

const everyShard = Array.from({ length: SHARDS }, (_, shard) => shard);

/** Every sink reads to the head. */
export async function drain(): Promise<void> {
  await Promise.all(
    SINKS.map((sink) =>
      deliver(
        sink,
        everyShard.map((shard) => ({ shard, head: 0 })),
      ),
    ),
  );
}

/** Of a hole in shard 0. */
export const redrive = (sink: SinkName, seq: number) =>
  redriveHole({ sink, shard: 0, seq }, null, {
    shards: SHARDS,
    bucket: real.BUCKET,
    logs: real.EVENT_LOG as never,
    barred: new BarredSubjects(subjectHasher("test-identity-key")),
    catalog: real.LAKE_CATALOG.getByName("lake"),
    cursors: real.SINK_CURSOR,
    send: async () => {},
    now: () => Date.now(),
  });

export async function begin(id: string, spec: JobSpec, action?: JobAction): Promise<string> {
  await desk().create({ id, spec });
  if (action) await desk().act(id, action);
  return id;
}

/** The job's messages and the sinks' wake-ups, until the job is in one of these states. @throws Error where it has read more than its total. */
export async function runJob(id: string, clock: Clock, states: readonly JobState[] = ["done"], to: PipelineEnv = real) {
  for (let slice = 0; slice < 150; slice++) {
    const job = await desk().job(id);
    const { read, total } = job?.meter ?? { read: 0, total: null };
    if (total !== null && read > total) throw new Error(`${read} events were read of ${total}`);
    if (job && states.includes(job.state)) return job;
    await deliver("replays", [{ job: id }], to);
    if ((await desk().job(id))!.waitsFor !== null) await drain();
    clock.pass(120_000);
  }
  throw new Error(`not ${states.join(" or ")}: ${JSON.stringify(await desk().job(id))}`);
}

export async function lake(asOf?: number): Promise<Record<string, string | null>> {
  const rows = await lakeRows(real.BUCKET, real.LAKE_CATALOG.getByName("lake"), "events", asOf);
  const events = rows as unknown as EventRow[];
  return Object.fromEntries(
    events.map((row) => [`${row.log_shard}:${row.event_id}`, row.anonymous_id ?? null] as const).sort(),
  );
}

export async function timeline(kind: Subject["kind"], id: string): Promise<string[]> {
  const generation = await real.SINK_CURSOR.getByName(SESSIONS_BUILDS_NAME).liveGeneration();
  const object = real.USER_TIMELINE.getByName(timelineName(real.IDENTITY_KEY, { kind, id }, generation));
  return (await object.events({ limit: 100 })).events.map(({ event_id }) => event_id).sort();
}

/** Events of all shards in the hour of `NOON`. */
export async function rollup(): Promise<number> {
  const parts = await Promise.all(
    everyShard.map((shard) =>
      real.MINUTE_ROLLUP.getByName(`core:${shardName(shard)}`).query({
        metric: "events",
        grain: "hour",
        from: NOON,
        to: NOON + HOUR_MS,
      }),
    ),
  );
  return parts
    .flatMap((part) => part.parts)
    .flatMap(({ values }) => values)
    .reduce((sum, value) => sum + ("events" in value ? value.events : 0), 0);
}
