import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parser } from "@prometheus-io/lezer-promql";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { LogStatus } from "../../durable-objects/event-log/api.ts";
import { addLedgers, shardLedger } from "../../durable-objects/event-log/ledger.ts";
import type { DeskOverview } from "../../durable-objects/replay-desk/api.ts";
import { contractMetricLines } from "../../workers/edge/contracts/health-json.ts";
import { erasureMetricLines } from "../../workers/edge/erasures/erasures-overview.ts";
import { icebergMetricLines } from "../../workers/edge/iceberg-metrics.ts";
import { lakeMetricLines } from "../../workers/edge/lake-metrics.ts";
import { prometheusText } from "../../workers/edge/metrics.ts";
import { operationsMetricLines } from "../../workers/edge/operations/operations-metrics.ts";
import { replayMetricLines } from "../../workers/edge/replay-metrics.ts";
import type { OperationsJson } from "../../workers/operations-json.ts";

const deployed = (name: string) => readFileSync(join(import.meta.dirname, "../../scripts/deploy", name), "utf8");
const rules = deployed("alert-rules.yml");
const dashboard = JSON.parse(deployed("grafana-dashboard.json")) as Dashboard;

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string; readonly promise: string };
  readonly annotations: { readonly summary: string; readonly action: string };
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

const RULES = (parse(rules) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);
const PANELS = dashboard.panels.filter(({ type }) => type !== "row");
const QUERIES = PANELS.flatMap(({ title, targets }) => (targets ?? []).map(({ expr }) => ({ title, expr })));

/** Where Prometheus would not understand it; empty where it would. */
function mistakes(expr: string): string[] {
  const found: string[] = [];
  parser.parse(expr).iterate({
    enter: ({ type, from, to }) => {
      if (type.isError) found.push(`at ${from}: ${expr.slice(from, to + 20)}`);
    },
  });
  return found;
}

const figuresOf = (text: string): Set<string> =>
  new Set(Array.from(text.matchAll(/\beventpile_\w+/g), ([name]) => name));

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
    ...operationsMetricLines(OPERATIONS),
    ...erasureMetricLines({ open: 0, overdue: 0, check: null }, 0),
    ...contractMetricLines({ judged_through: null, open_breaks: 0, breaks: [], webhooks: [] }, 0),
  ].join("\n");
  return new Set(Array.from(text.matchAll(/^# TYPE (\w+) /gm), ([, name]) => name!));
}

const OPERATIONS = {
  ledger: { today: {} },
  sinks: [],
  queues: [],
  objects: [],
  lake: {},
  cost_today: { parts: [], dollars_per_million: null },
} as unknown as OperationsJson;

describe("the example alert rules", () => {
  it("has a rule for each promise", () => {
    const promises = Array.from(rules.matchAll(/promise: "(\d+)"/g), ([, promise]) => Number(promise));
    expect([...new Set(promises)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("asks only for figures that /metrics has", () => {
    const asked = figuresOf(rules);
    const names = declared();
    expect(asked.size).toBeGreaterThan(10);
    expect([...asked].filter((name) => !names.has(name))).toEqual([]);
  });

  it.each(RULES)(
    "$alert is an expression of Prometheus', and says what to do",
    ({ alert, expr, labels, annotations }) => {
      expect(mistakes(expr)).toEqual([]);
      expect(["page", "ticket"]).toContain(labels.severity);
      expect(annotations.action.length, alert).toBeGreaterThan(20);
      expect(annotations.summary, alert).toMatch(/\.$/);
    },
  );

  it("has a name for each", () => {
    expect(new Set(RULES.map(({ alert }) => alert)).size).toBe(RULES.length);
  });
});

describe("the Grafana dashboard", () => {
  it("asks only for figures that /metrics has, and for most of those that a rule watches", () => {
    const asked = figuresOf(QUERIES.map(({ expr }) => expr).join("\n"));
    const names = declared();
    expect([...asked].filter((name) => !names.has(name))).toEqual([]);
    expect(asked.size).toBeGreaterThan(25);
  });

  it.each(QUERIES)("$title: $expr is an expression of Prometheus'", ({ expr }) => {
    expect(mistakes(expr)).toEqual([]);
  });

  it("explains each panel, in a unit, and lays none over another", () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    for (const { title, description, fieldConfig, targets } of PANELS) {
      expect([title, Boolean(description), Boolean(fieldConfig?.defaults.unit)]).toEqual([title, true, true]);
      const names = targets!.map(({ refId }) => refId);
      expect([title, new Set(names).size]).toEqual([title, names.length]);
    }
    const taken = new Map<string, string>();
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect([title, taken.get(`${x},${y}`)]).toEqual([title, undefined]);
          taken.set(`${x},${y}`, title);
        }
      }
    }
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
