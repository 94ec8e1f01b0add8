import { abortAllDurableObjects, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, it } from "vitest";
import type { NewDataFile } from "../../../durable-objects/lake-catalog/api.ts";
import type { LakeCatalog } from "../../../durable-objects/lake-catalog/lake-catalog.ts";
import { DAY_MS, LAKE } from "../../../r2-layout/limits.ts";
import { DAY_US } from "../../../r2-layout/time.ts";
import { dataFile, TODAY_US } from "./data-files.ts";

const catalogs = (env as unknown as { LAKE_CATALOG: DurableObjectNamespace<LakeCatalog> }).LAKE_CATALOG;
const lake = () => catalogs.getByName("lake");

afterEach(() => reset());

const failure = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "did not fail",
    (error: Error) => error.message,
  );

/** Appends files to shard 0 as a sink does, one seq a commit. */
async function append(add: readonly NewDataFile[], rules = 0) {
  const { token, cursor } = (await lake().lease(0, "test", 60_000))!;
  const events = add.reduce((sum, { rows }) => sum + rows, 0);
  const applied = { events, quarantined: 0 };
  return lake().append({ shard: 0, token, from: cursor, to: cursor + 1, applied, add, rules });
}

/** A file whose rows stand in shard 0 at these seqs. */
const placed = (min: number, max: number, part: Partial<NewDataFile> = {}) =>
  dataFile({ ...part, columns: { log_shard: { nulls: 0, min: 0, max: 0 }, log_seq: { nulls: 0, min, max } } });

const live = async (asOf?: number) =>
  (await lake().plan({ table: "events", ...(asOf !== undefined && { asOf }) })).files.map(({ id }) => id).sort();
const correct = { remove: [], keep: [], rules: 1, operation: "correct" } as const;
const rebuild = { remove: [], keep: [], rules: 0, operation: "rebuild" } as const;
const all = { afterId: 0, belowRules: 1 };

it("promise 4: takes no rows that were read before the newest rule, also after an eviction", async () => {
  expect(await append([dataFile()])).toMatchObject({ kind: "committed" });
  await lake().raise(1);
  await lake().raise(1);
  await abortAllDurableObjects();
  expect(await append([dataFile()])).toEqual({ kind: "rules", version: 1 });
  expect(await lake().status()).toMatchObject({ snapshot: 1, cursors: { 0: { cursor: 1 } }, rules: 1 });
  expect(await append([dataFile()], 1)).toMatchObject({ kind: "committed" });
  const [old] = await live();
  const compacted = { remove: [old!], add: [dataFile({ kind: "compact" })], operation: "compact" } as const;
  expect(await lake().replace(compacted)).toEqual({ kind: "rules", version: 1 });
  // It says that it has read the rule, but its input has not.
  expect(await lake().replace({ ...compacted, rules: 1 })).toEqual({ kind: "conflict", missing: [old] });
});

it("gives out files that a rule may concern, each once, and leaves out what it cannot match", async () => {
  const country = (value: string) => ({ country: { nulls: 0, min: value, max: value } });
  await append([
    dataFile({ minTime: TODAY_US, columns: country("DE") }),
    dataFile({ minTime: TODAY_US - 2 * DAY_US, columns: country("DE") }),
    dataFile({ minTime: TODAY_US, columns: country("FR") }),
    dataFile({ minTime: TODAY_US, eventNames: ["page"] }),
    dataFile({ table: "quarantine", minTime: TODAY_US }),
  ]);
  await lake().raise(1, { from: TODAY_US, where: { country: ["DE"] } });
  expect((await lake().candidates(all)).map(({ id }) => id)).toEqual([1, 4]);
  await append([dataFile()], 1);
  expect((await lake().candidates({ ...all, afterId: 1 })).map(({ id }) => id)).toEqual([4]);
  expect(await lake().candidates({ ...all, to: TODAY_US - DAY_US })).toEqual([]);
  await lake().stage("job", 1, [], { keep: [1] });
  expect((await lake().candidates({ ...all, job: "job" })).map(({ id }) => id)).toEqual([4]);
  // A second rule: the file that neither can touch is still left out, and each is asked by itself.
  await lake().raise(2, {
    places: [{ shard: 0, seq: 5, source: "shop", event_id: "e" }],
    where: { event_name: ["x"] },
  });
  expect((await lake().candidates({ afterId: 0, belowRules: 2 })).map(({ id }) => id)).toEqual([1, 4]);
  await lake().raise(3);
  expect((await lake().candidates({ afterId: 0, belowRules: 3 })).map(({ id }) => id)).toEqual([1, 2, 3, 4, 6]);
});

it("promise 9: gives out no more files at once than its page, and all of them page by page", async () => {
  for (const more of [0, 1]) {
    await append(Array.from({ length: LAKE.filesPerPage - 1 + more }, () => placed(1, 1)));
  }
  await lake().raise(1);
  const first = await lake().candidates(all);
  expect(first).toHaveLength(LAKE.filesPerPage);
  const rest = await lake().candidates({ ...all, afterId: first.at(-1)!.id });
  expect(rest).toHaveLength(LAKE.filesPerPage - 1);
  expect(await lake().candidates({ ...all, afterId: rest.at(-1)!.id })).toEqual([]);
  await lake().begin("job");
  expect(await lake().replaceable("job", 0)).toHaveLength(LAKE.filesPerPage);
});

it("promise 5: what is staged is no reader's, survives an eviction, and is in the lake once it is swapped", async () => {
  await append([dataFile({ rows: 10 }), dataFile({ rows: 7 })]);
  await lake().raise(1);
  const staged = dataFile({ rows: 4, rules: 1 });
  await lake().stage("job", 1, [staged], { remove: [1] });
  await lake().stage("job", 1, [dataFile({ rules: 1 })], { remove: [1] });
  await lake().stage("job", 2, [], { keep: [2] });
  await abortAllDurableObjects();
  expect(await lake().staged("job")).toMatchObject({ state: "open", steps: 2, files: 1, rows: 4, bytes: staged.bytes });
  expect(await live()).toEqual([1, 2]);
  expect(await lake().unnamed([staged.key])).toEqual([]);
  expect(await lake().swap("job", correct)).toEqual({ kind: "committed", snapshot: 2 });
  expect(await live()).toEqual([2, 3]);
  expect(await live(1)).toEqual([1, 2]);
  expect(await lake().status()).toMatchObject({ rows: { events: 11 }, retracted: 6, rebuilt: 0 });
  expect(await lake().candidates(all)).toEqual([]);
  expect(await append([dataFile()], 1)).toMatchObject({ snapshot: 3 });
  expect(await lake().swap("job", correct)).toEqual({ kind: "committed", snapshot: 2 });
  expect(await failure(lake().stage("job", 3, []))).toMatch(/swapped/);
});

it("promise 5: refuses a swap whose input is gone, or that has overlooked a file, and asks for these again", async () => {
  await append([dataFile(), dataFile(), dataFile()]);
  await lake().stage("job", 1, [dataFile({ rules: 1 })], { remove: [1] });
  await lake().stage("job", 2, [dataFile({ rules: 1 })], { remove: [2] });
  // Before the rule is raised, so that this compaction is allowed.
  await lake().replace({ remove: [2, 3], add: [dataFile({ kind: "compact", rows: 20 })], operation: "compact" });
  await lake().raise(1);
  expect(await lake().swap("job", correct)).toEqual({ kind: "conflict", missing: [2] });
  expect(await lake().swap("job", correct)).toEqual({ kind: "conflict", missing: [] });
  expect(await live()).toEqual([1, 4]);
  expect((await lake().candidates({ ...all, job: "job" })).map(({ id }) => id)).toEqual([4]);
  await lake().stage("job", 4, [dataFile({ rows: 20, rules: 1 })], { remove: [4] });
  expect(await lake().swap("job", correct)).toMatchObject({ kind: "committed" });
  expect(await lake().status()).toMatchObject({ files: 2, rows: { events: 30 }, retracted: 0 });
});

it("lets go of what a discarded job staged, and refuses what comes late for it", async () => {
  const staged = dataFile();
  await lake().stage("job", 1, [staged]);
  await lake().discard("job");
  await lake().discard("job");
  expect(await lake().unnamed([staged.key])).toEqual([staged.key]);
  expect(await failure(lake().stage("job", 2, [dataFile()]))).toMatch(/discarded/);
  expect(await failure(lake().begin("job"))).toMatch(/discarded/);
  expect(await failure(lake().swap("job", correct))).toMatch(/discarded/);
  await lake().discard("never begun");
  expect(await failure(lake().stage("never begun", 1, []))).toMatch(/discarded/);
  expect(await lake().status()).toMatchObject({ snapshot: 0, files: 0 });
});

it("promise 4: begins a rebuild at one moment, and finds the files of its part of the log", async () => {
  await append([placed(1, 1), placed(1, 1, { table: "quarantine" })]);
  await append([placed(2, 2)]);
  await append([placed(3, 3), dataFile()]);
  const scope = await lake().begin("job", { 0: { after: 1, to: 9 }, 4: { after: 0, to: 9 } });
  expect(scope).toEqual({ snapshot: 3, cursors: { 0: 3 }, reach: { 0: { after: 1, to: 3 } } });
  await append([placed(4, 4)]);
  expect(await lake().begin("job", { 0: { after: 0, to: 4 } })).toEqual(scope);
  expect((await lake().replaceable("job", 0)).map(({ id }) => id)).toEqual([3, 4, 5]);
  expect(await failure(lake().replaceable("other", 0))).toMatch(/no rebuild/);
});

it("promise 4: swaps a rebuild in only once all of it was read and every live file of its part was looked at", async () => {
  await append([placed(1, 2)]);
  await lake().begin("job");
  const staged = [placed(1, 1, { rows: 3 }), placed(1, 1, { table: "quarantine", rows: 2 })];
  await lake().stage("job", 100, staged, { read: { shard: 0, to: 1 } });
  await append([placed(2, 2)]);
  expect(await lake().swap("job", rebuild)).toEqual({ kind: "conflict", missing: [] });
  await lake().stage("job", -1, [], { remove: [1] });
  expect(await lake().swap("job", rebuild)).toMatchObject({ kind: "committed" });
  expect(await lake().status()).toMatchObject({ rows: { events: 13, quarantine: 2 }, rebuilt: -7, retracted: 0 });
  await append([placed(3, 3)]);
  await lake().begin("more");
  await lake().stage("more", 1, [], { read: { shard: 0, to: 2 }, keep: [2, 3, 4, 5, 6] });
  expect(await failure(lake().swap("more", rebuild))).toMatch(/read shard 0 up to 2, not 3/);
});

it("promise 4: a rebuild that has not passed the newest rule is not swapped in", async () => {
  await append([placed(1, 1)]);
  await lake().begin("job");
  await lake().stage("job", 1, [placed(1, 1)], { read: { shard: 0, to: 1 }, remove: [1] });
  await lake().raise(1);
  expect(await lake().swap("job", { ...rebuild, rules: 1 })).toEqual({ kind: "rules", version: 1 });
  expect(await live()).toEqual([1]);
});

it("promise 5: a revert puts back what was there, and every snapshot reads the same for ever", async () => {
  await append([placed(1, 1, { rows: 5 }), placed(1, 1)]);
  await lake().begin("job");
  await lake().stage("job", 1, [placed(1, 1, { rows: 6 })], { read: { shard: 0, to: 1 }, remove: [1], keep: [2] });
  expect(await lake().swap("job", rebuild)).toEqual({ kind: "committed", snapshot: 2 });
  await append([placed(2, 2)]);
  const reverted = await lake().revert("job");
  expect(reverted).toEqual({ kind: "committed", snapshot: 4 });
  expect(await lake().revert("job")).toEqual(reverted);
  expect(await lake().status()).toMatchObject({ rows: { events: 25 }, rebuilt: 0 });
  const seen = async () => Promise.all([1, 2, 3, 4].map((asOf) => live(asOf)));
  const expected = [
    [1, 2],
    [2, 3],
    [2, 3, 4],
    [1, 2, 4],
  ];
  expect(await seen()).toEqual(expected);
  await append([placed(3, 3)]);
  await lake().begin("again");
  await lake().stage("again", 1, [], { read: { shard: 0, to: 3 }, remove: [1], keep: [2, 4, 5] });
  await lake().swap("again", rebuild);
  expect(await seen()).toEqual(expected);
  expect(await live()).toEqual([2, 4, 5]);
  expect(await failure(lake().swap("job", rebuild))).toMatch(/reverted/);
});

it("keeps what a swap removed until it is confirmed, and compacts nothing of an open or unconfirmed job", async () => {
  const old = placed(1, 1);
  await append([old, placed(1, 1), placed(1, 1)]);
  await lake().begin("job");
  expect(await lake().compactionWork([], 1)).toBeNull();
  expect(
    await lake().replace({ remove: [2, 3], add: [dataFile({ kind: "compact", rows: 20 })], operation: "compact" }),
  ).toEqual({ kind: "conflict", missing: [] });
  const added = placed(1, 1);
  await lake().stage("job", 1, [added], { read: { shard: 0, to: 1 }, remove: [1], keep: [2, 3] });
  await lake().swap("job", rebuild);
  const age = () =>
    runInDurableObject(lake(), (_, { storage }) => {
      storage.sql.exec("UPDATE data_file SET removed_at = removed_at - ?", LAKE.snapshotReachMs + DAY_MS);
      storage.sql.exec("UPDATE snapshot SET committed_at = committed_at - ?", LAKE.snapshotReachMs + DAY_MS);
    });
  await age();
  expect(await lake().forget()).toBe(0);
  expect(await lake().unnamed([old.key, added.key])).toEqual([]);
  expect((await lake().compactionWork([], 1))!.files.map(({ id }) => id)).toEqual([2, 3]);
  await lake().confirm("job");
  await lake().confirm("job");
  expect(await lake().forget()).toBe(1);
  expect(await lake().unnamed([old.key, added.key])).toEqual([old.key]);
  expect((await lake().compactionWork([], 1))!.files.map(({ id }) => id)).toEqual([2, 3, 4]);
  expect(await failure(lake().revert("job"))).toMatch(/confirmed/);
  expect(await failure(lake().discard("job"))).toMatch(/confirmed/);
});

it("refuses a revert once a correction has gone over what was swapped, before or after it did", async () => {
  await append([placed(1, 1)]);
  await lake().begin("job");
  await lake().stage("job", 1, [placed(1, 1)], { read: { shard: 0, to: 1 }, remove: [1] });
  await lake().swap("job", rebuild);
  await lake().raise(1);
  expect(await lake().revert("job")).toEqual({ kind: "rules", version: 1 });
  await lake().stage("rule", 1, [placed(1, 1, { rules: 1 })], { remove: [2] });
  await lake().swap("rule", correct);
  await lake().confirm("rule");
  expect(await lake().revert("job")).toEqual({ kind: "conflict", missing: [2] });
  expect(await live()).toEqual([3]);
});

it("compacts files that have passed the same rules only, and none that a rule has yet to go over", async () => {
  await append([dataFile(), dataFile()]);
  await lake().raise(1, { where: { event_name: ["nothing"] } });
  await append([dataFile(), dataFile(), dataFile()], 1);
  expect(await lake().compactionWork([], 1)).toMatchObject({ rules: 1, files: [{ id: 3 }, { id: 4 }, { id: 5 }] });
  // Nothing to do for this rule but to say so: then all of them are of one version.
  expect(await lake().swap("job", correct)).toEqual({ kind: "committed", snapshot: 2 });
  expect((await lake().compactionWork([], 1))!.files).toHaveLength(5);
});

it("keeps working over the tables that an earlier version left", async () => {
  await append([dataFile({ rows: 3 })]);
  await runInDurableObject(lake(), (_, { storage: { sql } }) => {
    sql.exec("ALTER TABLE data_file DROP COLUMN rules");
    sql.exec("ALTER TABLE data_file DROP COLUMN added_by");
    sql.exec("ALTER TABLE data_file DROP COLUMN removed_by");
    for (const table of ["file_absence", "rule", "staging_job", "staged_step", "staged_input", "staged_file"]) {
      sql.exec(`DROP TABLE ${table}`);
    }
    const { totals } = sql.exec<{ totals: string }>("SELECT totals FROM snapshot").one();
    const { tables, appendedRows, deletedRows } = JSON.parse(totals);
    sql.exec("UPDATE snapshot SET totals = ?", JSON.stringify({ tables, appendedRows, deletedRows }));
  });
  await abortAllDurableObjects();
  expect(await lake().status()).toMatchObject({ rows: { events: 3 }, rules: 0, retracted: 0, rebuilt: 0 });
  await lake().raise(1);
  expect((await lake().candidates(all)).map(({ id, rules }) => ({ id, rules }))).toEqual([{ id: 1, rules: 0 }]);
  await lake().stage("job", 1, [], { remove: [1] });
  expect(await lake().swap("job", correct)).toEqual({ kind: "committed", snapshot: 2 });
  expect(await lake().status()).toMatchObject({ rows: { events: 0 }, retracted: 3 });
});
