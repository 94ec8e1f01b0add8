/**
 * The events, newest first, under the head of their session. Only what is in sight is in the document, so a hundred
 * thousand scroll as ten do; a reader of screens is told of how many each is one.
 */
import { useEffect, useRef } from "preact/hooks";
import { formatClock, formatDay } from "../shell/format.ts";
import { EventRow } from "./event-row.tsx";
import type { TimelineEvent } from "./events.ts";
import { SessionHead } from "./session-head.tsx";
import type { Item } from "./timeline-items.ts";
import { useWindowList } from "./use-window-list.ts";

export interface EventListProps {
  readonly items: readonly Item[];
  readonly open: ReadonlySet<string>;
  /** Whether each event says whose it is: on a device that several share. */
  readonly withUsers: boolean;
  /** Key of the event that keys act on. */
  readonly cursor: string | null;
  onToggle(key: string): void;
  onCursor(key: string): void;
  onCopy(event: TimelineEvent): void;
  onEnd(): void;
  onScrolled(atTop: boolean): void;
}

/** Where the list is so far down that the next page is wanted. */
const NEAR_END_ITEMS = 40;
/** Above this the newest events are in sight. */
const TOP_PX = 240;

export function EventList({
  items,
  open,
  withUsers,
  cursor,
  onToggle,
  onCursor,
  onCopy,
  onEnd,
  onScrolled,
}: EventListProps) {
  const list = useRef<HTMLDivElement>(null);
  const cursorAt = cursor === null ? -1 : items.findIndex(({ key }) => key === cursor);
  const {
    items: seen,
    heightPx,
    marginPx,
    measure,
    scrollTo,
  } = useWindowList(list, {
    count: items.length,
    keyOf: (index) => items[index]!.key,
    estimatePx: (index) => estimatePx(items[index]!),
    keep: cursorAt < 0 ? null : cursorAt,
  });

  useEffect(() => {
    if (cursorAt >= 0) scrollTo(cursorAt, "auto");
  }, [cursor]);
  const moment = items.findIndex(({ kind }) => kind === "moment");
  useEffect(() => {
    if (moment > 0 && cursor === null) scrollTo(moment, "center");
  }, [moment >= 0]);

  const last = seen.at(-1)?.index ?? 0;
  useEffect(() => {
    if (items.length > 0 && last >= items.length - NEAR_END_ITEMS) onEnd();
  }, [last, items.length]);
  useEffect(() => {
    const scrolled = () => onScrolled(window.scrollY < TOP_PX);
    addEventListener("scroll", scrolled, { passive: true });
    return () => removeEventListener("scroll", scrolled);
  }, []);

  return (
    // biome-ignore lint/a11y/useSemanticElements: an <ol> whose items are partly absent would count wrongly.
    <div ref={list} role="list" aria-label="Events, newest first" class="events" style={{ height: `${heightPx}px` }}>
      {seen.map(({ index, key, start }) => {
        const item = items[index];
        if (!item) return null;
        return (
          // biome-ignore lint/a11y/useSemanticElements: as above.
          <div
            key={key}
            ref={measure}
            role="listitem"
            aria-setsize={items.length}
            aria-posinset={index + 1}
            data-index={index}
            class={`item item-${item.kind}${item.kind === "event" && item.isLast ? " last" : ""}`}
            style={{ transform: `translateY(${start - marginPx}px)` }}
          >
            {item.kind === "session" && <SessionHead group={item.group} summary={item.summary} />}
            {item.kind === "moment" && (
              <p class="moment-mark">
                {formatDay(item.at)}, {formatClock(item.at)}
              </p>
            )}
            {item.kind === "event" && (
              <EventRow
                event={item.event}
                stitched={item.stitched}
                who={withUsers ? (item.event.user_id ?? "not signed in") : null}
                isOpen={open.has(item.key)}
                isCursor={item.key === cursor}
                onToggle={() => onToggle(item.key)}
                onFocus={() => onCursor(item.key)}
                onCopy={() => onCopy(item.event)}
              />
            )}
          </div>
        );
      })}
    </div>
  );
}

const estimatePx = ({ kind }: Item): number => (kind === "session" ? 100 : kind === "moment" ? 40 : 37);
