/**
 * Sockets that break at any frame, come back, read slowly and hibernate, beside topics that change: whatever happens, each client
 * ends with what there is, and is told nothing twice that it surely had.
 */
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { HubFrame } from "../../../durable-objects/live-hub/api.ts";
import type { Audience } from "../../../durable-objects/live-hub/audience.ts";
import { LIVE } from "../../../r2-layout/limits.ts";
import {
  audienceOf,
  type FakeHub,
  FakeScreen,
  type FakeSocket,
  FakeTopics,
  IDS,
  TILE,
  TOPICS,
} from "./fake-screens.ts";

const REAL = { unread: LIVE.unread, unreadSilent: LIVE.unreadSilent };

afterEach(() => void Object.assign(LIVE, REAL));

class World implements FakeHub {
  readonly topics = new FakeTopics((frames, seq) => this.#audience.tell(frames, seq));
  readonly #sockets: FakeSocket[] = [];
  #audience = this.#wake();

  /** What an eviction leaves: the sockets and their attachments. */
  hibernate(): void {
    this.#audience = this.#wake();
  }

  connect(socket: FakeSocket, resume: number | null): void {
    this.#audience.accept(socket as unknown as WebSocket, TOPICS, resume, new Map());
  }

  hear(socket: FakeSocket, message: object): Promise<void> {
    return this.#audience.hear(socket as unknown as WebSocket, JSON.stringify(message));
  }

  #wake(): Audience {
    return audienceOf(this.#sockets, () => this.topics);
  }
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("change" as const),
      ids: fc.uniqueArray(fc.constantFrom(...IDS), { minLength: 1 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("read" as const), client: fc.nat(2), count: fc.nat(6), ack: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("reconnect" as const), client: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("hibernate" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const) }) },
);

describe("an audience", () => {
  it.each([
    { title: "however connections break", unread: 1_000_000 },
    { title: "and however slowly clients read", unread: 300 },
  ])("leaves no client with a gap, and tells nothing twice on a connection, $title", async ({ unread }) => {
    Object.assign(LIVE, { unread, unreadSilent: unread });
    let paused = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const world = new World();
        world.topics.change(["minute1", "point1"]);
        const clients = [new FakeScreen(world), new FakeScreen(world), new FakeScreen(world)];
        for (const one of steps) {
          if (one.do === "change") world.topics.change(one.ids);
          else if (one.do === "read") await clients[one.client]!.read(one.count, one.ack);
          else if (one.do === "reconnect") clients[one.client]!.reconnect();
          else if (one.do === "hibernate") world.hibernate();
          else world.topics.loseTile();
          for (const { socket } of clients) {
            if ((socket.deserializeAttachment() as { behind?: number }).behind !== undefined) paused++;
          }
        }
        for (const client of clients) {
          // What has arrived, then what was held back.
          await client.read(1_000, true);
          await client.read(1_000, true);
          expect([...client.state].sort()).toEqual([...world.topics.truth].sort());
          expect(client.doubles).toEqual([]);
        }
      }),
      { numRuns: 300 },
    );
    if (unread < 1_000) expect(paused).toBeGreaterThan(0);
  });

  it("stops at LIVE.unread, tells the newest state of each item once when the client has read on, and closes one that reads nothing", async () => {
    Object.assign(LIVE, { unread: 500, unreadSilent: 500 });
    const world = new World();
    const client = new FakeScreen(world);
    const stuck = new FakeScreen(world);
    const before = LIVE.slowMs;
    for (let i = 0; i < 50; i++) world.topics.change(["minute1"]);
    const told = client.socket.inbox.length;
    expect(told).toBeLessThan(15);
    await client.read(1_000, true);
    expect(client.socket.inbox.map((text) => (JSON.parse(text) as HubFrame).type)).toEqual(["minute", "resumed"]);
    await client.read(2, false);
    expect(client.state).toEqual(world.topics.truth);
    Object.assign(LIVE, { slowMs: -1 });
    world.topics.change(["minute1"]);
    Object.assign(LIVE, { slowMs: before });
    expect([client.socket.code, stuck.socket.code]).toEqual([null, 1013]);
  });

  it("begins to bring a client up to date where it was, when that has broken off between two topics", async () => {
    const world = new World();
    world.topics.change(["minute1", "point1"]);
    const client = new FakeScreen(world);
    await client.read(10, false);
    world.topics.change(["minute1", "point1"]);
    for (let frames = 0; frames < 3; frames++) {
      client.reconnect();
      await client.read(frames, false);
    }
    expect(client.state).toEqual(world.topics.truth);
    expect(client.doubles).toEqual([]);
  });

  it("gives who wants another topic while it is behind a snapshot of each, when it has read on", async () => {
    Object.assign(LIVE, { unread: 500, unreadSilent: 500 });
    const world = new World();
    const client = new FakeScreen(world);
    await world.hear(client.socket, { type: "subscribe", topics: ["minutes"] });
    world.topics.change(["point1"]);
    for (let i = 0; i < 20; i++) world.topics.change(["minute1"]);
    await world.hear(client.socket, { type: "subscribe", topics: TOPICS });
    await client.read(1_000, true);
    await client.read(1_000, false);
    expect(client.state).toEqual(world.topics.truth);
  });

  it("gives a topic that is new its snapshot, and says nothing anew of those that stay", async () => {
    const world = new World();
    world.topics.change(["minute1", "point1"]);
    const client = new FakeScreen(world);
    await client.read(10, true);
    await world.hear(client.socket, { type: "subscribe", topics: ["minutes"] });
    world.topics.change(["point1"]);
    expect(client.socket.inbox).toEqual([]);
    await world.hear(client.socket, { type: "subscribe", topics: [TILE, "minutes"] });
    expect(client.socket.inbox.map((text) => JSON.parse(text) as object)).toMatchObject([
      { type: "tile_snapshot", seq: world.topics.seq, points: [{ value: 3 }] },
    ]);
  });

  it("ignores a few messages and changes of topics, and closes for LIVE.clientMessages or LIVE.subscribes and one", async () => {
    const world = new World();
    const chatty = new FakeScreen(world).socket;
    for (let i = 0; i < LIVE.clientMessages; i++) await world.hear(chatty, { i });
    expect(chatty.code).toBeNull();
    await world.hear(chatty, { i: 0 });
    expect(chatty.code).toBe(1008);
    const fickle = new FakeScreen(world).socket;
    for (let i = 0; i < LIVE.subscribes + LIVE.clientMessages; i++) {
      await world.hear(fickle, { type: "subscribe", topics: [i % 2 ? TILE : "minutes"] });
    }
    expect(fickle.code).toBeNull();
    await world.hear(fickle, { type: "subscribe", topics: ["minutes"] });
    expect(fickle.code).toBe(1008);
  });
});
