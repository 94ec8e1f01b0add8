/** The Arrow schema of a table, derived from its columns. Parquet takes the field ids from the fields' metadata. */
import {
  Bool,
  type DataType,
  Field,
  Float64,
  Int32,
  Int64,
  List,
  Map_,
  Schema,
  Struct,
  TimestampMicrosecond,
  Utf8,
} from "apache-arrow";
import type { Columns, ColumnType } from "./event-columns.ts";

/** Where the Parquet writer looks for a field's id. */
export const FIELD_ID_KEY = "PARQUET:field_id";

/** The columns in the table's order. List elements and map keys and values own the ids that follow their column's. */
export function arrowSchema(columns: Columns): Schema {
  const known = schemas.get(columns);
  if (known) return known;
  const schema = new Schema(
    Object.entries(columns).map(([name, column]) =>
      field(name, column.id, ARROW_TYPES[column.type](column.id), !column.required),
    ),
  );
  schemas.set(columns, schema);
  return schema;
}

const schemas = new WeakMap<Columns, Schema>();

const ARROW_TYPES: Record<ColumnType, (id: number) => DataType> = {
  utf8: () => new Utf8(),
  timestamp_us: () => new TimestampMicrosecond(), // No zone: a TIMESTAMP, not one that follows the reader's clock.
  int32: () => new Int32(),
  int64: () => new Int64(),
  float64: () => new Float64(),
  boolean: () => new Bool(),
  list_utf8: (id) => new List(field("element", id + 1, new Utf8(), true)),
  map_utf8: (id) =>
    new Map_(
      new Field(
        "entries", // Arrow gives it this name whatever we say.
        new Struct<{ key: Utf8; value: Utf8 }>([
          field("key", id + 1, new Utf8(), false),
          field("value", id + 2, new Utf8(), true),
        ]),
        false,
      ),
    ),
};

function field<T extends DataType>(name: string, id: number, type: T, nullable: boolean): Field<T> {
  return new Field(name, type, nullable, new Map([[FIELD_ID_KEY, String(id)]]));
}
