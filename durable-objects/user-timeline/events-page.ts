/**
 * One page of a timeline, newest first: the head's events merged with the chunks, which are in order among themselves.
 * A page ends at its limit, or after `TIMELINE.pageBytes` sent or `TIMELINE.scanBytes` looked through, so that neither a device
 * with one event among 100,000 nor events of 32 kB make an answer too slow or too large; it then has a cursor.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { TIMELINE } from "../../r2-layout/limits.ts";
import type { EventsPage, EventsRequest } from "./api.ts";
import type { Chunk, ChunkStore } from "./chunk-store.ts";
import type { Position } from "./event-order.ts";
import { comparePositions, formatCursor, parseCursor, startOf } from "./event-order.ts";
import type { Entry } from "./timeline-entry.ts";
import { newestFirst, sizeOf } from "./timeline-entry.ts";

/** @throws RangeError for a cursor that no page gave; check what comes from outside with `parseCursor` first. */
export function readPage(chunks: ChunkStore, open: readonly Entry[], request: EventsRequest): EventsPage {
  const before = upperEnd(request);
  const wanted = (entry: Entry): boolean =>
    (!before || comparePositions(entry.position, before) < 0) &&
    (request.from === undefined || entry.position.time >= request.from) &&
    (request.anonymousId === undefined || entry.event.anonymous_id === request.anonymousId);
  const page = new Page(request);
  const rest = open.filter(wanted).sort(newestFirst);
  for (const chunk of chunks.newest(before)) {
    if (request.from !== undefined && chunk.lastTime < request.from) break;
    const entries = mayHold(chunk, request.anonymousId) ? chunks.read(chunk) : [];
    const within = rest.findIndex(({ position }) => comparePositions(position, chunk.first) < 0);
    const newer = rest.splice(0, within < 0 ? rest.length : within);
    for (const entry of [...newer, ...entries.filter(wanted)].sort(newestFirst)) {
      if (!page.add(entry)) return page.end();
    }
    if (!page.scanned(entries, chunk.first)) return page.end();
  }
  for (const entry of rest) if (!page.add(entry)) return page.end();
  return { events: page.events, next: null };
}

const mayHold = (chunk: Chunk, anonymousId: string | undefined): boolean =>
  anonymousId === undefined || chunk.devices === null || chunk.devices.includes(anonymousId);

function upperEnd({ to, cursor }: EventsRequest): Position | null {
  const end = to === undefined ? null : startOf(to);
  if (cursor === undefined) return end;
  const last = parseCursor(cursor);
  if (!last) throw new RangeError("cursor is not one that a page gave");
  return end && comparePositions(end, last) < 0 ? end : last;
}

class Page {
  readonly events: EventRow[] = [];
  readonly #limit: number;
  readonly #bytesMax: number;
  #bytes = 0;
  #scanned = 0;
  /** Everything at or after it is on this page or does not match. */
  #last: Position | null = null;

  constructor({ limit, maxBytes }: EventsRequest) {
    this.#limit = Math.min(Math.max(1, Math.floor(limit)), TIMELINE.pageLimitMax);
    this.#bytesMax = Math.min(maxBytes ?? TIMELINE.pageBytes, TIMELINE.pageBytes);
  }

  /** False: the page is full, the entry is for the next. A page has one event at least. */
  add({ position, event, line }: Entry): boolean {
    const full = this.events.length === this.#limit || this.#bytes + line.length > this.#bytesMax;
    if (full && this.events.length > 0) return false;
    this.events.push(event);
    this.#bytes += line.length;
    this.#last = position;
    return true;
  }

  /** False: enough was looked through; what is older than the chunk is for the next page. */
  scanned(entries: readonly Entry[], first: Position): boolean {
    this.#scanned += sizeOf(entries);
    this.#last = first;
    return this.#scanned < TIMELINE.scanBytes;
  }

  end(): EventsPage {
    return { events: this.events, next: this.#last && formatCursor(this.#last) };
  }
}
