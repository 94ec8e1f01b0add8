/** The events of one session, newest first; an event opens to show all that is known of it. */
import { useState } from "preact/hooks";
import { countryName, formatClock, formatCount, formatDay, formatDuration, formatMoney } from "../shell/format.ts";
import {
  detailsOf,
  eventHint,
  lookupQuery,
  type Session,
  type SessionGroup,
  type TimelineEvent,
} from "./timeline-data.ts";

export interface SessionTimelineProps {
  group: SessionGroup;
  /** The whole session as the store sums it up: more events than are loaded, perhaps. */
  summary: Session | undefined;
  minutes: number;
}

export function SessionTimeline({ group, summary, minutes }: SessionTimelineProps) {
  const start = summary ? Date.parse(summary.start) : group.start;
  const end = summary ? Date.parse(summary.end) : group.end;
  const newest = group.events[0];
  const country = summary?.country ?? newest?.country;
  const count = Math.max(summary?.events ?? 0, group.events.length);
  const currency = group.events.find((event) => event.currency)?.currency ?? "";
  const devices = new Set(group.events.map((event) => event.anonymous_id)).size;
  const facts = [
    formatDuration(end - start),
    `${formatCount(count)} ${count === 1 ? "event" : "events"}`,
    [newest?.browser, newest?.os].filter(Boolean).join(" on ") || summary?.device_type || newest?.device_type,
    devices > 1 && `${devices} devices`,
    country && countryName(country),
    summary && summary.revenue > 0 && formatMoney(summary.revenue, currency),
  ].filter(Boolean);
  return (
    <section class="card session" aria-label={`Session of ${formatDay(start)}, ${formatClock(start)}`}>
      <header>
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
      <ol>
        {group.events.map((event) => (
          <EventItem key={event.event_id} event={event} minutes={minutes} />
        ))}
      </ol>
    </section>
  );
}

function EventItem({ event, minutes }: { event: TimelineEvent; minutes: number }) {
  const [isOpen, setOpen] = useState(false);
  const at = Date.parse(event.event_time);
  const money = typeof event.revenue === "number" && formatMoney(event.revenue, event.currency ?? "");
  return (
    <li>
      <button type="button" class="event" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <time dateTime={event.event_time} title={event.event_time}>
          {formatClock(at)}
        </time>
        <span class={`kind ${event.event_type}`}>{event.event_name}</span>
        <span class="hint">{eventHint(event)}</span>
        {money && <span class="money">{money}</span>}
      </button>
      {isOpen && <EventDetails event={event} minutes={minutes} />}
    </li>
  );
}

function EventDetails({ event, minutes }: { event: TimelineEvent; minutes: number }) {
  const properties = Object.entries(event.properties ?? {});
  return (
    <div class="details">
      {properties.length > 0 && (
        <>
          <h3>{event.event_type === "identify" || event.event_type === "group" ? "Traits" : "Properties"}</h3>
          <Facts facts={properties} />
        </>
      )}
      <h3>Event</h3>
      <Facts
        facts={detailsOf(event)}
        link={(name, value) =>
          name === "user_id"
            ? lookupQuery({ kind: "user", id: value, minutes })
            : name === "anonymous_id"
              ? lookupQuery({ kind: "device", id: value, minutes })
              : null
        }
      />
    </div>
  );
}

function Facts({
  facts,
  link,
}: {
  facts: readonly (readonly [string, string])[];
  link?: (name: string, value: string) => string | null;
}) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => {
        const href = link?.(name, value);
        return (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{href ? <a href={href}>{value}</a> : value}</dd>
          </div>
        );
      })}
    </dl>
  );
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}
