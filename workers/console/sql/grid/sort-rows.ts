/** The order of rows by one column. Pure. */
import { cellText } from "../csv.ts";
import type { Cell, ResultColumn, Row } from "../statement.ts";

export interface Sorting {
  readonly column: number;
  readonly descending: boolean;
}

const NUMERIC = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|REAL|DECIMAL.*)$/i;

/** By the type the server names, or, of a type unknown here, by what the first value is. */
export function isNumeric({ type }: ResultColumn, rows: readonly Row[], index: number): boolean {
  if (NUMERIC.test(type)) return true;
  const first = rows.find((row) => (row[index] ?? null) !== null)?.[index];
  return typeof first === "number";
}

/** Rows' numbers in their order; equal ones keep theirs, and nulls are last either way. */
export function sortedOrder(
  columns: readonly ResultColumn[],
  rows: readonly Row[],
  sorting: Sorting | null,
): Uint32Array {
  const order = Uint32Array.from(rows, (_, index) => index);
  if (!sorting) return order;
  const { column, descending } = sorting;
  const keys = rows.map(keyOf(column, columns[column] !== undefined && isNumeric(columns[column], rows, column)));
  const sign = descending ? -1 : 1;
  return order.sort((a, b) => {
    const [x, y] = [keys[a], keys[b]];
    if (x === y) return a - b;
    if (x === null || x === undefined) return 1;
    if (y === null || y === undefined) return -1;
    return x < y ? -sign : x > y ? sign : a - b;
  });
}

type Key = number | bigint | string | boolean | null;

/** Numbers beyond 2^53 come as text and are compared as what they are; times and dates sort as text. */
function keyOf(column: number, numeric: boolean): (row: Row) => Key {
  return (row) => {
    const value: Cell = row[column] ?? null;
    if (value === null || typeof value === "boolean") return value;
    if (typeof value === "object") return cellText(value);
    if (!numeric || typeof value === "number") return value;
    // An integer is compared with doubles exactly, a long decimal as its double.
    if (/^-?\d+$/.test(value)) return BigInt(value);
    const number = Number(value);
    return Number.isNaN(number) ? null : number;
  };
}
