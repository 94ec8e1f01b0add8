/**
 * Events per minute over the last hour, as bars. A minute that may still grow is hatched, a final one is solid, and one that changed after it was
 * final wears a mark.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useColorScheme } from "../shell/color-scheme.ts";
import { formatClock, formatCount, formatMinute, formatShort } from "../shell/format.ts";
import { type Corrections, changeText, isCorrected } from "./corrections.ts";
import { type LiveMinute, MINUTE_MS } from "./minutes.ts";

export interface ChartMinute {
  readonly start: number;
  readonly minute: LiveMinute | null;
}

const HEIGHT = 250;
/** Changes of one minute that a tooltip lists. */
const CHANGES_SHOWN = 4;

interface MinutesProps {
  minutes: readonly ChartMinute[];
  corrections: Corrections;
}

export function MinuteChart({ minutes, corrections }: MinutesProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [hovered, setHovered] = useState<{ index: number; left: number } | null>(null);
  const scheme = useColorScheme();

  useEffect(() => {
    const element = box.current!;
    const made = new uPlot(chartOptions(element, setHovered), chartData(minutes), element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [scheme]);

  useEffect(() => plot.current?.setData(chartData(minutes)), [minutes]);

  const total = minutes.reduce((sum, { minute }) => sum + (minute?.events ?? 0), 0);
  const peak = minutes.reduce((best, next) => ((next.minute?.events ?? 0) > (best.minute?.events ?? 0) ? next : best));
  const shown = hovered && minutes[hovered.index];
  return (
    <div class="chart">
      <div
        ref={box}
        role="img"
        aria-label={`Events per minute over the last hour: ${formatCount(total)} in all, most at ${formatMinute(peak.start)} with ${formatCount(peak.minute?.events ?? 0)}.`}
      />
      {shown && (
        <div
          class={`tooltip${hovered.left > box.current!.clientWidth / 2 ? " left" : ""}`}
          style={{ left: `${hovered.left}px` }}
        >
          <strong>
            {formatMinute(shown.start)} – {formatMinute(shown.start + MINUTE_MS)}
          </strong>
          <span>{formatCount(shown.minute?.events ?? 0)} events</span>
          <span>{formatCount(shown.minute?.users ?? 0)} users</span>
          {shown.minute && (
            <span class="quiet">{shown.minute.state === "final" ? "final" : "provisional: may still grow"}</span>
          )}
          {isCorrected(shown.minute) && (
            <>
              <span class="corrected">corrected: version {shown.minute!.version}</span>
              {corrections
                .get(shown.start)
                ?.slice(0, CHANGES_SHOWN)
                .map((change) => (
                  <span key={`${change.at} ${change.version} ${change.events}`}>{changeText(change)}</span>
                ))}
            </>
          )}
        </div>
      )}
    </div>
  );
}

/** The same figures for those who do not see the chart. */
export function MinuteTable({ minutes, corrections }: MinutesProps) {
  return (
    <details class="minute-table">
      <summary>The same as a table</summary>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>Minute from</th>
              <th class="number">Events</th>
              <th class="number">Users</th>
              <th>State</th>
            </tr>
          </thead>
          <tbody>
            {minutes.toReversed().map(({ start, minute }) => (
              <tr key={start}>
                <td>{formatClock(start)}</td>
                <td class="number">{formatCount(minute?.events ?? 0)}</td>
                <td class="number">{formatCount(minute?.users ?? 0)}</td>
                <td>
                  {minute?.state ?? "no events"}
                  {isCorrected(minute) && <span class="corrected"> · corrected: version {minute!.version}</span>}
                  {isCorrected(minute) &&
                    corrections.get(start)?.map((change) => (
                      <span key={`${change.at} ${change.version} ${change.events}`} class="change">
                        {changeText(change)}
                      </span>
                    ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function chartData(minutes: readonly ChartMinute[]): uPlot.AlignedData {
  const final = (minute: LiveMinute | null) => minute?.state === "final";
  return [
    minutes.map(({ start }) => start / 1_000),
    minutes.map(({ minute }) => (minute && final(minute) ? minute.events : null)),
    minutes.map(({ minute }) => (minute && !final(minute) ? minute.events : null)),
    minutes.map(({ minute }) => (minute && isCorrected(minute) ? minute.events : null)),
  ];
}

function chartOptions(
  element: HTMLElement,
  onHover: (hovered: { index: number; left: number } | null) => void,
): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const accent = color("--accent");
  const axis = {
    stroke: color("--quiet"),
    font: `12px ${style.fontFamily}`,
    ticks: { show: false },
    border: { show: false },
  };
  // On a phone a minute is four pixels wide.
  const gap = element.clientWidth < 500 ? 1 : 3;
  const bars = uPlot.paths.bars!({ align: 1, size: [1, 40, 1], gap, radius: 0.15 });
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [12, 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { setScale: false, x: false, y: false }, points: { show: false } },
    scales: {
      x: { range: (_, min, max) => [min, max + MINUTE_MS / 1_000] },
      y: { range: (_, __, max) => [0, Math.max(4, (max ?? 0) * 1.1)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 28,
        space: 64,
        // None at the very end, where it would be cut.
        values: (plot, splits) => splits.map((s) => (s > plot.scales.x!.max! - 120 ? "" : formatMinute(s * 1_000))),
      },
      {
        ...axis,
        grid: { stroke: color("--line"), width: 1 },
        space: 44,
        size: (_, values) => 14 + 7 * Math.max(2, ...(values ?? []).map((value) => value.length)),
        incrs: [
          1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 1e8,
        ],
        values: (_, splits) => splits.map((value) => formatShort(value)),
      },
    ],
    series: [
      {},
      { paths: bars, fill: accent, width: 0, points: { show: false } },
      { paths: bars, fill: () => hatched(accent), stroke: accent, width: 1, points: { show: false } },
      // Not drawn as a series: the hook below puts its marks over the bars.
      { paths: () => null, points: { show: false } },
    ],
    hooks: {
      draw: [(plot) => drawCorrected(plot, color("--warn"))],
      setCursor: [
        (plot) => {
          const { idx, left } = plot.cursor;
          const inside = idx !== null && idx !== undefined && left !== undefined && left >= 0;
          if (!inside) return onHover(null);
          onHover({
            index: idx,
            left: plot.valToPos(plot.data[0][idx]! + 30, "x") + plot.bbox.left / devicePixelRatio,
          });
        },
      ],
    },
  };
}

/** A triangle over the middle of each corrected minute's bar. */
function drawCorrected(plot: uPlot, color: string): void {
  const size = 4 * devicePixelRatio;
  plot.ctx.save();
  plot.ctx.fillStyle = color;
  for (const [i, events] of plot.data[3]!.entries()) {
    if (events === null || events === undefined) continue;
    const x = plot.valToPos(plot.data[0][i]! + MINUTE_MS / 2_000, "x", true);
    const y = plot.valToPos(events, "y", true) - size / 2;
    plot.ctx.beginPath();
    plot.ctx.moveTo(x - size, y - 1.6 * size);
    plot.ctx.lineTo(x + size, y - 1.6 * size);
    plot.ctx.lineTo(x, y);
    plot.ctx.fill();
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
