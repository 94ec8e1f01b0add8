/**
 * A subject's timeline over SQLite: one `head` row with the state and the newest events, and closed chunks. A flush is
 * one row written, the head; only when the head's events exceed `TIMELINE.rowBytes` do chunks change.
 *
 * Everything here is synchronous, so that one transaction holds an append. The fields are a cache of the rows: after
 * a transaction that failed, throw this object away and make another.
 */
import { DAY_MS, TIMELINE } from "../../r2-layout/limits.ts";
import { DAY_US, MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { EventsPage, EventsRequest, Profile, SessionSummary, Subject, TimelineAppend } from "./api.ts";
import { ChunkStore, hasTable } from "./chunk-store.ts";
import { readPage } from "./events-page.ts";
import type { KnownUser } from "./known-users.ts";
import type { SessionPart } from "./session-rule.ts";
import { joinSessions, SESSION_GAP_US, sessionsOf, summarize } from "./session-rule.ts";
import type { EncodedState } from "./subject-state.ts";
import { EMPTY_PROFILE, SubjectState } from "./subject-state.ts";
import type { Entry } from "./timeline-entry.ts";
import { entryOf, entryOfLine, oldestFirst, sizeOf } from "./timeline-entry.ts";

/** What a timeline keeps at most; tests keep less. */
type Kept = Readonly<Record<"eventsKept" | "bytesKept" | "daysKept", number>>;

type EncodedHead = EncodedState & {
  /** Sessions whose events have expired, at most `TIMELINE.sessionsInHead`. */
  readonly pastSessions: readonly SessionPart[];
};

export class Timeline {
  readonly #sql: SqlStorage;
  readonly #kept: Kept;
  readonly #chunks: ChunkStore;
  /** Null before the first append. */
  #state: SubjectState | null = null;
  #pastSessions: SessionPart[] = [];
  /** The head's events, in no order. */
  #open: Entry[] = [];

  constructor(sql: SqlStorage, kept: Kept = TIMELINE) {
    this.#sql = sql;
    this.#kept = kept;
    this.#chunks = new ChunkStore(sql);
    if (!hasTable(sql, "head")) return;
    const head = sql.exec<{ state: string; events: string }>("SELECT state, events FROM head").toArray()[0];
    if (!head) return;
    const encoded = JSON.parse(head.state) as EncodedHead;
    this.#state = new SubjectState(encoded.subject, encoded);
    this.#pastSessions = [...encoded.pastSessions];
    this.#open = head.events === "" ? [] : head.events.split("\n").map(entryOfLine);
  }

  /** As `UserTimelineApi.append` says. @param nowMs only for how long ago devices were pointed at */
  append(append: TimelineAppend, nowMs: number): { pointers: string[] } {
    const state = this.#state ?? this.#create(append.subject);
    const { shard } = append;
    const pointers = new Set<string>();
    const fresh: Entry[] = [];
    for (const event of append.events) {
      if (!state.isApplied(shard, event.log_seq)) fresh.push(entryOf(event));
      else if (event.anonymous_id && append.subject.kind === "user") pointers.add(event.anonymous_id);
    }
    for (const { event } of fresh) {
      const device = state.fold(event, nowMs);
      if (device) pointers.add(device);
    }
    // By what came, not by `to`: a call without events can then never hide events that come after it.
    for (const { event } of fresh) state.reached(shard, event.log_seq);
    const users = (append.users ?? []).filter((user) => state.users.fold(user));
    if (fresh.length === 0 && users.length === 0) return { pointers: [...pointers] };
    this.#state = state;
    this.#open.push(...fresh);
    if (sizeOf(this.#open) > TIMELINE.rowBytes) {
      this.#open = this.#chunks.settle(this.#open.sort(oldestFirst));
      this.#dropBeyondLimits();
    }
    this.#writeHead(state);
    return { pointers: [...pointers] };
  }

  events(request: EventsRequest): EventsPage {
    return readPage(this.#chunks, this.#open, request);
  }

  /** Newest first. */
  sessions(limit: number): SessionSummary[] {
    const { subject } = this.#state ?? {};
    if (!subject) return [];
    const wanted = Math.min(Math.max(1, Math.floor(limit)), TIMELINE.sessionsPerAnswer);
    return this.#newestSessions(wanted).map((part) => summarize(subject, part));
  }

  profile(): Profile {
    return this.#state?.profile() ?? EMPTY_PROFILE;
  }

  users(): { users: KnownUser[]; cut: boolean } {
    return this.#state?.users.list() ?? { users: [], cut: false };
  }

  /**
   * Drops what was received more than `TIMELINE.daysKept` days ago. Age goes by received_at, not by event_time: an import of
   * old history is not history to delete. @returns when to come again, milliseconds; null when no event is left
   */
  expire(nowMs: number): number | null {
    const keptUs = this.#kept.daysKept * DAY_US;
    const cutoff = nowMs * MICROS_PER_MS - keptUs;
    const chunks = this.#chunks.receivedBefore(cutoff);
    for (const chunk of chunks) this.#chunks.drop(chunk);
    const expired = this.#open.filter(({ event }) => event.received_at < cutoff);
    this.#open = this.#open.filter(({ event }) => event.received_at >= cutoff);
    if (this.#state && chunks.length + expired.length > 0) {
      this.#remember([...chunks.flatMap(({ sessions }) => sessions), ...sessionsIn(expired)]);
      this.#writeHead(this.#state);
    }
    const times = this.#open.map(({ event }) => event.received_at);
    const first = this.#chunks.firstReceivedUntil();
    if (first !== null) times.push(first);
    if (times.length === 0) return null;
    const expiresMs = Math.ceil((Math.min(...times) + keptUs) / MICROS_PER_MS) + 1;
    return Math.max(expiresMs, nowMs + DAY_MS);
  }

  /** Whole chunks, the oldest first. Of events at least the limit is kept, of bytes at most. */
  #dropBeyondLimits(): void {
    const dropped: SessionPart[] = [];
    for (let chunk = this.#chunks.oldest(); chunk; chunk = this.#chunks.oldest()) {
      const { events, bytes } = this.#chunks.totals();
      const tooMany = events + this.#open.length - chunk.events >= this.#kept.eventsKept;
      if (!tooMany && bytes <= this.#kept.bytesKept) break;
      dropped.push(...chunk.sessions);
      this.#chunks.drop(chunk);
    }
    if (dropped.length > 0) this.#remember(dropped);
  }

  #remember(sessions: readonly SessionPart[]): void {
    this.#pastSessions = joinSessions([...this.#pastSessions, ...sessions]).slice(-TIMELINE.sessionsInHead);
  }

  /**
   * Reads chunks, newest first, until no older one can touch the sessions that are wanted: a session is whole once it
   * begins a gap after the end of what is left to read.
   */
  #newestSessions(wanted: number): SessionPart[] {
    let parts = joinSessions([...this.#pastSessions, ...sessionsIn(this.#open)]);
    let unjoined: SessionPart[] = [];
    let read = 0;
    for (const chunk of this.#chunks.newest(null)) {
      if (read++ % 32 === 0) {
        parts = joinSessions([...parts, ...unjoined]);
        unjoined = [];
        const whole = parts.filter(({ start }) => start - chunk.lastTime >= SESSION_GAP_US);
        if (whole.length >= wanted) break;
      }
      unjoined.push(...chunk.sessions);
    }
    return joinSessions([...parts, ...unjoined])
      .slice(-wanted)
      .reverse();
  }

  #create(subject: Subject): SubjectState {
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY, state TEXT NOT NULL, events TEXT NOT NULL)",
    );
    return new SubjectState(subject);
  }

  #writeHead(state: SubjectState): void {
    const head: EncodedHead = { ...state.encode(), pastSessions: this.#pastSessions };
    this.#sql.exec(
      "INSERT INTO head VALUES (0, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state, events = excluded.events",
      JSON.stringify(head),
      this.#open.map(({ line }) => line).join("\n"),
    );
  }
}

const sessionsIn = (entries: readonly Entry[]): SessionPart[] => sessionsOf(entries.map(({ event }) => event));
