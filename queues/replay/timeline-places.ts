/**
 * Where the events of the lake stand in timelines. Mostly at the same place in the log; not where one of the two stores left
 * lines out, which came back to it alone as a segment of their own:
 *
 *     the lake left 5 out, it came back as 9        the lake has the events at 9, timelines at 5
 *     and left 9 out, too, which came back as 12    the lake has them at 12, timelines at 5
 *     timelines left a line of 5 out                which line an event of the lake stood in, the lake does not know: what
 *     (back as 9, or not yet)                       timelines have of 5 and 9 is read from the log as they read it
 *     the lake left 5 out, it has not come back     the lake does not have what timelines have: read from the log
 *     or came back as 9, and it left 9 out, too     the same: 5 is read
 *     or came back once the rule was being raised   the lake may have got it through the rule: it names no change of it. Read, too
 *
 * An event put at another place than its own would be there twice.
 */
import type { RecordedHole } from "../../durable-objects/sink-cursor/api.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import type { ChangedRow } from "./rule-parts.ts";

/** Of one shard; plain JSON. */
export interface TimelinePlaces {
  /** The lake's place, and the one in timelines. */
  readonly moved: readonly (readonly [lake: number, timelines: number])[];
  /** Segments of which the lake's word does not hold for timelines. */
  readonly apart: readonly number[];
  /** Segments of which timelines may have what the lake cannot name, in order. */
  readonly read: readonly number[];
}

type Holes = readonly Pick<RecordedHole, "seq" | "redrivenAs" | "cause">[];

/** @param lakeBefore the lake's cursor before the rule was raised */
export function timelinePlaces(lake: Holes, sessions: Holes, lakeBefore: number): TimelinePlaces {
  const before = new Map(lake.map(({ seq, redrivenAs }) => [redrivenAs, seq]));
  // What came back may have been left out once more: timelines have it where it stood first.
  const firstPlace = (seq: number): number => {
    const origin = before.get(seq);
    return origin === undefined ? seq : firstPlace(origin);
  };
  const read = new Set<number>();
  for (const { seq, redrivenAs } of sessions) {
    read.add(seq);
    if (redrivenAs !== null) read.add(redrivenAs);
  }
  for (const { seq, redrivenAs } of lake) {
    if (redrivenAs === null || redrivenAs > lakeBefore) read.add(seq).add(firstPlace(seq));
  }
  return {
    moved: lake.flatMap(({ redrivenAs }) =>
      redrivenAs === null ? [] : [[redrivenAs, firstPlace(redrivenAs)] as const],
    ),
    apart: sessions.map(({ seq }) => seq),
    read: [...read].sort((a, b) => a - b),
  };
}

/**
 * Segments, in order, of which rollups may have rows that are named neither by the lake nor by what timelines have of the log.
 *
 *     lake and timelines left 5 out                            nobody names it
 *     timelines did, the lake took it above its cursor of      it may have passed the rule on its way into the lake, while
 *     before the rule                                          rollups had it before
 *     one of these, and the rollups left it out, back as 9     they have it at 9
 */
export function rollupPlaces(lake: Holes, sessions: Holes, rollups: Holes, lakeBefore: number): number[] {
  const inLake = new Set(lake.map(({ seq }) => seq));
  const places = new Set(sessions.map(({ seq }) => seq).filter((seq) => seq > lakeBefore || inLake.has(seq)));
  if (places.size > 0) for (const { redrivenAs } of rollups) if (redrivenAs !== null) places.add(redrivenAs);
  return [...places].sort((a, b) => a - b);
}

/** The lake's pairs as timelines have them, less those that are to be read from the log. */
export function pairsAsInTimelines(
  pairs: readonly ChangedRow[],
  places: Readonly<Record<number, TimelinePlaces>>,
): ChangedRow[] {
  const byShard = new Map(
    Object.entries(places).map(([shard, { moved, apart }]) => [
      Number(shard),
      { moved: new Map(moved), apart: new Set(apart) },
    ]),
  );
  return pairs.flatMap((pair) => {
    const { log_shard, log_seq } = pair.before;
    const known = byShard.get(log_shard);
    const seq = known?.moved.get(log_seq) ?? log_seq;
    if (known?.apart.has(seq)) return [];
    if (seq === log_seq) return [pair];
    const at = (row: EventRow): EventRow => ({ ...row, log_seq: seq });
    return [{ before: at(pair.before), after: pair.after && at(pair.after) }];
  });
}
