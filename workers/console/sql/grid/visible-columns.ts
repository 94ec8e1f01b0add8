/** How wide columns are and which of them are in sight. Pure. */
import { cellText } from "../csv.ts";
import type { ResultColumn, Row } from "../statement.ts";

const SAMPLED_ROWS = 200;
const CHARS_MIN = 4;
const CHARS_MAX = 44;
/** Beside the characters: padding, and the arrow of a sorted column. */
const ROOM_PX = 40;
/** Columns beyond the edges that are drawn, so that scrolling shows no gap. */
const SPARE_PX = 300;

/** Pixels, from the header and the first rows: fixed, so that columns do not move while one scrolls. */
export function columnWidths(columns: readonly ResultColumn[], rows: readonly Row[], charPx: number): number[] {
  return columns.map(({ name }, index) => {
    let chars = name.length;
    for (const row of rows.slice(0, SAMPLED_ROWS)) chars = Math.max(chars, cellText(row[index] ?? null).length);
    return Math.ceil(Math.min(Math.max(chars, CHARS_MIN), CHARS_MAX) * charPx) + ROOM_PX;
  });
}

/** Where each column begins, and behind the last one the width of all. */
export function columnOffsets(widths: readonly number[]): number[] {
  const offsets = [0];
  for (const width of widths) offsets.push(offsets.at(-1)! + width);
  return offsets;
}

/** Columns from `from` to before `to` lie in the sight. */
export function visibleColumns(
  offsets: readonly number[],
  scrollLeftPx: number,
  widthPx: number,
): { readonly from: number; readonly to: number } {
  const columns = offsets.length - 1;
  const left = scrollLeftPx - SPARE_PX;
  const right = scrollLeftPx + widthPx + SPARE_PX;
  let from = 0;
  while (from < columns && offsets[from + 1]! <= left) from++;
  let to = from;
  while (to < columns && offsets[to]! < right) to++;
  return { from, to };
}
