/** What a timeline must answer, computed the naive way from all events at once. */
import type { Profile, SessionSummary } from "../../../durable-objects/user-timeline/api.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { TIMELINE } from "../../../r2-layout/limits.ts";
import { dayOf } from "../../../r2-layout/time.ts";

const by =
  <T>(...keys: ((value: T) => string | number)[]) =>
  (a: T, b: T): number => {
    for (const key of keys) if (key(a) !== key(b)) return key(a) < key(b) ? -1 : 1;
    return 0;
  };

/** As an answer carries it: without columns that have no value. */
export const present = (event: EventRow): EventRow =>
  Object.fromEntries(Object.entries(event).filter(([, value]) => value !== null && value !== undefined)) as EventRow;

export function newestFirst(events: readonly EventRow[]): EventRow[] {
  const order = by<EventRow>(
    (event) => event.event_time,
    (event) => event.event_id,
    (event) => event.source,
  );
  return [...events].sort(order).reverse().map(present);
}

/** Newest first. */
export function sessions(events: readonly EventRow[]): Omit<SessionSummary, "id">[] {
  const groups: EventRow[][] = [];
  for (const event of [...events].sort(by((one) => one.event_time))) {
    const last = groups.at(-1);
    const silentMs = last ? (event.event_time - last.at(-1)!.event_time) / 1_000 : Number.POSITIVE_INFINITY;
    if (silentMs < TIMELINE.sessionGapMs) last!.push(event);
    else groups.push([event]);
  }
  return groups.map(summary).reverse();
}

function summary(events: readonly EventRow[]): Omit<SessionSummary, "id"> {
  /** The first by time, then by text; the last is its mirror. */
  const ordered = (value: (event: EventRow) => string | null | undefined, some = events) =>
    some
      .flatMap((event) => {
        const text = value(event);
        return text ? [{ at: event.event_time, text }] : [];
      })
      .sort(
        by(
          ({ at }) => at,
          ({ text }) => text,
        ),
      )
      .map(({ text }) => text);
  const pages = events.filter(({ event_type }) => event_type === "page" || event_type === "screen");
  const places = ordered((event) => event.page_path ?? event.properties?.name, pages);
  return {
    start: Math.min(...events.map((event) => event.event_time)),
    end: Math.max(...events.map((event) => event.event_time)),
    events: events.length,
    pages: pages.length,
    entry: places[0] ?? null,
    exit: places.at(-1) ?? null,
    referrer: ordered((event) => event.referrer)[0] ?? null,
    device_type: ordered((event) => event.device_type)[0] ?? null,
    country: ordered((event) => event.country)[0] ?? null,
    revenue: money(events),
  };
}

const money = (events: readonly EventRow[]): number =>
  events.reduce((sum, { revenue }) => sum + Math.round((revenue ?? 0) * 1e6), 0) / 1e6;

export function profile(events: readonly EventRow[]): Profile {
  const grouped = (key: (event: EventRow) => string | null, some = events) =>
    [...Map.groupBy(some, key)].flatMap(([name, group]) => (name === null ? [] : [[name, group] as const]));
  const lastValue = (value: (event: EventRow) => string | null | undefined) =>
    events
      .flatMap((event) => {
        const text = value(event);
        return typeof text === "string" ? [{ value: text, at: event.event_time }] : [];
      })
      .sort(
        by(
          (one) => one.at,
          (one) => one.value,
        ),
      )
      .at(-1);
  const trait = (name: string) =>
    lastValue((event) =>
      event.event_type === "identify" && Object.hasOwn(event.properties ?? {}, name)
        ? cut(event.properties?.[name])
        : null,
    );
  const devices = grouped((event) => event.anonymous_id ?? null).map(([anonymous_id, group]) => ({
    anonymous_id,
    last_seen: Math.max(...group.map((event) => event.event_time)),
    device_type:
      group
        .filter((event) => event.device_type)
        .sort(
          by(
            (event) => event.event_time,
            (event) => event.device_type!,
          ),
        )
        .at(-1)?.device_type ?? null,
  }));
  const paid = events.filter(({ revenue }) => typeof revenue === "number");
  const values = {
    country: lastValue((event) => event.country),
    device_type: lastValue((event) => event.device_type),
    page_path: lastValue((event) => event.page_path),
    "traits.plan": trait("plan"),
    "traits.name": trait("name"),
    "traits.pad": trait("pad"),
    "traits.__proto__": trait("__proto__"),
  };
  return {
    first_seen: Math.min(...events.map((event) => event.event_time)),
    last_seen: Math.max(...events.map((event) => event.event_time)),
    events: events.length,
    counts: Object.fromEntries(grouped((event) => event.event_name).map(([name, group]) => [name, group.length])),
    revenue: Object.fromEntries(
      grouped((event) => event.currency ?? "", paid).map(([name, group]) => [name, money(group)]),
    ),
    last_values: Object.fromEntries(
      Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
    devices: devices.sort(
      by(
        (one) => -one.last_seen,
        (one) => one.anonymous_id,
      ),
    ),
    active_days: [...new Set(events.map((event) => dayOf(event.event_time)))].sort(),
  };
}

const cut = (text: string | undefined) => text?.slice(0, TIMELINE.valueChars);
