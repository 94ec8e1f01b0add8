/**
 * One shard's log in SQLite: sequence, dedup window, gaps, counters and cursors. Synchronous, with time as an argument;
 * the EventLog class puts a transaction around each change, and calls `forget` when one is rolled back.
 *
 * Two fan-outs race for the same events like this, and either order ends with one owner for each id:
 *
 *     A filter {1,2}: none owned          B filter {2,3}: none owned
 *     A writes its object, 1 and 2        B writes its object, 2 and 3
 *     A commit: seq 7 owns 1 and 2        B commit: owned [2], nothing changed
 *                                         B writes an object with 3 alone, commit: seq 8; the first object is swept
 *
 * A commit whose answer was lost is repeated: every id and message is owned, so nothing is left to commit.
 */
import { LOG } from "../../r2-layout/limits.ts";
import type { Rule } from "../../r2-layout/rule.ts";
import { addColumns } from "../add-columns.ts";
import type { SinkName } from "../sink-cursor/api.ts";
import { SINKS } from "../sink-cursor/api.ts";
import type { CommitAnswer, LogStatus, Redrive, RedriveAnswer, SegmentCommit } from "./api.ts";
import { DAY_COLUMNS, type DayRow, dayCounts, onDayOf, withoutDay } from "./day-counts.ts";
import { DedupWindow } from "./dedup-window.ts";
import type { EdgeNote } from "./edge-table.ts";
import { EdgeTable } from "./edge-table.ts";
import { IdSet } from "./id-set.ts";
import { Lineage } from "./lineage.ts";
import { ID_BYTES, toWords } from "./packed-ids.ts";
import { ReachedTable } from "./reached-table.ts";
import type { NewPlace } from "./segment-log.ts";
import { SegmentLog } from "./segment-log.ts";
import type { SourceNote } from "./source-table.ts";
import { SourceTable } from "./source-table.ts";

/**
 * The log's one row: its place and its cumulative counts of events. `committed` and `quarantined` are those of messages;
 * what a redrive has made of the quarantined is not in them.
 */
type LogRow = DayRow & {
  shard: number;
  head: number;
  accepted: number;
  arrived: number;
  committed: number;
  quarantined: number;
  duplicates: number;
  suppressed: number;
  redelivered: number;
  gaps: number;
  committed_at: number;
  moved_in: number;
  moved_out: number;
  late: number;
  clock_skewed: number;
  republished: number;
};

/** What the row of a commit keeps until its ids become a run. */
interface CommitNote {
  readonly edges: readonly EdgeNote[];
  readonly sources: readonly SourceNote[];
}

const DAY_NAMES = Object.keys(DAY_COLUMNS) as (keyof DayRow)[];

/** Ids in one commit: a row of SQLite holds 2 MB, and one call is one transaction. The fan-out cuts at a third of it. */
const IDS_PER_COMMIT = 100_000;

export class ShardLog {
  /** Reading; changes go through this class. */
  readonly places: SegmentLog;
  readonly lineage: Lineage;
  readonly #sql: SqlStorage;
  readonly #windowMs: number;
  readonly #window: DedupWindow;
  readonly #edges: EdgeTable;
  readonly #sources: SourceTable;
  readonly #reached: ReachedTable;
  /** A cache of the row. */
  #row: LogRow | null = null;
  /** Whether the notes of the recent commits are in the tables' memory. */
  #noted = false;

  /** @param shard taken where the log is new. @param windowMs the dedup window. */
  constructor(sql: SqlStorage, shard: number, windowMs: number = LOG.dedupWindowMs) {
    this.#sql = sql;
    this.#windowMs = windowMs;
    this.#window = new DedupWindow(sql, windowMs);
    this.#edges = new EdgeTable(sql);
    this.#sources = new SourceTable(sql);
    this.places = new SegmentLog(sql);
    this.lineage = new Lineage(sql, shard, windowMs);
    sql.exec(`CREATE TABLE IF NOT EXISTS log (
      id INTEGER PRIMARY KEY, shard INTEGER NOT NULL, epoch INTEGER NOT NULL, head INTEGER NOT NULL,
      accepted INTEGER NOT NULL, arrived INTEGER NOT NULL, committed INTEGER NOT NULL, quarantined INTEGER NOT NULL,
      duplicates INTEGER NOT NULL, suppressed INTEGER NOT NULL, redelivered INTEGER NOT NULL, gaps INTEGER NOT NULL,
      committed_at INTEGER NOT NULL)`);
    addColumns(sql, "log", {
      moved_in: "INTEGER NOT NULL DEFAULT 0",
      moved_out: "INTEGER NOT NULL DEFAULT 0",
      late: "INTEGER NOT NULL DEFAULT 0",
      clock_skewed: "INTEGER NOT NULL DEFAULT 0",
      republished: "INTEGER NOT NULL DEFAULT 0",
      ...DAY_COLUMNS,
    });
    this.#reached = new ReachedTable(sql);
    sql.exec(
      `INSERT OR IGNORE INTO log (id, shard, epoch, head, accepted, arrived, committed, quarantined, duplicates, suppressed,
         redelivered, gaps, committed_at) VALUES (0, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)`,
      shard,
    );
  }

  get shard(): number {
    return this.#read().shard;
  }

  get head(): number {
    return this.#read().head;
  }

  /** @param day `YYYY-MM-DD`. @throws RangeError where it is no day. */
  idsOf(day: string, after: Uint8Array | null): { ids: Uint8Array; next: Uint8Array | null } {
    const startMs = /^\d{4}-\d\d-\d\d$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : Number.NaN;
    if (Number.isNaN(startMs)) throw new RangeError(`${day} is no day`);
    return this.#window.idsOf(startMs, after);
  }

  ownedAt(ids: Uint8Array): Float64Array {
    return this.#window.ownedAt(ids);
  }

  owned(ids: Uint8Array): Uint8Array {
    return this.#window.owned(ids);
  }

  /**
   * The whole commit. To be called in a transaction. The commit time never falls, whatever the clock does, because sinks
   * take it for the order of commits. @param inherited which ids, and which of the parts' (`idsAskedFor`), a parent owns.
   * @throws RangeError where counts and ids do not agree.
   */
  commit(commit: SegmentCommit, nowMs: number, inherited: Uint8Array | null = null): CommitAnswer {
    const row = this.#read();
    const { segment, messages } = commit;
    const events = commit.ids.byteLength / ID_BYTES;
    if (events !== (segment?.events ?? 0)) throw new RangeError(`${events} ids for ${segment?.events ?? 0} events`);
    if (events + messages.length > IDS_PER_COMMIT) throw new RangeError(`${events} events in one commit`);
    const { epoch, shards } = this.lineage;
    // Who does not say by which numbers it has grouped was built before there were splits.
    if (commit.epoch !== epoch || (epoch > 0 && !commit.shards))
      return { kind: "moved", epoch, ...(shards && { shards }) };
    const { barredVersion } = this.places;
    if ((commit.barred ?? 0) < barredVersion) return { kind: "barred", version: barredVersion };
    if (segment && segment.writtenAt + LOG.staleSegmentMs <= nowMs) return { kind: "stale" };

    const ids = new Uint8Array(commit.ids.byteLength + messages.length * ID_BYTES);
    ids.set(commit.ids);
    messages.forEach((message, i) => {
      if (message.id.byteLength !== ID_BYTES) throw new RangeError("a message id is 16 bytes");
      ids.set(message.id, commit.ids.byteLength + i * ID_BYTES);
    });
    const owned = ownedOrRepeated(ids, this.#ownedWith(commit, ids, inherited));
    if (owned.length > 0) {
      return {
        kind: "owned",
        ids: owned.filter((i) => i < events),
        messages: owned.filter((i) => i >= events).map((i) => i - events),
      };
    }

    const at = Math.max(nowMs, row.committed_at);
    const change = this.#arrive(ids, messages, at);
    const quarantined = segment?.quarantined ?? 0;
    const next: LogRow = {
      ...onDayOf(row, at),
      head: segment ? row.head + 1 : row.head,
      accepted: row.accepted + change.accepted,
      arrived: row.arrived + sum(messages, (message) => (message.movedIn ? 0 : message.events)),
      committed: row.committed + events - quarantined,
      quarantined: row.quarantined + quarantined,
      duplicates: row.duplicates + sum(messages, (message) => message.duplicates),
      suppressed: row.suppressed + sum(messages, ({ suppressed = 0 }) => suppressed),
      redelivered: row.redelivered + (commit.redelivered ?? 0),
      gaps: row.gaps + change.gaps,
      committed_at: segment ? at : row.committed_at,
      moved_in: row.moved_in + sum(messages, (message) => (message.movedIn ? message.events : 0)),
      moved_out: row.moved_out + sum(messages, ({ movedOut = 0 }) => movedOut),
      late: row.late + sum(messages, ({ late = 0 }) => late),
      clock_skewed: row.clock_skewed + sum(messages, ({ clockSkewed = 0 }) => clockSkewed),
      republished: row.republished + (segment?.republished ?? 0),
      messages: row.messages + messages.filter(({ movedIn }) => movedIn === undefined).length,
      log_bytes: row.log_bytes + (segment?.bytes ?? 0),
    };
    if (segment) this.places.insertMessages(placeOf(next), segment);
    this.#write(next);
    return { kind: "committed", seq: segment ? next.head : null };
  }

  /** Ownership of lines and messages: by this log, by a parent, and of parts by any id that accounts for them. */
  #ownedWith(commit: SegmentCommit, ids: Uint8Array, inherited: Uint8Array | null): Uint8Array {
    const owned = this.#window.owned(ids);
    if (inherited) for (let i = 0; i < commit.ids.byteLength / ID_BYTES; i++) owned[i]! |= inherited[i]!;
    if (!commit.messages.some(({ movedIn }) => movedIn)) return owned;
    const asked = idsAskedFor(commit);
    const known = this.#window.owned(asked);
    let at = commit.ids.byteLength / ID_BYTES;
    commit.messages.forEach(({ movedIn }, i) => {
      for (const end = at + (movedIn?.byteLength ?? 0) / ID_BYTES; at < end; at++) {
        owned[commit.ids.byteLength / ID_BYTES + i]! |= known[at]! | (inherited?.[at] ?? 0);
      }
    });
    return owned;
  }

  /** Takes ids and what the messages say of their edges and sources. */
  #arrive(ids: Uint8Array, messages: SegmentCommit["messages"], at: number): { accepted: number; gaps: number } {
    if (ids.byteLength === 0) return { accepted: 0, gaps: 0 };
    this.#readNotes();
    const edges = this.#edges.arrive(
      messages.filter(({ movedIn }) => movedIn === undefined),
      at,
    );
    const note: CommitNote = { edges: edges.notes, sources: this.#sources.arrive(messages) };
    this.#window.insert(ids, at, JSON.stringify(note));
    return edges.change;
  }

  /** To be called in a transaction. @returns the rule's seq. @throws RangeError as `EventLogRulesApi.raise`. */
  raise(rule: Rule, key: string, nowMs: number): number {
    const known = this.places.seqOfRule(rule);
    if (known !== null) return known;
    const next = this.#nextPlace(nowMs);
    this.places.insertRule(placeOf(next), rule, next.shard, key);
    this.#write(next);
    return next.head;
  }

  /** To be called in a transaction. @throws RangeError as `EventLogRedriveApi.redrive`. */
  redrive(redrive: Redrive, nowMs: number, inherited: Uint8Array | null = null): RedriveAnswer {
    const known = this.places.seqOfRedrive(redrive.id);
    if (known !== null) return { kind: "committed", seq: known };
    const { segment, ids, sinks } = redrive;
    if (segment.events < 1 || segment.events > LOG.redriveLines)
      throw new RangeError(`${segment.events} lines redriven`);
    if (sinks.length === 0) throw new RangeError("a redrive for nobody");
    if (ids && ids.byteLength !== segment.events * ID_BYTES) throw new RangeError(`${ids.byteLength} bytes of ids`);
    if (segment.writtenAt + LOG.staleSegmentMs <= nowMs) return { kind: "stale" };
    const { barredVersion } = this.places;
    if ((redrive.barred ?? 0) < barredVersion) return { kind: "barred", version: barredVersion };
    const before = this.places.redrivenBefore(redrive);
    if (before.length > 0) return { kind: "redriven", origins: before };
    const next = this.#nextPlace(nowMs);
    const origins = this.places.countOrigins(redrive, next.head - 1);
    if (ids) {
      const known = this.#window.owned(ids);
      if (inherited) for (let i = 0; i < known.length; i++) known[i]! |= inherited[i]!;
      const owned = ownedOrRepeated(ids, known);
      if (owned.length > 0) return { kind: "owned", ids: owned };
      this.#arrive(ids, [], next.committed_at);
    }
    this.places.insertRedrive(placeOf(next), redrive, origins);
    this.#write(next);
    return { kind: "committed", seq: next.head };
  }

  #nextPlace(nowMs: number): LogRow {
    const row = this.#read();
    const at = Math.max(nowMs, row.committed_at);
    return { ...onDayOf(row, at), head: row.head + 1, committed_at: at };
  }

  cursor(sink: SinkName): number {
    return this.#reached.cursor(sink);
  }

  /** Never moves back, never beyond the head. */
  reached(sink: SinkName, seq: number, token?: number): void {
    this.#reached.reached(sink, Math.min(seq, this.head), token);
  }

  turned(sink: SinkName, seq: number, token: number): void {
    this.#reached.turned(sink, seq, token);
  }

  /** Whether `maintain` has something to do. */
  maintenanceDue(nowMs: number): boolean {
    return this.#window.due(nowMs) !== null;
  }

  /** One short step of upkeep. To be called in a transaction. @returns whether there was one. */
  maintain(nowMs: number): boolean {
    const work = this.#window.due(nowMs);
    if (!work) return false;
    // The notes go with the rows that a flush deletes, so what they say is written first.
    if (work.kind === "flush") {
      this.#readNotes();
      this.#edges.write(nowMs, nowMs - 2 * this.#windowMs);
      this.#sources.write();
    }
    this.#window.maintain(work);
    if (work.kind === "flush") {
      this.places.trim(nowMs, Math.min(...SINKS.map((sink) => this.cursor(sink))), this.head);
    }
    return true;
  }

  status(): LogStatus {
    const whole = this.#read();
    const { redelivered, ...row } = withoutDay(whole);
    this.#readNotes();
    const { ids, bytes } = this.#window.size;
    const { released } = this.places;
    return {
      ...row,
      epoch: this.lineage.epoch,
      committed: row.committed + released,
      quarantined: row.quarantined - released,
      redelivered_messages: redelivered,
      ids,
      id_memory_bytes: bytes,
      cursors: this.#reached.all(),
      rules: this.places.rulesVersion,
      oldest_gap_at: this.#edges.oldestGapAt(),
      sources: this.#sources.all(),
      messages: whole.messages,
      newest_day: dayCounts(whole),
    };
  }

  /** Messages owed that became known to be missing in from..to, milliseconds. */
  owedBetween(fromMs: number, toMs: number): number {
    this.#readNotes();
    return this.#edges.owedBetween(fromMs, toMs);
  }

  forget(): void {
    this.#row = null;
    this.#reached.forget();
    this.#noted = false;
    this.#window.forget();
    this.places.forget();
    this.lineage.forget();
  }

  #readNotes(): void {
    if (this.#noted) return;
    this.#edges.load();
    this.#sources.load();
    for (const { at, note } of this.#window.notes()) {
      const { edges, sources } = readNote(note);
      this.#edges.replay(edges, at);
      this.#sources.replay(sources);
    }
    this.#noted = true;
  }

  #read(): LogRow {
    this.#row ??= this.#sql
      .exec<LogRow>(
        `SELECT shard, head, accepted, arrived, committed, quarantined, duplicates, suppressed, redelivered, gaps,
           committed_at, moved_in, moved_out, late, clock_skewed, republished,
           ${DAY_NAMES.join(", ")} FROM log`,
      )
      .one();
    return this.#row;
  }

  #write(row: LogRow): void {
    this.#sql.exec(
      `UPDATE log SET head = ?, accepted = ?, arrived = ?, committed = ?, quarantined = ?, duplicates = ?,
         suppressed = ?, redelivered = ?, gaps = ?, committed_at = ?, moved_in = ?, moved_out = ?, late = ?, clock_skewed = ?,
         republished = ?, ${DAY_NAMES.map((name) => `${name} = ?`).join(", ")}`,
      row.head,
      row.accepted,
      row.arrived,
      row.committed,
      row.quarantined,
      row.duplicates,
      row.suppressed,
      row.redelivered,
      row.gaps,
      row.committed_at,
      row.moved_in,
      row.moved_out,
      row.late,
      row.clock_skewed,
      row.republished,
      ...DAY_NAMES.map((name) => row[name]),
    );
    this.#row = row;
  }
}

/** Indexes of ids that are owned, or stand in the same commit a second time. */
function ownedOrRepeated(ids: Uint8Array, owned: Uint8Array): number[] {
  const words = toWords(ids);
  const seen = new IdSet();
  const refused: number[] = [];
  for (let i = 0; i < owned.length; i++) if (owned[i] === 1 || !seen.add(words, i)) refused.push(i);
  return refused;
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

/** Ids that a parent may own: the lines', then those that account for parts of its messages. */
export function idsAskedFor({ ids, messages }: SegmentCommit): Uint8Array {
  const parts = messages.flatMap(({ movedIn }) => movedIn ?? []);
  if (parts.length === 0) return ids;
  const all = new Uint8Array(ids.byteLength + sum(parts, ({ byteLength }) => byteLength));
  all.set(ids);
  let at = ids.byteLength;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}

const placeOf = (row: LogRow): NewPlace => ({
  seq: row.head,
  at: row.committed_at,
  sums: { events: row.committed, quarantined: row.quarantined },
});

/** Notes were a list of what the edges said, before there was more to say. */
function readNote(text: string): CommitNote {
  const note = JSON.parse(text) as CommitNote | readonly EdgeNote[];
  return Array.isArray(note) ? { edges: note, sources: [] } : (note as CommitNote);
}
