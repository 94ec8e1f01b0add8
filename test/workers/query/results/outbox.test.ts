import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { SQL } from "../../../../r2-layout/limits.ts";
import { StatementFailed } from "../../../../workers/query/problem.ts";
import { type AnswerBody, Outbox } from "../../../../workers/query/results/outbox.ts";

let now = 0;
/** What happens while a writer waits. */
let meanwhile: () => void | Promise<void> = () => {};

beforeEach(() => {
  now = 1_000_000;
  meanwhile = () => {};
  vi.spyOn(Date, "now").mockImplementation(() => now);
  vi.stubGlobal("scheduler", {
    async wait(ms: number) {
      now += ms;
      await meanwhile();
    },
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const piece = (bytes: number) => new Uint8Array(bytes);
const open = (outbox: Outbox) => outbox.open((reason) => new TextEncoder().encode(reason) as Uint8Array<ArrayBuffer>);
const room = (body: AnswerBody, most: number, patienceMs: number = SQL.stallMs) =>
  body.room(
    most,
    () => {},
    () => patienceMs,
  );
const reasonOf = (work: Promise<void>) =>
  work.then(
    () => "room",
    (error: StatementFailed) => error.problem.reason,
  );

it("a writer has room at its bound, waits beyond it, and goes on when enough was read", async () => {
  const body = open(new Outbox());
  const reader = body.stream().getReader();
  body.add(piece(10));
  await room(body, 10);
  body.add(piece(1));
  let waits = 0;
  meanwhile = async () => {
    if (++waits === 3) await reader.read();
  };
  await room(body, 10);
  expect(waits).toBe(3);
  expect(body.bytes).toBe(1);
});

it("promise 9: a reader may take nothing for SQL.stallMs, and no longer", async () => {
  const body = open(new Outbox());
  body.add(piece(2));
  const since = now;
  expect(await reasonOf(room(body, 1))).toBe("reader_too_slow");
  const waited = now - since;
  expect(waited).toBeGreaterThan(SQL.stallMs);
  expect(waited).toBeLessThanOrEqual(SQL.stallMs + 200);
});

it("a slow reader that takes something in time is waited for", async () => {
  const body = open(new Outbox());
  const reader = body.stream().getReader();
  for (let i = 0; i < 5; i++) body.add(piece(1));
  const since = now;
  let taken = since;
  meanwhile = async () => {
    if (now - taken < SQL.stallMs - 200) return;
    taken = now;
    await reader.read();
  };
  expect(await reasonOf(room(body, 1))).toBe("room");
  expect(now - since).toBeGreaterThan(3 * (SQL.stallMs - 500));
});

it("a writer whose reader has gone is told so", async () => {
  const body = open(new Outbox());
  const stream = body.stream();
  body.add(piece(5));
  meanwhile = () => void stream.cancel();
  expect(await reasonOf(room(body, 1))).toBe("statement_cancelled");
});

it("what its owner finds wrong ends the wait", async () => {
  const body = open(new Outbox());
  body.add(piece(5));
  const check = () => {
    throw new StatementFailed({ reason: "statement_timeout", detail: "", limit_ms: 1 });
  };
  expect(await reasonOf(body.room(1, check, () => SQL.stallMs))).toBe("statement_timeout");
});

it.each(["read", "cancelled", "failed and read"])("counts nothing of an answer that was %s", async (how) => {
  const outbox = new Outbox();
  const body = open(outbox);
  const stream = body.stream();
  body.add(piece(600));
  body.add(piece(400));
  expect(outbox.bytes).toBe(1_000);
  if (how === "cancelled") await stream.cancel();
  if (how === "failed and read") body.fail("why");
  body.end();
  if (how !== "cancelled") {
    const text = await new Response(stream).text();
    expect(text.length).toBe(how === "read" ? 1_000 : 3);
  }
  expect(outbox.bytes).toBe(0);
});

it("an answer that ended before it was read is forgotten when another begins and nobody has read it for SQL.stallMs", async () => {
  const outbox = new Outbox();
  const stalled = open(outbox);
  stalled.add(piece(1_000));
  stalled.end();
  now += SQL.stallMs;
  open(outbox);
  expect(outbox.bytes).toBe(1_000);
  now++;
  open(outbox);
  expect(outbox.bytes).toBe("reader_too_slow".length);
  expect(await new Response(stalled.stream()).text()).toBe("reader_too_slow");
});

it("pieces come in their order, however many there are", async () => {
  const body = open(new Outbox());
  const text = new Response(body.stream()).text();
  let expected = "";
  for (let i = 0; i < 1_000; i++) {
    body.add(new TextEncoder().encode(`${i},`) as Uint8Array<ArrayBuffer>);
    expected += `${i},`;
    if (i % 100 === 0) await Promise.resolve();
  }
  body.end();
  expect(await text).toBe(expected);
});
