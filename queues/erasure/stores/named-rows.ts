/**
 * Which rows of a data file name one of those to be erased, a part of the file after the other. Of events that is what their
 * columns say (r2-layout/subjects.ts); of what is in quarantine any text of the sender's JSON, for it has no columns yet.
 */

import type { AnyRow } from "../../../r2-layout/arrow-rows.ts";
import type { EventRow, TableName } from "../../../r2-layout/event-columns.ts";
import { LAKE } from "../../../r2-layout/limits.ts";
import { jsonNames } from "../../../r2-layout/line-subjects.ts";
import { readFooter, rowCount } from "../../../r2-layout/parquet-footer.ts";
import { decodeParquet } from "../../../r2-layout/parquet-reader.ts";
import {
  isPlaceholder,
  type Subject,
  type SubjectHash,
  type SubjectHasher,
  subjectsOf,
} from "../../../r2-layout/subjects.ts";
import { inBuildTurn } from "../../lake/build-turn.ts";

/** Whom to look for. */
export interface Sought {
  /** Plain where they are known: then nothing is hashed. Absent or empty: by hashes. */
  readonly subjects?: readonly Subject[];
  readonly hashes: ReadonlySet<SubjectHash>;
  readonly hash: SubjectHasher;
}

export type RowTest = (row: AnyRow) => boolean;

/** The columns that `rowTest` looks at. */
export const NAMING_COLUMNS: Readonly<Record<TableName, readonly string[]>> = {
  events: ["user_id", "anonymous_id", "properties"],
  quarantine: ["user_id", "anonymous_id", "raw"],
};

export function isSoughtBy({ subjects = [], hashes, hash }: Sought): (subject: Subject) => boolean {
  // A placeholder names nobody, though rules take it for the name that it was made of.
  if (subjects.length === 0) return (subject) => !isPlaceholder(subject.id) && hashes.has(hash(subject));
  const plain = { user: new Set<string>(), device: new Set<string>(), email: new Set<string>() };
  for (const { kind, id } of subjects) plain[kind].add(id);
  return ({ kind, id }) => plain[kind].has(id);
}

export function rowTest(table: TableName, sought: Sought): RowTest {
  const isSought = isSoughtBy(sought);
  if (table === "events") return (row) => subjectsOf(row as unknown as EventRow).some(isSought);
  return (row) => {
    const { user_id, anonymous_id, raw } = row as { user_id?: string; anonymous_id?: string; raw?: string };
    if (user_id && isSought({ kind: "user", id: user_id })) return true;
    if (anonymous_id && isSought({ kind: "device", id: anonymous_id })) return true;
    return jsonNames(raw ?? "", isSought);
  };
}

/**
 * 1 for each row of the part that the test means; null where none is.
 * @param bytes of the part. @param onRow gets those rows, with these columns. @throws where the bytes are damaged.
 */
export async function namedRows(
  parquet: WebAssembly.Module,
  table: TableName,
  bytes: Uint8Array,
  test: RowTest,
  { columns, onRow }: { readonly columns: readonly string[]; readonly onRow: (row: AnyRow) => void },
): Promise<Uint8Array | null> {
  const rows = rowCount(readFooter(bytes));
  const marks = new Uint8Array(rows);
  let found = false;
  // A step at a time, and other builds between: a map of properties takes ten times its bytes.
  for (let from = 0; from < rows; from += LAKE.batchRows) {
    const range = { from, to: Math.min(rows, from + LAKE.batchRows) };
    await inBuildTurn(async () => {
      const decoded = decodeParquet(parquet, table, bytes, NAMING_COLUMNS[table], range);
      const meant: number[] = [];
      for (let i = 0; i < decoded.length; i++) if (test(decoded.row(i))) meant.push(i);
      if (meant.length === 0) return;
      found = true;
      const told = decodeParquet(parquet, table, bytes, columns, range);
      for (const i of meant) {
        marks[from + i] = 1;
        onRow(told.row(i));
      }
    });
  }
  return found ? marks : null;
}
