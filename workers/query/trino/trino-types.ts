/** Columns of a result as Trino names their types: the text, and the signature that clients take apart. */
import { type DataType, DateUnit, Type } from "apache-arrow";
import type { ColumnType } from "../../../r2-layout/event-columns.ts";

interface Signature {
  readonly rawType: string;
  readonly arguments: readonly Argument[];
}
type Argument =
  | { readonly kind: "LONG"; readonly value: number }
  | { readonly kind: "TYPE"; readonly value: Signature }
  | {
      readonly kind: "NAMED_TYPE";
      readonly value: { readonly fieldName: { readonly name: string }; readonly typeSignature: Signature };
    };

export interface TrinoColumn {
  readonly name: string;
  readonly type: string;
  readonly typeSignature: Signature;
}

interface TrinoType {
  readonly text: string;
  readonly signature: Signature;
}

const VARCHAR_MAX = 2_147_483_647;
const plain = (rawType: string): TrinoType => ({ text: rawType, signature: { rawType, arguments: [] } });
const long = (value: number): Argument => ({ kind: "LONG", value });
const inner = ({ signature }: TrinoType): Argument => ({ kind: "TYPE", value: signature });

const VARCHAR: TrinoType = { text: "varchar", signature: { rawType: "varchar", arguments: [long(VARCHAR_MAX)] } };
/** To the microsecond, as everything here. */
const withPrecision = (rawType: string, text = `${rawType}(6)`): TrinoType => ({
  text,
  signature: { rawType, arguments: [long(6)] },
});
const array = (of: TrinoType): TrinoType => ({
  text: `array(${of.text})`,
  signature: { rawType: "array", arguments: [inner(of)] },
});
const map = (key: TrinoType, value: TrinoType): TrinoType => ({
  text: `map(${key.text}, ${value.text})`,
  signature: { rawType: "map", arguments: [inner(key), inner(value)] },
});

/** Of the lake's own columns. */
export const COLUMN_TYPES: Record<ColumnType, string> = {
  utf8: VARCHAR.text,
  timestamp_us: "timestamp(6)",
  int32: "integer",
  int64: "bigint",
  float64: "double",
  boolean: "boolean",
  list_utf8: array(VARCHAR).text,
  map_utf8: map(VARCHAR, VARCHAR).text,
};

export function trinoColumn(name: string, type: DataType): TrinoColumn {
  const { text, signature } = typeOf(type);
  return { name, type: text, typeSignature: signature };
}

export const varcharColumn = (name: string): TrinoColumn => ({
  name,
  type: VARCHAR.text,
  typeSignature: VARCHAR.signature,
});

export const booleanColumn = (name: string): TrinoColumn => ({
  name,
  type: "boolean",
  typeSignature: { rawType: "boolean", arguments: [] },
});

/** Whether it is the sum of whole numbers, which DuckDB makes wide and Trino does not. */
export const isWideInteger = (type: DataType): boolean => {
  const shape = type as unknown as { precision: number; scale: number };
  return type.typeId === Type.Decimal && shape.precision === 38 && shape.scale === 0;
};

function typeOf(type: DataType): TrinoType {
  const shape = type as unknown as {
    bitWidth: number;
    isSigned: boolean;
    precision: number;
    scale: number;
    unit: number;
    timezone?: string | null;
  };
  const children = (type.children ?? []) as { name: string; type: DataType }[];
  switch (type.typeId) {
    case Type.Bool:
      return plain("boolean");
    case Type.Int:
      return plain(integer(shape.bitWidth * (shape.isSigned ? 1 : 2)));
    case Type.Float:
      return plain(shape.precision === 2 ? "double" : "real");
    case Type.Decimal: {
      if (isWideInteger(type)) return plain("bigint");
      const { precision, scale } = shape;
      return {
        text: `decimal(${precision}, ${scale})`,
        signature: { rawType: "decimal", arguments: [long(precision), long(scale)] },
      };
    }
    case Type.Binary:
    case Type.LargeBinary:
      return plain("varbinary");
    case Type.Date:
      return shape.unit === DateUnit.DAY ? plain("date") : withPrecision("timestamp");
    case Type.Time:
      return withPrecision("time");
    case Type.Timestamp:
      return shape.timezone
        ? withPrecision("timestamp with time zone", "timestamp(6) with time zone")
        : withPrecision("timestamp");
    case Type.List:
    case Type.FixedSizeList:
      return array(typeOf(children[0]!.type));
    case Type.Map: {
      const [key, value] = children[0]!.type.children as { type: DataType }[];
      return map(typeOf(key!.type), typeOf(value!.type));
    }
    case Type.Struct: {
      const fields = children.map((field) => ({ name: field.name, type: typeOf(field.type) }));
      return {
        text: `row(${fields.map(({ name, type: { text } }) => `${name} ${text}`).join(", ")})`,
        signature: {
          rawType: "row",
          arguments: fields.map(({ name, type: { signature } }) => ({
            kind: "NAMED_TYPE",
            value: { fieldName: { name }, typeSignature: signature },
          })),
        },
      };
    }
    case Type.Null:
      return plain("unknown");
    default:
      // Texts, enums, intervals: those are written out.
      return VARCHAR;
  }
}

function integer(bits: number): string {
  if (bits <= 8) return "tinyint";
  if (bits <= 16) return "smallint";
  return bits <= 32 ? "integer" : "bigint";
}
