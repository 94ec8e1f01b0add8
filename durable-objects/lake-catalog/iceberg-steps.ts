/**
 * Which snapshot of the lake is published next, and as what. Commits are folded, but kinds are kept apart, because a
 * reader of what is new reads appends and leaves out what only changes the layout:
 *
 *     the lake       A1 A2 C3 A4 C5 | D6 D7 | A8 C9       A append, C compaction, D deletion
 *     published      append(A1 A2 A4) replace(C3 C5) | delete(D6 D7) | append(A8) replace(C9)
 *
 * Appends only add and compactions keep the rows, so between two other commits their order does not matter: each
 * published snapshot has the rows of the lake's at the end of its part. An append adds every file that came by one, also
 * one that a compaction of the same part has taken since: its object is there, and a reader of what is new would miss it.
 * Where the lake has forgotten what was committed since, one `overwrite` leads from what is published to what there is.
 */
import type { TableName } from "../../r2-layout/event-columns.ts";
import type { IcebergOperation, NamedCut } from "../../r2-layout/iceberg/snapshots.ts";
import { ICEBERG } from "../../r2-layout/limits.ts";

/** What a step publishes. `all`: the difference between what is published and what there is. */
export type StepPart = "appends" | "compactions" | "changes" | "all";

export interface StepPlan {
  readonly part: StepPart;
  readonly operation: IcebergOperation;
  /** Snapshots of the lake: exclusive, inclusive. */
  readonly from: number;
  readonly to: number;
}

/** How far a table is published. */
export interface Reached {
  /** Everything up to here. */
  readonly lake: number;
  /** Appends up to here, and compactions up to `lake`. */
  readonly appends: number;
  readonly isPublished: boolean;
}

const OPERATIONS: Readonly<Record<string, IcebergOperation>> = {
  append: "append",
  compact: "replace",
  // It changes columns, no file.
  schema: "replace",
  delete: "delete",
  expire: "delete",
};

/** What an operation of the lake is to an engine. What is not known may change rows in any way. */
export const icebergOperation = (operation: string): IcebergOperation => OPERATIONS[operation] ?? "overwrite";

const keepsRows = (operation: IcebergOperation): boolean => operation === "append" || operation === "replace";

/** The lake's commits, as far as a plan needs them. */
export class Commits {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  newest(): number {
    return this.#sql.exec<{ seq: number | null }>("SELECT max(seq) AS seq FROM snapshot").one().seq ?? 0;
  }

  /** Milliseconds; 0 for the empty lake. */
  committedAt(seq: number): number {
    return (
      this.#sql.exec<{ committed_at: number }>("SELECT committed_at FROM snapshot WHERE seq = ?", seq).toArray()[0]
        ?.committed_at ?? 0
    );
  }

  /** Null where there is nothing up to `newest` that is not published. */
  next({ lake, appends, isPublished }: Reached, newest: number): StepPlan | null {
    if (!isPublished) return { part: "all", operation: "append", from: 0, to: newest };
    if (appends > lake) return { part: "compactions", operation: "replace", from: lake, to: appends };
    if (lake >= newest) return null;
    const commits = this.#between(lake, this.#nextCut(lake) ?? newest);
    if (!this.#isKept(lake) || commits[0]?.seq !== lake + 1) {
      return { part: "all", operation: "overwrite", from: lake, to: newest };
    }
    const first = icebergOperation(commits[0].operation);
    const isSame = keepsRows(first) ? keepsRows : (operation: IcebergOperation) => operation === first;
    const end = commits.findIndex(({ operation }) => !isSame(icebergOperation(operation)));
    const to = commits.at(end === -1 ? -1 : end - 1)!.seq;
    return keepsRows(first)
      ? { part: "appends", operation: "append", from: lake, to }
      : { part: "changes", operation: first, from: lake, to };
  }

  /** Cuts of the lake's snapshots from one on. */
  cuts(from: number): NamedCut[] {
    return this.#sql
      .exec<{ name: string; version: number; seq: number }>(
        "SELECT name, version, seq FROM cut WHERE state IS NOT NULL AND seq >= ? ORDER BY seq DESC, name, version LIMIT ?",
        from,
        ICEBERG.tags,
      )
      .toArray()
      .map(({ name, version, seq }) => ({ name: `${name}.v${version}`, lakeSnapshot: seq }));
  }

  /** No step goes over a cut, so that there is a snapshot that has its rows. */
  #nextCut(after: number): number | null {
    return this.#sql.exec<{ seq: number | null }>("SELECT min(seq) AS seq FROM cut WHERE seq > ?", after).one().seq;
  }

  #between(from: number, to: number): { seq: number; operation: string }[] {
    return this.#sql
      .exec<{ seq: number; operation: string }>(
        "SELECT seq, operation FROM snapshot WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
        from,
        to,
        ICEBERG.commitsPerSnapshot,
      )
      .toArray();
  }

  /** What a snapshot's successor removed is known as long as the snapshot itself is. */
  #isKept(seq: number): boolean {
    return seq === 0 || this.#sql.exec("SELECT 1 FROM snapshot WHERE seq = ?", seq).toArray().length > 0;
  }
}

/** The files that a step brings and takes. */
export class StepFiles {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec("CREATE INDEX IF NOT EXISTS data_file_removed ON data_file (removed_seq) WHERE removed_seq IS NOT NULL");
  }

  /** The highest id that a file of the snapshot, or of an earlier one, has. One that was exchanged got its id later than others. */
  lastId(seq: number): number {
    return (
      this.#sql
        .exec<{ id: number }>(
          `SELECT id FROM ${BY_ID} WHERE added_seq <= ? AND erased = 0 ORDER BY id DESC LIMIT 1`,
          seq,
        )
        .toArray()[0]?.id ?? 0
    );
  }

  /**
   * Ids of files that the step adds, ascending.
   * @param above no file that came after `from` has an id up to this one.
   */
  added(
    table: TableName,
    { part, from, to }: StepPlan,
    { above, published }: { readonly above: number; readonly published: () => ReadonlySet<number> },
    afterId: number,
    limit: number,
  ): number[] {
    if (part === "all") {
      const query = `SELECT id FROM ${BY_ID} WHERE tbl = ? AND id > ? AND ${LIVE} ORDER BY id LIMIT ?`;
      const known = published();
      // At first nothing is published, and all that there is comes, page by page.
      return this.#ids(query, [table, afterId, ...at(to), known.size === 0 ? limit : -1])
        .filter((id) => !known.has(id))
        .slice(0, limit);
    }
    const came = "tbl = ? AND id > ? AND added_seq > ? AND added_seq <= ?";
    const values = [table, Math.max(afterId, above), from, to];
    if (part === "appends") {
      return this.#ids(`SELECT id FROM ${BY_ID} WHERE ${came} AND ${APPENDED} ORDER BY id LIMIT ?`, [...values, limit]);
    }
    const others = part === "compactions" ? `AND NOT ${APPENDED}` : "";
    const query = `SELECT id FROM ${BY_ID} WHERE ${came} AND ${LIVE} ${others} ORDER BY id LIMIT ?`;
    const ids = this.#ids(query, [...values, ...at(to), limit]);
    // What a revert puts back was here before.
    const back = this.#ids(
      `SELECT id FROM data_file JOIN file_absence ON file = id
       WHERE tbl = ? AND id > ? AND to_seq > ? AND to_seq <= ? AND from_seq <= ? AND added_seq <= ? AND ${LIVE}`,
      [table, afterId, from, to, from, from, ...at(to)],
    );
    return [...new Set([...ids, ...back])].sort((a, b) => a - b).slice(0, limit);
  }

  /** Ids of published files that the step takes. One that came and went in between was never published. */
  removed(table: TableName, { part, from, to }: StepPlan, published: () => ReadonlySet<number>): Set<number> {
    if (part === "appends") return new Set();
    if (part === "all") {
      const live = new Set(this.#ids(`SELECT id FROM data_file WHERE tbl = ? AND ${LIVE}`, [table, ...at(to)]));
      return new Set([...published()].filter((id) => !live.has(id)));
    }
    const gone = this.#ids(
      `SELECT id FROM data_file INDEXED BY data_file_removed WHERE removed_seq > ? AND removed_seq <= ? AND tbl = ?
       UNION SELECT id FROM data_file JOIN file_absence ON file = id
         WHERE from_seq > ? AND from_seq <= ? AND to_seq > ? AND tbl = ?`,
      [from, to, table, from, to, to, table],
    );
    if (gone.length === 0) return new Set();
    const known = published();
    return new Set(gone.filter((id) => known.has(id)));
  }

  #ids(query: string, values: readonly (string | number)[]): number[] {
    return this.#sql
      .exec<{ id: number }>(query, ...values)
      .toArray()
      .map(({ id }) => id);
  }
}

/** In the order of ids from one on: by an index over the tables each page would be sorted out of all that there is. */
const BY_ID = "data_file NOT INDEXED";

const LIVE = `added_seq <= ? AND (removed_seq IS NULL OR removed_seq > ?)
  AND NOT EXISTS (SELECT 1 FROM file_absence WHERE file = id AND from_seq <= ? AND to_seq > ?)`;
const at = (seq: number): number[] => [seq, seq, seq, seq];

const APPENDED = "EXISTS (SELECT 1 FROM snapshot WHERE seq = added_seq AND operation = 'append')";
