/** Addresses and whose they are, a row each: at 100 million users 400,000 rows of some 100 bytes in one of 256 objects. */
import { DurableObject } from "cloudflare:workers";
import { EMAIL_INDEX } from "../../r2-layout/limits.ts";
import type { SealedSubject } from "./address.ts";
import type { EmailEntry, EmailIndexApi, ForgottenEmail } from "./api.ts";

export class EmailIndex extends DurableObject implements EmailIndexApi {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    // Without a rowid: an index of its own would be a second row written for each.
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS emails (
      address BLOB NOT NULL, nonce BLOB NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (address, nonce)) WITHOUT ROWID`);
    // What was erased is told again by nobody who was slow. An empty nonce: whoever has the address.
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS erased (
      address BLOB NOT NULL, nonce BLOB NOT NULL, PRIMARY KEY (address, nonce)) WITHOUT ROWID`);
  }

  async add(entries: readonly EmailEntry[]): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      for (const { address, nonce, sealed } of entries) {
        const known = this.#of(address);
        if (known.length === EMAIL_INDEX.subjectsPerAddress || known.some((row) => sameBytes(row.nonce, nonce)))
          continue;
        if (this.#isErased(address, nonce)) continue;
        this.#sql.exec("INSERT INTO emails VALUES (?, ?, ?)", address, nonce, sealed);
      }
    });
  }

  async find(address: Uint8Array): Promise<{ subjects: SealedSubject[]; full: boolean }> {
    const subjects = this.#of(address);
    return { subjects, full: subjects.length === EMAIL_INDEX.subjectsPerAddress };
  }

  async forget(rows: readonly ForgottenEmail[]): Promise<{ removed: number }> {
    return this.ctx.storage.transactionSync(() => {
      let removed = 0;
      for (const row of rows) {
        this.#sql.exec("INSERT OR IGNORE INTO erased VALUES (?, ?)", row.address, row.nonce ?? NOBODY);
        removed += this.#count(row);
        this.#sql.exec(`DELETE FROM emails WHERE ${WHERE}`, row.address, ...nonceTwice(row));
      }
      return { removed };
    });
  }

  async traces(rows: readonly ForgottenEmail[]): Promise<number> {
    return rows.reduce((sum, row) => sum + this.#count(row), 0);
  }

  #count(row: ForgottenEmail): number {
    const count = `SELECT count(*) AS n FROM emails WHERE ${WHERE}`;
    return this.#sql.exec<{ n: number }>(count, row.address, ...nonceTwice(row)).one().n;
  }

  #isErased(address: Uint8Array, nonce: Uint8Array): boolean {
    const rows = this.#sql.exec("SELECT 1 FROM erased WHERE address = ? AND nonce IN (?, ?)", address, nonce, NOBODY);
    return rows.toArray().length > 0;
  }

  #of(address: Uint8Array): SealedSubject[] {
    return this.#sql
      .exec<{ nonce: ArrayBuffer; sealed: ArrayBuffer }>(
        "SELECT nonce, sealed FROM emails WHERE address = ? ORDER BY nonce",
        address,
      )
      .toArray()
      .map(({ nonce, sealed }) => ({ nonce: new Uint8Array(nonce), sealed: new Uint8Array(sealed) }));
  }
}

const NOBODY = new Uint8Array();
/** Of an address, and of a nonce or any. */
const WHERE = "address = ? AND (? = x'' OR nonce = ?)";
const nonceTwice = ({ nonce }: ForgottenEmail): Uint8Array[] => [nonce ?? NOBODY, nonce ?? NOBODY];

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);
