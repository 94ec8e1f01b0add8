import { expect, it } from "vitest";
import { addTrial, type TrialJson, type TrialSum } from "../../workers/trial-json.ts";

const answer = (next: string | null, failures: readonly [string, number][], samples = 0): TrialJson => ({
  ...{ event_name: "Paid", version: 2, from: "2026-11-21T00:00:00Z", to: "2026-11-22T00:00:00Z", next },
  ...{ events: 10, segments: 64, unreadable: 1, sources: [{ source: "shop", events: 10 }] },
  would_fail: failures.reduce((sum, [, events]) => sum + events, 0),
  failures: failures.map(([app_version, events]) => ({
    ...{ source: "shop", app_version, field: "properties.total", expected: "required", events },
  })),
  samples: Array.from({ length: samples }, (_, i) => ({
    ...{ event_id: `e${i}`, source: "shop", app_version: null, field: null, expected: null, actual: null },
    ...{ shard: 0, seq: i },
  })),
});

it("is one over all calls: failures of one kind together, the most frequent first, the first samples", () => {
  const answers = [answer("0-64-1", [["1.0", 3]], 8), answer("1-9-1", [["2.0", 4]], 8), answer(null, [["1.0", 2]])];
  const sum = answers.reduce<TrialSum | null>((before, one) => addTrial(before, one), null)!;
  expect(sum).toMatchObject({ events: 30, would_fail: 9, segments: 192, unreadable: 3 });
  expect(sum.sources).toEqual([{ source: "shop", events: 30 }]);
  expect(sum.failures.map(({ app_version, events }) => [app_version, events])).toEqual([
    ["1.0", 5],
    ["2.0", 4],
  ]);
  expect(sum.samples).toHaveLength(10);
  expect(sum).not.toHaveProperty("next");
});
