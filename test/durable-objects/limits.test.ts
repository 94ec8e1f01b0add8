/** Promise 9 in the objects' pure parts: each bound at its value and one beyond it. */
import { describe, expect, it } from "vitest";
import { dedupWindowMs } from "../../durable-objects/event-log/dedup-window.ts";
import { WakeSchedule } from "../../durable-objects/event-log/wake-schedule.ts";
import { liveWindow } from "../../durable-objects/minute-rollup/live-window.ts";
import { minuteDeltas } from "../../durable-objects/minute-rollup/minute-delta.ts";
import { parseRollupQuery } from "../../durable-objects/minute-rollup/read.ts";
import { addDelta, emptyState } from "../../durable-objects/minute-rollup/rollup-state.ts";
import { shardMinute } from "../../durable-objects/minute-rollup/shard-minute.ts";
import { decodeSketch } from "../../durable-objects/minute-rollup/user-sketch.ts";
import { BoundedCounts, OTHER } from "../../durable-objects/user-timeline/bounded-counts.ts";
import { sessionsOf } from "../../durable-objects/user-timeline/session-rule.ts";
import { DAY_MS, HOUR_MS, LIVE, LOG, MINUTE_MS, ROLLUP, TIMELINE } from "../../r2-layout/limits.ts";
import { plainEvent } from "./minute-rollup/events.ts";
import { plainEvent as loggedEvent } from "./user-timeline/events.ts";

const NOW = Date.UTC(2026, 10, 22, 12);

it("the dedup window may be set to LOG.dedupWindowDaysMin..dedupWindowDaysMax days, no less and no more", () => {
  const set = (days: number) => dedupWindowMs({ DEDUP_WINDOW_DAYS: String(days) });
  // LOG.dedupWindowDaysMin, LOG.dedupWindowDaysMax
  expect(set(LOG.dedupWindowDaysMin)).toBe(LOG.dedupWindowDaysMin * DAY_MS);
  expect(() => set(LOG.dedupWindowDaysMin - 1)).toThrow(RangeError);
  expect(set(LOG.dedupWindowDaysMax)).toBe(LOG.dedupWindowDaysMax * DAY_MS);
  expect(() => set(LOG.dedupWindowDaysMax + 1)).toThrow(RangeError);
  expect(() => set(7.5)).toThrow(RangeError);
});

describe("the wall", () => {
  it("shows LIVE.minutes minutes and LIVE.minutesAhead ahead of the clock, not one more on either side", () => {
    const { from, to } = liveWindow(NOW + 30_000);
    expect(to - from).toBe((LIVE.minutes + LIVE.minutesAhead) * MINUTE_MS);
    expect(from).toBe(NOW - (LIVE.minutes - 1) * MINUTE_MS);
    expect(to).toBe(NOW + (1 + LIVE.minutesAhead) * MINUTE_MS);
  });

  it("is told LIVE.topPublished values of a dimension by each shard, the largest", () => {
    const published = (values: number) => {
      const events = Array.from({ length: values }, (_, value) =>
        Array.from({ length: 1 + (value === 0 ? 0 : 1) }, () =>
          plainEvent({ event_time: NOW * 1_000, page_path: `/${value}` }),
        ),
      ).flat();
      const state = emptyState();
      for (const delta of minuteDeltas(events)) addDelta(state, delta, decodeSketch(delta.users));
      return shardMinute({ minute: NOW, version: 1, state }).top.page_path;
    };
    expect(published(LIVE.topPublished).length).toBe(LIVE.topPublished);
    const cut = published(LIVE.topPublished + 1);
    expect(cut.length).toBe(LIVE.topPublished);
    // The smallest is the one that is left out.
    expect(cut.map(([value]) => value)).not.toContain("/0");
  });
});

describe("GET /v1/rollups", () => {
  const query = (grain: string, from: number, to: number) =>
    parseRollupQuery(
      new URLSearchParams({ grain, from: new Date(from).toISOString(), to: new Date(to).toISOString() }),
      NOW,
    );

  it("gives ROLLUP.pointsPerAnswer points, and refuses a range of one more", () => {
    expect(query("hour", NOW - ROLLUP.pointsPerAnswer * HOUR_MS, NOW).ok).toBe(true);
    expect(query("hour", NOW - (ROLLUP.pointsPerAnswer + 1) * HOUR_MS, NOW)).toMatchObject({ ok: false });
  });

  it("gives minutes of the last ROLLUP.minutesKeptMs, and refuses older ones by name", () => {
    expect(query("minute", NOW - ROLLUP.minutesKeptMs, NOW).ok).toBe(true);
    expect(query("minute", NOW - ROLLUP.minutesKeptMs - 1, NOW)).toMatchObject({
      ok: false,
      error: { parameter: "from" },
    });
  });
});

it("a timeline sums TIMELINE.currencies currencies apart, and the rest together", () => {
  const sums = (count: number) => {
    const counts = new BoundedCounts(TIMELINE.currencies);
    for (let i = 0; i < count; i++) counts.add(`C${String(i).padStart(2, "0")}`, 5n);
    return new Map(counts.entries());
  };
  expect(sums(TIMELINE.currencies).size).toBe(TIMELINE.currencies);
  expect(sums(TIMELINE.currencies).has(OTHER)).toBe(false);
  const more = sums(TIMELINE.currencies + 1);
  expect(more.size).toBe(TIMELINE.currencies + 1);
  expect(more.get(OTHER)).toBe(5n);
});

describe("a sink that is behind", () => {
  it("is woken LOG.wakeIntervalMs after the last time where something moved, not a millisecond earlier", () => {
    const wakes = new WakeSchedule();
    wakes.sent("lake", 1, 0, NOW);
    expect(wakes.dueAt("lake", 2, 0)).toBe(NOW + LOG.wakeIntervalMs);
  });

  it("is woken LOG.wakeIntervalMaxMs after the last time at most, however long nothing moves", () => {
    const wakes = new WakeSchedule();
    const waits: number[] = [];
    for (let i = 0; i < 12; i++) {
      wakes.sent("lake", 1, 0, NOW);
      waits.push(wakes.dueAt("lake", 1, 0)! - NOW);
    }
    expect(Math.max(...waits)).toBe(LOG.wakeIntervalMaxMs);
    expect(waits.at(-2)).toBe(LOG.wakeIntervalMaxMs);
    expect(waits[0]).toBe(LOG.wakeIntervalMs);
  });
});

it("a session goes on until TIMELINE.sessionGapMs of silence, and another begins then", () => {
  const sessions = (apartUs: number) =>
    sessionsOf([0, apartUs].map((at) => loggedEvent({ event_id: `${at}`, event_time: NOW * 1_000 + at }))).length;
  expect(sessions(TIMELINE.sessionGapMs * 1_000 - 1)).toBe(1);
  expect(sessions(TIMELINE.sessionGapMs * 1_000)).toBe(2);
});
