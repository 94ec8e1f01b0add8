/** Rows of a small shop, seeded: what an analyst would ask about, and the values that break readers among them. */
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { DAY_US } from "../../../r2-layout/time.ts";

/** 2026-11-20T00:00:00Z in microseconds. */
export const FIRST_DAY_US = Date.UTC(2026, 10, 20) * 1_000;

export const NAMES = ["page", "Product Viewed", "Product Added", "Order Completed", "identify"] as const;
const COUNTRIES = ["DE", "FR", "US", "JP", null] as const;
const PATHS = ["/", "/cart", "/tee/red", "/日本", "/😀"] as const;
const FLAGS = [null, null, null, ["bot"], ["late", "clock_skewed"], []] as const;

/** mulberry32 */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface ShopSettings {
  readonly seed: number;
  readonly rows: number;
  /** Events lie in [firstDay, firstDay + days), counted from FIRST_DAY_US. */
  readonly firstDay: number;
  readonly days: number;
  readonly users?: number;
}

export function* shopRows({ seed, rows, firstDay, days, users = 200 }: ShopSettings): Generator<EventRow> {
  const next = random(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(next() * values.length)]!;
  for (let i = 0; i < rows; i++) {
    const name = pick(NAMES);
    const user = Math.floor(next() * users);
    const time = FIRST_DAY_US + firstDay * DAY_US + Math.floor(next() * days * DAY_US);
    const order = name === "Order Completed";
    yield {
      event_id: `e-${seed}-${i}`,
      event_name: name,
      event_type: name === "page" || name === "identify" ? name : "track",
      source: "shop",
      user_id: user % 3 === 0 ? null : `user-${user}`,
      anonymous_id: `device-${user}`,
      session_id: `s-${user}-${Math.floor((time / DAY_US) * 4)}`,
      event_time: time,
      received_at: time + Math.floor(next() * 5e6),
      sent_at: next() < 0.5 ? time + 1_000 : null,
      client_seq: Math.floor(next() * 1e6) * (next() < 0.01 ? 9_000_000_000 : 1),
      contract_version: next() < 0.2 ? 3 : null,
      flags: pick(FLAGS),
      page_path: name === "page" ? pick(PATHS) : null,
      country: pick(COUNTRIES),
      city: next() < 0.1 ? "München" : null,
      device_type: pick(["desktop", "mobile", "tablet"]),
      revenue: order ? Math.round(next() * 20_000) / 100 : null,
      currency: order ? "EUR" : null,
      properties:
        next() < 0.3
          ? null
          : {
              sku: `sku-${Math.floor(next() * 50)}`,
              price: String(Math.floor(next() * 100)),
              "größe 😀": pick(["S", "M"]),
            },
      log_shard: 0,
      log_seq: 1 + Math.floor(i / 1_000),
    };
  }
}
