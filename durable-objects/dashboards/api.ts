/** What others may ask of the object that keeps the dashboards (one, named `dashboards`). */
import type { Dashboard } from "./dashboard.ts";

export const DASHBOARDS_NAME = "dashboards";

export interface StoredDashboard {
  readonly id: string;
  /** 1, and one more with each change. */
  readonly version: number;
  /** Milliseconds. */
  readonly updatedAt: number;
  readonly dashboard: Dashboard;
}

/** Without its tiles. */
export interface DashboardEntry extends Omit<StoredDashboard, "dashboard"> {
  readonly name: string;
  readonly tiles: number;
}

export type PutAnswer =
  | { readonly kind: "created" | "changed" | "same"; readonly stored: StoredDashboard }
  /** Somebody else has changed it since the version that was named; 0: there is none. */
  | { readonly kind: "moved"; readonly version: number }
  | { readonly kind: "full"; readonly limit: number };

export interface DashboardsApi {
  /** By name. */
  list(): Promise<readonly DashboardEntry[]>;
  get(id: string): Promise<StoredDashboard | null>;
  /**
   * Safe to repeat: what is there already is no change, whatever version was named.
   * @param expected the version that it replaces, 0 where there must be none; null: whatever there is.
   */
  put(id: string, dashboard: Dashboard, expected: number | null): Promise<PutAnswer>;
  /** @returns whether there was one. */
  remove(id: string): Promise<boolean>;
}
