/** Joins erasures to the bindings: every store that may hold something about a person, and the key that signs receipts. */
import parquet from "parquet-wasm/esm/parquet_wasm_bg.wasm";
import { REPLAY_DESK_NAME } from "../../durable-objects/replay-desk/api.ts";
import type { ErasureCheckDeps } from "../../queues/erasure/check.ts";
import type { ErasureParts } from "../../queues/erasure/erasure-job.ts";
import type { StaleListsDeps } from "../../queues/erasure/stale-lists.ts";
import { emailsStore } from "../../queues/erasure/stores/emails.ts";
import { icebergStore } from "../../queues/erasure/stores/iceberg.ts";
import { keysStore } from "../../queues/erasure/stores/keys.ts";
import { lakeStore } from "../../queues/erasure/stores/lake.ts";
import { logStore } from "../../queues/erasure/stores/log.ts";
import { orphansStore } from "../../queues/erasure/stores/orphans.ts";
import { quarantineStore } from "../../queues/erasure/stores/quarantine.ts";
import { recordsStore } from "../../queues/erasure/stores/records.ts";
import { rollupsStore } from "../../queues/erasure/stores/rollups.ts";
import { timelinesStore } from "../../queues/erasure/stores/timelines.ts";
import { receiptSigner } from "../../r2-layout/signed-receipt.ts";
import { bucketUri, hasher, identityKey, type PipelineEnv, shardCount } from "./env.ts";

/** What looks after requests that are done, and after previews that nobody confirms. */
export const erasureUpkeep = (env: PipelineEnv): ErasureCheckDeps & StaleListsDeps => ({
  ...erasureParts(env),
  bucket: env.BUCKET,
  desk: env.REPLAY_DESK.getByName(REPLAY_DESK_NAME),
  logs: env.EVENT_LOG,
});

export function erasureParts(env: PipelineEnv): ErasureParts {
  const { BUCKET: bucket, EVENT_LOG: logs, LAKE_CATALOG: catalog } = env;
  const { USER_TIMELINE: timelines, EMAIL_INDEX: emails } = env;
  const desk = env.REPLAY_DESK.getByName(REPLAY_DESK_NAME);
  const lake = { bucket, catalog, logs, parquet, bucketUri: bucketUri(env) };
  return {
    bucket,
    hash: hasher(env),
    stores: [
      lakeStore(lake),
      quarantineStore(lake),
      logStore({ bucket, logs, shards: shardCount(env) }),
      timelinesStore({ bucket, timelines, emails, cursors: env.SINK_CURSOR, identityKey: identityKey(env) }),
      emailsStore({ bucket, emails, identityKey: identityKey(env) }),
      rollupsStore({ rollups: env.MINUTE_ROLLUP, desk, shards: shardCount(env) }),
      keysStore({ keys: env.PII_KEY }),
      recordsStore({ bucket, desk, logs }),
      icebergStore(lake),
      orphansStore(lake),
    ],
    async signer() {
      if (!env.RECEIPT_KEY) throw new Error("RECEIPT_KEY is not set: the receipt cannot be signed");
      return receiptSigner(env.RECEIPT_KEY);
    },
  };
}
