/** A root with room for two sockets, and hubs below it: whichever a screen is at, it sees the same. */
import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { HubFrame, LiveMinute } from "../../../durable-objects/live-hub/api.ts";
import type { LiveHub } from "../../../durable-objects/live-hub/live-hub.ts";
import { minuteDeltas } from "../../../durable-objects/minute-rollup/minute-delta.ts";
import type { MinuteRollup } from "../../../durable-objects/minute-rollup/minute-rollup.ts";
import { LIVE, MINUTE_MS } from "../../../r2-layout/limits.ts";
import type { Fetches } from "../../../workers/edge/env.ts";
import { liveHubs } from "../../../workers/edge/live-hubs.ts";
import { plainEvent } from "../minute-rollup/events.ts";

const { MINUTE_ROLLUP: rollups, LIVE_HUB: hubs } = env as unknown as {
  MINUTE_ROLLUP: DurableObjectNamespace<MinuteRollup>;
  LIVE_HUB: DurableObjectNamespace<LiveHub>;
};
const WAIT_MS = 15_000;
const MINUTE = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 10 * MINUTE_MS;
const REAL = { silenceMs: LIVE.silenceMs };
const SIZES = { sockets: LIVE.sockets, leaves: LIVE.leaves };
const NAMES = ["live", "live:1", "live:2"];

const open: Screen[] = [];
beforeEach(() => void Object.assign(LIVE, { sockets: 2, leaves: 2 }));
afterEach(async () => {
  Object.assign(LIVE, REAL, SIZES);
  for (const { socket } of open.splice(0)) socket.close(1000, "end of test");
  for (const name of NAMES) {
    await vi.waitFor(
      () => runInDurableObject(hubs.getByName(name), (_, state) => expect(state.getWebSockets()).toEqual([])),
      { timeout: WAIT_MS },
    );
  }
  await reset();
});

/** A client that keeps the newest state of each minute, and what it was told twice. */
class Screen {
  readonly minutes = new Map<string, number>();
  readonly doubles: string[] = [];
  readonly types: string[] = [];
  seq = 0;
  readonly socket: WebSocket;

  constructor(socket: WebSocket, before?: Screen) {
    this.socket = socket;
    if (before) this.minutes = new Map(before.minutes);
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(String(data)) as HubFrame));
    socket.accept();
    open.push(this);
  }

  #take(frame: HubFrame): void {
    this.types.push(frame.type);
    if (frame.type === "refused") return;
    expect(frame.seq).toBeGreaterThanOrEqual(this.seq);
    this.seq = frame.seq;
    if (frame.type === "snapshot") this.minutes.clear();
    const told: readonly LiveMinute[] =
      frame.type === "snapshot" ? frame.minutes : frame.type === "minute" ? [frame] : [];
    for (const { start, events } of told) {
      if (this.minutes.get(start) === events) this.doubles.push(`${start} ${events}`);
      this.minutes.set(start, events);
    }
  }

  shows(count: number, minute = MINUTE): Promise<void> {
    return vi.waitFor(() => expect(this.minutes.get(new Date(minute).toISOString())).toBe(count), {
      timeout: WAIT_MS,
      interval: 5,
    });
  }
}

const edge = () => liveHubs(hubs as unknown as { getByName(name: string): Fetches });

async function ask(query = "", by = edge()): Promise<Response> {
  const url = new URL(`http://edge/v1/live${query}`);
  return by.open(url, new Request(url, { headers: { upgrade: "websocket" } }));
}

async function connect(query = "", before?: Screen): Promise<Screen> {
  const { webSocket, status } = await ask(query);
  if (!webSocket) throw new Error(`refused: ${status}`);
  const screen = new Screen(webSocket, before);
  await vi.waitFor(() => expect(screen.types.length).toBeGreaterThan(0), { timeout: WAIT_MS, interval: 5 });
  return screen;
}

const screens = async (count: number): Promise<Screen[]> => {
  const all: Screen[] = [];
  for (let i = 0; i < count; i++) all.push(await connect());
  return all;
};

let events = 0;
/** One event more in a minute, through the object that keeps the truth. @returns how many it has */
async function happen(minute = MINUTE): Promise<number> {
  const rollup = rollups.getByName("core:000");
  const { lastSeq } = await rollup.status();
  const minutes = minuteDeltas([plainEvent({ event_time: minute * 1_000 })]);
  await rollup.apply({ shard: 0, from: lastSeq + 1, to: lastSeq + 1, completeUntil: 0, minutes });
  return ++events;
}
beforeEach(() => {
  events = 0;
});

const socketsOf = (name: string) =>
  runInDurableObject(
    hubs.getByName(name),
    (_, state) => state.getWebSockets().filter((s) => s.readyState === 1).length,
  );

describe("a tree of hubs", () => {
  it("takes LIVE.sockets at the root, as many at each of LIVE.leaves hubs below it, and tells one more that there are too many", async () => {
    const all = await screens(6);
    expect(await Promise.all(NAMES.map(socketsOf))).toEqual([2, 2, 2]);
    const refused = await ask();
    expect([refused.status, ((await refused.json()) as { reason: string }).reason]).toEqual([503, "too_many_sockets"]);
    for (let i = 0; i < 3; i++) {
      await happen();
      await Promise.all(all.map((screen) => screen.shows(events)));
    }
    expect(new Set(all.map(({ seq }) => seq)).size).toBe(1);
    expect(all.flatMap(({ doubles }) => doubles)).toEqual([]);
    expect(all.flatMap(({ types }) => types.filter((type) => type === "snapshot"))).toHaveLength(6);
  });

  it("misses and doubles nothing when any of its hubs is evicted, and sends no second snapshot", async () => {
    const all = await screens(4);
    for (const evicted of [["live"], ["live:1"], ["live", "live:1"]]) {
      await happen();
      await Promise.all(all.map((screen) => screen.shows(events)));
      for (const name of evicted) await evictDurableObject(hubs.getByName(name));
      await happen(MINUTE + MINUTE_MS);
      events--;
      await happen();
      await Promise.all(all.map((screen) => screen.shows(events)));
    }
    expect(all.flatMap(({ doubles }) => doubles)).toEqual([]);
    expect(all.map(({ types }) => types.filter((type) => type !== "minute"))).toEqual(all.map(() => ["snapshot"]));
  });

  it("tells a screen that comes back to another hub what has changed since, and nothing else", async () => {
    const [, moving, staying] = await screens(3);
    await happen();
    await moving!.shows(1);
    await staying!.shows(1);
    moving!.socket.close(1000, "lost");
    await vi.waitFor(async () => expect(await socketsOf("live")).toBe(1), { timeout: WAIT_MS });
    const taking = await connect();
    await happen(MINUTE + MINUTE_MS);
    events--;
    await staying!.shows(1, MINUTE + MINUTE_MS);
    const back = await connect(`?resume=${moving!.seq}`, moving);
    await vi.waitFor(() => expect(back.types).toEqual(["minute", "resumed"]), { timeout: WAIT_MS });
    expect(back.doubles).toEqual([]);
    expect(await socketsOf("live:1")).toBe(2);
    await happen();
    await Promise.all([back, staying!, taking].map((screen) => screen.shows(2)));
    // Nothing happened since: nothing but that is said.
    back.socket.close(1000, "lost");
    const again = await connect(`?resume=${back.seq}`, back);
    expect(again.types).toEqual(["resumed"]);
  });

  it("gives a snapshot to a screen whose number is of another life of the hub", async () => {
    const first = await connect();
    await happen();
    await first.shows(1);
    for (const resume of ["0", "17", String(Number.MAX_SAFE_INTEGER)]) {
      const screen = await connect(`?resume=${resume}`);
      await vi.waitFor(() => expect(screen.types).toEqual(["snapshot", "resumed"]), { timeout: WAIT_MS });
      await screen.shows(1);
    }
  });

  it("goes on after the root has lost its storage: a hub that hears nothing asks again", async () => {
    const all = await screens(4);
    await happen();
    await Promise.all(all.map((screen) => screen.shows(1)));
    await runInDurableObject(hubs.getByName("live"), (_, { storage }) => storage.deleteAll());
    await evictDurableObject(hubs.getByName("live"));
    await happen();
    await all[0]!.shows(2);
    expect(all[2]!.minutes.get(new Date(MINUTE).toISOString())).toBe(1);
    Object.assign(LIVE, { silenceMs: 0 });
    expect(await runDurableObjectAlarm(hubs.getByName("live:1"))).toBe(true);
    await Promise.all(all.map((screen) => screen.shows(2)));
    Object.assign(LIVE, REAL);
    await happen();
    await Promise.all(all.map((screen) => screen.shows(3)));
    for (const { socket } of all.slice(2)) socket.close(1000, "off");
    await vi.waitFor(async () => expect(await socketsOf("live:1")).toBe(0), { timeout: WAIT_MS });
    // Nobody is there: it sleeps for good.
    await runDurableObjectAlarm(hubs.getByName("live:1"));
    expect(await runDurableObjectAlarm(hubs.getByName("live:1"))).toBe(false);
  });

  it("forgets a hub that has no sockets any more, and finds it again", async () => {
    const [, , , below] = await screens(4);
    open
      .filter((screen) => screen !== open[0] && screen !== open[1])
      .forEach(({ socket }) => void socket.close(1000, "off"));
    await vi.waitFor(async () => expect(await socketsOf("live:1")).toBe(0), { timeout: WAIT_MS });
    const followers = () =>
      runInDurableObject(hubs.getByName("live"), (_, { storage }) =>
        storage.sql.exec("SELECT name FROM leaves").toArray(),
      );
    expect(await followers()).toHaveLength(1);
    await happen();
    await vi.waitFor(async () => expect(await followers()).toEqual([]), { timeout: WAIT_MS });
    const back = await connect(`?resume=${below!.seq}`, below);
    await vi.waitFor(() => expect(back.types.at(-1)).toBe("resumed"), { timeout: WAIT_MS });
    await back.shows(1);
    await happen();
    await back.shows(2);
    expect(await followers()).toEqual([{ name: "live:1" }]);
  });
});
