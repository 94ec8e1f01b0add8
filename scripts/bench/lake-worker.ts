/** The Worker that `bench-lake.ts` drives: the lake's path of one step per request, cut off where the path says. */
import { Table, tableToIPC } from "apache-arrow";
import { Compression, initSync, Table as WasmTable, WriterPropertiesBuilder, writeParquet } from "parquet-wasm/esm";
import parquet from "parquet-wasm/esm/parquet_wasm_bg.wasm";
import type { LakeCatalogApi } from "../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { drainShard } from "../../queues/drain.ts";
import { createLakeSink, type DataFileStore } from "../../queues/lake/sink.ts";
import { arrowSchema } from "../../r2-layout/arrow-columns.ts";
import { type AnyRow, recordBatch } from "../../r2-layout/arrow-rows.ts";
import { buildDataFile } from "../../r2-layout/data-file.ts";
import type { Column, EventRow } from "../../r2-layout/event-columns.ts";
import { SINK } from "../../r2-layout/limits.ts";
import { ParquetWriter } from "../../r2-layout/parquet-writer.ts";
import { decodeSegment, type SegmentRef } from "../../r2-layout/segment.ts";

export { LakeCatalog } from "../../durable-objects/lake-catalog/lake-catalog.ts";

interface Env {
  readonly BUCKET: R2Bucket;
  readonly LAKE_CATALOG: ObjectNamespace<LakeCatalogApi>;
}

/** What a request names: the segments of one step. */
export interface BenchStep {
  readonly segments: readonly SegmentRef[];
}

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/baseline") return Response.json(baseline(await request.text()));
    if (pathname === "/memory") return Response.json({ wasm: new ParquetWriter(parquet).memoryBytes });
    if (pathname === "/held") return Response.json(held);
    if (pathname === "/release") {
      held = false;
      return new Response();
    }
    if (pathname === "/plan") return Response.json(await env.LAKE_CATALOG.getByName("lake").plan({ table: "events" }));
    const { segments } = (await request.json()) as BenchStep;
    if (pathname === "/lake") return Response.json(await lake(env, segments, env.BUCKET));
    if (pathname === "/hold") return Response.json(await lake(env, segments, holding(env.BUCKET)));
    const events: EventRow[] = [];
    for (const { key, seq } of segments) {
      const body = new Uint8Array(await (await env.BUCKET.get(key))!.arrayBuffer());
      for (const row of decodeSegment(body, { shard: 0, seq }).events) events.push(row);
    }
    if (pathname === "/decode") return Response.json({ events: events.length });
    const { facts } = await buildDataFile(new ParquetWriter(parquet), "events", events);
    return Response.json({ events: facts.rows });
  },
} satisfies ExportedHandler<Env>;

/** Set while a step stands still before its first file is stored: its rows and the file are in memory then. */
let held = false;

function holding(bucket: R2Bucket): DataFileStore {
  return {
    async put(key, body, options) {
      held = true;
      // Looked at again and again: a promise that another request settles looks to the runtime like one that never will be.
      while (held) await scheduler.wait(20);
      return bucket.put(key, body, options);
    },
  };
}

/** The sink as the pipeline runs it; only the log is played, by the list of its segments. */
async function lake(env: Env, segments: readonly SegmentRef[], bucket: DataFileStore): Promise<{ events: number }> {
  const head = segments.at(-1)!.seq;
  const log = {
    segments: async (after: number) => ({
      head,
      asOf: Date.now(),
      segments: segments.filter(({ seq }) => seq > after),
    }),
    rules: async () => ({ version: 0, rules: [] }),
    reached: async () => {},
  };
  const sink = createLakeSink({ bucket, catalog: env.LAKE_CATALOG, parquet });
  const deps = { sink, logs: { getByName: () => log }, bucket: env.BUCKET };
  const invocation = { calls: { left: SINK.callsPerInvocation }, deadline: Date.now() + SINK.drainMs };
  const drained = await drainShard(0, deps, invocation);
  if (drained.kind !== "caught_up") throw new Error(`drain ended ${drained.kind}`);
  return { events: segments.reduce((sum, segment) => sum + segment.events, 0) };
}

const text = (id: number): Column => ({ id, type: "utf8", required: false, doc: "" });
const time = (id: number): Column => ({ id, type: "timestamp_us", required: false, doc: "" });

/** Flat events of about 320 bytes, as the spike had them. */
const FLAT: Record<string, Column> = {
  event_id: text(1),
  event_name: text(2),
  user_id: text(3),
  anonymous_id: text(4),
  event_time: time(5),
  received_at: time(6),
  page_url: text(7),
  page_path: text(8),
  country: text(9),
  browser: text(10),
  revenue: { id: 11, type: "float64", required: false, doc: "" },
};
const FLAT_SCHEMA = arrowSchema(FLAT);

/** The least that JSON to zstd Parquet can be: one parse, one batch, one call, no sorting, no log, no store. */
function baseline(body: string): { events: number; bytes: number } {
  initSync({ module: parquet });
  const rows = JSON.parse(body) as AnyRow[];
  const batch = recordBatch(FLAT_SCHEMA, FLAT, rows);
  const table = WasmTable.fromIPCStream(tableToIPC(new Table([batch]), "stream"));
  const file = writeParquet(table, new WriterPropertiesBuilder().setCompression(Compression.ZSTD).build());
  return { events: rows.length, bytes: file.length };
}
