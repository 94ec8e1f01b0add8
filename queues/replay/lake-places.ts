/**
 * Rows of the lake as another sink has them. A segment that one of the two left out came back to that one alone, as a
 * segment of its own, so the same event stands in different places; who reads the lake for a sink in one part of the log,
 * and the log in another, would have it twice or not at all:
 *
 *     the sink left 2 out, got it back as 9        the lake has the event at 2, the log gives it to the sink at 9
 *     the lake left 2 out, got it back as 9        the lake has it at 9, which the log moves over for the sink; the sink has it at 2
 *     both did, as 8 (lake) and 9 (sink)           the lake has it at 8, the log gives it at 9
 *
 * Each event is given where the log gives it to the sink, whichever of the two is read. That is told by the redrives, whose
 * lines name the place that they came from first, for as long as the log has them; of older ones the lake's place is the only one.
 */
import type { RecordedHole } from "../../durable-objects/sink-cursor/api.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";

type Holes = readonly Pick<RecordedHole, "seq" | "redrivenAs">[];

export interface LakePart {
  /** Exclusive, inclusive. */
  readonly from: number;
  readonly to: number;
  /** Only events in this range of event_time, milliseconds, half open. */
  readonly window?: { readonly from: number; readonly to: number };
  readonly events: readonly EventRow[];
}

export interface SinkHoles {
  /** The sink's and the lake's, of this shard, those that came back, too. */
  readonly own: Holes;
  readonly lake: Holes;
  /** The first segment that the log still has. */
  readonly oldest: number;
}

/** An event of a redrive. */
export interface RedrivenRow {
  /** As it was, at the place that it came from first. */
  readonly was: EventRow;
  /** As the rules leave it; null where one retracts it. */
  readonly is: EventRow | null;
}

/** @param rowsOf the rows of a redrive, less what the sink has left out of it and not got back */
export async function asTheSinkHasThem(
  part: LakePart,
  { own, lake, oldest }: SinkHoles,
  rowsOf: (seq: number) => Promise<readonly RedrivenRow[]>,
): Promise<EventRow[]> {
  const ownBack = redrivesOf(own, oldest, part.to);
  const lakeBack = redrivesOf(lake, oldest, part.to);
  if (ownBack.length + lakeBack.length === 0) return [...part.events];

  // A redrive may have become a hole, too: then the last one has it.
  const given = new Map<string, number>();
  for (const seq of ownBack) for (const { was } of await rowsOf(seq)) given.set(keyOf(was, was.log_seq), seq);

  const ofLakeAlone = new Set(lakeBack);
  const firstPlace = rootsOf(lake);
  const rows = part.events.filter(
    (row) => !ofLakeAlone.has(row.log_seq) && !given.has(keyOf(row, firstPlace(row.log_seq))),
  );
  const put = new Set<string>();
  const add = ({ was, is }: RedrivenRow, seq: number) => {
    const key = keyOf(was, was.log_seq);
    if (seq <= part.from || seq > part.to || put.has(key) || !isWithin(part, was)) return;
    put.add(key);
    if (is !== null) rows.push({ ...is, log_seq: seq });
  };
  for (const seq of lakeBack) {
    for (const row of await rowsOf(seq)) if (!given.has(keyOf(row.was, row.was.log_seq))) add(row, row.was.log_seq);
  }
  for (const seq of ownBack) {
    for (const row of await rowsOf(seq)) if (given.get(keyOf(row.was, row.was.log_seq)) === seq) add(row, seq);
  }
  return rows.sort((a, b) => a.log_seq - b.log_seq);
}

/** Those that the log still has, of holes up to `to`, in order. */
function redrivesOf(holes: Holes, oldest: number, to: number): number[] {
  const firstPlace = rootsOf(holes);
  return holes
    .flatMap(({ redrivenAs }) => (redrivenAs !== null && redrivenAs >= oldest ? [redrivenAs] : []))
    .filter((seq) => firstPlace(seq) <= to)
    .sort((a, b) => a - b);
}

/** Of a redrive the segment that its lines stood in first, of any other itself. */
function rootsOf(holes: Holes): (seq: number) => number {
  const before = new Map(holes.map(({ seq, redrivenAs }) => [redrivenAs, seq]));
  return (seq) => {
    let root = seq;
    for (let origin = before.get(root); origin !== undefined; origin = before.get(root)) root = origin;
    return root;
  };
}

const keyOf = ({ source, event_id }: EventRow, place: number): string => `${place}\n${source}\n${event_id}`;

const isWithin = ({ window }: LakePart, { event_time: at }: EventRow): boolean =>
  !window || (at >= window.from * MICROS_PER_MS && at < window.to * MICROS_PER_MS);
