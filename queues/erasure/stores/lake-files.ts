/**
 * Takes the rows of those to be erased out of the files of one table, of whatever age: each file that has some is written
 * again without them, and exchanged for the new one where it stands (durable-objects/lake-catalog/erased-files.ts). One pass
 * for any number of subjects. Files that jobs have staged go through it, too.
 *
 *     crash before the exchange     the new object is an orphan without those rows; the file is read again
 *     crash after it                the catalog names the old object as one to delete; the last stage deletes what is left
 *     a file is gone meanwhile      its successor has a higher id and is still to come
 *
 * Memory: as a correction's (queues/lake/rewrite.ts), one row group packed and a step of it decoded.
 */
import { createHash } from "node:crypto";
import type { DataFile, LakeCatalogApi, NewDataFile } from "../../../durable-objects/lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../../../durable-objects/lake-catalog/api.ts";
import type { LakeErasureApi } from "../../../durable-objects/lake-catalog/erasure-api.ts";
import type { LakeSchemaApi } from "../../../durable-objects/lake-catalog/schema-api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { AnyRow } from "../../../r2-layout/arrow-rows.ts";
import { TIME_COLUMN } from "../../../r2-layout/data-file.ts";
import { type DayTally, DayTallying, TALLIED } from "../../../r2-layout/day-tally.ts";
import type { TableName } from "../../../r2-layout/event-columns.ts";
import { KEY_COLUMNS } from "../../../r2-layout/key-tally.ts";
import { LAKE_ERASURE } from "../../../r2-layout/limits.ts";
import { dayOf } from "../../../r2-layout/time.ts";
import { fileParts } from "../../lake/file-parts.ts";
import { isRuledOut } from "../../lake/named-parts.ts";
import { type LakeStore, type RowFate, rebuiltFile } from "../../lake/rewrite.ts";
import type { UploadStore } from "../../maintenance/multipart-file.ts";
import type { CallBudget } from "../../sink.ts";
import { namedRows, type RowTest, rowTest, type Sought } from "./named-rows.ts";

export interface LakeErasureDeps {
  readonly bucket: LakeStore & { delete(keys: string | string[]): Promise<void> };
  readonly catalog: ObjectNamespace<
    LakeErasureApi & Pick<LakeSchemaApi, "schema"> & Pick<LakeCatalogApi, "uploadEnded" | "unnamed">
  >;
  /** parquet-wasm's module. */
  readonly parquet: WebAssembly.Module;
  /** Milliseconds. */
  readonly now?: () => number;
}

/** The slice of R2 that ending others' uploads needs. */
export type UploadsBucket = LakeErasureDeps["bucket"] & Pick<UploadStore, "resumeMultipartUpload">;

export interface TableErasure extends Sought {
  readonly table: TableName;
  /** The erasure's rule. */
  readonly version: number;
  /** Milliseconds. One file is done in any case. */
  readonly untilMs: number;
  /** Absent: the invocation is this call's. */
  readonly calls?: CallBudget;
}

/** Calls of one file at most, all but the reads of its parts, and what has to be left to begin one. */
const CALLS_PER_FILE = 10;
const CALLS_TO_BEGIN = 500;

/** How far a pass is: JSON. */
export interface FilesPosition {
  readonly stage: "files" | "staged" | "objects";
  /** Files up to this id, or staged ones up to this key, were looked at. */
  readonly afterId: number;
  readonly afterKey: string;
}

export const FIRST: FilesPosition = { stage: "files", afterId: 0, afterKey: "" };

export interface ReplacedObject {
  readonly old: string;
  readonly oldSha256: string;
  /** Null where no row was left. */
  readonly new: string | null;
  readonly newSha256: string | null;
  /** Of the new one. */
  readonly bytes: number;
}

export interface ErasedRows {
  /** Files read, and left unread because their filters said so. */
  files: number;
  /** Rows that were taken out. */
  rows: number;
  /** Files written anew, or gone, and what was written. */
  exchanged: number;
  bytes: number;
  readonly replaced: ReplacedObject[];
}

export async function eraseTable(
  deps: LakeErasureDeps,
  erasure: TableErasure,
  position: FilesPosition = FIRST,
): Promise<{ readonly done: boolean; readonly position: FilesPosition; readonly erased: ErasedRows }> {
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  const now = deps.now ?? Date.now;
  const { table, version } = erasure;
  const test = rowTest(table, erasure);
  const erased: ErasedRows = { files: 0, rows: 0, exchanged: 0, bytes: 0, replaced: [] };
  const isOver = () => erased.files > 0 && isUp(erasure, now());
  let at = position;
  while (at.stage === "files") {
    const files = await catalog.erasable(table, version, at.afterId);
    if (files.length === 0) at = { ...at, stage: "staged" };
    for (const file of files) {
      if (isOver()) return { done: false, position: at, erased };
      await new FileErasure(deps, erasure, test, erased).live(file);
      at = { ...at, afterId: file.id };
    }
  }
  while (at.stage === "staged") {
    const staged = await catalog.erasableStaged(table, at.afterKey);
    if (staged.length === 0) at = { ...at, stage: "objects" };
    for (const { file } of staged) {
      if (isOver()) return { done: false, position: at, erased };
      await new FileErasure(deps, erasure, test, erased).staged(file);
      at = { ...at, afterKey: file.key };
    }
  }
  await deleteErased(deps);
  return { done: true, position: at, erased };
}

interface DeletingDeps {
  readonly bucket: Pick<LakeErasureDeps["bucket"], "delete">;
  readonly catalog: ObjectNamespace<Pick<LakeErasureApi, "erasedObjects" | "erasedDeleted">>;
}

/** What exchanges have left. */
export async function deleteErased({ bucket, catalog: catalogs }: DeletingDeps): Promise<void> {
  const catalog = catalogs.getByName(LAKE_CATALOG_NAME);
  for (;;) {
    const keys = await catalog.erasedObjects();
    if (keys.length === 0) return;
    await bucket.delete(keys);
    await catalog.erasedDeleted(keys);
  }
}

/** Rows that are left, in files up to `untilMs`. */
export async function countNamed(
  deps: LakeErasureDeps,
  erasure: TableErasure,
  afterId: number,
): Promise<{ readonly done: boolean; readonly afterId: number; readonly files: number; readonly rows: number }> {
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  const now = deps.now ?? Date.now;
  const test = rowTest(erasure.table, erasure);
  let [at, count, rows] = [afterId, 0, 0];
  for (;;) {
    // Of every file that is named, whatever went over it before: this is the check of that.
    const files = await catalog.erasable(erasure.table, Number.MAX_SAFE_INTEGER, at);
    if (files.length === 0) return { done: true, afterId: at, files: count, rows };
    for (const file of files) {
      if (count > 0 && isUp(erasure, now())) return { done: false, afterId: at, files: count, rows };
      await new FileErasure(deps, erasure, test, null).look(file, () => rows++);
      count++;
      at = file.id;
    }
  }
}

const isUp = ({ untilMs, calls }: TableErasure, nowMs: number): boolean =>
  nowMs >= untilMs || (calls !== undefined && calls.left < CALLS_TO_BEGIN);

/** Columns that a cut's tally of a day is made of. */
const tallyColumns = (table: TableName): string[] => [...KEY_COLUMNS, ...TALLIED, TIME_COLUMN[table]];

class FileErasure {
  readonly #deps: LakeErasureDeps;
  readonly #erasure: TableErasure;
  readonly #test: RowTest;
  readonly #erased: ErasedRows | null;

  constructor(deps: LakeErasureDeps, erasure: TableErasure, test: RowTest, erased: ErasedRows | null) {
    this.#deps = deps;
    this.#erasure = erasure;
    this.#test = test;
    this.#erased = erased;
  }

  /** One that the catalog names. */
  async live(file: DataFile): Promise<void> {
    const { table, version } = this.#erasure;
    const tallies = new Map<string, DayTallying>();
    const rebuilt = await this.#rebuilt(file, (row) => {
      const day = dayOf(row[TIME_COLUMN[table]] as number);
      const tally = tallies.get(day) ?? new DayTallying();
      tallies.set(day, tally);
      if (table === "events") tally.event(row, -1, false);
      else tally.quarantined(row, -1, false);
    });
    if (rebuilt === "unchanged") return;
    const byDay = Array.from(tallies, ([day, tally]): { day: string; tally: DayTally } => ({
      day,
      tally: tally.tally(),
    }));
    const change = { version, id: file.id, key: file.key, replacement: rebuilt, tallies: byDay };
    await this.#exchange(file, rebuilt, () => this.#catalog().exchange(change));
  }

  async staged(file: NewDataFile): Promise<void> {
    const rules = file.rules ?? 0;
    const rebuilt = await this.#rebuilt({ ...file, id: 0, addedSeq: 0, rules }, () => {});
    if (rebuilt === "unchanged") return;
    const { version } = this.#erasure;
    await this.#exchange(file, rebuilt, () => this.#catalog().exchangeStaged(version, file.key, rebuilt));
  }

  /** Goes over the rows that are meant. @returns marks of each part; null where none is meant, or the file has gone. */
  async look(file: DataFile, onRow: (row: AnyRow) => void) {
    const { bucket, parquet } = this.#deps;
    const { table, calls } = this.#erasure;
    try {
      const parts = await fileParts(bucket, file);
      if (calls) calls.left -= CALLS_PER_FILE + 4 * parts.length;
      const marks: (Uint8Array | null)[] = [];
      for (const part of parts) {
        const isOut = table === "events" && (await isRuledOut(part, this.#erasure.subjects ?? []));
        const telling = { columns: tallyColumns(table), onRow };
        marks.push(isOut ? null : await namedRows(parquet, table, await part.read(), this.#test, telling));
      }
      return marks.some((ofPart) => ofPart !== null) ? { parts, marks } : null;
    } catch (error) {
      // Exchanged or forgotten, and deleted, since the page was asked for: then nothing names it.
      const unnamed = await this.#catalog().unnamed([file.key]);
      if (unnamed.length > 0) return null;
      throw error;
    }
  }

  async #rebuilt(file: DataFile, onRow: (row: AnyRow) => void): Promise<NewDataFile | null | "unchanged"> {
    if (this.#erased) this.#erased.files++;
    let rows = 0;
    const found = await this.look(file, (row) => {
      rows++;
      onRow(row);
    });
    if (!found) return "unchanged";
    if (this.#erased) this.#erased.rows += rows;
    if (rows === file.rows) return null;
    const fates = found.marks.map((ofPart): RowFate | null => ofPart && ((row) => (ofPart[row] ? "drop" : "keep")));
    // After the page: it has every column that the file has.
    const { promoted } = await this.#catalog().schema();
    return rebuiltFile(this.#deps, file, found.parts, fates, file.rules, promoted);
  }

  async #exchange(
    file: NewDataFile,
    rebuilt: NewDataFile | null,
    exchange: () => Promise<"exchanged" | "gone">,
  ): Promise<void> {
    const { bucket } = this.#deps;
    const replaced: ReplacedObject = {
      old: file.key,
      oldSha256: await sha256(bucket, file),
      new: rebuilt?.key ?? null,
      newSha256: rebuilt && (await sha256(bucket, rebuilt)),
      bytes: rebuilt?.bytes ?? 0,
    };
    if ((await exchange()) === "gone") {
      if (rebuilt) await bucket.delete(rebuilt.key);
      return;
    }
    await bucket.delete(file.key);
    await this.#catalog().erasedDeleted([file.key]);
    const erased = this.#erased!;
    erased.exchanged++;
    erased.bytes += replaced.bytes;
    if (erased.replaced.length < LAKE_ERASURE.replacedTold) erased.replaced.push(replaced);
  }

  #catalog() {
    return this.#deps.catalog.getByName(LAKE_CATALOG_NAME);
  }
}

/** Hexadecimal. */
async function sha256(bucket: LakeErasureDeps["bucket"], { key, bytes }: NewDataFile): Promise<string> {
  const hash = createHash("sha256");
  for (let offset = 0; offset < bytes; offset += LAKE_ERASURE.hashedBytes) {
    const length = Math.min(LAKE_ERASURE.hashedBytes, bytes - offset);
    const object = await bucket.get(key, { range: { offset, length } });
    if (!object) throw new Error(`data file ${key} is missing`);
    hash.update(new Uint8Array(await object.arrayBuffer()));
  }
  return hash.digest("hex");
}
