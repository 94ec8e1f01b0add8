/** A session at a glance: when, how long, with what, from where, and by which page in and out. */
import { countryName, formatClock, formatCount, formatDay, formatDuration, formatMoney } from "../shell/format.ts";
import type { Session } from "./events.ts";
import type { SessionGroup } from "./timeline-items.ts";

export function SessionHead({ group, summary }: { group: SessionGroup; summary: Session | undefined }) {
  // The store's is of the user's own events; anonymous ones before the sign-in may reach further.
  const start = Math.min(group.start, summary ? Date.parse(summary.start) : group.start);
  const end = Math.max(group.end, summary ? Date.parse(summary.end) : group.end);
  const newest = group.events[0];
  const city = group.events.find((event) => event.city)?.city;
  const country = summary?.country ?? newest?.country;
  const count = Math.max(summary?.events ?? 0, group.events.length);
  const currency = group.events.find((event) => event.currency)?.currency ?? "";
  const devices = new Set(group.events.flatMap((event) => event.anonymous_id ?? [])).size;
  const place = [city, country && countryName(country)].filter(Boolean).join(", ");
  const facts = [
    formatDuration(end - start),
    `${formatCount(count)} ${count === 1 ? "event" : "events"}`,
    [newest?.browser, newest?.os].filter(Boolean).join(" on ") || summary?.device_type || newest?.device_type,
    devices > 1 && `${devices} devices`,
    place,
    summary && summary.revenue > 0 && formatMoney(summary.revenue, String(currency)),
  ].filter(Boolean);
  return (
    <header class="session-head">
      <h2>
        {formatDay(start)}, {formatClock(start)}
        {end > start && ` – ${formatClock(end)}`}
      </h2>
      <p class="quiet">{facts.join(" · ")}</p>
      {summary?.entry && (
        <p class="quiet route">
          {summary.referrer ? `from ${hostOf(summary.referrer)}, ` : ""}in at <code>{summary.entry}</code>
          {summary.exit && summary.exit !== summary.entry && (
            <>
              , out at <code>{summary.exit}</code>
            </>
          )}
        </p>
      )}
    </header>
  );
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}
