/** Events as rollups look at them, for tests. */
import fc from "fast-check";
import type { RolledEvent } from "../../../durable-objects/minute-rollup/minute-delta.ts";

export const MINUTE_US = 60_000_000;

/** A small world, so that values, minutes and users meet often; awkward names among them. */
export function rolledEvent(firstMinute: number, minutes = 4): fc.Arbitrary<RolledEvent> {
  const text = (...values: string[]) => fc.constantFrom(null, undefined, ...values);
  return fc.record({
    event_time: fc
      .tuple(fc.nat(minutes - 1), fc.nat(MINUTE_US - 1))
      .map(([minute, rest]) => firstMinute * 1_000 + minute * MINUTE_US + rest),
    event_name: fc.constantFrom("page", "Order Completed", "__proto__", "(other)", "naïve \u{1F600}", 'a "quote"'),
    country: text("DE", "FR", "US"),
    device_type: text("mobile", "desktop"),
    page_path: text("/", "/cart", "constructor"),
    user_id: text("ann", "bob", "cleo"),
    anonymous_id: text("device-1", "device-2"),
    revenue: fc.oneof(fc.constant(null), fc.constantFrom(0.1, 0.2, 12.99, -3, 1e9, Number.NaN)),
    currency: text("USD", "EUR", "__proto__"),
    log_seq: fc.constant(1),
  });
}

export function plainEvent(event: Partial<RolledEvent> & { event_time: number }): RolledEvent {
  return { event_name: "page", log_seq: 1, ...event };
}
