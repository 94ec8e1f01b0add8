import { reset, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import type { LakeIcebergApi } from "../../../durable-objects/lake-catalog/iceberg-api.ts";
import { type MaintenanceDeps, runJob } from "../../../queues/maintenance/consume.ts";
import { type PublishDeps, publishIceberg } from "../../../queues/maintenance/publish-iceberg.ts";
import type { TableName } from "../../../r2-layout/event-columns.ts";
import { HOUR_MS, ICEBERG, LAKE, MINUTE_MS } from "../../../r2-layout/limits.ts";
import { DAY_US } from "../../../r2-layout/time.ts";
import { dataFile, TODAY_US } from "../../durable-objects/lake-catalog/data-files.ts";
import { reaching } from "../../reaching.ts";
import { Fault } from "../log-rig.ts";
import {
  append,
  bucket,
  keyOf,
  lake,
  liveKeys,
  type Metadata,
  plannedKeys,
  publishDeps,
  readManifests,
  readMetadata,
} from "./iceberg-rig.ts";

afterEach(() => reset());

const soon = () => Date.now() + MINUTE_MS;
const publish = (deps: PublishDeps = publishDeps(), force = true) => publishIceberg(deps, soon(), force);

/** A file of one of the kinds that there are: of a day, of a day and a name, of many days, of the quarantine. */
function file(kind: number, rows: number) {
  const time = TODAY_US - (kind % 3) * DAY_US;
  switch (kind % 4) {
    case 0:
      return dataFile({ rows, minTime: time });
    case 1:
      return dataFile({ rows, minTime: time, kind: "compact", partition: `name-${kind % 2}` });
    case 2:
      return dataFile({ rows, minTime: time - 5 * DAY_US, maxTime: time });
    default:
      return dataFile({ rows, table: "quarantine", minTime: time });
  }
}

type Action =
  | { readonly do: "append"; readonly files: readonly (readonly [kind: number, rows: number])[] }
  | { readonly do: "compact" | "delete" | "correct" | "rebuild"; readonly pick: number }
  | { readonly do: "revert" | "publish" };

let jobs = 0;
const swapped: string[] = [];

async function act(action: Action): Promise<void> {
  switch (action.do) {
    case "append":
      return void (await append(action.files.map(([kind, rows]) => file(kind, rows))));
    case "publish":
      return void (await publish());
    case "revert": {
      const job = swapped.pop();
      if (job) await lake().revert(job);
      return;
    }
    default: {
      const live = (await lake().plan({ table: "events" })).files;
      const some = live.filter(({ id }) => (id + action.pick) % 3 === 0).slice(0, 6);
      if (some.length === 0) return;
      const remove = some.map(({ id }) => id);
      const rows = some.reduce((sum, each) => sum + each.rows, 0);
      if (action.do === "compact" || action.do === "delete") {
        const add = action.do === "compact" ? [file(1, rows)] : [];
        await lake().replace({ remove, add, operation: action.do });
        return;
      }
      const job = `job-${++jobs}`;
      await lake().stage(job, 1, rows > 1 ? [file(0, rows - 1)] : [], { remove });
      const keep = live.map(({ id }) => id).filter((id) => !remove.includes(id));
      await lake().swap(job, { remove: [], keep, rules: 0, operation: "correct" });
      swapped.push(job);
    }
  }
}

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      files: fc.array(fc.tuple(fc.nat({ max: 11 }), fc.integer({ min: 1, max: 99 })), { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("compact", "delete", "correct"), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("revert" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("publish" as const) }) },
);

/** Everything that a reader of the table is told, held against the lake and against itself. */
async function audit(table: TableName): Promise<Metadata> {
  const metadata = (await readMetadata(table))!;
  let before: Metadata["snapshots"][number] | undefined;
  for (const snapshot of metadata.snapshots) {
    const { summary } = snapshot;
    const manifests = await readManifests(snapshot);
    const entries = manifests.flatMap((manifest) => manifest.entries);
    const live = entries.filter(({ status }) => status !== 2);
    const keys = liveKeys(manifests);
    expect(new Set(keys).size).toBe(keys.length);
    const rows = live.reduce((sum, { data_file }) => sum + data_file.record_count, 0);
    expect([summary["total-records"], summary["total-data-files"]]).toEqual([String(rows), String(live.length)]);
    // Rows are the lake's at that snapshot; files too, unless compactions of the same part are still to be told.
    const planned = (await lake().plan({ table, asOf: Number(summary["eventpile.snapshot"]) })).files;
    expect(rows).toBe(planned.reduce((sum, each) => sum + each.rows, 0));
    for (const manifest of manifests) {
      const count = (status: number) => manifest.entries.filter((entry) => entry.status === status).length;
      expect([manifest.added_files_count, manifest.existing_files_count, manifest.deleted_files_count]).toEqual([
        count(1),
        count(0),
        count(2),
      ]);
      const numbers = manifest.entries.filter(({ status }) => status !== 2).map(({ sequence }) => sequence);
      expect(manifest.min_sequence_number).toBe(Math.min(manifest.sequence_number, ...numbers));
    }
    expect(snapshot["sequence-number"]).toBeLessThanOrEqual(metadata["last-sequence-number"]);
    // What a snapshot says it adds and takes is the difference from the one before.
    const own = entries.filter(({ snapshot_id }) => snapshot_id === snapshot["snapshot-id"]);
    const added = own.filter(({ status }) => status === 1).map(({ data_file }) => keyOf(data_file.file_path));
    const taken = own.filter(({ status }) => status === 2).map(({ data_file }) => keyOf(data_file.file_path));
    if (before) {
      const had = new Set(liveKeys(await readManifests(before)));
      expect(added.sort()).toEqual(keys.filter((key) => !had.has(key)));
      expect(taken.sort()).toEqual([...had].filter((key) => !keys.includes(key)).sort());
      expect(snapshot["parent-snapshot-id"]).toBe(before["snapshot-id"]);
      expect(snapshot["sequence-number"]).toBe(before["sequence-number"] + 1);
      expect(snapshot["timestamp-ms"]).toBeGreaterThan(before["timestamp-ms"]);
      const change = Number(summary["total-records"]) - Number(before.summary["total-records"]);
      if (summary.operation === "append") expect(taken).toEqual([]);
      if (summary.operation === "replace") expect(change).toBe(0);
      if (summary.operation === "delete") expect(added).toEqual([]);
    }
    before = snapshot;
  }
  expect(metadata["current-snapshot-id"]).toBe(before?.["snapshot-id"]);
  return metadata;
}

it("promise 5: every published snapshot has the lake's rows of its moment, whatever the lake has gone through", async () => {
  await reaching(async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 4, maxLength: 22 }), async (actions) => {
        await reset();
        swapped.length = 0;
        for (const each of actions) await act(each);
        await publish();
        const { snapshot } = await lake().status();
        for (const table of ["events", "quarantine"] as const) {
          const metadata = await audit(table);
          for (const { summary } of metadata.snapshots) seen.add(summary.operation!);
          const newest = metadata.snapshots.at(-1);
          const keys = newest ? liveKeys(await readManifests(newest)) : [];
          expect(keys).toEqual(await plannedKeys(table, snapshot));
        }
      }),
      { numRuns: 8, examples: [[EVERYTHING]] },
    );
    expect(OPERATIONS).toEqual(expect.arrayContaining([...seen]));
    return Object.fromEntries(OPERATIONS.map((operation) => [operation, seen.has(operation)]));
  });
}, 60_000);

const OPERATIONS = ["append", "delete", "overwrite", "replace"];

const appended = (...files: (readonly [number, number])[]): Action => ({ do: "append", files });
const EVERYTHING: Action[] = [
  appended([0, 5], [3, 2], [2, 9]),
  { do: "publish" },
  appended([4, 1]),
  { do: "compact", pick: 0 },
  appended([4, 3], [8, 2]),
  { do: "compact", pick: 1 },
  { do: "correct", pick: 2 },
  { do: "revert" },
  { do: "delete", pick: 0 },
  appended([0, 5], [5, 2]),
];

it("tells appends apart from compactions: who reads what is new meets every row once", async () => {
  await append([file(0, 5)]);
  await publish();
  const before = (await readMetadata("events"))!.snapshots.length;
  for (let i = 0; i < 4; i++) await append([file(0, 10 + i)]);
  const live = (await lake().plan({ table: "events" })).files;
  const rows = live.reduce((sum, each) => sum + each.rows, 0);
  await lake().replace({ remove: live.map(({ id }) => id), add: [file(0, rows)], operation: "compact" });
  await append([file(0, 50)]);
  await publish();

  const { snapshots } = await audit("events");
  const news = snapshots.slice(before);
  expect(news.map(({ summary }) => [summary.operation, summary["added-records"], summary["deleted-records"]])).toEqual([
    ["append", String(10 + 11 + 12 + 13 + 50), undefined],
    ["replace", String(rows), String(rows)],
  ]);
});

it("promise 5: a crash anywhere leaves the last whole metadata in force, and the next round goes on", async () => {
  let fired = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 3, maxLength: 10 }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.constantFrom("before" as const, "after" as const)), {
        minLength: 1,
        maxLength: 4,
      }),
      async (actions, crashes) => {
        await reset();
        swapped.length = 0;
        await append([file(0, 3), file(3, 1)]);
        await publish();
        for (const each of actions) await act(each);
        await append([file(0, 1)]);
        for (const [call, when] of crashes) {
          const fault = new Fault(call, when);
          const found = await readMetadata("events");
          const outcome = await publish(faulty(fault)).catch((error: Error) => error.message);
          if (fault.fired) expect(outcome).toBe("injected");
          fired += fault.fired ? 1 : 0;
          // Whatever is in force is whole, and what was in force before is not lost.
          const now = await audit("events");
          expect(now["last-sequence-number"]).toBeGreaterThanOrEqual(found!["last-sequence-number"]);
        }
        await publish();
        const { snapshot } = await lake().status();
        const newest = (await audit("events")).snapshots.at(-1)!;
        expect(liveKeys(await readManifests(newest))).toEqual(await plannedKeys("events", snapshot));
      },
    ),
    {
      numRuns: 5,
      examples: [[EVERYTHING, Array.from({ length: 8 }, (_, i) => [i + 1, i % 2 === 0 ? "before" : "after"] as const)]],
    },
  );
  expect(fired).toBeGreaterThan(5);
}, 60_000);

/** Each call to the bucket or the catalog is one that may fail. */
function faulty(fault: Fault): PublishDeps {
  const deps = publishDeps();
  const catalog = deps.catalog as LakeIcebergApi;
  return {
    ...deps,
    bucket: {
      get: (key) => fault.around(() => deps.bucket.get(key)),
      put: (...args) => fault.around(() => deps.bucket.put(...args)),
    },
    catalog: {
      icebergStep: (...args) => fault.around(async () => catalog.icebergStep(...args)),
      icebergFiles: (...args) => fault.around(async () => catalog.icebergFiles(...args)),
      icebergStage: (...args) => fault.around(async () => catalog.icebergStage(...args)),
      icebergPublish: (...args) => fault.around(async () => catalog.icebergPublish(...args)),
      icebergTables: () => catalog.icebergTables(),
      icebergUnnamed: (keys) => catalog.icebergUnnamed(keys),
    },
  };
}

it("two publishers at once: one is told that it was overtaken, and no file is published twice", async () => {
  await append(Array.from({ length: 30 }, (_, i) => file(i, 1 + i)));
  await Promise.all([publish(), publish(), publish()]);
  await publish();
  await audit("events");
  const { snapshots } = (await readMetadata("events"))!;
  expect(liveKeys(await readManifests(snapshots.at(-1)!))).toEqual(await plannedKeys("events", 1));
});

it("publishes at most once in ICEBERG.publishIntervalMs unless it is told to, and nothing where nothing is new", async () => {
  await append([file(0, 1)]);
  expect((await publish(undefined, false)).steps).toBe(2);
  await append([file(0, 1)]);
  const slot = Math.floor(Date.now() / ICEBERG.publishIntervalMs);
  const second = (await publish(undefined, false)).steps;
  // Unless a minute of the clock began just now.
  if (Math.floor(Date.now() / ICEBERG.publishIntervalMs) === slot) expect(second).toBe(0);
  expect((await publish(undefined, true)).steps).toBe(1 - second);
  expect((await publish(undefined, true)).steps).toBe(0);
});

it("promise 9: a step of more than one invocation goes on where it stood: pages of ICEBERG.filesPerPage, manifests of ICEBERG.manifestFiles", async () => {
  const files = 2 * ICEBERG.manifestFiles + ICEBERG.filesPerPage + 7;
  for (let i = 0; i < 5; i++) await append(Array.from({ length: Math.ceil(files / 5) }, () => file(0, 2)));
  let calls = 0;
  const pages: number[] = [];
  const deps = publishDeps();
  const counting: PublishDeps = {
    ...deps,
    catalog: new Proxy(deps.catalog, {
      get: (target, name: keyof LakeIcebergApi) => {
        if (name !== "icebergFiles")
          return (...args: never[]) => (target[name] as (...of: never[]) => unknown)(...args);
        return async (...args: Parameters<LakeIcebergApi["icebergFiles"]>) => {
          const page = await target.icebergFiles(...args);
          pages.push(page!.length);
          return page;
        };
      },
    }),
    now: () => Date.now(),
  };
  for (;;) {
    calls += 1;
    // Its time is over as soon as it has staged something.
    const { isCutOff } = await publishIceberg(counting, 0, true);
    if (!isCutOff) break;
    expect((await readMetadata("events"))?.snapshots.length ?? 0).toBe(0);
  }
  expect(calls).toBe(4);
  expect(Math.max(...pages)).toBe(ICEBERG.filesPerPage);
  const { snapshots } = await audit("events");
  const manifests = await readManifests(snapshots[0]!);
  expect(manifests.map(({ added_files_count }) => added_files_count).sort((a, b) => b - a)).toEqual([
    ICEBERG.manifestFiles,
    ICEBERG.manifestFiles,
    5 * Math.ceil(files / 5) - 2 * ICEBERG.manifestFiles,
  ]);
});

it("manifests are used again; ICEBERG.smallManifests of less than ICEBERG.smallManifestFiles are joined", async () => {
  const counts: number[] = [];
  for (let i = 0; i < ICEBERG.smallManifests + 2; i++) {
    await append([file(0, 1)]);
    await publish();
    const { snapshots } = (await readMetadata("events"))!;
    counts.push((await readManifests(snapshots.at(-1)!)).length);
  }
  expect(counts.slice(0, ICEBERG.smallManifests)).toEqual(
    Array.from({ length: ICEBERG.smallManifests }, (_, i) => i + 1),
  );
  expect(counts.slice(ICEBERG.smallManifests)).toEqual([2, 3]);
  await audit("events");
});

it("where the lake has forgotten what was committed since, one overwrite leads to what there is", async () => {
  await append([file(0, 5), file(0, 6)]);
  await publish();
  await append([file(0, 7)]);
  const live = (await lake().plan({ table: "events" })).files;
  await lake().replace({ remove: live.slice(0, 1).map(({ id }) => id), add: [], operation: "delete" });
  await append([file(0, 8)]);
  await inCatalog((sql) => sql.exec("DELETE FROM snapshot WHERE seq < 4"));
  await publish();
  const { snapshots } = (await readMetadata("events"))!;
  expect(snapshots.map(({ summary }) => [summary.operation, summary["total-records"]])).toEqual([
    ["append", "11"],
    ["overwrite", "21"],
  ]);
  expect(liveKeys(await readManifests(snapshots.at(-1)!))).toEqual(await plannedKeys("events", 4));
});

const inCatalog = (run: (sql: SqlStorage) => void) =>
  runInDurableObject(lake() as never, async (_, state) => run(state.storage.sql));

it("old snapshots go from the metadata, and their objects with the sweep, but nothing that a kept one needs", async () => {
  for (let i = 0; i < 4; i++) {
    await append([file(0, i + 1)]);
    await publish();
    const live = (await lake().plan({ table: "events" })).files;
    const rows = live.reduce((sum, each) => sum + each.rows, 0);
    await lake().replace({ remove: live.map(({ id }) => id), add: [file(0, rows)], operation: "compact" });
    await publish();
  }
  const metadataKeys = async () =>
    (await bucket.list({ prefix: "lake/events/metadata/" })).objects.map(({ key }) => key);
  const all = await metadataKeys();
  expect(await lake().icebergUnnamed(all)).toEqual([]);
  await bucket.put("lake/events/metadata/01ARZ3NDEKTSV4RRFFQ69G5FAV-m.avro", "left by a crash");
  expect(await lake().icebergUnnamed(await metadataKeys())).toHaveLength(1);

  // Three hours later only the last of an hour is left, and the manifests that it is made of.
  await inCatalog((sql) =>
    sql.exec(
      "UPDATE iceberg_snapshot SET snapshot = json_set(snapshot, '$.timestampMs', json_extract(snapshot, '$.timestampMs') - ?)",
      3 * HOUR_MS,
    ),
  );
  expect((await publish()).steps).toBe(1);
  const { snapshots } = await audit("events");
  expect(snapshots.length).toBeLessThanOrEqual(2);
  const unnamed = await lake().icebergUnnamed(await metadataKeys());
  // Of six snapshots at least a list and a manifest each, and what the crash left.
  expect(unnamed.length).toBeGreaterThan(12);
  await bucket.delete(unnamed);
  await audit("events");
  expect((await publish()).steps).toBe(0);
}, 30_000);

it("refuses to name what the sweep may have taken: an object older than LAKE.staleFileMs", async () => {
  await append([file(0, 1)]);
  const old = Date.now() - LAKE.staleFileMs - MINUTE_MS;
  await expect(publishIceberg({ ...publishDeps(), now: () => old }, soon(), true)).rejects.toThrow("too old");
  expect((await lake().icebergTables()).map(({ table }) => table)).toEqual([]);
});

it("a round that fails is left to the next minute's message, not to a retry beside it", async () => {
  await append([file(0, 1)]);
  const { maintenance, failing } = jobDeps();
  expect(await runJob({ kind: "publish-iceberg", now: true }, { ...maintenance, bucket: failing })).toBeNull();
  expect(await lake().icebergTables()).toEqual([]);
  expect(await runJob({ kind: "publish-iceberg" }, maintenance)).toBeNull();
  expect((await audit("events")).snapshots).toHaveLength(1);
});

function jobDeps() {
  const maintenance = {
    bucket,
    bucketUri: "s3://eventpile",
    catalog: { getByName: lake },
  } as unknown as MaintenanceDeps;
  const put = async () => Promise.reject(new Error("R2 is down"));
  return {
    maintenance,
    failing: { get: (key: string) => bucket.get(key), put } as unknown as MaintenanceDeps["bucket"],
  };
}

it("an empty lake is two empty tables", async () => {
  await publish();
  for (const table of ["events", "quarantine"] as const) {
    const metadata = (await readMetadata(table))!;
    expect(metadata.snapshots).toEqual([]);
    expect(metadata).not.toHaveProperty("current-snapshot-id");
  }
});
