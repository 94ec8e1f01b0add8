import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RollupParts, RollupQuery } from "../../../durable-objects/minute-rollup/api.ts";
import { mergeParts } from "../../../durable-objects/minute-rollup/merge.ts";
import { parseRollupQuery, readRollups } from "../../../durable-objects/minute-rollup/read.ts";
import { addUser, emptySketch, encodeSketch } from "../../../durable-objects/minute-rollup/user-sketch.ts";
import { HOUR_MS, MINUTE_MS, ROLLUP } from "../../../r2-layout/limits.ts";

const NOW = Date.UTC(2026, 10, 22, 5, 30, 20, 500);
const MINUTE = Date.UTC(2026, 10, 22, 5, 29);
const FINAL = MINUTE + MINUTE_MS + ROLLUP.finalAfterMs;

const params = (text: string) => new URLSearchParams(text);

function sketch(...users: string[]): Uint8Array {
  const counted = emptySketch();
  for (const user of users) addUser(counted, user);
  return encodeSketch(counted);
}

/** Shards that answer from memory, and note what they were asked. */
function shardsOf(...answers: RollupParts[]) {
  const asked: { name: string; query: RollupQuery }[] = [];
  return {
    asked,
    getByName: (name: string) => ({
      async query(query: RollupQuery): Promise<RollupParts> {
        asked.push({ name, query });
        const answer = answers[asked.length > answers.length ? 0 : Number(name.slice(-3))]!;
        return { ...answer, parts: answer.parts.filter(({ start }) => start >= query.from && start < query.to) };
      },
    }),
  };
}

describe("GET /v1/rollups", () => {
  it("asks for events of the last hour by minute where nothing is said", () => {
    const parsed = parseRollupQuery(params(""), NOW);
    expect(parsed).toEqual({
      ok: true,
      value: { metric: "events", grain: "minute", from: Date.UTC(2026, 10, 22, 4, 30), to: NOW },
    });
  });

  it.each([
    "from=2026-11-22T05:00:00Z&to=2026-11-22T05:10:00Z",
    "from=1795323600&to=1795324200",
    "from=1795323600000&to=1795324200000",
  ])("reads times as ISO 8601 and as epoch numbers: %s", (text) => {
    const parsed = parseRollupQuery(params(`${text}&by=country&metric=revenue`), NOW);
    expect(parsed).toEqual({
      ok: true,
      value: {
        metric: "revenue",
        grain: "minute",
        from: Date.UTC(2026, 10, 22, 5),
        to: Date.UTC(2026, 10, 22, 5, 10),
        by: "country",
      },
    });
  });

  it.each([
    ["metric=clicks", "metric"],
    ["grain=week", "grain"],
    ["by=user_id", "by"],
    ["metric=users&by=country", "by"],
    ["from=yesterday", "from"],
    ["to=", null],
    ["from=2026-11-22T06:00:00Z", "from"],
    ["from=2026-11-01T00:00:00Z", "from"],
    ["grain=hour&from=2000-01-01T00:00:00Z", "from"],
    ["grain=day&from=2000-01-01T00:00:00Z", null],
  ])("checks %s and names the parameter %s", (text, parameter) => {
    const parsed = parseRollupQuery(params(text), NOW);
    if (parameter === null) expect(parsed.ok).toBe(true);
    else expect(parsed).toMatchObject({ ok: false, error: { reason: "bad_parameter", parameter } });
  });

  it("adds up the shards, and is final only when all of them are", async () => {
    const part = (events: number, version: number, approximate = false) => ({
      start: MINUTE,
      version,
      approximate,
      values: [{ key: "page", events }],
    });
    const quiet = { completeUntil: FINAL - 1, parts: [], cut: false };
    const two = [
      { completeUntil: FINAL, parts: [part(3, 1)], cut: false },
      { completeUntil: FINAL, parts: [part(4, 2, true)], cut: false },
    ];
    const from = `by=event_name&from=${MINUTE}`;
    const point = {
      start: "2026-11-22T05:29:00.000Z",
      key: { event_name: "page" },
      value: 7,
      version: 2,
      corrected: true,
      approximate: true,
    };
    expect(await readRollups(shardsOf(...two), 2, params(from), NOW)).toEqual({
      ok: true,
      value: { points: [{ ...point, state: "final" }], watermark: new Date(FINAL).toISOString() },
    });
    const shards = shardsOf(...two, quiet);
    expect(await readRollups(shards, 3, params(from), NOW)).toEqual({
      ok: true,
      value: { points: [{ ...point, state: "provisional" }], watermark: new Date(FINAL - 1).toISOString() },
    });
    expect(shards.asked.map(({ name }) => name)).toEqual(["core:000", "core:001", "core:002"]);
  });

  it("counts a user of two shards once", async () => {
    const part = (...users: string[]) => ({
      completeUntil: FINAL,
      parts: [{ start: MINUTE, version: 1, approximate: false, values: [], sketch: sketch(...users) }],
      cut: false,
    });
    const answer = await readRollups(
      shardsOf(part("ann", "bob"), part("bob", "cleo")),
      2,
      params(`metric=users&from=${MINUTE}`),
      NOW,
    );
    expect(answer).toMatchObject({ ok: true, value: { points: [{ key: {}, value: 3, version: 1 }] } });
  });

  it("keeps currencies apart, in units", () => {
    const values = [
      { key: "page", currency: "USD", micro: 300_000n },
      { key: "page", currency: "EUR", micro: 12_990_000n },
    ];
    const parts = { completeUntil: 0, parts: [{ start: MINUTE, version: 1, approximate: false, values }], cut: false };
    expect(
      mergeParts({ grain: "minute", by: "event_name" }, [parts, parts]).map(({ key, value }) => [key, value]),
    ).toEqual([
      [{ currency: "EUR", event_name: "page" }, 25.98],
      [{ currency: "USD", event_name: "page" }, 0.6],
    ]);
  });

  it("asks for users of a long range in pieces that leave out nothing and repeat nothing", async () => {
    const start = NOW - (NOW % HOUR_MS) - 5_000 * HOUR_MS;
    const parts = Array.from({ length: 5_001 }, (_, i) => ({
      start: start + i * HOUR_MS,
      version: 1,
      approximate: false,
      values: [],
      sketch: sketch(`user-${i}`),
    }));
    const shards = shardsOf({ completeUntil: 0, parts, cut: false });
    const answer = await readRollups(shards, 1, params(`metric=users&grain=hour&from=${start}`), NOW);
    expect(shards.asked.length).toBeGreaterThan(1);
    expect(answer.ok && answer.value.points.map((point) => Date.parse(point.start))).toEqual(
      parts.map((part) => part.start),
    );
  });

  it("promise 9: refuses an answer of too many points with the limit, instead of cutting it", async () => {
    const answer = await readRollups(
      shardsOf({ completeUntil: 0, parts: [], cut: true }),
      1,
      params("by=page_path&grain=hour&from=2026-01-01T00:00:00Z"),
      NOW,
    );
    expect(answer).toMatchObject({ ok: false, error: { reason: "bad_parameter", parameter: "by" } });
  });

  it("says so when a shard cannot be asked", async () => {
    const broken = {
      getByName: () => ({ query: () => Promise.reject(new Error("injected")) }),
    };
    expect(await readRollups(broken, 1, params(""), NOW)).toMatchObject({
      ok: false,
      error: { reason: "upstream_unavailable" },
    });
  });

  it("promise 8: the version of several shards rises with every late change of any of them", () => {
    const version = (versions: readonly number[]) =>
      mergeParts(
        { grain: "minute" },
        versions.map((v) => ({
          completeUntil: FINAL,
          cut: false,
          parts: v === 0 ? [] : [{ start: MINUTE, version: v, approximate: false, values: [{ key: null, events: 1 }] }],
        })),
      )[0]!.version;
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
        fc.nat(3),
        (versions, at) => {
          const changed = versions.with(at % versions.length, versions[at % versions.length]! + 1);
          expect(version(changed)).toBe(version(versions) + 1);
          // A shard that had nothing, and first gets something when that was final, starts at 2.
          expect(version([...versions, 2])).toBe(version([...versions, 0]) + 1);
        },
      ),
    );
  });
});
