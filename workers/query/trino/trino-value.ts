/**
 * A value of a record batch as Trino's JSON has it: times with a blank, numbers that JSON has no word for as text, bytes
 * as base64, a row as a list. 64-bit integers are numbers there, of any size: so a row is written as text here, and never
 * goes through a double.
 */
import { type Data, Type } from "apache-arrow";
import { cell } from "../results/cell.ts";
import { TrinoFailed } from "./errors.ts";
import { isWideInteger } from "./trino-types.ts";

const MAX_BIGINT = 2n ** 63n - 1n;
const MIN_BIGINT = -(2n ** 63n);

/** @returns JSON. @throws TrinoFailed for a sum beyond a bigint. */
export function trinoValue(data: Data, row: number): string {
  if (!data.getValid(row)) return "null";
  const values = data.values as Float64Array;
  const children = data.children as readonly Data[];
  switch (data.typeId) {
    case Type.Int:
      return String(values[row]);
    case Type.Float: {
      const value = values[row]!;
      if (Number.isFinite(value)) return JSON.stringify(value);
      return Number.isNaN(value) ? '"NaN"' : value > 0 ? '"Infinity"' : '"-Infinity"';
    }
    case Type.Decimal:
      return decimal(data, row);
    case Type.Binary:
    case Type.LargeBinary:
      return JSON.stringify(base64(bytesOf(data, row)));
    case Type.Timestamp:
    case Type.Date: {
      const text = String(cell(data, row));
      if (!text.includes("T")) return JSON.stringify(text);
      const zone = (data.type as unknown as { timezone?: string | null }).timezone ? " UTC" : "";
      return JSON.stringify(`${sixDigits(text.slice(0, -1).replace("T", " "))}${zone}`);
    }
    case Type.Time:
      return JSON.stringify(sixDigits(String(cell(data, row))));
    case Type.List: {
      const offsets = data.valueOffsets as Int32Array;
      return list(children[0]!, offsets[row]!, offsets[row + 1]!);
    }
    case Type.Struct:
      return `[${children.map((child) => trinoValue(child, row)).join(",")}]`;
    case Type.Map: {
      const offsets = data.valueOffsets as Int32Array;
      const [keys, items] = children[0]!.children as [Data, Data];
      const entries: string[] = [];
      for (let i = offsets[row]!; i < offsets[row + 1]!; i++) {
        const key = trinoValue(keys, i);
        entries.push(`${key.startsWith('"') ? key : JSON.stringify(key)}:${trinoValue(items, i)}`);
      }
      return `{${entries.join(",")}}`;
    }
    case Type.Dictionary: {
      const of = data.dictionary?.data[0];
      return of ? trinoValue(of, Number(values[row])) : "null";
    }
    default:
      return JSON.stringify(cell(data, row));
  }
}

function list(of: Data, from: number, to: number): string {
  const items: string[] = [];
  for (let i = from; i < to; i++) items.push(trinoValue(of, i));
  return `[${items.join(",")}]`;
}

/** Sixteen bytes, two's complement, little-endian. */
function decimal(data: Data, row: number): string {
  const words = data.values as unknown as Uint32Array;
  let value = 0n;
  for (let i = 3; i >= 0; i--) value = (value << 32n) | BigInt(words[row * 4 + i]!);
  value = BigInt.asIntN(128, value);
  if (isWideInteger(data.type)) {
    if (value > MAX_BIGINT || value < MIN_BIGINT) {
      throw new TrinoFailed("NUMERIC_VALUE_OUT_OF_RANGE", `bigint out of range: ${value}`);
    }
    return String(value);
  }
  const { scale } = data.type as unknown as { scale: number };
  if (scale === 0) return `"${value}"`;
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  return `"${value < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}"`;
}

/** `12:00:00.5` as `12:00:00.500000`. */
function sixDigits(text: string): string {
  const [whole, fraction = ""] = text.split(".");
  return `${whole}.${fraction.padEnd(6, "0")}`;
}

function bytesOf(data: Data, row: number): Uint8Array {
  const offsets = data.valueOffsets as Int32Array | BigInt64Array;
  return (data.values as unknown as Uint8Array).subarray(Number(offsets[row]!), Number(offsets[row + 1]!));
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
