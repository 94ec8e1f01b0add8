/** The answer as a table. Only rows in sight are in the document, so that 100,000 scroll as lightly as ten. */
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { formatCount } from "../shell/format.ts";
import { cellText } from "./csv.ts";
import type { Cell, QueryResult, ResultColumn } from "./statement.ts";
import { visibleRows } from "./visible-rows.ts";

/** Browsers cap the height of an element near 16 million pixels. */
const ROWS_SHOWN = 400_000;
const CELL_CHARS = 300;
const SAMPLED_ROWS = 200;

const NUMERIC = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|REAL|DECIMAL.*|U?Int\d+|Float\d+|Decimal.*)$/i;

export function ResultTable({ columns, rows }: Pick<QueryResult, "columns" | "rows">) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const shown = Math.min(rows.length, ROWS_SHOWN);
  const widths = useMemo(() => columnWidths(columns, rows), [columns, rows]);
  const numeric = useMemo(() => columns.map((column, index) => isNumeric(column, rows, index)), [columns, rows]);

  const look = () => {
    const element = box.current;
    if (element) setView({ top: element.scrollTop, height: element.clientHeight });
  };
  useLayoutEffect(() => {
    box.current?.scrollTo(0, 0);
    look();
  }, [rows]);

  const { from, to, abovePx, belowPx } = visibleRows(shown, view.top, view.height);
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reached by keyboard. */}
      <section class="results" ref={box} onScroll={look} tabIndex={0} aria-label="Result">
        <table style={{ width: `${widths.reduce((sum, width) => sum + width, 0)}ch` }} aria-rowcount={rows.length + 1}>
          <colgroup>
            {widths.map((width, index) => (
              <col key={columns[index]!.name} style={{ width: `${width}ch` }} />
            ))}
          </colgroup>
          <thead>
            <tr>
              {columns.map((column, index) => (
                <th
                  key={column.name}
                  class={numeric[index] ? "number" : undefined}
                  title={`${column.name}: ${column.type}`}
                >
                  {column.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {abovePx > 0 && <tr style={{ height: `${abovePx}px` }} />}
            {rows.slice(from, to).map((row, index) => (
              <tr key={from + index} aria-rowindex={from + index + 2} class={(from + index) % 2 ? "odd" : undefined}>
                {columns.map((column, at) => (
                  <td key={column.name} class={numeric[at] ? "number" : undefined}>
                    <CellValue value={row[at] ?? null} />
                  </td>
                ))}
              </tr>
            ))}
            {belowPx > 0 && <tr style={{ height: `${belowPx}px` }} />}
          </tbody>
        </table>
      </section>
      {shown < rows.length && (
        <p class="quiet">The first {formatCount(shown)} rows are shown; the CSV file has all of them.</p>
      )}
    </>
  );
}

function CellValue({ value }: { value: Cell }) {
  if (value === null) return <span class="null">null</span>;
  const text = cellText(value);
  return <span title={text.length > 24 ? text.slice(0, 2_000) : undefined}>{text.slice(0, CELL_CHARS)}</span>;
}

/** A type the server names, or, of a type unknown here, what the values are. */
function isNumeric({ type }: ResultColumn, rows: QueryResult["rows"], index: number): boolean {
  if (NUMERIC.test(type)) return true;
  const first = rows.find((row) => row[index] !== null)?.[index];
  return typeof first === "number";
}

/** In characters, from the header and the first rows: fixed, so that columns do not move while one scrolls. */
export function columnWidths(columns: readonly ResultColumn[], rows: QueryResult["rows"]): number[] {
  return columns.map(({ name }, index) => {
    let chars = name.length;
    for (const row of rows.slice(0, SAMPLED_ROWS)) chars = Math.max(chars, cellText(row[index] ?? null).length);
    return Math.min(Math.max(chars, 4), 44) + 4;
  });
}
