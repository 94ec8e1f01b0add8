import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ShardUpdate } from "../../../durable-objects/live-hub/api.ts";
import { LiveBoard } from "../../../durable-objects/live-hub/live-board.ts";
import { minuteDeltas, type RolledEvent } from "../../../durable-objects/minute-rollup/minute-delta.ts";
import { addDelta, emptyState } from "../../../durable-objects/minute-rollup/rollup-state.ts";
import { shardMinute } from "../../../durable-objects/minute-rollup/shard-minute.ts";
import { decodeSketch } from "../../../durable-objects/minute-rollup/user-sketch.ts";
import { LIVE, MINUTE_MS, ROLLUP } from "../../../r2-layout/limits.ts";
import { plainEvent, rolledEvent } from "../minute-rollup/events.ts";

const START = Date.UTC(2026, 10, 22, 5, 0);

/** A shard's publishes after each of its steps: whole states of the minutes that the step changed. */
function updatesOf(shard: number, shards: number, steps: readonly (readonly RolledEvent[])[]): ShardUpdate[] {
  const states = new Map<number, ReturnType<typeof emptyState>>();
  return steps.map((step, i) => ({
    shard,
    shards,
    lastSeq: i + 1,
    completeUntil: START + i,
    minutes: minuteDeltas(step).map((delta) => {
      const state = states.get(delta.minute) ?? emptyState();
      states.set(delta.minute, state);
      addDelta(state, delta, decodeSketch(delta.users));
      return shardMinute({ minute: delta.minute, version: 1, state });
    }),
  }));
}

const view = (board: LiveBoard) => board.starts(START).map((start) => board.minute(start));

describe("live board", () => {
  it("looks the same for one shard and for four, however publishes are repeated and reordered", () => {
    const steps = fc.array(fc.array(rolledEvent(START, 2), { maxLength: 20 }), { minLength: 1, maxLength: 4 });
    const perShard = fc.array(steps, { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(
        perShard.chain((shards) => {
          const updates = shards.flatMap((shard, k) => updatesOf(k, 4, shard));
          return fc.tuple(
            fc.constant(shards),
            fc.shuffledSubarray([...updates, ...updates], { minLength: updates.length * 2 }),
          );
        }),
        ([shards, delivered]) => {
          const four = new LiveBoard(4);
          for (const update of delivered) four.apply(update);
          const one = new LiveBoard(1);
          for (const update of updatesOf(0, 1, [shards.flat(2)])) one.apply(update);
          expect(view(four)).toEqual(view(one));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("says that nothing changed when a state comes twice", () => {
    const board = new LiveBoard(1);
    const [update] = updatesOf(0, 1, [[plainEvent({ event_time: START * 1e3 })]]);
    expect([...board.apply(update!)]).toEqual([START]);
    expect([...board.apply(update!)]).toEqual([]);
  });

  it("takes nothing of an older incarnation, and says when a shard is no longer what it was told of", () => {
    const board = new LiveBoard(2);
    const [first] = updatesOf(0, 2, [[plainEvent({ event_time: START * 1e3 })]]);
    const of = (incarnation: number | undefined, lastSeq: number, events: number): ShardUpdate => ({
      ...first!,
      ...(incarnation !== undefined && { incarnation }),
      lastSeq,
      minutes: first!.minutes.map((minute) => ({ ...minute, events })),
    });
    expect(board.isOutdatedBy(of(5, 9, 9))).toBe(false);
    board.apply(of(5, 9, 9));
    expect(board.isOutdatedBy(of(5, 10, 10))).toBe(false);
    expect(board.isOutdatedBy({ ...of(6, 1, 1), shard: 1 })).toBe(false);
    expect(board.isOutdatedBy(of(6, 1, 1))).toBe(true);
    expect([...board.apply(of(4, 99, 99))]).toEqual([]);
    // The previous version's publishes name none.
    expect(board.isOutdatedBy(of(undefined, 10, 10))).toBe(false);
    expect([...board.apply(of(undefined, 10, 10))]).toEqual([START]);
    expect(board.minute(START)!.events).toBe(10);
  });

  it("calls a minute final when every shard is past it, also one without events", () => {
    const board = new LiveBoard(2);
    board.apply(updatesOf(0, 2, [[plainEvent({ event_time: START * 1e3 })]])[0]!);
    const passed = START + MINUTE_MS + ROLLUP.finalAfterMs;
    const tick = (shard: number, completeUntil: number) =>
      board.apply({ shard, shards: 2, lastSeq: 1, completeUntil, minutes: [] });
    expect([...tick(0, passed)]).toEqual([]);
    expect([...tick(1, passed - 1)]).toEqual([]);
    expect(board.minute(START)!.state).toBe("provisional");
    expect([...tick(1, passed)]).toEqual([START]);
    expect(board.minute(START)!.state).toBe("final");
  });

  it("shows the largest 20 values and neither what has no value nor what was folded together", () => {
    const events = Array.from({ length: 50 }, (_, i) =>
      Array.from({ length: i + 1 }, () => plainEvent({ event_time: START * 1e3, page_path: `/${i}` })),
    ).flat();
    const board = new LiveBoard(1);
    board.apply(updatesOf(0, 1, [[...events, plainEvent({ event_time: START * 1e3 })]])[0]!);
    const minute = board.minute(START)!;
    expect(minute.page_path).toHaveLength(LIVE.topShown);
    expect(minute.page_path[0]).toEqual(["/49", 50]);
    expect(minute.country).toEqual([]);
    expect(minute.events).toBe(events.length + 1);
  });

  it("forgets minutes that have left the hour", () => {
    const board = new LiveBoard(1);
    board.apply(updatesOf(0, 1, [[plainEvent({ event_time: START * 1e3 })]])[0]!);
    board.prune(START + (LIVE.minutes - 1) * MINUTE_MS);
    expect(board.minute(START)).not.toBeNull();
    board.prune(START + LIVE.minutes * MINUTE_MS);
    expect(board.minute(START)).toBeNull();
  });
});
