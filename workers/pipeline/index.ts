/** The pipeline Worker: hands each queue's batches to its stage, and pokes every shard's log once a minute. */
import { parkDeadLetters } from "../../queues/dead-letter.ts";
import { drainBatch } from "../../queues/drain.ts";
import { fanOut } from "../../queues/fan-out/fan-out.ts";
import { createRollupsSink } from "../../queues/rollups/sink.ts";
import type { Sink } from "../../queues/sink.ts";
import { shardName } from "../../r2-layout/keys.ts";
import type { PipelineEnv } from "./env.ts";
import { shardCount } from "./env.ts";

const SINK_QUEUES: Record<string, (env: PipelineEnv) => Sink> = {
  rollups: (env) => createRollupsSink({ cursors: env.SINK_CURSOR, rollups: env.MINUTE_ROLLUP }),
};

export default {
  async queue(batch, env) {
    const createSink = SINK_QUEUES[batch.queue];
    if (createSink) return drainBatch(batch, { sink: createSink(env), logs: env.EVENT_LOG, bucket: env.BUCKET });
    if (batch.queue === "events-dead") return parkDeadLetters(batch, env.BUCKET);
    if (batch.queue.startsWith("events-")) return fanOut(batch, { logs: env.EVENT_LOG, bucket: env.BUCKET });
    throw new Error(`no stage for queue ${batch.queue}`);
  },
  async scheduled(_controller, env) {
    const pokes = Array.from({ length: shardCount(env) }, (_, shard) =>
      env.EVENT_LOG.getByName(shardName(shard)).poke(shard),
    );
    for (const poke of await Promise.allSettled(pokes)) {
      if (poke.status === "rejected") console.error(JSON.stringify({ at: "poke", error: String(poke.reason) }));
    }
  },
} satisfies ExportedHandler<PipelineEnv>;
