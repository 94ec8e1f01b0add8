/** Which dashboard, of how long, for whom: and what can be done with it. */
import { useEffect, useState } from "preact/hooks";
import { SPANS, type Span } from "../../../durable-objects/dashboards/dashboard.ts";
import { OVERVIEW, OVERVIEW_ID } from "./overview.ts";
import type { DashboardEntry } from "./use-dashboard.ts";

const SPAN_TEXT: Readonly<Record<Span, string>> = { "60m": "60 minutes", "24h": "24 hours", "30d": "30 days" };

export interface ToolbarProps {
  id: string;
  name: string;
  list: readonly DashboardEntry[];
  span: Span;
  isFiltering: boolean;
  /** Null while nothing is edited; whether there is something to be saved. */
  onDashboard(id: string): void;
  onSpan(span: Span): void;
  onFilter(): void;
  onEdit(): void;
  onWall(): void;
}

export function Toolbar({ id, name, list, span, isFiltering, ...on }: ToolbarProps) {
  const others = list.filter((entry) => entry.id !== OVERVIEW_ID);
  const overview = list.find((entry) => entry.id === OVERVIEW_ID)?.name ?? OVERVIEW.name;
  const isListed = id === OVERVIEW_ID || others.some((entry) => entry.id === id);
  return (
    <div class="toolbar">
      <select
        aria-label="Dashboard"
        class="dashboards"
        value={id}
        onChange={(event) => on.onDashboard(event.currentTarget.value)}
      >
        <option value={OVERVIEW_ID}>{overview}</option>
        {others.map((entry) => (
          <option key={entry.id} value={entry.id}>
            {entry.name}
          </option>
        ))}
        {!isListed && <option value={id}>{name}</option>}
      </select>
      <fieldset class="choice">
        <legend class="hidden">Time that is shown</legend>
        {SPANS.map((one) => (
          <label key={one}>
            <input type="radio" name="span" checked={span === one} onChange={() => on.onSpan(one)} />
            {SPAN_TEXT[one]}
          </label>
        ))}
      </fieldset>
      <div class="tools">
        <button type="button" aria-expanded={isFiltering} onClick={on.onFilter}>
          Filter
        </button>
        <button type="button" onClick={on.onEdit}>
          Edit
        </button>
        <CopyLink />
        <button type="button" onClick={on.onWall}>
          Full screen
        </button>
      </div>
    </div>
  );
}

/** The address says all: dashboard, time and filter. */
function CopyLink() {
  const [said, say] = useState<string | null>(null);
  useEffect(() => {
    if (said === null) return;
    const timer = setTimeout(() => say(null), 2_000);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      say("Copied");
    } catch {
      say("Copy it from the address bar");
    }
  };
  return (
    <button type="button" aria-live="polite" onClick={() => void copy()}>
      {said ?? "Copy link"}
    </button>
  );
}
