/** One subject's timeline, and all that can be done with it. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { formatClock, formatCount, formatDay } from "../shell/format.ts";
import { Empty, Failed, Loading } from "../shell/states.tsx";
import { writeClipboard } from "../sql/clipboard.ts";
import { formatAddress, type Subject } from "./address.ts";
import { EventList } from "./event-list.tsx";
import { keyOf, type TimelineEvent } from "./events.ts";
import { KeysOverlay } from "./keys-overlay.tsx";
import { PastSearch } from "./past-search.tsx";
import { SubjectPanel } from "./subject-panel.tsx";
import { eventTicket, glanceTicket, type TicketContext } from "./ticket.ts";
import { itemsOf } from "./timeline-items.ts";
import { Toolbar } from "./toolbar.tsx";
import type { Go } from "./use-address.ts";
import { useKeys } from "./use-keys.ts";
import { useTimeline } from "./use-timeline.ts";

export interface TimelineViewProps {
  readonly subject: Subject;
  readonly at: string | undefined;
  /** Id of an event to open. */
  readonly eventId: string | undefined;
  readonly go: Go;
}

export function TimelineView({ subject, at, eventId, go }: TimelineViewProps) {
  const store = useTimeline(subject, at);
  const { events, held, busy, problem, ended, live, profile, device, sessions, loadedAt, tookMs, cut } = store.state;
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [cursor, setCursor] = useState<string | null>(null);
  const [copied, setCopied] = useState(false);
  const [keysShown, showKeys] = useState(false);
  const momentMs = at === undefined ? null : Date.parse(at);
  const items = useMemo(
    () => itemsOf(events, sessions, { ofUser: subject.kind === "user", momentMs }),
    [events, sessions],
  );

  const toggle = (key: string) => {
    const next = new Set(open);
    if (!next.delete(key)) next.add(key);
    setOpen(next);
  };
  useEffect(() => {
    const sought = eventId === undefined ? undefined : events.find((event) => event.event_id === eventId);
    if (!sought) return;
    setOpen(new Set([keyOf(sought)]));
    setCursor(keyOf(sought));
  }, [eventId, loadedAt]);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 2_000);
    return () => clearTimeout(timer);
  }, [copied]);

  const jump = (moment: string | undefined) => go({ subject, ...(moment !== undefined && { at: moment }) });
  const copy = (event: TimelineEvent | undefined) => {
    const address = event ? { subject, at: event.event_time, event: event.event_id } : { subject, ...(at && { at }) };
    const context: TicketContext = {
      subject,
      email: profile?.last_values["traits.email"]?.value,
      link: new URL(formatAddress(address), location.href).href,
    };
    const text = event ? eventTicket(event, events, context) : glanceTicket(events, context);
    void writeClipboard(text).then(() => setCopied(true));
  };
  const atCursor = cursor === null ? undefined : events.find((event) => keyOf(event) === cursor);
  const move = (by: 1 | -1) => {
    const now = events.findIndex((event) => keyOf(event) === cursor);
    const next = events[now < 0 ? 0 : now + by];
    if (next) setCursor(keyOf(next));
  };
  const moveSession = (by: 1 | -1) => {
    const heads = items.flatMap((item) => (item.kind === "session" ? keyOf(item.group.events[0]!) : []));
    const order = new Map(events.map((event, place) => [keyOf(event), place]));
    const now = order.get(cursor ?? "") ?? -1;
    const next = by > 0 ? heads.find((key) => order.get(key)! > now) : heads.findLast((key) => order.get(key)! < now);
    if (next) setCursor(next);
  };
  const toTop = () => {
    store.release();
    setCursor(null);
    (document.activeElement as HTMLElement | null)?.blur();
    window.scrollTo({ top: 0 });
  };
  useKeys({
    "/": () => document.getElementById("lookup")?.focus(),
    "?": () => showKeys(true),
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    n: () => moveSession(1),
    p: () => moveSession(-1),
    c: () => copy(atCursor),
    t: toTop,
    l: () => store.setLive(live === "off"),
    g: () => document.getElementById("jump")?.focus(),
    e: () => document.getElementById("export")?.click(),
  });

  if (problem && events.length === 0) return <Failed problem={problem} scope="support" retry={() => store.retry()} />;
  if (loadedAt === null) return <Loading what={store.isPast ? "from the lake" : "the timeline"} />;

  const isKnown = (profile?.events ?? 0) > 0 || (device?.users.length ?? 0) > 0 || events.length > 0;
  return (
    <div class={isKnown ? "found with-panel" : "found"}>
      <div class="timeline">
        <div class="timeline-bar">
          <h2 class="subject">
            <span class="quiet">{subject.kind === "user" ? "User" : "Device"}</span> {subject.id}
          </h2>
          <Toolbar
            subject={subject}
            at={at}
            live={live}
            copied={copied}
            onLive={(on) => store.setLive(on)}
            onJump={jump}
            onCopy={() => copy(atCursor)}
            onKeys={() => showKeys(true)}
          />
        </div>
        <p class="quiet count" role="status">
          {formatCount(events.length)}
          {!ended && "+"} {events.length === 1 ? "event" : "events"}
          {momentMs !== null && ` around ${formatDay(momentMs)}, ${formatClock(momentMs)}`}, answered in{" "}
          {Math.round(tookMs)} ms
        </p>
        {cut && (
          <p class="quiet">
            {subject.kind === "user"
              ? "Only the newest devices were looked at for what came before a sign-in."
              : "Only the newest users of this device are shown."}
          </p>
        )}
        {held > 0 && (
          <button type="button" class="primary held" onClick={toTop}>
            {formatCount(held)} newer {held === 1 ? "event" : "events"} ↑
          </button>
        )}
        {events.length === 0 && busy === null && <NoEvents subject={subject} isKnown={isKnown} at={at} jump={jump} />}
        {events.length > 0 && (
          <EventList
            items={items}
            open={open}
            withUsers={subject.kind === "device"}
            cursor={cursor}
            onToggle={toggle}
            onCursor={setCursor}
            onCopy={copy}
            onEnd={() => store.more()}
            onScrolled={(atTop) => store.setAtTop(atTop)}
          />
        )}
        {problem && <Failed problem={problem} scope="support" retry={() => store.more()} />}
        {!ended && !problem && (
          <button type="button" class="more" onClick={() => store.more()} disabled={busy !== null}>
            {busy === null ? "Load earlier events" : "Loading…"}
          </button>
        )}
        {subject.kind === "user" && <PastSearch store={store} />}
      </div>
      {isKnown && <SubjectPanel profile={profile} device={device} />}
      <KeysOverlay open={keysShown} onClose={() => showKeys(false)} />
    </div>
  );
}

interface NoEventsProps {
  readonly subject: Subject;
  readonly isKnown: boolean;
  readonly at: string | undefined;
  jump(at: string | undefined): void;
}

function NoEvents({ subject, isKnown, at, jump }: NoEventsProps) {
  if (at !== undefined) {
    return (
      <Empty title="Nothing before this moment">
        <p class="actions">
          <button type="button" onClick={() => jump(undefined)}>
            Back to now
          </button>
        </p>
      </Empty>
    );
  }
  return (
    <Empty title={isKnown ? "Nothing in the last 30 days" : `No events of this ${subject.kind}`}>
      <p>
        {isKnown
          ? "What is older is in the lake: look further back below."
          : "Ids are case-sensitive. If it clicks right now, its events appear here by themselves."}
      </p>
    </Empty>
  );
}
