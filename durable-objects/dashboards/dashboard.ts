/**
 * What a dashboard of the live page is: tiles in their order, and how they are looked at. It holds no figures, only which ones are
 * shown. Pure types: the page, the edge and the object that keeps them share this file.
 */
import type { Dimension } from "../minute-rollup/api.ts";

/** Lengths of time that a dashboard shows: by the minute, by the hour, by the day. */
export const SPANS = ["60m", "24h", "30d"] as const;
export type Span = (typeof SPANS)[number];

export const VIEWS = ["figure", "chart", "list", "funnel"] as const;
export type View = (typeof VIEWS)[number];

/** What is counted without a definition: `rate` is events per second. */
export const CORE_METRICS = ["events", "rate", "users", "revenue"] as const;
export type CoreMetric = (typeof CORE_METRICS)[number];

/** What a dashboard may be narrowed to. */
export const FILTER_COLUMNS = ["event_name", "source", "country"] as const;
export type FilterColumn = (typeof FILTER_COLUMNS)[number];
/** Values that are let through; a column that is absent is not looked at. */
export type DashboardFilter = Readonly<Partial<Record<FilterColumn, readonly string[]>>>;

/** Quarters of the width of a wide screen. */
export const WIDTHS = [1, 2, 3, 4] as const;
export type TileWidth = (typeof WIDTHS)[number];

export interface DashboardTile {
  /** Within its dashboard. */
  readonly id: string;
  /** Empty: the page names it by what it shows. */
  readonly title: string;
  readonly view: View;
  /** A core metric, or the id of a rollup definition. */
  readonly metric: CoreMetric | (string & {});
  /** What its values are told apart by: of a core metric a dimension, of a definition one of its `by`. */
  readonly by: Dimension | (string & {}) | null;
  readonly width: TileWidth;
}

export interface Dashboard {
  readonly name: string;
  readonly span: Span;
  readonly filter: DashboardFilter;
  readonly tiles: readonly DashboardTile[];
}
