/** The largest values of one dimension, with a bar behind each for its share of the largest. */
import { formatShare } from "../shell/format.ts";
import type { Ranked } from "./points.ts";
import { labelText, type Shown, valueText } from "./values.ts";

export interface TopListProps {
  values: readonly Ranked[];
  fields: readonly string[];
  unit: Shown;
  /** Of all values, for the share; null where they do not add up. */
  total: number | null;
  /** Of what time, where it is another than the dashboard's. */
  note: string | null;
}

export function TopList({ values, fields, unit, total, note }: TopListProps) {
  const largest = values[0]?.value ?? 0;
  if (values.length === 0) return <p class="quiet">None in this time.</p>;
  return (
    <>
      <ol class="top-list">
        {values.map(({ key, text, value }) => (
          <li key={text} style={{ "--share": `${(100 * Math.max(0, value)) / largest}%` }}>
            <span class="value" title={text}>
              {text === "" ? "(none)" : labelText(text, fields)}
            </span>
            <span class="number">{valueText(unit, value, key)}</span>
            {total !== null && <span class="number quiet">{total > 0 ? formatShare(value / total) : ""}</span>}
          </li>
        ))}
      </ol>
      {note && <p class="quiet">{note}</p>}
    </>
  );
}
