import { reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { ulid } from "ulidx";
import { afterEach, expect, it } from "vitest";
import type { LakeCatalog } from "../../../durable-objects/lake-catalog/lake-catalog.ts";
import { createLakeSink } from "../../../queues/lake/sink.ts";
import { type CompactDeps, compactDay, compactDays } from "../../../queues/maintenance/compact.ts";
import { type MaintenanceDeps, maintain, runJob } from "../../../queues/maintenance/consume.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { dataFileKey, segmentKey } from "../../../r2-layout/keys.ts";
import { DAY_MS, LAKE, LOG, MINUTE_MS } from "../../../r2-layout/limits.ts";
import { DAY_US, dayOf } from "../../../r2-layout/time.ts";
import { lakeRows, parquet } from "../lake/lake-rows.ts";

const { BUCKET: bucket, LAKE_CATALOG: catalogs } = env as unknown as {
  BUCKET: R2Bucket;
  LAKE_CATALOG: DurableObjectNamespace<LakeCatalog>;
};

afterEach(() => reset());

const NOW_US = Date.now() * 1_000;
const lake = () => catalogs.getByName("lake");

function event(id: number, daysAgo: number): EventRow {
  return {
    event_id: `e${id}`,
    event_name: ["page", "Added 😀", "identify"][id % 3]!,
    event_type: "track",
    source: "shop",
    user_id: id % 2 === 0 ? `user-${id % 5}` : null,
    event_time: NOW_US - daysAgo * DAY_US - id,
    received_at: NOW_US,
    flags: id % 4 === 0 ? ["late"] : null,
    properties: id % 5 === 0 ? null : { id: String(id), text: "München" },
    log_shard: 0,
    log_seq: id,
  };
}

/** Sends steps of the log through the lake's sink: each number is a step of that many events. */
async function flush(steps: readonly number[], daysAgo: (id: number) => number = () => 0) {
  const sink = createLakeSink({ bucket, catalog: catalogs, parquet });
  const { token, cursor } = (await sink.lease(0, "test"))!;
  let id = cursor * 1_000;
  for (const [i, size] of steps.entries()) {
    const events = Array.from({ length: size }, () => event(id, daysAgo(id++)));
    const [from, to] = [cursor + i, cursor + i + 1];
    const applied = { events: size, quarantined: 0 };
    const moved = await sink.apply({ shard: 0, token, from, to, completeUntil: 0, events, quarantine: [], applied });
    expect(moved.moved).toBe(true);
  }
}

const texts = (rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).sort();
const seen = async (asOf?: number) => texts(await lakeRows(bucket, lake(), "events", asOf));
const deps = () => ({ bucket, catalog: lake(), parquet });

it("promise 5: compaction keeps every row, and no reader of any snapshot sees one twice or misses one", async () => {
  await fc.assert(
    fc.asyncProperty(
      // Five events at least, so that every step writes a file of each kind there is for its days.
      fc.array(fc.integer({ min: 5, max: 9 }), { minLength: 22, maxLength: 30 }),
      fc.constantFrom(1, 2, 5),
      async (steps, days) => {
        await reset();
        const before = new Map<number, string[]>([[0, []]]);
        await flush(steps.slice(0, 22), (id) => id % days);
        const { snapshot } = await lake().status();
        for (const asOf of [1, 7, snapshot]) before.set(asOf, await seen(asOf));
        const rows = await seen();

        expect(await compactDays(deps(), Date.now() + MINUTE_MS)).toBe("done");

        expect((await lake().status()).files).toBe(days);
        expect(await seen()).toEqual(rows);
        await flush(steps.slice(22), (id) => id % days);
        for (const [asOf, then] of before) expect(await seen(asOf)).toEqual(then);
        expect(new Set(rows).size).toBe(rows.length);
        expect(rows.length).toBe(steps.slice(0, 22).reduce((sum, size) => sum + size, 0));
      },
    ),
    { numRuns: 3 },
  );
}, 120_000);

it("promise 5: compactions and flushes side by side lose nothing and double nothing", async () => {
  await flush(Array.from({ length: 24 }, () => 3));
  const work = (await lake().compactionWork())!;
  const outcomes = await Promise.all([
    compactDay(deps(), work),
    compactDay(deps(), { ...work, files: work.files.slice(5) }),
    flush(Array.from({ length: 4 }, () => 2)),
  ]);
  const kinds = outcomes.slice(0, 2).map((outcome) => outcome!.kind);
  expect(kinds.sort()).toEqual(["compacted", "conflict"]);
  const rows = await seen();
  expect(rows.length).toBe(24 * 3 + 4 * 2);
  expect(new Set(rows).size).toBe(rows.length);
});

it("promise 2: a compaction that crashes before its commit changes nothing, and the next one does the work", async () => {
  await flush(Array.from({ length: 22 }, () => 2));
  const rows = await seen();
  const crashed = { ...deps(), catalog: cutOff(catalogOf(lake()), { after: 2, when: "before" }).target };
  await expect(compactDays(crashed, Date.now() + MINUTE_MS)).rejects.toThrow("cut off");
  expect(await seen()).toEqual(rows);
  expect(await compactDays(deps(), Date.now() + MINUTE_MS)).toBe("done");
  expect(await seen()).toEqual(rows);
  expect((await lake().status()).files).toBe(1);
});

it("takes files of many days apart: each day gets files of its own", async () => {
  await flush(
    Array.from({ length: 21 }, () => 4),
    (id) => 2 + (id % 3),
  );
  const rows = await seen();
  await compactDays(deps(), Date.now() + MINUTE_MS);
  const { files } = await lake().plan({ table: "events" });
  expect(files.map(({ key }) => /dt=([^/]+)/.exec(key)![1])).toEqual(
    [4, 3, 2].map((ago) => dayOf(NOW_US - ago * DAY_US)),
  );
  expect(await seen()).toEqual(rows);
});

it("compacts a day again that got late data, and gives a large name files of its own for good", async () => {
  const limits = { largeFileBytes: LAKE.largeFileBytes, quietMs: LAKE.quietMs, settledMs: LAKE.settledMs };
  try {
    Object.assign(LAKE, { largeFileBytes: 2_000, quietMs: 0, settledMs: 0 });
    await flush([40, 40, 40], () => 3);
    await compactDays(deps(), Date.now() + MINUTE_MS);
    const partitions = async () => {
      const found = await runInDurableObject(lake(), (_, { storage }) =>
        storage.sql
          .exec<{ name: string | null; files: number; rows: number }>(
            `SELECT partition_name AS name, count(*) AS files, sum(row_count) AS rows FROM data_file
             WHERE removed_seq IS NULL GROUP BY name ORDER BY name`,
          )
          .toArray(),
      );
      return found.map(({ name, files, rows }) => [name, files, rows]);
    };
    // The mixed files became a day's; its names are large enough to be told apart with the next merge.
    await flush([30], () => 3);
    await compactDays(deps(), Date.now() + MINUTE_MS);
    const before = await partitions();
    expect(before.map(([name]) => name)).toContain("page");
    await flush([30], () => 3);
    await compactDays(deps(), Date.now() + MINUTE_MS);
    const after = await partitions();
    const own = (found: typeof before) => found.map(([name]) => name).filter((name) => name !== null);
    expect(own(after)).toEqual(own(before));
    expect(after.reduce((sum, [, , rows]) => sum + (rows as number), 0)).toBe(180);
    const rows = await seen();
    expect(rows.length).toBe(180);
    expect(new Set(rows).size).toBe(180);
  } finally {
    Object.assign(LAKE, limits);
  }
});

it("promise 5: cut off anywhere, before or after what it asks for, once and again, two at once: no row twice, none lost", async () => {
  let cuts = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ after: fc.nat(90), when: fc.constantFrom("before" as const, "after" as const) }), {
        minLength: 1,
        maxLength: 3,
      }),
      fc.boolean(),
      fc.constantFrom(1, 4),
      async (faults, beside, days) => {
        await reset();
        await flush(
          Array.from({ length: 22 }, () => 6),
          (id) => id % days,
        );
        const rows = await seen();
        for (const fault of faults) {
          const store = cutOff(bucketOf(), fault);
          const catalog = cutOff(catalogOf(lake()), fault, store);
          const run = () =>
            compactDays({ bucket: store.target, catalog: catalog.target, parquet }, Date.now() + MINUTE_MS);
          const runs = await Promise.allSettled(beside ? [run(), run()] : [run()]);
          for (const one of runs) if (one.status === "rejected") expect(String(one.reason)).toContain("cut off");
          cuts += store.calls.cut;
          expect(await seen()).toEqual(rows);
        }
        expect(await compactDays(deps(), Date.now() + MINUTE_MS)).toBe("done");
        expect(await seen()).toEqual(rows);
        expect((await lake().status()).files).toBe(days);
      },
    ),
    {
      numRuns: 8,
      examples: [
        [[{ after: 30, when: "before" }], false, 1],
        [
          [
            { after: 25, when: "after" },
            { after: 26, when: "after" },
          ],
          true,
          4,
        ],
      ],
    },
  );
  expect(cuts).toBeGreaterThan(1);
}, 120_000);

interface Calls {
  count: number;
  cut: number;
}

/** Every call is counted; the one after `after` others, and all that follow, fail before or after their effect. */
function cutOff<T extends object>(
  target: T,
  { after, when }: { readonly after: number; readonly when: "before" | "after" },
  shared?: { readonly calls: Calls },
): { target: T; calls: Calls } {
  const calls = shared?.calls ?? { count: 0, cut: 0 };
  const wrapped = Object.fromEntries(
    Object.entries(target).map(([name, method]) => [
      name,
      async (...given: unknown[]) => {
        const isCut = calls.count++ >= after;
        if (isCut) calls.cut++;
        if (isCut && (when === "before" || calls.cut > 1)) throw new Error("cut off");
        const answer = await method(...given);
        if (isCut) throw new Error("cut off");
        return answer;
      },
    ]),
  );
  return { target: wrapped as T, calls };
}

const catalogOf = (catalog: ReturnType<typeof lake>): CompactDeps["catalog"] => ({
  compactionWork: (...given) => catalog.compactionWork(...given) as never,
  replace: (commit) => catalog.replace(commit) as never,
  schema: () => catalog.schema() as never,
  uploadBegan: (...given) => catalog.uploadBegan(...given),
  uploadEnded: (key) => catalog.uploadEnded(key),
});

const bucketOf = (): CompactDeps["bucket"] => ({
  get: (key, options) => bucket.get(key, options as R2GetOptions),
  put: (key, body, options) => bucket.put(key, body, options),
  createMultipartUpload: (key, options) => bucket.createMultipartUpload(key, options),
  resumeMultipartUpload: (key, id) => bucket.resumeMultipartUpload(key, id),
});

it("uploads a large file in parts, and the sweep aborts an upload that nobody ends", async () => {
  const { uploadPartBytes, staleFileMs } = LAKE;
  const wide = () => Buffer.from(crypto.getRandomValues(new Uint8Array(12_000))).toString("base64");
  const sink = createLakeSink({ bucket, catalog: catalogs, parquet });
  const { token } = (await sink.lease(0, "test"))!;
  for (let seq = 0; seq < 3; seq++) {
    const events = Array.from({ length: 200 }, (_, i) => ({
      ...event(seq * 200 + i, 0),
      properties: { wide: wide() },
    }));
    const applied = { events: 200, quarantined: 0 };
    const step = { shard: 0, token, from: seq, to: seq + 1, completeUntil: 0, events, quarantine: [], applied };
    await sink.apply(step);
  }
  const rows = await seen();
  const work = (await lake().compactionWork([], 1))!;
  // What a Worker leaves that is killed after the first part.
  const left = await bucket.createMultipartUpload("lake/events/compact/left.parquet");
  await lake().uploadBegan(left.key, left.uploadId);
  await left.uploadPart(1, new Uint8Array(uploadPartBytes));
  expect(await lake().staleUploads()).toEqual([]);
  try {
    Object.assign(LAKE, { staleFileMs: -1 });
    expect(await lake().staleUploads()).toEqual([{ key: left.key, uploadId: left.uploadId }]);
    await runJob({ kind: "sweep-lake" }, maintenanceAt(Date.now()));
    expect(await lake().staleUploads()).toEqual([]);
  } finally {
    Object.assign(LAKE, { staleFileMs });
  }
  await expect(left.uploadPart(2, new Uint8Array(1))).rejects.toThrow();
  expect(await compactDay(deps(), work)).toMatchObject({ kind: "compacted", inputs: 3, files: 1 });
  const [file] = (await lake().plan({ table: "events" })).files;
  expect(file!.bytes).toBeGreaterThan(uploadPartBytes);
  expect((await bucket.head(file!.key))!.size).toBe(file!.bytes);
  expect(await seen()).toEqual(rows);
  expect(await lake().staleUploads()).toEqual([]);
}, 60_000);

/** What no job of these tests asks. */
const nobody = {
  getByName: (name: string): never => {
    throw new Error(`nobody asks ${name} here`);
  },
};

/** Maintenance some time ahead: R2's own clock cannot be moved, the sweep's can. */
function maintenanceAt(ms: number, namedInLog: readonly string[] = []): MaintenanceDeps {
  return {
    bucket,
    catalog: catalogs,
    parquet,
    bucketUri: "s3://eventpile",
    logs: { getByName: () => ({ unnamed: async (keys) => keys.filter((key) => !namedInLog.includes(key)) }) },
    queue: { send: async () => {} },
    history: { logs: nobody, rollups: nobody, shards: 1, epoch: 0, variables: {} },
    pii: { bucket, logs: nobody, registry: nobody, audits: nobody, shards: 1 },
    health: { catalog: catalogs, logs: nobody, registry: nobody, health: nobody, ask: async () => [], shards: 1 },
    erasures: () => {
      throw new Error("nobody is erased here");
    },
    now: () => ms,
  };
}

const lakeKeys = async () => (await bucket.list({ prefix: "lake/" })).objects.map(({ key }) => key);

it("sweeps lake objects that nothing names once their grace is over, and no other", async () => {
  await flush([3, 3]);
  const named = await lakeKeys();
  const orphan = dataFileKey({ table: "events", kind: "fresh", day: null, ulid: ulid() });
  await bucket.put(orphan, "left by a crash");
  await bucket.put("lake/README.txt", "not ours");
  await runJob({ kind: "sweep-lake" }, maintenanceAt(Date.now() + LOG.orphanGraceMs - MINUTE_MS));
  expect(await lakeKeys()).toContain(orphan);
  await runJob({ kind: "sweep-lake" }, maintenanceAt(Date.now() + LOG.orphanGraceMs + MINUTE_MS));
  expect((await lakeKeys()).sort()).toEqual([...named, "lake/README.txt"].sort());
  expect(await seen()).toHaveLength(6);
});

it("promise 5: keeps the inputs of a compaction for as long as a snapshot reaches them", async () => {
  await flush(Array.from({ length: 21 }, () => 1));
  const { snapshot } = await lake().status();
  const rows = await seen();
  await compactDays(deps(), Date.now() + MINUTE_MS);
  await runJob({ kind: "sweep-lake" }, maintenanceAt(Date.now() + 3 * DAY_MS));
  expect(await seen(snapshot)).toEqual(rows);
  expect(await lakeKeys()).toHaveLength(22);
});

it("deletes the inputs of a compaction once no snapshot reaches them, and refuses to read that far back", async () => {
  await flush(Array.from({ length: 21 }, () => 1));
  const { snapshot } = await lake().status();
  await compactDays(deps(), Date.now() + MINUTE_MS);
  const rows = await seen();
  await runInDurableObject(lake(), (_, { storage }) => {
    storage.sql.exec("UPDATE data_file SET removed_at = removed_at - ?", LAKE.snapshotReachMs + MINUTE_MS);
    storage.sql.exec("UPDATE snapshot SET committed_at = committed_at - ?", LAKE.snapshotReachMs + MINUTE_MS);
  });
  await runJob({ kind: "sweep-lake" }, maintenanceAt(Date.now() + LOG.orphanGraceMs + MINUTE_MS));
  expect(await lakeKeys()).toHaveLength(1);
  expect(await seen()).toEqual(rows);
  expect(await seen(snapshot + 1)).toEqual(rows);
  const refused = lake().plan({ table: "events", asOf: snapshot });
  expect(await refused.then(String, String)).toContain("not kept");
});

it("sweeps segments that no log names, of the day it is told", async () => {
  const key = (daysAgo: number, shard: number) =>
    segmentKey({ receivedAtUs: NOW_US - daysAgo * DAY_US, shard, ulid: ulid() });
  const [named, orphan, otherDay] = [key(0, 0), key(0, 3), key(1, 0)];
  for (const each of [named, orphan, otherDay]) await bucket.put(each, "segment");
  const later = maintenanceAt(Date.now() + LOG.orphanGraceMs + MINUTE_MS, [named]);
  await runJob({ kind: "sweep-log", day: dayOf(NOW_US) }, later);
  const left = (await bucket.list({ prefix: "log/" })).objects.map((object) => object.key);
  expect(left.sort()).toEqual([named, otherDay].sort());
});

it("settles every message: done, malformed, or failed and to be tried again", async () => {
  const settled: string[] = [];
  const message = (body: unknown) => ({
    body,
    ack: () => settled.push("ack"),
    retry: () => settled.push("retry"),
  });
  const batch = (body: unknown) => ({ queue: "maintenance", messages: [message(body)] }) as unknown as MessageBatch;
  await maintain(batch({ kind: "compact" }), maintenanceAt(Date.now()));
  await maintain(batch({ kind: "?" }), maintenanceAt(Date.now()));
  const broken = { ...maintenanceAt(Date.now()), bucket: { ...bucket, list: () => Promise.reject(new Error("down")) } };
  await maintain(batch({ kind: "sweep-log", day: "2026-11-22" }), broken as unknown as MaintenanceDeps);
  expect(settled).toEqual(["ack", "ack", "retry"]);
});
