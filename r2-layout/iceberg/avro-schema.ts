/** The part of Avro's schemas that Iceberg's manifests are made of: records, arrays, and unions of null and one other type. */

export type AvroPrimitive = "boolean" | "int" | "long" | "bytes" | "string";

export interface AvroRecord {
  readonly type: "record";
  readonly name: string;
  readonly fields: readonly AvroField[];
}

export interface AvroField {
  readonly name: string;
  readonly type: AvroType;
  readonly "field-id": number;
  readonly doc?: string;
  readonly default?: null;
}

export interface AvroArray {
  readonly type: "array";
  readonly items: AvroType;
  readonly "element-id"?: number;
  /** A list of keys and values, because Avro's own maps have texts for keys. */
  readonly logicalType?: "map";
}

/** An int with a meaning. */
export interface AvroDate {
  readonly type: "int";
  readonly logicalType: "date";
}

export type AvroOptional = readonly ["null", AvroType];

export type AvroType = AvroPrimitive | AvroRecord | AvroArray | AvroDate | AvroOptional;

/** A field that always has a value. */
export const required = (id: number, name: string, type: AvroType): AvroField => ({ name, type, "field-id": id });

/** A field that may be null. */
export const optional = (id: number, name: string, type: AvroType): AvroField => ({
  name,
  type: ["null", type],
  default: null,
  "field-id": id,
});

/** A map as Iceberg writes one: an array of records with a key and a value. */
export const keyValues = (keyId: number, valueId: number, value: AvroType): AvroArray => ({
  type: "array",
  logicalType: "map",
  items: {
    type: "record",
    name: `k${keyId}_v${valueId}`,
    fields: [required(keyId, "key", "int"), required(valueId, "value", value)],
  },
});

export const isOptional = (type: AvroType): type is AvroOptional => Array.isArray(type);
