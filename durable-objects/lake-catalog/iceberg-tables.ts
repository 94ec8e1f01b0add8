/**
 * What of the lake has been published as Iceberg tables: how far, the snapshots that the metadata names, their manifests
 * with the ids of the files in them, and the step that is under way. A few rows a publication, none a file.
 */
import type { TableName } from "../../r2-layout/event-columns.ts";
import type { StoredManifest } from "../../r2-layout/iceberg/manifest-list.ts";
import type { IcebergSnapshot } from "../../r2-layout/iceberg/snapshots.ts";
import type { MetadataVersion } from "../../r2-layout/iceberg/table-metadata.ts";
import { ICEBERG } from "../../r2-layout/limits.ts";
import { addColumns } from "../add-columns.ts";
import type { LiveManifest, NewManifest, Publication, StagedManifests } from "./iceberg-api.ts";
import type { StepPlan } from "./iceberg-steps.ts";

export type TableRow = {
  tbl: TableName;
  uuid: string;
  /** Of the metadata; 0 before the first. */
  version: number;
  metadata_key: string | null;
  published_at: number;
  /** When the last round began, and how far it goes. */
  round_at: number;
  round_to: number;
  last_sequence: number;
  lake_seq: number;
  appends_seq: number;
  /** The highest id of a file that was there at `lake_seq`. */
  last_file: number;
  schema_version: number;
  token: number;
  step: string | null;
  /** Of the metadata in force, JSON. */
  tags: string;
};

/** A step that was begun. */
export interface BegunStep {
  /** Null: the metadata alone. */
  readonly plan: StepPlan | null;
  readonly snapshotId: number;
  /** It takes out what was exchanged (erased-files.ts). */
  readonly erases?: boolean;
}

type ManifestRow = { id: number; manifest: string; files: string };

export class IcebergTables {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS iceberg_table (
      tbl TEXT PRIMARY KEY, uuid TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 0, metadata_key TEXT,
      published_at INTEGER NOT NULL DEFAULT 0, round_at INTEGER NOT NULL DEFAULT 0, round_to INTEGER NOT NULL DEFAULT 0,
      last_sequence INTEGER NOT NULL DEFAULT 0, lake_seq INTEGER NOT NULL DEFAULT 0,
      appends_seq INTEGER NOT NULL DEFAULT 0, last_file INTEGER NOT NULL DEFAULT 0,
      schema_version INTEGER NOT NULL DEFAULT 0, token INTEGER NOT NULL DEFAULT 0, step TEXT) WITHOUT ROWID`);
    addColumns(sql, "iceberg_table", { tags: "TEXT NOT NULL DEFAULT '{}'" });
    sql.exec(`CREATE TABLE IF NOT EXISTS iceberg_snapshot (
      tbl TEXT NOT NULL, sequence INTEGER NOT NULL, snapshot TEXT NOT NULL, PRIMARY KEY (tbl, sequence)) WITHOUT ROWID`);
    // In force from the snapshot `sequence` up to, and without, the one that dropped it.
    sql.exec(`CREATE TABLE IF NOT EXISTS iceberg_manifest (
      id INTEGER PRIMARY KEY AUTOINCREMENT, tbl TEXT NOT NULL, sequence INTEGER NOT NULL, dropped INTEGER,
      live INTEGER NOT NULL, manifest TEXT NOT NULL, files TEXT NOT NULL)`);
    // Ids of deleted entries' files, JSON; null: not told.
    addColumns(sql, "iceberg_manifest", { gone: "TEXT" });
    sql.exec(`CREATE TABLE IF NOT EXISTS iceberg_staged (
      tbl TEXT NOT NULL, n INTEGER NOT NULL, staged TEXT NOT NULL, PRIMARY KEY (tbl, n)) WITHOUT ROWID`);
    sql.exec(`CREATE TABLE IF NOT EXISTS iceberg_metadata (
      tbl TEXT NOT NULL, version INTEGER NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL,
      PRIMARY KEY (tbl, version)) WITHOUT ROWID`);
  }

  all(): TableRow[] {
    return this.#sql.exec<TableRow>("SELECT * FROM iceberg_table ORDER BY tbl").toArray();
  }

  table(table: TableName): TableRow {
    const find = () => this.#sql.exec<TableRow>("SELECT * FROM iceberg_table WHERE tbl = ?", table).toArray()[0];
    const known = find();
    if (known) return known;
    this.#sql.exec("INSERT INTO iceberg_table (tbl, uuid) VALUES (?, ?)", table, crypto.randomUUID());
    return find()!;
  }

  /** A round goes up to the lake's snapshot of its beginning, however many steps that takes. */
  beginRound(table: TableName, nowMs: number, to: number): void {
    this.#sql.exec("UPDATE iceberg_table SET round_at = ?, round_to = ? WHERE tbl = ?", nowMs, to, table);
  }

  begin(table: TableName, step: BegunStep): void {
    this.#sql.exec("UPDATE iceberg_table SET step = ? WHERE tbl = ?", JSON.stringify(step), table);
  }

  /** Whoever asks for a step is the publisher from now on. */
  nextToken(table: TableName): number {
    return this.#sql
      .exec<{ token: number }>("UPDATE iceberg_table SET token = token + 1 WHERE tbl = ? RETURNING token", table)
      .one().token;
  }

  /** A part of the lake's history in which nothing changed for the table. */
  advance(table: TableName, to: { readonly lake: number; readonly appends: number; readonly lastFile: number }): void {
    this.#sql.exec(
      "UPDATE iceberg_table SET lake_seq = ?, appends_seq = ?, last_file = ? WHERE tbl = ?",
      to.lake,
      to.appends,
      to.lastFile,
      table,
    );
  }

  /**
   * Manifests, in force or of kept snapshots, that tell of a file that was exchanged: where it is not known whose deleted
   * entries one has, it may.
   */
  erased(table: TableName): { readonly id: number; readonly sequence: number; readonly dropped: number | null }[] {
    const exchanged = "SELECT 1 FROM json_each(m.files) AS f JOIN erased_object ON file = f.value";
    const deleted = "SELECT 1 FROM json_each(m.gone) AS f JOIN erased_object ON file = f.value";
    return this.#sql
      .exec<{ id: number; sequence: number; dropped: number | null }>(
        `SELECT id, sequence, dropped FROM iceberg_manifest AS m WHERE tbl = ? AND EXISTS (SELECT 1 FROM erased_object WHERE file IS NOT NULL)
           AND (EXISTS (${exchanged}) OR EXISTS (${deleted}) OR (gone IS NULL AND json_extract(manifest, '$.deletedFiles') > 0))`,
        table,
      )
      .toArray();
  }

  /** Lets go what was staged of a step, and the step. Whoever is at it has been overtaken. */
  dropStep(table: TableName): void {
    this.#sql.exec("DELETE FROM iceberg_staged WHERE tbl = ?", table);
    this.#sql.exec("UPDATE iceberg_table SET step = NULL, token = token + 1 WHERE tbl = ?", table);
  }

  /** Lets go all metadata but the newest. */
  forgetMetadata(table: TableName): void {
    this.#sql.exec(
      "DELETE FROM iceberg_metadata WHERE tbl = ? AND version < (SELECT version FROM iceberg_table WHERE tbl = ?)",
      table,
      table,
    );
  }

  /** Those in force. */
  manifests(table: TableName): (LiveManifest & { readonly live: number })[] {
    return this.#sql
      .exec<ManifestRow & { live: number }>(
        "SELECT id, live, manifest FROM iceberg_manifest WHERE tbl = ? AND dropped IS NULL ORDER BY id",
        table,
      )
      .toArray()
      .map(({ id, live, manifest }) => ({ id, live, ...(JSON.parse(manifest) as StoredManifest) }));
  }

  /** The ids of the live entries of each manifest in force, in their order. */
  *files(table: TableName): Generator<{ readonly id: number; readonly files: readonly number[] }> {
    for (const { id, files } of this.#sql.exec<ManifestRow>(
      "SELECT id, files FROM iceberg_manifest WHERE tbl = ? AND dropped IS NULL",
      table,
    )) {
      yield { id, files: JSON.parse(files) };
    }
  }

  /** Oldest first. */
  snapshots(table: TableName): IcebergSnapshot[] {
    return this.#sql
      .exec<{ snapshot: string }>("SELECT snapshot FROM iceberg_snapshot WHERE tbl = ? ORDER BY sequence", table)
      .toArray()
      .map(({ snapshot }) => JSON.parse(snapshot) as IcebergSnapshot);
  }

  /** Versions of the metadata that are kept, oldest first. */
  metadata(table: TableName): MetadataVersion[] {
    return this.#sql
      .exec<{ key: string; at: number }>("SELECT key, at FROM iceberg_metadata WHERE tbl = ? ORDER BY version", table)
      .toArray()
      .map(({ key, at }) => ({ key, timestampMs: at }));
  }

  staged(table: TableName): StagedManifests[] {
    return this.#sql
      .exec<{ staged: string }>("SELECT staged FROM iceberg_staged WHERE tbl = ? ORDER BY n", table)
      .toArray()
      .map(({ staged }) => JSON.parse(staged) as StagedManifests);
  }

  stage(table: TableName, staged: StagedManifests): void {
    this.#sql.exec(
      "INSERT INTO iceberg_staged SELECT ?, coalesce(max(n), 0) + 1, ? FROM iceberg_staged WHERE tbl = ?",
      table,
      JSON.stringify(staged),
      table,
    );
  }

  /** The step becomes what readers see. @param reached how far the table is published then. */
  publish(
    table: TableName,
    { metadataKey, snapshot, expired, tags }: Publication,
    reached: { readonly lake: number; readonly appends: number; readonly lastFile: number; readonly schema: number },
    nowMs: number,
  ): void {
    if (snapshot) this.#addSnapshot(table, snapshot);
    this.#sql.exec("DELETE FROM iceberg_staged WHERE tbl = ?", table);
    this.#forgetSnapshots(table, new Set(expired));
    const { version } = this.#sql
      .exec<{ version: number }>(
        `UPDATE iceberg_table SET version = version + 1, metadata_key = ?, published_at = ?, step = NULL,
           last_sequence = max(last_sequence, ?), schema_version = ?, tags = ? WHERE tbl = ? RETURNING version`,
        metadataKey,
        nowMs,
        snapshot?.sequence ?? 0,
        reached.schema,
        JSON.stringify(tags),
        table,
      )
      .one();
    this.advance(table, reached);
    this.#sql.exec("INSERT INTO iceberg_metadata VALUES (?, ?, ?, ?)", table, version, metadataKey, nowMs);
    this.#sql.exec(
      "DELETE FROM iceberg_metadata WHERE tbl = ? AND version < ?",
      table,
      version - ICEBERG.metadataVersions,
    );
  }

  #addSnapshot(table: TableName, snapshot: IcebergSnapshot): void {
    const { sequence } = snapshot;
    // One without live entries was for the snapshot that emptied it.
    this.#sql.exec(
      "UPDATE iceberg_manifest SET dropped = ? WHERE tbl = ? AND dropped IS NULL AND live = 0",
      sequence,
      table,
    );
    for (const { manifests, replaces } of this.staged(table)) {
      for (const id of replaces) this.#sql.exec("UPDATE iceberg_manifest SET dropped = ? WHERE id = ?", sequence, id);
      for (const added of manifests) this.#addManifest(table, sequence, added);
    }
    this.#sql.exec("INSERT INTO iceberg_snapshot VALUES (?, ?, ?)", table, sequence, JSON.stringify(snapshot));
  }

  #addManifest(table: TableName, sequence: number, { manifest, files, gone }: NewManifest): void {
    this.#sql.exec(
      "INSERT INTO iceberg_manifest (tbl, sequence, live, manifest, files, gone) VALUES (?, ?, ?, ?, ?, ?)",
      table,
      sequence,
      files.length,
      JSON.stringify(manifest),
      JSON.stringify(files),
      gone === undefined ? null : JSON.stringify(gone),
    );
  }

  /** With the manifests that no other snapshot has. */
  #forgetSnapshots(table: TableName, gone: ReadonlySet<number>): void {
    if (gone.size === 0) return;
    for (const { snapshotId, sequence } of this.snapshots(table)) {
      if (!gone.has(snapshotId)) continue;
      this.#sql.exec("DELETE FROM iceberg_snapshot WHERE tbl = ? AND sequence = ?", table, sequence);
    }
    this.#sql.exec(
      `DELETE FROM iceberg_manifest WHERE tbl = ? AND dropped IS NOT NULL AND NOT EXISTS (
         SELECT 1 FROM iceberg_snapshot AS s WHERE s.tbl = iceberg_manifest.tbl
           AND s.sequence >= iceberg_manifest.sequence AND s.sequence < iceberg_manifest.dropped)`,
      table,
    );
  }

  /** Keys of everything that readers may still be led to, and of what is staged. */
  keys(): Set<string> {
    const keys = new Set<string>();
    for (const { tbl } of this.all()) {
      for (const { key } of this.metadata(tbl)) keys.add(key);
      for (const { manifestListKey } of this.snapshots(tbl)) keys.add(manifestListKey);
      for (const { manifests } of this.staged(tbl)) for (const { manifest } of manifests) keys.add(manifest.key);
    }
    for (const { key } of this.#sql.exec<{ key: string }>(
      "SELECT json_extract(manifest, '$.key') AS key FROM iceberg_manifest",
    )) {
      keys.add(key);
    }
    return keys;
  }
}
