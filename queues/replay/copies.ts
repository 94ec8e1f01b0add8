/** Copies of one event that a settlement or an audit found, and which of them go. Pure. */
import type { Settled } from "../../durable-objects/replay-desk/api.ts";
import type { RecordedHole } from "../../durable-objects/sink-cursor/api.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import type { EventPlace, RuleFilter } from "../../r2-layout/rule.ts";
import { dayOf } from "../../r2-layout/time.ts";

export const REPUBLISHED = "republished";

/** One copy: where it stands, and what decides. */
export interface EventCopy extends EventPlace {
  /** Microseconds. */
  readonly eventTime: number;
  readonly receivedAt: number;
  readonly republished: boolean;
}

export const copyOf = (row: EventRow): EventCopy => ({
  shard: row.log_shard,
  seq: row.log_seq,
  source: row.source,
  event_id: row.event_id,
  eventTime: row.event_time,
  receivedAt: row.received_at,
  republished: row.flags?.includes(REPUBLISHED) ?? false,
});

export const idKey = ({ source, event_id }: { source: string; event_id: string }): string => `${source}\n${event_id}`;

export const placeKey = ({ shard, seq, ...id }: EventPlace): string => `${shard}/${seq}/${idKey(id)}`;

/** Of republished events the newest republished copy stays, all others go. */
export function supersededCopies(copies: readonly EventCopy[]): EventCopy[] {
  return allButOne(copies, (group) => {
    const republished = group.filter((copy) => copy.republished);
    return republished.reduce<EventCopy | null>(
      (newest, copy) => (newest && isBefore(copy, newest) ? newest : copy),
      null,
    );
  });
}

/** Of repeated ids the copy that the log took first stays; at the same time, the one in the lower shard. */
export function repeatedCopies(copies: readonly (EventCopy & { readonly committedAt: number })[]): EventCopy[] {
  return allButOne(copies, (group) =>
    group.reduce((first, copy) => {
      const earlier = copy.committedAt - first.committedAt || copy.shard - first.shard || copy.seq - first.seq;
      return earlier < 0 ? copy : first;
    }),
  );
}

/** All but the one that stays of each event that has several. */
function allButOne<Copy extends EventCopy>(copies: readonly Copy[], keeps: (group: Copy[]) => Copy | null): Copy[] {
  // A place may have been found twice: by two readings of the same segment.
  const byPlace = new Map(copies.map((copy) => [placeKey(copy), copy]));
  const groups = Map.groupBy(byPlace.values(), idKey);
  return [...groups.values()].flatMap((group) => {
    if (group.length < 2) return [];
    const kept = keeps(group);
    return kept === null ? [] : group.filter((copy) => copy !== kept);
  });
}

const isBefore = (one: EventCopy, other: EventCopy): boolean =>
  (one.receivedAt - other.receivedAt || one.shard - other.shard || one.seq - other.seq) < 0;

/** Filters of rules that retract these copies: so many places each, by time, so that a rule touches few files. */
export function retractions(copies: readonly EventCopy[], placesPerRule: number): RuleFilter[] {
  const sorted = copies.toSorted((a, b) => a.eventTime - b.eventTime || a.shard - b.shard || a.seq - b.seq);
  const filters: RuleFilter[] = [];
  for (let first = 0; first < sorted.length; first += placesPerRule) {
    const some = sorted.slice(first, first + placesPerRule);
    filters.push({
      from: some[0]!.eventTime,
      to: some.at(-1)!.eventTime + 1,
      places: some.map(({ shard, seq, source, event_id }) => ({ shard, seq, source, event_id })),
    });
  }
  return filters;
}

/**
 * The copies, and under the places before it those that the lake left out once and got back as another segment: rows of that
 * segment pass through rules by the place that they came from (queues/read-log.ts), where the other stores have them.
 */
export async function withOrigins(
  copies: readonly EventCopy[],
  lakeHoles: (shard: number) => Promise<readonly Pick<RecordedHole, "seq" | "redrivenAs">[]>,
): Promise<EventCopy[]> {
  const all = [...copies];
  for (const [shard, some] of Map.groupBy(copies, (copy) => copy.shard)) {
    const origins = new Map((await lakeHoles(shard)).map(({ seq, redrivenAs }) => [redrivenAs, seq]));
    for (const copy of some) {
      // What came back may have been left out once more.
      for (let seq = origins.get(copy.seq); seq !== undefined; seq = origins.get(seq)) all.push({ ...copy, seq });
    }
  }
  return all;
}

export function settledCounts(copies: readonly EventCopy[], cause: Settled["cause"]): Settled[] {
  const groups = Map.groupBy(copies, ({ receivedAt, shard }) => `${dayOf(receivedAt)}/${shard}`);
  return [...groups.values()].map((group) => ({
    day: dayOf(group[0]!.receivedAt),
    shard: group[0]!.shard,
    cause,
    events: group.length,
  }));
}

export function addSettled(known: readonly Settled[], more: readonly Settled[]): Settled[] {
  const sums = new Map<string, Settled>();
  for (const one of [...known, ...more]) {
    const key = `${one.day}/${one.shard}/${one.cause}`;
    sums.set(key, { ...one, events: (sums.get(key)?.events ?? 0) + one.events });
  }
  return [...sums.values()];
}
