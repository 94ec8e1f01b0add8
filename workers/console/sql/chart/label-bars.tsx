/** Bars of labelled values, lying down: labels keep their length, on a phone too. */
import { formatShort } from "../../shell/format.ts";
import type { ChartData } from "./chart-data.ts";

export function LabelBars({ data }: { data: ChartData }) {
  const { labels, lines } = data;
  const most = Math.max(0, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0)));
  return (
    <ol class={lines.length > 1 ? "bars several" : "bars"}>
      {labels.map((label, at) => (
        <li key={label}>
          <span class="value" title={label}>
            {label}
          </span>
          <span class="parts">
            {lines.map(({ label: line, values }, number) => {
              const value = values[at] ?? null;
              const share = most > 0 && value !== null ? Math.max(0, value / most) : 0;
              return (
                <span class="part" key={line} title={`${line}: ${value ?? "none"}`}>
                  <span class={`bar-fill line-${number}`} style={{ width: `${100 * share}%` }} />
                  <span class="number">{value === null ? "–" : formatShort(value)}</span>
                </span>
              );
            })}
          </span>
        </li>
      ))}
    </ol>
  );
}
