/** Changes of a dashboard that is edited. Pure. */
import type { Dashboard, DashboardTile } from "../../../durable-objects/dashboards/dashboard.ts";

/** In the place of the one with its id; else behind all others. */
export function withTile(dashboard: Dashboard, tile: DashboardTile): Dashboard {
  const isKnown = dashboard.tiles.some(({ id }) => id === tile.id);
  const tiles = isKnown ? dashboard.tiles.map((one) => (one.id === tile.id ? tile : one)) : [...dashboard.tiles, tile];
  return { ...dashboard, tiles };
}

export const withoutTile = (dashboard: Dashboard, id: string): Dashboard => ({
  ...dashboard,
  tiles: dashboard.tiles.filter((tile) => tile.id !== id),
});

/** One place forward or back; at the end it stays. */
export function withTileMoved(dashboard: Dashboard, id: string, by: -1 | 1): Dashboard {
  const from = dashboard.tiles.findIndex((tile) => tile.id === id);
  const to = from + by;
  if (from < 0 || to < 0 || to >= dashboard.tiles.length) return dashboard;
  const tiles = [...dashboard.tiles];
  tiles.splice(to, 0, ...tiles.splice(from, 1));
  return { ...dashboard, tiles };
}
