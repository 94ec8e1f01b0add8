/**
 * A manifest: an Avro file with an entry for each of its data files, with the facts by which engines leave a file out
 * before they open it. One manifest holds files of one partition spec. It is never changed: when a file of it goes, its
 * remaining entries are written into another, as EXISTING, with the numbers that they had.
 */
import type { DataFileFacts } from "../data-file.ts";
import type { Column } from "../event-columns.ts";
import { type ColumnBounds, compareBounds } from "../statistics.ts";
import { decodeContainer } from "./avro-decode.ts";
import { encodeContainer } from "./avro-encode.ts";
import { type AvroRecord, keyValues, optional, required } from "./avro-schema.ts";
import { type Partition, type PartitionSpec, partitionFields, partitionOf } from "./partitions.ts";
import type { IcebergSchema } from "./schema.ts";
import { singleValue } from "./single-value.ts";

export const STATUS = { existing: 0, added: 1, deleted: 2 } as const;

interface KeyValue<Value> {
  readonly key: number;
  readonly value: Value;
}

/** A data file as a manifest has it. Names are the format's. */
export interface IcebergDataFile {
  readonly content: 0;
  /** `s3://<bucket>/<key>` */
  readonly file_path: string;
  readonly file_format: "PARQUET";
  readonly partition: Partition;
  readonly record_count: number;
  readonly file_size_in_bytes: number;
  readonly value_counts: readonly KeyValue<number>[];
  readonly null_value_counts: readonly KeyValue<number>[];
  readonly lower_bounds: readonly KeyValue<Uint8Array>[];
  readonly upper_bounds: readonly KeyValue<Uint8Array>[];
  readonly sort_order_id: number | null;
}

export interface ManifestEntry {
  readonly status: (typeof STATUS)[keyof typeof STATUS];
  readonly snapshot_id: number;
  /** Null in an entry of status `added`: it has the number that the manifest list gives its manifest. */
  readonly sequence_number: number | null;
  readonly file_sequence_number: number | null;
  readonly data_file: IcebergDataFile;
}

/** What a manifest list says of a manifest, and what is needed to find and to measure it. */
export interface ManifestFacts {
  readonly spec: number;
  readonly minSequence: number;
  readonly addedFiles: number;
  readonly existingFiles: number;
  readonly deletedFiles: number;
  readonly addedRows: number;
  readonly existingRows: number;
  readonly deletedRows: number;
  readonly addedBytes: number;
  readonly deletedBytes: number;
  /** For each field of its spec. Bounds are absent where all values are null. */
  readonly partitions: readonly PartitionBounds[];
}

export interface PartitionBounds {
  readonly hasNull: boolean;
  readonly min?: number | string;
  readonly max?: number | string;
}

/** What the catalog knows of a file. */
export interface CatalogFile extends DataFileFacts {
  readonly key: string;
  readonly kind: string;
  readonly partition?: string;
}

/** @param columns those of the file's table; a bound of a column that is not among them is left out. */
export function icebergDataFile(
  file: CatalogFile,
  bucketUri: string,
  columns: Readonly<Record<string, Column>>,
): IcebergDataFile {
  const known = Object.entries(file.columns).flatMap(([name, bounds]) => {
    const column = Object.hasOwn(columns, name) ? columns[name] : undefined;
    return column ? [{ column, bounds }] : [];
  });
  known.sort((a, b) => a.column.id - b.column.id);
  const bound = (end: "min" | "max") =>
    known.flatMap(({ column, bounds }) => {
      const value = boundBytes(column, bounds, end);
      return value ? [{ key: column.id, value }] : [];
    });
  return {
    content: 0,
    file_path: `${bucketUri}/${file.key}`,
    file_format: "PARQUET",
    partition: partitionOf(file).partition,
    record_count: file.rows,
    file_size_in_bytes: file.bytes,
    value_counts: known.map(({ column }) => ({ key: column.id, value: file.rows })),
    null_value_counts: known.map(({ column, bounds }) => ({ key: column.id, value: bounds.nulls })),
    lower_bounds: bound("min"),
    upper_bounds: bound("max"),
    sort_order_id: isSorted(file) ? 1 : null,
  };
}

function boundBytes(column: Column, bounds: ColumnBounds, end: "min" | "max"): Uint8Array | null {
  const value = bounds[end];
  // JSON, in which the catalog keeps them, has no infinity, and one zero for two.
  if (value === undefined || value === null) return null;
  return singleValue(column.type, column.type === "float64" && value === 0 && end === "min" ? -0 : value);
}

/**
 * A file of one day that a sink wrote is sorted whole, first of all by event_name (row-order.ts): in the order of UTF-16,
 * which is that of UTF-8 unless a name has a surrogate.
 */
const isSorted = ({ table, kind, minDay, maxDay, eventNames }: CatalogFile): boolean =>
  table === "events" &&
  kind === "fresh" &&
  minDay === maxDay &&
  eventNames !== null &&
  !eventNames.some((name) => /[\ud800-\udfff]/.test(name));

/** A file that a snapshot adds. */
export const addedEntry = (file: IcebergDataFile, snapshotId: number): ManifestEntry => ({
  status: STATUS.added,
  snapshot_id: snapshotId,
  sequence_number: null,
  file_sequence_number: null,
  data_file: file,
});

/** A file of an earlier snapshot, as it stays. */
export const existingEntry = (entry: ManifestEntry): ManifestEntry => ({ ...entry, status: STATUS.existing });

/** A file of an earlier snapshot that this snapshot takes out. */
export const deletedEntry = (entry: ManifestEntry, snapshotId: number): ManifestEntry => ({
  ...entry,
  status: STATUS.deleted,
  snapshot_id: snapshotId,
});

const isLive = ({ status }: ManifestEntry): boolean => status !== STATUS.deleted;

export function encodeManifest(
  schema: IcebergSchema,
  spec: PartitionSpec,
  sequence: number,
  entries: readonly ManifestEntry[],
): { readonly bytes: Uint8Array; readonly facts: ManifestFacts } {
  const bytes = encodeContainer(
    entrySchema(spec),
    {
      schema: JSON.stringify(schema),
      "schema-id": String(schema["schema-id"]),
      "partition-spec": JSON.stringify(spec.fields),
      "partition-spec-id": String(spec["spec-id"]),
      "format-version": "2",
      content: "data",
    },
    entries,
  );
  return { bytes, facts: factsOf(spec, sequence, entries) };
}

/**
 * The live entries, in their order.
 * @param sequence what the manifest list says of the manifest: the number of the files that came with it.
 */
export function decodeLiveEntries(bytes: Uint8Array, sequence: number): ManifestEntry[] {
  const entries = decodeContainer(bytes).values as ManifestEntry[];
  return entries.filter(isLive).map((entry) => ({
    ...entry,
    sequence_number: entry.sequence_number ?? sequence,
    file_sequence_number: entry.file_sequence_number ?? sequence,
  }));
}

function factsOf(spec: PartitionSpec, sequence: number, entries: readonly ManifestEntry[]): ManifestFacts {
  const count = (status: number) => {
    const files = entries.filter((entry) => entry.status === status).map(({ data_file }) => data_file);
    return {
      files: files.length,
      rows: files.reduce((sum, { record_count }) => sum + record_count, 0),
      bytes: files.reduce((sum, { file_size_in_bytes }) => sum + file_size_in_bytes, 0),
    };
  };
  const [existing, added, deleted] = [count(STATUS.existing), count(STATUS.added), count(STATUS.deleted)];
  return {
    spec: spec["spec-id"],
    minSequence: entries
      .filter(isLive)
      .reduce((min, entry) => Math.min(min, entry.sequence_number ?? sequence), sequence),
    addedFiles: added.files,
    existingFiles: existing.files,
    deletedFiles: deleted.files,
    addedRows: added.rows,
    existingRows: existing.rows,
    deletedRows: deleted.rows,
    addedBytes: added.bytes,
    deletedBytes: deleted.bytes,
    partitions: spec.fields.map(({ name }) => partitionBounds(entries.map((entry) => entry.data_file.partition[name]))),
  };
}

/** Also over deleted entries: a reader of what went has to find them. */
function partitionBounds(values: readonly (number | string | null | undefined)[]): PartitionBounds {
  const present = values.filter((value): value is number | string => value !== null && value !== undefined);
  const hasNull = present.length < values.length;
  if (present.length === 0) return { hasNull };
  const ordered = present.reduce(
    ({ min, max }, value) => ({ min: isBelow(value, min) ? value : min, max: isBelow(max, value) ? value : max }),
    { min: present[0]!, max: present[0]! },
  );
  return { hasNull, ...ordered };
}

const isBelow = (a: number | string, b: number | string): boolean => compareBounds(a, b) < 0;

/** Names and ids as the reference implementation writes them. */
function entrySchema(spec: PartitionSpec): AvroRecord {
  const dataFile: AvroRecord = {
    type: "record",
    name: "r2",
    fields: [
      required(134, "content", "int"),
      required(100, "file_path", "string"),
      required(101, "file_format", "string"),
      required(102, "partition", { type: "record", name: "r102", fields: partitionFields(spec) }),
      required(103, "record_count", "long"),
      required(104, "file_size_in_bytes", "long"),
      optional(108, "column_sizes", keyValues(117, 118, "long")),
      optional(109, "value_counts", keyValues(119, 120, "long")),
      optional(110, "null_value_counts", keyValues(121, 122, "long")),
      optional(137, "nan_value_counts", keyValues(138, 139, "long")),
      optional(125, "lower_bounds", keyValues(126, 127, "bytes")),
      optional(128, "upper_bounds", keyValues(129, 130, "bytes")),
      optional(131, "key_metadata", "bytes"),
      optional(132, "split_offsets", { type: "array", items: "long", "element-id": 133 }),
      optional(135, "equality_ids", { type: "array", items: "int", "element-id": 136 }),
      optional(140, "sort_order_id", "int"),
    ],
  };
  return {
    type: "record",
    name: "manifest_entry",
    fields: [
      required(0, "status", "int"),
      optional(1, "snapshot_id", "long"),
      optional(3, "sequence_number", "long"),
      optional(4, "file_sequence_number", "long"),
      required(2, "data_file", dataFile),
    ],
  };
}
