/** Which rows of a long table are in sight. Pure. */
export const ROW_PX = 30;
/** Rows beyond the edges, so that scrolling shows no gap before the next paint. */
const SPARE_ROWS = 12;

export interface VisibleRows {
  readonly from: number;
  readonly to: number;
  /** Height that stands in for the rows above and below, pixels. */
  readonly abovePx: number;
  readonly belowPx: number;
}

export function visibleRows(rows: number, scrollTopPx: number, heightPx: number): VisibleRows {
  const first = Math.floor(Math.max(0, scrollTopPx) / ROW_PX);
  const from = Math.max(0, Math.min(first, rows) - SPARE_ROWS);
  const to = Math.min(rows, first + Math.ceil(heightPx / ROW_PX) + SPARE_ROWS);
  return { from, to, abovePx: from * ROW_PX, belowPx: (rows - to) * ROW_PX };
}
