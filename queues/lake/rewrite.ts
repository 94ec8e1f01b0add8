/**
 * One file of the lake through rules that it has not passed. Nothing is replaced here: the file that comes out is stored
 * under a key of its own, for a job to stage.
 *
 * Memory: the first look decodes the columns that the rules speak of, and only in row groups whose times they touch (and, of
 * rules about few people, whose filters may have one of them); most files end there. Of a file that changes, the rows before and after leave a page at a time, then it is built again: a small
 * one whole; a large one row group by row group, those without a change as they lie, the others in slices, which are sorted
 * each for itself until a compaction merges the file again.
 */

import { ulid } from "ulidx";
import type { DataFile, NewDataFile } from "../../durable-objects/lake-catalog/api.ts";
import type { AnyRow } from "../../r2-layout/arrow-rows.ts";
import { BloomValues } from "../../r2-layout/bloom-filter.ts";
import { joinBytes } from "../../r2-layout/bytes.ts";
import { chunkSizes } from "../../r2-layout/chunk-sizes.ts";
import {
  type BuiltDataFile,
  buildDataFile,
  type DataFileFacts,
  ORDER_COLUMNS,
  TIME_COLUMN,
} from "../../r2-layout/data-file.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { dataFileKey, parseDataFileKey } from "../../r2-layout/keys.ts";
import { LAKE } from "../../r2-layout/limits.ts";
import { FileJoin, readFooter, readFooterTail, rowCount, rowGroupRows } from "../../r2-layout/parquet-footer.ts";
import { decodeParquet } from "../../r2-layout/parquet-reader.ts";
import { ParquetWriter } from "../../r2-layout/parquet-writer.ts";
import { type PromotedColumn, promotedAt, schemaVersionOf, tableColumns } from "../../r2-layout/promoted-columns.ts";
import { promotedAnew } from "../../r2-layout/promoted-values.ts";
import { type RuleAt, type RuleField, shardedRulesReader } from "../../r2-layout/rule.ts";
import { fileBounds, rowGroupBounds } from "../../r2-layout/statistics.ts";
import type { Subject, SubjectHasher } from "../../r2-layout/subjects.ts";
import { dayOf } from "../../r2-layout/time.ts";
import { MultipartFile, type UploadStore } from "../maintenance/multipart-file.ts";
import { inBuildTurn } from "./build-turn.ts";
import { type FilePart, fileParts, type PartStore } from "./file-parts.ts";
import { isRuledOut } from "./named-parts.ts";
import { type DataFileStore, storedFile } from "./sink.ts";

export type LakeStore = DataFileStore & PartStore & Partial<Pick<UploadStore, "createMultipartUpload">>;

export interface RewriteDeps {
  readonly bucket: LakeStore;
  /** parquet-wasm's module. */
  readonly parquet: WebAssembly.Module;
  /** As `LogReadDeps.hash`. */
  readonly hash?: SubjectHasher;
  /** Milliseconds. */
  readonly now?: () => number;
}

/** The rules of each shard, all of them up to `version`. */
export interface LakeRules {
  readonly version: number;
  readonly byShard: ReadonlyMap<number, readonly RuleAt[]>;
  readonly people?: RulePeople;
}

/** Whom rules of these versions are about, in clear: then filters of a file may say that it has none of them. */
export interface RulePeople {
  readonly versions: readonly number[];
  readonly subjects: readonly Subject[];
}

/** A row as the lake had it, and as it has it from now on: null where it is retracted. */
export interface ChangedRow {
  readonly before: EventRow;
  readonly after: EventRow | null;
}

export interface ChangedPage {
  /** The file's id in the catalog, and the page's number in it, from 0: the same pages come however often it is done. */
  readonly file: number;
  readonly page: number;
  readonly rows: readonly ChangedRow[];
}

export type Rewritten =
  | { readonly kind: "unchanged" }
  /** `replacement` is null where every row was retracted. */
  | {
      readonly kind: "changed";
      readonly replacement: NewDataFile | null;
      readonly changed: number;
      readonly retracted: number;
    };

/**
 * @param promoted the lake's promoted columns, as of the file's version at least.
 * @throws where the object is missing or damaged, and what `onPage` throws.
 */
export async function rewriteFile(
  deps: RewriteDeps,
  file: DataFile,
  rules: LakeRules,
  onPage: (page: ChangedPage) => Promise<void>,
  promoted: readonly PromotedColumn[],
): Promise<Rewritten> {
  const pending = pendingRules(rules, file.rules);
  if (file.table !== "events" || pending.size === 0) return { kind: "unchanged" };
  const through = shardedRulesReader(pending, 0, deps.hash);
  const parts = await fileParts(deps.bucket, file);
  const marks: Uint8Array[] = [];
  let retracted = 0;
  let number = 0;
  let page: ChangedRow[] = [];
  let changed = 0;
  const { people } = rules;
  const isAllAbout = [...pending.values()].flat().every(({ version }) => people?.versions.includes(version));
  for (const part of parts) {
    if (isAllAbout && people && (await isRuledOut(part, people.subjects))) {
      marks.push(NONE);
      continue;
    }
    const bytes = await part.read();
    const ofPart = changedRows(deps.parquet, bytes, [...pending.values()].flat(), through);
    marks.push(ofPart);
    for (const row of markedRows(deps.parquet, bytes, ofPart)) {
      const after = through(row);
      page.push({ before: row, after });
      changed++;
      if (after === null) retracted++;
      if (page.length === LAKE.batchRows) {
        await onPage({ file: file.id, page: number++, rows: page });
        page = [];
      }
    }
  }
  if (changed === 0) return { kind: "unchanged" };
  if (page.length > 0) await onPage({ file: file.id, page: number, rows: page });
  if (retracted === file.rows) return { kind: "changed", replacement: null, changed, retracted };
  const fates = marks.map((ofPart) => (ofPart.includes(1) ? (row: number) => (ofPart[row] ? through : "keep") : null));
  const replacement = await rebuiltFile(deps, file, parts, fates, rules.version, promoted);
  return { kind: "changed", replacement, changed, retracted };
}

const NONE = new Uint8Array();

/** What becomes of a row of a part, by its number there. */
export type RowFate = (row: number) => "keep" | "drop" | ((row: EventRow) => AnyRow | null);

/**
 * A file of the same table, day, kind and columns with the rows that `fate` leaves: as they are, or as it makes them. What
 * was promoted of a property that it changes is derived anew; a column that the file is too old to have it does not get.
 * @returns null where no row is left.
 */
export async function rebuiltFile(
  deps: RewriteDeps,
  file: DataFile,
  parts: readonly FilePart[],
  fates: readonly (RowFate | null)[],
  rules: number,
  promoted: readonly PromotedColumn[],
): Promise<NewDataFile | null> {
  const { bucket, now = Date.now } = deps;
  const { table, kind, day } = parseDataFileKey(file.key)!;
  if (parts.length > 1) {
    const key = dataFileKey({ table, kind, day, ulid: ulid(now()) });
    const facts = await joinedParts(deps, file, parts, fates, promoted, key);
    return facts && { ...facts, key, kind, rules };
  }
  const built = await rebuiltRows(deps, file, await parts[0]!.read(), fates[0] ?? (() => "keep"), promoted);
  return built && { ...(await storedFile(bucket, { table, kind, day }, built, now())), rules };
}

/** A large file: row groups that stay are copied, others are written anew. Null where no row is left. */
async function joinedParts(
  deps: RewriteDeps,
  file: DataFile,
  parts: readonly FilePart[],
  fates: readonly (RowFate | null)[],
  promoted: readonly PromotedColumn[],
  key: string,
): Promise<DataFileFacts | null> {
  const { createMultipartUpload } = deps.bucket;
  if (!createMultipartUpload) throw new TypeError("a large file needs a bucket that takes uploads in parts");
  // Uploads that nobody ends are left to the bucket's own rule.
  const uploads = { began: async () => {}, ended: async () => {} };
  const output = new MultipartFile(deps.bucket as unknown as UploadStore, uploads, key);
  const columns = tableColumns(file.table, promotedAt(promoted, file.schemaVersion));
  const join = new FileJoin();
  const names = new Set(file.eventNames ?? []);
  let rows = 0;
  try {
    for (const [i, part] of parts.entries()) {
      const fate = fates[i];
      const bytes = await part.read();
      const total = rowCount(readFooter(bytes));
      if (!fate) {
        for (const piece of join.add(bytes, await part.filters())) await output.append(piece);
        rows += total;
        continue;
      }
      for (let from = 0; from < total; from += LAKE.rewriteRows) {
        const range = { from, to: Math.min(total, from + LAKE.rewriteRows) };
        const built = await rebuiltRows(deps, file, bytes, (row) => fate(from + row), promoted, range);
        if (!built) continue;
        for (const piece of join.add(built.bytes, built.filters)) await output.append(piece);
        rows += built.facts.rows;
        for (const name of built.facts.eventNames ?? []) names.add(name);
      }
    }
    if (rows === 0) return null;
    const tail = join.end();
    for (const piece of tail) await output.append(piece);
    await output.close();
    const end = joinBytes(tail);
    const footer = readFooterTail(end);
    const bounds = fileBounds(footer, columns);
    const [time, received] = [bounds[TIME_COLUMN[file.table]]!, bounds.received_at!];
    const isListed = file.eventNames !== null && names.size <= LAKE.eventNamesPerFile;
    const keepsName = file.partition !== undefined && names.size === 1;
    return {
      table: file.table,
      bytes: join.bytes + tail.reduce((sum, piece) => sum + piece.length, 0),
      rows,
      minDay: dayOf(time.min as number),
      maxDay: dayOf(time.max as number),
      minTime: time.min as number,
      maxTime: time.max as number,
      minReceivedAt: received.min as number,
      maxReceivedAt: received.max as number,
      // Names of rows that went may be among them: a name too many costs a look, one too few a row.
      eventNames: isListed ? [...names].sort() : null,
      ...(file.nameRows && { nameRows: file.nameRows }),
      ...(keepsName && { partition: file.partition! }),
      columns: bounds,
      chunks: chunkSizes(footer, end),
      schemaVersion: schemaVersionOf(columns),
    };
  } catch (error) {
    await output.abort();
    throw error;
  }
}

/** With the Bloom filters of its one row group, where it is a range. */
interface RebuiltRows extends BuiltDataFile {
  readonly filters: ReadonlyMap<string, Uint8Array>;
}

/** Rows of a file, all or a range of them, as a file. Null where none is left. */
async function rebuiltRows(
  { parquet }: RewriteDeps,
  file: DataFile,
  bytes: Uint8Array,
  fate: RowFate,
  promoted: readonly PromotedColumn[],
  range?: { readonly from: number; readonly to: number },
): Promise<RebuiltRows | null> {
  const own = promotedAt(promoted, file.schemaVersion);
  const columns = tableColumns(file.table, own);
  const built = await inBuildTurn(async () => {
    const input = decodeParquet(parquet, file.table, bytes, undefined, range, columns);
    const left = (index: number, names?: readonly string[]): AnyRow | null => {
      const change = fate(index);
      if (change === "drop") return null;
      if (change === "keep") return input.row(index, names);
      const before = input.row(index) as EventRow;
      const after = change(before);
      return after && promotedAnew(own, before, after);
    };
    const refs: (AnyRow & { index: number })[] = [];
    for (let index = 0; index < input.length; index++) {
      const row = left(index, ORDER_COLUMNS);
      if (row) refs.push({ ...Object.fromEntries(ORDER_COLUMNS.map((name) => [name, row[name]])), index });
    }
    if (refs.length === 0) return null;
    const whole = ({ index }: (typeof refs)[number]) => left(index)!;
    const made = await buildDataFile(new ParquetWriter(parquet), file.table, refs, whole, columns);
    return { ...made, filters: range ? filtersOf(refs) : new Map<string, Uint8Array>() };
  });
  if (!built) return null;
  const { partition } = file;
  const keepsName = partition !== undefined && built.facts.eventNames?.every((name) => name === partition);
  return keepsName ? { ...built, facts: { ...built.facts, partition } } : built;
}

const encoder = new TextEncoder();

/** As a compaction makes them: a file that loses a few rows is still left unread by who looks for somebody else. */
function filtersOf(rows: readonly AnyRow[]): Map<string, Uint8Array> {
  const filters = new Map<string, Uint8Array>();
  for (const name of ["user_id", "anonymous_id"]) {
    const values = new BloomValues();
    for (const { [name]: value } of rows) {
      if (typeof value !== "string") continue;
      const bytes = encoder.encode(value);
      values.add(bytes, 0, bytes.length);
    }
    const filter = values.encode();
    if (filter) filters.set(name, filter);
  }
  return filters;
}

function pendingRules({ version, byShard }: LakeRules, passed: number): Map<number, RuleAt[]> {
  const pending = new Map<number, RuleAt[]>();
  for (const [shard, rules] of byShard) {
    // One that takes nothing out has nothing to look at.
    const due = rules.filter(
      (rule) => rule.version > passed && rule.version <= version && rule.change.kind !== "suppress",
    );
    if (due.length > 0) pending.set(shard, due);
  }
  return pending;
}

/** 1 for each row that the rules change, by its number in the file. */
function changedRows(
  parquet: WebAssembly.Module,
  bytes: Uint8Array,
  rules: readonly RuleAt[],
  through: (row: EventRow) => EventRow | null,
): Uint8Array {
  const footer = readFooter(bytes);
  const groups = rowGroupRows(footer);
  const times = rowGroupBounds(footer, "event_time");
  const columns = ruleColumns(rules);
  const marks = new Uint8Array(groups.reduce((sum, rows) => sum + rows, 0));
  let start = 0;
  for (const [group, rows] of groups.entries()) {
    const { min, max } = times[group] ?? { min: null, max: null };
    const touched = rules.some(
      ({ filter: { from, to } }) =>
        (from === undefined || max === null || max >= from) && (to === undefined || min === null || min < to),
    );
    if (touched) {
      const part = decodeParquet(parquet, "events", bytes, columns, { from: start, to: start + rows });
      for (let i = 0; i < part.length; i++) {
        const row = part.row(i) as EventRow;
        if (isChanged(row, through(row))) marks[start + i] = 1;
      }
    }
    start += rows;
  }
  return marks;
}

function isChanged(before: EventRow, after: EventRow | null): boolean {
  if (before === after) return false;
  return after === null || canonical(before) !== canonical(after);
}

/** Absent and null are one; the order of columns and properties says nothing. */
function canonical({ properties, ...columns }: EventRow): string {
  const present = Object.entries(columns).filter(([, value]) => value !== null && value !== undefined);
  return JSON.stringify([present.sort(byName), Object.entries(properties ?? {}).sort(byName)]);
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : a > b ? 1 : 0);

/** Every column that deciding takes: what filters look at and what changes touch. */
function ruleColumns(rules: readonly RuleAt[]): string[] {
  const columns = new Set<string>(["event_time", "log_shard", "log_seq"]);
  const add = (field: RuleField) => columns.add(field.startsWith("properties.") ? "properties" : field);
  for (const { filter, change } of rules) {
    for (const field of Object.keys(filter.where ?? {})) add(field as RuleField);
    if (filter.places) columns.add("source").add("event_id");
    if (filter.subjects !== undefined) columns.add("user_id").add("anonymous_id").add("properties");
    if (change.kind === "set") for (const field of Object.keys(change.values)) add(field as RuleField);
    if (change.kind === "map") add(change.field);
  }
  return [...columns];
}

/** The rows marked, whole, in file order; batches without a mark are not decoded. */
function* markedRows(parquet: WebAssembly.Module, bytes: Uint8Array, marks: Uint8Array): Generator<EventRow> {
  for (let from = 0; from < marks.length; from += LAKE.batchRows) {
    const to = Math.min(from + LAKE.batchRows, marks.length);
    const part = marks.subarray(from, to);
    if (!part.includes(1)) continue;
    const batch = decodeParquet(parquet, "events", bytes, undefined, { from, to });
    for (let i = 0; i < part.length; i++) if (part[i]) yield batch.row(i) as EventRow;
  }
}
