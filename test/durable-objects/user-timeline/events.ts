/** Events as timelines look at them, for tests: a small world, so that times, devices and values meet often. */
import fc from "fast-check";
import type { TimelineAppend } from "../../../durable-objects/user-timeline/api.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";

export const MINUTE_US = 60_000_000;
export const START = Date.UTC(2026, 10, 22, 22) * 1_000;
export const SHARDS = 3;
export const SEQS = 6;

export function plainEvent(event: Partial<EventRow> & { event_id: string }): EventRow {
  const event_time = event.event_time ?? START;
  return {
    event_name: "page",
    event_type: "page",
    source: "web",
    event_time,
    received_at: event_time + 1_000,
    log_shard: 0,
    log_seq: 1,
    ...event,
  };
}

const maybe = <T>(...values: T[]) => fc.constantFrom(null, undefined, ...values);

/** Times often lie exactly 30 minutes apart, or one microsecond less; and often are equal. */
const time = fc
  .tuple(fc.nat(8), fc.constantFrom(0, 0, 1, 15 * MINUTE_US, 30 * MINUTE_US - 1))
  .map(([halfHours, rest]) => START + halfHours * 30 * MINUTE_US + rest);

const event = fc.record({
  event_id: fc.constantFrom("a", "a/b", 'q"uote', "\u{1F600}", "\uffee", "z"),
  event_name: fc.constantFrom("page", "Order Completed", "__proto__", "(other)"),
  event_type: fc.constantFrom("page", "track", "identify", "screen", "group"),
  event_time: time,
  anonymous_id: maybe("device/1", "\u{1F4F1}", 'd"3'),
  session_id: maybe("s1", "s2"),
  page_path: maybe("/", "/cart", "/thanks"),
  referrer: maybe("https://a.example/", "https://b.example/"),
  country: maybe("DE", "FR"),
  device_type: maybe("mobile", "desktop"),
  revenue: maybe(0.1, 0.2, 12.99, -3),
  currency: maybe("EUR", "USD"),
  log_shard: fc.nat(SHARDS - 1),
  log_seq: fc.integer({ min: 1, max: SEQS }),
  properties: fc.option(
    fc.record(
      {
        plan: fc.constantFrom("free", "pro"),
        name: fc.constantFrom("Ann", "\u{1F600}/\"'"),
        ["__proto__"]: fc.constant("own"),
        // Some 7 events fill a chunk, so that a few dozen have chunks to be late for.
        pad: fc.nat(9).map((kilo) => "x".repeat(kilo * 1_000)),
      },
      { requiredKeys: ["pad"] },
    ),
  ),
});

/** A user's events in the log, unique in (source, event_id) as the log makes them. */
export const loggedEvents: fc.Arbitrary<EventRow[]> = fc
  .array(event, { minLength: 1, maxLength: 80, size: "max" })
  // Through JSON, as a segment's lines are: fast-check makes objects without a prototype, which no RPC takes.
  .map((events) => JSON.parse(JSON.stringify(events)) as typeof events)
  .map((events) =>
    events.map((one, index) => plainEvent({ ...one, source: `source-${index}`, user_id: "ann" }) as EventRow),
  );

/** A flush: how many segments of a shard on from its cursor, reaching how many back, and what comes before it. */
export interface Flush {
  readonly shard: number;
  readonly segments: number;
  readonly back: number;
  readonly evict: boolean;
}

export const flushes: fc.Arbitrary<Flush[]> = fc.array(
  fc.record({
    shard: fc.nat(SHARDS - 1),
    segments: fc.nat(3),
    back: fc.nat(4),
    evict: fc.boolean(),
  }),
  { maxLength: 25 },
);

/** The appends of these flushes, and then of what they left: every event comes at least once, each shard in order. */
export function* appendsOf(events: readonly EventRow[], plan: readonly Flush[]): Generator<TimelineAppend & Flush> {
  const cursors = new Array<number>(SHARDS).fill(0);
  const rest = cursors.map((_, shard) => ({ shard, segments: SEQS, back: 0, evict: false }));
  for (const flush of [...plan, ...rest]) {
    const { shard } = flush;
    const from = Math.max(1, cursors[shard]! + 1 - flush.back);
    const to = Math.min(SEQS, cursors[shard]! + flush.segments);
    cursors[shard] = to;
    const some = events.filter(({ log_shard, log_seq }) => log_shard === shard && log_seq >= from && log_seq <= to);
    const inOrder = some.sort((a, b) => a.log_seq - b.log_seq);
    if (some.length > 0) yield { ...flush, subject: { kind: "user", id: "ann" }, from, to, events: inOrder };
  }
}
