/** Adds up rows for SQL, exactly or not at all: tally-api.ts says when. Reads only. */
import { ROLLUP } from "../../r2-layout/limits.ts";
import { bucketStart } from "./bucket.ts";
import type { Position } from "./position-table.ts";
import type { AddedMinute, RecentBatches } from "./recent-batches.ts";
import { decodeDimension } from "./rollup-row.ts";
import { TABLES } from "./rollup-rows.ts";
import type { Inexact, RowRange, Tally, TallyCount, TallyRequest } from "./tally-api.ts";

interface TallySource {
  readonly sql: SqlStorage;
  readonly position: Position;
  readonly recent: RecentBatches;
}

/** @param now milliseconds: what minutes are kept is counted from it, as when they were written */
export function tally({ sql, position, recent }: TallySource, request: TallyRequest, now: number): Tally {
  const { ranges, by, seq } = request;
  const why = notTheLakes(position, request) ?? notKept(ranges, now);
  if (why) return inexact(why);
  const counts = new Counts(request);
  let changedSince = false;
  for (const { grain, from, to } of ranges) {
    const rows = sql.exec<{ start: number; changed_seq: number | null; found: number | string }>(
      `SELECT start, changed_seq, ${by ?? "events"} AS found FROM ${TABLES[grain]} WHERE start >= ? AND start < ?`,
      from,
      to,
    );
    for (const { start, changed_seq, found } of rows) {
      if (changed_seq === null) return inexact("doubtful");
      changedSince ||= changed_seq > seq;
      if (typeof found === "number") counts.add(start, null, found);
      else {
        const { approximate, values } = decodeDimension(found);
        if (approximate) return inexact("capped");
        for (const { key, events } of values) counts.add(start, key, events);
      }
      if (counts.size > ROLLUP.pointsPerAnswer) return inexact("too_many");
    }
  }
  if (changedSince) {
    const added = recent.since(seq);
    if (!added) return inexact("ahead");
    for (const delta of added) if (isIn(delta.minute, ranges)) counts.takeOff(delta);
  }
  return { exact: true, counts: counts.list() };
}

function notTheLakes({ lastSeq, leftOut, owes, rules }: Position, request: TallyRequest): Inexact | null {
  if (lastSeq < request.seq) return "behind";
  if (leftOut > 0) return "left_out";
  return owes > 0 || rules > request.rules ? "rules" : null;
}

/** An event that came when its minute was no longer kept is in no minute. */
const notKept = (ranges: readonly RowRange[], now: number): Inexact | null =>
  ranges.some(({ grain, from }) => grain === "minute" && from < now - ROLLUP.minutesKeptMs) ? "not_kept" : null;

const isIn = (minute: number, ranges: readonly RowRange[]): boolean =>
  ranges.some(({ from, to }) => minute >= from && minute < to);

const inexact = (why: Inexact): Tally => ({ exact: false, why });

class Counts {
  readonly #bucket: TallyRequest["bucket"];
  readonly #by: TallyRequest["by"];
  readonly #only: ReadonlySet<string> | null;
  /** By start, then value. */
  readonly #counts = new Map<number | null, Map<string | null, number>>();
  size = 0;

  constructor({ bucket, by, only }: TallyRequest) {
    this.#bucket = bucket;
    this.#by = by;
    this.#only = only ? new Set(only) : null;
  }

  add(ms: number, value: string | null, events: number): void {
    if (this.#only && value !== null && !this.#only.has(value)) return;
    const start = this.#bucket && bucketStart(this.#bucket, ms);
    let values = this.#counts.get(start);
    if (!values) {
      values = new Map();
      this.#counts.set(start, values);
    }
    if (!values.has(value)) this.size++;
    values.set(value, (values.get(value) ?? 0) + events);
  }

  takeOff({ minute, events, by }: AddedMinute): void {
    if (!this.#by) this.add(minute, null, -events);
    else for (const [value, some] of by[this.#by]) this.add(minute, value, -some);
  }

  list(): TallyCount[] {
    const list: TallyCount[] = [];
    for (const [start, values] of this.#counts) {
      for (const [value, events] of values) if (events > 0) list.push([start, value, events]);
    }
    return list;
  }
}
