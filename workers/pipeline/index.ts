/** The pipeline Worker: hands each queue's batches to its stage; once a minute pokes every log and asks for upkeep. */
import parquet from "parquet-wasm/esm/parquet_wasm_bg.wasm";
import { inJurisdiction } from "../../durable-objects/jurisdiction.ts";
import type { SinkName } from "../../durable-objects/sink-cursor/api.ts";
import { parkDeadLetters } from "../../queues/dead-letter.ts";
import { drainBatch } from "../../queues/drain.ts";
import { BarredSubjects } from "../../queues/fan-out/barred.ts";
import { fanOut } from "../../queues/fan-out/fan-out.ts";
import { createLakeSink } from "../../queues/lake/sink.ts";
import { maintain } from "../../queues/maintenance/consume.ts";
import { MAINTENANCE_NOW_CRON, maintenanceMessages } from "../../queues/maintenance/messages.ts";
import { replayBatch } from "../../queues/replay/consume.ts";
import { createRollupsSink } from "../../queues/rollups/sink.ts";
import { createSessionsSink } from "../../queues/sessions/sink.ts";
import type { Sink } from "../../queues/sink.ts";
import { parseSpreadIdentities } from "../../r2-layout/event-id.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { parseShards } from "../../r2-layout/shards.ts";
import type { PipelineEnv } from "./env.ts";
import { bucketUri, contractHealth, hasher, history, identityKey, piiAudit, shardCount } from "./env.ts";
import { erasureUpkeep } from "./erasures.ts";
import { replayDeps, replayUpkeep } from "./replays.ts";

const SINKS = {
  lake: (env) => createLakeSink({ bucket: env.BUCKET, catalog: env.LAKE_CATALOG, parquet }),
  sessions: (env) =>
    createSessionsSink({
      cursors: env.SINK_CURSOR,
      builds: env.SINK_CURSOR,
      timelines: env.USER_TIMELINE,
      emails: env.EMAIL_INDEX,
      identityKey: identityKey(env),
    }),
  rollups: (env) =>
    createRollupsSink({
      cursors: env.SINK_CURSOR,
      rollups: env.MINUTE_ROLLUP,
      tiles: { tiles: env.TILE_ROLLUP, registry: env.TILE_REGISTRY },
    }),
} satisfies Record<SinkName, (env: PipelineEnv) => Sink>;

const isSink = (queue: string): queue is SinkName => Object.hasOwn(SINKS, queue);

/** Of this isolate. */
let barred: BarredSubjects | undefined;

export default {
  async queue(batch, bindings) {
    const env = inJurisdiction(bindings);
    const { BUCKET: bucket, EVENT_LOG: logs, LAKE_CATALOG: catalog, MAINTENANCE: queue } = env;
    if (isSink(batch.queue))
      return drainBatch(batch, { sink: SINKS[batch.queue](env), logs, bucket, hash: hasher(env) });
    if (batch.queue === "maintenance")
      return maintain(batch, {
        bucket,
        logs,
        catalog,
        parquet,
        queue,
        bucketUri: bucketUri(env),
        history: history(env),
        pii: piiAudit(env),
        health: contractHealth(env),
        erasures: () => erasureUpkeep(env),
      });
    if (batch.queue === "replays") return replayBatch(batch, replayDeps(env));
    if (batch.queue === "events-dead") return parkDeadLetters(batch, bucket);
    if (/^events-\d+$/.test(batch.queue)) {
      const spread = parseSpreadIdentities(env.SPREAD_IDENTITIES);
      barred ??= new BarredSubjects(hasher(env));
      return fanOut(batch, { logs, bucket, shards: parseShards(env.SHARDS), spread, barred });
    }
    throw new Error(`no stage for queue ${batch.queue}`);
  },
  async scheduled(controller, bindings) {
    const env = inJurisdiction(bindings);
    const pokes = Array.from({ length: shardCount(env) }, (_, shard) =>
      env.EVENT_LOG.getByName(shardName(shard)).poke(shard),
    );
    const upkeep = maintenanceMessages(controller.scheduledTime, controller.cron);
    const replays = replayUpkeep(env, controller.scheduledTime, controller.cron === MAINTENANCE_NOW_CRON);
    const sends = upkeep.map((message) => env.MAINTENANCE.send(message));
    const results = await Promise.allSettled([...pokes, ...sends, replays]);
    for (const result of results) {
      if (result.status === "rejected") console.error(JSON.stringify({ at: "cron", error: String(result.reason) }));
    }
  },
} satisfies ExportedHandler<PipelineEnv>;
