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
  const made = new Slice({} as ReplayDeskApi, { job, token: 1, rules: 0 }, { now: () => now, ratePerSecond: rate });
  return {
    slice: made,
    work: (events: number, ms: number) => {
      made.count(events);
      now += ms;
    },
  };
}

it("keeps a job within its rate, over its pauses", () => {
  const { slice: one, work } = slice(1_000);
  work(2_000, 500);
  expect(one.over).toBe(true);
  expect(one.pauseMs()).toBe(1_500);
});

it("works for its share of the time beside live traffic, and all of it where there is none", () => {
  const { slice: one, work } = slice(1_000_000);
  work(1_000, 600);
  expect(one.over).toBe(false);
  expect(one.pauseMs()).toBe(600 * (1 / REPLAY.duty - 1));
  one.isQuiet = true;
  expect(one.pauseMs()).toBe(0);
});

it("has time for at least one step, however slow the rate", () => {
  const { slice: one, work } = slice(1);
  expect(one.over).toBe(false);
  work(1, 1);
  expect(one.over).toBe(false);
  work(1, 1);
  expect(one.over).toBe(true);
});

it("makes no room any more while a rebuild reads what came live meanwhile: else it might never meet the live store", async () => {
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
  expect((await held(1)).why).toContain("lake of shard 0");
  expect(await held(2)).toEqual({ why: null, isQuiet: true });
});
