import { reset, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { DedupWindow, planMerge } from "../../../durable-objects/event-log/dedup-window.ts";
import { IdRuns } from "../../../durable-objects/event-log/id-runs.ts";
import { toWords } from "../../../durable-objects/event-log/packed-ids.ts";
import { DAY_MS, HOUR_MS, LOG } from "../../../r2-layout/limits.ts";
import { bindings } from "../../bindings.ts";
import { packedIds, pickIds } from "./random-ids.ts";

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
    await withStorage((storage) => {
      let merges = 0;
      let space = 0;
      fc.assert(
        fc.property(fc.array(step, { minLength: 40, maxLength: 120 }), (steps) => {
          storage.sql.exec("DROP TABLE IF EXISTS runs; DROP TABLE IF EXISTS run_ids; DROP TABLE IF EXISTS run_filters");
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
      expect(merges).toBeGreaterThan(0);
    });
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
