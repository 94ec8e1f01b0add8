/** A manifest list: an Avro file that says which manifests a snapshot is made of, and what each of them may hold. */
import { encodeContainer } from "./avro-encode.ts";
import { type AvroRecord, optional, required } from "./avro-schema.ts";
import type { ManifestFacts, PartitionBounds } from "./manifest.ts";
import { type PartitionField, type PartitionSpec, partitionType } from "./partitions.ts";
import { singleValue } from "./single-value.ts";

/** A manifest that has been stored. */
export interface StoredManifest extends ManifestFacts {
  readonly key: string;
  readonly bytes: number;
  /** The snapshot that wrote it, and its number. */
  readonly snapshotId: number;
  readonly sequence: number;
}

export interface ListedSnapshot {
  readonly snapshotId: number;
  readonly parentId: number | null;
  readonly sequence: number;
}

export function encodeManifestList(
  { snapshotId, parentId, sequence }: ListedSnapshot,
  manifests: readonly StoredManifest[],
  specs: readonly PartitionSpec[],
  bucketUri: string,
): Uint8Array {
  return encodeContainer(
    MANIFEST_FILE,
    {
      "snapshot-id": String(snapshotId),
      "parent-snapshot-id": String(parentId),
      "sequence-number": String(sequence),
      "format-version": "2",
    },
    manifests.map((manifest) => ({
      manifest_path: `${bucketUri}/${manifest.key}`,
      manifest_length: manifest.bytes,
      partition_spec_id: manifest.spec,
      content: 0,
      sequence_number: manifest.sequence,
      min_sequence_number: manifest.minSequence,
      added_snapshot_id: manifest.snapshotId,
      added_files_count: manifest.addedFiles,
      existing_files_count: manifest.existingFiles,
      deleted_files_count: manifest.deletedFiles,
      added_rows_count: manifest.addedRows,
      existing_rows_count: manifest.existingRows,
      deleted_rows_count: manifest.deletedRows,
      partitions: specs[manifest.spec]!.fields.map((field, at) => fieldSummary(field, manifest.partitions[at]!)),
    })),
  );
}

function fieldSummary(field: PartitionField, { hasNull, min, max }: PartitionBounds) {
  const type = partitionType(field);
  return {
    contains_null: hasNull,
    contains_nan: false,
    lower_bound: min === undefined ? null : singleValue(type, min),
    upper_bound: max === undefined ? null : singleValue(type, max),
  };
}

const FIELD_SUMMARY: AvroRecord = {
  type: "record",
  name: "r508",
  fields: [
    required(509, "contains_null", "boolean"),
    optional(518, "contains_nan", "boolean"),
    optional(510, "lower_bound", "bytes"),
    optional(511, "upper_bound", "bytes"),
  ],
};

const MANIFEST_FILE: AvroRecord = {
  type: "record",
  name: "manifest_file",
  fields: [
    required(500, "manifest_path", "string"),
    required(501, "manifest_length", "long"),
    required(502, "partition_spec_id", "int"),
    required(517, "content", "int"),
    required(515, "sequence_number", "long"),
    required(516, "min_sequence_number", "long"),
    required(503, "added_snapshot_id", "long"),
    required(504, "added_files_count", "int"),
    required(505, "existing_files_count", "int"),
    required(506, "deleted_files_count", "int"),
    required(512, "added_rows_count", "long"),
    required(513, "existing_rows_count", "long"),
    required(514, "deleted_rows_count", "long"),
    optional(507, "partitions", { type: "array", items: FIELD_SUMMARY, "element-id": 508 }),
    optional(519, "key_metadata", "bytes"),
  ],
};
