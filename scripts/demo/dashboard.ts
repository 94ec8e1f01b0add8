/**
 * A dashboard that a shop's team might make: how many who look also buy, how far they get, where the money comes from. Its tiles are custom
 * rollups, so it shows what those are for. The pages' tests photograph it.
 */
import type { DashboardTile } from "../../durable-objects/dashboards/dashboard.ts";
import type { DefinitionRequest } from "../../workers/console/live/definitions.ts";

export const SHOP_DASHBOARD_ID = "shop";

const common = { grain_minutes: 1, filter: {} } as const;
const ROLLUPS = {
  conversion: {
    ...common,
    name: "Conversion",
    measure: "ratio",
    numerator: { event_name: ["Order Completed"] },
    denominator: { event_name: ["Product Viewed"] },
  },
  shopping: {
    ...common,
    name: "Shopping",
    measure: "funnel",
    steps: ["Product Viewed", "Product Added", "Order Completed"],
  },
  revenue: { ...common, name: "Revenue by country", measure: "sum", column: "revenue", by: ["country", "currency"] },
  traffic: { ...common, name: "Traffic", measure: "count", by: ["page_path"] },
} as const satisfies Record<string, DefinitionRequest>;

/** One request to a running system with a token that may do everything. @throws Error unless it answers 2xx. */
export type Ask = (method: "GET" | "POST" | "PUT", path: string, body?: unknown) => Promise<unknown>;

/** Safe to repeat: the same definitions have the same ids. */
export async function keepShopDashboard(ask: Ask): Promise<void> {
  const ids = {} as Record<keyof typeof ROLLUPS, string>;
  for (const name of Object.keys(ROLLUPS) as (keyof typeof ROLLUPS)[]) {
    ids[name] = ((await ask("POST", "/v1/rollup-definitions", ROLLUPS[name])) as { id: string }).id;
  }
  const tiles: Partial<DashboardTile>[] = [
    { id: "conversion", view: "figure", metric: ids.conversion },
    { id: "revenue", view: "figure", metric: ids.revenue },
    { id: "users", view: "figure", metric: "users" },
    { id: "rate", view: "figure", metric: "rate" },
    { id: "shopping", view: "funnel", metric: ids.shopping, width: 2 },
    { id: "traffic", view: "chart", metric: ids.traffic, by: "page_path", width: 2 },
    { id: "countries", view: "list", metric: ids.revenue, by: "country" },
    { id: "over-time", view: "chart", metric: ids.conversion, width: 3 },
  ];
  await ask("PUT", `/v1/dashboards/${SHOP_DASHBOARD_ID}`, { name: "Shop", tiles });
}
