/**
 * Which of a timeline's events an amendment takes out, puts in another's place or leaves. An event is known by its place
 * in the log and its id, which is the tie of its position; no rule changes its time, so its position is known, too, and
 * only the chunk of that position has to be looked at. A removal that does not name the time is looked for everywhere.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import type { RemovedPlace, TimelineAmend } from "./api.ts";
import type { Position } from "./event-order.ts";
import { comparePositions, tieOf } from "./event-order.ts";
import type { Entry } from "./timeline-entry.ts";
import { entryOf } from "./timeline-entry.ts";

export const placeOf = (event: EventRow): RemovedPlace => ({
  shard: event.log_shard,
  seq: event.log_seq,
  source: event.source,
  event_id: event.event_id,
  event_time: event.event_time,
  received_at: event.received_at,
});

interface Wanted {
  /** Null where its time is not known. */
  readonly position: Position | null;
  readonly receivedAt: number | undefined;
  /** Null: it is to go. */
  readonly put: Entry | null;
}

export class Exchange {
  /** By the tie of the position. */
  readonly #wanted = new Map<string, Wanted>();
  /** Those that were not met yet. */
  readonly #missing = new Map<string, Wanted>();
  readonly #fill: boolean;
  /** Entries as they were: taken out, or put another in their place. */
  readonly removed: Entry[] = [];
  readonly replaced: Entry[] = [];
  /** What stands in the place of `replaced`. */
  readonly replacing: Entry[] = [];

  constructor({ remove, put, fill }: Pick<TimelineAmend, "remove" | "put" | "fill">) {
    this.#fill = fill ?? false;
    for (const place of remove) {
      const tie = tieOf(place.event_id, place.source, place.shard, place.seq);
      const position = place.event_time === undefined ? null : { time: place.event_time, tie };
      this.#want(tie, { position, receivedAt: place.received_at, put: null });
    }
    for (const event of put) {
      const entry = entryOf(event);
      this.#want(entry.position.tie, { position: entry.position, receivedAt: event.received_at, put: entry });
    }
  }

  /** Events that went, or stand otherwise than before. */
  get changed(): number {
    return this.removed.length + this.replaced.length;
  }

  #want(tie: string, wanted: Wanted): void {
    this.#wanted.set(tie, wanted);
    this.#missing.set(tie, wanted);
  }

  /** Where events have to be looked for, oldest first; null: everywhere. */
  positions(): Position[] | null {
    const positions: Position[] = [];
    for (const { position } of this.#wanted.values()) {
      if (!position) return null;
      positions.push(position);
    }
    return positions.sort(comparePositions);
  }

  /** @returns these entries as the amendment leaves them, in their order; null where it changes none. */
  apply(entries: readonly Entry[]): Entry[] | null {
    let changed = false;
    const left: Entry[] = [];
    for (const entry of entries) {
      const wanted = this.#wanted.get(entry.position.tie);
      // A place of another time would be another event; only one without a time finds it.
      if (!wanted || (wanted.position && wanted.position.time !== entry.position.time)) {
        left.push(entry);
        continue;
      }
      this.#missing.delete(entry.position.tie);
      const { put } = wanted;
      if (put && (this.#fill || put.line === entry.line)) {
        left.push(entry);
        continue;
      }
      changed = true;
      if (!put) {
        this.removed.push(entry);
        continue;
      }
      this.replaced.push(entry);
      this.replacing.push(put);
      left.push(put);
    }
    return changed ? left : null;
  }

  /** What is meant, by the ties of its positions. */
  ties(): Iterable<string> {
    return this.#wanted.keys();
  }

  /** What was met nowhere. */
  missing(): Iterable<Wanted> {
    return this.#missing.values();
  }
}
