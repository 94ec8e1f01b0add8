import { env } from "cloudflare:workers";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { NewDataFile, ScanRequest } from "../../../durable-objects/lake-catalog/api.ts";
import type { LakeCatalog } from "../../../durable-objects/lake-catalog/lake-catalog.ts";
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { KiB } from "../../../r2-layout/limits.ts";
import { approachOf, columnRuns, REQUEST_BYTES, TAIL_BYTES } from "../../../r2-layout/scan-policy.ts";
import { DAY_US } from "../../../r2-layout/time.ts";
import { dataFile, TODAY_US } from "./data-files.ts";

const NAMES = Object.keys(EVENT_COLUMNS);

const fileArbitrary = fc
  .record({
    day: fc.integer({ min: 0, max: 9 }),
    days: fc.constantFrom(1, 1, 1, 3),
    footer: fc.integer({ min: 1_000, max: 60_000 }),
    rowGroups: fc.integer({ min: 1, max: 20 }),
    sizes: fc.array(fc.constantFrom(0, 60, 3_000, 15 * KiB, 17 * KiB, 200 * KiB), {
      minLength: NAMES.length,
      maxLength: NAMES.length,
    }),
    isTold: fc.constantFrom(true, true, true, false),
  })
  .map(({ day, days, footer, rowGroups, sizes, isTold }): NewDataFile => {
    const minTime = TODAY_US - day * DAY_US + 5;
    const columns = Object.fromEntries(NAMES.map((name, i) => [name, sizes[i]!]));
    const bytes = 4 + sizes.reduce((sum, size) => sum + size, 0) + footer;
    return dataFile({
      minTime,
      maxTime: minTime + (days - 1) * DAY_US + 1_000,
      bytes,
      ...(isTold && { chunks: { footer, rowGroups, columns } }),
    });
  });

/** What the policy says of one file. */
function costOf({ bytes, chunks }: NewDataFile, wanted: ReadonlySet<string> | null) {
  const all = wanted ?? new Set(NAMES);
  if (!chunks)
    return {
      chunkBytes: all.size > 0 ? bytes : 0,
      readBytes: all.size === 0 || bytes <= 128 * KiB ? bytes : bytes + TAIL_BYTES,
    };
  const sizes = Object.values(chunks.columns);
  const chunkBytes = sizes.reduce((sum, size, i) => sum + (all.has(NAMES[i]!) ? size : 0), 0);
  if (all.size === 0) return { chunkBytes, readBytes: chunks.footer, requests: 1 };
  const approach = approachOf(bytes, chunks);
  if (approach === "whole") return { chunkBytes, readBytes: bytes, requests: 1 };
  if (approach === "groups") return { chunkBytes, readBytes: bytes, requests: 2 + Math.floor(bytes / REQUEST_BYTES) };
  const runs = columnRuns(
    NAMES.map((name) => all.has(name)),
    sizes,
    chunks.rowGroups,
  );
  const read = runs.flatMap(([first, last]) => sizes.slice(first, last + 1)).reduce((sum, size) => sum + size, 0);
  const requests = 2 + chunks.rowGroups * runs.length + Math.floor(bytes / REQUEST_BYTES);
  return { chunkBytes, readBytes: chunks.footer + read, requests };
}

const UNBOUNDED: ScanRequest["atMost"] = { chunkBytes: Number.MAX_SAFE_INTEGER, files: 1e9, requests: 1e9 };

it("adds up in SQL what the policy says of each file, told of one by one or only counted", async () => {
  let lake = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fileArbitrary, { minLength: 1, maxLength: 12 }),
      fc.option(fc.subarray(NAMES)),
      async (files, columns) => {
        const catalog = await filled(`sums-${lake++}`, files);
        const wanted = columns && new Set(columns);
        const costs = files.map((file) => costOf(file, wanted));
        for (const filesMax of [1_000, 0]) {
          const { scan } = await catalog.plan({ table: "events", filesMax, scan: { columns, atMost: UNBOUNDED } });
          expect(scan).toMatchObject({
            files: files.length,
            fileBytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
            chunkBytes: costs.reduce((sum, { chunkBytes }) => sum + chunkBytes, 0),
            readBytes: costs.reduce((sum, { readBytes }) => sum + readBytes, 0),
            untold: files.filter(({ chunks }) => !chunks).length,
          });
          if (scan!.untold === 0) expect(scan!.requests).toBe(costs.reduce((sum, { requests }) => sum + requests!, 0));
          expect(scan!.fitsFrom).toBeUndefined();
        }
      },
    ),
    { numRuns: 15 },
  );
});

it("says from which day on a statement would fit, whether the files are told or only counted", async () => {
  let lake = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fileArbitrary, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 4_000_000 }),
      async (files, chunkBytes) => {
        const catalog = await filled(`fits-${lake++}`, files);
        const atMost = { ...UNBOUNDED, chunkBytes };
        for (const filesMax of [1_000, 0]) {
          const plan = (from?: number) =>
            catalog.plan({
              table: "events",
              filesMax,
              scan: { columns: null, atMost },
              ...(from !== undefined && { from }),
            });
          const whole = (await plan()).scan!;
          if (whole.chunkBytes <= chunkBytes) {
            expect(whole.fitsFrom).toBeUndefined();
            continue;
          }
          const newestDay = Math.max(...files.map(({ maxTime }) => Math.floor(maxTime / DAY_US) * DAY_US));
          const from = whole.fitsFrom ?? newestDay + DAY_US;
          expect((await plan(from)).scan!.chunkBytes).toBeLessThanOrEqual(chunkBytes);
          // A day with files more would be too much.
          const days = files.map(({ maxTime }) => Math.floor(maxTime / DAY_US) * DAY_US).filter((day) => day < from);
          if (days.length === 0) continue;
          expect((await plan(Math.max(...days))).scan!.chunkBytes).toBeGreaterThan(chunkBytes);
        }
      },
    ),
    { numRuns: 15 },
  );
});

it("counts a past snapshot's files, and which were left out by time and by name", async () => {
  const catalog = await filled("past", [
    dataFile({ chunks: { footer: 10, rowGroups: 1, columns: { event_id: 990 } } }),
    dataFile({ minTime: TODAY_US - DAY_US, eventNames: ["other"] }),
  ]);
  const asked = { table: "events", from: TODAY_US, scan: { columns: ["event_id"], atMost: UNBOUNDED } } as const;
  const { scan } = await catalog.plan(asked);
  expect(scan).toMatchObject({ files: 1, chunkBytes: 990, pruned: { byTime: 1, byName: 0, byBounds: 0 } });
  const named = await catalog.plan({ ...asked, from: 0, eventNames: ["page"] });
  expect(named.scan).toMatchObject({ files: 1, pruned: { byTime: 0, byName: 1, byBounds: 0 } });
  expect((await catalog.plan({ ...asked, asOf: 0 })).scan).toMatchObject({ files: 0, readBytes: 0 });
});

async function filled(name: string, add: readonly NewDataFile[]) {
  const catalogs = (env as unknown as { LAKE_CATALOG: DurableObjectNamespace<LakeCatalog> }).LAKE_CATALOG;
  const catalog = catalogs.getByName(name);
  const lease = (await catalog.lease(0, "test", 10_000))!;
  const applied = { events: 0, quarantined: 0 };
  const answer = await catalog.append({
    shard: 0,
    token: lease.token,
    from: lease.cursor,
    to: lease.cursor + 1,
    applied,
    add,
  });
  expect(answer.kind).toBe("committed");
  return catalog;
}
