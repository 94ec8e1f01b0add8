/**
 * How files are partitioned. A table has several specs beside each other, because its files have come to be in several
 * ways: fresh files of today, of yesterday, and of all other days together; compacted ones of a day; compacted ones of
 * a day and an event name. Engines plan each file by the spec that it was written with.
 */
import { TABLES, type TableName } from "../event-columns.ts";
import { DAY_US } from "../time.ts";
import { type AvroField, optional } from "./avro-schema.ts";

export interface PartitionField {
  readonly "source-id": number;
  readonly "field-id": number;
  readonly name: string;
  readonly transform: "day" | "identity";
}

export interface PartitionSpec {
  readonly "spec-id": number;
  readonly fields: readonly PartitionField[];
}

/** Values of a file's partition, by the names of its spec's fields: days since the epoch, or a text. */
export type Partition = Readonly<Record<string, number | string | null>>;

/** What decides a file's partition. */
export interface PartitionedFile {
  readonly table: TableName;
  readonly minTime: number;
  readonly maxTime: number;
  /** The one event name that all of its rows have, where it was laid out by name. */
  readonly partition?: string | null;
}

/**
 * Ids of partition fields: far above columns', promoted ones included, so that an engine that puts both into one struct
 * does not mistake one for the other.
 */
const DAY_FIELD = 100_000;
const NAME_FIELD = 100_001;

const day = (id: number, column: string): PartitionField => ({
  "source-id": id,
  "field-id": DAY_FIELD,
  name: `${column}_day`,
  transform: "day",
});

const EVENT_DAY = day(TABLES.events.event_time.id, "event_time");
const EVENT_NAME: PartitionField = {
  "source-id": TABLES.events.event_name.id,
  "field-id": NAME_FIELD,
  name: "event_name",
  transform: "identity",
};

/** A spec's id is its place. Specs are added, never changed. */
export const PARTITION_SPECS: Readonly<Record<TableName, readonly PartitionSpec[]>> = {
  events: [
    { "spec-id": 0, fields: [] },
    { "spec-id": 1, fields: [EVENT_DAY] },
    { "spec-id": 2, fields: [EVENT_DAY, EVENT_NAME] },
  ],
  quarantine: [
    { "spec-id": 0, fields: [] },
    { "spec-id": 1, fields: [day(TABLES.quarantine.received_at.id, "received_at")] },
  ],
};

export const DEFAULT_SPEC = 1;
export const LAST_PARTITION_ID = NAME_FIELD;

/** Whole days since the epoch, also before it. */
export const dayNumber = (us: number): number => Math.floor(us / DAY_US);

/** A file of several days has no partition, one of a day its day, one of a day and a name both. */
export function partitionOf(file: PartitionedFile): { readonly spec: number; readonly partition: Partition } {
  const { table, minTime, maxTime, partition: name } = file;
  const number = dayNumber(minTime);
  if (number !== dayNumber(maxTime)) return { spec: 0, partition: {} };
  if (table === "quarantine") return { spec: 1, partition: { received_at_day: number } };
  return typeof name === "string"
    ? { spec: 2, partition: { event_time_day: number, event_name: name } }
    : { spec: 1, partition: { event_time_day: number } };
}

/** The fields of a partition in a manifest. */
export const partitionFields = ({ fields }: PartitionSpec): AvroField[] =>
  fields.map(({ "field-id": id, name, transform }) =>
    optional(id, name, transform === "day" ? { type: "int", logicalType: "date" } : "string"),
  );

/** How a partition value is kept as a bound. */
export const partitionType = ({ transform }: PartitionField): "date" | "utf8" =>
  transform === "day" ? "date" : "utf8";
