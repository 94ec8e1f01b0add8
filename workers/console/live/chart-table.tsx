/** The figures of a chart for those who do not see it, newest first. Made while it is open only: charts are drawn each second. */
import { useState } from "preact/hooks";
import { Scroll } from "../shell/scroll.tsx";
import type { ChartProps } from "./chart.tsx";
import { changeText } from "./corrections.ts";
import { rangeText } from "./titles.ts";
import { labelText, valueText } from "./values.ts";

export function ChartTable({ title, lines, starts, frame, by, unit, valueKey, changes }: ChartProps) {
  const [isOpen, setOpen] = useState(false);
  const isBars = by.length === 0;
  return (
    <details class="chart-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>The same as a table</summary>
      <Scroll label={`${title}, as a table`}>
        <table>
          <thead>
            <tr>
              <th>Time</th>
              {lines.map(({ text }) => (
                <th key={text} class="number">
                  {isBars ? "Value" : labelText(text, by)}
                </th>
              ))}
              <th>State</th>
            </tr>
          </thead>
          <tbody>
            {(isOpen ? starts : []).map((_, i) => {
              const row = starts.length - 1 - i;
              const start = starts[row]!;
              const here = lines.map(({ places }) => places[row]!);
              const version = Math.max(1, ...here.map((one) => one.version));
              const state = here.find((one) => one.state !== null)?.state;
              return (
                <tr key={start}>
                  <td>{rangeText(start, frame.grainMs)}</td>
                  {here.map((one, line) => (
                    <td key={lines[line]!.text} class="number">
                      {valueText(unit, one.value ?? 0, valueKey)}
                    </td>
                  ))}
                  <td>
                    {state ?? "nothing"}
                    {version > 1 && <span class="corrected"> · corrected: version {version}</span>}
                    {version > 1 &&
                      changes.get(start)?.map((change) => (
                        <span key={`${change.at} ${change.version} ${change.events}`} class="change">
                          {changeText(change)}
                        </span>
                      ))}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </Scroll>
    </details>
  );
}
