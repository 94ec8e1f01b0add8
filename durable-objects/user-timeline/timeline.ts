/**
 * A subject's timeline over SQLite: one `head` row with the state and the newest events, and closed chunks. A flush is
 * one row written, the head; only when the head's events exceed `TIMELINE.rowBytes` do chunks change.
 *
 * Everything here is synchronous, so that one transaction holds an append. The fields are a cache of the rows: after
 * a transaction that failed, throw this object away and make another.
 *
 * An event may come by two ways, as an append and as an amendment (a correction gives it to this subject before the sink
 * has reached it), in any order:
 *
 *     append, then amendment          found by its place and put in place of what is there
 *     amendment, then append          the amendment notes how far ahead of the appends it put events (`putAhead`);
 *                                     an append below that looks whether it brings what is here, and leaves it out
 *     amendment, then an append that  refused: the timeline keeps the newest rule version it has met; the sink reads
 *     knows older rules only          the log again, and then the event is as the amendment has it, or is not there
 *
 * So an amendment never moves the last applied seq, and the order of the two does not matter.
 */
import { createHash } from "node:crypto";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { DAY_MS, EMAIL_INDEX, TIMELINE } from "../../r2-layout/limits.ts";
import { DAY_US, MICROS_PER_MS } from "../../r2-layout/time.ts";
import type {
  AmendAnswer,
  AppendAnswer,
  EventsPage,
  EventsRequest,
  Profile,
  SessionSummary,
  SettledWindow,
  Subject,
  TimelineAmend,
  TimelineAppend,
  TimelineDigest,
  WindowDifference,
  WindowPiece,
  WindowRange,
} from "./api.ts";
import { ChunkStore, hasTable } from "./chunk-store.ts";
import { emailOf } from "./email-trait.ts";
import { readErasedMark } from "./erased-mark.ts";
import type { NamedByTimeline } from "./erasure-api.ts";
import { comparePositions, type Position, parseCursor } from "./event-order.ts";
import { readPage } from "./events-page.ts";
import { Exchange, placeOf } from "./exchange.ts";
import type { FeaturePlan } from "./feature-plan.ts";
import { NO_PLAN } from "./feature-plan.ts";
import type { KnownUser } from "./known-users.ts";
import { PastEvents, scrubPast } from "./past-events.ts";
import type { OnlineProfile } from "./profile-api.ts";
import type { SessionPart } from "./session-rule.ts";
import { joinSessions, SESSION_GAP_US, sessionsOf, summarize } from "./session-rule.ts";
import { hasStaged, leaveKept, StagedWindow, scrubStaged } from "./staged-window.ts";
import type { EncodedState } from "./subject-state.ts";
import { EMPTY_PROFILE, SubjectState } from "./subject-state.ts";
import type { Entry } from "./timeline-entry.ts";
import { entryOf, entryOfLine, oldestFirst, sizeOf } from "./timeline-entry.ts";
import type { ErasedSubjects } from "./without-subjects.ts";

/** What a timeline keeps at most; tests keep less. */
type Kept = Readonly<Record<"eventsKept" | "bytesKept" | "daysKept", number>>;

type EncodedHead = EncodedState & {
  /** Sessions whose events have expired, at most `TIMELINE.sessionsInHead`. */
  readonly pastSessions: readonly SessionPart[];
};

/** The row of the table `head` that is the head; past-events.ts has another. */
const HEAD = 0;

export class Timeline {
  readonly #sql: SqlStorage;
  readonly #kept: Kept;
  readonly #plan: FeaturePlan;
  readonly #chunks: ChunkStore;
  /** The rule by which this timeline was erased; 0: it never was. */
  readonly #erasedBy: number;
  /** Whether the table of the head is there: looking at an unknown subject makes none. */
  #stored: boolean;
  /** Null before the first append. */
  #state: SubjectState | null = null;
  #pastSessions: SessionPart[] = [];
  /** The head's events, in no order. */
  #open: Entry[] = [];

  /** @param plan which online features are kept */
  constructor(sql: SqlStorage, kept: Kept = TIMELINE, plan: FeaturePlan = NO_PLAN) {
    this.#sql = sql;
    this.#kept = kept;
    this.#plan = plan;
    this.#chunks = new ChunkStore(sql);
    this.#erasedBy = readErasedMark(sql);
    this.#stored = hasTable(sql, "head");
    if (!this.#stored) return;
    const head = sql
      .exec<{ state: string; events: string }>("SELECT state, events FROM head WHERE id = ?", HEAD)
      .toArray()[0];
    if (!head) return;
    const encoded = JSON.parse(head.state) as EncodedHead;
    this.#state = new SubjectState(encoded.subject, encoded, plan);
    this.#pastSessions = [...encoded.pastSessions];
    this.#open = head.events === "" ? [] : head.events.split("\n").map(entryOfLine);
  }

  /** As `UserTimelineApi.append` says. @param nowMs only for how long ago devices were pointed at */
  append(append: TimelineAppend, nowMs: number): AppendAnswer {
    const state = this.#state ?? this.#begin(append.subject);
    state.refuseOlder(append.rules ?? 0);
    this.#refresh(state);
    const { shard } = append;
    const pointers = new Set<string>();
    const emails = new Set<string>();
    const fresh: Entry[] = [];
    let reached = 0;
    for (const event of append.events) {
      const { log_seq: seq } = event;
      if (!state.isApplied(shard, seq)) {
        reached = Math.max(reached, seq);
        const entry = entryOf(event);
        if (!state.mayBeAhead(shard, seq) || !this.#has(entry.position)) {
          fresh.push(entry);
          continue;
        }
      }
      if (event.anonymous_id && append.subject.kind === "user") pointers.add(event.anonymous_id);
      const email = emailOf(event);
      if (email) emails.add(email);
    }
    for (const { event } of fresh) {
      const device = state.fold(event, nowMs);
      if (device) pointers.add(device);
      const email = state.emailToIndex(event);
      if (email) emails.add(email);
    }
    if (fresh.length > 0 && append.subject.kind === "user") state.revised();
    // By what came, not by `to`: a call without events can then never hide events that come after it.
    if (reached > 0) state.reached(shard, reached);
    const users = (append.users ?? []).filter((user) => state.users.fold(user));
    const answer = {
      pointers: [...pointers],
      revision: state.revision,
      ...(emails.size > 0 && { emails: [...emails] }),
    };
    if (reached === 0 && users.length === 0) return answer;
    this.#state = state;
    this.#open.push(...fresh);
    this.#writeHead(state);
    return answer;
  }

  /** As `TimelineAmendApi.amend` says. */
  amend(amend: TimelineAmend, nowMs: number): AmendAnswer {
    const before = this.#state ?? this.#begin(amend.subject);
    before.refuseOlder(amend.rules);
    const exchange = new Exchange(amend);
    if (amend.moves) leaveKept(this.#sql, new Set(exchange.ties()));
    const { state, added, beyondReach, certain } = this.#change(before, exchange, nowMs);
    const corrects = !amend.fill && !amend.moves;
    const marked = corrects && (beyondReach > 0 || !certain) && state.markUncorrected();
    const learned = corrects && state.knowRules(amend.rules);
    const users = (amend.users ?? []).filter((user) => state.users.fold(user));
    const left = (amend.left ?? []).filter((user) => state.users.leave(user));
    if (exchange.changed + added.length + users.length + left.length > 0 || marked || learned) {
      this.#state = state;
      this.#writeHead(state);
    }
    const onDevices = amend.put.flatMap(({ anonymous_id: device }) => device || []);
    const emails = new Set(amend.put.flatMap((event) => emailOf(event) ?? []));
    return {
      added: added.length,
      replaced: exchange.replaced.length,
      removed: exchange.removed.length,
      beyondReach,
      pointers: amend.subject.kind === "user" ? [...new Set(onDevices)] : [],
      lastSeen: (amend.devices ?? []).map((device) => state.lastSeenOn(device)),
      revision: state.revision,
      ...(emails.size > 0 && { emails: [...emails] }),
    };
  }

  /** As `TimelineWindowApi.stage`. */
  stage(piece: WindowPiece): WindowDifference {
    const { job, subject, events, rules, ...range } = piece;
    (this.#state ?? this.#begin(subject)).refuseOlder(rules);
    const entries = events.map(entryOf);
    const lines = entries.map(({ line }) => line);
    new StagedWindow(this.#sql, job).stage(subject, range, rules, lines);
    const staged = new Map(entries.map(({ position, line }) => [position.tie, line]));
    let before = 0;
    let same = 0;
    for (const { event, position, line } of this.#everyEntry()) {
      if (!isWithin(range, event)) continue;
      before++;
      if (staged.get(position.tie) === line) same++;
    }
    return { before, after: entries.length, differing: before + entries.length - 2 * same };
  }

  /** As `TimelineWindowApi.settle`. */
  settle(job: string, nowMs: number): SettledWindow | null {
    const window = new StagedWindow(this.#sql, job);
    const { ranges, rules, entries, subject } = window.pieces();
    if (!subject) return null;
    const before = this.#state ?? this.#begin(subject);
    if (!window.isSettled) {
      before.refuseOlder(rules);
      const staged = new Set(entries.map(({ position }) => position.tie));
      const gone = [...this.#everyEntry()].filter(
        ({ event, position }) => !staged.has(position.tie) && ranges.some((range) => isWithin(range, event)),
      );
      const put = entries.map(({ event }) => event);
      const exchange = new Exchange({ remove: gone.map(({ event }) => placeOf(event)), put });
      const { state, added, certain } = this.#change(before, exchange, nowMs);
      if (!certain) state.markUncorrected();
      this.#state = state;
      this.#writeHead(state);
      window.keep([...exchange.removed, ...exchange.replaced], [...exchange.replacing, ...added], state.rules);
    }
    const pointers = new Map<string, number>();
    if (subject.kind === "user") {
      for (const { event } of entries) {
        const { anonymous_id: device, event_time: at } = event;
        if (device) pointers.set(device, Math.max(at, pointers.get(device) ?? at));
      }
    }
    const { revision } = this.#state ?? before;
    return { subject, pointers: Array.from(pointers, ([id, lastSeen]) => ({ id, lastSeen })), revision };
  }

  /** As `TimelineWindowApi.unsettle`. */
  unsettle(job: string, nowMs: number): void {
    const window = new StagedWindow(this.#sql, job);
    const kept = window.kept();
    if (!kept || !this.#state) return;
    if (this.#state.rules > kept.rules) throw new RangeError("rules: one came since the window was settled");
    const put = kept.before.map(({ event }) => event);
    const restored = new Set(kept.before.map(({ position }) => position.tie));
    const remove = kept.added.filter(({ position }) => !restored.has(position.tie)).map(({ event }) => placeOf(event));
    const { state } = this.#change(this.#state, new Exchange({ remove, put }), nowMs);
    this.#state = state;
    this.#writeHead(state);
    window.forgetKept();
  }

  /** As `TimelineWindowApi.unstage`. @returns whether the object holds anything at all */
  unstage(job: string): boolean {
    return new StagedWindow(this.#sql, job).drop() || this.#state !== null || this.#erasedBy > 0;
  }

  /** As `TimelineErasureApi.holds`. */
  get holds(): boolean {
    return this.#state !== null || hasStaged(this.#sql);
  }

  /** As `TimelineErasureApi.named`. */
  named(): NamedByTimeline {
    const { users, devices, emails = [] } = (this.#state ?? this.#begin({ kind: "user", id: "" })).encode();
    return {
      users: users.users.map(([id]) => id),
      devices: devices.map(([id]) => id),
      emails: [...emails],
      cut: users.cut || devices.length === TIMELINE.devicesPerUser || emails.length === EMAIL_INDEX.addressesPerSubject,
    };
  }

  /** As `TimelineErasureApi.traces`. */
  traces(erased: ErasedSubjects): number {
    const events = [...this.#everyEntry()].filter(({ event }) => erased.named(event)).length;
    const state = this.#state ? erased.without(this.#state.encode()).traces : 0;
    const staged = scrubStaged(this.#sql, (event) => erased.named(event), false);
    return events + state + staged + scrubPast(this.#sql, erased, false);
  }

  /** As `TimelineErasureApi.scrub`. @returns how many traces went */
  scrub(erased: ErasedSubjects, rules: number, nowMs: number): number {
    const traces = this.traces(erased);
    if (traces === 0) return 0;
    scrubStaged(this.#sql, (event) => erased.named(event), true);
    if (!this.#state) return traces;
    const gone = [...this.#everyEntry()].filter(({ event }) => erased.named(event));
    const exchange = new Exchange({ remove: gone.map(({ event }) => placeOf(event)), put: [] });
    const { state, certain } = this.#change(this.#state, exchange, nowMs);
    // After the state was made anew from it: what it knows of others goes, its sums stay.
    scrubPast(this.#sql, erased, true);
    const left = new SubjectState(state.subject, erased.without(state.encode()).state, this.#plan);
    if (!certain) left.markUncorrected();
    left.knowRules(rules);
    this.#state = left;
    this.#writeHead(left);
    return traces;
  }

  events(request: EventsRequest): EventsPage {
    const page = readPage(this.#chunks, this.#open, request);
    return request.whole && this.#lacks(request, page) ? { ...page, lacking: true } : page;
  }

  /** Whether the page goes down to where events have been let go for their number. */
  #lacks({ from = Number.NEGATIVE_INFINITY }: EventsRequest, { next }: EventsPage): boolean {
    const upTo = this.#state && this.#past(this.#state.subject).upTo;
    if (!upTo || upTo.time < from) return false;
    return next === null || comparePositions(parseCursor(next)!, upTo) <= 0;
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

  /** Whether the profile has to be made anew before it is read (`refresh`): another plan is configured than it is by. */
  get isStale(): boolean {
    return this.#state?.hasStaleFeatures ?? false;
  }

  refresh(): void {
    if (this.#state && this.#refresh(this.#state)) this.#writeHead(this.#state);
  }

  /** The profile and the online features, as of now. */
  online(nowMs: number): OnlineProfile {
    const state = this.#state ?? this.#begin({ kind: "user", id: "" });
    return state.online(nowMs * MICROS_PER_MS);
  }

  users(): { users: KnownUser[]; cut: boolean } {
    return this.#state?.users.list() ?? { users: [], cut: false };
  }

  /** As `TimelineCompareApi.digest`. */
  digest(upTo: Readonly<Record<number, number>>, since: number): TimelineDigest {
    const hash = createHash("sha256");
    let events = 0;
    const entries = [...this.#everyEntry()].sort(oldestFirst);
    for (const { event, line } of entries) {
      if (event.log_seq > (upTo[event.log_shard] ?? 0) || event.received_at < since) continue;
      hash.update(line);
      events++;
    }
    const cut = this.#state !== null && this.#past(this.#state.subject).cut;
    return { events, hash: hash.digest("hex"), cut };
  }

  /**
   * Drops what was received more than `TIMELINE.daysKept` days ago. Age goes by received_at, not by event_time: an import of
   * old history is not history to delete. @returns when to come again, milliseconds; null when no event is left
   */
  expire(nowMs: number): number | null {
    const keptUs = this.#kept.daysKept * DAY_US;
    const cutoff = nowMs * MICROS_PER_MS - keptUs;
    // As with every change of what is kept: before it.
    if (this.#state) this.#refresh(this.#state);
    const chunks = this.#chunks.receivedBefore(cutoff);
    const expired = this.#open.filter(({ event }) => event.received_at < cutoff);
    if (this.#state && chunks.length + expired.length > 0) {
      const past = this.#past(this.#state.subject);
      for (const chunk of chunks) {
        past.add(this.#chunks.read(chunk), "age");
        this.#chunks.drop(chunk);
      }
      past.add(expired, "age");
      this.#open = this.#open.filter(({ event }) => event.received_at >= cutoff);
      this.#remember([...chunks.flatMap(({ sessions }) => sessions), ...sessionsIn(expired)]);
      this.#writeHead(this.#state);
      past.save();
    }
    const times = this.#open.map(({ event }) => event.received_at);
    const first = this.#chunks.firstReceivedUntil();
    if (first !== null) times.push(first);
    if (times.length === 0) return null;
    const expiresMs = Math.ceil((Math.min(...times) + keptUs) / MICROS_PER_MS) + 1;
    return Math.max(expiresMs, nowMs + DAY_MS);
  }

  #begin(subject: Subject): SubjectState {
    const state = new SubjectState(subject, undefined, this.#plan);
    state.knowRules(this.#erasedBy);
    return state;
  }

  #past(subject: Subject): PastEvents {
    return new PastEvents(this.#sql, subject, this.#plan);
  }

  /** @returns whether the online features were of another plan, and are made anew */
  #refresh(state: SubjectState): boolean {
    if (!state.hasStaleFeatures) return false;
    this.#past(state.subject).beginFeatures(state);
    for (const { event } of this.#everyEntry()) state.foldFeatures(event);
    return true;
  }

  #has(position: Position): boolean {
    const isIt = (entry: Entry) => comparePositions(entry.position, position) === 0;
    return (
      this.#open.some(isIt) || this.#chunks.around([position]).some((chunk) => this.#chunks.read(chunk).some(isIt))
    );
  }

  #eventsKept(): number {
    return this.#chunks.totals().events + this.#open.length;
  }

  *#everyEntry(): Generator<Entry> {
    yield* this.#open;
    for (const chunk of this.#chunks.newest(null)) yield* this.#chunks.read(chunk);
  }

  /**
   * Makes the exchange, and what follows from it. Nothing is written of the head yet. @returns the state as it is then, a new
   * one where events went; `certain`: it is exactly that of the events
   */
  #change(state: SubjectState, exchange: Exchange, nowMs: number) {
    this.#refresh(state);
    const past = this.#past(state.subject);
    const kept = this.#eventsKept();
    const allKnown = past.events + kept === state.events;
    const hasPast = state.events > kept;
    this.#exchange(exchange);
    const oldest = nowMs * MICROS_PER_MS - this.#kept.daysKept * DAY_US;
    const added: Entry[] = [];
    let beyondReach = 0;
    for (const { position, receivedAt, put } of exchange.missing()) {
      const mayBeGone = hasPast && (!allKnown || past.mayHold(position, receivedAt));
      if (put && !mayBeGone && put.event.received_at >= oldest) added.push(put);
      else if (put || mayBeGone) beyondReach++;
    }
    for (const entry of added) this.#open.push(entry);

    let next = state;
    if (exchange.changed > 0 && allKnown) {
      next = past.begin(state);
      for (const { event } of this.#everyEntry()) next.fold(event, nowMs);
      next.keepPointers(state);
    } else {
      for (const { event } of [...exchange.removed, ...exchange.replaced]) state.subtract(event);
      for (const { event } of [...exchange.replacing, ...added]) state.fold(event, nowMs);
    }
    for (const { event } of added) next.putAhead(event.log_shard, event.log_seq);
    if (exchange.changed + added.length > 0 && next.subject.kind === "user") next.revised();
    return { state: next, added, beyondReach, certain: exchange.changed === 0 || allKnown };
  }

  #exchange(exchange: Exchange): void {
    const positions = exchange.positions();
    const chunks = positions ? this.#chunks.around(positions) : [...this.#chunks.newest(null)];
    for (const chunk of chunks) {
      const entries = exchange.apply(this.#chunks.read(chunk));
      if (entries) this.#chunks.replace(chunk, entries);
    }
    this.#open = exchange.apply(this.#open) ?? this.#open;
  }

  #settleOpen({ subject }: SubjectState): void {
    if (sizeOf(this.#open) <= TIMELINE.rowBytes) return;
    this.#open = this.#chunks.settle(this.#open.sort(oldestFirst));
    this.#dropBeyondLimits(subject);
  }

  /** Whole chunks, the oldest first. Of events at least the limit is kept, of bytes at most. */
  #dropBeyondLimits(subject: Subject): void {
    const dropped: SessionPart[] = [];
    let past: PastEvents | null = null;
    for (let chunk = this.#chunks.oldest(); chunk; chunk = this.#chunks.oldest()) {
      const { events, bytes } = this.#chunks.totals();
      const tooMany = events + this.#open.length - chunk.events >= this.#kept.eventsKept;
      if (!tooMany && bytes <= this.#kept.bytesKept) break;
      past ??= this.#past(subject);
      past.add(this.#chunks.read(chunk), "number");
      dropped.push(...chunk.sessions);
      this.#chunks.drop(chunk);
    }
    if (!past) return;
    this.#remember(dropped);
    past.save();
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

  #writeHead(state: SubjectState): void {
    if (!this.#stored) {
      this.#sql.exec(
        "CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY, state TEXT NOT NULL, events TEXT NOT NULL)",
      );
      this.#stored = true;
    }
    this.#settleOpen(state);
    const head: EncodedHead = { ...state.encode(), pastSessions: this.#pastSessions };
    this.#sql.exec(
      "INSERT INTO head VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state, events = excluded.events",
      HEAD,
      JSON.stringify(head),
      this.#open.map(({ line }) => line).join("\n"),
    );
  }
}

function isWithin({ shard, from, to, receivedFrom, receivedTo }: WindowRange, event: EventRow): boolean {
  const { log_shard, log_seq: seq, received_at: at } = event;
  if (log_shard !== shard || seq <= from || seq > to) return false;
  return (receivedFrom === null || at >= receivedFrom) && (receivedTo === null || at < receivedTo);
}

const sessionsIn = (entries: readonly Entry[]): SessionPart[] => sessionsOf(entries.map(({ event }) => event));
