/**
 * Where a user came from: the first and the last event that say so, by event_time. An event says so that has a campaign
 * (any utm column), or a referrer of another host than its page's; whoever comes back by typing the address changes nothing
 * ("last non-direct touch"). Of two of the same time the smaller text is the first, the greater the last, because the order
 * of the log must not decide. Folding an event in twice changes nothing.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { TIMELINE } from "../../r2-layout/limits.ts";

const CAMPAIGN = ["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"] as const;
const COLUMNS = [...CAMPAIGN, "referrer", "page_host", "page_path"] as const satisfies readonly (keyof EventRow)[];

export interface Touch {
  /** event_time, microseconds. */
  readonly at: number;
  /** By column, those that the event has. */
  readonly columns: Readonly<Partial<Record<(typeof COLUMNS)[number], string>>>;
}

export class Touches {
  #first: Touch | null;
  #last: Touch | null;

  constructor(first: Touch | null = null, last: Touch | null = null) {
    this.#first = first;
    this.#last = last;
  }

  get first(): Touch | null {
    return this.#first;
  }

  get last(): Touch | null {
    return this.#last;
  }

  fold(event: EventRow): void {
    const at = event.event_time;
    // Looked at only where it may be one of the two: a referrer has to be parsed.
    if (this.#first && this.#last && at > this.#first.at && at < this.#last.at) return;
    if (saysWhence(event)) this.#offer(touchOf(event));
  }

  join({ first, last }: Touches): void {
    if (first) this.#offer(first);
    if (last) this.#offer(last);
  }

  #offer(touch: Touch): void {
    if (!this.#first || compare(touch, this.#first) < 0) this.#first = touch;
    if (!this.#last || compare(touch, this.#last) > 0) this.#last = touch;
  }
}

function saysWhence(event: EventRow): boolean {
  if (CAMPAIGN.some((column) => event[column])) return true;
  if (!event.referrer) return false;
  const from = URL.parse(event.referrer);
  return from !== null && from.host !== "" && from.host !== event.page_host;
}

function touchOf(event: EventRow): Touch {
  const columns: Record<string, string> = {};
  for (const column of COLUMNS) {
    const text = event[column];
    if (text) columns[column] = text.slice(0, TIMELINE.valueChars).toWellFormed();
  }
  return { at: event.event_time, columns };
}

function compare(a: Touch, b: Touch): number {
  if (a.at !== b.at) return a.at - b.at;
  const [one, other] = [JSON.stringify(a.columns), JSON.stringify(b.columns)];
  return one < other ? -1 : one > other ? 1 : 0;
}
