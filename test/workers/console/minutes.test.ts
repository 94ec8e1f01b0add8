import { describe, expect, it } from "vitest";
import {
  applyFrame,
  eventRate,
  type LiveMinute,
  type LiveState,
  laggingSince,
  lastMinutes,
  MINUTE_MS,
} from "../../../workers/console/live/minutes.ts";

const T0 = Date.UTC(2026, 10, 22, 5, 0);

function minute(offset: number, events: number, more: Partial<LiveMinute> = {}): LiveMinute {
  return {
    start: new Date(T0 + offset * MINUTE_MS).toISOString(),
    events,
    users: 1,
    revenue: {},
    event_name: [],
    country: [],
    device_type: [],
    page_path: [],
    state: "final",
    version: 1,
    ...more,
  };
}

const snapshot = (now: number, ...minutes: LiveMinute[]): LiveState =>
  applyFrame(null, { type: "snapshot", seq: 0, at: new Date(now).toISOString(), minutes }, now);
const change = (state: LiveState, now: number, changed: LiveMinute): LiveState =>
  applyFrame(state, { type: "minute", seq: 1, at: new Date(now).toISOString(), ...changed }, now);

describe("the last hour", () => {
  it("has a place for each minute, the running one last, empty ones included", () => {
    const state = snapshot(T0, minute(-2, 5), minute(0, 7));
    const shown = lastMinutes(state, T0 + 30_000);
    expect(shown).toHaveLength(60);
    expect(shown.slice(-3).map((entry) => entry.minute?.events)).toEqual([5, undefined, 7]);
    expect(shown.at(-1)?.start).toBe(T0);
  });

  it("slides on although nothing arrives", () => {
    const state = snapshot(T0, minute(0, 7));
    expect(lastMinutes(state, T0 + 59 * MINUTE_MS)[0]?.minute?.events).toBe(7);
    expect(lastMinutes(state, T0 + 60 * MINUTE_MS).every((entry) => entry.minute === null)).toBe(true);
  });

  it("goes by the server's clock where this browser's is wrong", () => {
    const wrong = T0 - 3 * 60 * MINUTE_MS;
    const state = applyFrame(
      null,
      { type: "snapshot", seq: 0, at: new Date(T0).toISOString(), minutes: [minute(0, 7)] },
      wrong,
    );
    expect(lastMinutes(state, wrong).at(-1)?.minute?.events).toBe(7);
  });

  it("replaces a minute by its newer state, also an older one that a late event changed", () => {
    let state = snapshot(T0, minute(-5, 10), minute(0, 1));
    state = change(state, T0, minute(-5, 11, { version: 2 }));
    state = change(state, T0, minute(0, 4));
    const shown = lastMinutes(state, T0).flatMap((entry) => entry.minute?.events ?? []);
    expect(shown).toEqual([11, 4]);
  });
});

describe("events per second", () => {
  it("is the last whole minute's until ten seconds have been watched, then what arrived in ten seconds", () => {
    let state = snapshot(T0, minute(-1, 120));
    expect(eventRate(state, T0)).toBe(2);
    state = change(state, T0 + 6_000, minute(0, 30));
    state = change(state, T0 + 12_000, minute(0, 50));
    expect(eventRate(state, T0 + 12_000)).toBe(5);
    expect(eventRate(state, T0 + 30_000)).toBe(0);
  });

  it("is the running minute's where there is no whole one yet", () => {
    expect(eventRate(snapshot(T0 + 40_000, minute(0, 120)), T0 + 40_000)).toBe(3);
    expect(eventRate(snapshot(T0 + 1_000, minute(0, 50)), T0 + 1_000)).toBe(5);
  });

  it("does not take what came during a gap in the connection for a burst", () => {
    let state = snapshot(T0, minute(0, 10));
    state = applyFrame(
      state,
      { type: "snapshot", seq: 9, at: new Date(T0 + 60_000).toISOString(), minutes: [minute(0, 5_000)] },
      T0 + 60_000,
    );
    expect(eventRate(state, T0 + 65_000)).toBeCloseTo(5_000 / 60);
    expect(eventRate(state, T0 + 71_000)).toBe(0);
  });
});

describe("a minute that should long have been final", () => {
  it("is told, the oldest of them, by the server's clock", () => {
    const provisional = { state: "provisional" } as const;
    const state = snapshot(T0, minute(-9, 1), minute(-6, 1, provisional), minute(-5, 1, provisional), minute(0, 1));
    expect(laggingSince(state, T0)).toBe(T0 - 6 * MINUTE_MS);
    const well = snapshot(T0, minute(-6, 1), minute(-3, 1, provisional), minute(0, 1, provisional));
    expect(laggingSince(well, T0)).toBeNull();
    expect(laggingSince(well, T0 + 2 * MINUTE_MS)).toBe(T0 - 3 * MINUTE_MS);
  });
});
