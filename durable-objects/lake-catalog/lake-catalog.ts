/**
 * The truth about the lake: which files it has had at any snapshot, and how far into the log they reach. A commit is
 * one transaction that changes the file list and, for an append, moves the shard's cursor, so that neither is ever
 * seen without the other.
 *
 *     A puts its files, appends 10 -> 20      committed: files visible, cursor 20
 *     A's answer is lost, it tries again      behind: the cursor is at 20, nothing is added twice
 *     B, an older lease holder, 10 -> 15      behind: its token is not the newest; its files are orphans for the sweep
 *     a crash before the append               no row names the files: orphans
 *     compaction plans {1, 2, 3} -> 9         meanwhile another replaced 2: conflict, plan again; 9 is an orphan
 *     A reads up to 20, a rule is raised      rules: A's rows have not passed it; they are read again
 *     compaction plans, a rule is raised      rules: the correction finds the files as it left them
 *     A leases, a column is added             schema: A's rows lack it; they are derived again (schema-table.ts)
 *     a job swaps what it staged              staging.ts
 */
import { DurableObject } from "cloudflare:workers";
import { decodeTime } from "ulidx";
import type { TableName } from "../../r2-layout/event-columns.ts";
import type { KeyTally } from "../../r2-layout/key-tally.ts";
import { parseDataFileKey } from "../../r2-layout/keys.ts";
import { CUT, LAKE } from "../../r2-layout/limits.ts";
import type { NewPromotedColumn } from "../../r2-layout/promoted-columns.ts";
import type { RuleFilter } from "../../r2-layout/rule.ts";
import type { Failures, Hole, HolesApi, HolesRequest, RecordedHole } from "../sink-cursor/api.ts";
import { CursorTable } from "../sink-cursor/cursor-table.ts";
import type {
  AppendCommit,
  CatalogAnswer,
  CatalogStatus,
  CompactionWork,
  DataFile,
  LakeCatalogApi,
  LakeHistoryApi,
  LakeLease,
  LakeStagingApi,
  LogReach,
  NewDataFile,
  OpenUpload,
  Plan,
  PlanRequest,
  RebuildScope,
  ReplaceCommit,
  SnapshotEntry,
  StagedMarks,
  StagedStatus,
} from "./api.ts";
import { CompactionPlan } from "./compaction-plan.ts";
import { Cuts, cutName } from "./cuts.ts";
import type {
  Cut,
  CutComparison,
  CutSettings,
  CutWork,
  FreezeAnswer,
  LakeCutsApi,
  OpenCut,
  ShardMark,
} from "./cuts-api.ts";
import { DataFileTable } from "./data-files.ts";
import { ErasedFiles } from "./erased-files.ts";
import type { FileExchange, LakeErasureApi, StagedFile } from "./erasure-api.ts";
import type { LakeIcebergApi, Publication, PublishedTable, PublishStep, StagedManifests } from "./iceberg-api.ts";
import { IcebergPublications } from "./iceberg-publications.ts";
import type { LakePlace, LakePlaceApi } from "./place-api.ts";
import { Retention } from "./retention.ts";
import type { Expired, RetentionSettings } from "./retention-api.ts";
import { RuleVersions } from "./rule-versions.ts";
import type { ColumnAnswer, SchemaStatus } from "./schema-api.ts";
import { SchemaTable } from "./schema-table.ts";
import { notKept, type Snapshot, SnapshotTable } from "./snapshots.ts";
import { StagedChanges } from "./staged-changes.ts";
import { StagingTable, scopeOf } from "./staging.ts";
import { UploadTable } from "./upload-table.ts";

export class LakeCatalog
  extends DurableObject
  implements LakeCatalogApi, LakeHistoryApi, LakeStagingApi, HolesApi, LakeIcebergApi, LakePlaceApi, LakeErasureApi
{
  readonly #cursors: CursorTable;
  readonly #files: DataFileTable;
  readonly #snapshots: SnapshotTable;
  readonly #rules: RuleVersions;
  readonly #schema: SchemaTable;
  readonly #staging: StagingTable;
  readonly #changes: StagedChanges;
  readonly #compaction: CompactionPlan;
  readonly #uploads: UploadTable;
  readonly #iceberg: IcebergPublications;
  readonly #cuts: Cuts;
  readonly #retention: Retention;
  readonly #erased: ErasedFiles;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    this.#cursors = new CursorTable(ctx.storage.sql);
    this.#files = new DataFileTable(ctx.storage.sql, () => this.#schema.newest().promoted);
    this.#snapshots = new SnapshotTable(ctx.storage.sql);
    this.#rules = new RuleVersions(ctx.storage.sql);
    this.#schema = new SchemaTable(ctx.storage.sql);
    this.#staging = new StagingTable(ctx.storage.sql);
    this.#compaction = new CompactionPlan(ctx.storage.sql);
    this.#cuts = new Cuts(ctx.storage.sql, {
      snapshots: this.#snapshots,
      rules: this.#rules,
      compaction: this.#compaction,
      cursors: () => this.#cursors.all(),
      openHoles: (shard) => this.#cursors.holes(shard, { open: true }),
      rebuilding: () => this.#staging.rebuilding().length > 0,
    });
    this.#retention = new Retention(ctx.storage.sql, this.#files, this.#snapshots, this.#cuts);
    this.#changes = new StagedChanges(this.#files, this.#snapshots, this.#rules, this.#staging);
    this.#uploads = new UploadTable(ctx.storage.sql);
    this.#erased = new ErasedFiles(ctx.storage.sql, this.#snapshots, () => this.#schema.newest().promoted);
    this.#iceberg = new IcebergPublications(ctx.storage.sql, (seq) => this.#schema.at(seq));
  }

  async lease(shard: number, owner: string, ttlMs: number): Promise<LakeLease | null> {
    const lease = this.#cursors.lease(shard, owner, ttlMs, Date.now());
    return lease && { ...lease, schema: this.#schema.newest() };
  }

  async release(shard: number, token: number): Promise<void> {
    this.#cursors.release(shard, token);
  }

  async failed(shard: number, token: number, seq: number, cause: string): Promise<Failures> {
    return this.#cursors.failed(shard, token, seq, cause, Date.now());
  }

  async decide(shard: number, token: number, from: number, hole: Hole): Promise<boolean> {
    return this.#cursors.decide(shard, token, from, hole, Date.now());
  }

  async holes(shard: number, request?: HolesRequest): Promise<RecordedHole[]> {
    return this.#cursors.holes(shard, request);
  }

  async close(shard: number, hole: number, seq: number): Promise<void> {
    this.#cursors.close(shard, hole, seq);
  }

  /** @throws RangeError where a file's key is not ours, or so old that the sweep may take the object. */
  async append(commit: AppendCommit): Promise<CatalogAnswer> {
    const now = Date.now();
    for (const file of commit.add) assertFresh(file, now);
    return this.ctx.storage.transactionSync(() => {
      const { shard, token, from, to, applied, add, rules = 0, schema } = commit;
      if (rules < this.#rules.newest) return { kind: "rules", version: this.#rules.newest };
      const newest = this.#schema.newest();
      if (schema !== undefined && schema !== newest.version) return { kind: "schema", schema: newest };
      const moved = this.#cursors.advance(shard, token, from, to, applied, now);
      if (!moved.moved) return { kind: "behind", cursor: moved.cursor };
      // What a rule retracted on the way here has passed the cursor, and is in no file.
      const stored = add.reduce((sum, { table, rows }) => sum + (table === "events" ? rows : 0), 0);
      const retracted = Math.max(0, applied.events - stored);
      const range = { shard, from, to };
      const snapshot = this.#snapshots.commit({ operation: "append", added: add, removed: [], range, retracted }, now);
      for (const file of add) this.#files.add(file, snapshot, rules);
      this.#schema.count(commit.conflicts ?? {});
      return { kind: "committed", snapshot };
    });
  }

  /** @throws RangeError as `append`, and where a compaction would change the number of rows, or lose a column. */
  async replace(commit: ReplaceCommit): Promise<CatalogAnswer> {
    const now = Date.now();
    const { rules = 0, operation } = commit;
    for (const file of commit.add) assertFresh(file, now);
    return this.ctx.storage.transactionSync(() => {
      if (rules < this.#rules.newest) return { kind: "rules", version: this.#rules.newest };
      // A compaction would put rows that a rebuild replaces into a file that it has not looked at.
      if (operation === "compact" && this.#staging.rebuilding().length > 0) return { kind: "conflict", missing: [] };
      const removed = commit.remove.map((id) => ({ id, file: this.#files.live(id) }));
      const missing = removed.filter(({ file }) => file?.rules !== rules).map(({ id }) => id);
      if (missing.length > 0) return { kind: "conflict", missing };
      const files = removed.map(({ file }) => file!);
      if (operation === "compact" && !sameRows(files, commit.add)) {
        throw new RangeError("a compaction keeps the rows of each table");
      }
      if (operation === "compact" && !keepsColumns(files, commit.add)) {
        throw new RangeError("a compaction keeps the columns of its inputs");
      }
      const snapshot = this.#snapshots.commit({ operation, added: commit.add, removed: files }, now);
      // A compaction keeps the rows: who names all that goes names what comes instead (cut-files.ts).
      const rowsSince = operation === "compact" && files.length > 0 ? this.#files.rowsSince(commit.remove) : null;
      for (const { id } of removed) this.#files.remove(id, snapshot, now, null, rowsSince);
      for (const file of commit.add) this.#files.add(file, snapshot, rules, null, rowsSince);
      return { kind: "committed", snapshot };
    });
  }

  /** @throws RangeError where the snapshot lies ahead, or so far back that it has been forgotten; or there is no such cut. */
  async plan(request: PlanRequest): Promise<Plan> {
    if (request.cut !== undefined) return this.#planCut(request, request.cut);
    const snapshot = this.#snapshotAt(request);
    const totals = snapshot.tables[request.table];
    const promoted = this.#promotedAt(request.table, snapshot.seq);
    return {
      snapshot: snapshot.seq,
      ...promoted,
      ...this.#files.planned(request, { seq: snapshot.seq, ...promoted, tableFiles: totals.files }),
      tableFiles: totals.files,
      tableBytes: totals.bytes,
    };
  }

  #snapshotAt({ asOf, asOfTime }: PlanRequest): Snapshot {
    const newest = this.#snapshots.latest();
    if (asOf === undefined && asOfTime === undefined) return newest;
    const known = asOf === undefined && asOfTime! > Date.now();
    const found = asOf === undefined ? !known && this.#snapshots.atTime(asOfTime!) : this.#snapshots.at(asOf);
    if (found) return found;
    throw new RangeError(notKept(asOf === undefined ? isoMs(asOfTime!) : `snapshot ${asOf}`, this.#snapshots));
  }

  #planCut(request: PlanRequest, name: string): Plan {
    const cut = this.#cuts.find(name);
    if (!cut) throw new RangeError(`there is no cut ${name}`);
    const { seq, through } = cut;
    const to = Math.min(request.to ?? Number.MAX_SAFE_INTEGER, through ?? Number.MAX_SAFE_INTEGER);
    const totals = this.#cuts.tables(cut)[request.table];
    const promoted = this.#promotedAt(request.table, seq!);
    return {
      snapshot: seq!,
      ...promoted,
      cut: { name: cutName(cut.name, cut.version), through },
      ...this.#files.planned({ ...request, to }, { seq: seq!, cut: true, ...promoted, tableFiles: totals.files }),
      tableFiles: totals.files,
      tableBytes: totals.bytes,
    };
  }

  async snapshots(limit: number, before?: number): Promise<SnapshotEntry[]> {
    return this.#snapshots
      .list(limit, before)
      .map(({ seq, operation, committedAt, tables }) => ({ seq, operation, committedAt, tables }));
  }

  async expire(settings: RetentionSettings, nowMs: number): Promise<Expired> {
    return this.ctx.storage.transactionSync(() => this.#retention.expire(settings, nowMs));
  }

  async cutWork(settings: CutSettings, nowMs: number): Promise<CutWork | null> {
    return this.ctx.storage.transactionSync(() => this.#cuts.work(settings, nowMs));
  }

  async markCut(name: string, version: number, marks: readonly ShardMark[], nowMs: number): Promise<void> {
    this.#cuts.mark(name, version, marks, nowMs);
  }

  async freezeCut(
    name: string,
    version: number,
    marks: readonly ShardMark[],
    settings: CutSettings,
    nowMs: number,
  ): Promise<FreezeAnswer> {
    return this.ctx.storage.transactionSync(() => this.#cuts.freeze(name, version, marks, settings, nowMs));
  }

  async cutCompacted(...given: Parameters<LakeCutsApi["cutCompacted"]>): Promise<void> {
    this.#cuts.compacted(...given);
  }

  async tallied(...[name, version, step, tally, nowMs]: Parameters<LakeCutsApi["tallied"]>): Promise<boolean> {
    return this.#cuts.tallied(name, version, step, tally, nowMs);
  }

  async tallyFailed(name: string, version: number, cause: string, nowMs: number): Promise<void> {
    this.#cuts.tallyFailed(name, version, cause, nowMs);
  }

  async compareLater(name: string, version: number, nowMs: number): Promise<void> {
    this.#cuts.compareLater(name, version, nowMs);
  }

  async compared(name: string, version: number, comparison: CutComparison, nowMs: number): Promise<void> {
    this.#cuts.compared(name, version, comparison, nowMs);
  }

  async requestCut(...[request, nowMs]: Parameters<LakeCutsApi["requestCut"]>): Promise<Cut | OpenCut | null> {
    return this.ctx.storage.transactionSync(() => this.#cuts.request(request, nowMs));
  }

  async cuts(limit: number, before?: string): Promise<Cut[]> {
    return this.#cuts.list(limit, before);
  }

  async cut(name: string): Promise<Cut | null> {
    return this.#cuts.cut(name);
  }

  async cutFiles(name: string, afterId = 0): Promise<{ cut: Cut; files: DataFile[]; next: number | null }> {
    const cut = this.#cuts.cut(name);
    if (!cut) throw new RangeError(`there is no cut ${name}`);
    const files = this.#cuts.files.named(cut.seq, cut.through, afterId, CUT.filesPerPage);
    return { cut, files, next: files.length < CUT.filesPerPage ? null : files.at(-1)!.id };
  }

  async unnamed(keys: readonly string[]): Promise<string[]> {
    return keys.filter((key) => !this.#files.has(key) && !this.#staging.has(key));
  }

  async status(): Promise<CatalogStatus> {
    const { seq, tables, retractedRows, erasedEvents, rebuiltEvents, expiredEvents } = this.#snapshots.latest();
    return {
      snapshot: seq,
      files: tables.events.files + tables.quarantine.files,
      bytes: tables.events.bytes + tables.quarantine.bytes,
      rows: { events: tables.events.rows, quarantine: tables.quarantine.rows },
      cursors: this.#cursors.all(),
      rules: this.#rules.newest,
      retracted: retractedRows + erasedEvents,
      rebuilt: rebuiltEvents,
      expired: expiredEvents,
      expiredReach: this.#retention.reach(),
      rebuilding: this.#staging.rebuilding(),
      schema: { version: this.#schema.newest().version, conflicts: this.#schema.conflicts() },
    };
  }

  async commitsSince(ms: number): Promise<number> {
    return this.#snapshots.countSince(ms);
  }

  async place(): Promise<LakePlace> {
    const { seq, rebuiltEvents, deletedRows } = this.#snapshots.latest();
    const cursors = Object.entries(this.#cursors.all()).filter(([, { cursor }]) => cursor > 0);
    const leftOut = cursors.some(([, { holes }]) => (holes?.events ?? 0) > 0);
    return {
      snapshot: seq,
      cursors: cursors.map(([shard, { cursor }]) => [Number(shard), cursor] as const),
      rules: this.#rules.newest,
      whole: !leftOut && rebuiltEvents === 0 && deletedRows === 0 && this.#changes.hasPassedRules(),
      expired: Object.values(this.#retention.reach()),
      columns: this.#schema.newest().promoted.map(({ name }) => name),
    };
  }

  async schema(asOf?: number): Promise<SchemaStatus> {
    const newest = this.#snapshots.latest().seq;
    if (asOf !== undefined && asOf > newest)
      throw new RangeError(`snapshot ${asOf} lies ahead; the newest is ${newest}`);
    const snapshot = asOf ?? newest;
    return { ...this.#schema.at(snapshot), snapshot, conflicts: this.#schema.conflicts() };
  }

  async addColumn(column: NewPromotedColumn): Promise<ColumnAnswer> {
    const now = Date.now();
    return this.ctx.storage.transactionSync(() =>
      this.#schema.add(column, () => this.#snapshots.commit({ operation: "schema", added: [], removed: [] }, now), now),
    );
  }

  /** What a plan tells of the columns that a table had then. */
  #promotedAt(table: TableName, seq: number): Pick<Plan, "promoted"> {
    const { promoted } = this.#schema.at(seq);
    return table === "events" && promoted.length > 0 ? { promoted } : {};
  }

  async compactionWork(skip: readonly string[] = [], aboveFiles?: number): Promise<CompactionWork | null> {
    if (this.#staging.rebuilding().length > 0) return null;
    const now = Date.now();
    const settings = { aboveFiles: aboveFiles ?? LAKE.compactAboveFiles, isAsked: aboveFiles !== undefined };
    return this.#compaction.next(settings, [...skip, ...this.#cuts.holds(now)], this.#rules.newest, now);
  }

  async uploadBegan(key: string, uploadId: string): Promise<void> {
    this.#uploads.began(key, uploadId, Date.now());
  }

  async uploadEnded(key: string): Promise<void> {
    this.#uploads.ended(key);
  }

  async staleUploads(): Promise<OpenUpload[]> {
    return this.#uploads.before(Date.now() - LAKE.staleFileMs, LAKE.filesPerPage);
  }

  async forget(): Promise<number> {
    const before = Date.now() - LAKE.snapshotReachMs;
    return this.ctx.storage.transactionSync(() => {
      this.#snapshots.forget(before);
      this.#staging.forget(before);
      const forgotten = this.#files.forget(before, this.#snapshots.oldest()?.seq ?? 0);
      this.#erased.forget(before - LAKE.snapshotReachMs);
      const oldest = this.#files.oldestRules();
      if (oldest !== null) this.#rules.forget(oldest);
      return forgotten;
    });
  }

  async raise(version: number, filter?: RuleFilter): Promise<void> {
    this.#rules.raise(version, filter);
  }

  async candidates(request: Parameters<LakeStagingApi["candidates"]>[0]): Promise<DataFile[]> {
    return this.#changes.candidates(request);
  }

  async replaceable(job: string, afterId: number): Promise<DataFile[]> {
    return this.#changes.replaceable(job, afterId);
  }

  async begin(job: string, reach?: Readonly<Record<number, LogReach>>): Promise<RebuildScope> {
    return this.ctx.storage.transactionSync(() => {
      const known = this.#staging.open(job, Date.now()).scope;
      if (known) return known;
      const cursors = Object.fromEntries(
        Object.entries(this.#cursors.all()).map(([shard, { cursor }]) => [shard, cursor]),
      );
      const scope = scopeOf(this.#snapshots.latest().seq, cursors, reach);
      this.#staging.begin(job, scope);
      return scope;
    });
  }

  /** @throws RangeError as `append`, and where the job is not open. */
  async stage(job: string, step: number, add: readonly NewDataFile[], marks: StagedMarks = {}): Promise<void> {
    const now = Date.now();
    for (const file of add) assertFresh(file, now);
    this.ctx.storage.transactionSync(() => {
      this.#staging.open(job, now);
      this.#staging.add(job, step, add, marks);
    });
  }

  async staged(job: string): Promise<StagedStatus> {
    return this.#staging.status(job);
  }

  async tallies(job: string): Promise<{ before: KeyTally; after: KeyTally }> {
    return this.#staging.tallies(job);
  }

  async swap(job: string, change: Parameters<LakeStagingApi["swap"]>[1]): Promise<CatalogAnswer> {
    return this.ctx.storage.transactionSync(() => this.#changes.swap(job, change, Date.now()));
  }

  async revert(job: string): Promise<CatalogAnswer> {
    return this.ctx.storage.transactionSync(() => this.#changes.revert(job, Date.now()));
  }

  async confirm(job: string): Promise<void> {
    this.ctx.storage.transactionSync(() => this.#changes.confirm(job, Date.now()));
  }

  async discard(job: string): Promise<void> {
    this.ctx.storage.transactionSync(() => this.#changes.discard(job, Date.now()));
  }

  async icebergStep(table: TableName, force = false): Promise<PublishStep | null> {
    return this.ctx.storage.transactionSync(() => this.#iceberg.step(table, force, Date.now()));
  }

  async icebergFiles(table: TableName, token: number, afterId: number): Promise<DataFile[] | null> {
    return this.#iceberg.files(table, token, afterId);
  }

  /** @throws RangeError where a key is not ours, or so old that the sweep may take the object. */
  async icebergStage(table: TableName, token: number, staged: StagedManifests): Promise<boolean> {
    return this.ctx.storage.transactionSync(() => this.#iceberg.stage(table, token, staged, Date.now()));
  }

  /** @throws RangeError as `icebergStage`. */
  async icebergPublish(table: TableName, token: number, publication: Publication): Promise<boolean> {
    const now = Date.now();
    return this.ctx.storage.transactionSync(() => {
      const gone = this.#iceberg.publish(table, token, publication, now);
      this.#erased.leave(gone ?? [], this.#rules.newest, now);
      return gone !== null;
    });
  }

  async icebergTables(): Promise<PublishedTable[]> {
    return this.#iceberg.published();
  }

  async icebergUnnamed(keys: readonly string[]): Promise<string[]> {
    return this.#iceberg.unnamed(keys);
  }

  async icebergErase(table: TableName): Promise<boolean> {
    return this.ctx.storage.transactionSync(() => {
      this.#erased.leave(this.#iceberg.erase(table) ?? [], this.#rules.newest, Date.now());
      return this.#iceberg.isErasing(table);
    });
  }

  async icebergLost(keys: readonly string[]): Promise<string[]> {
    return this.#iceberg.lost(keys);
  }

  async erasable(table: TableName, version: number, afterId: number): Promise<DataFile[]> {
    return this.#erased.erasable(table, version, afterId);
  }

  async erasableStaged(table: TableName, afterKey: string): Promise<StagedFile[]> {
    return this.#staging.filesAfter(table, afterKey, LAKE.filesPerPage);
  }

  async exchange(change: FileExchange): Promise<"exchanged" | "gone"> {
    const now = Date.now();
    if (change.replacement) assertFresh(change.replacement, now);
    return this.ctx.storage.transactionSync(() => this.#erased.exchange(change, now));
  }

  async exchangeStaged(version: number, key: string, replacement: NewDataFile | null): Promise<"exchanged" | "gone"> {
    const now = Date.now();
    if (replacement) assertFresh(replacement, now);
    return this.ctx.storage.transactionSync(() => {
      if (!this.#staging.exchange(key, replacement)) return "gone";
      this.#erased.leave([key], version, now);
      return "exchanged";
    });
  }

  async wasErased(keys: readonly string[]): Promise<string[]> {
    return this.#erased.known(keys);
  }

  async erasedObjects(): Promise<string[]> {
    return this.#erased.left();
  }

  async erasedDeleted(keys: readonly string[]): Promise<void> {
    this.#erased.deleted(keys);
  }

  async uploadsBefore(ms: number): Promise<OpenUpload[]> {
    return this.#uploads.before(ms, LAKE.filesPerPage);
  }

  async forgetFilters(version: number, texts: readonly string[]): Promise<number> {
    return this.#rules.forgetFilters(version, texts);
  }
}

const isoMs = (ms: number): string => new Date(ms).toISOString();

function assertFresh(file: NewDataFile, nowMs: number): void {
  const parts = parseDataFileKey(file.key);
  if (parts?.table !== file.table) throw new RangeError(`${file.key} is no key of table ${file.table}`);
  if (nowMs - decodeTime(parts.ulid) > LAKE.staleFileMs) throw new RangeError(`${file.key} is too old to be added`);
}

/** A file has every column of its version and of those before: one of the youngest input's version lacks none of any. */
function keepsColumns(before: readonly NewDataFile[], after: readonly NewDataFile[]): boolean {
  const youngest = Math.max(...before.map(({ schemaVersion }) => schemaVersion));
  return after.every(({ schemaVersion }) => schemaVersion >= youngest);
}

function sameRows(before: readonly NewDataFile[], after: readonly NewDataFile[]): boolean {
  const rows = (files: readonly NewDataFile[], table: string) =>
    files.reduce((sum, file) => sum + (file.table === table ? file.rows : 0), 0);
  return rows(before, "events") === rows(after, "events") && rows(before, "quarantine") === rows(after, "quarantine");
}
