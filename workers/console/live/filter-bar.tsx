/** What the dashboard is narrowed to: values of the event's name, its source, its country. */
import { useState } from "preact/hooks";
import {
  type DashboardFilter,
  FILTER_COLUMNS,
  type FilterColumn,
} from "../../../durable-objects/dashboards/dashboard.ts";
import { countryName } from "../shell/format.ts";
import type { LiveState } from "./minutes.ts";

const COLUMN_TEXT: Readonly<Record<FilterColumn, string>> = {
  event_name: "Event",
  source: "Source",
  country: "Country",
};

export interface FilterBarProps {
  filter: DashboardFilter;
  /** For what there is to choose from. */
  state: LiveState | null;
  onChange(filter: DashboardFilter): void;
}

export function FilterBar({ filter, state, onChange }: FilterBarProps) {
  const [column, setColumn] = useState<FilterColumn>("event_name");
  const [value, setValue] = useState("");
  const set = (of: FilterColumn, values: readonly string[]) => {
    const { [of]: _, ...rest } = filter;
    onChange(values.length > 0 ? { ...rest, [of]: values } : rest);
  };
  const add = (event: Event) => {
    event.preventDefault();
    const given = column === "country" ? value.trim().toUpperCase() : value.trim();
    const values = filter[column] ?? [];
    if (given !== "" && !values.includes(given)) set(column, [...values, given]);
    setValue("");
  };
  const chosen = FILTER_COLUMNS.flatMap((of) => (filter[of] ?? []).map((one) => [of, one] as const));
  return (
    <form class="filter-bar" aria-label="Filter" onSubmit={add}>
      <select
        aria-label="Filter by"
        value={column}
        onChange={(event) => setColumn(event.currentTarget.value as FilterColumn)}
      >
        {FILTER_COLUMNS.map((of) => (
          <option key={of} value={of}>
            {COLUMN_TEXT[of]}
          </option>
        ))}
      </select>
      <input
        aria-label="Value"
        list="filter-values"
        value={value}
        placeholder={column === "country" ? "DE" : column === "source" ? "web" : "Order Completed"}
        maxLength={256}
        onInput={(event) => setValue(event.currentTarget.value)}
      />
      <datalist id="filter-values">
        {seen(state, column).map((one) => (
          <option key={one} value={one}>
            {column === "country" ? countryName(one) : one}
          </option>
        ))}
      </datalist>
      <button type="submit" disabled={value.trim() === ""}>
        Only this
      </button>
      <ul>
        {chosen.map(([of, one]) => (
          <li key={`${of} ${one}`}>
            {COLUMN_TEXT[of]}: <strong>{of === "country" ? countryName(one) : one}</strong>
            <button
              type="button"
              class="plain"
              aria-label={`Without ${COLUMN_TEXT[of]} ${one}`}
              onClick={() =>
                set(
                  of,
                  filter[of]!.filter((other) => other !== one),
                )
              }
            >
              ×
            </button>
          </li>
        ))}
      </ul>
    </form>
  );
}

/** Values of the last hour. */
function seen(state: LiveState | null, column: FilterColumn): string[] {
  if (column === "source" || !state) return [];
  return [...new Set([...state.minutes.values()].flatMap((minute) => minute[column].map(([value]) => value)))].sort();
}
