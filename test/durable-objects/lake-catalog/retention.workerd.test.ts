import { reset, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import type { RetentionSettings } from "../../../durable-objects/lake-catalog/retention-api.ts";
import { DAY_MS, LAKE, MINUTE_MS, RETENTION } from "../../../r2-layout/limits.ts";
import { DAY_US } from "../../../r2-layout/time.ts";
import { bindings } from "../../bindings.ts";
import { SETTINGS as CUTS, mark, settle } from "./cut-rig.ts";
import { dataFile, TODAY_US } from "./data-files.ts";

afterEach(() => reset());

const NOW_MS = TODAY_US / 1_000;
const SETTINGS: RetentionSettings = { keptMs: 730 * DAY_MS, byName: {}, cutsKeptMs: null };
const lake = () => bindings.LAKE_CATALOG.getByName("lake");
const events = async (cut?: string) =>
  (await lake().plan({ table: "events", ...(cut !== undefined && { cut }) })).files.map(({ key }) => key).sort();

/** A file received so many days ago. */
const received = (daysAgo: number, part: Parameters<typeof dataFile>[0] = {}) => {
  const maxReceivedAt = TODAY_US - daysAgo * DAY_US;
  return dataFile({ minReceivedAt: maxReceivedAt - 1_000, maxReceivedAt, ...part });
};

async function append(...add: ReturnType<typeof dataFile>[]): Promise<void> {
  const { token, cursor } = (await lake().lease(0, "test", 60_000))!;
  const applied = {
    events: add.reduce((sum, { table, rows }) => sum + (table === "events" ? rows : 0), 0),
    quarantined: 0,
  };
  const answer = await lake().append({ shard: 0, token, from: cursor, to: cursor + 1, applied, add });
  expect(answer.kind).toBe("committed");
}

/** applied + rebuilt - retracted - expired = rows. */
async function expectConserved(): Promise<void> {
  const { rows, cursors, rebuilt = 0, retracted = 0, expired = 0 } = await lake().status();
  expect(rows.events).toBe(cursors[0]!.applied.events + rebuilt - retracted - expired);
}

/** As if so much time had passed since everything. */
async function age(ms: number): Promise<void> {
  await runInDurableObject(lake(), (_, { storage }) => {
    storage.sql.exec("UPDATE data_file SET removed_at = removed_at - ?", ms);
    storage.sql.exec("UPDATE snapshot SET committed_at = committed_at - ?", ms);
  });
}

it("promise 3: drops exactly the files in which the time of everything is over, and counts them", async () => {
  const names = ["page", "heartbeat", "order"];
  const byName = { heartbeat: 30 * DAY_MS, order: 3_650 * DAY_MS };
  const kept = (name: string) => (name === "heartbeat" ? 30 : name === "order" ? 3_650 : 730);
  const spec = fc.record({
    daysAgo: fc.constantFrom(0, 29, 31, 500, 729, 731, 3_000, 3_649, 3_651),
    rows: fc.integer({ min: 1, max: 50 }),
    holds: fc.oneof(
      fc.constantFrom(...names).map((partition) => ({ partition, eventNames: [partition] })),
      fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 }).map((eventNames) => ({ eventNames })),
      fc.constant({ eventNames: null }),
      fc.constant({ eventNames: null, table: "quarantine" as const }),
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(spec, { minLength: 1, maxLength: 15 }), async (specs) => {
      await reset();
      const due: string[] = [];
      const stays: string[] = [];
      for (const { daysAgo, rows, holds } of specs) {
        const file = received(daysAgo, { rows, ...holds });
        await append(file);
        const days =
          "table" in holds ? 730 : Math.max(...(holds.eventNames ?? [...names, "any"]).map((name) => kept(name)));
        (daysAgo > days ? due : stays).push(file.key);
      }
      const answer = await lake().expire({ ...SETTINGS, byName }, NOW_MS);
      expect(answer).toMatchObject({ files: due.length, more: false });
      const parked = (await lake().plan({ table: "quarantine" })).files.map(({ key }) => key);
      expect([...(await events()), ...parked].sort()).toEqual(stays.sort());
      await expectConserved();
      expect(await lake().expire({ ...SETTINGS, byName }, NOW_MS)).toMatchObject({ snapshot: null, files: 0 });
      expect((await lake().snapshots(1))[0]!.operation).toBe(due.length > 0 ? "expire" : "append");
    }),
    { numRuns: 15 },
  );
});

it("goes by receipt: an import of old history stays, and an old file stays readable where a snapshot reaches it", async () => {
  const imported = received(1, { minTime: TODAY_US - 2_000 * DAY_US });
  const old = received(800);
  await append(imported, old);
  const { snapshot } = await lake().status();
  await lake().expire(SETTINGS, NOW_MS);
  expect(await events()).toEqual([imported.key]);
  expect((await lake().plan({ table: "events", asOf: snapshot })).files).toHaveLength(2);
  expect(await lake().unnamed([old.key])).toEqual([]);
  await age(LAKE.snapshotReachMs + MINUTE_MS);
  await lake().forget();
  expect(await lake().unnamed([old.key])).toEqual([old.key]);
});

it("a commit drops a bounded number of files, and says that there is more", async () => {
  const many = Array.from({ length: RETENTION.filesPerCommit + 1 }, () => received(800));
  await append(...many);
  expect(await lake().expire(SETTINGS, NOW_MS)).toMatchObject({ files: RETENTION.filesPerCommit, more: true });
  await expectConserved();
  expect(await lake().expire(SETTINGS, NOW_MS)).toMatchObject({ files: 1, more: false });
  expect(await events()).toEqual([]);
});

it("cuts end with the rows of the lake: they leave those that name them, also what only cuts have, and each cut says so", async () => {
  const [old, corrected, young] = [received(800), received(800), received(10, { rows: 3 })];
  await append(old, corrected, young);
  await lake().requestCut({ name: "first" }, NOW_MS);
  const gone = (await lake().plan({ table: "events" })).files.find(({ key }) => key === corrected.key)!;
  await lake().replace({ remove: [gone.id], add: [], operation: "delete" });
  await age(LAKE.snapshotReachMs + MINUTE_MS);
  await lake().forget();
  expect(await events("first")).toHaveLength(3);
  expect(await lake().expire(SETTINGS, NOW_MS)).toMatchObject({ files: 1, cutFiles: 1, cuts: 0 });
  expect(await events("first")).toEqual([young.key]);
  expect(await lake().cut("first")).toMatchObject({ expiredRows: 20 });
  await age(LAKE.snapshotReachMs + MINUTE_MS);
  await lake().forget();
  expect((await lake().unnamed([old.key, corrected.key])).sort()).toEqual([old.key, corrected.key].sort());
  // And the cut itself goes when it is as old as the oldest rows may be.
  await lake().expire(SETTINGS, NOW_MS + 731 * DAY_MS);
  expect(await lake().cuts(10)).toEqual([]);
});

it("cuts with a time of their own keep what they name until it is over", async () => {
  const old = received(800);
  await append(old);
  await lake().requestCut({ name: "first" }, NOW_MS);
  const settings = { ...SETTINGS, cutsKeptMs: 1_000 * DAY_MS };
  expect(await lake().expire(settings, NOW_MS)).toMatchObject({ files: 1 });
  await age(LAKE.snapshotReachMs + MINUTE_MS);
  await lake().forget();
  expect(await events()).toEqual([]);
  expect(await events("first")).toEqual([old.key]);
  expect(await lake().cut("first")).toMatchObject({ expiredRows: 0 });
  await expectConserved();
  expect(await lake().expire(settings, NOW_MS + 1_001 * DAY_MS)).toMatchObject({ cuts: 1 });
  await lake().forget();
  expect(await lake().unnamed([old.key])).toEqual([old.key]);
});

it("a compaction planned on files that expired is refused, a correction looks again, and neither brings them back", async () => {
  await append(received(800), received(800), received(1));
  const files = (await lake().plan({ table: "events" })).files;
  await lake().raise(1);
  await lake().stage("fix", 0, [], { remove: [files[0]!.id], keep: [files[1]!.id, files[2]!.id] });
  expect(await lake().expire(SETTINGS, NOW_MS)).toMatchObject({ files: 2 });
  const swap = { remove: [], keep: [], rules: 1, operation: "correct" } as const;
  expect(await lake().swap("fix", swap)).toMatchObject({ kind: "conflict", missing: [files[0]!.id] });
  await lake().stage("fix", 0, [], { keep: [files[2]!.id] });
  expect((await lake().swap("fix", swap)).kind).toBe("committed");
  const remove = files.map(({ id }) => id);
  const add = [dataFile({ kind: "compact", rows: 30 })];
  expect((await lake().replace({ remove, add, operation: "compact", rules: 1 })).kind).toBe("conflict");
  expect(await events()).toEqual([files[2]!.key]);
  await expectConserved();
});

it("leaves what a job may still put back until the job is confirmed", async () => {
  await append(received(800));
  const [file] = (await lake().plan({ table: "events" })).files;
  await lake().raise(1);
  const made = received(800);
  await lake().stage("fix", 0, [made], { remove: [file!.id] });
  await lake().swap("fix", { remove: [], keep: [], rules: 1, operation: "correct" });
  expect(await lake().expire(SETTINGS, NOW_MS)).toMatchObject({ files: 0 });
  await lake().confirm("fix");
  expect(await lake().expire(SETTINGS, NOW_MS)).toMatchObject({ files: 1 });
  expect(await events()).toEqual([]);
  await expectConserved();
});

it.each([1_000 * DAY_MS, null])(
  "expiry is no change of a day: its cut gets no version for it (cuts kept %s)",
  async (cutsKeptMs) => {
    const retention = { ...SETTINGS, cutsKeptMs };
    const versions = async () => (await lake().cuts(50)).filter(({ name }) => name === "2026-11-22").length;
    const daily = async (nowMs: number) => (await settle(nowMs)).filter((each) => each.includes("2026-11-22"));
    await append(received(800), received(1));
    await lake().requestCut({ day: "2026-11-22" }, NOW_MS + 2 * DAY_MS);
    await settle(NOW_MS + 2 * DAY_MS);
    expect(await lake().expire(retention, NOW_MS)).toMatchObject({ files: 1 });
    expect(await daily(NOW_MS + 4 * DAY_MS)).toEqual([]);
    // What came late is one, and that it has expired again is none.
    await append(received(1));
    expect(await daily(NOW_MS + 6 * DAY_MS)).toContain("compare 2026-11-22.v2");
    await append(received(800));
    await lake().expire(retention, NOW_MS);
    expect(await daily(NOW_MS + 8 * DAY_MS)).toEqual([]);
    expect(await versions()).toBe(2);
  },
);

const DAY = "2026-11-22";

it("a version whose predecessor's time is over while it is counted is published, and keeps no other cut waiting", async () => {
  await append(received(1));
  await lake().requestCut({ day: DAY }, NOW_MS + 2 * DAY_MS);
  await settle(NOW_MS + 2 * DAY_MS);
  await append(received(1));
  const now = NOW_MS + 4 * DAY_MS;
  await settle(now, undefined, `tally ${DAY}.v2`);
  expect(await lake().expire({ ...SETTINGS, cutsKeptMs: 2 * DAY_MS }, now)).toMatchObject({ cuts: 1 });
  expect(await settle(now)).toContain(`compare ${DAY}.v2`);
  expect(await lake().cut(DAY)).toMatchObject({ version: 2, diff: null, phase: "done" });
});

it("what a cut keeps beyond its rows' time is not counted again for its next version", async () => {
  await append(received(800), received(1));
  await lake().requestCut({ day: DAY }, NOW_MS + 2 * DAY_MS);
  await settle(NOW_MS + 2 * DAY_MS);
  await append(received(1, { rows: 7 }));
  const now = NOW_MS + 4 * DAY_MS;
  await settle(now, undefined, `freeze ${DAY}.v2`);
  await lake().freezeCut(DAY, 2, [mark()], CUTS, now);
  expect(await lake().expire({ ...SETTINGS, cutsKeptMs: 1_000 * DAY_MS }, NOW_MS)).toMatchObject({ files: 1 });
  await settle(now);
  expect(await lake().cut(DAY)).toMatchObject({ version: 2, diff: { rows: { before: 20, after: 27 } } });
});
