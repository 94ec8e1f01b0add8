/** A table's columns as an Iceberg schema: the same names, field ids and order as in its files. */
import type { Column, ColumnType } from "../event-columns.ts";

export interface IcebergField {
  readonly id: number;
  readonly name: string;
  readonly required: boolean;
  readonly type: IcebergType;
  readonly doc?: string;
}

export type IcebergType =
  | "string"
  | "timestamp"
  | "int"
  | "long"
  | "double"
  | "boolean"
  | {
      readonly type: "list";
      readonly "element-id": number;
      readonly element: "string";
      readonly "element-required": boolean;
    }
  | {
      readonly type: "map";
      readonly "key-id": number;
      readonly key: "string";
      readonly "value-id": number;
      readonly value: "string";
      readonly "value-required": boolean;
    };

export interface IcebergSchema {
  readonly type: "struct";
  readonly "schema-id": number;
  readonly fields: readonly IcebergField[];
}

/** @param version of the columns: schemas are numbered by it, so that a file's version names the schema that it has. */
export function icebergSchema(columns: Readonly<Record<string, Column>>, version: number): IcebergSchema {
  return {
    type: "struct",
    "schema-id": version,
    fields: Object.entries(columns).map(([name, { id, type, required, doc }]) => ({
      id,
      name,
      required,
      type: TYPES[type](id),
      doc,
    })),
  };
}

/** The highest field id in use: one of a list's element or a map's values may be above its column's own. */
export function lastColumnId(schema: IcebergSchema): number {
  return Math.max(
    ...schema.fields.map(({ id, type }) => {
      if (typeof type === "string") return id;
      return type.type === "list" ? type["element-id"] : type["value-id"];
    }),
  );
}

const TYPES: Record<ColumnType, (id: number) => IcebergType> = {
  utf8: () => "string",
  timestamp_us: () => "timestamp", // Without a zone, as in the files.
  int32: () => "int",
  int64: () => "long",
  float64: () => "double",
  boolean: () => "boolean",
  list_utf8: (id) => ({ type: "list", "element-id": id + 1, element: "string", "element-required": false }),
  map_utf8: (id) => ({
    type: "map",
    "key-id": id + 1,
    key: "string",
    "value-id": id + 2,
    value: "string",
    "value-required": false,
  }),
};
