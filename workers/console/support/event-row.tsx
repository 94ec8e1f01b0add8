/** One event: a line, and all that is known of it when it is opened. */
import { useEffect, useRef } from "preact/hooks";
import { formatClock, formatMoney } from "../shell/format.ts";
import { formatAddress } from "./address.ts";
import { detailsOf, eventHint, type TimelineEvent } from "./events.ts";

export interface EventRowProps {
  readonly event: TimelineEvent;
  /** Sent by one of the user's devices before they signed in. */
  readonly stitched: boolean;
  /** On a device: whose it is; null on a user's own timeline. */
  readonly who: string | null;
  readonly isOpen: boolean;
  readonly isCursor: boolean;
  onToggle(): void;
  onFocus(): void;
  onCopy(): void;
}

export function EventRow({ event, stitched, who, isOpen, isCursor, onToggle, onFocus, onCopy }: EventRowProps) {
  const button = useRef<HTMLButtonElement>(null);
  /** The focus follows the cursor here, and must not lead it: two keys at once would have two rows pull at it for ever. */
  const follows = useRef(false);
  useEffect(() => {
    if (!isCursor || document.activeElement === button.current) return;
    follows.current = true;
    button.current?.focus({ preventScroll: true });
    follows.current = false;
  }, [isCursor]);
  const at = Date.parse(event.event_time);
  const money = typeof event.revenue === "number" && formatMoney(event.revenue, String(event.currency ?? ""));
  return (
    <>
      <button
        ref={button}
        type="button"
        class="event"
        aria-expanded={isOpen}
        onClick={onToggle}
        onFocus={() => follows.current || onFocus()}
      >
        <time dateTime={event.event_time} title={event.event_time}>
          {formatClock(at)}
        </time>
        <span class={`kind ${event.event_type}`}>{event.event_name}</span>
        <span class="hint">{eventHint(event)}</span>
        {stitched && (
          <span class="before" title="Sent by this device before the user signed in on it">
            before sign-in
          </span>
        )}
        {who && <span class="who">{who}</span>}
        {money && <span class="money">{money}</span>}
      </button>
      {isOpen && <EventDetails event={event} onCopy={onCopy} />}
    </>
  );
}

function EventDetails({ event, onCopy }: { event: TimelineEvent; onCopy(): void }) {
  const properties = Object.entries(event.properties ?? {});
  const isTraits = event.event_type === "identify" || event.event_type === "group";
  return (
    <div class="details">
      <div class="title">
        <h3>{properties.length > 0 ? (isTraits ? "Traits" : "Properties") : "No properties"}</h3>
        <button type="button" onClick={onCopy}>
          Copy for the ticket
        </button>
      </div>
      {properties.length > 0 && <Facts facts={properties} />}
      <h3>Event</h3>
      <Facts
        facts={detailsOf(event)}
        link={(name, value) =>
          name === "user_id"
            ? formatAddress({ subject: { kind: "user", id: value }, at: event.event_time })
            : name === "anonymous_id"
              ? formatAddress({ subject: { kind: "device", id: value }, at: event.event_time })
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
