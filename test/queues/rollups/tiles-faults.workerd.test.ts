import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { levelsOf } from "../../../durable-objects/tile-rollup/definition.ts";
import { mergeTileParts } from "../../../durable-objects/tile-rollup/merge.ts";
import type { TileRegistry } from "../../../durable-objects/tile-rollup/tile-registry.ts";
import type { TileRollup } from "../../../durable-objects/tile-rollup/tile-rollup.ts";
import { runSlice } from "../../../queues/replay/consume.ts";
import type { RowSource } from "../../../queues/replay/source.ts";
import { createRollupsSink } from "../../../queues/rollups/sink.ts";
import { tilesName } from "../../../queues/rollups/tiles.ts";
import { advanceTiles, type TilesParts } from "../../../queues/rollups/tiles-job.ts";
import { createTilesJob } from "../../../queues/rollups/tiles-upkeep.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { HOUR_MS, TILES } from "../../../r2-layout/limits.ts";
import { ALL_TILES, tiledEvent } from "../../durable-objects/tile-rollup/events.ts";
import { plainPoints, shownPoints } from "../../durable-objects/tile-rollup/reference.ts";
import { reaching } from "../../reaching.ts";
import { Fault } from "../log-rig.ts";
import { clockOfEachTest, desk } from "../replay/replay-rig.ts";
import { cursors, rollups, TestLog } from "./rebuild-rig.ts";

const { TILE_ROLLUP: tiles, TILE_REGISTRY: registries } = env as unknown as {
  TILE_ROLLUP: DurableObjectNamespace<TileRollup>;
  TILE_REGISTRY: DurableObjectNamespace<TileRegistry>;
};

const clock = clockOfEachTest();
/** All of it is kept by the minute. */
const FROM = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 6 * HOUR_MS;
const SHARD = 0;
const STEP_EVENTS = TILES.stepEvents;

afterAll(() => {
  Object.assign(TILES, { stepEvents: STEP_EVENTS });
});

/** Every call through the faults, as calls to objects and as a crash of the caller. */
function faulty<Api extends object>(namespace: ObjectNamespace<Api>, faults: readonly Fault[]): ObjectNamespace<Api> {
  return {
    getByName(name) {
      const real = namespace.getByName(name) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
      return new Proxy({} as Api, {
        get:
          (_, method: string) =>
          (...args: unknown[]) =>
            faults.reduce<() => Promise<unknown>>(
              (inner, fault) => () => fault.around(inner),
              async () => real[method]!(...args),
            )(),
      });
    },
  };
}

/** Steps of so many segments. */
const sourceOf = (log: TestLog, segments: number): RowSource => ({
  cut: async ({ after, to }) => ({ to: Math.min(to, after + segments), origin: "log" }),
  rows: async ({ after }, to) => ({ rules: 0, events: log.rows(after, to), quarantine: [] }),
  count: async (_, after, to) => log.rows(after, to).length,
  holes: async () => [],
});

/** Whatever was injected may come; nothing else. */
async function crashing(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!String(error).includes("injected")) throw error;
  }
}

const fault = fc.tuple(fc.integer({ min: 1, max: 25 }), fc.constantFrom("before" as const, "after" as const));
const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("drain" as const), segments: fc.integer({ min: 1, max: 4 }), fault }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("fill" as const), fault }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("send" as const),
      events: fc.array(tiledEvent(FROM, 200), { minLength: 1, maxLength: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("evict" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("define" as const) }) },
);

it("promise 2: counts each event once, whatever crashes, is evicted, and comes live while the past is filled in", async () => {
  let runs = 0;
  await reaching(async () => {
    let fired = 0;
    let filledBeside = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { minLength: 10, maxLength: 30 }),
        fc.integer({ min: 1, max: 3 }),
        async (plan, segments) => {
          const run = ++runs;
          // Some runs cut each step of the sink into calls of few events.
          Object.assign(TILES, { stepEvents: run % 2 === 0 ? 2 : STEP_EVENTS });
          const log = new TestLog(SHARD);
          // Objects of its own for each run: that takes less time than to reset all of them.
          const own = <Api extends object>(namespace: ObjectNamespace<Api>): ObjectNamespace<Api> => ({
            getByName: (name) => namespace.getByName(`${run}/${name}`),
          });
          const spaces = { cursors: own(cursors), rollups: own(rollups), tiles: own(tiles), registry: own(registries) };
          const registry = spaces.registry.getByName("tiles");
          const jobs: string[] = [];
          let defined = 0;
          const sinkOf = (faults: readonly Fault[]) =>
            createRollupsSink({
              cursors: faulty(spaces.cursors, faults),
              rollups: faulty(spaces.rollups, faults),
              tiles: { tiles: faulty(spaces.tiles, faults), registry: faulty(spaces.registry, faults) },
            });
          const drain = async (count: number, faults: readonly Fault[], owner: string) => {
            const sink = sinkOf(faults);
            // A drain that died has left its lease behind.
            clock.pass(120_000);
            const lease = await sink.lease(SHARD, owner);
            if (!lease) return;
            const to = Math.min(log.head, lease.cursor + count);
            if (to === lease.cursor) return;
            const events = log.rows(lease.cursor, to);
            const applied = { events: events.length, quarantined: 0 };
            const step = {
              shard: SHARD,
              token: lease.token,
              from: lease.cursor,
              to,
              completeUntil: 0,
              events,
              quarantine: [],
              applied,
            };
            await sink.apply(step);
          };
          const partsOf = (faults: readonly Fault[]): TilesParts => ({
            shards: 1,
            registry: faulty(spaces.registry, faults),
            tiles: faulty(spaces.tiles, faults),
            rollups: faulty(spaces.rollups, faults),
            cursors: spaces.cursors,
            logs: { getByName: () => log.api() },
            recent: sourceOf(log, segments),
            past: sourceOf(log, segments),
            hours: sourceOf(log, segments),
            olderJob: async () => null,
          });
          const fill = async (faults: readonly Fault[]) => {
            const open: string[] = [];
            for (const job of jobs) if ((await desk().job(job))!.endedAt === null) open.push(job);
            if (!open[0]) return false;
            clock.pass(120_000);
            await runSlice(open[0], {
              desk: desk(),
              hold: async () => null,
              advance: (slice) => advanceTiles(slice, partsOf(faults)),
            });
            return true;
          };
          const define = async () => {
            const some = ALL_TILES.slice(defined, defined + 2);
            if (some.length === 0) return;
            defined += some.length;
            for (const tile of some) await registry.define(tile);
            const job = `run-${run}-${jobs.length}`;
            await createTilesJob(desk(), job, { tiles: some.map(({ id }) => id), windows: null });
            await registry.assign(
              some.map(({ id }) => id),
              job,
            );
            jobs.push(job);
          };

          const evict = async () => {
            const object = spaces.tiles.getByName(tilesName(SHARD));
            // Only what runs can be evicted.
            await object.recent("none");
            await evictDurableObject(object as never);
          };

          for (const [n, step] of plan.entries()) {
            if (step.kind === "send") log.append(step.events, FROM);
            else if (step.kind === "define") await define();
            else if (step.kind === "evict") await evict();
            else {
              const injected = new Fault(...step.fault);
              if (step.kind === "drain") await crashing(() => drain(step.segments, [injected], `drain ${n}`));
              else await fill([injected]);
              if (injected.fired) fired++;
            }
          }
          while (defined < ALL_TILES.length) await define();
          log.append(fc.sample(tiledEvent(FROM, 200), { numRuns: 5, seed: run }), FROM);
          const cursor = async () => (await spaces.cursors.getByName("rollups:000").status()).cursor;
          for (let n = 0; (await fill([])) || (await cursor()) < log.head; n++) {
            expect(n).toBeLessThan(300);
            if ((await cursor()) < log.head && n % 2 === 0) {
              filledBeside++;
              await drain(2, [], `last ${n}`);
            }
          }
          const events = log.rows(0, log.head) as EventRow[];
          for (const tile of ALL_TILES) {
            for (const level of levelsOf(tile)) {
              const range = { from: FROM - 24 * HOUR_MS, to: FROM + 24 * HOUR_MS };
              const parts = await spaces.tiles.getByName(tilesName(SHARD)).query({ tile: tile.id, level, ...range });
              expect(shownPoints(mergeTileParts(tile, [parts], level)), `${tile.measure} ${level}`).toEqual(
                plainPoints(tile, level, events),
              );
            }
          }
          expect((await registry.list()).records.every(({ filled }) => filled)).toBe(true);
        },
      ),
      { numRuns: 8 },
    );
    return { "more than 5 faults": fired > 5, "more than 5 live steps beside the fill": filledBeside > 5 };
  }, 5);
});
