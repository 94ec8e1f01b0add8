import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { ABANDONED_AFTER_MS, createQueue, type Queue } from "../../../workers/beacon/queue.ts";
import { createSender, REQUEST_BYTES, type Sender } from "../../../workers/beacon/sender.ts";
import { memoryStore, type Store } from "../../../workers/beacon/storage.ts";
import { FakeClock, FakeTransport, settle } from "./fakes.ts";

const OK = { status: 200, retryAfter: null };
const event = (id: string, filler = "") => JSON.stringify({ event_id: id, filler });

let clock: FakeClock;
let store: Store;
let transport: FakeTransport;
let queue: Queue;
let sender: Sender;

/** A page of the same site: its own memory, the same store. */
function openPage(id: string, bytesMax?: number) {
  const own = new FakeTransport(clock);
  const pageQueue = createQueue(store, clock.now, id, bytesMax);
  const pageSender = createSender(pageQueue, own, clock, { flushMs: 100, flushCount: 3 });
  return { transport: own, queue: pageQueue, sender: pageSender };
}

beforeEach(() => {
  clock = new FakeClock();
  store = memoryStore();
  ({ transport, queue, sender } = openPage("first"));
});

describe("batching", () => {
  it("waits for the batching time, then sends all in one request", async () => {
    sender.add(event("a"));
    sender.add(event("b"));
    await clock.pass(99);
    expect(transport.sent).toEqual([]);
    await clock.pass(1);
    expect(transport.sent.map((request) => request.ids)).toEqual([["a", "b"]]);
    expect(queue.entries).toEqual([]);
  });

  it("sends at once when enough wait", async () => {
    for (const id of ["a", "b", "c"]) sender.add(event(id));
    await settle();
    expect(transport.ids).toEqual(["a", "b", "c"]);
  });

  it("keeps each request within what keepalive and sendBeacon carry, one in flight at a time", async () => {
    transport.replies = ["never"];
    for (let i = 0; i < 3; i++) sender.add(event(`${i}`, "ü".repeat(14_000)));
    await settle();
    expect(transport.sent).toHaveLength(1);
    transport.answer(200);
    await clock.pass(1_000);
    expect(transport.ids).toEqual(["0", "1", "2"]);
    expect(transport.sent.length).toBe(2);
    for (const request of transport.sent) expect(request.bytes).toBeLessThan(64 * 1024);
    expect(REQUEST_BYTES).toBeLessThan(64 * 1024);
  });

  it("sends an event that is larger than a request should be, alone", async () => {
    sender.add(event("small"));
    sender.add(event("large", "x".repeat(REQUEST_BYTES)));
    await clock.pass(1_000);
    expect(transport.sent.map((request) => request.ids)).toEqual([["small"], ["large"]]);
  });

  it("sends an event that arrived while a request was in flight", async () => {
    transport.replies = ["never"];
    sender.add(event("a"));
    await clock.pass(100);
    sender.add(event("b"));
    transport.answer(200);
    await clock.pass(200);
    expect(transport.ids).toEqual(["a", "b"]);
  });
});

describe("failures", () => {
  it.each([
    ["no answer", "no answer" as const],
    ["429", { status: 429, retryAfter: null }],
    ["503", { status: 503, retryAfter: null }],
    ["500", { status: 500, retryAfter: null }],
  ])("promise 2: after %s sends the same event ids again, in order, with a growing wait", async (_, reply) => {
    transport.replies = [reply, reply, reply];
    sender.add(event("a"));
    sender.add(event("b"));
    await clock.pass(60_000);
    expect(transport.sent.map((request) => request.ids)).toEqual(Array(4).fill(["a", "b"]));
    const at = transport.sent.map((request) => request.at);
    expect([at[1]! - at[0]!, at[2]! - at[1]!, at[3]! - at[2]!]).toEqual([500, 1_000, 2_000]);
    expect(queue.entries).toEqual([]);
    expect(store.length).toBe(0);
  });

  it("keeps silent for as long as Retry-After says, even when asked to flush", async () => {
    transport.replies = [{ status: 503, retryAfter: "30" }];
    sender.add(event("a"));
    await clock.pass(10_000);
    await sender.flush();
    await clock.pass(20_000);
    expect(transport.sent).toHaveLength(1);
    await clock.pass(1_000);
    expect(transport.sent).toHaveLength(2);
    // Silence, not a knocking every 100 ms.
    expect(clock.fired).toBeLessThan(5);
  });

  it("starts again with a short wait once a request got through", async () => {
    transport.replies = ["no answer", "no answer", OK, "no answer"];
    sender.add(event("a"));
    await clock.pass(10_000);
    sender.add(event("b"));
    await clock.pass(10_000);
    const at = transport.sent.map((request) => request.at);
    expect([at[1]! - at[0]!, at[2]! - at[1]!, at[4]! - at[3]!]).toEqual([500, 1_000, 500]);
    expect(transport.sent).toHaveLength(5);
  });

  it("saves what failed, in case the page does not live to try again", async () => {
    transport.replies = ["no answer"];
    sender.add(event("a"));
    await clock.pass(100);
    await clock.pass(0);
    expect(store.length).toBe(1);
    expect(store.getItem(store.key(0)!)).toContain("a");
  });

  it("reads a Retry-After that is a date", async () => {
    transport.replies = [{ status: 429, retryAfter: new Date(clock.time + 20_000).toUTCString() }];
    sender.add(event("a"));
    await clock.pass(19_000);
    expect(transport.sent).toHaveLength(1);
    await clock.pass(2_000);
    expect(transport.sent).toHaveLength(2);
  });

  it.each([400, 401, 403, 413, 422])("drops a batch refused with %i, and what follows gets through", async (status) => {
    transport.replies = [{ status, retryAfter: null }, OK];
    sender.add(event("bad"));
    await clock.pass(100);
    sender.add(event("good"));
    await clock.pass(60_000);
    expect(transport.ids).toEqual(["bad", "good"]);
    expect(queue.entries).toEqual([]);
  });

  it("sends again only the events that the server names, where it has taken the others", async () => {
    transport.replies = [{ status: 503, retryAfter: "5", again: [1] }];
    for (const id of ["a", "b", "c"]) sender.add(event(id));
    await clock.pass(10_000);
    expect(transport.sent.map((request) => request.ids)).toEqual([["a", "b", "c"], ["b"]]);
  });
});

describe("the offline queue", () => {
  it("holds events while there is no network and sends them when it is back", async () => {
    transport.isOnline = false;
    sender.add(event("a"));
    await clock.pass(10_000);
    expect(transport.sent).toEqual([]);
    expect(store.length).toBe(1);
    transport.isOnline = true;
    sender.resume();
    await clock.pass(100);
    expect(transport.ids).toEqual(["a"]);
    expect(store.length).toBe(0);
  });

  it("is sent by the next page when this one has gone, and only once", async () => {
    transport.isOnline = false;
    sender.add(event("a"));
    sender.hide();
    const next = openPage("second");
    next.sender.resume();
    const third = openPage("third");
    third.sender.resume();
    await clock.pass(1_000);
    expect([next.transport.ids, third.transport.ids]).toEqual([["a"], []]);
  });

  it("is left alone by other tabs while its own page lives, and taken over once that must have crashed", async () => {
    transport.isOnline = false;
    sender.add(event("a"));
    openPage("early").sender.resume();
    const late = openPage("late");
    await clock.pass(ABANDONED_AFTER_MS - 1);
    late.sender.resume();
    await clock.pass(1);
    expect(late.transport.ids).toEqual([]);
    late.sender.resume();
    await settle();
    expect(late.transport.ids).toEqual(["a"]);
  });

  it("keeps the newest events within its bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 50 }), { maxLength: 60 }), (fillers) => {
        const bounded = createQueue(memoryStore(), clock.now, "bounded", 1_000);
        const all = fillers.map((filler, index) => event(`${index}`, filler));
        for (const json of all) bounded.add(json);
        const kept = bounded.entries.map((entry) => entry.json);
        expect(kept).toEqual(all.slice(all.length - kept.length));
        expect(bounded.entries.reduce((sum, entry) => sum + entry.bytes, 0)).toBeLessThanOrEqual(1_000);
      }),
    );
  });

  it("keeps the newer part when the store is full", () => {
    const small: Store = {
      ...memoryStore(),
      setItem(_, value) {
        if (value.length > 400) throw new DOMException("full", "QuotaExceededError");
        written = value;
      },
    };
    let written = "";
    const full = createQueue(small, clock.now, "full");
    for (let i = 0; i < 30; i++) full.add(event(`${i}`, "0123456789"));
    full.save();
    expect(written).toContain(String.raw`\"event_id\":\"29\"`);
    expect(written).not.toContain(String.raw`\"event_id\":\"0\"`);
  });

  it("ignores what it finds cut short in the store", async () => {
    store.setItem("eventpile.queue.gone", '[0,["{\\"event_id\\"');
    store.setItem("of.the.page", "untouched");
    sender.resume();
    await settle();
    expect(transport.sent).toEqual([]);
    expect(store.getItem("of.the.page")).toBe("untouched");
    expect(store.length).toBe(1);
  });
});

describe("leaving the page", () => {
  it("hands new events to sendBeacon, in requests of at most 64 KiB", () => {
    for (let i = 0; i < 2; i++) sender.add(event(`${i}`, "x".repeat(40_000)));
    sender.hide();
    sender.hide();
    expect(transport.sent.map((request) => [request.by, request.ids])).toEqual([
      ["beacon", ["0"]],
      ["beacon", ["1"]],
    ]);
    expect(store.length).toBe(0);
  });

  it("saves what sendBeacon does not take", async () => {
    transport.beaconTakes = false;
    sender.add(event("a"));
    sender.hide();
    const next = openPage("second");
    next.sender.resume();
    await settle();
    expect(next.transport.ids).toEqual(["a"]);
  });

  it("saves what is in flight, and forgets it if the answer still comes", async () => {
    transport.replies = ["never"];
    sender.add(event("a"));
    await clock.pass(100);
    sender.hide();
    expect(transport.sent).toHaveLength(1);
    expect(store.length).toBe(1);
    transport.answer(200);
    await settle();
    expect(store.length).toBe(0);
  });

  it("does not trust sendBeacon with events that have failed before", async () => {
    transport.replies = ["no answer"];
    sender.add(event("a"));
    await clock.pass(100);
    sender.add(event("b"));
    sender.hide();
    expect(transport.sent.map((request) => request.by)).toEqual(["post"]);
    const next = openPage("second");
    next.sender.resume();
    await settle();
    expect(next.transport.ids).toEqual(["a", "b"]);
  });
});

it("promise 2: whatever fails, every event is sent until it is accepted, once, and in order", async () => {
  const reply = fc.constantFrom(OK, OK, "no answer" as const, { status: 503, retryAfter: "2" });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 3_000 }), fc.boolean()), { maxLength: 25 }),
      fc.array(reply, { maxLength: 10 }),
      async (steps, replies) => {
        store = memoryStore();
        const page = openPage("page");
        const accepted: string[] = [];
        page.transport.replies = [...replies];
        const post = page.transport.post.bind(page.transport);
        page.transport.post = async (body) => {
          const answer = await post(body);
          if (answer.status === 200) accepted.push(...page.transport.sent.at(-1)!.ids);
          return answer;
        };
        for (const [index, [wait, online]] of steps.entries()) {
          page.transport.isOnline = online;
          if (online) page.sender.resume();
          page.sender.add(event(`${index}`));
          await clock.pass(wait);
        }
        page.transport.isOnline = true;
        page.sender.resume();
        await clock.pass(300_000);
        expect(accepted).toEqual(steps.map((_, index) => `${index}`));
        expect(store.length).toBe(0);
        expect(clock.timers).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});
