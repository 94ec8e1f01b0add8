/** Event rows for tests and benchmarks: seeded, with the texts that break encoders among them. */
import fc from "fast-check";
import { EVENT_COLUMNS, type EventRow } from "../../r2-layout/event-columns.ts";
import { DAY_US } from "../../r2-layout/time.ts";

/** 2026-11-22T00:00:00Z in microseconds. */
export const TODAY_US = Date.UTC(2026, 10, 22) * 1_000;

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.constantFrom(
    "",
    "page",
    "München",
    "😀",
    "\u{10FFFF}",
    "\uFFFD",
    "a".repeat(80),
    "😀".repeat(20),
    "\u0000",
    "'\"\\",
  ),
);
const micros = fc.integer({ min: -3 * DAY_US, max: DAY_US - 1 }).map((us) => TODAY_US + us);

const values = {
  utf8: text,
  timestamp_us: micros,
  int32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  int64: fc.maxSafeInteger(),
  float64: fc.double({ noNaN: true, noDefaultInfinity: true }),
  list_utf8: fc.array(text, { maxLength: 3 }),
  map_utf8: fc.dictionary(text, text, { maxKeys: 4 }),
};

/** Any row that the columns allow. */
export const eventRowArbitrary: fc.Arbitrary<EventRow> = fc.record(
  Object.fromEntries(
    Object.entries(EVENT_COLUMNS).map(([name, { type, required }]) => [
      name,
      required ? values[type] : fc.option(values[type] as fc.Arbitrary<unknown>, { freq: 3 }),
    ]),
  ),
) as unknown as fc.Arbitrary<EventRow>;

/** An ordinary event. */
export function eventRow(id: number, part: Partial<EventRow> = {}): EventRow {
  return {
    event_id: `event-${id}`,
    event_name: ["page", "Product Viewed", "Order Completed"][id % 3]!,
    event_type: "track",
    source: "shop",
    user_id: id % 2 === 0 ? `user-${id % 17}` : null,
    anonymous_id: `device-${id % 31}`,
    event_time: TODAY_US + id * 1_001,
    received_at: TODAY_US + id * 1_001 + 5,
    properties: { price: String(id), city: "München" },
    log_shard: 0,
    log_seq: 1,
    ...part,
  };
}
