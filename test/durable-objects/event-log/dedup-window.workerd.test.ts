import { reset, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { DedupWindow, dedupWindowMs, planMerge } from "../../../durable-objects/event-log/dedup-window.ts";
import { IdRuns } from "../../../durable-objects/event-log/id-runs.ts";
import { toWords } from "../../../durable-objects/event-log/packed-ids.ts";
import { DAY_MS, HOUR_MS, LOG } from "../../../r2-layout/limits.ts";
import { bindings } from "../../bindings.ts";
import { reaching } from "../../reaching.ts";
import { hex, packedIds, pickIds } from "./random-ids.ts";

afterEach(() => reset());

/** Runs in an object's own SQLite; each in another, because a test may leave tables behind. */
let objects = 0;
const withStorage = <T>(run: (storage: DurableObjectStorage) => T): Promise<T> =>
  runInDurableObject(bindings.SINK_CURSOR.getByName(`storage:${objects++}`), (_object, { storage }) => run(storage));

/** All upkeep that is due, as the alarm does it. */
function settle(storage: DurableObjectStorage, window: DedupWindow, now: number): string[] {
  const done: string[] = [];
  for (let work = window.due(now); work; work = window.due(now)) {
    const next = work;
    storage.transactionSync(() => window.maintain(next));
    done.push(work.kind);
    if (done.length > 10_000) throw new Error("upkeep does not end");
  }
  return done;
}

const allOwned = (window: DedupWindow, ids: Uint8Array) => window.owned(ids).every((byte) => byte === 1);
const noneOwned = (window: DedupWindow, ids: Uint8Array) => window.owned(ids).every((byte) => byte === 0);

describe("the dedup window", () => {
  it("promise 2: owns exactly what was inserted, through flushes, merges and lost memory at any time", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("insert" as const), ids: fc.integer({ min: 1, max: 60 }) }),
      fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(HOUR_MS / 2, HOUR_MS, 2 * HOUR_MS, DAY_MS) }),
      fc.record({ kind: fc.constant("upkeep" as const), steps: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ kind: fc.constant("evict" as const) }),
    );
    await reaching(() =>
      withStorage((storage) => {
        let merges = 0;
        let space = 0;
        fc.assert(
          fc.property(fc.array(step, { minLength: 40, maxLength: 120 }), (steps) => {
            storage.sql.exec(
              "DROP TABLE IF EXISTS runs; DROP TABLE IF EXISTS run_ids; DROP TABLE IF EXISTS run_filters",
            );
            storage.sql.exec("DROP TABLE IF EXISTS recent");
            space++;
            let window = new DedupWindow(storage.sql);
            let now = 20_000 * DAY_MS;
            const insertedAt: number[] = [];
            for (const next of steps) {
              if (next.kind === "insert") {
                const from = insertedAt.length;
                storage.transactionSync(() => window.insert(packedIds(from, from + next.ids, `${space}`), now, ""));
                for (let i = 0; i < next.ids; i++) insertedAt.push(now);
              } else if (next.kind === "pass") now += next.ms;
              else if (next.kind === "evict") window = new DedupWindow(storage.sql);
              else {
                for (let i = 0; i < next.steps; i++) {
                  const work = window.due(now);
                  if (!work) break;
                  if (work.kind === "merge_step") merges++;
                  storage.transactionSync(() => window.maintain(work));
                }
              }
              const owned = window.owned(packedIds(0, insertedAt.length, `${space}`));
              insertedAt.forEach((at, i) => {
                if (at > now - LOG.dedupWindowMs && owned[i] === 0) expect.fail(`id ${i} is forgotten`);
              });
              expect(noneOwned(window, packedIds(0, 50, `${space} absent`))).toBe(true);
            }
          }),
          { numRuns: 15 },
        );
        return { "a merge": merges > 0 };
      }),
    );
  });

  it("lets go of an id once it has left the window, at most a day late, and its rows with it", async () => {
    await withStorage((storage) => {
      const window = new DedupWindow(storage.sql);
      const start = 20_000 * DAY_MS + 3 * HOUR_MS;
      for (let hour = 0; hour < 24; hour++) {
        storage.transactionSync(() =>
          window.insert(packedIds(hour * 100, (hour + 1) * 100), start + hour * HOUR_MS, ""),
        );
        settle(storage, window, start + hour * HOUR_MS);
      }
      settle(storage, window, start + 2 * DAY_MS);
      settle(storage, window, start + LOG.dedupWindowMs - 1);
      expect(allOwned(window, packedIds(0, 2_400))).toBe(true);
      settle(storage, window, start + LOG.dedupWindowMs + 2 * DAY_MS);
      expect(noneOwned(window, packedIds(0, 2_400))).toBe(true);
      expect(window.size.ids).toBe(0);
      for (const table of ["runs", "run_ids", "run_filters", "recent"]) {
        expect([table, storage.sql.exec(`SELECT count(*) AS rows FROM ${table}`).one().rows]).toEqual([table, 0]);
      }
    });
  });

  it("turns commits into a run of the hour, and the hours of a day into one run", async () => {
    await withStorage((storage) => {
      const window = new DedupWindow(storage.sql);
      const start = 20_000 * DAY_MS;
      const done: string[] = [];
      for (let minute = 0; minute < 24 * 60; minute += 30) {
        const now = start + minute * 60_000;
        storage.transactionSync(() => window.insert(packedIds(minute, minute + 30), now, ""));
        done.push(...settle(storage, window, now));
      }
      done.push(...settle(storage, window, start + DAY_MS + 3 * HOUR_MS));
      expect(done.filter((kind) => kind === "flush").length).toBeGreaterThan(10);
      expect(storage.sql.exec("SELECT count(*) AS runs FROM runs").one().runs).toBe(1);
      expect(allOwned(new DedupWindow(storage.sql), packedIds(0, 24 * 60))).toBe(true);
    });
  });
});

describe("runs of ids", () => {
  it("answer the same with filters in memory and with filters read row by row", async () => {
    await withStorage((storage) => {
      const held = new IdRuns(storage.sql, 64 * 1_024 * 1_024);
      const stored = new IdRuns(storage.sql, 0);
      const count = 30_000;
      storage.transactionSync(() => {
        held.add(toWords(packedIds(0, count)), 0, 1);
        held.add(toWords(packedIds(count, 2 * count)), 2, 3);
      });
      // Every third id absent, in no order.
      const asked = toWords(pickIds(Array.from({ length: 20_000 }, (_, i) => (i * 7_919) % (3 * count))));
      const [fromMemory, fromRows] = [new Uint8Array(20_000), new Uint8Array(20_000)];
      held.mark(asked, fromMemory);
      stored.mark(asked, fromRows);
      expect(held.bytes).toBeGreaterThan(0);
      expect(stored.bytes).toBe(0);
      expect(fromRows).toEqual(fromMemory);
      fromMemory.forEach((owned, i) => {
        if (owned !== ((i * 7_919) % (3 * count) < 2 * count ? 1 : 0)) expect.fail(`id ${i} is ${owned}`);
      });
    });
  });

  it("keep every id while they merge slice by slice, and lose none to an eviction between two slices", async () => {
    await withStorage((storage) => {
      let runs = new IdRuns(storage.sql, 1_024 * 1_024);
      storage.transactionSync(() => {
        for (let i = 0; i < 5; i++) runs.add(toWords(packedIds(i * 6_000, (i + 1) * 6_000)), i, i + 1);
        runs.startMerge(runs.runs());
      });
      const all = toWords(packedIds(0, 30_000));
      const some = toWords(packedIds(0, 30_000).filter((_, i) => Math.floor(i / 16) % 10 === 0));
      const holdsSome = () => {
        const owned = new Uint8Array(some.length / 4);
        runs.mark(some, owned);
        return owned.every((byte) => byte === 1);
      };
      let slices = 0;
      for (; runs.merging; slices++) {
        storage.transactionSync(() => runs.mergeStep(2_500));
        runs = new IdRuns(storage.sql, 1_024 * 1_024);
        expect(holdsSome()).toBe(true);
      }
      expect(slices).toBe(12);
      while (runs.dropping) storage.transactionSync(() => runs.dropStep());
      const owned = new Uint8Array(30_000);
      runs.mark(all, owned);
      expect(owned.every((byte) => byte === 1)).toBe(true);
      expect(runs.runs()).toMatchObject([{ fromAt: 0, toAt: 5, ids: 30_000 }]);
      const absent = new Uint8Array(30_000);
      runs.mark(toWords(packedIds(30_000, 60_000)), absent);
      expect(absent.every((byte) => byte === 0)).toBe(true);
    });
  });

  it("have rows of at most the bounded number of ids", async () => {
    await withStorage((storage) => {
      const runs = new IdRuns(storage.sql, 0);
      storage.transactionSync(() => runs.add(toWords(packedIds(0, 10_000)), 0, 1));
      const rows = storage.sql.exec<{ bytes: number }>("SELECT length(ids) AS bytes FROM run_ids").toArray();
      expect(rows.map(({ bytes }) => bytes / 16)).toEqual([LOG.idsPerRow, LOG.idsPerRow, 10_000 - 2 * LOG.idsPerRow]);
    });
  });
});

describe("the length of the window", () => {
  it.each([
    ["7", 7],
    ["30", 30],
    [undefined, 7],
  ])("may be %s days", (text, days) => {
    expect(dedupWindowMs(text === undefined ? {} : { DEDUP_WINDOW_DAYS: text })).toBe(days * DAY_MS);
  });

  it.each(["6", "31", "7.5", "", "seven", "Infinity"])("may not be %j", (text) => {
    expect(() => dedupWindowMs({ DEDUP_WINDOW_DAYS: text })).toThrow(RangeError);
  });

  it("is what an id is owned for: thirty days and a day at most, where thirty are asked for", async () => {
    await withStorage((storage) => {
      const window = new DedupWindow(storage.sql, 30 * DAY_MS);
      const start = 20_000 * DAY_MS;
      storage.transactionSync(() => window.insert(packedIds(0, 500), start, ""));
      for (let day = 0; day < 30; day++) settle(storage, window, start + day * DAY_MS);
      settle(storage, window, start + 30 * DAY_MS - 1);
      expect(allOwned(window, packedIds(0, 500))).toBe(true);
      settle(storage, window, start + 31 * DAY_MS);
      expect(noneOwned(window, packedIds(0, 500))).toBe(true);
    });
  });
});

describe("what merges", () => {
  const run = (nr: number, fromAt: number) => ({ run: nr, fromAt, toAt: fromAt + 1, ids: 1 });
  const day = 20_000 * DAY_MS;

  it.each([
    ["nothing while an hour runs", [run(1, day), run(2, day + 1)], day + HOUR_MS, null],
    [
      "the runs of an hour that is over",
      [run(1, day), run(2, day + 1), run(3, day + HOUR_MS)],
      day + 3 * HOUR_MS,
      [1, 2],
    ],
    ["the runs of a day that is over", [run(1, day), run(2, day + 5 * HOUR_MS)], day + 26 * HOUR_MS, [1, 2]],
    ["nothing of a day with one run", [run(1, day), run(2, day + DAY_MS)], day + 9 * DAY_MS, null],
    [
      "an hour with many runs before it ends",
      Array.from({ length: 16 }, (_, i) => run(i, day + i)),
      day + 20,
      Array.from({ length: 16 }, (_, i) => i),
    ],
  ])("%s", (_name, runs, now, merged) => {
    expect(planMerge(runs, now)?.map(({ run: nr }) => nr) ?? null).toEqual(merged);
  });
});

describe("what the audit asks", () => {
  it("promise 2: the ids of each day, every one of them, in pages and in order, wherever they are kept", async () => {
    await withStorage((storage) => {
      const window = new DedupWindow(storage.sql);
      const start = 20_000 * DAY_MS;
      const perHour = 700;
      let now = start;
      for (let hour = 0; hour < 40; hour++) {
        now = start + hour * HOUR_MS;
        storage.transactionSync(() => window.insert(packedIds(hour * perHour, (hour + 1) * perHour), now, ""));
        if (hour < 39) settle(storage, window, now);
      }
      for (const day of [0, 1]) {
        const listed = new Set<string>();
        let last = "";
        let after: Uint8Array | null = null;
        do {
          const page: { ids: Uint8Array; next: Uint8Array | null } = window.idsOf(start + day * DAY_MS, after);
          for (let at = 0; at < page.ids.byteLength; at += 16) {
            const id = hex(page.ids.subarray(at, at + 16));
            expect(id > last).toBe(true);
            listed.add(id);
            last = id;
          }
          after = page.next;
        } while (after);
        const own = packedIds(day * 24 * perHour, Math.min(40, (day + 1) * 24) * perHour);
        for (let at = 0; at < own.byteLength; at += 16) {
          if (!listed.has(hex(own.subarray(at, at + 16)))) expect.fail(`an id of day ${day} is missing`);
        }
        // An hour of the other day at most: runs are not cut at midnight.
        expect(listed.size - own.byteLength / 16).toBeLessThanOrEqual(2 * perHour);
      }
      const some = packedIds(0, 10);
      const middle = window.idsOf(start, null).ids.slice(16 * 5, 16 * 6);
      expect(hex(window.idsOf(start, middle).ids.subarray(0, 16)) > hex(middle)).toBe(true);
      expect(window.idsOf(start - 5 * DAY_MS, null).ids.byteLength).toBe(0);
      const at = window.ownedAt(
        new Uint8Array([...some, ...packedIds(39 * perHour, 39 * perHour + 2), ...packedIds(9e6, 9e6 + 1)]),
      );
      expect([...at.subarray(0, 10)].every((ms) => ms >= start && ms < start + HOUR_MS)).toBe(true);
      expect([...at.subarray(10)]).toEqual([now, now, 0]);
    });
  });

  it("goes through the pages of a large day without an end that never comes, or an id twice", async () => {
    await withStorage((storage) => {
      const window = new DedupWindow(storage.sql);
      const start = 20_000 * DAY_MS;
      const count = 2 * LOG.idsPerAudit + 1_000;
      for (let from = 0; from < count; from += 10_000) {
        storage.transactionSync(() => window.insert(packedIds(from, Math.min(count, from + 10_000)), start + from, ""));
      }
      let pages = 0;
      let listed = 0;
      for (let after: Uint8Array | null | undefined; after !== null; pages++) {
        const page: { ids: Uint8Array; next: Uint8Array | null } = window.idsOf(start, after ?? null);
        expect(page.ids.byteLength / 16).toBeLessThan(1.2 * LOG.idsPerAudit);
        listed += page.ids.byteLength / 16;
        after = page.next;
        if (pages > 10) expect.fail("no end");
      }
      expect([pages, listed]).toEqual([3, count]);
    });
  });
});
