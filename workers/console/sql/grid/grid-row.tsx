/** One row of the grid. It is drawn anew only where something of it has changed: scrolling by a row draws one. */
// biome-ignore-all lint/a11y/useSemanticElements: a table's layout cannot leave columns out that are not in sight.
// biome-ignore-all lint/a11y/useFocusableInteractive: the grid has the focus and points to its cells.
import { Component } from "preact";
import { formatCount } from "../../shell/format.ts";
import { cellText } from "../csv.ts";
import type { Cell, Row } from "../statement.ts";
import { ROW_PX } from "./visible-rows.ts";

/** What all rows have in common; the same object as long as nothing of it has changed. */
export interface GridLayout {
  /** Numbers of the columns in sight. */
  readonly columns: readonly number[];
  readonly offsets: readonly number[];
  readonly widths: readonly number[];
  readonly numeric: readonly boolean[];
  readonly gutterPx: number;
}

export interface GridRowProps {
  readonly layout: GridLayout;
  readonly row: Row;
  /** In the order that is shown. */
  readonly at: number;
  /** In the order of the answer. */
  readonly number: number;
  /** Columns that are chosen in this row; beyond all columns where none is. */
  readonly firstChosen: number;
  readonly lastChosen: number;
  /** The cursor's column, -1 in other rows. */
  readonly active: number;
}

/** `aria-activedescendant` points to the cursor's cell. */
export const ACTIVE_CELL = "active-cell";
const CELL_CHARS = 300;

export class GridRow extends Component<GridRowProps> {
  override shouldComponentUpdate(next: GridRowProps): boolean {
    return (Object.keys(next) as (keyof GridRowProps)[]).some((name) => next[name] !== this.props[name]);
  }

  render({ layout, row, at, number, firstChosen, lastChosen, active }: GridRowProps) {
    const { columns, offsets, widths, numeric, gutterPx } = layout;
    const isIn = firstChosen <= lastChosen;
    return (
      <div
        class={at % 2 ? "grid-row odd" : "grid-row"}
        role="row"
        aria-rowindex={at + 2}
        data-row={at}
        style={{ top: `${at * ROW_PX}px` }}
      >
        <div class={isIn ? "gutter in" : "gutter"} data-column={-1} style={{ width: `${gutterPx}px` }}>
          {formatCount(number + 1)}
        </div>
        {columns.map((column) => {
          const selected = column >= firstChosen && column <= lastChosen;
          const state = `${selected ? " in" : ""}${active === column ? " active" : ""}`;
          return (
            <div
              key={column}
              id={active === column ? ACTIVE_CELL : undefined}
              class={`cell${numeric[column] ? " number" : ""}${state}`}
              role="gridcell"
              aria-colindex={column + 1}
              aria-selected={selected}
              data-column={column}
              style={{ left: `${gutterPx + offsets[column]!}px`, width: `${widths[column]}px` }}
            >
              <CellValue value={row[column] ?? null} />
            </div>
          );
        })}
      </div>
    );
  }
}

function CellValue({ value }: { value: Cell }) {
  if (value === null) return <span class="null">null</span>;
  return <>{cellText(value).slice(0, CELL_CHARS)}</>;
}
