import { describe, expect, it } from "vitest";
import type { DashboardFilter, DashboardTile } from "../../../../durable-objects/dashboards/dashboard.ts";
import type { Definition, DefinitionRequest } from "../../../../workers/console/live/definitions.ts";
import { sourceOf } from "../../../../workers/console/live/source.ts";

const tile = (rest: Partial<DashboardTile>): DashboardTile => ({
  id: "a",
  title: "",
  view: "figure",
  metric: "events",
  by: null,
  width: 1,
  ...rest,
});
const definition = (id: string, request: Partial<DefinitionRequest>): Definition => ({
  id,
  name: id,
  measure: "count",
  by: [],
  grain_minutes: 1,
  filter: {},
  state: "ready",
  progress: 1,
  ...request,
});
const GERMANY: DashboardFilter = { country: ["DE"] };

describe("a core metric", () => {
  it("comes from the minutes as it is", () => {
    expect(sourceOf(tile({ by: "country" }), {}, [])).toEqual({
      kind: "core",
      metric: "events",
      by: "country",
      only: null,
    });
    expect(sourceOf(tile({ metric: "rate" }), { country: [] }, [])).toMatchObject({ kind: "core", metric: "events" });
  });

  it("is narrowed from the same frames where they tell the values apart", () => {
    const only = { kind: "core", metric: "events", by: "country", only: ["DE"] };
    expect(sourceOf(tile({}), GERMANY, [])).toEqual(only);
    expect(sourceOf(tile({ by: "country" }), GERMANY, [])).toEqual(only);
  });

  it.each<[string, Partial<DashboardTile>, DashboardFilter, Partial<DefinitionRequest>]>([
    [
      "by another dimension",
      { by: "page_path" },
      GERMANY,
      { measure: "count", by: ["page_path"], filter: { country: ["DE"] } },
    ],
    ["by source", {}, { source: ["web"] }, { measure: "count", by: [], filter: { source: ["web"] } }],
    ["by two", {}, { ...GERMANY, event_name: ["a"] }, { filter: { country: ["DE"], event_name: ["a"] } }],
    ["for users", { metric: "users" }, GERMANY, { measure: "distinct", column: "user_id" }],
    ["for revenue", { metric: "revenue" }, GERMANY, { measure: "sum", column: "revenue", by: ["currency"] }],
  ])("%s has to be counted so, and then is", (_, shown, filter, wanted) => {
    const source = sourceOf(tile(shown), filter, []);
    expect(source).toMatchObject({ kind: "uncounted", wanted });
    const request = source.kind === "uncounted" ? source.wanted : null;
    const made = definition("t1", { ...request!, name: "Called otherwise" });
    expect(sourceOf(tile(shown), filter, [definition("t0", {}), made])).toEqual({
      kind: "rollup",
      definition: made,
      only: {},
    });
  });
});

describe("a rollup", () => {
  const plans = definition("t1", {
    by: [{ property: "plan" }, "country"],
    filter: { event_name: ["signup", "order"] },
  });

  it("is shown by its id, and known to be gone", () => {
    expect(sourceOf(tile({ metric: "t1" }), {}, [plans])).toEqual({ kind: "rollup", definition: plans, only: {} });
    expect(sourceOf(tile({ metric: "t2" }), {}, [plans])).toEqual({ kind: "unknown" });
  });

  it("is narrowed from the same frames where it adds up and tells the values apart", () => {
    expect(sourceOf(tile({ metric: "t1" }), GERMANY, [plans])).toEqual({
      kind: "rollup",
      definition: plans,
      only: GERMANY,
    });
  });

  it("otherwise has to be counted with both filters, and without what the server says about it", () => {
    const listed = { ...plans, job: "j", created_at: "now" } as Definition;
    expect(sourceOf(tile({ metric: "t1" }), { event_name: ["order", "x"] }, [listed])).toEqual({
      kind: "uncounted",
      columns: ["event_name"],
      wanted: {
        name: "t1: order, x",
        measure: "count",
        by: [{ property: "plan" }, "country"],
        grain_minutes: 1,
        filter: { event_name: ["order"] },
      },
    });
    const users = definition("t3", { measure: "distinct", column: "user_id", by: ["country"] });
    expect(sourceOf(tile({ metric: "t3" }), GERMANY, [users])).toMatchObject({ kind: "uncounted" });
  });

  it("of values that cannot be has nothing, and asks for nothing", () => {
    const source = sourceOf(tile({ metric: "t1" }), { event_name: ["other"] }, [plans]);
    expect(source).toMatchObject({ kind: "rollup", only: { event_name: ["other"] } });
  });
});
