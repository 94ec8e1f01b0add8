import { describe, expect, it } from "vitest";
import { isDashboardId, parseDashboard } from "../../../durable-objects/dashboards/parse-dashboard.ts";
import { DASHBOARDS, RULE } from "../../../r2-layout/limits.ts";
import { ok } from "../../../r2-layout/result.ts";

const DEFINITION = "t0123456789abcdef";
const tile = { id: "orders", title: "Orders", view: "figure", metric: "events", by: null, width: 1 };
const dashboard = { name: "Shop", span: "24h", filter: { country: ["DE", "AT"] }, tiles: [tile] };

describe("a dashboard", () => {
  it("is what was said, with what was left out at its default", () => {
    expect(parseDashboard(dashboard)).toEqual(ok(dashboard));
    const short = { name: " Shop ", tiles: [{ id: "a", view: "list", metric: "events", by: "page_path" }] };
    expect(parseDashboard(short)).toEqual(
      ok({
        name: "Shop",
        span: "60m",
        filter: {},
        tiles: [{ id: "a", title: "", view: "list", metric: "events", by: "page_path", width: 1 }],
      }),
    );
  });

  it("may show a definition by any of its dimensions", () => {
    const custom = { ...tile, metric: DEFINITION, by: "properties.plan" };
    expect(parseDashboard({ ...dashboard, tiles: [custom] })).toMatchObject({ ok: true });
  });

  const many = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
  const values = (count: number, bytes = 4) => many(count, (i) => String(i).padStart(bytes, "0"));

  it("promise 9: is as large as its bounds allow", () => {
    const large = {
      name: "n".repeat(DASHBOARDS.nameChars),
      filter: { source: values(DASHBOARDS.filterValues, DASHBOARDS.filterValueBytes) },
      tiles: many(DASHBOARDS.tiles, (i) => ({ ...tile, id: `a${i}`.padEnd(DASHBOARDS.idChars, "z") })),
    };
    expect(parseDashboard(large)).toMatchObject({ ok: true });
  });

  it.each([
    ["name", { name: "" }],
    ["name", { name: "n".repeat(DASHBOARDS.nameChars + 1) }],
    ["name", { name: 7 }],
    ["span", { span: "7d" }],
    ["filter", { filter: [] }],
    ["filter.city", { filter: { city: ["Berlin"] } }],
    ["filter.country", { filter: { country: "DE" } }],
    ["filter.country", { filter: { country: [] } }],
    ["filter.country", { filter: { country: values(DASHBOARDS.filterValues + 1) } }],
    ["filter.source", { filter: { source: values(1, DASHBOARDS.filterValueBytes + 1) } }],
    ["tiles", { tiles: undefined }],
    ["tiles", { tiles: many(DASHBOARDS.tiles + 1, (i) => ({ ...tile, id: `t${i}` })) }],
    ["tiles", { tiles: [tile, tile] }],
    ["tiles.0", { tiles: [null] }],
    ["tiles.0.colour", { tiles: [{ ...tile, colour: "red" }] }],
    ["tiles.0.id", { tiles: [{ ...tile, id: "A" }] }],
    ["tiles.0.id", { tiles: [{ ...tile, id: "a".repeat(DASHBOARDS.idChars + 1) }] }],
    ["tiles.0.title", { tiles: [{ ...tile, title: "n".repeat(DASHBOARDS.nameChars + 1) }] }],
    ["tiles.0.view", { tiles: [{ ...tile, view: "pie" }] }],
    ["tiles.0.metric", { tiles: [{ ...tile, metric: "clicks" }] }],
    ["tiles.0.by", { tiles: [{ ...tile, by: "city" }] }],
    ["tiles.0.by", { tiles: [{ ...tile, metric: "users", by: "country" }] }],
    ["tiles.0.by", { tiles: [{ ...tile, metric: DEFINITION, by: "p".repeat(RULE.propertyNameBytes + 12) }] }],
    ["tiles.0.width", { tiles: [{ ...tile, width: 5 }] }],
  ])("promise 9: is refused for %s, by name: %j", (parameter, change) => {
    expect(parseDashboard({ ...dashboard, ...change })).toMatchObject({ ok: false, error: { parameter } });
  });

  it("has an id that can stand in an address", () => {
    for (const id of ["a", "shop-wall-2", "a".repeat(DASHBOARDS.idChars)]) expect(isDashboardId(id), id).toBe(true);
    for (const id of ["", "-a", "A", "a b", "a/b", "ä", "a".repeat(DASHBOARDS.idChars + 1)]) {
      expect(isDashboardId(id), id).toBe(false);
    }
  });
});
