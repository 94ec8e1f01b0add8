/**
 * A root and two hubs below it whose calls are lost before or after their effect, come twice, late and in any order, while hubs
 * are evicted and screens move from one to another: every screen ends with what there is, told nothing twice that it surely had.
 */
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Delivery, Followed, LeafHubApi, RootHubApi } from "../../../durable-objects/live-hub/api.ts";
import type { Audience } from "../../../durable-objects/live-hub/audience.ts";
import { LeafTopics } from "../../../durable-objects/live-hub/leaf-topics.ts";
import { Leaves } from "../../../durable-objects/live-hub/leaves.ts";
import type { Topic } from "../../../durable-objects/live-hub/topics.ts";
import { LIVE } from "../../../r2-layout/limits.ts";
import { Database, SimulatedSql } from "../../simulator/platform/sql-storage.ts";
import { audienceOf, type FakeHub, FakeScreen, type FakeSocket, FakeTopics, IDS, TOPICS } from "./fake-screens.ts";

const LEAVES = ["live:1", "live:2"] as const;
const REAL = { frameIntervalMs: LIVE.frameIntervalMs };
afterEach(() => void Object.assign(LIVE, REAL));

const FATES = [
  "arrives",
  "arrives, its answer is late",
  "arrives twice",
  "arrives, its answer is lost",
  "is lost",
] as const;
type Fate = (typeof FATES)[number];

/** Calls that wait until a test lets them go. */
class Network {
  readonly #waiting: ((fate: Fate) => Promise<void>)[] = [];

  call<T>(work: () => Promise<T>): Promise<T> {
    const answer = Promise.withResolvers<T>();
    this.#waiting.push(async (fate) => {
      if (fate === "is lost") return answer.reject(new Error("lost"));
      const done = work();
      done.catch(() => {});
      if (fate === "arrives, its answer is lost") answer.reject(new Error("lost"));
      else if (fate === "arrives, its answer is late") this.#waiting.push(async () => answer.resolve(done));
      else answer.resolve(done);
      if (fate === "arrives twice") this.#waiting.push(async () => void work().catch(() => {}));
    });
    return answer.promise;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  async go(index: number, fate: Fate): Promise<void> {
    const [call] = this.#waiting.splice(index % Math.max(1, this.#waiting.length), 1);
    await call?.(fate);
    await settled();
  }
}

/** An object that was evicted hears of no answer any more. */
async function unlessGone<T>(isGone: () => boolean, answer: Promise<T>): Promise<T> {
  const settled = await answer.then(
    (value) => () => value,
    (error) => () => {
      throw error;
    },
  );
  return isGone() ? new Promise(() => {}) : settled();
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Root implements FakeHub, RootHubApi {
  readonly topics = new FakeTopics((frames, seq) => {
    this.#audience.tell(frames, seq);
    this.leaves.push();
  });
  readonly #sql = new SimulatedSql(new Database(new DatabaseSync(":memory:")), () => {}) as unknown as SqlStorage;
  readonly #hub: (name: string) => LeafHubApi;
  readonly #sockets: FakeSocket[] = [];
  #audience = audienceOf(this.#sockets, () => this.topics);
  leaves: Leaves;

  constructor(hub: (name: string) => LeafHubApi) {
    this.#hub = hub;
    this.leaves = this.#wake();
  }

  evict(): void {
    this.#audience = audienceOf(this.#sockets, () => this.topics);
    this.leaves = this.#wake();
  }

  async follow(leaf: string, topics: readonly Topic[], sockets: number): Promise<Followed> {
    const feeds = topics.map((topic) => {
      const feed = this.topics.feed(topic)!;
      return { topic, since: feed.since, grainMs: feed.grainMs, items: feed.all() };
    });
    const { seq } = this.topics;
    return structuredClone({ generation: this.leaves.follow(leaf, topics, sockets, seq), seq, feeds, refused: [] });
  }

  connect(socket: FakeSocket, resume: number | null): void {
    this.#audience.accept(socket as unknown as WebSocket, TOPICS, resume, new Map());
  }

  hear(socket: FakeSocket, message: object): Promise<void> {
    return this.#audience.hear(socket as unknown as WebSocket, JSON.stringify(message));
  }

  #wake(): Leaves {
    const isGone = () => this.leaves !== leaves;
    const getByName = (name: string): LeafHubApi => ({
      deliver: (delivery) => unlessGone(isGone, this.#hub(name).deliver(delivery)),
    });
    const leaves = new Leaves(this.#sql, { getByName }, () => this.topics, this.topics.seq);
    return leaves;
  }
}

class Leaf implements FakeHub, LeafHubApi {
  readonly told = { seq: 0 };
  readonly #name: string;
  readonly #root: RootHubApi;
  readonly #sockets: FakeSocket[] = [];
  #arriving = 0;
  /** Fails when the object is evicted, and with it every call that it was to answer. */
  #ended = Promise.withResolvers<never>();
  #audience!: Audience;
  #topics!: LeafTopics;

  constructor(name: string, root: RootHubApi) {
    this.#name = name;
    this.#root = root;
    this.#ended.promise.catch(() => {});
    this.evict();
  }

  evict(): void {
    const audience = audienceOf(this.#sockets, () => this.#topics);
    this.#audience = audience;
    const isGone = () => this.#audience !== audience;
    const follow: RootHubApi["follow"] = (...args) => unlessGone(isGone, this.#root.follow(...args));
    this.#arriving = 0;
    this.#ended.reject(new Error("evicted"));
    this.#ended = Promise.withResolvers<never>();
    this.#ended.promise.catch(() => {});
    this.#topics = new LeafTopics({
      name: this.#name,
      root: () => ({ follow }),
      told: this.told,
      watched: () => audience.watched(),
      sockets: () => audience.size + this.#arriving,
      tell: (frames, seq) => audience.tell(frames, seq),
    });
  }

  deliver(delivery: Delivery) {
    return Promise.race([this.#topics.deliver(structuredClone(delivery)), this.#ended.promise]);
  }

  connect(socket: FakeSocket, resume: number | null): void {
    void this.#connect(socket, resume);
  }

  async #connect(socket: FakeSocket, resume: number | null): Promise<void> {
    this.#arriving++;
    const ended = this.#ended;
    try {
      const refused = await Promise.race([this.#topics.open(TOPICS, resume ?? 0), ended.promise]);
      if (socket.readyState !== WebSocket.OPEN) return;
      if (refused.size > 0) socket.close(1006);
      else this.#audience.accept(socket as unknown as WebSocket, TOPICS, resume, refused);
    } catch {
      socket.close(1006);
    } finally {
      if (ended === this.#ended) this.#arriving--;
    }
  }

  async hear(socket: FakeSocket, message: object): Promise<void> {
    await this.#audience.hear(socket as unknown as WebSocket, JSON.stringify(message));
  }
}

class Tree {
  readonly network = new Network();
  readonly root = new Root((name) => ({
    deliver: (delivery) => this.network.call(() => this.#leaf(name).deliver(delivery)),
  }));
  readonly leaves = LEAVES.map(
    (name) => new Leaf(name, { follow: (...args) => this.network.call(() => this.root.follow(...args)) }),
  );

  #leaf(name: string): Leaf {
    return this.leaves[LEAVES.indexOf(name as (typeof LEAVES)[number])]!;
  }

  hub(index: number): FakeHub {
    return index === 0 ? this.root : this.leaves[index - 1]!;
  }

  evict(index: number): void {
    if (index === 0) this.root.evict();
    else this.leaves[index - 1]!.evict();
  }

  /** Until nothing is under way any more, and every hub has been told. */
  async calm(screens: readonly FakeScreen[]): Promise<void> {
    for (let round = 0; round < 100; round++) {
      while (this.network.waiting > 0) await this.network.go(0, "arrives");
      for (const screen of screens) if (screen.socket.code !== null) screen.reconnect();
      this.root.topics.change(round < 5 ? ["minute1"] : []);
      this.root.leaves.push();
      await settled();
      if (round >= 5 && this.network.waiting === 0 && screens.every(({ socket }) => socket.code === null)) return;
    }
    throw new Error("the tree does not come to rest");
  }
}

const fate = fc.constantFrom("arrives" as const, ...FATES);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("change" as const),
      ids: fc.uniqueArray(fc.constantFrom(...IDS), { minLength: 1 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("go" as const), call: fc.nat(5), fate }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("read" as const), screen: fc.nat(2), count: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("move" as const), screen: fc.nat(2), hub: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("evict" as const), hub: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const) }) },
);

describe("a tree of hubs", () => {
  it("leaves no screen with a gap or a double, whatever becomes of the calls between the hubs", async () => {
    for (const level of ["warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
    Object.assign(LIVE, { frameIntervalMs: 0 });
    let followed = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80 }), async (steps) => {
        const tree = new Tree();
        tree.root.topics.change(["minute1", "point1"]);
        const screens = [0, 1, 2].map((index) => new FakeScreen(tree.hub(index)));
        for (const one of steps) {
          if (one.do === "change") tree.root.topics.change(one.ids);
          else if (one.do === "go") await tree.network.go(one.call, one.fate);
          else if (one.do === "read") await screens[one.screen]!.read(one.count, true);
          else if (one.do === "move") screens[one.screen]!.reconnect(tree.hub(one.hub));
          else if (one.do === "evict") tree.evict(one.hub);
          else tree.root.topics.loseTile();
          await settled();
        }
        await tree.calm(screens);
        for (const screen of screens) {
          await screen.read(1_000, true);
          expect([...screen.state].sort()).toEqual([...tree.root.topics.truth].sort());
          expect(screen.doubles).toEqual([]);
        }
        followed += tree.leaves.filter(({ told }) => told.seq > 0).length;
      }),
      {
        numRuns: 400,
        // A screen catches up at the root, breaks off, and comes back to a hub that has still to hear of what it was told there.
        examples: [
          [
            [
              { do: "read", screen: 0, count: 0 },
              { do: "go", call: 0, fate: "arrives" },
              { do: "read", screen: 1, count: 2 },
              { do: "change", ids: ["minute1"] },
              { do: "change", ids: ["minute1"] },
              { do: "move", screen: 1, hub: 0 },
              { do: "read", screen: 1, count: 1 },
              { do: "move", screen: 1, hub: 1 },
            ],
          ],
        ],
      },
    );
    expect(followed).toBeGreaterThan(200);
    vi.restoreAllMocks();
  });
});
