/** Lines, or bars that stand on each other, over time or numbers. A part of its own, because uPlot comes with it. */
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { useColorScheme } from "../../shell/color-scheme.ts";
import { formatShort } from "../../shell/format.ts";
import { type ChartData, stacked } from "./chart-data.ts";
import { timeLabels } from "./time-labels.ts";

const HEIGHT = 320;
/** Lines are told apart by their dashes, too. */
const DASHES = [[], [6, 4], [2, 3], [10, 4, 2, 4], [12, 4], [4, 2], [8, 3, 2, 3, 2, 3], [1, 3]];

interface Hovered {
  readonly at: number;
  readonly leftPx: number;
}

export default function LineChart({ data, shape }: { data: ChartData; shape: "line" | "bar" }) {
  const box = useRef<HTMLDivElement>(null);
  const [hovered, setHovered] = useState<Hovered | null>(null);
  const scheme = useColorScheme();
  useEffect(() => {
    const element = box.current!;
    const made = new uPlot(chartOptions(element, data, shape, setHovered), plotted(data, shape), element);
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [data, shape, scheme]);

  const isRight = hovered !== null && hovered.leftPx > (box.current?.clientWidth ?? 0) / 2;
  return (
    <div class="chart">
      <div ref={box} role="img" aria-label={chartWords(data, shape)} />
      {hovered && (
        <div class={isRight ? "tooltip left" : "tooltip"} style={{ left: `${hovered.leftPx}px` }}>
          <strong>{placeText(data, data.places[hovered.at]!)}</strong>
          {data.lines.map(({ label, values }) => (
            <span key={label}>
              {label}: {values[hovered.at] ?? "none"}
            </span>
          ))}
        </div>
      )}
    </div>
  );
}

/** The highest bar first: those after it are drawn over its lower part. */
function plotted({ places, lines }: ChartData, shape: "line" | "bar"): uPlot.AlignedData {
  const values = shape === "bar" ? stacked(lines).reverse() : lines.map((line) => [...line.values]);
  return [[...places], ...values] as uPlot.AlignedData;
}

function chartOptions(
  element: HTMLElement,
  data: ChartData,
  shape: "line" | "bar",
  onHover: (hovered: Hovered | null) => void,
): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color("--quiet"),
    font: `12px ${style.fontFamily}`,
    ticks: { show: false },
    border: { show: false },
  };
  const bars = uPlot.paths.bars!({ size: [0.7, 60, 2], radius: 0.1 });
  const series = data.lines.map(({ label }, number): uPlot.Series => {
    const own = color(`--line-${number}`);
    if (shape === "bar") return { label, paths: bars, fill: own, width: 0, points: { show: false } };
    const points = data.places.length <= 60;
    return {
      label,
      stroke: own,
      width: 2,
      dash: DASHES[number],
      spanGaps: true,
      points: { show: points, fill: own, size: 5 },
    };
  });
  if (shape === "bar") series.reverse();
  return {
    width: element.clientWidth,
    height: HEIGHT,
    // Half a date has room at either end of the axis.
    padding: [12, 28, 0, 10],
    legend: { show: false },
    cursor: { y: false, drag: { setScale: false, x: false, y: false } },
    // Places at whole hours and days of the rows' clock, which is UTC.
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), "Etc/UTC"),
    scales: {
      x: { time: data.axis === "time", range: (_, min, max) => around(data, shape, min, max) },
      y: { range: (_, min, max) => rangeOfValues(min, max) },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: data.axis === "time" ? 42 : 28,
        space: 70,
        ...(data.axis === "time" && {
          values: (_: uPlot, splits: number[], __: number, ___: number, step: number) => timeLabels(splits, step),
        }),
        ...(data.axis === "label" && {
          incrs: [1, 2, 5, 10, 20],
          values: (_: uPlot, splits: number[]) => splits.map((at) => shortened(data.labels[at] ?? "")),
        }),
      },
      {
        ...axis,
        grid: { stroke: color("--line"), width: 1 },
        space: 40,
        size: (_, values) => 16 + 7 * Math.max(2, ...(values ?? []).map((value) => value.length)),
        values: (_, splits) => splits.map((value) => formatShort(value)),
      },
    ],
    series: [{}, ...series],
    hooks: {
      setCursor: [
        (plot) => {
          const { idx, left } = plot.cursor;
          if (idx === null || idx === undefined || left === undefined || left < 0) return onHover(null);
          const leftPx = plot.valToPos(data.places[idx]!, "x") + plot.bbox.left / devicePixelRatio;
          onHover({ at: idx, leftPx });
        },
      ],
    },
  };
}

/** Bars stand beside their place by half a step. */
function around({ places, axis }: ChartData, shape: "line" | "bar", min: number, max: number): [number, number] {
  if (min === max) return [min - 1, max + 1];
  if (shape === "line" && axis !== "label") return [min, max];
  const step = (max - min) / Math.max(1, places.length - 1);
  return [min - step / 2, max + step / 2];
}

/** From nothing on, so that heights may be compared; below it only where values are. */
function rangeOfValues(min: number | null, max: number | null): [number, number] {
  const [low, high] = [Math.min(0, min ?? 0), Math.max(0, max ?? 0)];
  if (low === high) return [0, 1];
  return [low * 1.08, high * 1.08];
}

const shortened = (label: string): string => (label.length > 12 ? `${label.slice(0, 11)}…` : label);

function placeText({ axis, labels }: ChartData, place: number): string {
  if (axis === "label") return labels[place] ?? "";
  if (axis === "number") return String(place);
  return new Date(place * 1_000)
    .toISOString()
    .replace("T", " ")
    .replace(/(:00)?\.000Z$/, "");
}

function chartWords(data: ChartData, shape: "line" | "bar"): string {
  const { lines, places } = data;
  if (places.length === 0) return "Nothing to draw";
  const [first, last] = [placeText(data, places[0]!), placeText(data, places.at(-1)!)];
  return `${shape === "line" ? "Lines" : "Bars"} of ${lines.map(({ label }) => label).join(", ")} at ${places.length} places from ${first} to ${last}.`;
}
