/** One sink's cursor in one shard of the log. Named `<sink>:<shard>`, so its table has one row. */
import { DurableObject } from "cloudflare:workers";
import type { AppliedCounts, CursorStatus, Lease, Moved, SinkCursorApi } from "./api.ts";
import { CursorTable } from "./cursor-table.ts";

const ROW = 0;

export class SinkCursor extends DurableObject implements SinkCursorApi {
  readonly #cursors: CursorTable;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    this.#cursors = new CursorTable(ctx.storage.sql);
  }

  async lease(owner: string, ttlMs: number): Promise<Lease | null> {
    return this.#cursors.lease(ROW, owner, ttlMs, Date.now());
  }

  async advance(token: number, from: number, to: number, applied: AppliedCounts): Promise<Moved> {
    return this.#cursors.advance(ROW, token, from, to, applied, Date.now());
  }

  async release(token: number): Promise<void> {
    this.#cursors.release(ROW, token);
  }

  async status(): Promise<CursorStatus> {
    return this.#cursors.status(ROW);
  }
}
