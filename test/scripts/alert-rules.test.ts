import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { LogStatus } from "../../durable-objects/event-log/api.ts";
import { addLedgers, shardLedger } from "../../durable-objects/event-log/ledger.ts";
import type { DeskOverview } from "../../durable-objects/replay-desk/api.ts";
import { icebergMetricLines } from "../../workers/edge/iceberg-metrics.ts";
import { lakeMetricLines } from "../../workers/edge/lake-metrics.ts";
import { prometheusText } from "../../workers/edge/metrics.ts";
import { replayMetricLines } from "../../workers/edge/replay-metrics.ts";

const rules = readFileSync(join(import.meta.dirname, "../../scripts/deploy/alert-rules.yml"), "utf8");

const IDLE = { cursor: 0, applied: { events: 0, quarantined: 0 }, moved_at: 0 };
const STATUS = { shard: 0, head: 0, ids: 0, id_memory_bytes: 0 } as LogStatus;

/** Every name that /metrics declares, whether it has samples yet or not. */
function declared(): Set<string> {
  const shard = shardLedger(0, STATUS, { lake: IDLE, sessions: IDLE, rollups: IDLE }, {}, 0);
  const lake = { snapshot: 0, files: 0, bytes: 0, rows: { events: 0, quarantine: 0 }, cursors: {} };
  const desk = { jobs: [], settled: [], rules: 0 } as unknown as DeskOverview;
  const text = [
    prometheusText(addLedgers([shard])),
    ...lakeMetricLines(lake),
    ...icebergMetricLines([], 0),
    ...replayMetricLines(desk),
  ].join("\n");
  return new Set(Array.from(text.matchAll(/^# TYPE (\w+) /gm), ([, name]) => name!));
}

describe("the example alert rules", () => {
  it("has a rule for each promise", () => {
    const promises = Array.from(rules.matchAll(/promise: "(\d+)"/g), ([, promise]) => Number(promise));
    expect([...new Set(promises)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("asks only for figures that /metrics has", () => {
    const asked = new Set(Array.from(rules.matchAll(/\beventpile_\w+/g), ([name]) => name));
    const names = declared();
    expect(asked.size).toBeGreaterThan(10);
    expect([...asked].filter((name) => !names.has(name))).toEqual([]);
  });
});

describe("the lake's figures", () => {
  it("promise 3: tell rows that no cursor has applied", () => {
    const applied = { ...IDLE, applied: { events: 10, quarantined: 0 } };
    const status = { snapshot: 1, files: 1, bytes: 1, rows: { events: 9, quarantine: 0 }, cursors: { 0: applied } };
    const unaccounted = (more: object) =>
      lakeMetricLines({ ...status, ...more }).find((line) => line.startsWith("eventpile_lake_rows_unaccounted"));
    expect(unaccounted({})).toBe("eventpile_lake_rows_unaccounted -1");
    expect(unaccounted({ retracted: 1 })).toBe("eventpile_lake_rows_unaccounted 0");
    expect(unaccounted({ retracted: 2, rebuilt: 1 })).toBe("eventpile_lake_rows_unaccounted 0");
    expect(unaccounted({ expired: 1 })).toBe("eventpile_lake_rows_unaccounted 0");
    expect(lakeMetricLines({ ...status, expired: 7 })).toContain("eventpile_lake_expired_events_total 7");
  });
});
