/** The Worker that `bench-compaction.ts` drives: the catalog, appends by the true path, and compaction over counted calls. */
import parquet from "parquet-wasm/esm/parquet_wasm_bg.wasm";
import type { LakeCatalogApi, NewDataFile } from "../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { type CompactDeps, compactDays } from "../../queues/maintenance/compact.ts";
import { ParquetWriter } from "../../r2-layout/parquet-writer.ts";

export { LakeCatalog } from "../../durable-objects/lake-catalog/lake-catalog.ts";
export { QueryBudget } from "../../durable-objects/query-budget/query-budget.ts";

interface Env {
  readonly BUCKET: R2Bucket;
  readonly LAKE_CATALOG: ObjectNamespace<LakeCatalogApi>;
}

/** Since the Worker began. */
const counted = { reads: 0, bytesRead: 0, writes: 0, bytesWritten: 0, passes: 0, rows: 0, inputs: 0, outputs: 0 };
export type Counted = typeof counted;

/** A merge stands still at some of its calls, its inputs open and a part in memory, until its memory has been looked at. */
let isHeld = false;
let nextHold = 40;
const HOLD_MS = 10;

/** Ever more seldom: a collection that is forced may, rarely, leave the runtime sweeping for ever. */
async function held(isLookedAt: boolean): Promise<void> {
  if (!isLookedAt || counted.writes + counted.reads < nextHold) return;
  nextHold *= 1.5;
  isHeld = true;
  while (isHeld) await scheduler.wait(HOLD_MS);
}

function countedBucket(bucket: R2Bucket, isLookedAt: boolean): CompactDeps["bucket"] {
  const wrote = async (bytes: Uint8Array) => {
    counted.writes++;
    counted.bytesWritten += bytes.length;
    await held(isLookedAt);
  };
  return {
    async get(key, options) {
      const object = await bucket.get(key, options as R2GetOptions);
      if (!object) return null;
      const bytes = await (object as R2ObjectBody).arrayBuffer();
      counted.reads++;
      counted.bytesRead += bytes.byteLength;
      await held(isLookedAt);
      return { arrayBuffer: async () => bytes };
    },
    async put(key, body, options) {
      await wrote(body);
      return bucket.put(key, body, options);
    },
    async createMultipartUpload(key, options) {
      const upload = await bucket.createMultipartUpload(key, options);
      return {
        uploadId: upload.uploadId,
        async uploadPart(number, body) {
          await wrote(body);
          return upload.uploadPart(number, body);
        },
        complete: (parts) => upload.complete(parts),
        abort: () => upload.abort(),
      };
    },
    resumeMultipartUpload: (key, id) => bucket.resumeMultipartUpload(key, id),
  };
}

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const catalog = env.LAKE_CATALOG.getByName("lake");
    switch (pathname) {
      case "/append": {
        const add = (await request.json()) as NewDataFile[];
        const lease = await catalog.lease(0, "bench", 60_000);
        if (!lease) return new Response("leased", { status: 409 });
        const events = add.reduce((sum, { rows }) => sum + rows, 0);
        const { token, cursor } = lease;
        const applied = { events, quarantined: 0 };
        const answer = await catalog.append({ shard: 0, token, from: cursor, to: cursor + 1, applied, add });
        await catalog.release(0, token);
        return Response.json(answer);
      }
      case "/compact": {
        const deps: CompactDeps = {
          bucket: countedBucket(env.BUCKET, searchParams.has("hold")),
          parquet,
          catalog: {
            compactionWork: (...given) => catalog.compactionWork(...given),
            schema: () => catalog.schema(),
            uploadBegan: (...given) => catalog.uploadBegan(...given),
            uploadEnded: (key) => catalog.uploadEnded(key),
            async replace(commit) {
              counted.passes++;
              counted.inputs += commit.remove.length;
              counted.outputs += commit.add.length;
              counted.rows += commit.add.reduce((sum, { rows }) => sum + rows, 0);
              return catalog.replace(commit);
            },
          },
        };
        const state = await compactDays(deps, Date.now() + Number(searchParams.get("ms")), 1);
        return Response.json({ state, counted, wasm: new ParquetWriter(parquet).memoryBytes });
      }
      case "/held":
        return Response.json(isHeld);
      case "/release":
        isHeld = false;
        return Response.json(true);
      case "/plan":
        return Response.json(await catalog.plan({ table: "events" }));
      default:
        return Response.json(await catalog.status());
    }
  },
} satisfies ExportedHandler<Env>;
