/**
 * The rows of an answer. Only cells in sight are in the document, so that 100,000 rows of 50 columns scroll as lightly as
 * ten of two. One cell is the cursor's (`aria-activedescendant`); arrows move it, Shift extends, Ctrl or Cmd + C copies.
 */
// biome-ignore-all lint/a11y/useSemanticElements: a table's layout cannot leave columns out that are not in sight.
// biome-ignore-all lint/a11y/useFocusableInteractive: the grid has the focus and points to its cells.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { formatCount } from "../../shell/format.ts";
import { writeClipboard } from "../clipboard.ts";
import type { ResultColumn, Row } from "../statement.ts";
import { CellDetail } from "./cell-detail.tsx";
import { ColumnHead } from "./column-head.tsx";
import { copiedText } from "./copied-text.ts";
import { ACTIVE_CELL, type GridLayout, GridRow } from "./grid-row.tsx";
import { afterKey, all, type GridPlace, rectangleOf, type Selection } from "./selection.ts";
import { isNumeric, type Sorting, sortedOrder } from "./sort-rows.ts";
import { columnOffsets, columnWidths, visibleColumns } from "./visible-columns.ts";
import { ROW_PX, visibleRows } from "./visible-rows.ts";

/** Browsers cap the height of an element near 16 million pixels; the page asks for a quarter of that many. */
const ROWS_SHOWN = 400_000;
/** More than rows in sight, by the bounds of visible-rows.ts. */
const ELEMENTS = 256;

export interface GridProps {
  columns: readonly ResultColumn[];
  rows: readonly Row[];
  /** Told what is copied, for those who do not see it happen. */
  onCopied(message: string): void;
  /** Takes the grid's copying, for a button elsewhere. */
  onReady(handle: GridHandle): void;
}

export interface GridHandle {
  focus(): void;
  /** The chosen cells with their columns' names; everything where nothing is chosen. */
  copy(): void;
}

export function ResultGrid({ columns, rows, onCopied, onReady }: GridProps) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, left: 0, height: 600, width: 1_000 });
  const [sorting, setSorting] = useState<Sorting | null>(null);
  const [selection, setSelection] = useState<Selection | null>(null);
  const [resized, setResized] = useState<Readonly<Record<number, number>>>({});
  const charPx = useCharWidth(box);

  const shown = Math.min(rows.length, ROWS_SHOWN);
  const order = useMemo(() => sortedOrder(columns, rows, sorting), [columns, rows, sorting]);
  const numeric = useMemo(() => columns.map((column, index) => isNumeric(column, rows, index)), [columns, rows]);
  const fitted = useMemo(() => columnWidths(columns, rows, charPx), [columns, rows, charPx]);
  const widths = useMemo(() => fitted.map((width, index) => resized[index] ?? width), [fitted, resized]);
  const offsets = useMemo(() => columnOffsets(widths), [widths]);
  const gutterPx = Math.ceil(Math.max(3, String(rows.length).length) * charPx) + 20;

  const look = () => {
    const element = box.current;
    if (!element) return;
    const { scrollTop: top, scrollLeft: left, clientHeight: height, clientWidth: width } = element;
    setView({ top, left, height, width });
  };
  useLayoutEffect(() => {
    box.current?.scrollTo(0, 0);
    setSorting(null);
    setSelection(null);
    setResized({});
    look();
  }, [rows]);
  useEffect(() => {
    const observer = new ResizeObserver(look);
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);

  const bodyHeight = Math.max(ROW_PX, view.height - ROW_PX);
  const size = { rows: shown, columns: columns.length, page: Math.max(1, Math.floor(bodyHeight / ROW_PX) - 1) };
  const select = (next: Selection) => {
    setSelection(next);
    reveal(box.current!, next.head, offsets, gutterPx);
    look();
  };
  const copy = (header: boolean): string | null => {
    if (rows.length === 0) return null;
    const area = rectangleOf(selection ?? all({ ...size, rows: rows.length }));
    onCopied(copiedWords(area.lastRow - area.firstRow + 1, area.lastColumn - area.firstColumn + 1));
    return copiedText(columns, rows, order, area, header);
  };
  const newest = useRef({ copy });
  newest.current = { copy };
  useEffect(() => {
    onReady({
      focus: () => box.current?.focus(),
      copy() {
        const text = newest.current.copy(true);
        if (text !== null) void writeClipboard(text);
      },
    });
  }, []);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey) return;
    const key = { key: event.key, shift: event.shiftKey, mod: event.ctrlKey || event.metaKey };
    const next = afterKey(selection, key, size);
    if (next) {
      event.preventDefault();
      if (key.mod && key.key.toLowerCase() === "a") setSelection(next);
      else select(next);
    } else if (event.key === "Enter" && selection) {
      event.preventDefault();
      setSorting(nextSorting(sorting, selection.head.column));
    }
  };
  const onCopy = (event: ClipboardEvent) => {
    // Text that was marked with the mouse elsewhere in the page is the browser's to copy.
    const text = copy(false);
    if (text === null) return;
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
  };
  const onPointer = (event: PointerEvent) => {
    if (event.buttons !== 1 || event.pointerType === "touch") return;
    const at = placeOf(event);
    if (!at) return;
    const begun = event.type === "pointerdown" && !event.shiftKey;
    const anchor = begun || !selection ? at : selection.anchor;
    if (at.column >= 0) setSelection({ anchor: anchor.column < 0 ? at : anchor, head: at });
    else {
      const last = columns.length - 1;
      setSelection({ anchor: { row: anchor.row, column: 0 }, head: { row: at.row, column: last } });
    }
  };
  /** A finger scrolls; its tap chooses. */
  const onClick = (event: MouseEvent) => {
    const at = placeOf(event);
    if (!at || (event as PointerEvent).pointerType !== "touch") return;
    const column = Math.max(0, at.column);
    setSelection({
      anchor: { row: at.row, column },
      head: { row: at.row, column: at.column < 0 ? size.columns - 1 : column },
    });
  };

  const { from, to } = visibleRows(shown, Math.max(0, view.top), bodyHeight);
  const sight = visibleColumns(offsets, view.left, view.width);
  const area = selection && rectangleOf(selection);
  const total = offsets.at(-1)! + gutterPx;
  const head = selection?.head;
  const layout = useMemo(
    (): GridLayout => ({
      columns: Array.from({ length: sight.to - sight.from }, (_, index) => sight.from + index),
      offsets,
      widths,
      numeric,
      gutterPx,
    }),
    [sight.from, sight.to, offsets, widths, numeric, gutterPx],
  );
  return (
    <>
      <div
        class="grid"
        ref={box}
        role="grid"
        aria-label="Result"
        aria-rowcount={rows.length + 1}
        aria-colcount={columns.length}
        aria-multiselectable="true"
        aria-activedescendant={head && head.row >= from && head.row < to ? ACTIVE_CELL : undefined}
        tabIndex={0}
        onScroll={look}
        onKeyDown={onKeyDown}
        onCopy={onCopy}
        onPointerDown={onPointer}
        onPointerOver={onPointer}
        onClick={onClick}
        // Beside the last row there is room for a short answer to be as high as it needs.
        style={{ "--grid-rows": String(Math.min(shown, 1_000) + 1) }}
      >
        <div class="grid-head" role="row" aria-rowindex={1} style={{ width: `${total}px` }}>
          <div class="gutter" role="presentation" style={{ width: `${gutterPx}px` }} />
          {layout.columns.map((at) => (
            <ColumnHead
              key={at}
              column={columns[at]!}
              index={at}
              numeric={numeric[at] === true}
              left={gutterPx + offsets[at]!}
              width={widths[at]!}
              sorting={sorting?.column === at ? sorting : null}
              onSort={() => setSorting(nextSorting(sorting, at))}
              onWidth={(width) => setResized((all) => ({ ...all, [at]: width ?? fitted[at]! }))}
            />
          ))}
        </div>
        <div class="grid-body" role="presentation" style={{ width: `${total}px`, height: `${shown * ROW_PX}px` }}>
          {Array.from(order.subarray(from, to), (number, index) => {
            const at = from + index;
            const isIn = area !== null && at >= area.firstRow && at <= area.lastRow;
            return (
              <GridRow
                // Rows that leave the sight lend their elements to those that come.
                key={at % ELEMENTS}
                layout={layout}
                row={rows[number]!}
                at={at}
                number={number}
                firstChosen={isIn ? area.firstColumn : columns.length}
                lastChosen={isIn ? area.lastColumn : -1}
                active={head?.row === at ? head.column : -1}
              />
            );
          })}
        </div>
      </div>
      {selection && <CellDetail columns={columns} rows={rows} order={order} selection={selection} />}
    </>
  );
}

/** Up, down, and as the statement ordered them. */
function nextSorting(sorting: Sorting | null, column: number): Sorting | null {
  if (sorting?.column !== column) return { column, descending: false };
  return sorting.descending ? null : { column, descending: true };
}

/** The cell under the pointer; column -1 is the row's number. */
function placeOf(event: Event): GridPlace | null {
  if (!(event.target instanceof Element)) return null;
  const column = event.target.closest<HTMLElement>("[data-column]")?.dataset.column;
  const row = event.target.closest<HTMLElement>("[data-row]")?.dataset.row;
  return column === undefined || row === undefined ? null : { row: Number(row), column: Number(column) };
}

/** Scrolls no further than it takes to have the cell in sight, beside the header and the rows' numbers. */
function reveal(box: HTMLElement, { row, column }: GridPlace, offsets: readonly number[], gutterPx: number): void {
  const top = row * ROW_PX;
  const height = box.clientHeight - ROW_PX;
  const width = box.clientWidth - gutterPx;
  const [left, right] = [offsets[column]!, offsets[column + 1]!];
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + ROW_PX > box.scrollTop + height) box.scrollTop = top + ROW_PX - height;
  if (left < box.scrollLeft || right - left > width) box.scrollLeft = left;
  else if (right > box.scrollLeft + width) box.scrollLeft = right - width;
}

/** Of the grid's fixed-width face. */
function useCharWidth(box: { readonly current: HTMLElement | null }): number {
  const [charPx, setCharPx] = useState(8);
  useLayoutEffect(() => {
    const probe = document.createElement("span");
    probe.textContent = "0".repeat(100);
    probe.style.cssText = "position:absolute;visibility:hidden";
    box.current!.append(probe);
    const width = probe.getBoundingClientRect().width / 100;
    probe.remove();
    if (width > 0) setCharPx(width);
  }, []);
  return charPx;
}

function copiedWords(rows: number, columns: number): string {
  if (rows === 1 && columns === 1) return "Copied the cell";
  return `Copied ${formatCount(rows)} ${rows === 1 ? "row" : "rows"} of ${columns} ${columns === 1 ? "column" : "columns"}`;
}
