/**
 * The dashboards that people have made, one object named `dashboards`: few and small, so that one row each and a list of all are enough.
 * A version tells two people apart who change one dashboard at once: the second is told, and nothing of the first is lost.
 */
import { DurableObject } from "cloudflare:workers";
import { DASHBOARDS } from "../../r2-layout/limits.ts";
import type { DashboardEntry, DashboardsApi, PutAnswer, StoredDashboard } from "./api.ts";
import type { Dashboard } from "./dashboard.ts";

type Row = { id: string; version: number; updated_at: number; dashboard: string };

const storedOf = ({ id, version, updated_at, dashboard }: Row): StoredDashboard => ({
  id,
  version,
  updatedAt: updated_at,
  dashboard: JSON.parse(dashboard) as Dashboard,
});

export class Dashboards extends DurableObject implements DashboardsApi {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS dashboard (
      id TEXT PRIMARY KEY, version INTEGER NOT NULL, updated_at INTEGER NOT NULL, dashboard TEXT NOT NULL) WITHOUT ROWID`);
  }

  async list(): Promise<readonly DashboardEntry[]> {
    const entries = this.#sql
      .exec<Row>("SELECT * FROM dashboard")
      .toArray()
      .map((row): DashboardEntry => {
        const { dashboard, ...entry } = storedOf(row);
        return { ...entry, name: dashboard.name, tiles: dashboard.tiles.length };
      });
    return entries.sort((one, other) => one.name.localeCompare(other.name) || (one.id < other.id ? -1 : 1));
  }

  async get(id: string): Promise<StoredDashboard | null> {
    const [row] = this.#sql.exec<Row>("SELECT * FROM dashboard WHERE id = ?", id).toArray();
    return row ? storedOf(row) : null;
  }

  async put(id: string, dashboard: Dashboard, expected: number | null): Promise<PutAnswer> {
    const text = JSON.stringify(dashboard);
    return this.ctx.storage.transactionSync((): PutAnswer => {
      const [row] = this.#sql.exec<Row>("SELECT * FROM dashboard WHERE id = ?", id).toArray();
      // Also the repeat of a call whose answer was lost, which names the version before itself.
      if (row?.dashboard === text) return { kind: "same", stored: storedOf(row) };
      const before = row?.version ?? 0;
      if (expected !== null && expected !== before) return { kind: "moved", version: before };
      const { n } = this.#sql.exec<{ n: number }>("SELECT count(*) AS n FROM dashboard").one();
      if (!row && n >= DASHBOARDS.dashboards) return { kind: "full", limit: DASHBOARDS.dashboards };
      const next: Row = { id, version: before + 1, updated_at: Date.now(), dashboard: text };
      this.#sql.exec(
        "INSERT OR REPLACE INTO dashboard VALUES (?, ?, ?, ?)",
        next.id,
        next.version,
        next.updated_at,
        next.dashboard,
      );
      return { kind: row ? "changed" : "created", stored: storedOf(next) };
    });
  }

  async remove(id: string): Promise<boolean> {
    return this.#sql.exec("DELETE FROM dashboard WHERE id = ?", id).rowsWritten > 0;
  }
}
