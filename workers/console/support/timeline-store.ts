/**
 * One subject's events as they are loaded: the newest page, older pages on demand, the lake beyond what timelines keep,
 * and, while now is looked at, what comes in. Whoever shows them is told of each state.
 *
 *     newest page     asked again every 1.5 s; what has not changed is not sent (ETag). Its events are put in their place,
 *                     so a late one stands where it happened; where it does not reach down to what is known, the pages
 *                     between are read, and beyond some pages the list begins anew
 *     scrolled down   newer events are counted and held back: nothing moves under somebody's eyes
 *     the server is gone   it says so, and goes on by itself: with what comes, and on the way to a moment
 */
import { request } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";
import { eventsPath, keptSince, profilePath, type Span, type Subject, sessionsPath, subjectPath } from "./address.ts";
import type { DeviceFacts, Session, TimelineEvent, TimelinePage, UserProfile } from "./events.ts";
import { above, below } from "./merge-events.ts";

export interface TimelineState {
  readonly events: readonly TimelineEvent[];
  /** Newer ones that came while somebody was reading further down. */
  readonly held: number;
  readonly busy: "first" | "more" | "past" | null;
  readonly problem: Problem | null;
  /** Timelines have nothing older. */
  readonly ended: boolean;
  /** The lake has been looked through down to this time; null: not begun. */
  readonly reached: string | null;
  /** The lake has nothing older either. */
  readonly pastEnded: boolean;
  readonly cut: boolean;
  readonly live: "off" | "on" | "lost";
  readonly profile: UserProfile | null;
  readonly device: DeviceFacts | null;
  readonly sessions: readonly Session[];
  /** When the first page came and how long it took, milliseconds. */
  readonly loadedAt: number | null;
  readonly tookMs: number;
}

const NOTHING: TimelineState = {
  events: [],
  held: 0,
  busy: "first",
  problem: null,
  ended: false,
  reached: null,
  pastEnded: false,
  cut: false,
  live: "off",
  profile: null,
  device: null,
  sessions: [],
  loadedAt: null,
  tookMs: 0,
};

const PAGE_EVENTS = 100;
const MORE_EVENTS = 500;
const POLL_MS = 1_500;
const POLL_MAX_MS = 10_000;
/** Pages read to close a gap: 1,000 events a minute leave none. */
const GAP_PAGES = 10;
/** Empty pages read before somebody is asked whether to go on. */
const EMPTY_PAGES = 20;
/** In the browser's memory while new ones come; older ones are loaded again when they are scrolled to. */
const EVENTS_HELD = 20_000;
/** Events that a look into the lake brings before it waits to be asked again. */
const PAST_EVENTS = 200;
const FACTS_MS = 10_000;
/** Shown above a moment, so that what followed is seen, too. */
const AFTER_MOMENT_MS = 2 * 60_000;

export class TimelineStore {
  state: TimelineState = NOTHING;
  readonly #subject: Subject;
  /** Milliseconds. */
  readonly #atMs: number | null;
  readonly #span: Span;
  readonly #notify: () => void;
  readonly #abort = new AbortController();
  /** Of the newest events that are there, or that are held back. */
  #newest: readonly TimelineEvent[] = [];
  #next: string | null = null;
  /** What `#next` belongs to. */
  #moreSpan: Span;
  #past: { readonly to: string; next: string | null } | null = null;
  #pastStopped = false;
  #atTop = true;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #factsAt = 0;

  /** @param at the moment that is looked at; absent: now, and what comes */
  constructor(subject: Subject, at: string | undefined, notify: () => void) {
    this.#subject = subject;
    this.#notify = notify;
    this.#atMs = at === undefined ? null : Date.parse(at);
    this.#span = this.#atMs === null ? {} : momentSpan(subject, this.#atMs, Date.now());
    this.#moreSpan = this.#span;
  }

  /** Whether now is looked at, and not a moment before. */
  get #isNow(): boolean {
    return this.#span.to === undefined;
  }

  /** Whether what is read comes from the lake from the first page on: days, rather than all at once. */
  get isPast(): boolean {
    return this.#span.from === BEGINNING;
  }

  start(): void {
    void this.#first().catch(ignoreAbort);
    void this.#facts().catch(ignoreAbort);
    document.addEventListener("visibilitychange", this.#onVisible);
  }

  stop(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#onVisible);
  }

  retry(): void {
    clearTimeout(this.#timer);
    this.#set({ problem: null, busy: "first" });
    void this.#first().catch(ignoreAbort);
    void this.#facts().catch(ignoreAbort);
  }

  setLive(on: boolean): void {
    if (!this.#isNow) return;
    clearTimeout(this.#timer);
    this.#set({ live: on ? "on" : "off" });
    if (on) void this.#poll(POLL_MS).catch(ignoreAbort);
  }

  setAtTop(atTop: boolean): void {
    this.#atTop = atTop;
    if (atTop && this.state.held > 0) this.release();
  }

  /** Shows what was held back. */
  release(): void {
    this.#set({ events: this.#newest, held: 0 });
  }

  more(): void {
    const { busy, ended } = this.state;
    if (busy !== null || ended) return;
    if (!this.#isNow) clearTimeout(this.#timer);
    this.#set({ busy: "more", problem: null });
    void this.#more().catch(ignoreAbort);
  }

  lookBack(): void {
    if (this.state.busy !== null || this.state.pastEnded) return;
    this.#pastStopped = false;
    this.#set({ busy: "past", problem: null });
    void this.#lookBack().catch(ignoreAbort);
  }

  stopLookingBack(): void {
    this.#pastStopped = true;
  }

  async #first(againAfterMs = POLL_MS): Promise<void> {
    const started = performance.now();
    const page = await this.#read(this.#span, PAGE_EVENTS, null);
    const tookMs = performance.now() - started;
    if (!page.ok) {
      this.#set({ busy: null, problem: page.error });
      if (!mayPass(page.error)) return;
      const again = () => void this.#first(Math.min(2 * againAfterMs, POLL_MAX_MS)).catch(ignoreAbort);
      this.#timer = setTimeout(again, againAfterMs);
      return;
    }
    this.#set({ problem: null });
    this.#newest = page.value.events;
    this.#next = page.value.next;
    const { events, reached = null, cut = false } = page.value;
    this.#set({ loadedAt: Date.now(), tookMs, events, reached, cut });
    await this.#toMoment(againAfterMs);
    if (this.#isNow) this.setLive(true);
  }

  /** Anonymous events of others fill pages that show nothing; many events may have followed the moment. */
  async #toMoment(againAfterMs: number): Promise<void> {
    await this.#more(() => this.#newest.length > 0 && this.#reachesMoment());
    const { problem } = this.state;
    if (this.#isNow || problem === null || !mayPass(problem)) return;
    this.#timer = setTimeout(() => {
      this.#set({ busy: "first", problem: null });
      void this.#toMoment(Math.min(2 * againAfterMs, POLL_MAX_MS)).catch(ignoreAbort);
    }, againAfterMs);
  }

  #reachesMoment(): boolean {
    return this.#atMs === null || Date.parse(this.#newest.at(-1)!.event_time) <= this.#atMs;
  }

  /** @param isEnough asked before each page; absent: on to the next event that there is */
  async #more(isEnough = moreThan(this.#newest.length, () => this.#newest.length)): Promise<void> {
    for (let pages = 0; this.#next !== null && pages < EMPTY_PAGES && !isEnough(); pages++) {
      const page = await this.#read(this.#moreSpan, MORE_EVENTS, this.#next);
      if (!page.ok) return this.#set({ busy: null, problem: page.error });
      this.#next = page.value.next;
      this.#append(page.value.events);
      if (page.value.reached) this.#set({ reached: page.value.reached });
    }
    this.#set({ busy: null, ended: this.#next === null });
  }

  #append(older: readonly TimelineEvent[]): void {
    this.#newest = below(this.#newest, older);
    this.#set({ events: below(this.state.events, older) });
  }

  async #lookBack(): Promise<void> {
    const oldest = this.state.events.at(-1)?.event_time ?? this.#span.to ?? new Date().toISOString();
    this.#past ??= { to: oldest, next: null };
    const before = this.#newest.length;
    do {
      const span = { from: BEGINNING, to: this.#past.to };
      const page = await this.#read(span, PAGE_EVENTS, this.#past.next);
      if (!page.ok) return this.#set({ busy: null, problem: page.error });
      this.#past.next = page.value.next;
      this.#append(page.value.events);
      this.#set({ reached: page.value.reached ?? null });
    } while (this.#past.next !== null && this.#newest.length - before < PAST_EVENTS && !this.#pastStopped);
    this.#set({ busy: null, pastEnded: this.#past.next === null });
  }

  async #poll(afterMs: number): Promise<void> {
    this.#timer = setTimeout(() => {
      // Nobody looks: it goes on when somebody does.
      if (document.visibilityState === "visible") void this.#newer(afterMs).catch(ignoreAbort);
    }, afterMs);
  }

  readonly #onVisible = () => {
    if (document.visibilityState !== "visible" || this.state.live === "off") return;
    clearTimeout(this.#timer);
    void this.#newer(POLL_MS).catch(ignoreAbort);
  };

  async #newer(afterMs: number): Promise<void> {
    const page = await this.#read({}, PAGE_EVENTS, null);
    if (this.state.live === "off") return;
    if (!page.ok) {
      this.#set({ live: "lost" });
      return this.#poll(Math.min(2 * afterMs, POLL_MAX_MS));
    }
    let newer = above(this.#newest, page.value.events, page.value.next === null);
    const between = [...page.value.events];
    let next = page.value.next;
    for (let pages = 0; newer.gap && pages < GAP_PAGES && next !== null; pages++) {
      const more = await this.#read({}, MORE_EVENTS, next);
      if (!more.ok) return this.#poll(Math.min(2 * afterMs, POLL_MAX_MS));
      between.push(...more.value.events);
      next = more.value.next;
      newer = above(this.#newest, between, next === null);
    }
    if (newer.gap) {
      this.#newest = between;
      this.#next = next;
      this.#moreSpan = {};
      this.#set({ live: "on", events: between, held: 0, ended: next === null });
      return this.#poll(POLL_MS);
    }
    this.#take(newer.events, newer.fresh);
    const { profile, device } = this.state;
    const isStale = newer.fresh > 0 || (profile === null && device === null);
    if (isStale && Date.now() - this.#factsAt > FACTS_MS) await this.#facts();
    return this.#poll(POLL_MS);
  }

  #take(events: readonly TimelineEvent[], fresh: number): void {
    this.#newest = events;
    if (fresh > 0 && this.#atTop && events.length > EVENTS_HELD) {
      this.#newest = events.slice(0, EVENTS_HELD);
      this.#moreSpan = { from: keptSince(Date.now()), to: this.#newest.at(-1)!.event_time };
      // Where those that were let go begin again, no cursor says: the next page is asked for by time.
      this.#next = "";
      this.#set({ ended: false });
    }
    if (fresh === 0) {
      if (this.state.live !== "on") this.#set({ live: "on" });
    } else if (this.#atTop) this.#set({ live: "on", events: this.#newest, held: 0 });
    else this.#set({ live: "on", held: this.state.held + fresh });
  }

  async #facts(): Promise<void> {
    this.#factsAt = Date.now();
    const init = { signal: this.#abort.signal };
    if (this.#subject.kind === "device") {
      const device = await request<DeviceFacts>(subjectPath(this.#subject), init);
      if (device.ok) this.#set({ device: device.value });
      return;
    }
    const [profile, sessions] = await Promise.all([
      request<UserProfile>(profilePath(this.#subject), init),
      request<{ sessions: Session[] }>(sessionsPath(this.#subject), init),
    ]);
    if (profile.ok) this.#set({ profile: profile.value });
    if (sessions.ok) this.#set({ sessions: sessions.value.sessions });
  }

  #read(span: Span, limit: number, cursor: string | null) {
    return request<TimelinePage>(eventsPath(this.#subject, span, limit, cursor || null), {
      signal: this.#abort.signal,
    });
  }

  #set(part: Partial<TimelineState>): void {
    this.state = { ...this.state, ...part };
    this.#notify();
  }
}

/** What may be over in a moment: the network, a part that is not there, a server that is busy. */
const mayPass = ({ status }: Problem): boolean => status === 0 || status === 429 || status >= 500;

const moreThan = (before: number, now: () => number) => () => now() > before;

const BEGINNING = "1970-01-01T00:00:00Z";

/** Down from a little after the moment: from the timeline where it reaches there, else from the lake. */
function momentSpan({ kind }: Subject, atMs: number, nowMs: number): Span {
  const to = new Date(atMs + AFTER_MOMENT_MS).toISOString();
  const kept = keptSince(nowMs);
  return { from: kind === "user" && to <= kept ? BEGINNING : kept, to };
}

/** Somebody else is looked at by now. */
function ignoreAbort(error: unknown): void {
  if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
}
