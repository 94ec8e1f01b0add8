/** A table's metadata (format version 2): the JSON that says what the table is, and which snapshots it has. */
import type { TableName } from "../event-columns.ts";
import { TABLES } from "../event-columns.ts";
import { DEFAULT_SPEC, LAST_PARTITION_ID, PARTITION_SPECS } from "./partitions.ts";
import { type IcebergSchema, lastColumnId } from "./schema.ts";
import type { IcebergSnapshot } from "./snapshots.ts";

export interface MetadataVersion {
  readonly key: string;
  readonly timestampMs: number;
}

export interface TableState {
  readonly table: TableName;
  readonly uuid: string;
  readonly lastSequence: number;
  /** Of every version of the columns, oldest first; the last one is in force. */
  readonly schemas: readonly IcebergSchema[];
  /** Oldest first; the last one is current. */
  readonly snapshots: readonly IcebergSnapshot[];
  /** Snapshots by name, each among `snapshots`. */
  readonly tags: Readonly<Record<string, number>>;
  /** Earlier versions of the metadata, oldest first. */
  readonly previous: readonly MetadataVersion[];
}

/** @param bucketUri `s3://<bucket>` */
export function tableMetadata(state: TableState, bucketUri: string, nowMs: number): Record<string, unknown> {
  const { table, schemas, snapshots, tags } = state;
  const current = snapshots.at(-1);
  const schema = schemas.at(-1)!;
  return {
    "format-version": 2,
    "table-uuid": state.uuid,
    location: `${bucketUri}/lake/${table}`,
    "last-sequence-number": state.lastSequence,
    "last-updated-ms": Math.max(nowMs, ...snapshots.map(({ timestampMs }) => timestampMs)),
    "last-column-id": Math.max(...schemas.map(lastColumnId)),
    "current-schema-id": schema["schema-id"],
    schemas,
    "default-spec-id": DEFAULT_SPEC,
    "partition-specs": PARTITION_SPECS[table],
    "last-partition-id": LAST_PARTITION_ID,
    "default-sort-order-id": 0,
    "sort-orders": [{ "order-id": 0, fields: [] }, ...SORT_ORDERS[table]],
    properties: {
      "write.format.default": "parquet",
      "write.parquet.compression-codec": "zstd",
      // Readers of rows that have gone meet no delete files: what changes is written anew.
      "write.delete.mode": "copy-on-write",
    },
    ...(current && { "current-snapshot-id": current.snapshotId }),
    refs: {
      ...(current && { main: { "snapshot-id": current.snapshotId, type: "branch" } }),
      ...Object.fromEntries(Object.entries(tags).map(([name, id]) => [name, { "snapshot-id": id, type: "tag" }])),
    },
    snapshots: snapshots.map((snapshot) => snapshotJson(snapshot, bucketUri)),
    "snapshot-log": snapshots.map(({ snapshotId, timestampMs }) => ({
      "snapshot-id": snapshotId,
      "timestamp-ms": timestampMs,
    })),
    "metadata-log": state.previous.map(({ key, timestampMs }) => ({
      "metadata-file": `${bucketUri}/${key}`,
      "timestamp-ms": timestampMs,
    })),
    statistics: [],
    "partition-statistics": [],
  };
}

/** How a file of one day is sorted; what comes after the name, a user or else a device, no sort order can say. */
const SORT_ORDERS: Record<TableName, readonly object[]> = {
  events: [
    {
      "order-id": 1,
      fields: [
        {
          transform: "identity",
          "source-id": TABLES.events.event_name.id,
          direction: "asc",
          "null-order": "nulls-first",
        },
      ],
    },
  ],
  quarantine: [],
};

function snapshotJson(snapshot: IcebergSnapshot, bucketUri: string): Record<string, unknown> {
  const { added, removed, total } = snapshot;
  const counted = (name: string, count: number) => (count > 0 ? { [name]: String(count) } : {});
  return {
    "snapshot-id": snapshot.snapshotId,
    ...(snapshot.parentId !== null && { "parent-snapshot-id": snapshot.parentId }),
    "sequence-number": snapshot.sequence,
    "timestamp-ms": snapshot.timestampMs,
    "manifest-list": `${bucketUri}/${snapshot.manifestListKey}`,
    "schema-id": snapshot.schemaId,
    summary: {
      operation: snapshot.operation,
      ...counted("added-data-files", added.files),
      ...counted("deleted-data-files", removed.files),
      ...counted("added-records", added.rows),
      ...counted("deleted-records", removed.rows),
      ...counted("added-files-size", added.bytes),
      ...counted("removed-files-size", removed.bytes),
      "total-data-files": String(total.files),
      "total-records": String(total.rows),
      "total-files-size": String(total.bytes),
      "total-delete-files": "0",
      "total-position-deletes": "0",
      "total-equality-deletes": "0",
      "eventpile.snapshot": String(snapshot.lakeSnapshot),
    },
  };
}
