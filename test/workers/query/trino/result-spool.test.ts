import { beforeEach, expect, it, vi } from "vitest";
import { TRINO } from "../../../../r2-layout/limits.ts";
import { trinoError } from "../../../../workers/query/trino/errors.ts";
import { ResultSpool } from "../../../../workers/query/trino/result-spool.ts";

const question = { sql: "SELECT 1", format: "arrow", explain: false } as const;
const bytes = (text: string) => new TextEncoder().encode(text);

let stored: Map<string, unknown>;
let alarm: number | null;
let now: number;
let spool: ResultSpool;
const newSpool = () =>
  new ResultSpool(
    {
      kv: {
        get: <T>(key: string) => stored.get(key) as T | undefined,
        put: (key, value) => void stored.set(key, structuredClone(value)),
        delete: (key) => stored.delete(key),
      },
      deleteAll: async () => stored.clear(),
      setAlarm: async (atMs) => {
        alarm = atMs;
      },
    },
    () => now,
  );

beforeEach(async () => {
  stored = new Map();
  alarm = null;
  now = 1_000_000;
  spool = newSpool();
  await spool.begin({ question, token: "mine", sight: null, describe: false });
});

const pageOf = async (number: number) => {
  const answer = await spool.poll(number, "mine", 0);
  return answer && { ...answer, page: answer.page && new TextDecoder().decode(answer.page) };
};

it("gives pages in order, the last without a next", async () => {
  spool.columns([]);
  spool.page(bytes("[1]"), 1);
  spool.page(bytes("[2]"), 1);
  spool.end();
  expect(await pageOf(0)).toMatchObject({ page: "[1]", next: 1, state: "finished" });
  expect(await pageOf(1)).toMatchObject({ page: "[2]", next: null, rows: 2 });
});

it("gives a page twice, and forgets it once the one after the next is asked for", async () => {
  for (const row of ["[1]", "[2]", "[3]"]) spool.page(bytes(row), 1);
  spool.end();
  await pageOf(0);
  await pageOf(1);
  expect(await pageOf(1)).toMatchObject({ page: "[2]" });
  expect(await pageOf(0)).toMatchObject({ state: "failed", error: { message: "This page was already read" } });
  await pageOf(2);
  expect([...stored.keys()].filter((key) => key.startsWith("page-"))).toEqual(["page-2"]);
});

it("is nobody else's", async () => {
  spool.page(bytes("[1]"), 1);
  expect(await spool.poll(0, "another", 0)).toBeNull();
  expect(await newSpool().poll(0, "mine", 0)).not.toBeNull();
});

it("lets a poll wait until there is a page", async () => {
  const waiting = spool.poll(0, "mine", 60_000);
  spool.columns([]);
  spool.page(bytes("[1]"), 1);
  expect(await waiting).toMatchObject({ state: "running", next: 1 });
});

it("lets a poll wait no longer than it is told, and names the same page again", async () => {
  vi.useFakeTimers();
  try {
    const waiting = spool.poll(0, "mine", 500);
    now += 500;
    await vi.advanceTimersByTimeAsync(500);
    expect(await waiting).toMatchObject({ state: "running", next: 0 });
  } finally {
    vi.useRealTimers();
  }
});

it("ends a result without rows, or with an error, at once", async () => {
  spool.columns([]);
  spool.end();
  expect(await pageOf(0)).toMatchObject({ state: "finished", columns: [], next: null });
  spool.end(trinoError("EXCEEDED_SCAN_LIMIT", "too much"));
  expect(await pageOf(0)).toMatchObject({ state: "failed", next: null, error: { errorName: "EXCEEDED_SCAN_LIMIT" } });
});

it("repeats a run that is gone only while nobody has seen a page", async () => {
  spool.page(bytes("[1]"), 1);
  expect(newSpool().mayRepeat()).toBe(true);
  expect([...stored.keys()]).toEqual(["statement"]);
  spool.page(bytes("[1]"), 1);
  await pageOf(0);
  expect(newSpool().mayRepeat()).toBe(false);
  expect(await pageOf(1)).toMatchObject({ state: "failed", error: { errorName: "SERVER_SHUTTING_DOWN" } });
});

it("is let go some time after the last that was asked, sooner once all was given", async () => {
  expect(alarm).toBe(now + TRINO.idleMs);
  now += 1_000;
  spool.page(bytes("[1]"), 1);
  await pageOf(0);
  expect(alarm).toBe(now + TRINO.idleMs);
  spool.end();
  await pageOf(0);
  expect(alarm).toBe(now + TRINO.endedMs);
});

it("keeps nothing of what comes after a cancel", async () => {
  await spool.forget();
  spool.columns([]);
  spool.page(bytes("[1]"), 1);
  spool.end();
  expect(stored.size).toBe(0);
});
