/** Joins the replay drivers to the bindings: the log, the lake, timelines and rollups as sources and as targets. */
import parquet from "parquet-wasm/esm/parquet_wasm_bg.wasm";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import { REPLAY_DESK_NAME } from "../../durable-objects/replay-desk/api.ts";
import { isWorking } from "../../durable-objects/replay-desk/job-rules.ts";
import type { HolesApi, SinkName } from "../../durable-objects/sink-cursor/api.ts";
import { correctLake, swapCorrection } from "../../queues/lake/correct.ts";
import { createLakeRows } from "../../queues/lake/read-rows.ts";
import { createLakeRebuild } from "../../queues/lake/rebuild.ts";
import { holePages } from "../../queues/quarantine/hole-pages.ts";
import type { ReplayDeps } from "../../queues/replay/consume.ts";
import { advanceJob, holdJob } from "../../queues/replay/driver.ts";
import { createDueJobs } from "../../queues/replay/due-jobs.ts";
import { eachShard } from "../../queues/replay/each-shard.ts";
import { logRanges } from "../../queues/replay/log-ranges.ts";
import type { RuleParts } from "../../queues/replay/rule-parts.ts";
import { type RowSourceDeps, rowSource } from "../../queues/replay/source.ts";
import { createRollupsRebuild } from "../../queues/rollups/rebuild.ts";
import { createTileJobs, refillTiles } from "../../queues/rollups/tiles-upkeep.ts";
import { amendTimelines } from "../../queues/sessions/amend.ts";
import { createSessionsRebuild } from "../../queues/sessions/rebuild.ts";
import type { CallBudget } from "../../queues/sink.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import { epochOf, parseShards } from "../../r2-layout/shards.ts";
import { hasher, identityKey, type PipelineEnv, shardCount } from "./env.ts";
import { erasureParts } from "./erasures.ts";

/** For one invocation of the `replays` consumer. */
export function replayDeps(env: PipelineEnv): ReplayDeps {
  const shards = shardCount(env);
  return {
    desk: env.REPLAY_DESK.getByName(REPLAY_DESK_NAME),
    hold: (slice) => holdJob(slice, env.EVENT_LOG, shards),
    advance: (slice) => advanceJob(slice, ruleParts(env, shards)),
  };
}

/** What the cron asks for. */
export async function replayUpkeep(env: PipelineEnv, nowMs: number, all: boolean): Promise<void> {
  const desk = env.REPLAY_DESK.getByName(REPLAY_DESK_NAME);
  const shards = shardCount(env);
  await createDueJobs({ desk, logs: env.EVENT_LOG, shards }, nowMs, all);
  await createTileJobs({ desk, registry: env.TILE_REGISTRY, shards }, nowMs);
}

function ruleParts(env: PipelineEnv, shards: number): RuleParts {
  const { BUCKET: bucket, EVENT_LOG: logs, LAKE_CATALOG: catalogs, SINK_CURSOR: cursors } = env;
  const { USER_TIMELINE: timelines, EMAIL_INDEX: emails, MINUTE_ROLLUP: rollups } = env;
  const catalog = catalogs.getByName(LAKE_CATALOG_NAME);
  const hash = hasher(env);
  const lake = { bucket, catalog: catalogs, parquet, hash };
  const sources: RowSourceDeps = {
    hash,
    logs,
    bucket,
    lakeRows: createLakeRows(lake),
    async holes(sink, shard) {
      const keeper: Pick<HolesApi, "holes"> =
        sink === "lake" ? catalog : cursors.getByName(`${sink}:${shardName(shard)}`);
      // To the last: one that is not named here is a segment that a rebuild would miss, or have twice.
      return (await Array.fromAsync(holePages(keeper, shard))).flat();
    },
    lakeCursor: null,
  };
  const cursorOf = async (sink: SinkName, shard: number) =>
    (await cursors.getByName(`${sink}:${shardName(shard)}`).status()).cursor;
  const rollupDeps = { rollups, cursors, logs };
  const desk = env.REPLAY_DESK.getByName(REPLAY_DESK_NAME);
  const byTime: RowSourceDeps = {
    ...sources,
    lakeCursor: async (shard) => (await catalog.status()).cursors[shard]?.cursor ?? 0,
  };
  const lakeSource = rowSource(byTime);
  return {
    shards,
    epoch: epochOf(parseShards(env.SHARDS)),
    bucket,
    logs,
    source: rowSource(sources),
    lakeSource,
    tiles: {
      ...{ shards, registry: env.TILE_REGISTRY, tiles: env.TILE_ROLLUP, rollups, cursors, logs, hours: lakeSource },
      recent: rowSource({ ...sources, missesExpired: false }),
      past: rowSource({ ...byTime, missesExpired: false }),
      async olderJob(n) {
        const { jobs } = await desk.overview(["tiles"], REPLAY.openJobs);
        return jobs.findLast((job) => job.n < n && isWorking(job.state))?.id ?? null;
      },
    },
    erasure: () => erasureParts(env),
    refillTiles: (job, windows) => refillTiles({ desk, registry: env.TILE_REGISTRY }, job, windows),
    sourceBelow: (version) => rowSource({ ...sources, logs: rulesBelow(logs, version) }),
    targets: (calls: CallBudget) => ({
      lake: createLakeRebuild({ ...lake, logs }),
      sessions: createSessionsRebuild({
        cursors,
        timelines,
        emails,
        logs,
        bucket,
        hash,
        identityKey: identityKey(env),
        calls,
      }),
      rollups: createRollupsRebuild(rollupDeps),
    }),
    correctedRollups: (only) => createRollupsRebuild(rollupDeps, { reason: "correction", shards: only }),
    ranges: (spec) => logRanges(logs, shards, spec),
    async lake() {
      const { snapshot, cursors: shardCursors } = await catalog.status();
      const at = Object.entries(shardCursors).map(([shard, { cursor }]) => [shard, cursor] as const);
      return { snapshot, cursors: Object.fromEntries(at) };
    },
    async cursors(count) {
      const known = (await catalog.status()).cursors;
      return {
        lake: Array.from({ length: count }, (_, shard) => known[shard]?.cursor ?? 0),
        sessions: await eachShard(count, (shard) => cursorOf("sessions", shard)),
        rollups: await eachShard(count, (shard) => cursorOf("rollups", shard)),
      };
    },
    async fence(version, filter) {
      await catalog.raise(version, filter);
      await eachShard(shards, (shard) => rollups.getByName(`core:${shardName(shard)}`).raise(version));
    },
    async correctLake(correction, onPage, untilMs) {
      return (await correctLake(lake, correction, onPage, untilMs)).kind;
    },
    async swapLake(correction) {
      const answer = await swapCorrection(lake, correction);
      if (answer.kind === "conflict") return null;
      if (answer.kind !== "committed") throw new Error(`rules: the lake knows newer ones than ${correction.version}`);
      await catalog.confirm(correction.job);
      return answer;
    },
    async settleRollups(first, last) {
      await eachShard(shards, (shard) => rollups.getByName(`core:${shardName(shard)}`).settle(first, last));
    },
    async doubtRollups(shard, from, to) {
      await rollups.getByName(`core:${shardName(shard)}`).doubt(from, to);
    },
    amend: (pairs, rules, calls) =>
      amendTimelines(pairs, rules, { cursors, timelines, emails, identityKey: identityKey(env), calls }),
  };
}

/** Logs that tell of older rules only, so that rows are read as they were before this one. */
function rulesBelow(logs: PipelineEnv["EVENT_LOG"], version: number): RowSourceDeps["logs"] {
  return {
    getByName(name) {
      const log = logs.getByName(name);
      return {
        async segments(...request) {
          const { rules = 0, ...page } = await log.segments(...request);
          return { ...page, rules: Math.min(rules, version - 1) };
        },
        count: (...request) => log.count(...request),
        async rules() {
          const { version: newest, rules } = await log.rules();
          return { version: Math.min(newest, version - 1), rules: rules.filter((rule) => rule.version < version) };
        },
        between: (...request) => log.between(...request),
      };
    },
  };
}
