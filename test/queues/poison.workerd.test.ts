import { reset } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { drainBatch } from "../../queues/drain.ts";
import { fanOut } from "../../queues/fan-out/fan-out.ts";
import type { PoisonLimits } from "../../queues/left-out.ts";
import type { SegmentReader } from "../../queues/read-log.ts";
import { EventsRefused } from "../../queues/refusal.ts";
import type { Sink, SinkStep } from "../../queues/sink.ts";
import { sinkWithCursor } from "../../queues/sink.ts";
import { DAY_MS, HOUR_MS, SINK } from "../../r2-layout/limits.ts";
import { decodeSegmentLines, encodeSegment } from "../../r2-layout/segment.ts";
import { bindings } from "../bindings.ts";
import { batchOf, bodyOf, Fault, lineOf } from "./log-rig.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

const SHARD = "000";
const log = () => bindings.EVENT_LOG.getByName(SHARD);
const cursor = () => bindings.SINK_CURSOR.getByName(`sessions:${SHARD}`);

let edges = 0;
async function fill(segments: readonly (readonly number[])[], quarantined: readonly number[] = []) {
  for (const events of segments) {
    const edge = `edge-${edges++}`;
    const { batch } = batchOf("events-0", [bodyOf({ edge, n: 1, before: 0, events, quarantined })]);
    await fanOut(batch, { logs: bindings.EVENT_LOG, bucket: bindings.BUCKET });
  }
}

const refOf = async (seq: number) => (await log().segments(seq - 1)).segments[0]!;

/** The object of a segment with one of its lines written over. */
async function overwriteLine(seq: number, line: number, text: string): Promise<void> {
  const { key } = await refOf(seq);
  const lines = decodeSegmentLines(new Uint8Array(await (await bindings.BUCKET.get(key))!.arrayBuffer()));
  await bindings.BUCKET.put(key, encodeSegment(lines.with(line, text)));
}

/** Skips what is at or below its last seq, as the real ones do, and refuses what it is told to. */
class Store {
  readonly numbers: number[] = [];
  readonly quarantined: number[] = [];
  readonly refuses = new Set<number>();
  applies = 0;
  #lastSeq = 0;

  check(step: Pick<SinkStep, "events">): void {
    const bad = step.events.find(({ properties }) => this.refuses.has(Number(properties?.number)));
    if (bad) throw new TypeError(`${bad.event_id} has no place here`);
  }

  apply(step: SinkStep): void {
    this.applies++;
    this.check(step);
    for (const event of step.events)
      if (event.log_seq > this.#lastSeq) this.numbers.push(Number(event.properties?.number));
    for (const { log_seq, event_id } of step.quarantine) {
      if (log_seq > this.#lastSeq) this.quarantined.push(Number(event_id.slice("event-".length)));
    }
    this.#lastSeq = Math.max(this.#lastSeq, step.to);
  }
}

const sinkOver = (store: Store, { trial = true, effect }: { trial?: boolean; effect?: Fault } = {}): Sink => ({
  ...sinkWithCursor("sessions", bindings.SINK_CURSOR, (step) =>
    effect ? effect.around(async () => store.apply(step)) : Promise.resolve(store.apply(step)),
  ),
  ...(trial && { trial: async (step: SinkStep) => store.check(step) }),
});

const QUICK: PoisonLimits = {
  poisonAttempts: 3,
  poisonSpreadMs: 0,
  poisonRecentMs: 0,
  poisonInARow: 10,
  poisonHoldMs: HOUR_MS,
};

async function wake(sink: Sink, limits: PoisonLimits = QUICK, bucket: SegmentReader = bindings.BUCKET) {
  const { batch, outcomes } = batchOf("sessions", [{ shard: 0, head: 1 }]);
  await drainBatch(batch, { sink, logs: bindings.EVENT_LOG, bucket, limits });
  return outcomes[0]!;
}

async function wakeTimes(times: number, sink: Sink, limits: PoisonLimits = QUICK) {
  const outcomes: string[] = [];
  for (let i = 0; i < times; i++) outcomes.push(await wake(sink, limits));
  return outcomes;
}

const holes = async () =>
  (await cursor().holes(0)).map(({ seq, lines, events, quarantined, cause }) => ({
    seq,
    lines,
    events,
    quarantined,
    cause,
  }));

describe("a segment that cannot be read", () => {
  const DAMAGES: [string, string, (key: string) => Promise<unknown>][] = [
    ["is missing", "segment_missing", (key) => bindings.BUCKET.delete(key)],
    ["is no gzip", "segment_damaged", (key) => bindings.BUCKET.put(key, "x".repeat(100))],
    ["is empty", "segment_damaged", (key) => bindings.BUCKET.put(key, "")],
    [
      "is cut short",
      "segment_damaged",
      async (key) => {
        const bytes = new Uint8Array(await (await bindings.BUCKET.get(key))!.arrayBuffer());
        await bindings.BUCKET.put(key, bytes.subarray(0, bytes.length - 9));
      },
    ],
    [
      "has another number of lines",
      "segment_damaged",
      (key) => bindings.BUCKET.put(key, encodeSegment([lineOf(3), lineOf(4), lineOf(5)])),
    ],
    [
      "has other lines in quarantine",
      "segment_damaged",
      (key) => bindings.BUCKET.put(key, encodeSegment([lineOf(3), lineOf(4, true)])),
    ],
  ];

  it.each(DAMAGES)(
    "and %s, becomes a hole after bounded attempts (%s), and its neighbours are applied",
    async (_how, cause, damage) => {
      await fill([[1, 2], [3, 4], [5]]);
      await damage((await refOf(2)).key);
      const store = new Store();
      const sink = sinkOver(store);
      expect(await wakeTimes(2, sink)).toEqual(["retry", "retry"]);
      expect(await cursor().status()).toMatchObject({ cursor: 1, applied: { events: 2 } });
      expect(await cursor().status()).not.toHaveProperty("holes");
      expect(await wake(sink)).toBe("ack");
      expect(store.numbers).toEqual([1, 2, 5]);
      expect(await holes()).toEqual([{ seq: 2, lines: "all", events: 2, quarantined: 0, cause }]);
      // Promise 3: what the cursor has met is applied or in a hole.
      expect(await cursor().status()).toMatchObject({
        cursor: 3,
        applied: { events: 3, quarantined: 0 },
        holes: { events: 2, quarantined: 0, open: 1 },
      });
      expect((await log().status()).cursors.sessions).toBe(3);
    },
  );

  it("and is there again in time, is applied", async () => {
    await fill([[1], [2], [3]]);
    const { key } = await refOf(2);
    const whole = await (await bindings.BUCKET.get(key))!.arrayBuffer();
    await bindings.BUCKET.delete(key);
    const store = new Store();
    expect(await wakeTimes(2, sinkOver(store))).toEqual(["retry", "retry"]);
    await bindings.BUCKET.put(key, whole);
    expect(await wake(sinkOver(store))).toBe("ack");
    expect(store.numbers).toEqual([1, 2, 3]);
    expect(await holes()).toEqual([]);
  });

  it("is tried for as long as SINK.poisonSpreadMs, however often that is", async () => {
    await fill([[1]]);
    await bindings.BUCKET.delete((await refOf(1)).key);
    const store = new Store();
    expect(new Set(await wakeTimes(SINK.poisonAttempts + 5, sinkOver(store), SINK))).toEqual(new Set(["retry"]));
    vi.useFakeTimers({ now: Date.now() + SINK.poisonSpreadMs + 1, toFake: ["Date"] });
    try {
      expect(await wake(sinkOver(store), SINK)).toBe("ack");
    } finally {
      vi.useRealTimers();
    }
    expect(await holes()).toMatchObject([{ seq: 1, lines: "all" }]);
  });

  it("promise 9: is given up at SINK.poisonAttempts, and not at one fewer", async () => {
    await fill([[1]]);
    await bindings.BUCKET.delete((await refOf(1)).key);
    const start = Date.now();
    const outcomes: string[] = [];
    try {
      for (let attempt = 0; attempt < SINK.poisonAttempts; attempt++) {
        vi.useFakeTimers({ now: start + attempt * (SINK.poisonSpreadMs + 1), toFake: ["Date"] });
        outcomes.push(await wake(sinkOver(new Store()), SINK));
      }
    } finally {
      vi.useRealTimers();
    }
    expect(outcomes).toEqual([...Array<string>(SINK.poisonAttempts - 1).fill("retry"), "ack"]);
  });

  it("in a row with others is not tried so often: a lost day must not take a minute for each segment", async () => {
    await fill([[1], [2], [3], [4], [5]]);
    for (const seq of [2, 3, 5]) await bindings.BUCKET.delete((await refOf(seq)).key);
    const store = new Store();
    const limits = { ...QUICK, poisonRecentMs: DAY_MS };
    expect(await wakeTimes(3, sinkOver(store), limits)).toEqual(["retry", "retry", "retry"]);
    expect((await cursor().status()).cursor).toBe(4); // 3 went with 2; 5 stands alone.
    expect(await wakeTimes(2, sinkOver(store), limits)).toEqual(["retry", "ack"]);
    expect(store.numbers).toEqual([1, 4]);
  });
});

describe("a line that cannot be read", () => {
  it.each([
    ["no JSON", "{"],
    ["no line of the log", "5"],
    ["without a row", '{"d":1,"raw":{}}'],
    ["a row that is none", '{"row":null,"d":1,"raw":{}}'],
    ["a row without its columns", '{"row":{"event_id":"e"},"d":1,"raw":{}}'],
    ["a time that is none", lineOf(2).replace(/"event_time":\d+/, '"event_time":1e300')],
    ["an identifier that is an object", lineOf(2).replace('"anonymous_id":"device-2"', '"anonymous_id":{"id":1}')],
    ["empty", ""],
  ])("is a hole of that line alone: %s", async (_name, text) => {
    await fill([[1, 2, 3], [4]], [2]);
    await overwriteLine(1, 1, text);
    const store = new Store();
    expect(await wakeTimes(3, sinkOver(store))).toEqual(["retry", "retry", "ack"]);
    expect([store.numbers, store.quarantined]).toEqual([[1, 4], [3]]);
    expect(await holes()).toEqual([{ seq: 1, lines: [1], events: 1, quarantined: 0, cause: "line_damaged" }]);
    expect(await cursor().status()).toMatchObject({
      applied: { events: 2, quarantined: 1 },
      holes: { events: 1, quarantined: 0 },
    });
  });

  it("is counted as quarantined where the log counted it so", async () => {
    await fill([[1, 2, 3]], [0, 2]);
    await overwriteLine(1, 0, "nonsense");
    const store = new Store();
    await wakeTimes(3, sinkOver(store));
    expect(await cursor().status()).toMatchObject({
      applied: { events: 1, quarantined: 1 },
      holes: { events: 0, quarantined: 1, open: 1 },
    });
  });
});

describe("an event that the store refuses for what it is", () => {
  it("is left out alone, of a step of many segments, where the sink can try", async () => {
    await fill([[1, 2], [3, 4, 5, 6, 7], [8]], [4]);
    const store = new Store();
    store.refuses.add(4).add(6);
    const sink = sinkOver(store);
    expect(await wakeTimes(3, sink)).toEqual(["retry", "retry", "ack"]);
    expect([store.numbers, store.quarantined]).toEqual([[1, 2, 3, 5, 8], [7]]);
    expect(await holes()).toEqual([{ seq: 2, lines: [1, 3], events: 2, quarantined: 0, cause: "step_refused" }]);
    expect(await cursor().status()).toMatchObject({
      cursor: 3,
      applied: { events: 5, quarantined: 1 },
      holes: { events: 2, quarantined: 0 },
    });
  });

  it("takes its segment with it where the sink cannot, but not the segments beside it", async () => {
    await fill([[1, 2], [3, 4], [5]]);
    const store = new Store();
    store.refuses.add(4);
    await wakeTimes(3, sinkOver(store, { trial: false }));
    expect(store.numbers).toEqual([1, 2, 5]);
    expect(await holes()).toMatchObject([{ seq: 2, lines: "all", events: 2 }]);
  });

  it("is the one that the sink names, where it names some", async () => {
    await fill([[1, 2, 3]]);
    const store = new Store();
    const sink = sinkWithCursor("sessions", bindings.SINK_CURSOR, async (step) => {
      const bad = step.events.filter(({ event_id }) => event_id === "event-2");
      if (bad.length > 0) throw new EventsRefused(bad, new Error("its timeline is full"));
      store.apply(step);
    });
    await wakeTimes(3, sink);
    expect(store.numbers).toEqual([1, 3]);
    expect(await holes()).toMatchObject([{ lines: [1] }]);
  });

  it("again and again does not slow down its neighbours: only the first one waits", async () => {
    await fill([[1], [2, 3], [4], [5, 6]]);
    const store = new Store();
    store.refuses.add(2).add(6);
    const limits = { ...QUICK, poisonRecentMs: HOUR_MS };
    expect(await wakeTimes(3, sinkOver(store), limits)).toEqual(["retry", "retry", "ack"]);
    expect(store.numbers).toEqual([1, 3, 4, 5]);
  });

  it("is rather the store's fault where most is refused many times in a row: then a drain waits longer", async () => {
    const numbers = Array.from({ length: 6 }, (_, i) => i);
    await fill(numbers.map((n) => [n]));
    const store = new Store();
    for (const n of numbers) store.refuses.add(n);
    const limits = { ...QUICK, poisonRecentMs: HOUR_MS, poisonInARow: 3 };
    expect(await wakeTimes(6, sinkOver(store), limits)).toEqual(Array(6).fill("retry"));
    expect((await cursor().status()).cursor).toBe(3);
    store.refuses.clear(); // The deploy that mends it.
    expect(await wake(sinkOver(store), limits)).toBe("ack");
    expect(store.numbers).toEqual([3, 4, 5]);
  });
});

describe("an outage", () => {
  it.each([
    ["the store is down", () => new Error("connection refused")],
    ["the object is overloaded", () => Object.assign(new RangeError("too much"), { overloaded: true })],
    ["the object is moved", () => Object.assign(new TypeError("reset"), { retryable: true })],
    ["a newer rule is not read yet", () => new RangeError("rules: 2 is the newest")],
  ])("makes no hole, whatever it takes: %s", async (_name, error) => {
    await fill([[1], [2]]);
    const store = new Store();
    const down = sinkWithCursor("sessions", bindings.SINK_CURSOR, () => Promise.reject(error()));
    expect(new Set(await wakeTimes(8, down))).toEqual(new Set(["retry"]));
    expect(await cursor().status()).toMatchObject({ cursor: 0 });
    expect(await wake(sinkOver(store))).toBe("ack");
    expect(store.numbers).toEqual([1, 2]);
    expect(await holes()).toEqual([]);
  });

  it("of R2 makes none either", async () => {
    await fill([[1]]);
    const store = new Store();
    const get = () => Promise.reject(new Error("get: We encountered an internal error. Please try again. (10001)"));
    for (let i = 0; i < 8; i++) expect(await wake(sinkOver(store), QUICK, { get })).toBe("retry");
    expect(await wake(sinkOver(store))).toBe("ack");
    expect(store.numbers).toEqual([1]);
  });

  it("ends with holes nowhere where even a step without events is refused", async () => {
    await fill([[1]], [0]);
    await overwriteLine(1, 0, "nonsense");
    const broken = sinkWithCursor("sessions", bindings.SINK_CURSOR, () =>
      Promise.reject(new TypeError("no such table")),
    );
    expect(new Set(await wakeTimes(6, broken))).toEqual(new Set(["retry"]));
    expect(await cursor().status()).toMatchObject({ cursor: 0 });
  });
});

it("promise 2: a hole that was decided stays one, though its segment can be read again after the crash that followed", async () => {
  await fill([[1], [2], [3]]);
  const { key } = await refOf(2);
  const whole = await (await bindings.BUCKET.get(key))!.arrayBuffer();
  await bindings.BUCKET.delete(key);
  const store = new Store();
  await wakeTimes(2, sinkOver(store));
  // The third: decided, the effect made without it, and cut off before the cursor.
  const effect = new Fault(1, "after");
  expect(await wake(sinkOver(store, { effect }))).toBe("retry");
  expect(effect.fired).toBe(true);
  expect((await cursor().status()).cursor).toBe(1);
  await bindings.BUCKET.put(key, whole);
  expect(await wake(sinkOver(store))).toBe("ack");
  expect(store.numbers).toEqual([1, 3]);
  expect(await cursor().status()).toMatchObject({ applied: { events: 2 }, holes: { events: 1, open: 1 } });
});

it("promise 3: whatever is damaged or refused, and wherever a drain is cut off, each event is applied once or in one hole", async () => {
  const segment = fc.array(fc.constantFrom("good", "good", "good", "refused", "damaged"), {
    minLength: 1,
    maxLength: 4,
  });
  const run = fc.record({
    segments: fc.array(segment, { minLength: 1, maxLength: 5 }),
    faults: fc.array(fc.record({ nth: fc.integer({ min: 1, max: 4 }), when: fc.constantFrom("before", "after") }), {
      maxLength: 4,
    }),
    trial: fc.boolean(),
  });
  let fired = 0;
  await fc.assert(
    fc.asyncProperty(run, async ({ segments, faults, trial }) => {
      await reset();
      let next = 0;
      const numbered = segments.map((lines) => lines.map((kind) => ({ kind, number: next++ })));
      await fill(numbered.map((lines) => lines.map(({ number }) => number)));
      for (const [i, lines] of numbered.entries()) {
        for (const [at, { kind }] of lines.entries()) if (kind === "damaged") await overwriteLine(i + 1, at, "{");
      }
      const store = new Store();
      for (const { kind, number } of numbered.flat()) if (kind === "refused") store.refuses.add(number);
      for (const { nth, when } of faults as { nth: number; when: "before" | "after" }[]) {
        const effect = new Fault(nth, when);
        await wake(sinkOver(store, { trial, effect }));
        if (effect.fired) fired++;
      }
      for (let i = 0; i < 80 && (await cursor().status()).cursor < segments.length; i++)
        await wake(sinkOver(store, { trial }));
      const status = await cursor().status();
      const recorded = await cursor().holes(0);
      const lost = recorded.flatMap(({ seq, lines }) => {
        const numbers = numbered[seq - 1]!.map(({ number }) => number);
        return lines === "all" ? numbers : lines.map((line) => numbers[line]!);
      });
      expect([...store.numbers, ...lost].sort((a, b) => a - b)).toEqual(numbered.flat().map(({ number }) => number));
      expect(status.applied.events + (status.holes?.events ?? 0)).toBe(next);
      expect(status.applied.events).toBe(store.numbers.length);
      if (trial) {
        const bad = numbered.flat().filter(({ kind }) => kind !== "good");
        expect(lost.sort((a, b) => a - b)).toEqual(bad.map(({ number }) => number));
      }
    }),
    {
      numRuns: 6,
      examples: [
        [
          {
            segments: [["good"], ["good", "damaged", "refused"], ["good"]],
            faults: [{ nth: 1, when: "after" }],
            trial: true,
          },
        ],
      ],
    },
  );
  expect(fired).toBeGreaterThan(0);
});
