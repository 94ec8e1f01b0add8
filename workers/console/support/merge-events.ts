/** Lists of events that were read at different times, as one: newest first, each once. Pure. */
import { keyOf, microsOf, type TimelineEvent } from "./events.ts";

/** Older pages are put below; what was there already stays as it is. */
export function below(events: readonly TimelineEvent[], older: readonly TimelineEvent[]): readonly TimelineEvent[] {
  const known = new Set(events.map(keyOf));
  const fresh = older.filter((event) => !known.has(keyOf(event)));
  return fresh.length === 0 ? events : [...events, ...fresh];
}

export interface Newer {
  readonly events: readonly TimelineEvent[];
  /** How many of the page were not known. */
  readonly fresh: number;
  /** Between the page and what is known may be others: the page has no event in common with it, and is not the last. */
  readonly gap: boolean;
}

/**
 * The newest page, put over what is known. Its events are the newest version of each, and one that came late stands in its
 * place: so the whole is sorted where the page brought anything.
 */
export function above(events: readonly TimelineEvent[], page: readonly TimelineEvent[], isLast: boolean): Newer {
  const known = new Map(events.map((event) => [keyOf(event), event]));
  const fresh = page.filter((event) => !known.has(keyOf(event)));
  if (fresh.length === 0) return { events, fresh: 0, gap: false };
  const gap = !isLast && events.length > 0 && fresh.length === page.length;
  const all = [...fresh, ...events].sort(newestFirst);
  return { events: all, fresh: fresh.length, gap };
}

function newestFirst(a: TimelineEvent, b: TimelineEvent): number {
  return microsOf(b.event_time) - microsOf(a.event_time) || (keyOf(a) < keyOf(b) ? 1 : -1);
}
