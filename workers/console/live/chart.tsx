/** Values over time: drawn again with each frame of the page, the time axis of the last hour gliding on with the clock. */
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { useColorScheme } from "../shell/color-scheme.ts";
import { columnsOf, type Line } from "./chart-data.ts";
import { ChartTable } from "./chart-table.tsx";
import { type Change, changeText } from "./corrections.ts";
import { type PlotFrame, plotOptions } from "./plot.ts";
import { rangeText } from "./titles.ts";
import { labelText, type Shown, valueText } from "./values.ts";

/** Changes of one start that a tooltip lists. */
const CHANGES_SHOWN = 4;

export interface ChartProps {
  title: string;
  lines: readonly Line[];
  starts: readonly number[];
  frame: PlotFrame;
  /** What the lines tell apart; none: one value, as bars. */
  by: readonly string[];
  unit: Shown;
  /** Of the currency, where values are amounts. */
  valueKey: Readonly<Record<string, string>>;
  changes: ReadonlyMap<number, readonly Change[]>;
}

export function Chart(props: ChartProps) {
  const { title, lines, starts, frame, by, unit, valueKey, changes } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(frame);
  latest.current = frame;
  const [place, setPlace] = useState<{ index: number; left: number } | null>(null);
  const scheme = useColorScheme();
  const isBars = by.length === 0;
  const columns = columnsOf(lines, starts) as uPlot.AlignedData;

  useEffect(() => {
    const element = box.current!;
    const options = plotOptions(element, lines.length, isBars, () => latest.current, setPlace);
    const made = new uPlot(options, columns, element);
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: element.clientHeight }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [scheme, lines.length, isBars]);

  useEffect(() => plot.current?.setData(columns), [lines, frame.to]);

  const start = place && starts[place.index];
  const label = (text: string) => labelText(text, by);
  return (
    <div class="chart">
      {!isBars && (
        <ul class="legend">
          {lines.map(({ text }, i) => (
            <li key={text}>
              <span class="swatch" style={{ "--swatch": `var(--line-${i})` }} />
              {label(text)}
            </li>
          ))}
        </ul>
      )}
      <div ref={box} class="plot" role="img" aria-label={inWords(title, props)} />
      {place && start !== undefined && start !== null && (
        <div
          class={`tooltip${place.left > box.current!.clientWidth / 2 ? " left" : ""}`}
          style={{ left: `${place.left}px` }}
        >
          <strong>{rangeText(start, frame.grainMs)}</strong>
          {lines.map(({ text, places }, i) => {
            const here = places[place.index]!;
            return (
              <span key={text}>
                {!isBars && <span class="swatch" style={{ "--swatch": `var(--line-${i})` }} />}
                {!isBars && `${label(text)}: `}
                {here.approximate && "≈ "}
                {valueText(unit, here.value ?? 0, valueKey)}
              </span>
            );
          })}
          <StateOf lines={lines} index={place.index} />
          {changes
            .get(start)
            ?.slice(0, CHANGES_SHOWN)
            .map((change) => (
              <span key={`${change.at} ${change.version} ${change.events}`}>{changeText(change)}</span>
            ))}
        </div>
      )}
      <ChartTable {...props} />
    </div>
  );
}

function StateOf({ lines, index }: { lines: readonly Line[]; index: number }) {
  const here = lines.map(({ places }) => places[index]!);
  const version = Math.max(1, ...here.map((one) => one.version));
  const isGrowing = here.some(({ state }) => state === "provisional");
  if (here.every(({ state }) => state === null)) return null;
  return (
    <>
      <span class="quiet">{isGrowing ? "provisional: may still grow" : "final"}</span>
      {version > 1 && <span class="corrected">corrected: version {version}</span>}
    </>
  );
}

function inWords(title: string, { lines, starts, frame, by, unit, valueKey }: ChartProps): string {
  const [line] = lines;
  if (!line) return `${title}: none.`;
  const most = line.places.reduce((best, next) => ((next.value ?? 0) > (best.value ?? 0) ? next : best));
  const name = by.length > 0 ? `most of ${labelText(line.text, by)}` : "most";
  const when = rangeText(most.start, frame.grainMs);
  return `${title}, ${starts.length} values: ${name} at ${when} with ${valueText(unit, most.value ?? 0, valueKey)}.`;
}
