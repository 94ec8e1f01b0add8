/** Events as the list shows them: a line for each, under a head for each session, with a mark at the moment sought. Pure. */
import { TIMELINE } from "../../../r2-layout/limits.ts";
import { keyOf, type Session, type TimelineEvent } from "./events.ts";

export interface SessionGroup {
  readonly key: string;
  /** Milliseconds, of the events that are loaded. */
  readonly start: number;
  readonly end: number;
  /** Newest first, as they came. */
  readonly events: readonly TimelineEvent[];
}

export type Item =
  | {
      readonly kind: "session";
      readonly key: string;
      readonly group: SessionGroup;
      readonly summary: Session | undefined;
    }
  | {
      readonly kind: "event";
      readonly key: string;
      readonly event: TimelineEvent;
      readonly isLast: boolean;
      readonly stitched: boolean;
    }
  | { readonly kind: "moment"; readonly key: string; readonly at: number };

/** The store's own rule. */
export const SESSION_GAP_MS = TIMELINE.sessionGapMs;

/**
 * Cuts events (newest first) where half an hour was silent: the store's own rule, whatever a sender calls its sessions,
 * because servers and apps send their part of a visit without its name.
 */
export function groupBySession(events: readonly TimelineEvent[]): SessionGroup[] {
  const groups: { key: string; start: number; end: number; events: TimelineEvent[] }[] = [];
  for (const event of events) {
    const at = Date.parse(event.event_time);
    let group = groups.at(-1);
    if (!group || group.start - at >= SESSION_GAP_MS) {
      group = { key: keyOf(event), start: at, end: at, events: [] };
      groups.push(group);
    }
    group.start = at;
    group.events.push(event);
  }
  return groups;
}

/** The store's summary of a group's session; it may reach further back than the events that are loaded. */
export function summaryOf(group: SessionGroup, sessions: readonly Session[]): Session | undefined {
  return sessions.find((session) => Date.parse(session.start) <= group.end && Date.parse(session.end) >= group.start);
}

/** @param momentMs where the mark goes: above the first event at or before it, if there is one yet */
export function itemsOf(
  events: readonly TimelineEvent[],
  sessions: readonly Session[],
  { ofUser, momentMs }: { ofUser: boolean; momentMs: number | null },
): Item[] {
  const items: Item[] = [];
  let marked = momentMs === null;
  const mark = () => {
    items.push({ kind: "moment", key: "moment", at: momentMs! });
    marked = true;
  };
  for (const group of groupBySession(events)) {
    if (!marked && group.end <= momentMs!) mark();
    // The oldest event's key would change as older ones are loaded, the newest one's as newer come: a session is known by its end.
    items.push({ kind: "session", key: `session ${group.key}`, group, summary: summaryOf(group, sessions) });
    for (const [at, event] of group.events.entries()) {
      if (!marked && Date.parse(event.event_time) <= momentMs!) mark();
      const stitched = ofUser && !event.user_id;
      items.push({ kind: "event", key: keyOf(event), event, isLast: at === group.events.length - 1, stitched });
    }
  }
  return items;
}
