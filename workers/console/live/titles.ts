/** What a tile is called where nobody has named it, and how starts of its values are told. Pure. */
import type { DashboardTile, Span } from "../../../durable-objects/dashboards/dashboard.ts";
import { formatMinute } from "../shell/format.ts";
import type { Definition } from "./definitions.ts";
import { MINUTE_MS } from "./minutes.ts";

const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const CORE = { events: "Events", rate: "Events per second", users: "Users", revenue: "Revenue" } as const;
const LISTS: Readonly<Record<string, string>> = {
  page_path: "Pages",
  event_name: "Events",
  country: "Countries",
  device_type: "Devices",
};
export const SPAN_TEXT = { "60m": "last 60 minutes", "24h": "last 24 hours", "30d": "last 30 days" } as const;

export function titleOf(tile: DashboardTile, definition: Definition | null, span: Span, grainMs: number): string {
  if (tile.title !== "") return tile.title;
  const core = (CORE as Readonly<Record<string, string>>)[tile.metric];
  const name = core ?? definition?.name ?? "A rollup that is gone";
  const words = ` ${name.toLowerCase()} `;
  // Unless the name says it.
  const apart = tile.by && !words.includes(` ${fieldText(tile.by).toLowerCase()} `) ? ` by ${fieldText(tile.by)}` : "";
  switch (tile.view) {
    case "list":
      return core && tile.by && LISTS[tile.by] ? LISTS[tile.by]! : `${name}${apart}`;
    case "funnel":
      return `${name}, last hour`;
    case "chart":
      return tile.metric === "rate" ? name : `${name} per ${grainText(grainMs)}${apart}`;
    case "figure":
      if (tile.metric === "rate") return name;
      if (definition?.measure === "ratio") return name;
      if (tile.metric === "users" || definition?.measure === "distinct") {
        return `${name} ${runningText(grainMs)}`;
      }
      return `${name}, ${SPAN_TEXT[span]}`;
  }
}

/** `page_path` is a page path; `properties.plan` is plan. */
export const fieldText = (field: string): string => field.replace(/^properties\./, "").replaceAll("_", " ");

export function grainText(grainMs: number): string {
  if (grainMs === MINUTE_MS) return "minute";
  if (grainMs < HOUR_MS) return `${grainMs / MINUTE_MS} minutes`;
  return grainMs < DAY_MS ? "hour" : "day";
}

/** Days are of UTC. */
export function runningText(grainMs: number): string {
  if (grainMs >= DAY_MS) return "today";
  return grainMs === MINUTE_MS || grainMs === HOUR_MS ? `this ${grainText(grainMs)}` : `in these ${grainText(grainMs)}`;
}

/** Of a whole that is longer than the grain: an hour, or a day of UTC. */
export const sinceText = (since: number, grainMs: number): string =>
  grainMs < HOUR_MS ? formatMinute(since) : `${dayFormat.format(since)} (UTC)`;

const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });

export const startText = (start: number, grainMs: number): string =>
  grainMs >= DAY_MS ? dayFormat.format(start) : formatMinute(start);

export const rangeText = (start: number, grainMs: number): string =>
  grainMs >= DAY_MS ? `${dayFormat.format(start)} (UTC)` : `${formatMinute(start)} – ${formatMinute(start + grainMs)}`;
