/** What the publisher and the REST catalog ask of the LakeCatalog about the Iceberg tables that the lake is published as. */
import type { TableName } from "../../r2-layout/event-columns.ts";
import type { StoredManifest } from "../../r2-layout/iceberg/manifest-list.ts";
import type { FileSums, IcebergOperation, IcebergSnapshot, NamedCut } from "../../r2-layout/iceberg/snapshots.ts";
import type { MetadataVersion } from "../../r2-layout/iceberg/table-metadata.ts";
import type { LakeSchema } from "../../r2-layout/promoted-columns.ts";
import type { DataFile } from "./api.ts";

/** A table as readers find it. */
export interface PublishedTable {
  readonly table: TableName;
  readonly uuid: string;
  readonly metadataKey: string;
  readonly version: number;
  /** Milliseconds. */
  readonly publishedAt: number;
  /** The lake's snapshot that it shows. */
  readonly lakeSnapshot: number;
  /** When the one after it was committed, milliseconds; null where there is none. */
  readonly unpublishedSince: number | null;
}

/** A manifest in force. */
export interface LiveManifest extends StoredManifest {
  readonly id: number;
}

/** One whose live entries go into another: `files` are their ids, in their order; those of `removed` have gone. */
export interface ManifestRewrite {
  readonly manifest: LiveManifest;
  readonly files: readonly number[];
  readonly removed: readonly number[];
}

/** A manifest that has been stored for a step, with the ids of its live entries, in their order. */
export interface NewManifest {
  readonly manifest: StoredManifest;
  readonly files: readonly number[];
  /** Ids of the files of its deleted entries; absent: of before this was told. */
  readonly gone?: readonly number[];
}

/** Progress of a step. */
export interface StagedManifests {
  readonly manifests: readonly NewManifest[];
  /** Manifests whose live entries are all in these now. */
  readonly replaces: readonly number[];
  /** The files that the step adds are in these up to and including this id. */
  readonly addedThrough?: number;
  /** Of a step that erases: entries that were left out, without a trace. */
  readonly erased?: FileSums;
}

/** What the publisher does next: one snapshot, or with `operation` null the metadata alone. */
export interface PublishStep {
  readonly table: TableName;
  /** Fences: what an older publisher says later is refused. */
  readonly token: number;
  readonly uuid: string;
  /** Of the metadata to be written. */
  readonly version: number;
  readonly operation: IcebergOperation | null;
  readonly snapshotId: number;
  readonly sequence: number;
  /** The lake's snapshot that it shows, and when that was committed, milliseconds. */
  readonly lakeSnapshot: number;
  readonly timestampMs: number;
  /** Of the lake's snapshots: what is published already, and up to where everything is once the step is. */
  readonly lakeFrom: number;
  readonly reached: number;
  /** Cuts that may be tags. */
  readonly cuts: readonly NamedCut[];
  readonly schema: LakeSchema;
  /** Manifests that stay as they are. */
  readonly keeps: readonly LiveManifest[];
  readonly rewrites: readonly ManifestRewrite[];
  /** What an earlier invocation has staged of this step; files after `addedThrough` are still to be added. */
  readonly staged: readonly NewManifest[];
  readonly addedThrough: number;
  /** Oldest first. */
  readonly snapshots: readonly IcebergSnapshot[];
  readonly previous: readonly MetadataVersion[];
  /** The step takes out files that were exchanged, entries of deleted ones with them, and goes with these snapshots; absent: it does not. */
  readonly erases?: readonly number[];
  /** Entries that were left out so far. */
  readonly erased?: FileSums;
}

export interface Publication {
  readonly metadataKey: string;
  /** Null where the metadata alone was written. */
  readonly snapshot: IcebergSnapshot | null;
  /** Snapshots that the metadata does not name any more. */
  readonly expired: readonly number[];
  /** Snapshots by the names of cuts. */
  readonly tags: Readonly<Record<string, number>>;
}

export interface LakeIcebergApi {
  /**
   * The next step of a table; one that was begun comes again, with what was staged of it. Null where there is nothing to
   * publish, or where it is not yet time.
   * @param force does not wait for the time.
   */
  icebergStep(table: TableName, force?: boolean): Promise<PublishStep | null>;
  /** Files that the step adds, after an id, in order; a page of `ICEBERG.filesPerPage`, the last one has fewer. Null as below. */
  icebergFiles(table: TableName, token: number, afterId: number): Promise<DataFile[] | null>;
  /** @returns false where another publisher has taken over. */
  icebergStage(table: TableName, token: number, staged: StagedManifests): Promise<boolean>;
  /** From now on readers see it. @returns false where another publisher has taken over. */
  icebergPublish(table: TableName, token: number, publication: Publication): Promise<boolean>;
  icebergTables(): Promise<PublishedTable[]>;
  /** Which of these keys no metadata, kept snapshot or step names: the sweep asks before it deletes. */
  icebergUnnamed(keys: readonly string[]): Promise<string[]>;
}
