import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { LiveFrame, ShardUpdate } from "../../../durable-objects/live-hub/api.ts";
import type { LiveHub } from "../../../durable-objects/live-hub/live-hub.ts";
import { ALL_TIME, type RollupBatch } from "../../../durable-objects/minute-rollup/api.ts";
import { minuteDeltas, type RolledEvent } from "../../../durable-objects/minute-rollup/minute-delta.ts";
import type { MinuteRollup } from "../../../durable-objects/minute-rollup/minute-rollup.ts";
import { emptySketch, encodeSketch } from "../../../durable-objects/minute-rollup/user-sketch.ts";
import { HOUR_MS, LIVE, MINUTE_MS, ROLLUP } from "../../../r2-layout/limits.ts";
import { plainEvent } from "../minute-rollup/events.ts";

const { MINUTE_ROLLUP: rollups, LIVE_HUB: hubs } = env as unknown as {
  MINUTE_ROLLUP: DurableObjectNamespace<MinuteRollup>;
  LIVE_HUB: DurableObjectNamespace<LiveHub>;
};
/** For a condition to come true. How long it takes is measured by `npm run bench:delays`, on a quiet machine. */
const WAIT_MS = 8_000;
/** Minutes in the window with room on both sides, should the clock move on during a test. */
const MINUTE = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 10 * MINUTE_MS;
const iso = (minute: number) => new Date(minute).toISOString();

const open: WebSocket[] = [];
afterEach(async () => {
  const sockets = open.splice(0);
  for (const socket of sockets) socket.close(1000, "end of test");
  if (sockets.length > 0) {
    await vi.waitFor(() => runInDurableObject(hub(), (_, state) => expect(state.getWebSockets()).toEqual([])), {
      timeout: WAIT_MS,
    });
  }
  await reset();
});

const hub = () => hubs.getByName("live");

/** A client that keeps what it is sent. */
async function connect() {
  const response = await hub().fetch("http://hub/v1/live", { headers: { upgrade: "websocket" } });
  const socket = response.webSocket;
  if (!socket) throw new Error(`refused: ${response.status}`);
  const texts: string[] = [];
  const closed = Promise.withResolvers<number>();
  socket.addEventListener("message", ({ data }) => {
    texts.push(String(data));
  });
  socket.addEventListener("close", ({ code }) => closed.resolve(code));
  socket.accept();
  open.push(socket);
  const frames = () => texts.filter((text) => text.startsWith("{")).map((text) => JSON.parse(text) as LiveFrame);
  const minutes = () => frames().filter((frame) => frame.type === "minute");
  const frameOf = (start: number, events: number) =>
    vi.waitFor(
      () => {
        const found = minutes().find((frame) => frame.start === iso(start) && frame.events === events);
        if (!found) throw new Error(`no frame of ${iso(start)} with ${events} events in ${texts.join("\n")}`);
        return found;
      },
      { timeout: WAIT_MS, interval: 5 },
    );
  await vi.waitFor(() => expect(texts.length).toBeGreaterThan(0), { timeout: WAIT_MS, interval: 5 });
  return { socket, texts, frames, minutes, frameOf, closed: closed.promise };
}

const at = (ms: number, more: Partial<RolledEvent> = {}) => plainEvent({ event_time: ms * 1_000, ...more });

let seq = 0;
/** Through the object that keeps the truth, as the sink does it. */
async function happen(events: readonly RolledEvent[], completeUntil = 0): Promise<void> {
  const rollup = rollups.getByName("core:000");
  const { lastSeq } = await rollup.status();
  const batch: RollupBatch = {
    shard: 0,
    from: lastSeq + 1,
    to: lastSeq + (events.length > 0 ? 1 : 0),
    completeUntil,
    minutes: minuteDeltas(events),
  };
  expect((await rollup.apply(batch)).applied).toBe(true);
}

/** A publish as another shard would send it. */
function update(shard: number, shards: number, minute: number, events: number, completeUntil = 0): ShardUpdate {
  const top = { event_name: [["page", events] as const], country: [], device_type: [], page_path: [] };
  const state = { minute, version: 1, events, revenue: [], top, users: encodeSketch(emptySketch()) };
  return { shard, shards, lastSeq: ++seq, completeUntil, minutes: [state] };
}

describe("a socket", () => {
  it("gets a snapshot first, then each minute that changes", async () => {
    await happen([
      at(MINUTE, {
        country: "DE",
        device_type: "mobile",
        page_path: "/",
        user_id: "ann",
        revenue: 0.1,
        currency: "EUR",
      }),
      at(MINUTE, { country: "DE", user_id: "bob", revenue: 0.2, currency: "EUR" }),
    ]);
    const client = await connect();
    await happen([at(MINUTE + MINUTE_MS, { user_id: "ann" })]);
    await client.frameOf(MINUTE + MINUTE_MS, 1);
    const [snapshot, ...rest] = client.frames();
    expect(snapshot).toEqual({
      type: "snapshot",
      seq: expect.any(Number),
      at: expect.any(String),
      minutes: [
        {
          start: iso(MINUTE),
          events: 2,
          users: 2,
          revenue: { EUR: 0.3 },
          event_name: [["page", 2]],
          country: [["DE", 2]],
          device_type: [["mobile", 1]],
          page_path: [["/", 1]],
          state: "provisional",
          version: 1,
        },
      ],
    });
    expect(rest.map((frame) => [frame.type, frame.seq - snapshot!.seq])).toEqual([["minute", 1]]);
  });

  it("is told when a minute becomes final, and of its new version after a late event (promise 8)", async () => {
    await happen([at(MINUTE)]);
    const client = await connect();
    await happen([], MINUTE + MINUTE_MS + ROLLUP.finalAfterMs);
    expect(await client.frameOf(MINUTE, 1)).toMatchObject({ state: "final", version: 1 });
    await happen([at(MINUTE)]);
    expect(await client.frameOf(MINUTE, 2)).toMatchObject({ state: "final", version: 2 });
  });

  it("still gets frames after the hub was evicted and the socket hibernated, numbered on", async () => {
    const client = await connect();
    await happen([at(MINUTE)]);
    await client.frameOf(MINUTE, 1);
    await evictDurableObject(hub());
    await happen([at(MINUTE)]);
    await client.frameOf(MINUTE, 2);
    await evictDurableObject(rollups.getByName("core:000"));
    await evictDurableObject(hub());
    await happen([at(MINUTE)]);
    await client.frameOf(MINUTE, 3);
    const { seq: first } = client.frames()[0]!;
    expect(client.minutes().map((frame) => [frame.seq - first, frame.events])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
  });

  it("is not told a state twice, also when the hub was evicted in between", async () => {
    const client = await connect();
    const same = update(0, 1, MINUTE, 5);
    await hub().publish(same);
    await client.frameOf(MINUTE, 5);
    await hub().publish(same);
    await evictDurableObject(hub());
    await hub().publish(same);
    // A later change arrives alone: nothing was sent before it.
    await hub().publish(update(0, 1, MINUTE + MINUTE_MS, 1));
    await client.frameOf(MINUTE + MINUTE_MS, 1);
    expect(client.minutes().map((frame) => [frame.start, frame.events])).toEqual([
      [iso(MINUTE), 5],
      [iso(MINUTE + MINUTE_MS), 1],
    ]);
  });

  it("gets what changed while the hub had forgotten everything and heard nothing, and only that", async () => {
    await happen([at(MINUTE), at(MINUTE + MINUTE_MS)]);
    const client = await connect();
    await evictDurableObject(hub());
    // The rollup changes, its publish is lost: the row is written past the object's publisher.
    await runInDurableObject(rollups.getByName("core:000"), async (_, { storage }) => {
      const { RollupStore } = await import("../../../durable-objects/minute-rollup/rollup-store.ts");
      const minutes = minuteDeltas([at(MINUTE)]);
      new RollupStore(storage.sql).apply({ shard: 0, from: 2, to: 2, completeUntil: 0, minutes }, Date.now());
    });
    await evictDurableObject(rollups.getByName("core:000"));
    await hub().publish(update(0, 1, MINUTE + 2 * MINUTE_MS, 1));
    await client.frameOf(MINUTE + 2 * MINUTE_MS, 1);
    expect(client.minutes().map((frame) => [frame.start, frame.events])).toEqual([
      [iso(MINUTE), 2],
      [iso(MINUTE + 2 * MINUTE_MS), 1],
    ]);
  });

  it("is told what is left after a rebuild swapped rows in, and again after it was reverted: with a higher version (promise 8)", async () => {
    await happen([at(MINUTE, { user_id: "ann" }), at(MINUTE, { user_id: "bob" }), at(MINUTE + MINUTE_MS)]);
    await happen([], MINUTE + 3 * MINUTE_MS);
    const client = await connect();
    expect(client.frames()).toMatchObject([{ minutes: [{ events: 2, users: 2, version: 1 }, { events: 1 }] }]);
    const rollup = rollups.getByName("core:000");
    const hour = Math.floor(MINUTE / HOUR_MS) * HOUR_MS;
    const window = { from: hour, to: hour + 2 * HOUR_MS };
    await rollup.begin({ job: "job", shard: 0, ...window, cursor: 0, after: 0 });
    const right = minuteDeltas([at(MINUTE, { user_id: "bob", page_path: "/new" })]);
    await rollup.add("job", { step: 1, to: 1, rules: 0 }, right);
    await rollup.swap("job", "correction");
    expect(await client.frameOf(MINUTE, 1)).toMatchObject({
      users: 1,
      version: 2,
      state: "final",
      page_path: [["/new", 1]],
    });
    expect(await client.frameOf(MINUTE + MINUTE_MS, 0)).toMatchObject({ version: 2, users: 0 });
    await evictDurableObject(hub());
    await rollup.revert("job");
    expect(await client.frameOf(MINUTE, 2)).toMatchObject({ users: 2, version: 3, page_path: [] });
    expect(await client.frameOf(MINUTE + MINUTE_MS, 1)).toMatchObject({ version: 3 });
    expect((await connect()).frames()).toMatchObject([{ minutes: [{ events: 2, users: 2 }, { events: 1 }] }]);
  });

  it("is told of a correction that leaves the number of events as it was", async () => {
    await happen([at(MINUTE, { page_path: "/old" })]);
    const client = await connect();
    const rollup = rollups.getByName("core:000");
    const hour = Math.floor(MINUTE / HOUR_MS) * HOUR_MS;
    await rollup.begin({ job: "job", shard: 0, from: hour, to: hour + HOUR_MS, cursor: 0, after: 0 });
    await rollup.add("job", { step: 1, to: 1, rules: 0 }, minuteDeltas([at(MINUTE, { page_path: "/new" })]));
    await rollup.swap("job", "correction");
    // Provisional all the while: nobody was promised anything, so it is no new version.
    expect(await client.frameOf(MINUTE, 1)).toMatchObject({
      page_path: [["/new", 1]],
      version: 1,
      state: "provisional",
    });
  });

  it("is never shown what a wiped rollup had, once it was built anew from the log", async () => {
    await happen([at(MINUTE), at(MINUTE), at(MINUTE + MINUTE_MS)]);
    const client = await connect();
    const rollup = rollups.getByName("core:000");
    const stale = { ...update(0, 1, MINUTE, 2), lastSeq: 99, incarnation: (await rollup.recent(0, 1)).incarnation! };
    await runInDurableObject(rollup, (_, { storage }) => storage.deleteAll());
    await evictDurableObject(rollup);
    const all = rollups.getByName("core:000");
    await all.begin({ job: "all", shard: 0, ...ALL_TIME, cursor: 7, after: 0 });
    await all.add("all", { step: 1, to: 7, rules: 0 }, minuteDeltas([at(MINUTE)]));
    await all.swap("all", "rebuild");
    await client.frameOf(MINUTE, 1);
    await client.frameOf(MINUTE + MINUTE_MS, 0);
    // A publish of the old object that was long under way, with a place that the new one has not reached.
    await hub().publish(stale);
    await all.apply({ shard: 0, from: 8, to: 8, completeUntil: 0, minutes: minuteDeltas([at(MINUTE), at(MINUTE)]) });
    await client.frameOf(MINUTE, 3);
    const told = client.minutes().filter(({ start }) => start === iso(MINUTE));
    expect(told.map(({ events }) => events)).toEqual([1, 3]);
  });

  it("shares every frame, encoded once, with all others, and a second one starts from a snapshot of its own", async () => {
    const first = await connect();
    await happen([at(MINUTE)]);
    await first.frameOf(MINUTE, 1);
    const second = await connect();
    expect(second.frames()).toMatchObject([
      { type: "snapshot", seq: first.minutes().at(-1)!.seq, minutes: [{ events: 1 }] },
    ]);
    await happen([at(MINUTE)]);
    await Promise.all([first.frameOf(MINUTE, 2), second.frameOf(MINUTE, 2)]);
    expect(second.texts.at(-1)).toBe(first.texts.at(-1));
  });

  it("may say ping, and is closed with a code for what it may not", async () => {
    const client = await connect();
    client.socket.send("ping");
    await vi.waitFor(() => expect(client.texts.at(-1)).toBe("pong"), { timeout: WAIT_MS });
    client.socket.send("hello?");
    client.socket.send(new Uint8Array([1]));
    expect(await client.closed).toBe(1003);
    const other = await connect();
    for (let i = 0; i <= LIVE.clientMessages; i++) other.socket.send(`message ${i}`);
    expect(await other.closed).toBe(1008);
  });

  it("may leave at any time: the others get their frames", async () => {
    const leaving = await connect();
    const staying = await connect();
    leaving.socket.close(1000, "bye");
    await vi.waitFor(() => runInDurableObject(hub(), (_, state) => expect(state.getWebSockets()).toHaveLength(1)), {
      timeout: WAIT_MS,
    });
    await happen([at(MINUTE)]);
    await staying.frameOf(MINUTE, 1);
  });
});

it("adds up four shards, gathers their publishes and sends a minute at most twice a second", async () => {
  const client = await connect();
  const started = Date.now();
  for (let round = 1; round <= 20; round++) {
    for (let shard = 0; shard < 4; shard++) await hub().publish(update(shard, 4, MINUTE, round));
  }
  await client.frameOf(MINUTE, 80);
  const seconds = (Date.now() - started) / 1_000;
  expect(client.minutes().length).toBeLessThanOrEqual(Math.ceil(seconds * (1_000 / LIVE.frameIntervalMs)) + 1);
  const passed = MINUTE + MINUTE_MS + ROLLUP.finalAfterMs;
  for (let shard = 0; shard < 4; shard++) {
    await hub().publish({ shard, shards: 4, lastSeq: seq, completeUntil: passed, minutes: [] });
  }
  await vi.waitFor(() => expect(client.minutes().at(-1)).toMatchObject({ events: 80, state: "final" }), {
    timeout: WAIT_MS,
  });
});

it("answers a request that is no websocket with a problem document", async () => {
  const response = await hub().fetch("http://hub/v1/live");
  expect(response.status).toBe(426);
  expect(await response.json()).toMatchObject({ reason: "upgrade_required", status: 426 });
});

it("does nothing for a publish while nobody watches", async () => {
  await hub().publish(update(0, 1, MINUTE, 1));
  await runInDurableObject(hub(), (_, { storage }) => {
    expect(storage.sql.exec("SELECT * FROM sent").toArray()).toEqual([]);
  });
  // The minute was only published, never kept: a socket is shown what the rollups keep.
  expect((await connect()).frames()).toMatchObject([{ type: "snapshot", minutes: [] }]);
});
