import { scheduler } from "node:timers/promises";
import { afterAll, expect, it, vi } from "vitest";
import type { PlannedFile } from "../../../../durable-objects/lake-catalog/api.ts";
import { SQL } from "../../../../r2-layout/limits.ts";
import { FooterCache } from "../../../../workers/query/prefetch/footer-cache.ts";
import { cachedFooters } from "../../../../workers/query/prefetch/footer-store.ts";
import { LakeReader } from "../../../../workers/query/prefetch/lake-reader.ts";
import { RangeCache } from "../../../../workers/query/prefetch/range-cache.ts";
import type { ScanFilter } from "../../../../workers/query/prefetch/ranges.ts";
import { StatementFailed } from "../../../../workers/query/problem.ts";
import { lakeFile } from "../rig.ts";
import { FIRST_DAY_US, shopRows } from "../shop-rows.ts";

vi.stubGlobal("scheduler", scheduler);
afterAll(() => vi.unstubAllGlobals());

const ALL: ScanFilter = { columns: null, from: undefined, to: undefined, eventNames: undefined };

/** One file, and a reader over a bucket that has it. */
async function reading(filter: Partial<ScanFilter>, more: { days?: number; capacity?: number; known?: boolean } = {}) {
  const { days = 1, capacity, known = true } = more;
  const { bytes, facts } = await lakeFile("events", [...shopRows({ seed: 1, rows: 9_000, firstDay: 0, days })]);
  const file: PlannedFile = { id: 1, key: "lake/a", bytes: bytes.length, rows: facts.rows, minTime: 0, maxTime: 0 };
  const source = {
    get: async (_key: string, { range }: { range: { offset: number; length: number } }) => ({
      arrayBuffer: async () => bytes.slice(range.offset, range.offset + range.length).buffer as ArrayBuffer,
    }),
  };
  const stored = new Map<string, Response>();
  const store = cachedFooters({
    match: async (key) => stored.get(key)?.clone(),
    put: async (key, response) => void stored.set(key, response),
  });
  const cache = new RangeCache();
  const reader = (check = () => {}) =>
    new LakeReader({
      source,
      cache,
      footerCache: new FooterCache(1_000_000),
      footerStore: store,
      tables: [
        {
          files: [{ ...file, ...(known && { footerBytes: facts.chunks!.footer }) }],
          timeColumn: "event_time",
          filter: { ...ALL, ...filter },
        },
      ],
      ...(capacity !== undefined && { capacity: () => capacity }),
      check,
    });
  return { bytes, facts, reader, cache };
}

async function readAll(reader: LakeReader, name: string): Promise<Uint8Array> {
  const size = reader.size(name)!;
  const whole = new Uint8Array(size);
  for (let at = 0; at < size; at += 5_000) whole.set(await reader.read(name, at, Math.min(5_000, size - at)), at);
  return whole;
}

it("reads the footer, then exactly the columns, in two waves; nothing once more", async () => {
  const { facts, reader } = await reading({ columns: new Set(["country", "event_time"]) });
  const lake = reader();
  const needed = facts.chunks!.columns.country! + facts.chunks!.columns.event_time!;
  expect(await lake.plan()).toBe(needed);
  await lake.prefetch();
  expect(lake.counts).toMatchObject({ waves: 2, bytesRead: needed + facts.chunks!.footer, fallbackReads: 0 });
  expect(lake.foretold()).toEqual({ bytes: lake.counts.bytesRead, requests: lake.counts.requests });
});

it("takes a footer from the store without a read, however little was told of it", async () => {
  for (const known of [true, false]) {
    const { reader } = await reading({ columns: new Set() }, { known });
    await reader().plan();
    const second = reader();
    await second.plan();
    expect(second.counts).toMatchObject({ waves: 0, requests: 0 });
  }
});

it("shows a file as it is, also in little memory, and reads what nobody foresaw", async () => {
  const { bytes, reader } = await reading({ columns: new Set(["country"]) }, { capacity: 1 });
  const lake = reader();
  await lake.plan();
  await lake.prefetch();
  const [name] = [...lake.names()];
  expect(await readAll(lake, name!)).toEqual(bytes);
  expect(lake.counts.fallbackReads).toBeGreaterThan(0);
});

it("shows only row groups that may matter, under another name, each where it was", async () => {
  const day = FIRST_DAY_US + 3 * 86_400_000_000;
  const { bytes, reader } = await reading({ from: day, to: day + 3_600_000_000 }, { days: 8 });
  const lake = reader();
  await lake.plan();
  expect(lake.rowGroups).toEqual({ planned: 8, kept: 1 });
  const [name] = [...lake.names()];
  expect(name).toBe("lake/a~3");
  const shown = await readAll(lake, name!);
  const [only] = lake.shownOf(0);
  expect(shown.subarray(0, only!.endAt)).toEqual(bytes.subarray(0, only!.endAt));
  expect(shown.length).toBeLessThan(bytes.length);
  const none = (await reading({ from: 0, to: 1 }, { days: 8 })).reader();
  await none.plan();
  expect([...none.names()]).toEqual([]);
});

it("ends where the statement has to", async () => {
  const { reader } = await reading({});
  const failure = new StatementFailed({ reason: "statement_cancelled" });
  const lake = reader(() => {
    throw failure;
  });
  await expect(lake.plan()).rejects.toBe(failure);
});

it("holds SQL.heldFooterBytes of footers and no more: the end of another file is read again", async () => {
  const real = SQL.heldFooterBytes;
  // Those of a thousand files, within what may be prefetched.
  expect(real).toBeGreaterThan(1_000 * 5_000);
  expect(real).toBeLessThan(SQL.prefetchBytes / 2);
  try {
    for (const beyond of [0, 1]) {
      const { bytes, facts, reader, cache } = await reading({ columns: new Set(["country"]) });
      const { footer } = facts.chunks!;
      Object.assign(SQL, { heldFooterBytes: footer - beyond });
      const lake = reader();
      await lake.plan();
      cache.shrinkTo(0);
      const { requests } = lake.counts;
      const [name] = [...lake.names()];
      expect(await lake.read(name!, bytes.length - footer, footer)).toEqual(bytes.subarray(-footer));
      expect(lake.counts.requests > requests).toBe(beyond > 0);
    }
  } finally {
    Object.assign(SQL, { heldFooterBytes: real });
  }
});
