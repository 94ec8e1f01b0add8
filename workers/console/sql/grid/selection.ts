/** The cells that are chosen in a grid, and how keys move them. Pure: rows count in the order that is shown. */

export interface GridPlace {
  readonly row: number;
  readonly column: number;
}

/** A rectangle from where it was begun to where the cursor is. */
export interface Selection {
  readonly anchor: GridPlace;
  readonly head: GridPlace;
}

export interface GridSize {
  readonly rows: number;
  readonly columns: number;
  /** Rows that fit into the sight. */
  readonly page: number;
}

/** Rows and columns from `first` to `last`, both inside. */
export interface Rectangle {
  readonly firstRow: number;
  readonly lastRow: number;
  readonly firstColumn: number;
  readonly lastColumn: number;
}

export function rectangleOf({ anchor, head }: Selection): Rectangle {
  return {
    firstRow: Math.min(anchor.row, head.row),
    lastRow: Math.max(anchor.row, head.row),
    firstColumn: Math.min(anchor.column, head.column),
    lastColumn: Math.max(anchor.column, head.column),
  };
}

export interface Key {
  readonly key: string;
  readonly shift: boolean;
  /** Ctrl, or Cmd. */
  readonly mod: boolean;
}

/** @returns the selection after a key, or null for a key that is not the grid's. */
export function afterKey(selection: Selection | null, { key, shift, mod }: Key, size: GridSize): Selection | null {
  if (size.rows === 0 || size.columns === 0) return null;
  if (mod && key.toLowerCase() === "a") return all(size);
  const head = selection?.head ?? { row: 0, column: 0 };
  if (shift && key === " ") return rowsOf(selection ?? { anchor: head, head }, size);
  if (mod && key === " ") return columnsOf(selection ?? { anchor: head, head }, size);
  const moved = move(head, key, mod, size);
  if (!moved) return null;
  // The first key enters the grid where it begins.
  const next = selection ? clamp(moved, size) : head;
  return { anchor: shift && selection ? selection.anchor : next, head: next };
}

export const all = ({ rows, columns }: GridSize): Selection => ({
  anchor: { row: 0, column: 0 },
  head: { row: rows - 1, column: columns - 1 },
});

const rowsOf = ({ anchor, head }: Selection, { columns }: GridSize): Selection => ({
  anchor: { row: anchor.row, column: 0 },
  head: { row: head.row, column: columns - 1 },
});

const columnsOf = ({ anchor, head }: Selection, { rows }: GridSize): Selection => ({
  anchor: { row: 0, column: anchor.column },
  head: { row: rows - 1, column: head.column },
});

function move({ row, column }: GridPlace, key: string, mod: boolean, { rows, columns, page }: GridSize) {
  switch (key) {
    case "ArrowUp":
      return { row: mod ? 0 : row - 1, column };
    case "ArrowDown":
      return { row: mod ? rows - 1 : row + 1, column };
    case "ArrowLeft":
      return { row, column: mod ? 0 : column - 1 };
    case "ArrowRight":
      return { row, column: mod ? columns - 1 : column + 1 };
    case "PageUp":
      return { row: row - page, column };
    case "PageDown":
      return { row: row + page, column };
    case "Home":
      return { row: mod ? 0 : row, column: 0 };
    case "End":
      return { row: mod ? rows - 1 : row, column: columns - 1 };
    default:
      return null;
  }
}

const clamp = ({ row, column }: GridPlace, { rows, columns }: GridSize): GridPlace => ({
  row: Math.max(0, Math.min(row, rows - 1)),
  column: Math.max(0, Math.min(column, columns - 1)),
});
