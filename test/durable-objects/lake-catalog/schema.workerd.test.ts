import { abortAllDurableObjects, reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, it } from "vitest";
import type { AppendCommit } from "../../../durable-objects/lake-catalog/api.ts";
import type { LakeCatalog } from "../../../durable-objects/lake-catalog/lake-catalog.ts";
import { SCHEMA } from "../../../r2-layout/limits.ts";
import type { NewPromotedColumn } from "../../../r2-layout/promoted-columns.ts";
import { dataFile } from "./data-files.ts";

const catalogs = (env as unknown as { LAKE_CATALOG: DurableObjectNamespace<LakeCatalog> }).LAKE_CATALOG;
const lake = () => catalogs.getByName("lake");

afterEach(() => reset());

const plan: NewPromotedColumn = { name: "plan", type: "string", property: "Plan", doc: "What is paid for." };
const mail: NewPromotedColumn = { name: "mail", type: "string", property: "email", doc: "", identifier: true };
const seats: NewPromotedColumn = { name: "seats", type: "long", property: "seats", doc: "" };

const failure = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "did not fail",
    (error: Error) => error.message,
  );

async function append(part: Partial<AppendCommit> = {}) {
  const { token, cursor } = (await lake().lease(0, "test", 60_000))!;
  const applied = { events: 10, quarantined: 0 };
  return lake().append({ shard: 0, token, from: cursor, to: cursor + 1, applied, add: [dataFile()], ...part });
}

it("promise 6: a column is added once, in a commit of its own, and stays what it is", async () => {
  await append();
  const first = await lake().addColumn(plan);
  expect(first).toMatchObject({
    kind: "added",
    column: { ...plan, fieldId: 1_001, schemaVersion: 2, addedSeq: 2 },
  });
  await abortAllDurableObjects();
  expect(await lake().addColumn(plan)).toEqual({ kind: "known", column: first.kind === "added" && first.column });
  for (const other of [{ type: "long" as const }, { property: "plan" }, { doc: "" }, { identifier: true }]) {
    expect(await lake().addColumn({ ...plan, ...other })).toMatchObject({ kind: "taken", column: plan });
  }
  expect(await lake().addColumn(seats)).toMatchObject({ column: { fieldId: 1_002, schemaVersion: 3, addedSeq: 3 } });
  expect(await lake().status()).toMatchObject({
    snapshot: 3,
    files: 1,
    rows: { events: 10 },
    schema: { version: 3, conflicts: { plan: 0, seats: 0 } },
  });
});

it("keeps of a column that its values tell people apart", async () => {
  expect(await lake().addColumn(mail)).toMatchObject({ kind: "added", column: mail });
  await abortAllDurableObjects();
  expect(await lake().addColumn(mail)).toMatchObject({ kind: "known" });
  expect(await lake().addColumn({ ...mail, identifier: false })).toMatchObject({ kind: "taken" });
  expect((await lake().schema()).promoted).toMatchObject([{ name: "mail", identifier: true }]);
});

it("promise 6: a snapshot keeps the columns that it had, in its schema and in every plan", async () => {
  await append();
  await lake().addColumn(plan);
  await append();
  await lake().addColumn(seats);
  const names = async (asOf?: number) => (await lake().schema(asOf)).promoted.map(({ name }) => name);
  const planned = async (asOf?: number) => {
    const { promoted } = await lake().plan({ table: "events", ...(asOf !== undefined && { asOf }) });
    return promoted?.map(({ name }) => name);
  };
  for (const [asOf, expected] of [
    [0, []],
    [1, []],
    [2, ["plan"]],
    [3, ["plan"]],
    [4, ["plan", "seats"]],
    [undefined, ["plan", "seats"]],
  ] as const) {
    expect(await names(asOf)).toEqual(expected);
    expect(await planned(asOf)).toEqual(expected.length === 0 ? undefined : expected);
  }
  expect(await lake().plan({ table: "quarantine" })).not.toHaveProperty("promoted");
  expect(await lake().schema(3)).toMatchObject({ version: 2, snapshot: 3 });
  expect(await failure(lake().schema(5))).toMatch(/5 lies ahead; the newest is 4/);
});

it("promise 6: once a column is there, no append is taken whose rows have not been through it", async () => {
  const { token, schema } = (await lake().lease(0, "test", 60_000))!;
  expect(schema).toEqual({ version: 1, promoted: [] });
  await lake().addColumn(plan);
  await abortAllDurableObjects();
  const commit: AppendCommit = {
    ...{ shard: 0, token, from: 0, to: 1, applied: { events: 10, quarantined: 0 } },
    add: [dataFile()],
    schema: 1,
    conflicts: { plan: 3 },
  };
  const refused = await lake().append(commit);
  expect(refused).toMatchObject({ kind: "schema", schema: { version: 2, promoted: [plan] } });
  expect(await lake().status()).toMatchObject({ snapshot: 1, files: 0, schema: { conflicts: { plan: 0 } } });
  // Of a lake that is not this one, too.
  expect(await lake().append({ ...commit, schema: 3 })).toMatchObject({ kind: "schema", schema: { version: 2 } });
  expect(await lake().append({ ...commit, schema: 2 })).toEqual({ kind: "committed", snapshot: 2 });
  const renewed = await lake().lease(0, "test", 60_000);
  expect(renewed).toMatchObject({ cursor: 1, schema: { version: 2, promoted: [plan] } });
});

it("promise 3: a value that does not convert counts once, however often its append is sent", async () => {
  await lake().addColumn(plan);
  await lake().addColumn(seats);
  const { token } = (await lake().lease(0, "test", 60_000))!;
  const commit: AppendCommit = {
    ...{ shard: 0, token, from: 0, to: 1, applied: { events: 10, quarantined: 0 } },
    add: [dataFile()],
    schema: 3,
    conflicts: { seats: 4 },
  };
  expect(await lake().append(commit)).toMatchObject({ kind: "committed" });
  expect(await lake().append(commit)).toEqual({ kind: "behind", cursor: 1 });
  expect(await lake().append({ ...commit, from: 1, to: 2, add: [dataFile()], token: token - 1 })).toMatchObject({
    kind: "behind",
  });
  await lake().raise(1);
  expect(await lake().append({ ...commit, from: 1, to: 2, add: [dataFile()] })).toEqual({ kind: "rules", version: 1 });
  await abortAllDurableObjects();
  expect((await lake().schema()).conflicts).toEqual({ plan: 0, seats: 4 });
  await append({ schema: 3, rules: 1, conflicts: { seats: 1, plan: 2 } });
  expect((await lake().schema()).conflicts).toEqual({ plan: 2, seats: 5 });
});

it("takes what a writer brings that knows of no columns: its rows are null in them", async () => {
  await lake().addColumn(plan);
  expect(await append()).toMatchObject({ kind: "committed" });
  expect((await lake().schema()).conflicts).toEqual({ plan: 0 });
});

it("promise 9: there are at most so many columns, and one that is there is no further one", async () => {
  for (let at = 0; at < SCHEMA.promotedColumns; at++) {
    expect(await lake().addColumn({ ...seats, name: `c${at}` })).toMatchObject({ kind: "added" });
  }
  expect(await lake().addColumn(plan)).toEqual({ kind: "full", limit: SCHEMA.promotedColumns });
  expect(await lake().addColumn({ ...seats, name: "c0" })).toMatchObject({ kind: "known" });
  const { promoted, version } = await lake().schema();
  expect(promoted.map(({ fieldId }) => fieldId)).toEqual(promoted.map((_, at) => 1_001 + at));
  expect(version).toBe(1 + SCHEMA.promotedColumns);
});

it("promise 6: a compaction that lacks a column of an input is refused", async () => {
  await append();
  await lake().addColumn(plan);
  await append({ add: [dataFile({ schemaVersion: 2 })], schema: 2 });
  const { files } = await lake().plan({ table: "events" });
  const remove = files.map(({ id }) => id);
  const merged = (schemaVersion: number) => dataFile({ kind: "compact", rows: 20, schemaVersion });
  const operation = "compact" as const;
  expect(await failure(lake().replace({ remove, add: [merged(1)], operation }))).toMatch(/keeps the columns/);
  expect(await lake().replace({ remove, add: [merged(2)], operation })).toMatchObject({ kind: "committed" });
});
