/** DuckDB's name of a column's type, read back from its Arrow type. */
import { type DataType, DateUnit, TimeUnit, Type } from "apache-arrow";

export interface ResultColumn {
  readonly name: string;
  readonly type: string;
}

type Shape = {
  bitWidth: number;
  isSigned: boolean;
  precision: number;
  scale: number;
  unit: number;
  timezone?: string | null;
};

export function duckType(type: DataType): string {
  const shape = type as unknown as Shape;
  const child = (i: number) => duckType((type.children as { type: DataType }[])[i]!.type);
  switch (type.typeId) {
    case Type.Null:
      return '"NULL"';
    case Type.Bool:
      return "BOOLEAN";
    case Type.Int:
      return `${shape.isSigned ? "" : "U"}${INTEGERS[shape.bitWidth]}`;
    case Type.Float:
      return shape.precision === 2 ? "DOUBLE" : "FLOAT";
    case Type.Decimal:
      // DuckDB sends HUGEINT, the sum of integers, as the widest decimal.
      return shape.precision === 38 && shape.scale === 0 ? "HUGEINT" : `DECIMAL(${shape.precision},${shape.scale})`;
    case Type.Utf8:
    case Type.LargeUtf8:
      return "VARCHAR";
    case Type.Binary:
    case Type.LargeBinary:
      return "BLOB";
    case Type.Date:
      return shape.unit === DateUnit.DAY ? "DATE" : "TIMESTAMP";
    case Type.Time:
      return "TIME";
    case Type.Timestamp:
      return shape.timezone ? "TIMESTAMP WITH TIME ZONE" : TIMESTAMPS[shape.unit as TimeUnit];
    case Type.Interval:
    case Type.Duration:
      return "INTERVAL";
    case Type.List:
    case Type.FixedSizeList:
      return `${child(0)}[]`;
    case Type.Struct: {
      const fields = type.children as { name: string; type: DataType }[];
      return `STRUCT(${fields.map((field) => `${quoted(field.name)} ${duckType(field.type)}`).join(", ")})`;
    }
    case Type.Map: {
      const [key, value] = ((type.children as { type: DataType }[])[0]!.type.children ?? []) as { type: DataType }[];
      return `MAP(${duckType(key!.type)}, ${duckType(value!.type)})`;
    }
    case Type.Dictionary:
      return "ENUM";
    default:
      return "UNKNOWN";
  }
}

const INTEGERS: Readonly<Record<number, string>> = { 8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT" };
const TIMESTAMPS: Record<TimeUnit, string> = {
  [TimeUnit.SECOND]: "TIMESTAMP_S",
  [TimeUnit.MILLISECOND]: "TIMESTAMP_MS",
  [TimeUnit.MICROSECOND]: "TIMESTAMP",
  [TimeUnit.NANOSECOND]: "TIMESTAMP_NS",
};

const quoted = (name: string): string => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
