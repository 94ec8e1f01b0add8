import { abortAllDurableObjects, reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import type { AppendCommit } from "../../../durable-objects/lake-catalog/api.ts";
import type { LakeCatalog } from "../../../durable-objects/lake-catalog/lake-catalog.ts";
import { createLakeSink } from "../../../queues/lake/sink.ts";
import type { SinkStep } from "../../../queues/sink.ts";
import type { EventRow, QuarantineRow } from "../../../r2-layout/event-columns.ts";
import { parseDataFileKey } from "../../../r2-layout/keys.ts";
import { DAY_US } from "../../../r2-layout/time.ts";
import { reaching } from "../../reaching.ts";
import { lakeRows, parquet } from "./lake-rows.ts";

const { BUCKET: bucket, LAKE_CATALOG: catalogs } = env as unknown as {
  BUCKET: R2Bucket;
  LAKE_CATALOG: DurableObjectNamespace<LakeCatalog>;
};

afterEach(() => reset());

const NOW_US = Date.now() * 1_000;

function event(id: number, seq: number): EventRow {
  return {
    event_id: `e${id}`,
    event_name: id % 2 === 0 ? "page" : "Added 😀",
    event_type: "track",
    source: "shop",
    anonymous_id: `device-${id % 3}`,
    event_time: NOW_US - (id % 5) * DAY_US,
    received_at: NOW_US,
    properties: { id: String(id) },
    log_shard: 0,
    log_seq: seq,
  };
}

const quarantined = (id: number, seq: number): QuarantineRow => ({
  event_id: `q${id}`,
  source: "shop",
  received_at: NOW_US,
  cause: "column_mismatch",
  raw: "{}",
  log_shard: 0,
  log_seq: seq,
});

/** Segments 1..n of shard 0; every third event is quarantined. */
function logOf(sizes: readonly number[]) {
  let id = 0;
  return sizes.map((size, i) => {
    const ids = Array.from({ length: size }, () => id++);
    return {
      events: ids.filter((n) => n % 3 !== 0).map((n) => event(n, i + 1)),
      quarantine: ids.filter((n) => n % 3 === 0).map((n) => quarantined(n, i + 1)),
    };
  });
}

function stepOf(log: ReturnType<typeof logOf>, token: number, from: number, to: number): SinkStep {
  const segments = log.slice(from, to);
  const events = segments.flatMap((segment) => segment.events);
  const quarantine = segments.flatMap((segment) => segment.quarantine);
  const applied = { events: events.length, quarantined: quarantine.length };
  return { shard: 0, token, from, to, completeUntil: 0, events, quarantine, applied };
}

type Fault = "none" | "put" | "before append" | "after append";

/** A sink whose invocation is cut off at one place. */
function sinkWith(fault: Fault, fired: (fault: Fault) => void = () => {}) {
  const catalog = catalogs.getByName("lake");
  const crash = (at: Fault) => {
    if (fault !== at) return;
    fired(at);
    throw new Error(`crashed: ${at}`);
  };
  return createLakeSink({
    bucket: {
      async put(...args) {
        await bucket.put(...args);
        crash("put");
      },
    },
    catalog: {
      getByName: () => ({
        lease: (shard, owner, ttlMs) => catalog.lease(shard, owner, ttlMs),
        release: (shard, token) => catalog.release(shard, token),
        failed: (...args) => catalog.failed(...args),
        decide: (...args) => catalog.decide(...args),
        close: (...args) => catalog.close(...args),
        async append(commit: AppendCommit) {
          crash("before append");
          const answer = await catalog.append(commit);
          crash("after append");
          return answer;
        },
      }),
    },
    parquet,
  });
}

const ids = (rows: readonly { event_id?: unknown }[]) => rows.map(({ event_id }) => String(event_id)).sort();

async function expectOnce(log: ReturnType<typeof logOf>) {
  const catalog = catalogs.getByName("lake");
  const events = log.flatMap((segment) => segment.events);
  const quarantine = log.flatMap((segment) => segment.quarantine);
  expect(ids(await lakeRows(bucket, catalog, "events"))).toEqual(ids(events));
  expect(ids(await lakeRows(bucket, catalog, "quarantine"))).toEqual(ids(quarantine));
  expect(await catalog.status()).toMatchObject({
    rows: { events: events.length, quarantine: quarantine.length },
    cursors: { 0: { cursor: log.length, applied: { events: events.length, quarantined: quarantine.length } } },
  });
}

it("promise 2: each row is in the lake once and the cursor at the head, whatever crashes, repeats or races", async () => {
  const action = fc.record({
    writer: fc.constantFrom("a", "b"),
    segments: fc.integer({ min: 1, max: 2 }),
    fault: fc.oneof(
      { weight: 2, arbitrary: fc.constant<Fault>("none") },
      { weight: 1, arbitrary: fc.constantFrom<Fault>("put", "before append", "after append") },
    ),
    evict: fc.boolean(),
  });
  await reaching(async () => {
    const firings = { none: 0, put: 0, "before append": 0, "after append": 0, raced: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(6), { minLength: 3, maxLength: 10, size: "max" }),
        fc.array(action, { minLength: 3, maxLength: 10, size: "max" }),
        async (sizes, actions) => {
          await reset();
          const log = logOf(sizes);
          // Each writer keeps the lease it last got, as one that hangs does; a lease of 0 ms is free for the other at once.
          const leases = new Map<string, { cursor: number; token: number }>();
          for (const { writer, segments, fault, evict } of actions) {
            const lease =
              leases.get(writer) ?? (await catalogs.getByName("lake").lease(0, writer, 0)) ?? leases.get(writer);
            if (!lease) continue;
            leases.set(writer, lease);
            const to = Math.min(log.length, lease.cursor + segments);
            if (to === lease.cursor) continue;
            const sink = sinkWith(fault, (at) => firings[at]++);
            const moved = await sink.apply(stepOf(log, lease.token, lease.cursor, to)).catch(() => null);
            if (moved?.moved) leases.set(writer, { ...lease, cursor: moved.cursor });
            else leases.delete(writer);
            if (moved?.moved === false) firings.raced++;
            if (evict) await abortAllDurableObjects();
          }
          const sink = sinkWith("none");
          await expect.poll(() => sink.lease(0, "last")).not.toBeNull();
          const { cursor, token } = (await sink.lease(0, "last"))!;
          if (cursor < log.length) {
            expect(await sink.apply(stepOf(log, token, cursor, log.length))).toEqual({
              moved: true,
              cursor: log.length,
            });
          }
          await expectOnce(log);
        },
      ),
      { numRuns: 25 },
    );
    const { none: _, ...faults } = firings;
    return Object.fromEntries(Object.entries(faults).map(([fault, count]) => [fault, count > 0]));
  }, 5);
}, 120_000);

it("promise 5: a reader sees nothing of a flush until its commit, then all of it", async () => {
  const log = logOf([12]);
  const catalog = catalogs.getByName("lake");
  const { token } = (await sinkWith("none").lease(0, "a"))!;
  await expect(sinkWith("before append").apply(stepOf(log, token, 0, 1))).rejects.toThrow("crashed");
  expect((await bucket.list({ prefix: "lake/" })).objects.length).toBeGreaterThan(1);
  expect(await lakeRows(bucket, catalog, "events")).toEqual([]);
  await sinkWith("none").apply(stepOf(log, token, 0, 1));
  await expectOnce(log);
  expect(await lakeRows(bucket, catalog, "events", 0)).toEqual([]);
});

it("writes one file for today, one for yesterday, one for all other days, and one of quarantine", async () => {
  const log = logOf([60]);
  const sink = sinkWith("none");
  await sink.apply(stepOf(log, (await sink.lease(0, "a"))!.token, 0, 1));
  const keys = (await bucket.list({ prefix: "lake/" })).objects.map(({ key }) => parseDataFileKey(key)!);
  expect(
    keys
      .filter(({ table }) => table === "events")
      .map(({ day }) => day === null)
      .sort(),
  ).toEqual([false, false, true]);
  expect(keys.filter(({ table }) => table === "quarantine")).toHaveLength(1);
});

it("moves the cursor over a step without rows", async () => {
  const sink = sinkWith("none");
  expect(await sink.apply(stepOf(logOf([0, 0]), (await sink.lease(0, "a"))!.token, 0, 2))).toEqual({
    moved: true,
    cursor: 2,
  });
  expect((await bucket.list()).objects).toEqual([]);
});
