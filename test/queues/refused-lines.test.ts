import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LogStep } from "../../queues/read-log.ts";
import { EventsRefused } from "../../queues/refusal.ts";
import { refusedHole } from "../../queues/refused-lines.ts";
import type { Sink, SinkStep } from "../../queues/sink.ts";
import type { EventRow, QuarantineRow } from "../../r2-layout/event-columns.ts";
import { LOG, SINK } from "../../r2-layout/limits.ts";
import type { SegmentRef } from "../../r2-layout/segment.ts";

const error = new TypeError("no");

/** A segment of so many lines, every third of them quarantined. */
function stepOf(count: number): { read: LogStep; step: SinkStep } {
  const events: EventRow[] = [];
  const quarantine: QuarantineRow[] = [];
  const lineOf = new Map<EventRow | QuarantineRow, number>();
  for (let line = 0; line < count; line++) {
    const row = { event_id: String(line) } as EventRow & QuarantineRow;
    lineOf.set(row, line);
    if (line % 3 === 2) quarantine.push(row);
    else events.push(row);
  }
  const ref = { seq: 7, key: "log/7", events: count, quarantined: quarantine.length } as SegmentRef;
  const rows = { shard: 0, from: 6, to: 7, events, quarantine } as unknown as SinkStep;
  return { read: { ...rows, segments: [ref], lineOf } as unknown as LogStep, step: { ...rows, token: 1 } };
}

/** A sink that refuses these lines, alone or together (`together`: only where all of them are in one step). */
function sinkOf(bad: ReadonlySet<number>, together = false) {
  let trials = 0;
  const sink = {
    trial: async ({ events, quarantine }: SinkStep) => {
      trials++;
      const lines = [...events, ...quarantine].map(({ event_id }) => Number(event_id));
      const found = lines.filter((line) => bad.has(line));
      if (together ? found.length === bad.size : found.length > 0) throw error;
    },
  } as unknown as Sink;
  return { sink, trials: () => trials };
}

describe("the lines of a segment that are at fault", () => {
  it("are those that are refused alone, as long as few of many are", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 300 }),
        fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
        async (count, some) => {
          const bad = new Set(some.map((line) => line % count));
          const { read, step } = stepOf(count);
          const { sink, trials } = sinkOf(bad);
          const hole = await refusedHole(read, step, sink, error);
          const lines = [...bad].sort((a, b) => a - b);
          expect(hole.lines).toEqual(lines.length === count ? "all" : lines);
          expect([hole.events + hole.quarantined, hole.quarantined]).toEqual([
            lines.length,
            lines.filter((line) => line % 3 === 2).length,
          ]);
          expect(trials()).toBeLessThanOrEqual(SINK.poisonTrials);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("is found alone in the largest segment that there is", async () => {
    const { read, step } = stepOf(LOG.segmentEvents);
    const { sink, trials } = sinkOf(new Set([12_345]));
    expect(await refusedHole(read, step, sink, error)).toMatchObject({ lines: [12_345], of: LOG.segmentEvents });
    expect(trials()).toBeLessThanOrEqual(SINK.poisonTrials);
  });

  it("promise 9: go together where SINK.poisonTrials do not tell them apart, and no good one but their neighbours with them", async () => {
    const bad = new Set(Array.from({ length: 500 }, (_, i) => 2 * i));
    const { read, step } = stepOf(1_000);
    const { sink, trials } = sinkOf(bad);
    const { lines } = await refusedHole(read, step, sink, error);
    expect(trials()).toBe(SINK.poisonTrials);
    const left = new Set(lines === "all" ? Array.from({ length: 1_000 }, (_, i) => i) : lines);
    for (const line of bad) expect(left).toContain(line);
  });

  it("are all of what is refused only together", async () => {
    const { read, step } = stepOf(16);
    expect(await refusedHole(read, step, sinkOf(new Set([0, 15]), true).sink, error)).toMatchObject({ lines: "all" });
  });

  it("are all where trying refuses none, or cannot be done", async () => {
    const { read, step } = stepOf(5);
    expect(await refusedHole(read, step, sinkOf(new Set()).sink, error)).toMatchObject({
      lines: "all",
      events: 4,
      quarantined: 1,
    });
    expect(await refusedHole(read, step, {} as Sink, error)).toMatchObject({ lines: "all" });
  });

  it("are those that the sink names", async () => {
    const { read, step } = stepOf(5);
    const refused = new EventsRefused([step.events[1]!, step.events[3]!], error);
    expect(await refusedHole(read, step, {} as Sink, refused)).toMatchObject({
      lines: [1, 4],
      events: 2,
      quarantined: 0,
    });
  });

  it("are not told in an outage: it is thrown", async () => {
    const { read, step } = stepOf(5);
    const sink = { trial: () => Promise.reject(new Error("down")) } as unknown as Sink;
    await expect(refusedHole(read, step, sink, error)).rejects.toThrow("down");
  });
});
