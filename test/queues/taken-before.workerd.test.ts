/** A store takes a segment, its cursor does not move, and then the segment's object goes bad. */
import { reset } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { HolesApi, SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import { drainBatch } from "../../queues/drain.ts";
import { createRollupsSink } from "../../queues/rollups/sink.ts";
import type { Sink } from "../../queues/sink.ts";
import { HOUR_MS } from "../../r2-layout/limits.ts";
import { decodeSegmentLines, encodeSegment } from "../../r2-layout/segment.ts";
import { batchOf } from "./log-rig.ts";
import { real, rollup, send } from "./replay/whole-pipeline.ts";

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
