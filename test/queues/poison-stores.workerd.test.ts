import { reset } from "cloudflare:test";
import parquet from "parquet-wasm/esm/parquet_wasm_bg.wasm";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { HolesApi } from "../../durable-objects/sink-cursor/api.ts";
import type { TimelineAppend } from "../../durable-objects/user-timeline/api.ts";
import { drainBatch } from "../../queues/drain.ts";
import { fanOut } from "../../queues/fan-out/fan-out.ts";
import { createLakeSink } from "../../queues/lake/sink.ts";
import { createSessionsSink } from "../../queues/sessions/sink.ts";
import type { Sink } from "../../queues/sink.ts";
import { HOUR_MS } from "../../r2-layout/limits.ts";
import { decodeSegmentLines, encodeSegment } from "../../r2-layout/segment.ts";
import type { SinkName } from "../../r2-layout/sinks.ts";
import type { PipelineEnv } from "../../workers/pipeline/env.ts";
import { bindings } from "../bindings.ts";
import { batchOf, bodyOf } from "./log-rig.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

const env = bindings as unknown as PipelineEnv;
const log = () => env.EVENT_LOG.getByName("000");

const SINKS: Partial<Record<SinkName, () => Sink>> = {
  lake: () => createLakeSink({ bucket: env.BUCKET, catalog: env.LAKE_CATALOG, parquet }),
  sessions: () =>
    createSessionsSink({ cursors: env.SINK_CURSOR, timelines: timelines(), identityKey: "test-identity-key" }),
};

/** The real ones, but for one device's. */
const timelines = (): PipelineEnv["USER_TIMELINE"] =>
  ({
    getByName: (name: string) => ({
      append: async (append: TimelineAppend) => {
        if (append.subject.id === FULL)
          throw Object.assign(new Error("string or blob too big: SQLITE_TOOBIG"), { remote: true });
        return await env.USER_TIMELINE.getByName(name).append(append);
      },
    }),
  }) as unknown as PipelineEnv["USER_TIMELINE"];

const keeper = (sink: SinkName): HolesApi =>
  sink === "lake" ? env.LAKE_CATALOG.getByName("lake") : env.SINK_CURSOR.getByName(`${sink}:000`);

async function wake(name: SinkName) {
  const { batch, outcomes } = batchOf(name, [{ shard: 0, head: 1 }]);
  const limits = { poisonAttempts: 2, poisonSpreadMs: 0, poisonRecentMs: 0, poisonInARow: 10, poisonHoldMs: HOUR_MS };
  await drainBatch(batch, { sink: SINKS[name]!(), logs: env.EVENT_LOG, bucket: env.BUCKET, limits });
  return outcomes[0];
}

/** Three segments; a row of the second has got a value that is no value of its column, as a faulty edge may write. */
async function fillWith(row: Record<string, unknown>) {
  for (const [i, events] of [[1, 2], [3, 4, 5], [6]].entries()) {
    const { batch } = batchOf("events-0", [bodyOf({ edge: `edge-${i}`, n: 1, before: 0, events })]);
    await fanOut(batch, { logs: env.EVENT_LOG, bucket: env.BUCKET });
  }
  const { key } = (await log().segments(1)).segments[0]!;
  const lines = decodeSegmentLines(new Uint8Array(await (await env.BUCKET.get(key))!.arrayBuffer()));
  const line = JSON.parse(lines[1]!) as { row: Record<string, unknown>; d: number; raw: unknown };
  await env.BUCKET.put(key, encodeSegment(lines.with(1, JSON.stringify({ ...line, row: { ...line.row, ...row } }))));
}

/** The device of event 4, whose timeline takes nothing. */
const FULL = "device-4";

it.each<[SinkName, string, Record<string, unknown>]>([
  ["lake", "a property has no value, which a map in Parquet must have", { properties: { plan: null } }],
  ["sessions", "its device's timeline is full", {}],
])("%s leaves out the one event that its store refuses, and has all the others: %s", async (sink, _what, row) => {
  await fillWith(row);
  expect([await wake(sink), await wake(sink)]).toEqual(["retry", "ack"]);
  expect(await keeper(sink).holes(0)).toMatchObject([{ seq: 2, lines: [1], events: 1, cause: "step_refused" }]);
  const status =
    sink === "lake"
      ? (await env.LAKE_CATALOG.getByName("lake").status()).cursors[0]!
      : await env.SINK_CURSOR.getByName(`${sink}:000`).status();
  expect(status).toMatchObject({ cursor: 3, applied: { events: 5 }, holes: { events: 1, open: 1 } });
  if (sink === "lake") expect((await env.LAKE_CATALOG.getByName("lake").status()).rows.events).toBe(5);
});
