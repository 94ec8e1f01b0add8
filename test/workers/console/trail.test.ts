import { describe, expect, it } from "vitest";
import { rateAt, rates, type Sample, withSample } from "../../../workers/console/operations/trail.ts";
import type { OperationsJson } from "../../../workers/operations-json.ts";

/** As the edge answers so many milliseconds after a start. */
const answer = (ms: number, accepted: number, lag = 0): OperationsJson =>
  ({
    at: new Date(1_000_000 + ms).toISOString(),
    ledger: { total: { accepted } },
    sinks: [{ sink: "lake", lag_seconds: lag }],
    queues: [{ messages: 2 }, { messages: null }],
  }) as unknown as OperationsJson;

const trailOf = (...answers: OperationsJson[]) => answers.reduce<readonly Sample[]>(withSample, []);

describe("what the page has seen", () => {
  it("gives a rate over the last ten seconds, none from a single answer", () => {
    expect(rateAt(trailOf(answer(0, 100)))).toBeNull();
    expect(rateAt([])).toBeNull();
    const trail = trailOf(answer(0, 0), answer(2_000, 100), answer(12_000, 200), answer(22_000, 1_200));
    expect(rateAt(trail)).toBe(100);
    expect(rates(trail)).toEqual([50, 10, 100]);
  });

  it("counts an answer that is seen twice once, and what waits on queues that spoke", () => {
    const trail = trailOf(answer(0, 1, 4), answer(0, 1, 4));
    expect(trail).toMatchObject([{ waiting: 2, lag: { lake: 4 } }]);
  });

  it("begins anew with another system, whose counts are lower", () => {
    expect(trailOf(answer(0, 500), answer(2_000, 600), answer(4_000, 3))).toMatchObject([{ accepted: 3 }]);
  });

  it("promise 9: keeps five minutes of it", () => {
    const trail = trailOf(...Array.from({ length: 400 }, (_, i) => answer(2_000 * i, i)));
    expect(trail).toHaveLength(150);
    expect(trail.at(-1)).toMatchObject({ accepted: 399 });
  });
});
