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
import type { SinkName } from "../sink-cursor/api.ts";
import { SINKS } from "../sink-cursor/api.ts";
import type { CommitAnswer, LogStatus, PastCursor, SegmentCommit } from "./api.ts";
import { DedupWindow } from "./dedup-window.ts";
import { EdgeTable } from "./edge-table.ts";
import { IdSet } from "./id-set.ts";
import { ID_BYTES, toWords } from "./packed-ids.ts";
import { SegmentTable } from "./segment-table.ts";

/** The log's one row: its place and its cumulative counts of events. */
type LogRow = {
  shard: number;
  epoch: number;
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
};

/** Ids in one commit: a row of SQLite holds 2 MB, and one call is one transaction. The fan-out cuts at a third of it. */
const IDS_PER_COMMIT = 100_000;

export class ShardLog {
  readonly #sql: SqlStorage;
  readonly #window: DedupWindow;
  readonly #edges: EdgeTable;
  readonly #segments: SegmentTable;
  /** Caches of the rows. */
  #row: LogRow | null = null;
  #cursors: Map<SinkName, number> | null = null;

  /** @param shard taken where the log is new. */
  constructor(sql: SqlStorage, shard: number) {
    this.#sql = sql;
    this.#window = new DedupWindow(sql);
    this.#edges = new EdgeTable(sql, () => this.#window.notes());
    this.#segments = new SegmentTable(sql);
    sql.exec(`CREATE TABLE IF NOT EXISTS log (
      id INTEGER PRIMARY KEY, shard INTEGER NOT NULL, epoch INTEGER NOT NULL, head INTEGER NOT NULL,
      accepted INTEGER NOT NULL, arrived INTEGER NOT NULL, committed INTEGER NOT NULL, quarantined INTEGER NOT NULL,
      duplicates INTEGER NOT NULL, suppressed INTEGER NOT NULL, redelivered INTEGER NOT NULL, gaps INTEGER NOT NULL,
      committed_at INTEGER NOT NULL)`);
    sql.exec("CREATE TABLE IF NOT EXISTS cursors (sink TEXT PRIMARY KEY, cursor INTEGER NOT NULL) WITHOUT ROWID");
    sql.exec("INSERT OR IGNORE INTO log VALUES (0, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)", shard);
  }

  get shard(): number {
    return this.#read().shard;
  }

  get head(): number {
    return this.#read().head;
  }

  owned(ids: Uint8Array): Uint8Array {
    return this.#window.owned(ids);
  }

  /**
   * The whole commit. To be called in a transaction. The commit time never falls, whatever the clock does, because sinks
   * take it for the order of commits. @throws RangeError where counts and ids do not agree.
   */
  commit(commit: SegmentCommit, nowMs: number): CommitAnswer {
    const row = this.#read();
    const { segment, messages } = commit;
    const events = commit.ids.byteLength / ID_BYTES;
    if (events !== (segment?.events ?? 0)) throw new RangeError(`${events} ids for ${segment?.events ?? 0} events`);
    if (events + messages.length > IDS_PER_COMMIT) throw new RangeError(`${events} events in one commit`);
    if (commit.epoch !== row.epoch) return { kind: "moved", epoch: row.epoch };
    if (segment && segment.writtenAt + LOG.staleSegmentMs <= nowMs) return { kind: "stale" };

    const ids = new Uint8Array(commit.ids.byteLength + messages.length * ID_BYTES);
    ids.set(commit.ids);
    messages.forEach((message, i) => {
      if (message.id.byteLength !== ID_BYTES) throw new RangeError("a message id is 16 bytes");
      ids.set(message.id, commit.ids.byteLength + i * ID_BYTES);
    });
    const owned = ownedOrRepeated(ids, this.#window.owned(ids));
    if (owned.length > 0) {
      return {
        kind: "owned",
        ids: owned.filter((i) => i < events),
        messages: owned.filter((i) => i >= events).map((i) => i - events),
      };
    }

    const at = Math.max(nowMs, row.committed_at);
    const arrival = this.#edges.arrive(messages);
    if (ids.byteLength > 0) this.#window.insert(ids, at, arrival.note);
    const quarantined = segment?.quarantined ?? 0;
    const next: LogRow = {
      ...row,
      head: segment ? row.head + 1 : row.head,
      accepted: row.accepted + arrival.change.accepted,
      arrived: row.arrived + sum(messages, (message) => message.events),
      committed: row.committed + events - quarantined,
      quarantined: row.quarantined + quarantined,
      duplicates: row.duplicates + sum(messages, (message) => message.duplicates),
      redelivered: row.redelivered + (commit.redelivered ?? 0),
      gaps: row.gaps + arrival.change.gaps,
      committed_at: segment ? at : row.committed_at,
    };
    if (segment) {
      this.#segments.insert(next.head, segment, at, { events: next.committed, quarantined: next.quarantined });
    }
    this.#write(next);
    return { kind: "committed", seq: segment ? next.head : null };
  }

  segments(after: number, limit: number) {
    return this.#segments.after(after, Math.min(limit, LOG.segmentsPerRead));
  }

  count(after: number, to: number): { events: number; quarantined: number } {
    const upTo = this.#segments.sums(to);
    const before = this.#segments.sums(Math.min(after, to));
    return { events: upTo.events - before.events, quarantined: upTo.quarantined - before.quarantined };
  }

  past(cursor: number): PastCursor {
    const { head } = this.#read();
    const since = this.#segments.committedAt(cursor + 1);
    return { ...this.count(cursor, head), segments: Math.max(0, head - cursor), since };
  }

  unnamed(keys: readonly string[]): string[] {
    return this.#segments.unnamed(keys, this.#read().head);
  }

  cursor(sink: SinkName): number {
    return this.#readCursors().get(sink) ?? 0;
  }

  /** Never moves back, never beyond the head. */
  reached(sink: SinkName, seq: number): void {
    const cursor = Math.min(seq, this.#read().head);
    if (cursor <= this.cursor(sink)) return;
    this.#sql.exec("INSERT OR REPLACE INTO cursors VALUES (?, ?)", sink, cursor);
    this.#readCursors().set(sink, cursor);
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
    if (work.kind === "flush") this.#edges.write(nowMs, nowMs - 2 * LOG.dedupWindowMs);
    this.#window.maintain(work);
    if (work.kind === "flush") this.#segments.trim(nowMs, Math.min(...SINKS.map((sink) => this.cursor(sink))));
    return true;
  }

  status(): LogStatus {
    const { redelivered, ...row } = this.#read();
    const { ids, bytes } = this.#window.size;
    return {
      ...row,
      redelivered_messages: redelivered,
      ids,
      id_memory_bytes: bytes,
      cursors: Object.fromEntries(this.#readCursors()),
    };
  }

  forget(): void {
    this.#row = null;
    this.#cursors = null;
    this.#window.forget();
    this.#edges.forget();
  }

  #read(): LogRow {
    this.#row ??= this.#sql
      .exec<LogRow>(
        `SELECT shard, epoch, head, accepted, arrived, committed, quarantined, duplicates, suppressed, redelivered, gaps,
           committed_at FROM log`,
      )
      .one();
    return this.#row;
  }

  #write(row: LogRow): void {
    this.#sql.exec(
      `UPDATE log SET head = ?, accepted = ?, arrived = ?, committed = ?, quarantined = ?, duplicates = ?,
         redelivered = ?, gaps = ?, committed_at = ?`,
      row.head,
      row.accepted,
      row.arrived,
      row.committed,
      row.quarantined,
      row.duplicates,
      row.redelivered,
      row.gaps,
      row.committed_at,
    );
    this.#row = row;
  }

  #readCursors(): Map<SinkName, number> {
    this.#cursors ??= new Map(
      Array.from(this.#sql.exec<{ sink: SinkName; cursor: number }>("SELECT sink, cursor FROM cursors"), (row) => [
        row.sink,
        row.cursor,
      ]),
    );
    return this.#cursors;
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
