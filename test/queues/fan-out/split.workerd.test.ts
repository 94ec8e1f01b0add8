import { reset, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { shardLedger } from "../../../durable-objects/event-log/ledger.ts";
import { SINKS } from "../../../durable-objects/sink-cursor/api.ts";
import type { FanOutDeps } from "../../../queues/fan-out/fan-out.ts";
import { fanOut } from "../../../queues/fan-out/fan-out.ts";
import { shardOf } from "../../../r2-layout/event-id.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { DAY_MS } from "../../../r2-layout/limits.ts";
import type { Rule } from "../../../r2-layout/rule.ts";
import { decodeSegmentLines } from "../../../r2-layout/segment.ts";
import type { ShardHistory } from "../../../r2-layout/shards.ts";
import { countOf, epochOf, parentOf } from "../../../r2-layout/shards.ts";
import { bindings } from "../../bindings.ts";
import { batchOf, bodyOf, Fault } from "../log-rig.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

const HISTORY: ShardHistory = [1, 2, 4];
const upTo = (epoch: number): ShardHistory => HISTORY.slice(0, epoch + 1);
const log = (shard: number) => bindings.EVENT_LOG.getByName(shardName(shard));
/** As `lineOf` of the rig names it: seven devices. */
const homeOf = (event: number, shards: number) =>
  shardOf({ source: "shop", anonymous_id: `device-${event % 7}`, event_id: `event-${event}` }, shards);

type Call = "put" | "filter" | "commit";

/** A fan-out as its Worker was deployed, with a call that fails. */
function depsOf(epoch: number, fault?: { call: Call; injected: Fault }): FanOutDeps {
  const around = <T>(call: Call, effect: () => Promise<T>) =>
    fault?.call === call ? fault.injected.around(effect) : effect();
  return {
    shards: upTo(epoch),
    bucket: { put: (key, body, options) => around("put", () => bindings.BUCKET.put(key, body, options)) },
    logs: {
      getByName: (name) => {
        const stub = bindings.EVENT_LOG.getByName(name);
        return {
          filter: (ids, messages) => around("filter", async () => await stub.filter(ids, messages)),
          commit: (commit) => around("commit", async () => await stub.commit(commit)),
          barred: async (after) => await stub.barred(after),
        };
      },
    },
  };
}

/** An edge instance as it was deployed: it numbers its messages for each shard. */
class Edge {
  readonly #sent = new Map<number, { n: number; events: number }>();
  readonly name: string;
  readonly epoch: number;

  constructor(name: string, epoch: number) {
    this.name = name;
    this.epoch = epoch;
  }

  /** @returns the bodies of the messages, one a shard. */
  send(events: readonly number[]): string[] {
    const shards = upTo(this.epoch);
    return Array.from(
      Map.groupBy(events, (event) => homeOf(event, countOf(shards))),
      ([shard, some]) => {
        const sent = this.#sent.get(shard) ?? { n: 0, events: 0 };
        this.#sent.set(shard, { n: sent.n + 1, events: sent.events + some.length });
        const header = { epoch: this.epoch, ...(this.epoch > 0 && { shards }) };
        const quarantined = some.flatMap((event, i) => (event % 11 === 10 ? i : []));
        return bodyOf({
          edge: this.name,
          n: sent.n + 1,
          before: sent.events,
          events: some,
          shard,
          quarantined,
          header,
        });
      },
    );
  }
}

async function deliver(bodies: readonly string[], deps: FanOutDeps) {
  const { batch, outcomes } = batchOf("events-0", bodies);
  await fanOut(batch, deps);
  return outcomes;
}

/** Event numbers of one shard's log. */
async function logged(shard: number): Promise<number[]> {
  const numbers: number[] = [];
  for (const { key } of (await log(shard).segments(0)).segments) {
    const object = await bindings.BUCKET.get(key);
    for (const line of decodeSegmentLines(new Uint8Array(await object!.arrayBuffer()))) {
      numbers.push(JSON.parse(line).raw.properties.number);
    }
  }
  return numbers;
}

/** What each shard's ledger says, for sinks that have applied nothing yet. */
async function ledgers(shards: number) {
  return Promise.all(
    Array.from({ length: shards }, async (_, shard) => {
      const cursor = { cursor: 0, applied: { events: 0, quarantined: 0 }, moved_at: 0 };
      const { status, past } = await log(shard).tally({ lake: 0, sessions: 0, rollups: 0 });
      return shardLedger(shard, status, { lake: cursor, sessions: cursor, rollups: cursor }, past, Date.now());
    }),
  );
}

const ascending = (numbers: Iterable<number>) => [...numbers].sort((a, b) => a - b);
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe("a shard that is split while traffic runs", () => {
  it("promise 2: gives its ids to its child: what came before the split is a duplicate after it, whoever sends it", async () => {
    const old = new Edge("old", 0);
    const first = old.send(numbers(0, 20));
    await deliver(first, depsOf(0));
    const fresh = new Edge("new", 1);
    expect(await deliver(fresh.send(numbers(0, 30)), depsOf(1))).toEqual(["ack", "ack"]);
    expect(await deliver(old.send(numbers(25, 40)), depsOf(0))).toEqual(["ack"]);
    expect(await deliver(first, depsOf(1))).toEqual(["ack"]);
    const stored = await Promise.all([logged(0), logged(1)]);
    expect(ascending(stored.flat())).toEqual(numbers(0, 40));
    // What was sent after the split is at its new home, wherever its message went.
    const late = (shard: number) => stored[shard]!.filter((event) => event >= 20);
    expect(late(1).every((event) => homeOf(event, 2) === 1) && late(0).every((event) => homeOf(event, 2) === 0)).toBe(
      true,
    );
    expect(late(1).length).toBeGreaterThan(0);
    const [parent, child] = await ledgers(2);
    expect(parent).toMatchObject({ epoch: 1, moved_in: 0, redelivered_messages: 1 });
    expect(child).toMatchObject({ epoch: 1, moved_out: 0, redelivered_messages: 0 });
    expect(child!.moved_in).toBe(parent!.moved_out);
    expect(child!.moved_in).toBeGreaterThan(0);
    expect(parent!.duplicates + child!.duplicates).toBe(25);
    for (const ledger of [parent!, child!]) for (const sink of SINKS) expect(ledger.sinks[sink].balanced).toBe(true);
  });

  it("keeps serving its own half, and has its child ask no longer than the window", async () => {
    await deliver(new Edge("old", 0).send(numbers(0, 20)), depsOf(0));
    await deliver(new Edge("new", 1).send(numbers(20, 22)), depsOf(1));
    const own = numbers(0, 20).filter((event) => homeOf(event, 2) === 1);
    const sent = new Edge("b", 1).send(own);
    // The real object, with its parent out of reach.
    await runInDurableObject(log(1), async (object) => {
      vi.useFakeTimers({ toFake: ["Date"] });
      vi.setSystemTime(Date.now() + 8 * DAY_MS);
      const ids = new Uint8Array(16);
      expect([...(await object.filter(ids, new Uint8Array())).ids]).toEqual([0]);
    });
    vi.useRealTimers();
    expect(await deliver(sent, depsOf(1))).toEqual(["ack"]);
    expect((await log(1).status()).duplicates).toBe(own.length);
  });

  it.each([
    ["commit", 1, "before"],
    ["commit", 1, "after"],
    ["commit", 2, "before"],
    ["commit", 2, "after"],
    ["filter", 2, "after"],
    ["put", 2, "after"],
  ] as const)(
    "promise 3: survives a crash at %s %i (%s), between the child's commit and the parent's",
    async (call, nth, when) => {
      await deliver(new Edge("first", 1).send([0, 1, 2, 3]), depsOf(1));
      const bodies = new Edge("old", 0).send(numbers(10, 30));
      const injected = new Fault(nth, when);
      expect(await deliver(bodies, depsOf(1, { call, injected }))).toEqual(["retry"]);
      expect(injected.fired).toBe(true);
      expect(await deliver(bodies, depsOf(1))).toEqual(["ack"]);
      const [parent, child] = await ledgers(2);
      expect(ascending([...(await logged(0)), ...(await logged(1))])).toEqual([0, 1, 2, 3, ...numbers(10, 30)]);
      expect(child).toMatchObject({ duplicates: 0, moved_in: parent!.moved_out });
      expect(parent).toMatchObject({ duplicates: 0, gaps: 0 });
    },
  );

  it("counts once what was divided by one number, cut off, and divided again by the next", async () => {
    await deliver(new Edge("first", 1).send([0, 1, 2, 3]), depsOf(1));
    const bodies = new Edge("old", 0).send(numbers(10, 40));
    const injected = new Fault(2, "before");
    expect(await deliver(bodies, depsOf(1, { call: "commit", injected }))).toEqual(["retry"]);
    const before = (await log(1).status()).moved_in;
    expect(before).toBeGreaterThan(0);
    expect(await deliver(bodies, depsOf(2))).toEqual(["ack"]);
    const all = await ledgers(4);
    const sum = (of: (ledger: (typeof all)[number]) => number) => all.reduce((total, ledger) => total + of(ledger), 0);
    expect(sum((ledger) => ledger.moved_in)).toBe(sum((ledger) => ledger.moved_out));
    expect(sum((ledger) => ledger.duplicates)).toBe(0);
    expect(all[1]!.moved_in).toBe(before);
    const stored = await Promise.all(numbers(0, 4).map(logged));
    expect(ascending(stored.flat())).toEqual([0, 1, 2, 3, ...numbers(10, 40)]);
  });

  it("hands its rules on, those before the split below the child's rows and later ones to both", async () => {
    const rule = (version: number): Rule => ({
      ...{ version, id: `rule-${version}`, filter: {}, change: { kind: "retract" }, createdAt: 1 },
    });
    await log(0).raise(rule(1), "rules/1.json");
    await deliver(new Edge("new", 1).send(numbers(0, 20)), depsOf(1));
    expect(await log(1).rules()).toMatchObject({ version: 1, rules: [{ version: 1, seq: 0 }] });
    await log(0).raise(rule(2), "rules/2.json");
    expect(await log(1).rules()).toMatchObject({ version: 2, rules: [{ seq: 0 }, { version: 2, seq: 2 }] });
    // A shard that no event has reached yet learns of its parent from who raises.
    expect(await log(3).raise(rule(3), "rules/3.json", [1, 2, 4])).toEqual({ seq: 1 });
    expect(await log(3).rules()).toMatchObject({ version: 3, rules: [{ seq: 0 }, { seq: 0 }, { seq: 1 }] });
    await log(0).raise(rule(3), "rules/3.json", [1, 2, 4]);
    expect(await Promise.all(numbers(0, 4).map(async (shard) => (await log(shard).status()).rules))).toEqual([
      3, 3, 3, 3,
    ]);
  });

  it("promises 2 and 3: old and new edges and fan-outs at once, repeats, redeliveries and faults: each event once over all shards, every sum whole", async () => {
    const send = fc.record({
      edge: fc.nat(5),
      events: fc.array(fc.nat(40), { minLength: 1, maxLength: 8 }),
    });
    const step = fc.record({
      pick: fc.array(fc.nat(60), { minLength: 1, maxLength: 6 }),
      epoch: fc.nat(2),
      fault: fc.option(
        fc.record({
          call: fc.constantFrom<Call>("put", "filter", "commit"),
          nth: fc.integer({ min: 1, max: 5 }),
          when: fc.constantFrom("before" as const, "after" as const),
        }),
      ),
    });
    let fired = 0;
    let moved = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(send, { minLength: 4, maxLength: 14 }),
        fc.array(step, { minLength: 2, maxLength: 10 }),
        fc.boolean(),
        async (sends, steps, atOnce) => {
          await reset();
          const edges = numbers(0, 6).map((i) => new Edge(`edge-${i}`, i % 3));
          const bodies = sends.flatMap(({ edge, events }) => edges[edge]!.send(events));
          const runs = steps.map(({ pick, epoch, fault }) => async () => {
            const injected = fault && new Fault(fault.nth, fault.when);
            const picked = pick.map((i) => bodies[i % bodies.length]!);
            await deliver(picked, depsOf(epoch, fault && injected ? { call: fault.call, injected } : undefined));
            if (injected?.fired) fired++;
          });
          if (atOnce) await Promise.all(runs.map((run) => run()));
          else for (const run of runs) await run();
          // What the queues owe in the end, to fan-outs old and new.
          for (const [i, body] of bodies.entries()) expect(await deliver([body], depsOf(i % 3))).toEqual(["ack"]);

          const sent = sends.flatMap(({ events }) => events);
          const stored = await Promise.all(numbers(0, 4).map(logged));
          expect(ascending(stored.flat())).toEqual(ascending(new Set(sent)));
          for (const [shard, some] of stored.entries()) {
            for (const event of some) {
              const ancestors = numbers(0, 3).map((epoch) => homeOf(event, countOf(upTo(epoch))));
              expect(ancestors).toContain(shard);
            }
          }
          const all = await ledgers(4);
          const sum = (of: (ledger: (typeof all)[number]) => number) =>
            all.reduce((total, ledger) => total + of(ledger), 0);
          moved += sum((ledger) => ledger.moved_out);
          expect(sum((ledger) => ledger.accepted)).toBe(sent.length);
          expect(sum((ledger) => ledger.arrived)).toBe(sent.length);
          expect(sum((ledger) => ledger.moved_in)).toBe(sum((ledger) => ledger.moved_out));
          expect(sum((ledger) => ledger.duplicates)).toBe(sent.length - stored.flat().length);
          for (const ledger of all) {
            expect(ledger.gaps).toBe(0);
            for (const sink of SINKS) expect(ledger.sinks[sink].balanced, JSON.stringify(ledger)).toBe(true);
          }
        },
      ),
      {
        numRuns: 12,
        examples: [
          [
            [
              { edge: 0, events: numbers(0, 8) },
              { edge: 1, events: numbers(4, 12) },
              { edge: 2, events: numbers(8, 16) },
              { edge: 0, events: numbers(16, 24) },
            ],
            [
              { pick: [0], epoch: 0, fault: null },
              { pick: numbers(0, 9), epoch: 2, fault: { call: "commit", nth: 2, when: "after" } },
            ],
            false,
          ],
        ],
      },
    );
    expect(fired).toBeGreaterThan(0);
    expect(moved).toBeGreaterThan(0);
  });
});

describe("numbers of shards", () => {
  it("say which shard came out of which", () => {
    expect(numbers(0, 4).map((shard) => parentOf(shard, HISTORY))).toEqual([null, 0, 0, 1]);
    expect(epochOf(HISTORY)).toBe(2);
  });
});
