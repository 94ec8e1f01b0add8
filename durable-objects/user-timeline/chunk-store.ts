/**
 * The closed chunks of a timeline: rows of some 64 KiB of events, deflated. Their ranges never overlap in the order of
 * event-order.ts, like the leaves of a B+-tree, so a page is read from the one or few rows that hold it, however late
 * events came, and "the oldest chunk" is what retention drops. A late event is merged into the chunk it belongs to.
 */
import { TIMELINE } from "../../r2-layout/limits.ts";
import type { Position } from "./event-order.ts";
import { comparePositions, tieBytes, tieOfBytes } from "./event-order.ts";
import { packLines, unpackLines } from "./event-packing.ts";
import type { SessionPart } from "./session-rule.ts";
import { sessionsOf } from "./session-rule.ts";
import type { Entry } from "./timeline-entry.ts";
import { entryOfLine, oldestFirst, sizeOf } from "./timeline-entry.ts";

/** What is known of a chunk without unpacking it. */
export interface Chunk {
  readonly id: number;
  readonly first: Position;
  /** event_time of its newest event; the first of the next chunk is the exact end. */
  readonly lastTime: number;
  readonly events: number;
  /** Stored bytes. */
  readonly bytes: number;
  /** Devices of its events; null where there are too many to list. */
  readonly devices: readonly string[] | null;
  readonly sessions: readonly SessionPart[];
}

interface Totals {
  events: number;
  bytes: number;
}

type ChunkRow = {
  id: number;
  first_time: number;
  first_tie: ArrayBuffer;
  last_time: number;
  events: number;
  bytes: number;
  devices: string | null;
  sessions: string;
};

const HEADER = "id, first_time, first_tie, last_time, events, bytes, devices, sessions";
const DEVICES_LISTED = 8;
/** A merged chunk may grow this far before it is split: fewer, fuller rows. */
const SPLIT_AT = 1.5 * TIMELINE.rowBytes;

export class ChunkStore {
  readonly #sql: SqlStorage;
  /** The table is made with the first chunk: most subjects never fill one. */
  #exists: boolean;
  #totals: Totals | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#exists = hasTable(sql, "chunk");
  }

  /**
   * Chunks that begin before a position (all for null), newest first; read as far as the caller iterates, a few at a time: a
   * cursor that is left in the middle would stay open, and SQLite refuses to change or drop a table meanwhile.
   */
  *newest(before: Position | null): Generator<Chunk> {
    const order = "ORDER BY first_time DESC, first_tie DESC LIMIT ?";
    for (let from = before, size = 4; ; size = Math.min(64, size * 2)) {
      const where = from ? "WHERE (first_time, first_tie) < (?, ?)" : "";
      const chunks = this.#select<ChunkRow>(`${HEADER} FROM chunk ${where} ${order}`, ...keyOf(from), size).map(
        chunkOf,
      );
      yield* chunks;
      if (chunks.length < size) return;
      from = chunks.at(-1)!.first;
    }
  }

  /** Oldest first. */
  read(chunk: Chunk): Entry[] {
    const [row] = this.#select<{ data: ArrayBuffer }>("data FROM chunk WHERE id = ?", chunk.id);
    return unpackLines(new Uint8Array(row!.data)).map(entryOfLine);
  }

  /**
   * Takes events in, oldest first, that are more than one row should hold. Those within the range of the chunks are
   * merged there; of the newer ones as many as fill whole chunks. @returns the newest rest, less than a row
   */
  settle(entries: readonly Entry[]): Entry[] {
    const newest = this.#chunk("ORDER BY first_time DESC, first_tie DESC");
    const newer = newest ? entries.findIndex(({ position }) => position.time > newest.lastTime) : 0;
    const late = newer < 0 ? entries.length : newer;
    this.#merge(entries.slice(0, late));
    const groups = fullGroups(entries.slice(late));
    const rest = groups.pop() ?? [];
    for (const group of groups) this.#insert(group);
    return rest;
  }

  /** The chunks within whose ranges positions (oldest first) fall: only there can an event of such a position be. */
  around(positions: readonly Position[]): Chunk[] {
    const chunks: Chunk[] = [];
    for (let at = 0; at < positions.length; ) {
      const chunk = this.#before(positions[at]!);
      const next = chunk ? this.#after(chunk) : this.oldest();
      if (chunk) chunks.push(chunk);
      else if (!next) return [];
      do at++;
      while (at < positions.length && (!next || comparePositions(positions[at]!, next.first) < 0));
    }
    return chunks;
  }

  /** Puts other events, oldest first, into a chunk; all of them within its range. One that is left empty goes. */
  replace(chunk: Chunk, entries: readonly Entry[]): void {
    const [first, ...more] = sizeOf(entries) > SPLIT_AT ? evenGroups(entries) : [entries];
    if (first!.length > 0) this.#rewrite(chunk, first!);
    else this.drop(chunk);
    for (const group of more) this.#insert(group);
  }

  totals(): Readonly<Totals> {
    if (!this.#totals) {
      const [sums] = this.#select<Record<keyof Totals, number | null>>(
        "sum(events) AS events, sum(bytes) AS bytes FROM chunk",
      );
      this.#totals = { events: sums?.events ?? 0, bytes: sums?.bytes ?? 0 };
    }
    return this.#totals;
  }

  oldest(): Chunk | null {
    return this.#chunk("ORDER BY first_time, first_tie");
  }

  drop(chunk: Chunk): void {
    this.#count(-chunk.events, -chunk.bytes);
    this.#sql.exec("DELETE FROM chunk WHERE id = ?", chunk.id);
  }

  /** Chunks all of whose events were received before this time, microseconds. */
  receivedBefore(us: number): Chunk[] {
    return this.#select<ChunkRow>(`${HEADER} FROM chunk WHERE received_until < ?`, us).map(chunkOf);
  }

  /** The received_at by which the first chunk to expire was complete; null where there is no chunk. */
  firstReceivedUntil(): number | null {
    const [row] = this.#select<{ at: number | null }>("min(received_until) AS at FROM chunk");
    return row?.at ?? null;
  }

  #merge(entries: readonly Entry[]): void {
    for (let at = 0; at < entries.length; ) {
      const chunk = this.#holding(entries[at]!.position);
      const next = this.#after(chunk);
      let end = at + 1;
      while (end < entries.length && (!next || comparePositions(entries[end]!.position, next.first) < 0)) end++;
      this.replace(chunk, [...this.read(chunk), ...entries.slice(at, end)].sort(oldestFirst));
      at = end;
    }
  }

  /** The chunk whose range a position falls into: the last that begins at or before it, else the oldest. */
  #holding(position: Position): Chunk {
    const chunk = this.#before(position) ?? this.oldest();
    if (!chunk) throw new Error("a late event needs a chunk that is newer");
    return chunk;
  }

  #before(position: Position): Chunk | null {
    const clause = "WHERE (first_time, first_tie) <= (?, ?) ORDER BY first_time DESC, first_tie DESC";
    return this.#chunk(clause, position);
  }

  #after({ first }: Chunk): Chunk | null {
    return this.#chunk("WHERE (first_time, first_tie) > (?, ?) ORDER BY first_time, first_tie", first);
  }

  #chunk(clause: string, position?: Position): Chunk | null {
    const [row] = this.#select<ChunkRow>(`${HEADER} FROM chunk ${clause} LIMIT 1`, ...keyOf(position ?? null));
    return row ? chunkOf(row) : null;
  }

  #select<Row extends Record<string, SqlStorageValue>>(query: string, ...bindings: unknown[]): Row[] {
    return this.#exists ? this.#sql.exec<Row>(`SELECT ${query}`, ...bindings).toArray() : [];
  }

  #create(): void {
    // `data` comes last: what stands before it is read without touching its pages.
    this.#sql.exec(`CREATE TABLE chunk (
      id INTEGER PRIMARY KEY,
      first_time INTEGER NOT NULL,
      first_tie BLOB NOT NULL,
      last_time INTEGER NOT NULL,
      received_until INTEGER NOT NULL,
      events INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      devices TEXT,
      sessions TEXT NOT NULL,
      data BLOB NOT NULL)`);
    this.#sql.exec("CREATE UNIQUE INDEX chunk_order ON chunk (first_time, first_tie)");
    this.#exists = true;
  }

  #insert(entries: readonly Entry[]): void {
    if (!this.#exists) this.#create();
    const row = packChunk(entries);
    this.#sql.exec(
      `INSERT INTO chunk (first_time, first_tie, last_time, received_until, events, bytes, devices, sessions, data)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...row.key,
      ...row.rest,
    );
    this.#count(entries.length, row.bytes);
  }

  /** Leaves the key alone where it stays, as it mostly does: an index entry is a row written, too. */
  #rewrite(chunk: Chunk, entries: readonly Entry[]): void {
    const row = packChunk(entries);
    if (comparePositions(chunk.first, entries[0]!.position) !== 0) {
      this.#sql.exec("UPDATE chunk SET first_time = ?, first_tie = ? WHERE id = ?", ...row.key, chunk.id);
    }
    this.#sql.exec(
      `UPDATE chunk SET last_time = ?, received_until = ?, events = ?, bytes = ?, devices = ?, sessions = ?, data = ?
       WHERE id = ?`,
      ...row.rest,
      chunk.id,
    );
    this.#count(entries.length - chunk.events, row.bytes - chunk.bytes);
  }

  #count(events: number, bytes: number): void {
    if (!this.#totals) return;
    this.#totals.events += events;
    this.#totals.bytes += bytes;
  }
}

/** Reading what was never written must not make tables: a look at an unknown id would leave an object behind. */
export function hasTable(sql: SqlStorage, name: string): boolean {
  return sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", name).toArray().length > 0;
}

const keyOf = (position: Position | null): [] | [number, Uint8Array] =>
  position ? [position.time, tieBytes(position.tie)] : [];

const chunkOf = (row: ChunkRow): Chunk => ({
  id: row.id,
  first: { time: row.first_time, tie: tieOfBytes(new Uint8Array(row.first_tie)) },
  lastTime: row.last_time,
  events: row.events,
  bytes: row.bytes,
  devices: row.devices === null ? null : (JSON.parse(row.devices) as string[]),
  /** Parsed when asked for: pages never do. */
  get sessions() {
    return JSON.parse(row.sessions) as SessionPart[];
  },
});

function packChunk(entries: readonly Entry[]) {
  const data = packLines(entries.map(({ line }) => line));
  const devices = new Set<string>();
  let receivedUntil = 0;
  for (const { event } of entries) {
    if (event.anonymous_id) devices.add(event.anonymous_id);
    receivedUntil = Math.max(receivedUntil, event.received_at);
  }
  return {
    key: keyOf(entries[0]!.position),
    bytes: data.byteLength,
    rest: [
      entries.at(-1)!.position.time,
      receivedUntil,
      entries.length,
      data.byteLength,
      devices.size > DEVICES_LISTED ? null : JSON.stringify([...devices]),
      JSON.stringify(sessionsOf(entries.map(({ event }) => event))),
      data,
    ],
  };
}

/** Groups filled one after another: the last is what did not fill one. */
function fullGroups(entries: readonly Entry[]): Entry[][] {
  return groupsOf(entries, TIMELINE.rowBytes);
}

/** Groups of about one size, so that none is a sliver. */
function evenGroups(entries: readonly Entry[]): Entry[][] {
  const size = sizeOf(entries);
  return groupsOf(entries, Math.ceil(size / Math.ceil(size / TIMELINE.rowBytes)));
}

/** Cuts before the event that would exceed the size; a larger event has a group to itself. */
function groupsOf(entries: readonly Entry[], sizeMax: number): Entry[][] {
  const groups: Entry[][] = [];
  let size = sizeMax;
  for (const entry of entries) {
    if (size + entry.line.length > sizeMax || groups.length === 0) {
      groups.push([]);
      size = 0;
    }
    groups.at(-1)!.push(entry);
    size += entry.line.length;
  }
  return groups;
}
