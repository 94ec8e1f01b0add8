import { env, SELF } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import type { ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import type { TileRegistryApi, TileRollupApi } from "../../../durable-objects/tile-rollup/api.ts";
import { compileTile, tileDeltas } from "../../../durable-objects/tile-rollup/tile-delta.ts";
import { MINUTE_MS, TILES } from "../../../r2-layout/limits.ts";
import { tileOf } from "../../durable-objects/tile-rollup/events.ts";
import { SHARDS, TOKEN } from "./edge-config.ts";

const ORIGIN = "https://collect.example";
const PATH = "/v1/rollup-definitions";
const { REPLAY_DESK, TILE_REGISTRY, TILE_ROLLUP } = env as unknown as {
  REPLAY_DESK: { getByName(name: string): ReplayDeskApi };
  TILE_REGISTRY: { getByName(name: string): TileRegistryApi };
  TILE_ROLLUP: { getByName(name: string): TileRollupApi };
};
const desk = REPLAY_DESK.getByName("desk");
const registry = TILE_REGISTRY.getByName("tiles");

async function call(method: string, path: string, body?: unknown, token: string = TOKEN.admin) {
  const response = await SELF.fetch(`${ORIGIN}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, json: (text === "" ? {} : JSON.parse(text)) as Record<string, unknown> };
}

/** Ends a job as its driver would. */
async function end(job: unknown, state: "done" | "cancelled"): Promise<void> {
  const id = String(job);
  if (state === "cancelled") await desk.act(id, "cancel");
  const lease = (await desk.lease(id, "test", 60_000))!;
  await desk.release(id, lease.token, { kind: "state", from: lease.job.state, state });
}

beforeEach(async () => {
  for (const { definition } of (await registry.list()).records) await registry.remove(definition.id);
  for (const { id, endedAt } of (await desk.overview(["tiles"], 100)).jobs)
    if (endedAt === null) await end(id, "cancelled");
});

const COUNT = { name: "by country", measure: "count", by: ["country"], filter: { event_name: ["page"] } };

describe("POST /v1/rollup-definitions", () => {
  it("makes a definition that is filling until its job has ended, and the same again is the same", async () => {
    const made = await call("POST", PATH, COUNT);
    expect(made).toMatchObject({ status: 201, json: { ...COUNT, grain_minutes: 1, state: "filling", progress: null } });
    const { id, job } = made.json;
    expect(await call("POST", PATH, { ...COUNT, name: "another name" })).toMatchObject({
      status: 200,
      json: { id, name: COUNT.name },
    });
    expect((await call("GET", PATH, undefined, TOKEN.live)).json).toMatchObject({ definitions: [{ id }] });
    expect(await desk.job(String(job))).toMatchObject({ spec: { kind: "tiles", tiles: [id], windows: null } });
    expect((await call("GET", `/v1/replays/${job}`)).json).toMatchObject({
      kind: "tiles",
      tiles: [id],
      sinks: ["rollups"],
    });
    await end(job, "done");
    await registry.filled([String(id)], String(job), SHARDS);
    expect((await call("GET", `${PATH}/${id}`, undefined, TOKEN.live)).json).toMatchObject({
      state: "ready",
      progress: 1,
    });
  });

  it("says that it failed where its job was given up, and has another made when it is asked for again", async () => {
    const { json } = await call("POST", PATH, { name: "revenue", measure: "sum", column: "revenue" });
    await end(json.job, "cancelled");
    expect((await call("GET", `${PATH}/${json.id}`)).json).toMatchObject({
      state: "failed",
      column: "revenue",
      job: json.job,
    });
    const again = await call("POST", PATH, { name: "revenue", measure: "sum", column: "revenue" });
    expect(again).toMatchObject({ status: 200, json: { id: json.id, state: "filling" } });
    expect(again.json.job).not.toBe(json.job);
  });

  it("promise 9: names what is wrong, and takes TILES.definitions and no more, of TILES.bodyBytes at most", async () => {
    expect(await call("POST", PATH, { ...COUNT, by: ["nonsense"] })).toMatchObject({
      status: 400,
      json: { reason: "bad_parameter", parameter: "by.0" },
    });
    expect(await call("POST", PATH, { ...COUNT, colour: "red" })).toMatchObject({
      status: 400,
      json: { parameter: "colour" },
    });
    const room = TILES.bodyBytes - JSON.stringify({ ...COUNT, name: "" }).length;
    expect(await call("POST", PATH, { ...COUNT, name: "x".repeat(room) })).toMatchObject({
      status: 400,
      json: { parameter: "name" },
    });
    expect(await call("POST", PATH, { ...COUNT, name: "x".repeat(room + 1) })).toMatchObject({ status: 413 });
    for (let n = 0; n < TILES.definitions; n++) {
      expect((await registry.define(tileOf({ measure: "count", filter: { event_name: [`name ${n}`] } }))).kind).toBe(
        "added",
      );
    }
    expect(await call("POST", PATH, COUNT)).toMatchObject({
      status: 422,
      json: { reason: "too_many_rollups", limit: TILES.definitions },
    });
  });

  it("takes the scope admin, as deleting does; reading takes live", async () => {
    const { json } = await call("POST", PATH, COUNT);
    for (const [method, path, token] of [
      ["POST", PATH, TOKEN.live],
      ["DELETE", `${PATH}/${json.id}`, TOKEN.live],
      ["GET", PATH, TOKEN.sql],
      ["GET", `${PATH}/${json.id}`, TOKEN.support],
      ["GET", `/v1/rollups?metric=${json.id}`, TOKEN.sql],
    ] as const) {
      const body = method === "POST" ? COUNT : undefined;
      expect(await call(method, path, body, token), `${method} ${path}`).toMatchObject({
        status: 403,
        json: { reason: "missing_scope" },
      });
    }
  });
});

describe("DELETE /v1/rollup-definitions/{id}", () => {
  it("forgets it, and has every shard told", async () => {
    const { json } = await call("POST", PATH, COUNT);
    expect((await call("DELETE", `${PATH}/${json.id}`)).status).toBe(204);
    expect(await call("GET", `${PATH}/${json.id}`)).toMatchObject({ status: 404, json: { reason: "not_found" } });
    expect(await call("DELETE", `${PATH}/${json.id}`)).toMatchObject({ status: 404 });
    expect(await call("GET", `/v1/rollups?metric=${json.id}`)).toMatchObject({ status: 404 });
    expect((await desk.overview(["tiles"], 1)).jobs[0]).toMatchObject({ spec: { tiles: [] } });
  });
});

describe("GET /v1/rollups of a custom rollup", () => {
  it("adds up what its shards have, provisional until all of them are past it", async () => {
    const { json } = await call("POST", PATH, COUNT);
    const tile = tileOf(COUNT as never);
    expect(tile.id).toBe(json.id);
    const minute = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 10 * MINUTE_MS;
    const { version } = await registry.list();
    for (let shard = 0; shard < SHARDS; shard++) {
      const rollup = TILE_ROLLUP.getByName(`tiles:00${shard}`);
      await rollup.define(version, [tile]);
      const events = [{ event_name: "page", event_time: minute * 1_000, country: ["DE", "FR"][shard] }];
      const deltas = tileDeltas([compileTile(tile)], [...events, ...events, { ...events[0]!, country: "DE" }] as never);
      const completeUntil = minute + (shard === 0 ? 5 * MINUTE_MS : 0);
      expect(await rollup.apply({ shard, from: 1, to: 1, completeUntil, version, deltas })).toEqual({
        applied: true,
        lastSeq: 1,
      });
    }
    const answer = await call("GET", `/v1/rollups?metric=${json.id}`, undefined, TOKEN.live);
    const start = new Date(minute).toISOString();
    const common = { start, state: "provisional", version: 1 };
    expect(answer).toEqual({
      status: 200,
      json: {
        watermark: start,
        points: [
          { ...common, key: { country: "DE" }, value: 4 },
          { ...common, key: { country: "FR" }, value: 2 },
        ],
      },
    });
    const byHour = await call("GET", `/v1/rollups?metric=${json.id}&grain=hour`, undefined, TOKEN.live);
    expect(byHour.json.points).toMatchObject([{ value: 4 }, { value: 2 }]);
    expect(await call("GET", `/v1/rollups?metric=${json.id}&grain=5minutes`, undefined, TOKEN.live)).toMatchObject({
      status: 400,
      json: { parameter: "grain" },
    });
  });
});
