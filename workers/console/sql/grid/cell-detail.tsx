/** Under the grid: the whole value of the cell at the cursor, or what the chosen cells amount to. */
import { formatCount } from "../../shell/format.ts";
import { cellText } from "../csv.ts";
import type { Cell, ResultColumn, Row } from "../statement.ts";
import { amountOf } from "./copied-text.ts";
import { rectangleOf, type Selection } from "./selection.ts";

export interface CellDetailProps {
  columns: readonly ResultColumn[];
  rows: readonly Row[];
  order: Uint32Array;
  selection: Selection;
}

export function CellDetail({ columns, rows, order, selection }: CellDetailProps) {
  const area = rectangleOf(selection);
  if (area.firstRow !== area.lastRow || area.firstColumn !== area.lastColumn) {
    return <p class="cell-detail quiet">{amountWords(rows, order, area)}</p>;
  }
  const { name, type } = columns[area.firstColumn]!;
  const value: Cell = rows[order[area.firstRow]!]?.[area.firstColumn] ?? null;
  return (
    <div class="cell-detail">
      <p class="quiet">
        <code>{name}</code> {type}
      </p>
      <pre>{wholeText(value)}</pre>
    </div>
  );
}

function wholeText(value: Cell): string {
  if (value === null) return "null";
  return typeof value === "object" ? JSON.stringify(value, null, 2) : cellText(value);
}

const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 4 });

function amountWords(rows: readonly Row[], order: Uint32Array, area: ReturnType<typeof rectangleOf>): string {
  const { cells, numbers, sum, min, max } = amountOf(rows, order, area);
  const words = [`${formatCount(cells)} cells`];
  if (numbers > 0) {
    words.push(`sum ${number.format(sum)}`, `mean ${number.format(sum / numbers)}`);
    words.push(`least ${number.format(min)}`, `most ${number.format(max)}`);
  }
  return words.join(" · ");
}
