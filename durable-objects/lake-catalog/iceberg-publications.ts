/**
 * The lake as Iceberg tables, from the catalog's side: it says which step comes next, keeps what was staged of it, and
 * switches readers over. The publisher writes the objects (queues/maintenance/publish-iceberg.ts). A step's objects are
 * named by nobody until `publish`, one transaction, so readers find the last whole metadata whatever happens:
 *
 *     cut off before `stage`             its objects are orphans; the part is done again
 *     cut off after `stage`              the step comes again with what was staged, and goes on behind it
 *     cut off before `publish`           the same; manifest list and metadata are written again under other keys
 *     `publish` done, its answer lost    the next step is the one after it
 *     two publishers of a table          the one that asked last has the token: the other is told so and stops
 *     commits while a step is under way  the step is of the snapshot that it began with
 *     a publisher that slept for a day   the keys are told to be too old: the sweep may have taken them
 *     the lake forgets a removed file    no kept snapshot names it: they are forgotten two hours before it
 *     a file is exchanged by an erasure  the next step takes it out; snapshots that named it go, and with them what they were
 *                                        made of, at once: a step that was begun before is dropped, whoever is at it
 *
 * All methods are synchronous, for the transaction of their caller.
 */
import { decodeTime } from "ulidx";
import type { TableName } from "../../r2-layout/event-columns.ts";
import {
  expiredSnapshots,
  type FileSums,
  type IcebergSnapshot,
  type NamedCut,
  NO_FILES,
  tagsOf,
} from "../../r2-layout/iceberg/snapshots.ts";
import { parseIcebergKey } from "../../r2-layout/keys.ts";
import { ICEBERG, LAKE } from "../../r2-layout/limits.ts";
import type { LakeSchema } from "../../r2-layout/promoted-columns.ts";
import type { DataFile } from "./api.ts";
import { dataFile, type FileRow } from "./data-files.ts";
import type { ManifestRewrite, Publication, PublishedTable, PublishStep, StagedManifests } from "./iceberg-api.ts";
import { Commits, StepFiles, type StepPlan } from "./iceberg-steps.ts";
import { type BegunStep, IcebergTables, type TableRow } from "./iceberg-tables.ts";

export class IcebergPublications {
  readonly #sql: SqlStorage;
  readonly #tables: IcebergTables;
  readonly #commits: Commits;
  readonly #files: StepFiles;
  readonly #schemaAt: (seq: number) => LakeSchema;

  /** After the tables of files and snapshots. @param schemaAt the schema as of a snapshot of the lake. */
  constructor(sql: SqlStorage, schemaAt: (seq: number) => LakeSchema) {
    this.#sql = sql;
    this.#tables = new IcebergTables(sql);
    this.#commits = new Commits(sql);
    this.#files = new StepFiles(sql);
    this.#schemaAt = schemaAt;
  }

  step(table: TableName, force: boolean, nowMs: number): PublishStep | null {
    const begun = this.#begun(table) ?? this.#next(table, force, nowMs);
    if (!begun) return null;
    const row = this.#tables.table(table);
    const { plan, snapshotId, erases } = begun;
    const staged = this.#tables.staged(table);
    const snapshots = this.#tables.snapshots(table);
    const lakeSnapshot = plan?.to ?? row.lake_seq;
    return {
      table,
      token: this.#tables.nextToken(table),
      uuid: row.uuid,
      version: row.version + 1,
      operation: plan?.operation ?? null,
      snapshotId,
      sequence: row.last_sequence + (plan ? 1 : 0),
      lakeSnapshot,
      timestampMs: Math.max(this.#commits.committedAt(lakeSnapshot), (snapshots.at(-1)?.timestampMs ?? 0) + 1),
      lakeFrom: plan?.from ?? row.lake_seq,
      reached: plan ? this.#reached(row, plan).lake : row.lake_seq,
      cuts: this.#cuts(snapshots),
      schema: this.#schemaAt(plan ? lakeSnapshot : this.#commits.newest()),
      ...this.#manifests(table, begun, new Set(staged.flatMap(({ replaces }) => replaces))),
      staged: staged.flatMap(({ manifests }) => manifests),
      addedThrough: staged.reduce((most, { addedThrough = 0 }) => Math.max(most, addedThrough), 0),
      snapshots,
      previous: erases ? [] : this.#tables.metadata(table),
      ...(erases && {
        erases: this.#lost(table, snapshots),
        erased: staged.map((of) => of.erased ?? NO_FILES).reduce(added, NO_FILES),
      }),
    };
  }

  /** Makes the next step one that takes out what was exchanged, where there is such. @returns keys that were let go, null where there is none. */
  erase(table: TableName): string[] | null {
    const { version } = this.#tables.table(table);
    const staged = this.#tables.staged(table).flatMap(({ manifests }) => manifests);
    if (version === 0 ? staged.length === 0 : this.#tables.erased(table).length + staged.length === 0) return null;
    const before = this.#tables.keys();
    this.#tables.dropStep(table);
    if (version > 0 && this.#tables.erased(table).length > 0) {
      const { lake_seq: from } = this.#tables.table(table);
      this.#begin(table, { part: "all", operation: "overwrite", from, to: this.#commits.newest() }, true);
    }
    const after = this.#tables.keys();
    return [...before].filter((key) => !after.has(key));
  }

  /** Whether a step that erases is to come. */
  isErasing(table: TableName): boolean {
    return this.#begun(table)?.erases === true;
  }

  /** Unnamed, and older than the newest metadata: whoever wrote them has been overtaken. */
  lost(keys: readonly string[]): string[] {
    const publishedAt = new Map(this.#tables.all().map((row) => [row.tbl, row.published_at]));
    return this.unnamed(keys).filter((key) => {
      const parts = parseIcebergKey(key);
      return parts !== null && decodeTime(parts.ulid) < (publishedAt.get(parts.table) ?? 0);
    });
  }

  /** Snapshots that a manifest belongs to which tells of an exchanged file. */
  #lost(table: TableName, snapshots: readonly IcebergSnapshot[]): number[] {
    const erased = this.#tables.erased(table);
    return snapshots
      .filter(({ sequence: at }) =>
        erased.some(({ sequence, dropped }) => sequence <= at && (dropped === null || at < dropped)),
      )
      .map(({ snapshotId }) => snapshotId);
  }

  files(table: TableName, token: number, afterId: number): DataFile[] | null {
    const row = this.#tables.table(table);
    const plan = this.#begun(table)?.plan;
    if (row.token !== token || !plan) return null;
    return this.#added(row, plan, afterId, ICEBERG.filesPerPage).map((id) =>
      dataFile(this.#sql.exec<FileRow>("SELECT * FROM data_file WHERE id = ?", id).one()),
    );
  }

  stage(table: TableName, token: number, staged: StagedManifests, nowMs: number): boolean {
    if (this.#tables.table(table).token !== token || !this.#begun(table)) return false;
    for (const { manifest } of staged.manifests) assertFresh(table, manifest.key, nowMs);
    this.#tables.stage(table, staged);
    return true;
  }

  /** @returns keys that it let go for good, of a step that erases; null where another publisher has taken over. */
  publish(table: TableName, token: number, publication: Publication, nowMs: number): string[] | null {
    const row = this.#tables.table(table);
    const begun = this.#begun(table);
    if (row.token !== token || !begun) return null;
    const { plan, erases } = begun;
    const before = erases ? this.#tables.keys() : new Set<string>();
    const { metadataKey, snapshot } = publication;
    for (const key of snapshot ? [snapshot.manifestListKey, metadataKey] : [metadataKey])
      assertFresh(table, key, nowMs);
    const schema = this.#schemaAt(plan ? plan.to : this.#commits.newest()).version;
    this.#tables.publish(table, publication, { ...(plan ? this.#reached(row, plan) : reachedBy(row)), schema }, nowMs);
    if (!erases) return [];
    this.#tables.forgetMetadata(table);
    const after = this.#tables.keys();
    return [...before].filter((key) => !after.has(key));
  }

  published(): PublishedTable[] {
    return this.#tables.all().flatMap((row) =>
      row.metadata_key === null
        ? []
        : [
            {
              table: row.tbl,
              uuid: row.uuid,
              metadataKey: row.metadata_key,
              version: row.version,
              publishedAt: row.published_at,
              lakeSnapshot: row.lake_seq,
              unpublishedSince: this.#commits.committedAt(row.lake_seq + 1) || null,
            },
          ],
    );
  }

  unnamed(keys: readonly string[]): string[] {
    const named = this.#tables.keys();
    return keys.filter((key) => !named.has(key));
  }

  #begun(table: TableName): BegunStep | null {
    const { step } = this.#tables.table(table);
    return step === null ? null : (JSON.parse(step) as BegunStep);
  }

  /** Begins the next step, going over what changed nothing in the table. */
  #next(table: TableName, force: boolean, nowMs: number): BegunStep | null {
    for (;;) {
      const row = this.#tables.table(table);
      const newest = this.#commits.newest();
      const isInRound = row.version > 0 && row.lake_seq < row.round_to;
      if (!isInRound) {
        if (!force && slotOf(nowMs) <= slotOf(row.round_at)) return null;
        this.#tables.beginRound(table, nowMs, newest);
      }
      const reached = { lake: row.lake_seq, appends: row.appends_seq, isPublished: row.version > 0 };
      const plan = this.#commits.next(reached, isInRound ? row.round_to : newest);
      if (plan && this.#changes(row, plan)) return this.#begin(table, plan);
      if (plan) {
        const reached = this.#reached(row, plan);
        this.#tables.advance(table, reached);
        if (reached.lake < this.#tables.table(table).round_to) continue;
      }
      return this.#isMetadataDue(table, nowMs) ? this.#begin(table, null) : null;
    }
  }

  #begin(table: TableName, plan: StepPlan | null, erases = false): BegunStep {
    const step = { plan, snapshotId: newSnapshotId(), ...(erases && { erases }) };
    this.#tables.begin(table, step);
    return step;
  }

  #changes(row: TableRow, plan: StepPlan): boolean {
    if (this.#added(row, plan, 0, 1).length > 0) return true;
    return this.#files.removed(row.tbl, plan, () => this.#published(row.tbl)).size > 0;
  }

  /** A table that nobody has seen yet, a schema that has grown, a cut that has been made, snapshots that have come of age. */
  #isMetadataDue(table: TableName, nowMs: number): boolean {
    const { version, schema_version, lake_seq, tags } = this.#tables.table(table);
    if (version === 0 || this.#schemaAt(this.#commits.newest()).version !== schema_version) return true;
    const snapshots = this.#tables.snapshots(table);
    const now = tagsOf(this.#cuts(snapshots), snapshots, lake_seq, nowMs);
    return JSON.stringify(now) !== tags || expiredSnapshots(snapshots, nowMs, new Set(Object.values(now))).length > 0;
  }

  #cuts(snapshots: readonly IcebergSnapshot[]): NamedCut[] {
    const oldest = snapshots[0];
    return oldest ? this.#commits.cuts(oldest.lakeSnapshot) : [];
  }

  #added({ tbl, last_file: above }: TableRow, plan: StepPlan, afterId: number, limit: number): number[] {
    return this.#files.added(tbl, plan, { above, published: () => this.#published(tbl) }, afterId, limit);
  }

  /** How far a table is published once a step is. */
  #reached(row: TableRow, { part, to }: StepPlan) {
    return part === "appends"
      ? { lake: row.lake_seq, appends: to, lastFile: row.last_file }
      : { lake: to, appends: to, lastFile: this.#files.lastId(to) };
  }

  /** Which manifests stay, and which are written anew: those that lose files, and small ones where there are many. */
  #manifests(
    table: TableName,
    { plan, erases }: BegunStep,
    replaced: ReadonlySet<number>,
  ): Pick<PublishStep, "keeps" | "rewrites"> {
    const live = this.#tables.manifests(table).filter((manifest) => manifest.live > 0);
    if (!plan) return { keeps: live, rewrites: [] };
    const removed = this.#files.removed(table, plan, () => this.#published(table));
    const small = smallOnes(live);
    const erased = new Set(erases ? this.#tables.erased(table).map(({ id }) => id) : []);
    const rewrites: ManifestRewrite[] = [];
    if (removed.size > 0 || small.size > 0 || erased.size > 0) {
      const byId = new Map(live.map((manifest) => [manifest.id, manifest]));
      for (const { id, files } of this.#tables.files(table)) {
        const manifest = byId.get(id);
        const gone = files.filter((file) => removed.has(file));
        if (manifest && (gone.length > 0 || small.has(id) || erased.has(id)))
          rewrites.push({ manifest, files, removed: gone });
      }
    }
    const rewritten = new Set(rewrites.map(({ manifest }) => manifest.id));
    return {
      keeps: live.filter(({ id }) => !rewritten.has(id)),
      rewrites: rewrites.filter(({ manifest }) => !replaced.has(manifest.id)),
    };
  }

  #published(table: TableName): ReadonlySet<number> {
    const ids = new Set<number>();
    for (const { files } of this.#tables.files(table)) for (const id of files) ids.add(id);
    return ids;
  }
}

/** Of each spec's small manifests all, where there are many. */
function smallOnes(
  live: readonly { readonly id: number; readonly spec: number; readonly live: number }[],
): ReadonlySet<number> {
  const small = live.filter((manifest) => manifest.live < ICEBERG.smallManifestFiles);
  const bySpec = Map.groupBy(small, ({ spec }) => spec);
  return new Set(
    [...bySpec.values()].flatMap((of) => (of.length >= ICEBERG.smallManifests ? of.map(({ id }) => id) : [])),
  );
}

const added = (a: FileSums, b: FileSums): FileSums => ({
  files: a.files + b.files,
  rows: a.rows + b.rows,
  bytes: a.bytes + b.bytes,
});

const reachedBy = (row: TableRow) => ({ lake: row.lake_seq, appends: row.appends_seq, lastFile: row.last_file });

/** Slots of the clock, not times between rounds: a cron that comes a moment early would lose every other turn. */
const slotOf = (ms: number): number => Math.floor(ms / ICEBERG.publishIntervalMs);

/** From 1 to 2^52. */
function newSnapshotId(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number];
  return (high % 2 ** 20) * 2 ** 32 + low + 1;
}

function assertFresh(table: TableName, key: string, nowMs: number): void {
  const parts = parseIcebergKey(key);
  if (parts?.table !== table) throw new RangeError(`${key} is no key of table ${table}`);
  if (nowMs - decodeTime(parts.ulid) > LAKE.staleFileMs) throw new RangeError(`${key} is too old to be published`);
}
