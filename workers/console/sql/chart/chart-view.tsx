/** A quick chart of an answer: its shape and columns can be chosen. */
import type { ComponentType } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Empty, Loading } from "../../shell/states.tsx";
import { type Answer, type ChartChoice, columnKinds, firstChoice } from "./chart-choice.ts";
import { type ChartData, chartData } from "./chart-data.ts";
import { LabelBars } from "./label-bars.tsx";

export function ChartView({ answer }: { answer: Answer }) {
  const [choice, setChoice] = useState(() => firstChoice(answer));
  useEffect(() => setChoice(firstChoice(answer)), [answer]);
  const data = useMemo(() => choice && chartData(answer, choice), [answer, choice]);
  if (!choice || !data) {
    return (
      <Empty title="Nothing to draw">
        <p>
          A chart needs at least two rows, a column of numbers, and one to set them along: a time, a name or a number.
        </p>
      </Empty>
    );
  }
  return (
    <div class="chart-view">
      <ChartControls answer={answer} choice={choice} onChoice={setChoice} />
      {data.lines.length > 1 && (
        <ul class="chart-legend" aria-label="Lines">
          {data.lines.map(({ label }, number) => (
            <li key={label}>
              <span class={`swatch line-${number}`} aria-hidden="true" />
              {label}
            </li>
          ))}
        </ul>
      )}
      {data.lines.length === 0 || data.places.length === 0 ? (
        <Empty title="Nothing to draw">
          <p>The chosen columns have no values together.</p>
        </Empty>
      ) : data.axis === "label" && choice.shape === "bar" ? (
        <LabelBars data={data} />
      ) : (
        <LoadedLineChart data={data} shape={choice.shape} />
      )}
      {data.notes.length > 0 && <p class="quiet">{data.notes.join(" ")}</p>}
    </div>
  );
}

type LineChartProps = { data: ChartData; shape: ChartChoice["shape"] };
let lineChart: ComponentType<LineChartProps> | undefined;

/** uPlot is fetched with the first chart. */
function LoadedLineChart(props: LineChartProps) {
  const [, setLoaded] = useState(false);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    if (lineChart) return;
    import("./line-chart.tsx").then(
      (loaded) => {
        lineChart = loaded.default;
        setLoaded(true);
      },
      () => setFailed(true),
    );
  }, []);
  const Chart = lineChart;
  if (failed) return <Empty title="The chart could not be loaded" />;
  return Chart ? <Chart {...props} /> : <Loading what="the chart" />;
}

interface ControlsProps {
  answer: Answer;
  choice: ChartChoice;
  onChoice(choice: ChartChoice): void;
}

function ChartControls({ answer, choice, onChoice }: ControlsProps) {
  const kinds = useMemo(() => columnKinds(answer), [answer]);
  const columns = answer.columns.map(({ name }, index) => ({ name, index, kind: kinds[index]! }));
  const change = (part: Partial<ChartChoice>) => onChoice({ ...choice, ...part });
  const numbers = columns.filter(({ kind }) => kind === "number");
  return (
    <div class="chart-controls">
      <fieldset class="choice">
        <legend class="hidden">Shape</legend>
        {(["line", "bar"] as const).map((shape) => (
          <label key={shape}>
            <input type="radio" name="shape" checked={choice.shape === shape} onChange={() => change({ shape })} />
            {shape === "line" ? "Lines" : "Bars"}
          </label>
        ))}
      </fieldset>
      <label>
        Along
        <select value={choice.x} onChange={(event) => change({ x: Number(event.currentTarget.value) })}>
          {columns.map(({ name, index }) => (
            <option key={index} value={index}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label>
        Split by
        <select
          value={choice.split ?? ""}
          onChange={(event) => {
            const { value } = event.currentTarget;
            change(value === "" ? { split: null } : { split: Number(value), y: choice.y.slice(0, 1) });
          }}
        >
          <option value="">nothing</option>
          {columns
            .filter(({ index }) => index !== choice.x && !choice.y.includes(index))
            .map(({ name, index }) => (
              <option key={index} value={index}>
                {name}
              </option>
            ))}
        </select>
      </label>
      <fieldset class="chart-values">
        <legend class="hidden">Values</legend>
        <span class="heading" aria-hidden="true">
          Values
        </span>
        {numbers.map(({ name, index }) => (
          <label key={index}>
            <input
              type="checkbox"
              checked={choice.y.includes(index)}
              onChange={(event) => {
                const { checked } = event.currentTarget;
                if (choice.split !== null) return change({ y: [index] });
                const y = checked ? [...choice.y, index] : choice.y.filter((other) => other !== index);
                change({ y: y.length > 0 ? y.toSorted((a, b) => a - b) : choice.y });
              }}
            />
            {name}
          </label>
        ))}
      </fieldset>
    </div>
  );
}
