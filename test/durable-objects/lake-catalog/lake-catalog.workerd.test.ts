import { abortAllDurableObjects, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { ulid } from "ulidx";
import { afterEach, expect, it } from "vitest";
import type { NewDataFile, PlanRequest } from "../../../durable-objects/lake-catalog/api.ts";
import type { LakeCatalog } from "../../../durable-objects/lake-catalog/lake-catalog.ts";
import { dataFileKey } from "../../../r2-layout/keys.ts";
import { HOUR_MS, LAKE } from "../../../r2-layout/limits.ts";
import { DAY_US } from "../../../r2-layout/time.ts";
import { dataFile, TODAY_US } from "./data-files.ts";

const catalogs = (env as unknown as { LAKE_CATALOG: DurableObjectNamespace<LakeCatalog> }).LAKE_CATALOG;
const none = { events: 0, quarantined: 0 };

afterEach(() => reset());

/** What a call that must fail says: taken up at once, because an RPC failure that nobody has awaited yet ends the run. */
const failure = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "did not fail",
    (error: Error) => error.message,
  );

/** Appends files to shard 0 as a sink does, one seq a commit. */
async function appender() {
  const catalog = catalogs.getByName("lake");
  const { token, cursor } = (await catalog.lease(0, "test", 60_000))!;
  let from = cursor;
  return {
    catalog,
    token,
    async append(...add: NewDataFile[]): Promise<number> {
      const answer = await catalog.append({
        shard: 0,
        token,
        from,
        to: from + 1,
        applied: { events: 10, quarantined: 0 },
        add,
      });
      if (answer.kind !== "committed") throw new Error(answer.kind);
      from++;
      return answer.snapshot;
    },
  };
}

it("promise 2: adds the files of an append once, however often it is sent", async () => {
  const catalog = catalogs.getByName("lake");
  const { token } = (await catalog.lease(0, "a", 60_000))!;
  const commit = { shard: 0, token, from: 0, to: 5, applied: { events: 10, quarantined: 1 }, add: [dataFile()] };
  expect(await catalog.append(commit)).toEqual({ kind: "committed", snapshot: 1 });
  await abortAllDurableObjects();
  const restarted = catalogs.getByName("lake");
  expect(await restarted.append(commit)).toEqual({ kind: "behind", cursor: 5 });
  expect(await restarted.status()).toMatchObject({
    snapshot: 1,
    files: 1,
    rows: { events: 10, quarantine: 0 },
    cursors: { 0: { cursor: 5, applied: { events: 10, quarantined: 1 } } },
  });
});

it("promise 5: a refused append leaves neither files nor a moved cursor", async () => {
  const catalog = catalogs.getByName("lake");
  const old = (await catalog.lease(0, "a", 1))!;
  await expect.poll(() => catalog.lease(0, "b", 60_000)).toMatchObject({ token: old.token + 1 });
  const file = dataFile();
  const commit = { shard: 0, from: 0, to: 5, applied: none, add: [file] };
  expect(await catalog.append({ ...commit, token: old.token })).toEqual({ kind: "behind", cursor: 0 });
  // The second file has the first one's key, so the transaction fails in its middle.
  expect(await failure(catalog.append({ ...commit, token: old.token + 1, add: [file, file] }))).toMatch(/UNIQUE/);
  expect((await catalog.plan({ table: "events" })).files).toEqual([]);
  expect(await catalog.status()).toMatchObject({ snapshot: 0, files: 0, cursors: { 0: { cursor: 0 } } });
});

it("refuses a file so old that the sweep may take its object", async () => {
  const { catalog, append } = await appender();
  const key = dataFileKey({ table: "events", kind: "fresh", day: null, ulid: ulid(Date.now() - 2 * HOUR_MS) });
  expect(await failure(append(dataFile({ key })))).toMatch(/too old/);
  expect(await failure(append(dataFile({ table: "quarantine", key: dataFile().key })))).toMatch(/no key of table/);
  expect((await catalog.status()).files).toBe(0);
});

it("promise 5: a snapshot reads the same files for ever, whatever is committed later", async () => {
  const step = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant("append" as const), files: fc.integer({ min: 0, max: 3 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("replace" as const), files: fc.integer({ min: 1, max: 4 }) }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      await reset();
      const { catalog, append } = await appender();
      const seen = new Map<number, unknown>();
      for (const { kind, files } of steps) {
        if (kind === "append") await append(...Array.from({ length: files }, () => dataFile()));
        else {
          const live = (await catalog.plan({ table: "events" })).files.slice(0, files);
          const rows = live.reduce((sum, file) => sum + file.rows, 0);
          const answer = await catalog.replace({
            remove: live.map(({ id }) => id),
            add: live.length > 0 ? [dataFile({ kind: "compact", rows })] : [],
            operation: "compact",
          });
          expect(answer.kind).toBe("committed");
        }
        const plan = await catalog.plan({ table: "events" });
        expect(plan.files.reduce((sum, file) => sum + file.rows, 0)).toBe((await catalog.status()).rows.events);
        expect(plan).toMatchObject({ tableFiles: plan.files.length });
        seen.set(plan.snapshot, plan);
        for (const [asOf, before] of seen) expect(await catalog.plan({ table: "events", asOf })).toEqual(before);
      }
      expect((await catalog.plan({ table: "events", asOf: 0 })).files).toEqual([]);
      expect(await failure(catalog.plan({ table: "events", asOf: 1_000 }))).toMatch(/not kept/);
    }),
    { numRuns: 15 },
  );
}, 60_000);

it("promise 5: of two replacements of one file only the first counts", async () => {
  const { catalog, append } = await appender();
  await append(dataFile(), dataFile(), dataFile());
  const [a, b, c] = (await catalog.plan({ table: "events" })).files.map(({ id }) => id);
  const compact = (remove: number[]) =>
    catalog.replace({ remove, add: [dataFile({ kind: "compact", rows: 20 })], operation: "compact" });
  expect(await compact([a!, b!])).toEqual({ kind: "committed", snapshot: 2 });
  expect(await compact([b!, c!])).toEqual({ kind: "conflict", missing: [b] });
  expect((await catalog.status()).rows.events).toBe(30);
});

it("promise 3: refuses a compaction that would lose or invent rows", async () => {
  const { catalog, append } = await appender();
  await append(dataFile(), dataFile());
  const remove = (await catalog.plan({ table: "events" })).files.map(({ id }) => id);
  expect(
    await failure(catalog.replace({ remove, add: [dataFile({ kind: "compact", rows: 19 })], operation: "compact" })),
  ).toMatch(/keeps the rows/);
  expect(await catalog.status()).toMatchObject({ snapshot: 1, files: 2 });
});

const names = ["page", "Product Viewed", "Order Completed"];
const countries = ["AT", "DE", "FR", "US"];

it("promise 9: plans every file that may hold a row asked for, at every range of time, and none that cannot; too many are counted", async () => {
  const spec = fc.record({
    start: fc.integer({ min: -4 * 24, max: 24 }),
    hours: fc.integer({ min: 0, max: 60 }),
    names: fc.option(fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 })),
    partition: fc.option(fc.constantFrom(...names), { freq: 3 }),
    min: fc.nat(3),
    max: fc.nat(3),
  });
  const range = fc.option(fc.integer({ min: -4 * 24 * 60, max: 3 * 24 * 60 }), { nil: undefined });
  await fc.assert(
    fc.asyncProperty(
      fc.array(spec, { maxLength: 15 }),
      range,
      range,
      fc.option(fc.constantFrom(...names), { nil: undefined }),
      fc.option(fc.constantFrom(...countries), { nil: undefined }),
      fc.option(fc.nat(6), { nil: undefined }),
      async (specs, from, to, name, country, filesMax) => {
        await reset();
        const { catalog, append } = await appender();
        const hour = HOUR_MS * 1_000;
        const files = specs.map(({ start, hours, names, partition, min, max }) =>
          dataFile({
            ...(partition && { partition }),
            minTime: TODAY_US + start * hour,
            maxTime: TODAY_US + (start + hours) * hour,
            eventNames: partition ? [partition] : names,
            rows: 10 + start + 4 * 24,
            columns: {
              country: { nulls: 0, min: countries[Math.min(min, max)]!, max: countries[Math.max(min, max)]! },
            },
          }),
        );
        await append(...files);
        const request: PlanRequest = {
          table: "events",
          ...(from !== undefined && { from: TODAY_US + from * 60_000_000 }),
          ...(to !== undefined && { to: TODAY_US + to * 60_000_000 }),
          ...(name && { eventNames: [name] }),
          ...(country && { equals: { country: [country] } }),
          ...(filesMax !== undefined && { filesMax }),
        };
        const expected = files.filter(
          (file) =>
            (request.from === undefined || file.maxTime >= request.from) &&
            (request.to === undefined || file.minTime < request.to) &&
            (!name || !file.eventNames || file.eventNames.includes(name)) &&
            (!country || (file.columns.country!.min! <= country && country <= file.columns.country!.max!)),
        );
        const plan = await catalog.plan(request);
        const told = filesMax !== undefined && expected.length > filesMax ? [] : expected;
        expect(new Set(plan.files.map(({ key }) => key))).toEqual(new Set(told.map(({ key }) => key)));
        const rows = expected.reduce((sum, file) => sum + file.rows, 0);
        expect(plan.matched).toEqual({ files: expected.length, rows, bytes: 1_000 * expected.length });
        expect(plan).toMatchObject({ tableFiles: files.length, tableBytes: 1_000 * files.length });
      },
    ),
    { numRuns: 40 },
  );
}, 60_000);

it("names removed files until no snapshot reaches them, and knows keys it never saw", async () => {
  const { catalog, append } = await appender();
  const [a, b] = [dataFile(), dataFile()];
  await append(a, b);
  const remove = (await catalog.plan({ table: "events" })).files.map(({ id }) => id);
  const merged = dataFile({ kind: "compact", rows: 20 });
  await catalog.replace({ remove, add: [merged], operation: "compact" });
  const strange = dataFile().key;
  expect(await catalog.forget()).toBe(0);
  expect(await catalog.unnamed([a.key, b.key, merged.key, strange])).toEqual([strange]);
  expect((await catalog.plan({ table: "events", asOf: 1 })).files).toHaveLength(2);
});

it("names what a kept snapshot has, though the clock was behind when it was removed", async () => {
  const { catalog, append } = await appender();
  await append(dataFile(), dataFile());
  const remove = (await catalog.plan({ table: "events" })).files.map(({ id }) => id);
  await catalog.replace({ remove, add: [dataFile({ kind: "compact", rows: 20 })], operation: "compact" });
  const reach = Date.now() - LAKE.snapshotReachMs;
  await runInDurableObject(catalog, (_, { storage }) => {
    storage.sql.exec("UPDATE snapshot SET committed_at = ?", reach + HOUR_MS);
    storage.sql.exec("UPDATE data_file SET removed_at = ? WHERE removed_seq IS NOT NULL", reach - HOUR_MS);
  });
  expect(await catalog.forget()).toBe(0);
  expect((await catalog.plan({ table: "events", asOf: 1 })).files).toHaveLength(2);
});

it("finds the most crowded day for compaction and leaves out large files", async () => {
  const { catalog, append } = await appender();
  const many = LAKE.compactAboveFiles + 1;
  await append(...Array.from({ length: many }, () => dataFile({ minTime: TODAY_US - DAY_US })));
  await append(...Array.from({ length: many + 1 }, () => dataFile({ bytes: LAKE.finishedBytes })));
  expect(await catalog.compactionWork()).toMatchObject({ table: "events", day: "2026-11-21" });
  expect((await catalog.compactionWork())!.files).toHaveLength(many);
  await append(
    ...Array.from({ length: many + 5 }, () => dataFile({ minTime: TODAY_US - 3 * DAY_US, maxTime: TODAY_US })),
  );
  expect(await catalog.compactionWork()).toMatchObject({ day: null });
  expect(await catalog.compactionWork(["events/mixed", "events/2026-11-21"])).toBeNull();
});

it("counts the commits since a time, all that are kept where the time is before them", async () => {
  const { catalog, append } = await appender();
  expect(await catalog.commitsSince(0)).toBe(0);
  for (let i = 0; i < 5; i++) await append(dataFile());
  await runInDurableObject(catalog, (_object, { storage }) => {
    storage.sql.exec("UPDATE snapshot SET committed_at = 1000 * seq");
  });
  for (const [since, wanted] of [
    [0, 5],
    [1_000, 4],
    [3_500, 2],
    [5_000, 0],
    [9_000, 0],
  ] as const)
    expect([since, await catalog.commitsSince(since)]).toEqual([since, wanted]);
});
