/** Tiles on their way from the objects that keep them to the screens that show them. */
import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { HubFrame } from "../../../durable-objects/live-hub/api.ts";
import type { LiveHub } from "../../../durable-objects/live-hub/live-hub.ts";
import { type TileDefinition, withId } from "../../../durable-objects/tile-rollup/definition.ts";
import { compileTile, tileDeltas } from "../../../durable-objects/tile-rollup/tile-delta.ts";
import type { TileRegistry } from "../../../durable-objects/tile-rollup/tile-registry.ts";
import type { TileRollup } from "../../../durable-objects/tile-rollup/tile-rollup.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { LIVE, MINUTE_MS, ROLLUP } from "../../../r2-layout/limits.ts";

const { TILE_ROLLUP, TILE_REGISTRY, LIVE_HUB } = env as unknown as {
  TILE_ROLLUP: DurableObjectNamespace<TileRollup>;
  TILE_REGISTRY: DurableObjectNamespace<TileRegistry>;
  LIVE_HUB: DurableObjectNamespace<LiveHub>;
};
const WAIT_MS = 15_000;
const MINUTE = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 10 * MINUTE_MS;
const REAL = { tiles: LIVE.tiles, tileValues: LIVE.tileValues, tileKeptMs: LIVE.tileKeptMs };
const BY_COUNTRY = withId({ name: "by country", measure: "count", by: ["country"], grainMinutes: 1, filter: {} });
const USERS = withId({ name: "users", measure: "distinct", field: "user_id", by: [], grainMinutes: 5, filter: {} });
const topicOf = ({ id }: TileDefinition) => `tile:${id}`;

const hub = () => LIVE_HUB.getByName("live");
const open: WebSocket[] = [];
let version = 0;

beforeEach(async () => {
  for (const definition of [BY_COUNTRY, USERS]) {
    const answer = await TILE_REGISTRY.getByName("tiles").define(definition);
    if (answer.kind !== "full") version = answer.version;
  }
  await TILE_ROLLUP.getByName("tiles:000").define(version, [BY_COUNTRY, USERS]);
});
afterEach(async () => {
  Object.assign(LIVE, REAL);
  for (const socket of open.splice(0)) socket.close(1000, "end of test");
  await vi.waitFor(() => runInDurableObject(hub(), (_, state) => expect(state.getWebSockets()).toEqual([])), {
    timeout: WAIT_MS,
  });
  await reset();
});

type Told = Exclude<HubFrame, { type: "refused" }>;

async function connect(query: string) {
  const { webSocket: socket } = await hub().fetch(`http://hub/v1/live?${query}`, { headers: { upgrade: "websocket" } });
  if (!socket) throw new Error("refused");
  const frames: HubFrame[] = [];
  socket.addEventListener("message", ({ data }) => void frames.push(JSON.parse(String(data)) as HubFrame));
  socket.accept();
  open.push(socket);
  const until = (check: () => void) => vi.waitFor(check, { timeout: WAIT_MS, interval: 5 });
  await until(() => expect(frames.length).toBeGreaterThan(0));
  const types = () => frames.map(({ type }) => type);
  const seq = () => Math.max(...frames.map((frame) => (frame as Told).seq ?? 0));
  /** The newest value of a point, by the country or whatever the key says. */
  const values = () => {
    const known = new Map<string, number | null>();
    for (const frame of frames) {
      if (frame.type === "tile_snapshot") known.clear();
      if (frame.type !== "tile" && frame.type !== "tile_snapshot") continue;
      for (const point of frame.points) {
        const key = Object.values(point.key).join();
        if ("gone" in point) known.delete(key);
        else known.set(key, point.value);
      }
    }
    return Object.fromEntries(known);
  };
  return { socket, frames, types, until, values, seq };
}

let seq = 0;
beforeEach(() => {
  seq = 0;
});
/** Through the object that keeps the truth, as the sink does it. @param users one event of each, in a country */
async function happen(country: string, users: readonly string[] = ["ann"], completeUntil = 0): Promise<void> {
  const rows = users.map((user_id) => ({ event_time: MINUTE * 1_000, country, user_id }) as unknown as EventRow);
  const deltas = tileDeltas([BY_COUNTRY, USERS].map(compileTile), rows);
  seq++;
  const answer = await TILE_ROLLUP.getByName("tiles:000").apply({
    shard: 0,
    from: seq,
    to: seq,
    completeUntil,
    version,
    deltas,
  });
  expect(answer.applied).toBe(true);
}

describe("a tile on a screen", () => {
  it("begins with a snapshot, and goes on with the points that change, beside the minutes", async () => {
    await happen("DE", ["ann", "bob"]);
    const screen = await connect(`topics=minutes,${topicOf(BY_COUNTRY)}`);
    expect(screen.types()).toEqual(["snapshot", "tile_snapshot"]);
    expect(screen.frames[1]).toMatchObject({
      tile: BY_COUNTRY.id,
      points: [
        { start: new Date(MINUTE).toISOString(), key: { country: "DE" }, value: 2, state: "provisional", version: 1 },
      ],
    });
    await happen("FR");
    await screen.until(() => expect(screen.types()).toEqual(["snapshot", "tile_snapshot", "tile"]));
    expect(screen.frames[2]).toMatchObject({ points: [{ key: { country: "FR" }, value: 1 }] });
    await happen("DE", [], MINUTE + MINUTE_MS + ROLLUP.finalAfterMs);
    await screen.until(() =>
      expect(screen.frames.at(-1)).toMatchObject({ points: [{ state: "final" }, { state: "final" }] }),
    );
    await happen("DE");
    await screen.until(() => expect(screen.values()).toEqual({ DE: 3, FR: 1 }));
    expect(screen.frames.at(-1)).toMatchObject({
      type: "tile",
      points: [{ version: 2, corrected: true }, { version: 2 }],
    });
  });

  it("is refused by name where there is none, and the others are shown", async () => {
    await happen("DE");
    const none = "tile:t00000000000000ff";
    const screen = await connect(`topics=${none},${topicOf(USERS)}`);
    expect(screen.frames).toMatchObject([
      { type: "refused", topic: none, reason: "unknown_tile" },
      { type: "tile_snapshot", tile: USERS.id, points: [{ value: 1 }] },
    ]);
    screen.socket.send(JSON.stringify({ type: "subscribe", topics: [none, topicOf(BY_COUNTRY)] }));
    await screen.until(() => expect(screen.frames).toHaveLength(4));
    await happen("DE", ["carl"]);
    await screen.until(() => expect(screen.values()).toEqual({ DE: 2 }));
    expect(screen.types().slice(2)).toEqual(["refused", "tile_snapshot", "tile"]);
  });

  it("goes on from the number that a screen saw last; after the hub was evicted from a snapshot, which all get", async () => {
    await happen("DE");
    const screen = await connect(`topics=${topicOf(BY_COUNTRY)}`);
    await happen("FR");
    await screen.until(() => expect(screen.values()).toEqual({ DE: 1, FR: 1 }));
    const seen = screen.seq();
    await happen("DE");
    await screen.until(() => expect(screen.values()).toEqual({ DE: 2, FR: 1 }));
    const back = await connect(`topics=${topicOf(BY_COUNTRY)}&resume=${seen}`);
    await back.until(() => expect(back.types()).toEqual(["tile", "resumed"]));
    expect(back.frames[0]).toMatchObject({ seq: seen, points: [{ key: { country: "DE" }, value: 2 }] });
    expect(back.seq()).toBe(screen.seq());
    await evictDurableObject(hub());
    await happen("IT");
    await Promise.all(
      [screen, back].map((one) => one.until(() => expect(one.values()).toEqual({ DE: 2, FR: 1, IT: 1 }))),
    );
    expect(back.types()).toEqual(["tile", "resumed", "tile_snapshot"]);
    const late = await connect(`topics=${topicOf(BY_COUNTRY)}&resume=${seen}`);
    await late.until(() => expect(late.types()).toEqual(["tile_snapshot", "resumed"]));
  });

  it("shows LIVE.tileValues of a start, the largest, what is left as one, and says of one that is no longer shown that it is gone", async () => {
    Object.assign(LIVE, { tileValues: 3 });
    await happen("DE", ["a", "b", "c"]);
    await happen("FR", ["a", "b"]);
    await happen("IT");
    const screen = await connect(`topics=${topicOf(BY_COUNTRY)}`);
    expect(screen.values()).toEqual({ DE: 3, FR: 2, IT: 1 });
    await happen("ES", ["a", "b", "c", "d"]);
    await screen.until(() => expect(screen.values()).toEqual({ ES: 4, DE: 3, "(other)": 3 }));
    await happen("IT", ["a", "b", "c", "d"]);
    await screen.until(() => expect(screen.values()).toEqual({ IT: 5, ES: 4, "(other)": 5 }));
    expect((await connect(`topics=${topicOf(BY_COUNTRY)}`)).values()).toEqual({ IT: 5, ES: 4, "(other)": 5 });
  });

  it("is one of LIVE.tiles that are looked at; one more is refused, until one of them is not looked at", async () => {
    Object.assign(LIVE, { tiles: 1 });
    const screen = await connect(`topics=${topicOf(BY_COUNTRY)}`);
    const other = await connect(`topics=${topicOf(USERS)}`);
    expect(other.frames).toMatchObject([{ type: "refused", reason: "too_many_tiles" }]);
    screen.socket.send(JSON.stringify({ type: "subscribe", topics: ["minutes"] }));
    await screen.until(() => expect(screen.types()).toEqual(["tile_snapshot", "snapshot"]));
    other.socket.send(JSON.stringify({ type: "subscribe", topics: [topicOf(USERS)] }));
    await other.until(() => expect(other.types()).toEqual(["refused", "tile_snapshot"]));
  });
});
