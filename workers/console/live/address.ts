/**
 * What of the page stands in its address, so that a link shows another person the same: which dashboard, and where this person looks at
 * it otherwise than it was saved, its time and its filter. Pure.
 */
import {
  type DashboardFilter,
  FILTER_COLUMNS,
  SPANS,
  type Span,
} from "../../../durable-objects/dashboards/dashboard.ts";
import { OVERVIEW_ID } from "./overview.ts";

export interface Address {
  readonly dashboard: string;
  /** Null: as it was saved. */
  readonly span: Span | null;
  readonly filter: DashboardFilter | null;
  /** Nothing but the tiles, for a screen on a wall. */
  readonly wall: boolean;
}

export function readAddress(search: string): Address {
  const params = new URLSearchParams(search);
  const span = SPANS.find((known) => known === params.get("span")) ?? null;
  const values = FILTER_COLUMNS.map(
    (column) => [column, params.getAll(column).filter((value) => value !== "")] as const,
  );
  const filter = Object.fromEntries(values.filter(([, given]) => given.length > 0));
  const isFiltered = Object.keys(filter).length > 0 || params.get("filter") === "none";
  return {
    dashboard: params.get("dashboard") || OVERVIEW_ID,
    span,
    filter: isFiltered ? filter : null,
    wall: params.get("wall") === "1",
  };
}

/** The search part, with its question mark; empty for the overview as it was saved. */
export function writeAddress({ dashboard, span, filter, wall }: Address): string {
  const params = new URLSearchParams();
  if (dashboard !== OVERVIEW_ID) params.set("dashboard", dashboard);
  if (span) params.set("span", span);
  const values = filter
    ? FILTER_COLUMNS.flatMap((column) => (filter[column] ?? []).map((value) => [column, value]))
    : [];
  for (const [column, value] of values) params.append(column!, value!);
  if (filter && values.length === 0) params.set("filter", "none");
  if (wall) params.set("wall", "1");
  const text = params.toString();
  return text && `?${text}`;
}
