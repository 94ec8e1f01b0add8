/** A column's name: pressed, it sorts; its right edge is drawn to the width that is wanted, pressed twice it fits. */
// biome-ignore-all lint/a11y/useSemanticElements: a table's layout cannot leave columns out that are not in sight.
// biome-ignore-all lint/a11y/useFocusableInteractive: the grid has the focus and points to its cells.
import { useRef } from "preact/hooks";
import type { ResultColumn } from "../statement.ts";
import type { Sorting } from "./sort-rows.ts";

const COLUMN_PX_MIN = 56;

export interface ColumnHeadProps {
  column: ResultColumn;
  index: number;
  numeric: boolean;
  left: number;
  width: number;
  sorting: Sorting | null;
  onSort(): void;
  /** Pixels; null fits it again. */
  onWidth(width: number | null): void;
}

export function ColumnHead({ column, index, numeric, left, width, sorting, onSort, onWidth }: ColumnHeadProps) {
  const dragged = useRef<{ x: number; width: number } | null>(null);
  return (
    <div
      class={numeric ? "column-head number" : "column-head"}
      role="columnheader"
      aria-colindex={index + 1}
      aria-sort={sorting ? (sorting.descending ? "descending" : "ascending") : "none"}
      style={{ left: `${left}px`, width: `${width}px` }}
    >
      <button type="button" tabIndex={-1} title={`${column.name}: ${column.type}. Sorts`} onClick={onSort}>
        <span class="label">{column.name}</span>
        <span aria-hidden="true">{sorting ? (sorting.descending ? "↓" : "↑") : ""}</span>
      </button>
      <span
        class="edge"
        aria-hidden="true"
        onDblClick={() => onWidth(null)}
        onPointerDown={(event) => {
          event.stopPropagation();
          event.currentTarget.setPointerCapture(event.pointerId);
          dragged.current = { x: event.clientX, width };
        }}
        onPointerMove={(event) => {
          const start = dragged.current;
          if (start) onWidth(Math.max(COLUMN_PX_MIN, start.width + event.clientX - start.x));
        }}
        onPointerUp={() => {
          dragged.current = null;
        }}
      />
    </div>
  );
}
