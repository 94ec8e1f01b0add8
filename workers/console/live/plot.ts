/** How a chart looks to uPlot. Final values are solid, provisional ones hatched or dashed, and what changed after it was final wears a mark. */
import uPlot from "uplot";
import { startText } from "./titles.ts";
import { axisText, type Shown } from "./values.ts";

export interface PlotFrame {
  readonly grainMs: number;
  /** Of the time axis, milliseconds. */
  readonly from: number;
  readonly to: number;
  readonly unit: Shown;
}

/** @param frame read at each drawing: the time axis moves on with it. @param onPlace the start under the pointer, and where it is */
export function plotOptions(
  element: HTMLElement,
  lines: number,
  isBars: boolean,
  frame: () => PlotFrame,
  onPlace: (place: { index: number; left: number } | null) => void,
): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color("--quiet"),
    font: `12px ${style.fontFamily}`,
    ticks: { show: false },
    border: { show: false },
  };
  return {
    width: element.clientWidth,
    height: element.clientHeight,
    padding: [12, 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { setScale: false, x: false, y: false }, points: { show: false } },
    scales: {
      x: { range: () => [frame().from / 1_000, frame().to / 1_000] },
      y: { range: (_, __, max) => [0, Math.max(frame().unit === "share" ? 0.01 : 1, (max ?? 0) * 1.1)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 28,
        space: 64,
        // None at the ends, where it would be cut.
        values: (plot, splits) => {
          const edge = ((plot.scales.x!.max! - plot.scales.x!.min!) * 22) / Math.max(1, plot.width);
          return splits.map((s) =>
            s > plot.scales.x!.max! - edge || s < plot.scales.x!.min! + edge
              ? ""
              : startText(s * 1_000, frame().grainMs),
          );
        },
      },
      {
        ...axis,
        grid: { stroke: color("--line"), width: 1 },
        space: 44,
        size: (_, values) => 14 + 7 * Math.max(2, ...(values ?? []).map((value) => value.length)),
        values: (_, splits) => splits.map((value) => axisText(frame().unit, value)),
      },
    ],
    series: [
      {},
      ...Array.from({ length: lines }, (_, i) =>
        isBars ? barSeries(element, color("--accent")) : lineSeries(color(`--line-${i}`)),
      ).flat(),
    ],
    hooks: {
      draw: [(plot) => drawCorrected(plot, lines, isBars ? frame().grainMs : 0, color("--warn"))],
      setCursor: [(plot) => onPlace(placeUnder(plot, isBars, frame().grainMs))],
    },
  };
}

const UNSEEN = { paths: () => null, points: { show: false } } as const;

function barSeries(element: HTMLElement, accent: string): uPlot.Series[] {
  // On a phone a minute is four pixels wide.
  const gap = element.clientWidth < 500 ? 1 : 3;
  const bars = uPlot.paths.bars!({ align: 1, size: [1, 60, 1], gap, radius: 0.15 });
  return [
    { paths: bars, fill: accent, width: 0, points: { show: false } },
    { paths: bars, fill: () => hatched(accent), stroke: accent, width: 1, points: { show: false } },
    // Not drawn as a series: the hook puts its marks over the bars.
    UNSEEN,
  ];
}

function lineSeries(stroke: string): uPlot.Series[] {
  return [
    { stroke, width: 2, points: { show: false } },
    { stroke, width: 2, dash: [4, 4], points: { show: false } },
    UNSEEN,
  ];
}

/** A bar is there for all of its start, a line's point for where it stands. */
function placeUnder(plot: uPlot, isBars: boolean, grainMs: number): { index: number; left: number } | null {
  const { idx, left } = plot.cursor;
  if (idx === null || idx === undefined || left === undefined || left < 0) return null;
  const starts = plot.data[0];
  const s = plot.posToVal(left, "x");
  const index = isBars ? starts.findLastIndex((start) => start <= s) : idx;
  if (index < 0) return null;
  const middle = starts[index]! + (isBars ? grainMs / 2_000 : 0);
  const at = Math.max(0, Math.min(plot.bbox.width / devicePixelRatio, plot.valToPos(middle, "x")));
  return { index, left: at + plot.bbox.left / devicePixelRatio };
}

/** A triangle over the middle of each corrected value. */
function drawCorrected(plot: uPlot, lines: number, widthMs: number, color: string): void {
  const size = 4 * devicePixelRatio;
  plot.ctx.save();
  plot.ctx.fillStyle = color;
  for (let line = 0; line < lines; line++) {
    for (const [i, value] of plot.data[3 * line + 3]!.entries()) {
      if (value === null || value === undefined) continue;
      const x = plot.valToPos(plot.data[0][i]! + widthMs / 2_000, "x", true);
      const y = plot.valToPos(value, "y", true) - size / 2;
      if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue;
      plot.ctx.beginPath();
      plot.ctx.moveTo(x - size, y - 1.6 * size);
      plot.ctx.lineTo(x + size, y - 1.6 * size);
      plot.ctx.lineTo(x, y);
      plot.ctx.fill();
    }
  }
  plot.ctx.restore();
}

/** Diagonal stripes: told from the solid bars without seeing colour. */
function hatched(color: string): CanvasPattern | string {
  const size = 6 * devicePixelRatio;
  const tile = document.createElement("canvas");
  tile.width = size;
  tile.height = size;
  const context = tile.getContext("2d");
  if (!context) return color;
  context.globalAlpha = 0.18;
  context.fillStyle = color;
  context.fillRect(0, 0, size, size);
  context.globalAlpha = 1;
  context.strokeStyle = color;
  context.lineWidth = 1.5 * devicePixelRatio;
  context.beginPath();
  for (const shift of [-size, 0, size]) {
    context.moveTo(shift, size);
    context.lineTo(shift + size, 0);
  }
  context.stroke();
  return context.createPattern(tile, "repeat") ?? color;
}
