import { describe, expect, it } from "vitest";
import type { DashboardTile } from "../../../../durable-objects/dashboards/dashboard.ts";
import type { Definition } from "../../../../workers/console/live/definitions.ts";
import { OVERVIEW } from "../../../../workers/console/live/overview.ts";
import { runningText, startText, titleOf } from "../../../../workers/console/live/titles.ts";
import { labelText, valueText } from "../../../../workers/console/live/values.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;
const tile = (rest: Partial<DashboardTile>): DashboardTile => ({ ...OVERVIEW.tiles[0]!, ...rest });
const definition = (name: string, measure: Definition["measure"] = "count"): Definition => ({
  id: "t1",
  name,
  measure,
  grain_minutes: 1,
  filter: {},
  state: "ready",
  progress: 1,
});

describe("a tile that nobody has named", () => {
  it.each<[Partial<DashboardTile>, Definition | null, number, string]>([
    [{}, null, MINUTE, "Events, last 60 minutes"],
    [{ metric: "rate" }, null, MINUTE, "Events per second"],
    [{ metric: "users" }, null, MINUTE, "Users this minute"],
    [{ metric: "users" }, null, DAY, "Users today"],
    [{ view: "chart" }, null, 60 * MINUTE, "Events per hour"],
    [{ view: "chart", by: "event_name" }, null, MINUTE, "Events per minute by event name"],
    [{ view: "list", by: "page_path" }, null, MINUTE, "Pages"],
    [{ view: "list", metric: "t1", by: "properties.plan" }, definition("Plans"), MINUTE, "Plans by plan"],
    [{ view: "list", metric: "t1", by: "country" }, definition("Revenue by country"), MINUTE, "Revenue by country"],
    [{ metric: "t1" }, definition("Conversion", "ratio"), MINUTE, "Conversion"],
    [{ metric: "t1" }, definition("Buyers", "distinct"), 5 * MINUTE, "Buyers in these 5 minutes"],
    [{ view: "funnel", metric: "t1" }, definition("Shopping", "funnel"), MINUTE, "Shopping, last hour"],
    [{ metric: "t1" }, null, MINUTE, "A rollup that is gone, last 60 minutes"],
    [{ title: "Mine" }, null, MINUTE, "Mine"],
  ])("%j is called by what it shows", (shown, counted, grainMs, title) => {
    expect(titleOf(tile(shown), counted, "60m", grainMs)).toBe(title);
  });

  it("tells days by UTC, as they are counted", () => {
    expect(startText(Date.UTC(2026, 10, 22), DAY)).toBe("Nov 22");
    expect(runningText(DAY)).toBe("today");
  });
});

describe("a value", () => {
  it.each([
    ["count", 1_234_567, {}, "1.2M"],
    ["count", 12_345, {}, "12,345"],
    ["rate", 5.25, {}, "5.3"],
    ["money", 19.5, { currency: "EUR" }, "€19.50"],
    ["share", 0.0625, {}, "6.3%"],
    ["share", null, {}, "–"],
    ["number", 1.239, {}, "1.24"],
  ] as const)("%s %j is told as people read it", (unit, value, key, text) => {
    expect(valueText(unit, value, key)).toBe(text);
  });

  it("of a country has its name, and of two fields what they say", () => {
    expect(labelText("DE", ["country"])).toBe("Germany");
    expect(labelText("DE · mobile", ["country", "device_type"])).toBe("DE · mobile");
    expect(labelText("(other)", ["country"])).toBe("(other)");
  });
});
