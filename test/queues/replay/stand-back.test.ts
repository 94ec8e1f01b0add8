import { expect, it, vi } from "vitest";
import type { Job, ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import { holdJob } from "../../../queues/replay/driver.ts";
import { Slice } from "../../../queues/replay/slice.ts";
import { type Looks, NO_LOOKS, type SinkLag, standBack } from "../../../queues/replay/stand-back.ts";
import { REPLAY } from "../../../r2-layout/limits.ts";

const lag = (lagMs: number, cursor: number): SinkLag => ({ sink: "lake", shard: 3, cursor, lagMs });
const LONG = REPLAY.liveLagMs + 5_000;

it("stands back while a live sink lags and moves, says for whom, and goes on once it has caught up", () => {
  const first = standBack(NO_LOOKS, [lag(LONG, 5)], 1_000);
  expect(first.why).toMatch(/lake of shard 3 lags \d+ s/);
  const second = standBack(first.looks, [lag(LONG, 6)], 3_000);
  expect(second.why).not.toBeNull();
  expect(second.looks.since).toBe(1_000);
  expect(standBack(second.looks, [lag(0, 9)], 5_000)).toMatchObject({ why: null, looks: { since: null } });
});

it("does not wait for a sink that is down: it would gain nothing", () => {
  const first = standBack(NO_LOOKS, [lag(LONG, 5)], 0);
  expect(standBack(first.looks, [lag(LONG + 2_000, 5)], 2_000).why).toBeNull();
});

it("lets one slice go on all the same when it has stood back for long, and stands back anew after it", () => {
  let looks: Looks = NO_LOOKS;
  let slices = 0;
  for (let at = 0; at <= 10 * REPLAY.standBackMaxMs; at += REPLAY.standBackMs) {
    const next = standBack(looks, [lag(LONG, at)], at);
    if (next.why === null) slices++;
    looks = next.looks;
  }
  expect(slices).toBeGreaterThanOrEqual(9);
  expect(slices).toBeLessThanOrEqual(10);
});

const job = { id: "j", spec: { rate: 1_000 }, meter: { read: 0, total: null, rate: 0 } } as unknown as Job;
function slice(rate: number) {
  let now = 0;
  const pauses: number[] = [];
  const pause = async (ms: number) => {
    pauses.push(ms);
    now += ms;
  };
  const options = { now: () => now, ratePerSecond: rate, pause };
  const made = new Slice({} as ReplayDeskApi, { job, token: 1, rules: 0 }, options);
  return {
    slice: made,
    pauses,
    work: (events: number, ms: number) => {
      made.count(events);
      now += ms;
    },
  };
}

it("keeps a job within its rate, over its pauses", () => {
  const { slice: one, work } = slice(1_000);
  work(REPLAY.sliceMs, 500);
  expect(one.over).toBe(true);
  expect(one.pauseMs()).toBe(REPLAY.sliceMs - 500);
});

it("works for its share of the time beside live traffic, and all of it where there is none", () => {
  const { slice: one, work } = slice(1_000_000);
  work(1_000, 600);
  expect(one.over).toBe(false);
  expect(one.pauseMs()).toBe(Math.ceil(600 * (1 / REPLAY.duty - 1)));
  one.isQuiet = true;
  expect(one.pauseMs()).toBe(0);
});

it("makes room after each step, for as long as that took its share, and no longer than bounded", async () => {
  const { slice: one, work, pauses } = slice(1_000_000);
  await one.makeRoom();
  expect(pauses).toEqual([]);
  for (const ms of [100, 300]) {
    work(1_000, ms);
    await one.makeRoom();
    expect(pauses.at(-1)).toBeCloseTo(ms * (1 / REPLAY.duty - 1));
    expect(one.pauseMs()).toBeLessThanOrEqual(1);
  }
  work(1_000, 60_000);
  await one.makeRoom();
  expect(pauses.at(-1)).toBe(REPLAY.roomMaxMs);
  one.isQuiet = true;
  work(1_000, 100);
  await one.makeRoom();
  expect(pauses).toHaveLength(3);
});

it("has time for at least one step, however slow the rate", () => {
  const { slice: one, work } = slice(0.001);
  expect(one.over).toBe(false);
  work(1, 1);
  expect(one.over).toBe(true);
});

it("makes no room any more when a rebuild reads for some rounds what came live meanwhile: else it might never meet the live store", async () => {
  const lagging = {
    getByName: () => ({
      status: async () => ({ cursors: { lake: 1 }, committed_at: 0 }),
      tally: async () => ({ past: { lake: { since: 0 } } }),
    }),
  } as never;
  const held = async (rounds: number) => {
    const slice = {
      job: { kind: "rebuild", state: "running", phase: "build" } as Job,
      progress: { looks: NO_LOOKS, sinks: { lake: { stage: "read", rounds } } },
      now: () => LONG,
      save: vi.fn(async () => {}),
      isQuiet: false,
    };
    return { why: await holdJob(slice, lagging, 1), isQuiet: slice.isQuiet };
  };
  expect((await held(REPLAY.roomRounds)).why).toContain("lake of shard 0");
  expect(await held(REPLAY.roomRounds + 1)).toEqual({ why: null, isQuiet: true });
});
