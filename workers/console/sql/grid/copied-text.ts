/** Cells as tab-separated text, the form that spreadsheets paste; and what chosen numbers amount to. Pure. */
import { cellText } from "../csv.ts";
import type { Cell, ResultColumn, Row } from "../statement.ts";
import type { Rectangle } from "./selection.ts";

/** @param order rows' numbers as they are shown. @param header with the columns' names in the first line. */
export function copiedText(
  columns: readonly ResultColumn[],
  rows: readonly Row[],
  order: Uint32Array,
  { firstRow, lastRow, firstColumn, lastColumn }: Rectangle,
  header: boolean,
): string {
  // One cell alone is its text, so that it can be pasted anywhere.
  if (!header && firstRow === lastRow && firstColumn === lastColumn) {
    return cellText(rows[order[firstRow]!]?.[firstColumn] ?? null);
  }
  const lines: string[] = [];
  if (header) {
    lines.push(
      columns
        .slice(firstColumn, lastColumn + 1)
        .map(({ name }) => field(name))
        .join("\t"),
    );
  }
  for (let at = firstRow; at <= lastRow; at++) {
    const row = rows[order[at]!]!;
    const fields: string[] = [];
    for (let column = firstColumn; column <= lastColumn; column++) fields.push(field(cellText(row[column] ?? null)));
    lines.push(fields.join("\t"));
  }
  return lines.join("\n");
}

const field = (text: string): string => (/[\t\r\n"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export interface Amount {
  readonly cells: number;
  readonly numbers: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
}

/** More cells than this are counted only: a sum must not hold up the dragging mouse. */
const SUMMED_CELLS = 200_000;

export function amountOf(rows: readonly Row[], order: Uint32Array, area: Rectangle): Amount {
  const { firstRow, lastRow, firstColumn, lastColumn } = area;
  const cells = (lastRow - firstRow + 1) * (lastColumn - firstColumn + 1);
  let [numbers, sum, min, max] = [0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let at = firstRow; cells <= SUMMED_CELLS && at <= lastRow; at++) {
    const row = rows[order[at]!]!;
    for (let column = firstColumn; column <= lastColumn; column++) {
      const value: Cell = row[column] ?? null;
      if (typeof value !== "number") continue;
      numbers++;
      sum += value;
      if (value < min) min = value;
      if (value > max) max = value;
    }
  }
  return { cells, numbers, sum, min, max };
}
