/** The pipeline Worker: hands each queue's batches to its stage; each minute pokes every shard's log and queues what maintenance is due. */
import parquet from "parquet-wasm/esm/parquet_wasm_bg.wasm";
import { parkDeadLetters } from "../../queues/dead-letter.ts";
import { drainBatch } from "../../queues/drain.ts";
import { fanOut } from "../../queues/fan-out/fan-out.ts";
import { createLakeSink } from "../../queues/lake/sink.ts";
import { maintain } from "../../queues/maintenance/consume.ts";
import { maintenanceMessages } from "../../queues/maintenance/messages.ts";
import { createRollupsSink } from "../../queues/rollups/sink.ts";
import { createSessionsSink } from "../../queues/sessions/sink.ts";
import type { Sink } from "../../queues/sink.ts";
import { shardName } from "../../r2-layout/keys.ts";
import type { PipelineEnv } from "./env.ts";
import { shardCount } from "./env.ts";

/** The list of sinks: one more is a folder under queues/, a queue, and a line here. */
const SINK_QUEUES: Record<string, (env: PipelineEnv) => Sink> = {
  lake: (env) => createLakeSink({ bucket: env.BUCKET, catalog: env.LAKE_CATALOG, parquet }),
  sessions: (env) =>
    createSessionsSink({ cursors: env.SINK_CURSOR, timelines: env.USER_TIMELINE, identityKey: env.IDENTITY_KEY }),
  rollups: (env) => createRollupsSink({ cursors: env.SINK_CURSOR, rollups: env.MINUTE_ROLLUP }),
};

export default {
  async queue(batch, env) {
    const createSink = SINK_QUEUES[batch.queue];
    if (createSink) return drainBatch(batch, { sink: createSink(env), logs: env.EVENT_LOG, bucket: env.BUCKET });
    if (batch.queue === "events-dead") return parkDeadLetters(batch, env.BUCKET);
    if (batch.queue.startsWith("events-")) return fanOut(batch, { logs: env.EVENT_LOG, bucket: env.BUCKET });
    if (batch.queue === "maintenance") {
      const { BUCKET: bucket, EVENT_LOG: logs, LAKE_CATALOG: catalog, MAINTENANCE: queue } = env;
      return maintain(batch, { bucket, logs, catalog, queue, parquet });
    }
    throw new Error(`no stage for queue ${batch.queue}`);
  },
  async scheduled(controller, env) {
    const pokes = Array.from({ length: shardCount(env) }, (_, shard) =>
      env.EVENT_LOG.getByName(shardName(shard)).poke(shard),
    );
    const due = maintenanceMessages(controller.scheduledTime, controller.cron);
    const queued = due.length === 0 ? [] : [env.MAINTENANCE.sendBatch(due.map((body) => ({ body })))];
    for (const done of await Promise.allSettled([...pokes, ...queued])) {
      if (done.status === "rejected") console.error(JSON.stringify({ at: "cron", error: String(done.reason) }));
    }
  },
} satisfies ExportedHandler<PipelineEnv>;
