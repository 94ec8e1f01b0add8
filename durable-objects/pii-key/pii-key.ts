/** One secret: see api.ts. It is made when it is first asked for, and never changes. */
import { DurableObject } from "cloudflare:workers";
import type { PiiKeyApi } from "./api.ts";

const SECRET_BYTES = 32;

/** `destroyed_by`: the version of the rule; then there is no secret, and none is made any more. */
type Row = { secret: ArrayBuffer | null; destroyed_by: number | null };

export class PiiKey extends DurableObject implements PiiKeyApi {
  async secret(untilMs: number | null): Promise<Uint8Array | null> {
    const row = this.#row();
    if (row) return secretOf(row);
    // A straggler asks for the salt of a period that is over.
    if (untilMs !== null && untilMs <= Date.now()) return null;
    const made = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
    this.#write(made, null);
    // Not before the row: both go out together, and who is asked once more in between has one secret.
    if (untilMs !== null) await this.ctx.storage.setAlarm(untilMs);
    return made;
  }

  async peek(): Promise<Uint8Array | null> {
    return secretOf(this.#row());
  }

  /** A crash between the two leaves no tombstone, and no confirmation either: the erasure comes again. */
  async destroy(version: number): Promise<boolean> {
    const row = this.#row();
    if (row && row.destroyed_by !== null) return false;
    await this.ctx.storage.deleteAll();
    // What an edge made in the meantime goes the same way.
    if (this.#row()) await this.ctx.storage.deleteAll();
    this.#write(null, version);
    return row !== undefined;
  }

  override async alarm(): Promise<void> {
    await this.ctx.storage.deleteAll();
  }

  #row(): Row | undefined {
    this.#table();
    return this.ctx.storage.sql.exec<Row>("SELECT secret, destroyed_by FROM pii_key").toArray()[0];
  }

  #write(secret: Uint8Array | null, destroyedBy: number | null): void {
    this.#table();
    this.ctx.storage.sql.exec("INSERT OR REPLACE INTO pii_key VALUES (1, ?, ?)", secret, destroyedBy);
  }

  /** Each time: `deleteAll` takes tables along. */
  #table(): void {
    this.ctx.storage.sql.exec(`CREATE TABLE IF NOT EXISTS pii_key (
      one INTEGER PRIMARY KEY CHECK (one = 1), secret BLOB, destroyed_by INTEGER)`);
  }
}

const secretOf = (row: Row | undefined): Uint8Array | null => (row?.secret ? new Uint8Array(row.secret) : null);
