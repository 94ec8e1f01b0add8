import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { comparePositions, positionOf } from "../../durable-objects/user-timeline/event-order.ts";
import type { AnyRow } from "../../r2-layout/arrow-rows.ts";
import { buildDataFile } from "../../r2-layout/data-file.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { type RowPlace, userRows } from "../../r2-layout/lake-lookup.ts";
import { LAKE, MiB, PAST } from "../../r2-layout/limits.ts";
import { ParquetWriter } from "../../r2-layout/parquet-writer.ts";
import { tableColumns } from "../../r2-layout/promoted-columns.ts";
import { Promotion } from "../../r2-layout/promoted-values.ts";
import { eventRow, eventRowArbitrary, TODAY_US } from "./event-rows.ts";
import { parquetModule } from "./parquet-module.ts";
import { ONE_OF_EACH } from "./promoted.ts";

const writer = new ParquetWriter(parquetModule);
const compare = (a: RowPlace, b: RowPlace) => comparePositions(positionOf(b as EventRow), positionOf(a as EventRow));

async function lookedUp(bytes: Uint8Array, userId: string, limit = 1_000, bytesMax = MiB): Promise<EventRow[]> {
  const read = async (start: number, end: number) => bytes.slice(start, end).buffer as ArrayBuffer;
  const lookup = { userId, isWanted: () => true, compare, limit, bytesMax };
  const { rows } = await userRows({ bytes: bytes.length, read }, lookup);
  return [...rows];
}

/** As they come back: what is null is absent, halves of characters are U+FFFD, 0 has no sign. */
const plain = (row: AnyRow): unknown =>
  JSON.parse(
    JSON.stringify(row, (_, value) =>
      value === null ? undefined : typeof value === "string" ? value.toWellFormed() : value,
    ),
  );
const newestFirst = (rows: readonly EventRow[]) => rows.toSorted(compare).map(plain);

it("has every column of a user's rows as they were written, whatever is in them", async () => {
  const users = fc.constantFrom("ada", "", 'o\'hara/"x"', "\uFEFFada", "😀", "a\u0000b");
  await fc.assert(
    fc.asyncProperty(
      fc.array(eventRowArbitrary, { minLength: 1, maxLength: 40 }),
      fc.array(users),
      async (made, ids) => {
        const rows = made.map((row, i) => ({ ...row, event_id: `e${i}`, user_id: ids[i] ?? "ada" }));
        const { bytes } = await buildDataFile(writer, "events", rows);
        for (const user of new Set(rows.map(({ user_id }) => user_id))) {
          const found = await lookedUp(bytes, user);
          expect(found.map(plain)).toEqual(newestFirst(rows.filter(({ user_id }) => user_id === user)));
        }
      },
    ),
    { numRuns: 25 },
  );
});

it("finds rows in any page, maps that are null, empty, or go over several pages, and keys that JavaScript knows", async () => {
  const rows = Array.from({ length: 45_000 }, (_, i) => {
    const many = Object.fromEntries(
      Array.from({ length: i % 9 }, (_, at) => [`key-${at}`, `value ${i} of ${at}`.repeat(3)]),
    );
    const properties = i % 11 === 0 ? null : i % 11 === 1 ? JSON.parse('{"__proto__":"x","constructor":"y"}') : many;
    return eventRow(i, {
      event_name: ["page", "view", "buy"][i % 3]!,
      user_id: i % 1_500 === 7 ? "ada" : `user-${i % 1_000}`,
      flags: i % 4 === 0 ? ["late", "bot"] : i % 4 === 1 ? [] : null,
      properties,
    });
  });
  const { bytes } = await buildDataFile(writer, "events", rows);
  const ofAda = rows.filter(({ user_id }) => user_id === "ada");
  expect((await lookedUp(bytes, "ada")).map(plain)).toEqual(newestFirst(ofAda));
  expect((await lookedUp(bytes, "ada", 3)).map(plain)).toEqual(newestFirst(ofAda).slice(0, 3));
  expect((await lookedUp(bytes, "ada", 1_000, 1)).map(plain)).toEqual(newestFirst(ofAda).slice(0, 1));
  expect(await lookedUp(bytes, "nobody")).toEqual([]);
}, 30_000);

it("tells an event as a timeline does, without promoted columns: their values stand in its properties", async () => {
  const properties = { plan: "pro", seats: "5", score: "0.5", trial: "true", renews_at: "1969-07-20T20:17:40Z" };
  const row = eventRow(2, { properties });
  const columns = tableColumns("events", ONE_OF_EACH);
  const whole = new Promotion(ONE_OF_EACH).whole(row);
  expect(whole).toHaveProperty("renews_at");
  const { bytes } = await buildDataFile(writer, "events", [whole], undefined, columns);
  expect((await lookedUp(bytes, row.user_id!)).map(plain)).toEqual([plain(row)]);
});

describe("promise 10", () => {
  let bytes: Uint8Array;

  beforeAll(async () => {
    const rows = Array.from({ length: LAKE.rowGroupRows / 2 }, (_, i) =>
      eventRow(i, {
        event_name: ["page", "view", "buy", "cart"][i % 4]!,
        user_id: i % 20_000 < 4 ? "eve" : i % 2 ? "ada" : `user-${i % 7}`,
        event_time: TODAY_US + i * 800,
        page_url: `https://example.com/p/${(i * 7_919) % 5_000}`,
        properties: {
          price: String((i * 7_919) % 100_000),
          sku: `SKU-${((i * 104_729) % 99_991).toString(36).repeat(3)}`,
          category: `category ${i % 13}`,
          query: `some words of a query ${i % 1_000}`,
        },
      }),
    );
    ({ bytes } = await buildDataFile(writer, "events", rows));
  }, 60_000);

  it.each([
    ["of twelve rows", "eve", 12],
    ["of half of them", "ada", 501],
  ])(
    "a user %s among 50,000 in a row group is read in 40 MB of heap, so many files at once as are read",
    async (_, userId, count) => {
      const worker = new Worker(fileURLToPath(new URL("./lookup-worker.ts", import.meta.url).href), {
        workerData: { bytes, userId, limit: 501, times: PAST.filesAtOnce },
        resourceLimits: { maxOldGenerationSizeMb: 40, maxYoungGenerationSizeMb: 8 },
      });
      const found = await new Promise<EventRow[]>((resolve, reject) =>
        worker.on("message", resolve).on("error", reject),
      );
      expect(found).toHaveLength(count);
    },
  );
});
