import { abortAllDurableObjects, reset, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import { EMPTY_DAY } from "../../../r2-layout/day-tally.ts";
import { CUT, DAY_MS, HOUR_MS, LAKE, MINUTE_MS } from "../../../r2-layout/limits.ts";
import { DAY_US } from "../../../r2-layout/time.ts";
import { keyOf, lake, mark, SETTINGS, settle } from "./cut-rig.ts";
import { dataFile, TODAY_US } from "./data-files.ts";

afterEach(() => reset());

const DAY = "2026-11-22";
const MIDNIGHT_MS = TODAY_US / 1_000 + DAY_MS;
const failure = (call: Promise<unknown>): Promise<string> => call.then(() => "did not fail", String);

/** Appends files to a shard, one seq each time. */
async function append(files: Parameters<typeof dataFile>[0][], shard = 0, rules = 0): Promise<number> {
  const { token, cursor } = (await lake().lease(shard, "test", 60_000))!;
  const answer = await lake().append({
    shard,
    token,
    from: cursor,
    to: cursor + 1,
    applied: { events: 0, quarantined: 0 },
    add: files.map(dataFile),
    rules,
  });
  if (answer.kind !== "committed") throw new Error(answer.kind);
  return answer.snapshot;
}

/** As if so much time had passed since everything. */
async function age(ms: number): Promise<void> {
  await runInDurableObject(lake(), (_, { storage }) => {
    storage.sql.exec("UPDATE data_file SET removed_at = removed_at - ?", ms);
    storage.sql.exec("UPDATE snapshot SET committed_at = committed_at - ?", ms);
  });
}

it("promise 5: a cut has the rows that it was frozen with for ever, in whatever files compaction leaves them", async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("append" as const), of: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("compact" as const), of: fc.nat(100) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), of: fc.nat(100) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("cut" as const), of: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("forget" as const), of: fc.nat() }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 25 }), async (steps) => {
      await reset();
      /** The rows of each file, by key. */
      const rows = new Map<string, number[]>();
      const expected = new Map<string, number[]>();
      let next = 0;
      const liveFiles = async () => (await lake().plan({ table: "events" })).files;
      const rowsOf = (keys: readonly string[]) => keys.flatMap((key) => rows.get(key)!).sort((a, b) => a - b);
      for (const { kind, of } of steps) {
        const live = await liveFiles();
        if (kind === "append") {
          const files = Array.from({ length: of }, () => dataFile());
          for (const { key } of files) rows.set(key, [next++]);
          await append(files);
        } else if (kind === "compact" || kind === "delete") {
          const some = live.filter((_, i) => (of >> (i % 7)) % 2 === 1);
          if (some.length === 0) continue;
          const made = dataFile({ kind: "compact", rows: some.reduce((sum, file) => sum + file.rows, 0) });
          rows.set(made.key, rowsOf(some.map(({ key }) => key)));
          const remove = some.map(({ id }) => id);
          const add = kind === "compact" ? [made] : [];
          expect((await lake().replace({ remove, add, operation: kind })).kind).toBe("committed");
        } else if (kind === "cut") {
          const name = `cut-${expected.size}`;
          expected.set(name, rowsOf(live.map(({ key }) => key)));
          expect(await lake().requestCut({ name }, 0)).toMatchObject({ state: "complete" });
        } else {
          await age(LAKE.snapshotReachMs + MINUTE_MS);
          await lake().forget();
        }
        for (const [name, then] of expected) {
          const { files, next } = await lake().cutFiles(name);
          expect(next).toBeNull();
          expect(rowsOf(files.map(({ key }) => key))).toEqual(then);
          const planned = (await lake().plan({ table: "events", cut: name })).files;
          expect(rowsOf(planned.map(({ key }) => key))).toEqual(then);
          const keys = files.map(({ key }) => key);
          expect(await lake().unnamed(keys)).toEqual([]);
        }
      }
    }),
    {
      numRuns: 12,
      examples: [
        [
          [
            { kind: "append", of: 3 },
            { kind: "cut", of: 0 },
            { kind: "append", of: 1 },
            { kind: "compact", of: 3 },
            { kind: "cut", of: 0 },
            { kind: "compact", of: 127 },
            { kind: "forget", of: 0 },
            { kind: "delete", of: 127 },
            { kind: "forget", of: 0 },
          ],
        ],
      ],
    },
  );
}, 60_000);

it("keeps of a compaction's inputs only what is in a cut without the others", async () => {
  await append([{}, {}]);
  await lake().requestCut({ name: "first" }, 0);
  await append([{}]);
  await lake().requestCut({ name: "second" }, 0);
  const all = (await lake().plan({ table: "events" })).files;
  await lake().replace({
    remove: all.map(({ id }) => id),
    add: [dataFile({ kind: "compact", rows: 30 })],
    operation: "compact",
  });
  await age(LAKE.snapshotReachMs + MINUTE_MS);
  expect(await lake().forget()).toBe(1);
  expect((await lake().cutFiles("first")).files.map(({ rows }) => rows)).toEqual([10, 10]);
  expect((await lake().cutFiles("second")).files.map(({ rows }) => rows)).toEqual([30]);
});

it("a file that a revert put back is in the cuts before and after, and not in one between", async () => {
  await append([{}, {}]);
  const [file, other] = (await lake().plan({ table: "events" })).files;
  await lake().requestCut({ name: "before" }, 0);
  await lake().raise(1, {});
  await lake().stage("job", 0, [dataFile({ rules: 1 })], { remove: [file!.id], keep: [other!.id] });
  await lake().swap("job", { remove: [], keep: [], rules: 1, operation: "correct" });
  await lake().requestCut({ name: "between" }, 0);
  const ids = async (name: string) => (await lake().cutFiles(name)).files.map(({ id }) => id);
  const between = await ids("between");
  expect(await ids("before")).toEqual([file!.id, other!.id]);
  expect(between).toHaveLength(2);
  expect(between).not.toContain(file!.id);
  await runInDurableObject(lake(), (_, { storage }) => void storage.sql.exec("UPDATE data_file SET rules = 1"));
  expect((await lake().revert("job")).kind).toBe("committed");
  // Both were there before and after; of the two together there was not always both.
  const made = await lake().replace({
    remove: [file!.id, other!.id],
    add: [dataFile({ kind: "compact", rows: 20 })],
    operation: "compact",
    rules: 1,
  });
  expect(made.kind).toBe("committed");
  await lake().requestCut({ name: "after" }, 0);
  expect((await lake().cutFiles("after")).files).toMatchObject([{ rows: 20 }]);
  expect(await ids("before")).toEqual([file!.id, other!.id]);
  expect(await ids("between")).toEqual(between);
});

it("a day is due half an hour after its midnight, and no sooner, and once", async () => {
  await append([{}]);
  await age(Date.now() - TODAY_US / 1_000 - HOUR_MS);
  expect(await lake().cutWork(SETTINGS, MIDNIGHT_MS + CUT.delayMs - 1)).toBeNull();
  const work = await lake().cutWork(SETTINGS, MIDNIGHT_MS + CUT.delayMs);
  expect(work).toMatchObject({ kind: "mark", cut: { name: DAY, version: 1, through: TODAY_US + DAY_US } });
  expect(await lake().cutWork(SETTINGS, MIDNIGHT_MS + HOUR_MS)).toEqual(work);
  expect(await lake().cuts(10)).toEqual([]);
  expect(await failure(lake().plan({ table: "events", cut: DAY }))).toMatch(/no cut 2026-11-22/);
});

it("promise 3: waits until every cursor has passed the head that its log had after midnight, not a later one", async () => {
  await append([{}]);
  await append([{}], 1);
  const now = MIDNIGHT_MS + CUT.delayMs;
  await lake().requestCut({ day: DAY }, now);
  await runInDurableObject(
    lake(),
    (_, { storage }) => void storage.sql.exec("UPDATE cut SET record = json_remove(record, '$.now')"),
  );
  // Shard 2 has nothing, shard 1 one segment more than the lake has.
  const marks = [mark({ head: 1 }), mark({ shard: 1, head: 2 }), mark({ shard: 2 })];
  await lake().markCut(DAY, 1, marks, now);
  await lake().markCut(
    DAY,
    1,
    marks.map((each) => ({ ...each, head: each.head + 100 })),
    now + 1,
  );
  const freeze = (at: number) => lake().freezeCut(DAY, 1, marks, SETTINGS, at);
  expect(await freeze(now)).toEqual({ kind: "waiting", missing: [{ what: "in_flight", shard: 1, count: 1 }] });
  expect(await lake().cutWork(SETTINGS, now + 1)).toBeNull();
  await append([{}], 1);
  expect(await freeze(now + CUT.retryMs)).toEqual({ kind: "frozen", cut: `${DAY}.v1` });
  const [cut] = await lake().cuts(10);
  expect(cut).toMatchObject({ name: DAY, version: 1, state: "complete", missing: [], seq: 3, cursors: { 0: 1, 1: 2 } });
  // Its answer lost, it is asked for again.
  await append([{}]);
  await abortAllDurableObjects();
  expect(await freeze(now + HOUR_MS)).toEqual({ kind: "frozen", cut: `${DAY}.v1` });
  expect(await lake().cut(DAY)).toMatchObject({ seq: 3 });
});

it("publishes a day as partial once it has waited, says what is missing, and makes it whole in a next version", async () => {
  await append([{}]);
  const now = MIDNIGHT_MS + CUT.delayMs;
  await age(Date.now() - TODAY_US / 1_000 - HOUR_MS);
  await lake().cutWork(SETTINGS, now);
  await lake().markCut(DAY, 1, [mark({ head: 1 })], now);
  const owed = [mark({ head: 1, gaps: 3 })];
  expect((await lake().freezeCut(DAY, 1, owed, SETTINGS, MIDNIGHT_MS + CUT.waitMs - 1)).kind).toBe("waiting");
  expect((await lake().freezeCut(DAY, 1, owed, SETTINGS, MIDNIGHT_MS + CUT.waitMs)).kind).toBe("frozen");
  expect(await lake().cut(DAY)).toMatchObject({ state: "partial", missing: [{ what: "gap", shard: 0, count: 3 }] });
  const published = MIDNIGHT_MS + CUT.waitMs;
  await settle(published);
  const later = published + 2 * CUT.checkEveryMs;
  const work = await lake().cutWork(SETTINGS, later);
  expect(work).toMatchObject({ kind: "mark", cut: { name: DAY, version: 2 } });
  await lake().markCut(DAY, 2, [mark({ head: 1 })], later);
  // Still owed: no version.
  expect(await lake().freezeCut(DAY, 2, owed, SETTINGS, later + CUT.waitMs)).toEqual({ kind: "dropped" });
  expect(await lake().cuts(10)).toHaveLength(1);
  const whole = later + 2 * CUT.waitMs;
  expect(await settle(whole)).toEqual([`mark ${DAY}.v2`, `freeze ${DAY}.v2`, `compare ${DAY}.v2`]);
  expect(await lake().cut(DAY)).toMatchObject({ version: 2, state: "complete", missing: [] });
  expect(await lake().cut(`${DAY}.v1`)).toMatchObject({ version: 1, state: "partial" });
});

it("freezes a day that is not over as partial, and makes it whole when it is", async () => {
  await append([{}]);
  await age(Date.now() - TODAY_US / 1_000 - HOUR_MS);
  const noon = TODAY_US / 1_000 + 12 * HOUR_MS;
  await lake().requestCut({ day: DAY }, noon);
  await settle(noon);
  expect(await lake().cut(DAY)).toMatchObject({ state: "partial", missing: [{ what: "day_not_over", count: 1 }] });
  await append([{ rows: 7 }]);
  // Nothing of it before the day is due.
  expect((await settle(MIDNIGHT_MS)).filter((each) => each.includes(DAY))).toEqual([]);
  await settle(MIDNIGHT_MS + CUT.delayMs);
  expect(await lake().cut(DAY)).toMatchObject({
    version: 2,
    state: "complete",
    missing: [],
    diff: { rows: { before: 10, after: 17 } },
  });
});

it("promise 8: late data makes a next version with its difference, not sooner than versions may come, and leaves the first alone", async () => {
  await append([{}, {}]);
  const now = MIDNIGHT_MS + CUT.delayMs;
  await age(Date.now() - TODAY_US / 1_000 - HOUR_MS);
  expect(await settle(now)).toEqual([
    `mark ${DAY}.v1`,
    `freeze ${DAY}.v1`,
    `compact ${DAY}.v1`,
    `tally ${DAY}.v1`,
    `tally ${DAY}.v1`,
    `compare ${DAY}.v1`,
  ]);
  await append([{ rows: 5 }]);
  expect(await settle(now + CUT.versionEveryMs - MINUTE_MS)).toEqual([]);
  const later = now + CUT.versionEveryMs + CUT.checkEveryMs;
  const done = (await settle(later)).filter((each) => each.includes(DAY));
  expect(done.slice(0, 3)).toEqual([`mark ${DAY}.v2`, `freeze ${DAY}.v2`, `tally ${DAY}.v2`]);
  expect(await lake().cut(DAY)).toMatchObject({
    version: 2,
    diff: { against: `${DAY}.v1`, rows: { before: 20, after: 25 }, keys_changed: true },
  });
  const planned = async (cut: string) => (await lake().plan({ table: "events", cut })).files.map(({ rows }) => rows);
  expect(await planned(`${DAY}.v1`)).toEqual([10, 10]);
  expect(await planned(DAY)).toEqual([10, 10, 5]);
  // Nothing came since: the next day's cut, and no third version.
  expect((await settle(later + CUT.versionEveryMs)).filter((each) => each.includes(DAY))).toEqual([]);
});

it("makes no version of a day whose files changed and whose rows did not", async () => {
  await append([{}]);
  const now = MIDNIGHT_MS + CUT.delayMs;
  await age(Date.now() - TODAY_US / 1_000 - HOUR_MS);
  await settle(now);
  // A file of several days that only seems to have rows of this one.
  await append([{ minTime: TODAY_US - DAY_US, maxTime: TODAY_US + 2 * DAY_US, rows: 7 }]);
  const later = now + 2 * CUT.versionEveryMs;
  const done = await settle(later, (rows) => (rows === 7 ? 0 : rows));
  expect(done).toContain(`tally ${DAY}.v2`);
  expect(done).not.toContain(`compare ${DAY}.v2`);
  expect((await lake().cuts(10)).filter(({ name }) => name === DAY)).toHaveLength(1);
  // And it is not counted again.
  expect(await settle(later + 2 * CUT.checkOldEveryMs)).not.toContain(`tally ${DAY}.v2`);
});

it("of two tallies side by side each step counts once", async () => {
  await append([{}, {}]);
  await lake().requestCut({ day: DAY }, MIDNIGHT_MS);
  const now = MIDNIGHT_MS + HOUR_MS;
  let work = await lake().cutWork(SETTINGS, now);
  while (work?.kind !== "tally") {
    if (work?.kind === "mark") await lake().markCut(DAY, 1, [mark()], now);
    if (work?.kind === "freeze") await lake().freezeCut(DAY, 1, [mark()], SETTINGS, now);
    if (work?.kind === "compact") await lake().cutCompacted(DAY, 1, keyOf(work.work), "nothing", now);
    work = await lake().cutWork(SETTINGS, now);
  }
  const tally = { ...EMPTY_DAY, events: { rows: 10, low: 1, high: 1 } };
  expect(await lake().tallied(DAY, 1, 0, tally, now)).toBe(true);
  expect(await lake().tallied(DAY, 1, 0, tally, now)).toBe(false);
  expect(await lake().cutWork(SETTINGS, now)).toMatchObject({ kind: "tally", step: { number: 1, tally } });
});

it("keeps a day's other compactions waiting while its cut's is to come, and not for ever", async () => {
  await append(Array.from({ length: LAKE.compactAboveFiles + 1 }, () => ({})));
  expect(await lake().compactionWork()).toMatchObject({ day: DAY });
  await lake().requestCut({ day: DAY }, Date.now());
  await lake().markCut(DAY, 1, [mark()], Date.now());
  await lake().freezeCut(DAY, 1, [mark()], SETTINGS, Date.now());
  expect(await lake().compactionWork()).toBeNull();
  await runInDurableObject(lake(), (_, { storage }) => {
    storage.sql.exec("UPDATE cut SET record = json_set(record, '$.frozenAt', ?)", Date.now() - CUT.holdMs);
  });
  expect(await lake().compactionWork()).toMatchObject({ day: DAY });
});

it("has its own files merged, of its day and of several days, and none that came after it", async () => {
  const mixed = { minTime: TODAY_US - 3 * DAY_US };
  await append([{}, {}, mixed, { ...mixed, maxTime: TODAY_US + 1 }]);
  const inCut = (await lake().plan({ table: "events" })).files.map(({ id }) => id);
  const now = MIDNIGHT_MS + CUT.delayMs;
  await lake().requestCut({ day: DAY }, now);
  await lake().markCut(DAY, 1, [mark()], now);
  await lake().freezeCut(DAY, 1, [mark()], SETTINGS, now);
  await append([{}, {}, { ...mixed, maxTime: TODAY_US + 1 }]);
  const asked: number[] = [];
  for (let work = await lake().cutWork(SETTINGS, now); work?.kind === "compact"; ) {
    asked.push(...work.work.files.map(({ id }) => id));
    await lake().cutCompacted(DAY, 1, keyOf(work.work), "nothing", now);
    work = await lake().cutWork(SETTINGS, now);
  }
  expect(asked.length).toBeGreaterThanOrEqual(3);
  expect(asked.filter((id) => !inCut.includes(id))).toEqual([]);
});

it("names a snapshot once, reads it by its name, and lists newest names first, page by page", async () => {
  await append([{}]);
  for (const name of ["b", "a", "c"])
    expect(await lake().requestCut({ name }, 5)).toMatchObject({ name, through: null });
  expect(await lake().requestCut({ name: "a" }, 6)).toBeNull();
  expect((await lake().cuts(2)).map(({ name }) => name)).toEqual(["c", "b"]);
  expect((await lake().cuts(2, "b.v1")).map(({ name }) => name)).toEqual(["a"]);
  expect(await lake().plan({ table: "events", cut: "a.v1" })).toMatchObject({ cut: { name: "a.v1", through: null } });
  expect(await failure(lake().plan({ table: "events", cut: "a.v2" }))).toMatch(/no cut/);
});

it("finds the snapshot in force at any time that is kept, and tells the reach for every other", async () => {
  const at = (ms: number) =>
    lake()
      .plan({ table: "events", asOfTime: ms })
      .then(({ snapshot }) => snapshot);
  expect(await at(0)).toBe(0);
  for (let i = 0; i < 12; i++) await append([{}]);
  const base = Date.now() - DAY_MS;
  await runInDurableObject(lake(), (_, { storage }) => {
    // Two snapshots share each second minute.
    storage.sql.exec("UPDATE snapshot SET committed_at = ? + (seq / 2) * ?", base, MINUTE_MS);
  });
  for (let minute = 0; minute < 8; minute++) {
    expect(await at(base + minute * MINUTE_MS)).toBe(Math.min(12, 2 * minute + 1));
    expect(await at(base + minute * MINUTE_MS - 1)).toBe(minute === 0 ? 0 : Math.min(12, 2 * minute - 1));
  }
  expect(await failure(at(Date.now() + HOUR_MS))).toMatch(/not kept; snapshots reach from 1 .* to 12/);
  await runInDurableObject(lake(), (_, { storage }) => {
    storage.sql.exec("UPDATE snapshot SET committed_at = committed_at - ? WHERE seq <= 6", LAKE.snapshotReachMs);
  });
  await lake().forget();
  // The one in force a week ago is kept, and reaches back to its own time.
  expect(await at(base + 3 * MINUTE_MS - LAKE.snapshotReachMs)).toBe(6);
  expect(await failure(at(base))).toBe("did not fail");
  expect(await failure(at(base - LAKE.snapshotReachMs))).toMatch(/not kept; snapshots reach from 6 .* to 12 .*cuts/);
  expect((await lake().snapshots(3)).map(({ seq }) => seq)).toEqual([12, 11, 10]);
  expect((await lake().snapshots(30, 8)).map(({ seq }) => seq)).toEqual([7, 6]);
});

it("promise 9: catches up on CUT.catchUpDays days after an outage, and on none before", async () => {
  await append([{}]);
  await age(Date.now() - TODAY_US / 1_000 - HOUR_MS);
  await settle(MIDNIGHT_MS + CUT.delayMs);
  const outage = CUT.catchUpDays + 5;
  const later = MIDNIGHT_MS + CUT.delayMs + outage * DAY_MS;
  const days = (await settle(later)).filter((each) => each.startsWith("mark")).map((each) => each.slice(5, 15));
  const expected = Array.from({ length: CUT.catchUpDays }, (_, back) =>
    new Date(later - (back + 1) * DAY_MS).toISOString().slice(0, 10),
  );
  expect(days.filter((day) => day !== DAY)).toEqual(expected.reverse());
});

it("promise 9: lists CUT.missing of what is missing, and CUT.differences of what differs", async () => {
  await append([{}]);
  const now = MIDNIGHT_MS + CUT.waitMs;
  const owed = Array.from({ length: CUT.missing + 1 }, (_, shard) => mark({ shard, gaps: 1 }));
  await lake().requestCut({ day: DAY }, now);
  await lake().markCut(DAY, 1, owed, now);
  await lake().freezeCut(DAY, 1, owed, SETTINGS, now);
  expect((await lake().cut(DAY))!.missing).toHaveLength(CUT.missing);
  await settle(now);
  await append([{}]);
  await lake().requestCut({ day: DAY }, now + 1);
  for (let work = await lake().cutWork(SETTINGS, now + 1); work?.cut.version === 2; ) {
    if (work.kind === "mark") await lake().markCut(DAY, 2, [], now);
    if (work.kind === "freeze") await lake().freezeCut(DAY, 2, [], SETTINGS, now);
    if (work.kind === "tally") {
      const names = Array.from({ length: CUT.differences + 1 }, (_, i) => ({
        value: `${i}`,
        rows: 1,
        low: i,
        high: i,
      }));
      await lake().tallied(DAY, 2, work.step.number, { ...work.step.tally, event_name: names }, now);
    }
    if (work.kind === "compact") break;
    work = await lake().cutWork(SETTINGS, now + 1);
  }
  expect((await lake().cut(DAY))!.diff!.event_name).toHaveLength(CUT.differences);
});

it("gives out a cut's files in pages of CUT.filesPerPage, each once", async () => {
  const many = CUT.filesPerPage + 1;
  for (let left = many; left > 0; left -= 200) await append(Array.from({ length: Math.min(200, left) }, () => ({})));
  await lake().requestCut({ name: "all" }, 0);
  const first = await lake().cutFiles("all");
  expect(first.files).toHaveLength(CUT.filesPerPage);
  const second = await lake().cutFiles("all", first.next!);
  expect(second.next).toBeNull();
  expect(new Set([...first.files, ...second.files].map(({ id }) => id)).size).toBe(many);
});
