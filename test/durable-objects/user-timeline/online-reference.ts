/** What the online store must answer, computed the naive way from all events at once. */
import type { FeaturePlan } from "../../../durable-objects/user-timeline/feature-plan.ts";
import type { OnlineProfile } from "../../../durable-objects/user-timeline/profile-api.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";

const MINUTE = 60_000_000;
const WINDOWS = {
  "1h": { bucket: MINUTE, length: 60 * MINUTE },
  "24h": { bucket: 15 * MINUTE, length: 24 * 60 * MINUTE },
  "30d": { bucket: 360 * MINUTE, length: 30 * 24 * 60 * MINUTE },
} as const;

const timeOf = (event: EventRow) => Math.min(event.event_time, event.received_at);

/** @param now microseconds, no earlier than any was received */
export function windows(events: readonly EventRow[], plan: FeaturePlan, now: number): OnlineProfile["windows"] {
  const nameOf = ({ event_name: name }: EventRow) => (plan.counters?.includes(name) === false ? "(other)" : name);
  const entries = Object.entries(WINDOWS).map(([name, { bucket, length }]) => {
    const from = Math.floor((now - length) / bucket) * bucket;
    const within = events.filter((event) => timeOf(event) >= from);
    const counts = [...Map.groupBy(within, nameOf)].map(([event, group]) => [event, group.length] as const);
    const paid = within.filter(({ revenue }) => typeof revenue === "number");
    const revenue = [...Map.groupBy(paid, ({ currency }) => currency ?? "")].map(
      ([currency, group]) =>
        [currency, group.reduce((sum, one) => sum + Math.round(one.revenue! * 1e6), 0) / 1e6] as const,
    );
    return [
      name,
      { from, events: within.length, counts: Object.fromEntries(counts), revenue: Object.fromEntries(revenue) },
    ];
  });
  return Object.fromEntries(entries) as OnlineProfile["windows"];
}

export function lastAt(events: readonly EventRow[], plan: FeaturePlan): Record<string, number> {
  const named = events.filter(
    ({ event_name: name }) => name !== "(other)" && (!plan.counters || plan.counters.includes(name)),
  );
  return Object.fromEntries(
    [...Map.groupBy(named, ({ event_name: name }) => name)].map(([name, group]) => [
      name,
      Math.max(...group.map(timeOf)),
    ]),
  );
}

/** The values of chosen properties alone. */
export function properties(events: readonly EventRow[], plan: FeaturePlan): OnlineProfile["last_values"] {
  return Object.fromEntries(
    plan.properties.flatMap(({ property, event: name, as }) => {
      const values = events
        .filter(({ event_name }) => name === null || name === event_name)
        .flatMap(({ properties: some, event_time: at }) =>
          some && Object.hasOwn(some, property) ? [{ value: some[property]!.slice(0, 512), at }] : [],
        )
        .sort((a, b) => a.at - b.at || (a.value < b.value ? -1 : 1));
      return values.length > 0 ? [[`properties.${as}`, values.at(-1)!] as const] : [];
    }),
  );
}

/** First and last time at which an event said where the user came from. */
export function touchTimes(events: readonly EventRow[]): [number | undefined, number | undefined] {
  const told = events
    .filter(({ utm_source: source, referrer, page_host: host }) => {
      return source || (referrer && new URL(referrer).host !== host);
    })
    .map(({ event_time: at }) => at)
    .sort((a, b) => a - b);
  return [told[0], told.at(-1)];
}
