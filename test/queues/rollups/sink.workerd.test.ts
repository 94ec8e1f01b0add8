import { evictDurableObject, reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import type { RollupBatch } from "../../../durable-objects/minute-rollup/api.ts";
import type { MinuteRollup } from "../../../durable-objects/minute-rollup/minute-rollup.ts";
import { readRollups } from "../../../durable-objects/minute-rollup/read.ts";
import type { SinkCursorApi } from "../../../durable-objects/sink-cursor/api.ts";
import type { SinkCursor } from "../../../durable-objects/sink-cursor/sink-cursor.ts";
import { createRollupsSink } from "../../../queues/rollups/sink.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, ROLLUP } from "../../../r2-layout/limits.ts";
import { rolledEvent } from "../../durable-objects/minute-rollup/events.ts";
import { reaching } from "../../reaching.ts";

const { MINUTE_ROLLUP: rollups, SINK_CURSOR: cursors } = env as unknown as {
  MINUTE_ROLLUP: DurableObjectNamespace<MinuteRollup>;
  SINK_CURSOR: DurableObjectNamespace<SinkCursor>;
};
const START = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 2 * HOUR_MS;

afterEach(() => reset());

/** Segments of a log: seq 1 is the first. */
const log = fc.array(fc.array(rolledEvent(START, 3), { minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 8 });

function rowsOf(segments: readonly (readonly object[])[], after: number, to: number): EventRow[] {
  return segments
    .slice(after, to)
    .flatMap((segment, i) => segment.map((event) => ({ ...event, log_seq: after + i + 1 }) as unknown as EventRow));
}

async function points(params: string) {
  const answer = await readRollups(rollups, 1, new URLSearchParams(params), Date.now());
  if (!answer.ok) throw new Error(answer.error.reason);
  return answer.value.points;
}

const FAULTS = ["none", "crash before apply", "crash after apply", "evict", "apply twice"] as const;

it("promise 2: counts each event once, however steps are cut, repeated, crashed and evicted", async () => {
  await reaching(async () => {
    const fired = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        log,
        fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom(...FAULTS)), { minLength: 4, maxLength: 12 }),
        async (segments, plan) => {
          await reset();
          const rollup = rollups.getByName("core:000");
          let fault: (typeof FAULTS)[number] = "none";
          const applies = {
            getByName: (name: string) => ({
              async apply(batch: RollupBatch) {
                fired.add(fault);
                if (fault === "crash before apply") throw new Error("injected");
                const answer = await rollups.getByName(name).apply(batch);
                if (fault === "crash after apply") throw new Error("injected");
                if (fault === "evict") await evictDurableObject(rollup);
                if (fault === "apply twice") await rollups.getByName(name).apply(batch);
                return answer;
              },
              fence: async (token: number) => await rollups.getByName(name).fence(token),
            }),
          };
          const sink = createRollupsSink({ cursors, rollups: applies });
          for (let round = 0; ; round++) {
            const lease = (await sink.lease(0, `drain ${round}`))!;
            if (lease.cursor === segments.length) break;
            const [size, next] = plan[round] ?? [segments.length, "none" as const];
            fault = next;
            const from = lease.cursor;
            const to = Math.min(segments.length, from + size);
            const events = rowsOf(segments, from, to);
            const applied = { events: events.length, quarantined: 0 };
            const step = { shard: 0, token: lease.token, from, to, completeUntil: 0, events, quarantine: [], applied };
            if (next.startsWith("crash")) await expect(sink.apply(step)).rejects.toThrow("injected");
            else expect(await sink.apply(step)).toEqual({ moved: true, cursor: to });
            await sink.release(0, lease.token);
          }
          const total = segments.flat().length;
          expect(await rollup.status()).toMatchObject({ lastSeq: segments.length, events: total });
          for (const grain of ["minute", "hour", "day"]) {
            const found = await points(`grain=${grain}&from=${START}&by=event_name`);
            const byName = Map.groupBy(found, ({ key }) => key.event_name);
            expect(byName.size).toBe(new Set(segments.flat().map(({ event_name }) => event_name)).size);
            for (const [name, parts] of byName) {
              expect(parts.reduce((sum, { value }) => sum + value, 0)).toBe(
                segments.flat().filter(({ event_name }) => event_name === name).length,
              );
            }
          }
          expect((await cursors.getByName("rollups:000").status()).applied.events).toBe(total);
        },
      ),
      { numRuns: 15 },
    );
    return Object.fromEntries(FAULTS.map((fault) => [fault, fired.has(fault)]));
  });
});

it("sums only what the object has not, where a step is cut elsewhere than the one that got through", async () => {
  const segments = fc.sample(log, { numRuns: 1, seed: 3 })[0]!;
  const sink = createRollupsSink({ cursors, rollups });
  const lease = (await sink.lease(0, "first"))!;
  const step = (from: number, to: number) => {
    const events = rowsOf(segments, from, to);
    const applied = { events: events.length, quarantined: 0 };
    return { shard: 0, token: lease.token, from, to, completeUntil: 0, events, quarantine: [], applied };
  };
  const lost = createRollupsSink({
    cursors: { getByName: () => ({ advance: () => Promise.reject(new Error("lost")) }) as unknown as SinkCursorApi },
    rollups,
  });
  await expect(lost.apply(step(0, 1))).rejects.toThrow("lost");
  expect(await rollups.getByName("core:000").status()).toMatchObject({ lastSeq: 1 });
  expect(await sink.apply(step(0, 2))).toEqual({ moved: true, cursor: 2 });
  expect(await rollups.getByName("core:000").status()).toMatchObject({
    lastSeq: 2,
    events: segments.slice(0, 2).flat().length,
  });
});

it("refuses to go on where the object has lost what the cursor counts on", async () => {
  const sink = createRollupsSink({ cursors, rollups });
  const step = { shard: 0, token: 1, from: 3, to: 4, completeUntil: 0, events: [], quarantine: [] };
  await expect(sink.apply({ ...step, applied: { events: 0, quarantined: 0 } })).rejects.toThrow("behind the cursor");
});

it("promise 8: a tick without events makes a minute final", async () => {
  const sink = createRollupsSink({ cursors, rollups });
  const { token } = (await sink.lease(0, "drain"))!;
  const segments = fc.sample(fc.array(fc.array(rolledEvent(START, 1), { minLength: 1 }), { minLength: 1 }), {
    numRuns: 1,
    seed: 5,
  })[0]!;
  const events = rowsOf(segments, 0, 1);
  const applied = { events: events.length, quarantined: 0 };
  await sink.apply({ shard: 0, token, from: 0, to: 1, completeUntil: START, events, quarantine: [], applied });
  const range = `from=${START}&to=${START + DAY_MS}`;
  expect(await points(range)).toMatchObject([{ state: "provisional", version: 1 }]);
  await sink.tick!(0, 1, START + MINUTE_MS + ROLLUP.finalAfterMs);
  expect(await points(range)).toMatchObject([{ state: "final", version: 1, value: events.length }]);
});
