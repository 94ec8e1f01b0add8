/** What a chart of an answer shows: columns by kind, and a first choice that makes sense. Pure. */
import { cellText } from "../csv.ts";
import { isNumeric } from "../grid/sort-rows.ts";
import type { QueryResult, ResultColumn, Row } from "../statement.ts";

export type Answer = Pick<QueryResult, "columns" | "rows">;
export type ColumnKind = "time" | "number" | "text";

export interface ChartChoice {
  readonly shape: "line" | "bar";
  /** Numbers of columns. */
  readonly x: number;
  readonly y: readonly number[];
  /** A line, or a part of each bar, for every value of this column; then there is one y. */
  readonly split: number | null;
}

export const LINES_MAX = 8;
/** Of a first choice: more columns of numbers than this rarely have one scale. */
const FIRST_Y_MAX = 3;

export function columnKinds({ columns, rows }: Answer): ColumnKind[] {
  return columns.map((column, index) => {
    if (isTime(column, rows, index)) return "time";
    return isNumeric(column, rows, index) ? "number" : "text";
  });
}

const isTime = ({ type }: ResultColumn, rows: readonly Row[], index: number): boolean =>
  /^(DATE$|TIMESTAMP)/i.test(type) && rows.some((row) => !Number.isNaN(Date.parse(String(row[index] ?? ""))));

/** @returns null where there is nothing to draw: no numbers, or one row. */
export function firstChoice(answer: Answer): ChartChoice | null {
  const kinds = columnKinds(answer);
  const of = (kind: ColumnKind) => kinds.flatMap((own, index) => (own === kind ? [index] : []));
  const [numbers, texts] = [of("number"), of("text")];
  if (answer.rows.length < 2 || numbers.length === 0) return null;
  // A moment that all rows share is no axis.
  const time = of("time").find((column) => answer.rows.some((row) => row[column] !== answer.rows[0]![column]));
  if (time !== undefined) {
    const split = texts.find((column) => isSplit(answer.rows, time, column)) ?? null;
    return { shape: "line", x: time, y: numbers.slice(0, split === null ? FIRST_Y_MAX : 1), split };
  }
  if (texts.length > 0) return { shape: "bar", x: texts[0]!, y: numbers.slice(0, 1), split: null };
  // Numbers alone: the first one is the axis where it rises.
  const [x, ...y] = numbers;
  if (y.length === 0) return null;
  return { shape: rises(answer.rows, x!) ? "line" : "bar", x: x!, y: y.slice(0, FIRST_Y_MAX), split: null };
}

/** Several rows for one moment, told apart by a few values. */
function isSplit(rows: readonly Row[], time: number, column: number): boolean {
  const values = new Set(rows.map((row) => cellText(row[column] ?? null)));
  const moments = new Set(rows.map((row) => row[time]));
  return values.size >= 2 && values.size <= LINES_MAX && moments.size < rows.length;
}

const rises = (rows: readonly Row[], column: number): boolean =>
  rows.every((row, index) => index === 0 || Number(row[column]) > Number(rows[index - 1]![column]));
