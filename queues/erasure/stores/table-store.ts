/** The files of one of the lake's tables as a store of an erasure. */
import type { TableName } from "../../../r2-layout/event-columns.ts";
import type { ErasureRun, ErasureStore } from "../erasure-store.ts";
import {
  countNamed,
  eraseTable,
  FIRST,
  type FilesPosition,
  type LakeErasureDeps,
  type TableErasure,
} from "./lake-files.ts";

/** How far a verification is. */
interface Counted {
  readonly afterId: number;
  readonly files: number;
  readonly rows: number;
}

export function tableStore(deps: LakeErasureDeps, table: TableName): Pick<ErasureStore, "erase" | "verify"> {
  const erasure = ({ subjects, hashes, hash, version, untilMs, calls }: ErasureRun): TableErasure => ({
    table,
    subjects,
    hashes,
    hash,
    version,
    untilMs,
    calls,
  });
  const at = (run: ErasureRun) => ({ ...deps, now: () => run.now() });
  return {
    async erase(run, saved) {
      const { done, position, erased } = await eraseTable(
        at(run),
        erasure(run),
        (saved as FilesPosition | null) ?? FIRST,
      );
      const { rows, exchanged, replaced } = erased;
      const more = exchanged - replaced.length;
      return {
        done,
        position,
        found: { unit: "rows", found: rows, removed: rows, replaced, ...(more > 0 && { more }) },
      };
    },
    async verify(run, saved) {
      const before = (saved as Counted | null) ?? { afterId: 0, files: 0, rows: 0 };
      const { done, afterId, files, rows } = await countNamed(at(run), erasure(run), before.afterId);
      const position = { afterId, files: before.files + files, rows: before.rows + rows };
      return { done, position, traces: position.rows, statement: statementOf(table, position) };
    },
  };
}

const statementOf = (table: TableName, { files, rows }: Counted): string =>
  `${files} files of ${table}, of every snapshot and cut that is kept, were read: ${rows} rows name a subject. ` +
  `To look: SELECT count(*) FROM ${table} WHERE user_id IN (...) OR anonymous_id IN (...), as of any snapshot or cut; ` +
  "answers cached before are served for five minutes at most, and only to who asks for an older one.";
