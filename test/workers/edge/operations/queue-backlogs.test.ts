import { afterEach, describe, expect, it, vi } from "vitest";
import { type MeteredQueue, queueBacklogs } from "../../../../workers/edge/operations/queue-backlogs.ts";

const NOW = 1_000_000;
const telling = (backlogCount: number, backlogBytes: number, since?: number): MeteredQueue => ({
  metrics: async () => ({
    backlogCount,
    backlogBytes,
    ...(since !== undefined && { oldestMessageTimestamp: new Date(since) }),
  }),
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe("what waits on the queues", () => {
  it("is told with the age of its oldest message, and without one where nothing waits", async () => {
    expect(await queueBacklogs([telling(3, 900, NOW - 4_500), telling(0, 0, 0)], NOW)).toEqual([
      { queue: "events-0", shard: 0, objective_seconds: 30, messages: 3, bytes: 900, oldest_seconds: 4.5 },
      { queue: "events-1", shard: 1, objective_seconds: 30, messages: 0, bytes: 0, oldest_seconds: null },
    ]);
  });

  it("promise 9: is told of the others where a queue fails or keeps silent", async () => {
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    vi.useFakeTimers();
    const failing: MeteredQueue = { metrics: () => Promise.reject(new Error("no")) };
    const silent: MeteredQueue = { metrics: () => new Promise(() => {}) };
    const told = queueBacklogs([failing, silent, telling(1, 10, NOW)], NOW);
    await vi.runAllTimersAsync();
    expect((await told).map(({ messages }) => messages)).toEqual([null, null, 1]);
    expect(warned).toHaveBeenCalledTimes(2);
  });
});
