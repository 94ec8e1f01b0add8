import { reset } from "cloudflare:test";
import { afterEach, expect, it } from "vitest";
import type { NewDataFile } from "../../../durable-objects/lake-catalog/api.ts";
import { EMPTY_DAY } from "../../../r2-layout/day-tally.ts";
import { DAY_MS } from "../../../r2-layout/limits.ts";
import { DAY_US, dayOf } from "../../../r2-layout/time.ts";
import { append } from "../../queues/maintenance/iceberg-rig.ts";
import { lake, settle } from "./cut-rig.ts";
import { dataFile, TODAY_US } from "./data-files.ts";

afterEach(() => reset());

const all = () => lake().erasable("events", Number.MAX_SAFE_INTEGER, 0);
const idOf = async (key: string) => (await all()).find((file) => file.key === key)!.id;

async function exchange(file: NewDataFile, replacement: NewDataFile | null, version = 1) {
  const tallies: Parameters<ReturnType<typeof lake>["exchange"]>[0]["tallies"] = [];
  return lake().exchange({ version, id: await idOf(file.key), key: file.key, replacement, tallies });
}

it("promise 7: the new file has the old one's place in history, another id, and sums follow", async () => {
  const [file, other] = [dataFile({ rows: 10, bytes: 1_000 }), dataFile({ rows: 5, bytes: 500 })];
  const first = await append([file]);
  const second = await append([other]);
  const old = await idOf(file.key);
  const merged = dataFile({ rows: 15, bytes: 1_400, kind: "compact" });
  await lake().replace({ remove: [old, await idOf(other.key)], add: [merged], operation: "compact" });
  const [thin, thinMerged] = [dataFile({ rows: 7, bytes: 800 }), dataFile({ rows: 12, bytes: 1_300, kind: "compact" })];
  expect(await exchange(file, thin)).toBe("exchanged");
  expect(await exchange(merged, thinMerged)).toBe("exchanged");
  expect(await idOf(thin.key)).toBeGreaterThan(old);
  const keys = async (asOf: number) => (await lake().plan({ table: "events", asOf })).files.map(({ key }) => key);
  expect(await keys(first)).toEqual([thin.key]);
  expect(await keys(second)).toEqual([other.key, thin.key].sort(byId([other.key, thin.key])));
  expect(await keys(3)).toEqual([thinMerged.key]);
  const entries = await lake().snapshots(10);
  expect(entries.map(({ seq, tables }) => [seq, tables.events])).toEqual([
    [3, { files: 1, rows: 12, bytes: 1_300 }],
    [2, { files: 2, rows: 12, bytes: 1_300 }],
    [1, { files: 1, rows: 7, bytes: 800 }],
  ]);
  expect(await lake().status()).toMatchObject({ rows: { events: 12 }, retracted: 3, bytes: 1_300 });
  // The next commit goes on from there.
  await append([dataFile({ rows: 1, bytes: 100 })]);
  expect(await lake().status()).toMatchObject({ rows: { events: 13 }, files: 2, retracted: 3 });
});

/** In the order in which a plan names files of one time. */
const byId = (keys: readonly string[]) => (a: string, b: string) => keys.indexOf(a) - keys.indexOf(b);

it("refuses a replacement with more rows, of another table, or that is not fresh", async () => {
  const file = dataFile({ rows: 3 });
  await append([file]);
  await expect(exchange(file, dataFile({ rows: 3 }))).rejects.toThrow("has 3 rows");
  await expect(exchange(file, dataFile({ table: "quarantine", rows: 1, key: file.key }))).rejects.toThrow(RangeError);
  expect(await exchange(file, null)).toBe("exchanged");
  expect(await lake().erasedObjects()).toEqual([file.key]);
  expect(await lake().wasErased([file.key, "else"])).toEqual([file.key]);
  await lake().erasedDeleted([file.key]);
  expect(await lake().erasedObjects()).toEqual([]);
  expect(await lake().status()).toMatchObject({ rows: { events: 0 }, files: 0, bytes: 0, retracted: 3 });
});

it("a day's cut is counted without the erased rows, so that its next version differs by what came", async () => {
  const day = dayOf(TODAY_US);
  const nowMs = TODAY_US / 1_000 + 2 * DAY_MS;
  const file = dataFile({ rows: 10 });
  await append([file]);
  await lake().requestCut({ day }, nowMs);
  await settle(nowMs);
  const id = await idOf(file.key);
  const erased = { ...EMPTY_DAY, events: { rows: -4, low: (-4 * 3) >>> 0, high: (-4 * 5) >>> 0 } };
  const tallies = [{ day, tally: erased }];
  await lake().exchange({ version: 1, id, key: file.key, replacement: dataFile({ rows: 6 }), tallies });
  expect((await lake().cut(day))!.tables.events.rows).toBe(6);
  await append([dataFile({ rows: 2 })]);
  await lake().requestCut({ day }, nowMs + DAY_MS);
  await settle(nowMs + DAY_MS);
  expect(await lake().cut(day)).toMatchObject({
    version: 2,
    diff: { rows: { before: 6, after: 8 } },
    tables: { events: { rows: 8 } },
  });
});

it("a staged file is exchanged under its job, and goes with it where no row is left", async () => {
  const [file, thin] = [dataFile({ rows: 5 }), dataFile({ rows: 2 })];
  await lake().stage("job", 1, [file]);
  expect((await lake().erasableStaged("events", "")).map((staged) => staged.file.key)).toEqual([file.key]);
  expect(await lake().exchangeStaged(1, file.key, thin)).toBe("exchanged");
  expect(await lake().exchangeStaged(1, file.key, thin)).toBe("gone");
  expect(await lake().staged("job")).toMatchObject({ files: 1, rows: 2 });
  expect(await lake().exchangeStaged(1, thin.key, null)).toBe("exchanged");
  expect(await lake().staged("job")).toMatchObject({ files: 0 });
  expect(await lake().erasedObjects()).toEqual([file.key, thin.key].sort());
});

it("a filter of an earlier rule that names somebody in clear is let go, others stay", async () => {
  const old = dataFile({ minTime: TODAY_US - 9 * DAY_US });
  await append([old]);
  await lake().raise(1, { where: { user_id: ["mia"] } });
  await lake().raise(2, { from: TODAY_US });
  await lake().raise(3, { from: TODAY_US });
  expect(await lake().candidates({ belowRules: 3, afterId: 0 })).toHaveLength(1);
  expect(await lake().forgetFilters(3, ["mia", "nobody"])).toBe(1);
  expect(await lake().forgetFilters(3, ["mia"])).toBe(0);
  expect(await lake().candidates({ belowRules: 3, afterId: 0 })).toHaveLength(1);
});
