/** A store takes a segment, its cursor does not move, and then the segment's object goes bad. */
import { reset } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { HolesApi, SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { drainBatch } from "../../queues/drain.ts";
import { createRollupsSink } from "../../queues/rollups/sink.ts";
import { createSessionsSink } from "../../queues/sessions/sink.ts";
import type { Sink } from "../../queues/sink.ts";
import { HOUR_MS } from "../../r2-layout/limits.ts";
import { decodeSegmentLines, encodeSegment } from "../../r2-layout/segment.ts";
import { batchOf } from "./log-rig.ts";
import { Clock } from "./replay/replay-rig.ts";
import {
  begin,
  drain,
  real,
  redrive as redriveOf,
  rollup,
  runJob,
  send,
  type TestEvent,
  timeline,
} from "./replay/whole-pipeline.ts";

beforeEach(() => {
  for (const level of ["warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

type Cursors = ObjectNamespace<SinkCursorApi>;
const QUICK = { poisonAttempts: 2, poisonSpreadMs: 0, poisonRecentMs: 0, poisonInARow: 10, poisonHoldMs: HOUR_MS };

async function wake(sink: Sink): Promise<string> {
  const { batch, outcomes } = batchOf(sink.name, [{ shard: 0, head: 1 }]);
  await drainBatch(batch, { sink, logs: real.EVENT_LOG, bucket: real.BUCKET, limits: QUICK });
  return outcomes[0]!;
}

const keyOf = async (seq: number) =>
  (await real.EVENT_LOG.getByName("000").segments(seq - 1, 1)).segments.map(({ key }) => key)[0]!;

/** @returns what mends it. */
async function damage(seq: number, kind: "lost" | "cut" | "line"): Promise<() => Promise<unknown>> {
  const key = await keyOf(seq);
  const bytes = new Uint8Array(await (await real.BUCKET.get(key))!.arrayBuffer());
  if (kind === "lost") await real.BUCKET.delete(key);
  else if (kind === "cut") await real.BUCKET.put(key, bytes.subarray(0, bytes.length - 9));
  else await real.BUCKET.put(key, encodeSegment(decodeSegmentLines(bytes).with(1, "{")));
  return () => real.BUCKET.put(key, bytes);
}

/** The cursors, of which none moves: the answer of the effect is as good as lost. */
const stuck: Cursors = {
  getByName: (name) => {
    const cursor = real.SINK_CURSOR.getByName(name);
    return {
      lease: async (owner: string, ttlMs: number) => await cursor.lease(owner, ttlMs),
      release: async (token: number) => await cursor.release(token),
      advance: () => Promise.reject(new Error("injected")),
    } as unknown as SinkCursorApi & HolesApi;
  },
};

const SENT = [
  [{ event_id: "a" }, { event_id: "b" }],
  [{ event_id: "c" }, { event_id: "d" }, { event_id: "e" }],
  [{ event_id: "f" }],
];

describe("rollups", () => {
  const sinkOf = (cursors: Cursors) => createRollupsSink({ cursors, rollups: real.MINUTE_ROLLUP });
  const sink = sinkOf(real.SINK_CURSOR as unknown as Cursors);
  const cursor = () => real.SINK_CURSOR.getByName("rollups:000");
  const store = () => real.MINUTE_ROLLUP.getByName("core:000");

  it.each(["lost", "cut", "line"] as const)(
    "promise 2: make no hole of a segment that they have, whatever has become of its object: %s",
    async (kind) => {
      for (const events of SENT) await send(0, events);
      expect(await wake(sinkOf(stuck))).toBe("retry");
      expect([(await cursor().status()).cursor, await rollup()]).toEqual([0, 6]);
      const mend = await damage(2, kind);
      expect([await wake(sink), await wake(sink)]).toEqual(["retry", "ack"]);
      expect(await cursor().holes(0)).toEqual([]);
      // Promise 3: what the log's row says has passed.
      expect(await cursor().status()).toMatchObject({ cursor: 3, applied: { events: 6, quarantined: 0 } });
      await mend();
      await send(0, [{ event_id: "g" }]);
      expect(await wake(sink)).toBe("ack");
      expect(await rollup()).toBe(7);
    },
  );

  it("leave out what they left out before, though the rest of the segment has gone bad since", async () => {
    for (const events of SENT) await send(0, events);
    await damage(2, "line");
    expect(await wake(sink)).toBe("retry");
    const decides = { ...sink, apply: sinkOf(stuck).apply };
    // The cursor stands before the segment with the bad line, so that only what comes with it is lost.
    expect(await wake(decides)).toBe("retry");
    expect([(await cursor().status()).cursor, await rollup()]).toEqual([1, 5]);
    await damage(2, "lost");
    expect(await wake(sink)).toBe("ack");
    expect(await cursor().holes(0)).toMatchObject([{ seq: 2, lines: [1], events: 1 }]);
    expect(await cursor().status()).toMatchObject({ cursor: 3, applied: { events: 5 }, holes: { events: 1, open: 1 } });
    expect(await rollup()).toBe(5);
  });

  it("promise 2: take nothing any more from a lease of before a hole was decided", async () => {
    for (const events of SENT) await send(0, events);
    const late: (() => Promise<unknown>)[] = [];
    // Its call is on its way for longer than its lease runs.
    const slow: Sink = {
      ...sink,
      apply: async (step) => {
        late.push(() => sink.apply(step));
        throw new Error("injected");
      },
    };
    expect(await wake(slow)).toBe("retry");
    const mend = await damage(1, "lost");
    expect([await wake(sink), await wake({ ...sink, apply: slow.apply })]).toEqual(["retry", "retry"]);
    expect(await store().status()).toMatchObject({ lastSeq: 0 });
    await expect(late[0]!()).rejects.toThrow("a later lease");
    expect(await rollup()).toBe(0);
    expect(await wake(sink)).toBe("ack");
    await mend();
    expect(await cursor().holes(0)).toMatchObject([{ seq: 1, lines: "all", events: 2 }]);
    expect(await rollup()).toBe(4);
  });
});

describe("sessions", () => {
  const sinkOf = (cursors: Cursors) =>
    createSessionsSink({ cursors, timelines: real.USER_TIMELINE, identityKey: real.IDENTITY_KEY });
  const sink = sinkOf(real.SINK_CURSOR as unknown as Cursors);
  const cursor = () => real.SINK_CURSOR.getByName("sessions:000");
  const redrive = async (seq: number) => {
    const answer = await redriveOf("sessions", seq);
    if (!answer?.ok) throw new Error(JSON.stringify(answer));
    return answer.value.seq;
  };
  const profileOf = async (id: string) => {
    const name = timelineName(real.IDENTITY_KEY, { kind: "user", id });
    const { events, counts } = await real.USER_TIMELINE.getByName(name).profile();
    return { events, counted: Object.values(counts).reduce((sum, n) => sum + n, 0) };
  };

  const ann = (event_id: string): TestEvent => ({ event_id, user_id: "ann", anonymous_id: "phone" });
  const SENT = [[ann("a")], [ann("b"), ann("c"), { event_id: "d", anonymous_id: "tablet" }], [ann("e")]];

  /** All timelines have the second segment, the cursor has not moved; then its object goes bad, and the sink gives it up. */
  async function giveUpWhatIsThere(kind: "lost" | "cut" | "line") {
    for (const events of SENT) await send(0, events);
    expect(await wake(sinkOf(stuck))).toBe("retry");
    expect(await timeline("user", "ann")).toEqual(["a", "b", "c", "e"]);
    const mend = await damage(2, kind);
    expect([await wake(sink), await wake(sink)]).toEqual(["retry", "ack"]);
    expect(await cursor().holes(0)).toMatchObject([{ seq: 2, lines: kind === "line" ? [1] : "all" }]);
    return mend;
  }

  async function expectOnce() {
    expect(await timeline("user", "ann")).toEqual(["a", "b", "c", "e"]);
    expect(await timeline("device", "tablet")).toEqual(["d"]);
    expect(await profileOf("ann")).toEqual({ events: 4, counted: 4 });
  }

  it.each(["lost", "cut", "line"] as const)(
    "promise 2: have a hole's events once when they come back, though some timelines had them all the time: %s",
    async (kind) => {
      const mend = await giveUpWhatIsThere(kind);
      await mend();
      await redrive(2);
      expect(await wake(sink)).toBe("ack");
      await expectOnce();
      await drain();
      // Nothing is missing where the log says that it stands, and a build of everything is the same.
      const clock = new Clock();
      const whole = { from: null, to: null, range: null, rate: 1e6 };
      await begin("fill", { kind: "fill", sinks: ["sessions"], ...whole });
      await runJob("fill", clock);
      await expectOnce();
      await begin("anew", { kind: "rebuild", sinks: ["sessions"], ...whole, swap: "manual" });
      const { progress } = await runJob("anew", clock, ["waiting_for_swap"]);
      expect(progress).toMatchObject({ sinks: { sessions: { comparison: { identical: true } } } });
    },
  );

  it("promise 2: give them to whom a correction of the time in between gives them, and to nobody else", async () => {
    const mend = await giveUpWhatIsThere("lost");
    await mend();
    await drain();
    const clock = new Clock();
    const change = { kind: "set", values: { user_id: "bob" } } as const;
    await begin("fix", { kind: "correction", filter: {}, change, note: null, rate: 1e6 }, "confirm");
    await runJob("fix", clock);
    await redrive(2);
    expect(await wake(sink)).toBe("ack");
    expect([await timeline("user", "ann"), await timeline("device", "tablet")]).toEqual([[], []]);
    expect(await timeline("user", "bob")).toEqual(["a", "b", "c", "d", "e"]);
    expect(await profileOf("bob")).toEqual({ events: 5, counted: 5 });
  });

  it("promise 2: have them once where the segment that brought them back became a hole, too", async () => {
    const mend = await giveUpWhatIsThere("line");
    await mend();
    const first = await redrive(2);
    expect(await wake(sinkOf(stuck))).toBe("retry");
    const mendAgain = await damage(first, "lost");
    expect([await wake(sink), await wake(sink)]).toEqual(["retry", "ack"]);
    await mendAgain();
    await redrive(first);
    expect(await wake(sink)).toBe("ack");
    await expectOnce();
  });
});
