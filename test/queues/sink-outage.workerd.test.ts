import { reset } from "cloudflare:test";
import parquet from "parquet-wasm/esm/parquet_wasm_bg.wasm";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { readLedger } from "../../durable-objects/event-log/ledger.ts";
import type { TimelineAmend } from "../../durable-objects/user-timeline/api.ts";
import { drainBatch } from "../../queues/drain.ts";
import { fanOut } from "../../queues/fan-out/fan-out.ts";
import { createLakeSink } from "../../queues/lake/sink.ts";
import { createRollupsSink } from "../../queues/rollups/sink.ts";
import { createSessionsSink } from "../../queues/sessions/sink.ts";
import type { Sink } from "../../queues/sink.ts";
import { HOUR_MS, MINUTE_MS, SESSIONS, SINK } from "../../r2-layout/limits.ts";
import type { SinkName } from "../../r2-layout/sinks.ts";
import { SINKS } from "../../r2-layout/sinks.ts";
import type { PipelineEnv } from "../../workers/pipeline/env.ts";
import { bindings } from "../bindings.ts";
import { batchOf, bodyOf } from "./log-rig.ts";

const env = bindings as unknown as PipelineEnv;

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

/** The real stores; the calls of one of them can be made to fail. */
class Stores {
  down: (() => Error) | null = null;
  readonly #which: SinkName;
  readonly applied: Record<SinkName, number[]> = { lake: [], sessions: [], rollups: [] };

  constructor(which: SinkName) {
    this.#which = which;
  }

  sink(name: SinkName): Sink {
    const sink = this.#real(name);
    return {
      ...sink,
      apply: async (step) => {
        const moved = await sink.apply(step);
        if (moved.moved) this.applied[name].push(step.events.length);
        return moved;
      },
    };
  }

  #real(name: SinkName): Sink {
    switch (name) {
      case "lake": {
        const bucket = { put: this.#or(name, env.BUCKET.put.bind(env.BUCKET)) };
        return createLakeSink({ bucket, catalog: env.LAKE_CATALOG, parquet });
      }
      case "sessions":
        return createSessionsSink({
          cursors: env.SINK_CURSOR,
          timelines: {
            getByName: (id) => ({
              amend: async (amend: TimelineAmend) => await env.USER_TIMELINE.getByName(id).amend(amend),
              append: this.#or(name, async (append) => await env.USER_TIMELINE.getByName(id).append(append)),
            }),
          },
          identityKey: "test-identity-key",
        } as Parameters<typeof createSessionsSink>[0]);
      case "rollups":
        return createRollupsSink({
          cursors: env.SINK_CURSOR,
          rollups: {
            getByName: (id) => ({
              apply: this.#or(name, async (batch) => await env.MINUTE_ROLLUP.getByName(id).apply(batch)),
              fence: this.#or(name, async (token) => await env.MINUTE_ROLLUP.getByName(id).fence(token)),
            }),
          },
        });
    }
  }

  #or<Args extends unknown[], T>(name: SinkName, call: (...args: Args) => Promise<T>): (...args: Args) => Promise<T> {
    return (...args) => (this.down && name === this.#which ? Promise.reject(this.down()) : call(...args));
  }
}

const cursorOf = async (sink: SinkName) =>
  sink === "lake"
    ? (await env.LAKE_CATALOG.getByName("lake").status()).cursors[0]
    : await env.SINK_CURSOR.getByName(`${sink}:000`).status();

it.each([
  ["lake", () => new Error("put: We encountered an internal error. Please try again. (10001)")],
  ["sessions", () => Object.assign(new Error("Network connection lost."), { retryable: true, remote: true })],
  ["rollups", () => Object.assign(new Error("Durable Object is overloaded."), { overloaded: true })],
] as [SinkName, () => Error][])(
  "promise 4: %s down for an hour leaves the other two fresh, loses nothing, and is caught up at full speed",
  async (which, error) => {
    const ROUNDS = 6;
    const EVENTS = 60;
    const start = Date.now();
    let clock = start;
    const now = () => clock;
    const stores = new Stores(which);
    const drain = async (sink: SinkName) => {
      const { batch, outcomes } = batchOf(sink, [{ shard: 0, head: 1 }]);
      await drainBatch(batch, { sink: stores.sink(sink), logs: env.EVENT_LOG, bucket: env.BUCKET, now });
      return outcomes[0];
    };
    stores.down = error;
    for (let round = 0; round < ROUNDS; round++) {
      clock = start + (round * HOUR_MS) / ROUNDS;
      const events = Array.from({ length: EVENTS }, (_, i) => round * EVENTS + i);
      const { batch } = batchOf("events-0", [bodyOf({ edge: `edge-${round}`, n: 1, before: 0, events })]);
      await fanOut(batch, { logs: env.EVENT_LOG, bucket: env.BUCKET });
      for (const sink of SINKS) expect(await drain(sink)).toBe(sink === which ? "retry" : "ack");
      for (const sink of SINKS) expect((await cursorOf(sink))?.cursor ?? 0).toBe(sink === which ? 0 : round + 1);
    }
    expect((await env.EVENT_LOG.getByName("000").status()).head).toBe(ROUNDS);

    clock = start + HOUR_MS + MINUTE_MS;
    stores.down = null;
    expect(await drain(which)).toBe("ack");
    // In as few steps as its bounds allow, not one for each segment that came meanwhile.
    const most = which === "sessions" ? SESSIONS.stepEvents : SINK.stepEvents;
    expect(stores.applied[which]).toHaveLength(Math.ceil((ROUNDS * EVENTS) / most));
    expect(stores.applied[which].reduce((a, b) => a + b, 0)).toBe(ROUNDS * EVENTS);
    for (const sink of SINKS) {
      const status = (await cursorOf(sink))!;
      expect([sink, status.cursor, status.applied.events]).toEqual([sink, ROUNDS, ROUNDS * EVENTS]);
      expect(status).not.toHaveProperty("holes");
    }
    const ledger = await readLedger({
      logs: env.EVENT_LOG,
      cursors: env.SINK_CURSOR,
      catalog: env.LAKE_CATALOG,
      shards: 1,
    });
    expect(ledger).toMatchObject({ balanced: true, total: { accepted: ROUNDS * EVENTS, in_flight: 0 } });
  },
);
