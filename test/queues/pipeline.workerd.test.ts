import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readLedger } from "../../durable-objects/event-log/ledger.ts";
import { SINKS } from "../../durable-objects/sink-cursor/api.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { shardName } from "../../r2-layout/keys.ts";
import type { PipelineEnv } from "../../workers/pipeline/env.ts";
import pipeline from "../../workers/pipeline/index.ts";
import type { TestMessage } from "./log-rig.ts";
import { batchOf, bodyOf, Fault } from "./log-rig.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(console, "log").mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

const SHARDS = 2;
const real = { ...(env as unknown as PipelineEnv), SHARDS: String(SHARDS) };

/** The pipeline's bindings, the bucket's nth put of a prefix failing. */
function faulty(fault: Fault | undefined, prefix: string): PipelineEnv {
  if (!fault) return real;
  const put = (key: string, ...rest: [string]) => {
    const effect = () => real.BUCKET.put(key, ...rest);
    return key.startsWith(prefix) ? fault.around(effect) : effect();
  };
  const bucket = new Proxy(real.BUCKET, {
    get: (target, name) => {
      if (name === "put") return put;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { ...real, BUCKET: bucket };
}

async function deliver(queue: string, bodies: readonly unknown[], to: PipelineEnv = real) {
  const { batch, outcomes } = batchOf(queue, bodies);
  await pipeline.queue(batch, to);
  return outcomes;
}

const wakeAll = (to: PipelineEnv = real) =>
  Promise.all(
    SINKS.map((sink) =>
      deliver(
        sink,
        Array.from({ length: SHARDS }, (_, shard) => ({ shard, head: 0 })),
        to,
      ),
    ),
  );

const ledger = () =>
  readLedger({ logs: real.EVENT_LOG, cursors: real.SINK_CURSOR, catalog: real.LAKE_CATALOG, shards: SHARDS });

/** Events as each store itself counts them. */
async function stored() {
  const { rows } = await real.LAKE_CATALOG.getByName("lake").status();
  const rollups = await Promise.all(
    Array.from({ length: SHARDS }, (_, shard) => real.MINUTE_ROLLUP.getByName(`core:${shardName(shard)}`).status()),
  );
  const profiles = await Promise.all(
    Array.from({ length: 7 }, (_, device) => {
      const name = timelineName(real.IDENTITY_KEY, { kind: "device", id: `device-${device}` });
      return real.USER_TIMELINE.getByName(name).profile();
    }),
  );
  return {
    lake: rows.events,
    quarantine: rows.quarantine,
    rollups: rollups.reduce((sum, { events }) => sum + events, 0),
    sessions: profiles.reduce((sum, { events }) => sum + events, 0),
  };
}

describe("the pipeline", () => {
  it("promise 3: has a ledger that adds up while events are on the queue, in the log, and in every store", async () => {
    const messages = [
      { edge: "a", n: 1, before: 0, events: [0, 2, 4] },
      { edge: "a", n: 2, before: 3, events: [6, 8], quarantined: [1] },
      { edge: "a", n: 3, before: 5, events: [10, 0] },
    ];
    const [first, lost, third] = messages.map((message) => bodyOf(message));
    expect(await ledger()).toMatchObject({ balanced: true, total: { accepted: 0, in_flight: 0 } });
    await deliver("events-0", [first, third]);
    expect(await ledger()).toMatchObject({
      balanced: true,
      total: { accepted: 7, duplicates: 1, in_flight: 6, lake: 0 },
      shards: [{ gaps: 1, sinks: { lake: { in_flight: 6, lag_segments: 1 } } }, {}],
    });
    await deliver("lake", [{ shard: 0, head: 1 }]);
    expect(await ledger()).toMatchObject({
      balanced: true,
      total: { in_flight: 6, lake: 4, sessions: 0 },
      shards: [{ sinks: { lake: { cursor: 1, in_flight: 2, lag_segments: 0, lag_seconds: 0 } } }, {}],
    });
    await deliver("events-0", [lost, first]);
    await wakeAll();
    expect(await ledger()).toMatchObject({
      balanced: true,
      total: { accepted: 7, duplicates: 1, quarantined: 1, in_flight: 0, lake: 5, sessions: 5, rollups: 5 },
      shards: [{ gaps: 0, redelivered_messages: 1 }, {}],
    });
    expect(await stored()).toEqual({ lake: 5, quarantine: 1, rollups: 5, sessions: 5 });
  });

  it("says so when a sink has counted what the log has not", async () => {
    await deliver("events-0", [bodyOf({ edge: "a", n: 1, before: 0, events: [1, 2] })]);
    await wakeAll();
    expect((await ledger()).balanced).toBe(true);
    const cursor = real.SINK_CURSOR.getByName("rollups:000");
    const lease = (await cursor.lease("a bug", 1_000))!;
    await cursor.advance(lease.token, lease.cursor, lease.cursor, { events: 1, quarantined: 0 });
    expect(await ledger()).toMatchObject({
      balanced: false,
      shards: [{ sinks: { rollups: { balanced: false } } }, {}],
    });
  });

  it("parks dead letters, does maintenance, and refuses a queue that it does not know", async () => {
    expect(await deliver("events-dead", ["lost cause"])).toEqual(["ack"]);
    expect((await real.BUCKET.list({ prefix: "poison/" })).objects.length).toBe(1);
    expect(await deliver("maintenance", [{ kind: "compact" }])).toEqual(["ack"]);
    await expect(deliver("events", [])).rejects.toThrow("no stage");
  });

  it("pokes every shard by the cron, and goes on where one fails", async () => {
    const poked: number[] = [];
    const logs = {
      getByName: (name: string) => ({
        poke: async (shard: number) => {
          if (name === "000") throw new Error("injected");
          poked.push(shard);
        },
      }),
    } as unknown as PipelineEnv["EVENT_LOG"];
    await pipeline.scheduled(
      { scheduledTime: Date.now(), cron: "* * * * *", noRetry: () => {} },
      { ...real, SHARDS: "3", EVENT_LOG: logs },
    );
    expect(poked).toEqual([1, 2]);
  });

  it("promises 1 to 3: any order, repetition and failure of deliveries and wake-ups leaves each event in each store once", async () => {
    const message = fc.record({
      shard: fc.nat(SHARDS - 1),
      events: fc.array(fc.nat(20), { minLength: 1, maxLength: 5 }),
    });
    const fault = fc.option(
      fc.record({
        nth: fc.integer({ min: 1, max: 2 }),
        when: fc.constantFrom("before", "after"),
        prefix: fc.constantFrom("log/", "lake/"),
      }),
    );
    const act = fc.oneof(
      fc.record({
        kind: fc.constant("deliver" as const),
        pick: fc.array(fc.nat(9), { minLength: 1, maxLength: 6 }),
        fault,
      }),
      fc.record({
        kind: fc.constant("wake" as const),
        pick: fc.array(fc.nat(2), { minLength: 1, maxLength: 3 }),
        fault,
      }),
    );
    let fired = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { minLength: 1, maxLength: 10 }),
        fc.array(act, { maxLength: 8 }),
        fc.boolean(),
        async (given, acts, atOnce) => {
          await reset();
          const sent = new Map<number, { n: number; before: number }>();
          const messages: TestMessage[] = given.map(({ shard, events }) => {
            const { n, before } = sent.get(shard) ?? { n: 0, before: 0 };
            sent.set(shard, { n: n + 1, before: before + events.length });
            // As the edge does it, an event has one home: even numbers in shard 0, odd ones in shard 1.
            return { edge: "a", n: n + 1, before, shard, events: events.map((event) => event * 2 + shard) };
          });
          const run = async (one: (typeof acts)[number]) => {
            const injected = one.fault ? new Fault(one.fault.nth, one.fault.when) : undefined;
            const to = faulty(injected, one.fault?.prefix ?? "");
            if (one.kind === "deliver")
              await deliver(
                "events-0",
                one.pick.map((i) => bodyOf(messages[i % messages.length]!)),
                to,
              );
            else {
              await Promise.all(
                one.pick.map((sink) =>
                  deliver(
                    SINKS[sink]!,
                    [
                      { shard: 0, head: 0 },
                      { shard: 1, head: 0 },
                    ],
                    to,
                  ),
                ),
              );
            }
            if (injected?.fired) fired++;
          };
          if (atOnce) await Promise.all(acts.map(run));
          else for (const one of acts) await run(one);
          await deliver("events-0", messages.map(bodyOf)); // What the queue owes in the end,
          await wakeAll(); // and the log.

          const events = new Set(messages.flatMap((one) => one.events)).size;
          const accepted = given.reduce((sum, one) => sum + one.events.length, 0);
          expect(await ledger()).toMatchObject({
            balanced: true,
            total: {
              accepted,
              duplicates: accepted - events,
              in_flight: 0,
              lake: events,
              sessions: events,
              rollups: events,
            },
          });
          expect(await stored()).toEqual({ lake: events, quarantine: 0, rollups: events, sessions: events });
        },
      ),
      {
        numRuns: 8,
        // One run in which a fault is sure to fire: drawn ones may all miss.
        examples: [
          [
            [{ shard: 0, events: [1] }],
            [{ kind: "deliver", pick: [0], fault: { nth: 1, when: "after", prefix: "log/" } }],
            false,
          ],
        ],
      },
    );
    expect(fired).toBeGreaterThan(0);
  });
});
