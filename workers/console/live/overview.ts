/** The dashboard that is there before anybody has made one. Kept on the server from its first change on, under the same id. */
import type { Dashboard, DashboardTile } from "../../../durable-objects/dashboards/dashboard.ts";

export const OVERVIEW_ID = "overview";

const tile = (id: string, rest: Pick<DashboardTile, "view" | "metric"> & Partial<DashboardTile>): DashboardTile => ({
  id,
  title: "",
  by: null,
  width: 1,
  ...rest,
});

export const OVERVIEW: Dashboard = {
  name: "Overview",
  span: "60m",
  filter: {},
  tiles: [
    tile("events", { view: "figure", metric: "events" }),
    tile("rate", { view: "figure", metric: "rate" }),
    tile("users", { view: "figure", metric: "users" }),
    tile("revenue", { view: "figure", metric: "revenue" }),
    tile("chart", { view: "chart", metric: "events", width: 4 }),
    tile("pages", { view: "list", metric: "events", by: "page_path" }),
    tile("names", { view: "list", metric: "events", by: "event_name" }),
    tile("countries", { view: "list", metric: "events", by: "country" }),
    tile("devices", { view: "list", metric: "events", by: "device_type" }),
  ],
};
