import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { TileDefinition } from "../../../durable-objects/tile-rollup/definition.ts";
import { parseDefinition } from "../../../durable-objects/tile-rollup/parse-definition.ts";
import { readTile } from "../../../durable-objects/tile-rollup/read.ts";
import { createTileJobs, createTilesJob } from "../../../queues/rollups/tiles-upkeep.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../../r2-layout/limits.ts";
import { plainPoints, shownPoints } from "../../durable-objects/tile-rollup/reference.ts";
import { clockOfEachTest } from "../replay/replay-rig.ts";
import { begin, desk, drain, NOON, real, runJob, SHARDS, send, type TestEvent } from "../replay/whole-pipeline.ts";

const clock = clockOfEachTest();

const registry = () => real.TILE_REGISTRY.getByName("tiles");
const upkeep = () => createTileJobs({ desk: desk(), registry: real.TILE_REGISTRY, shards: SHARDS }, Date.now());

function definition(given: Parameters<typeof parseDefinition>[0]): TileDefinition {
  const parsed = parseDefinition({ name: "a tile", ...given });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  return parsed.value;
}

const BY_NAME = definition({ measure: "count", by: ["event_name"] });
const TILES = [
  BY_NAME,
  definition({
    measure: "count",
    by: ["country", { property: "plan" }],
    grain_minutes: 5,
    filter: { event_name: ["bought"] },
  }),
  definition({ measure: "sum", column: "revenue", by: ["country"] }),
  definition({ measure: "sum", property: "items", grain_minutes: 60 }),
  definition({ measure: "distinct", column: "anonymous_id", by: ["country"] }),
  definition({
    measure: "ratio",
    numerator: { event_name: ["bought"] },
    denominator: { event_name: ["page"] },
    grain_minutes: 5,
  }),
];

let numbers = 0;
/** Some of everything, at this time. */
function someEvents(atMs: number, count = 6): TestEvent[] {
  return Array.from({ length: count }, (_, i) => {
    const n = ++numbers;
    return {
      event_id: `e${n}`,
      event_name: ["bought", "page", "left"][n % 3]!,
      event_time: (atMs + i * 20_000) * 1_000,
      anonymous_id: `phone-${n % 5}`,
      country: [null, "DE", "FR"][(n >> 1) % 3]!,
      revenue: n % 4 === 0 ? n / 10 : null,
      properties: { plan: ["free", "pro"][n % 2]!, items: ["2", "many", "", "0.5"][n % 4]! },
    };
  });
}

/** All that was sent. */
class Sent {
  readonly events: TestEvent[] = [];

  async send(shard: number, events: readonly TestEvent[]): Promise<void> {
    this.events.push(...events);
    await send(shard, events);
  }
}

async function define(...tiles: readonly TileDefinition[]): Promise<string> {
  for (const tile of tiles) await registry().define(tile);
  const job = `tiles-v${(await registry().list()).version}`;
  const ids = tiles.map(({ id }) => id);
  await createTilesJob(desk(), job, { tiles: ids, windows: null });
  await registry().assign(ids, job);
  return job;
}

const GRAINS = { minute: 1, "5minutes": 5, hour: 60, day: 1440 } as const;

/** As far back as some event of these tests is, and rows of the grain are kept. */
const SINCE = { minute: 20 * HOUR_MS, "5minutes": 20 * HOUR_MS, hour: 20 * DAY_MS, day: 120 * DAY_MS } as const;
const sinceOf = (grain: keyof typeof GRAINS) => {
  const length = GRAINS[grain] * MINUTE_MS;
  return Math.floor((NOON - SINCE[grain]) / length) * length;
};

async function pointsOf(tile: TileDefinition, grain: keyof typeof GRAINS) {
  const range = { from: String(sinceOf(grain)), to: String(Date.now() + HOUR_MS) };
  const params = new URLSearchParams({ metric: tile.id, grain, ...range });
  const answer = await readTile(real.TILE_ROLLUP, SHARDS, tile, params, Date.now());
  if (!answer.ok) throw new Error(JSON.stringify(answer.error));
  return answer.value.points;
}

/** Each tile, at each of its grains, says what adding up all events says. @param gone those that are to count no more */
async function expectAll(events: readonly TestEvent[], tiles = TILES, gone = 0): Promise<void> {
  let emptied = 0;
  for (const tile of tiles) {
    const own = Object.entries(GRAINS).filter(
      ([, minutes]) => minutes >= tile.grainMinutes && minutes !== (tile.grainMinutes === 5 ? 1 : 5),
    );
    for (const [grain, minutes] of own) {
      const points = await pointsOf(tile, grain as keyof typeof GRAINS);
      expect(shownPoints(points), `${tile.id} by ${grain}`).toEqual(
        plainPoints(
          tile,
          minutes,
          events.filter((event) => event.event_time! >= sinceOf(grain as keyof typeof GRAINS) * 1_000),
        ),
      );
      emptied += points.length;
    }
  }
  expect(emptied).toBeGreaterThan(gone);
}

/** Segments asked of the log below the oldest that it has, and from there on. */
const reads = { forgotten: 0, kept: 0 };

/** Logs that have no segment before this one any more. */
function forgetful(oldest: number): typeof real.EVENT_LOG {
  return {
    getByName(name) {
      const log = real.EVENT_LOG.getByName(name);
      return new Proxy(log, {
        get(_, method) {
          if (method === "between") {
            return async (...request: Parameters<typeof log.between>) => {
              const places = await log.between(...request);
              return { ...places, oldest: Math.min(oldest, places.head + 1) };
            };
          }
          if (method === "segments") {
            return (...request: Parameters<typeof log.segments>) => {
              if (name === "000") reads[request[0] < oldest - 1 ? "forgotten" : "kept"]++;
              return log.segments(...request);
            };
          }
          return (...request: unknown[]) =>
            (log as unknown as Record<PropertyKey, (...args: unknown[]) => unknown>)[method]!(...request);
        },
      });
    },
  };
}

describe("a custom rollup", () => {
  it("promise 2: counts what came before it, while it was filled, and after, each event once", async () => {
    const sent = new Sent();
    for (let hour = 0; hour < 3; hour++) {
      await sent.send(0, someEvents(NOON - hour * HOUR_MS));
      await sent.send(1, someEvents(NOON - hour * HOUR_MS, 3));
    }
    // Of a month, and of long ago: a fill comes to them later.
    for (const days of [10, 100]) await sent.send(0, someEvents(NOON - days * DAY_MS));
    await drain();
    const first = await define(TILES[0]!);
    await sent.send(0, someEvents(NOON + MINUTE_MS));
    await drain();
    await runJob(first, clock);
    await expectAll(sent.events, [TILES[0]!]);
    const jobs: string[] = [];
    for (const tiles of [TILES.slice(1, 3), TILES.slice(3)]) jobs.push(await define(...tiles));
    await sent.send(0, someEvents(NOON + 2 * MINUTE_MS));
    await sent.send(1, someEvents(NOON - 2 * HOUR_MS));
    await drain();
    for (const job of jobs) {
      await runJob(job, clock);
      await sent.send(0, someEvents(NOON + 3 * MINUTE_MS));
      await evictDurableObject(real.TILE_ROLLUP.getByName("tiles:000") as never);
      await drain();
    }
    await expectAll(sent.events);
    expect((await registry().list()).records.map(({ filled }) => filled)).toEqual(TILES.map(() => true));
  });

  it("promise 8: follows a correction and a rebuild, in the hours that they touched", async () => {
    const sent = new Sent();
    await sent.send(0, someEvents(NOON - HOUR_MS, 9));
    await sent.send(1, someEvents(NOON, 9));
    await drain();
    await runJob(await define(...TILES), clock);
    await begin(
      "fix",
      {
        kind: "correction",
        filter: { where: { country: ["DE"] } },
        change: { kind: "set", values: { country: "AT", revenue: 7 } },
        note: null,
        rate: 1_000_000,
      },
      "confirm",
    );
    await runJob("fix", clock);
    const after = await runJob("tiles-after-fix", clock);
    expect(after).toMatchObject({ outcome: `${TILES.length} custom rollups`, error: null });
    const corrected = sent.events.map((event) =>
      event.country === "DE" ? { ...event, country: "AT", revenue: 7 } : event,
    );
    expect(corrected).not.toEqual(sent.events);
    await expectAll(corrected);
    // As a bug would have left them: a fill that changes nothing is found out.
    const damaged = await runInDurableObject(
      real.TILE_ROLLUP.getByName("tiles:000") as never,
      (_, { storage }) => storage.sql.exec(`UPDATE tile_rows SET state = '{"values":[["[]",5000]]}'`).rowsWritten,
    );
    expect(damaged).toBeGreaterThan(0);
    await evictDurableObject(real.TILE_ROLLUP.getByName("tiles:000") as never);
    const rebuild = {
      kind: "rebuild",
      sinks: ["rollups"],
      from: null,
      to: null,
      range: null,
      rate: 1_000_000,
      swap: "automatic",
    } as const;
    await begin("again", rebuild);
    await runJob("again", clock, ["waiting_for_confirmation"]);
    await runJob("tiles-after-again", clock);
    await expectAll(corrected);
  });

  it("promise 4: a shard's object that lost its rows is noticed, and all of it is filled anew", async () => {
    const sent = new Sent();
    await sent.send(0, someEvents(NOON - HOUR_MS));
    await drain();
    await runJob(await define(...TILES), clock);
    const object = real.TILE_ROLLUP.getByName("tiles:000") as never;
    await runInDurableObject(object, (_, { storage }) => storage.deleteAll());
    await evictDurableObject(object);
    await sent.send(0, someEvents(NOON));
    await drain();
    expect((await registry().list()).records.every(({ filled, job }) => !filled && job === null)).toBe(true);
    clock.pass(2 * MINUTE_MS);
    await upkeep();
    await runJob((await registry().list()).records[0]!.job!, clock);
    await expectAll(sent.events);
  });

  it("promise 4: is filled in from the lake where the log has forgotten", async () => {
    const sent = new Sent();
    for (let hour = 3; hour > 0; hour--) await sent.send(0, someEvents(NOON - hour * HOUR_MS));
    await drain();
    await runJob(await define(...TILES), clock, ["done"], { ...real, EVENT_LOG: forgetful(3) });
    expect(reads).toEqual({ forgotten: 0, kept: 1 });
    await expectAll(sent.events);
  });

  it("promise 3: keeps hours as they are of which rows have expired, and says so", async () => {
    const beat = { event_id: "beat", event_name: "heartbeat" };
    await send(0, [beat, { event_id: "a", anonymous_id: "wrong" }]);
    await send(1, [{ event_id: "b", anonymous_id: "wrong" }]);
    await drain();
    await runJob(await define(BY_NAME), clock);
    await send(0, [{ ...beat, event_id: "another beat" }]);
    await drain();
    const retention = { keptMs: 1_000 * DAY_MS, byName: { heartbeat: 0 }, cutsKeptMs: null };
    expect(await real.LAKE_CATALOG.getByName("lake").expire(retention, Date.now() + DAY_MS)).toMatchObject({ rows: 1 });
    const filter = { where: { anonymous_id: ["wrong"] } };
    const spec = { kind: "correction", filter, change: { kind: "retract" }, note: null, rate: 1_000_000 } as const;
    await begin("gone", spec, "confirm");
    await runJob("gone", clock);
    const { outcome } = await runJob("tiles-after-gone", clock);
    expect(outcome).toContain("1 windows of a shard stay as they were");
    const day = shownPoints(await pointsOf(BY_NAME, "day")).map((point) => point.slice(25));
    // Of shard 1 nothing has expired: there the retraction has come.
    expect(day).toEqual(['{"event_name":"bought"} 1', '{"event_name":"heartbeat"} 2']);
  });

  it("is told apart from another by what it counts; deleted, its rows go, and the sink hears of it no more", async () => {
    const sent = new Sent();
    await sent.send(0, someEvents(NOON));
    await drain();
    await runJob(await define(...TILES.slice(0, 2)), clock);
    expect((await registry().define({ ...BY_NAME, name: "another name" })).kind).toBe("known");
    const versions = [await registry().remove(TILES[0]!.id), await registry().remove(TILES[1]!.id)];
    for (const version of versions) {
      await createTilesJob(desk(), `tiles-without-v${version}`, { tiles: [], windows: null });
      await runJob(`tiles-without-v${version}`, clock);
    }
    expect(await pointsOf(BY_NAME, "day")).toEqual([]);
    await sent.send(0, someEvents(NOON));
    await drain();
    const { lastSeq } = await real.TILE_ROLLUP.getByName("tiles:000").recent(BY_NAME.id);
    await runJob(await define(BY_NAME), clock);
    await expectAll(sent.events, [BY_NAME]);
    expect((await real.TILE_ROLLUP.getByName("tiles:000").recent(BY_NAME.id)).lastSeq).toBeGreaterThan(lastSeq);
  });

  it("costs no call and no row where there is none", async () => {
    await send(0, someEvents(NOON - DAY_MS));
    await drain();
    const rows = await runInDurableObject(real.TILE_ROLLUP.getByName("tiles:000") as never, (_, { storage }) =>
      storage.sql.exec<{ started: number; last_seq: number }>("SELECT started, last_seq FROM position").one(),
    );
    expect(rows).toEqual({ started: 0, last_seq: 0 });
  });
});
