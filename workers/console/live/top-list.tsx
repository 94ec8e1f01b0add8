/** The largest values of one dimension, with a bar behind each for its share of the largest. */
import { formatCount, formatShare } from "../shell/format.ts";

export interface TopListProps {
  title: string;
  values: readonly (readonly [value: string, events: number])[];
  /** All events, for the share. */
  total: number;
  label?: (value: string) => string;
}

export function TopList({ title, values, total, label = (value) => value }: TopListProps) {
  const largest = values[0]?.[1] ?? 0;
  return (
    <section class="card top-list">
      <h2>{title}</h2>
      {values.length === 0 ? (
        <p class="quiet">None in this time.</p>
      ) : (
        <ol>
          {values.map(([value, events]) => (
            <li key={value} style={{ "--share": `${(100 * events) / largest}%` }}>
              <span class="value" title={value}>
                {value === "" ? "(none)" : label(value)}
              </span>
              <span class="number">{formatCount(events)}</span>
              <span class="number quiet">{total > 0 ? formatShare(events / total) : ""}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
