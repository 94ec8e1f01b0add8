import { expect, it, vi } from "vitest";
import type { ShardUpdate } from "../../../durable-objects/live-hub/api.ts";
import { LivePublisher } from "../../../durable-objects/minute-rollup/live-publisher.ts";
import { emptyState } from "../../../durable-objects/minute-rollup/rollup-state.ts";
import { LIVE, MINUTE_MS, ROLLUP } from "../../../r2-layout/limits.ts";

const NOW = Date.UTC(2026, 10, 22, 5, 30, 20);
const MINUTE = Date.UTC(2026, 10, 22, 5, 30);

/** A store with these minutes and a hub that notes what it is told, and fails as long as the test says. */
function setting(minutes: number[]) {
  const position = {
    lastSeq: 1,
    completeUntil: NOW,
    events: 0,
    rules: 0,
    token: 0,
    incarnation: 7,
    tiles: "",
    leftOut: 0,
    owes: 0,
  };
  const told: ShardUpdate[] = [];
  const state = { now: NOW, fails: false, entered: 0, gate: Promise.resolve() as Promise<void> };
  const store = {
    position: () => ({ ...position }),
    minutes: (from: number, to: number, only?: ReadonlySet<number>) =>
      minutes
        .filter((minute) => minute >= from && minute < to && (!only || only.has(minute)))
        .map((minute) => ({ minute, version: 1, state: emptyState() })),
  };
  const hub = {
    async publish(update: ShardUpdate): Promise<void> {
      state.entered++;
      await state.gate;
      if (state.fails) throw new Error("injected");
      told.push(update);
    },
  };
  const publisher = new LivePublisher(() => hub, store, 1);
  const publish = (changed: number[]) => publisher.publish(0, changed, () => state.now);
  const minutesTold = () => told.map((update) => update.minutes.map(({ minute }) => minute));
  return { position, told, minutesTold, state, publish, minutes };
}

it("tells all that screens show after it was born, then only what changes", async () => {
  const { publish, minutesTold } = setting([MINUTE - LIVE.minutes * MINUTE_MS, MINUTE - 5 * MINUTE_MS, MINUTE]);
  await publish([MINUTE]);
  await publish([MINUTE]);
  await publish([]);
  expect(minutesTold()).toEqual([[MINUTE - 5 * MINUTE_MS, MINUTE], [MINUTE]]);
});

it("tells what was lost with the next tick", async () => {
  const { publish, minutesTold, state } = setting([MINUTE - MINUTE_MS, MINUTE]);
  await publish([]);
  const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
  state.fails = true;
  await publish([MINUTE - MINUTE_MS]);
  await publish([MINUTE]);
  expect(warned).toHaveBeenCalledTimes(2);
  state.fails = false;
  await publish([]);
  expect(minutesTold()).toEqual([
    [MINUTE - MINUTE_MS, MINUTE],
    [MINUTE - MINUTE_MS, MINUTE],
  ]);
  warned.mockRestore();
});

it("gathers what changes while it is telling, and has one publish under way", async () => {
  const { publish, minutesTold, state } = setting([MINUTE - MINUTE_MS, MINUTE]);
  await publish([]);
  const gate = Promise.withResolvers<void>();
  state.gate = gate.promise;
  const first = publish([MINUTE]);
  await publish([MINUTE - MINUTE_MS]);
  await publish([MINUTE]);
  expect(state.entered).toBe(2);
  gate.resolve();
  await first;
  expect(minutesTold().slice(1)).toEqual([[MINUTE], [MINUTE - MINUTE_MS, MINUTE]]);
});

it("does not wait for ever for a hub that does not answer", async () => {
  vi.useFakeTimers();
  try {
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    const { publish, minutesTold, state } = setting([MINUTE]);
    state.gate = new Promise<void>(() => {});
    const stuck = publish([MINUTE]);
    await vi.advanceTimersByTimeAsync(10_000);
    await stuck;
    expect(warned).toHaveBeenCalledOnce();
    warned.mockRestore();
    state.gate = Promise.resolve();
    await publish([]);
    expect(minutesTold()).toEqual([[MINUTE]]);
  } finally {
    vi.useRealTimers();
  }
});

it("tells that time has passed once a minute, when minutes become final", async () => {
  const { publish, told, position } = setting([]);
  for (let second = 0; second < 180; second++) {
    position.completeUntil = MINUTE + second * 1_000;
    await publish([]);
  }
  expect(told.map(({ completeUntil }) => completeUntil)).toEqual([
    MINUTE,
    MINUTE + ROLLUP.finalAfterMs,
    MINUTE + MINUTE_MS + ROLLUP.finalAfterMs,
    MINUTE + 2 * MINUTE_MS + ROLLUP.finalAfterMs,
  ]);
});

it("keeps a minute ahead of the clock until the clock has come to it", async () => {
  const ahead = MINUTE + 10 * MINUTE_MS;
  const { publish, minutesTold, state } = setting([ahead]);
  await publish([]);
  await publish([ahead]);
  state.now = ahead;
  await publish([]);
  expect(minutesTold()).toEqual([[], [ahead]]);
});
