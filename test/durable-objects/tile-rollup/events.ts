/** Events as tiles look at them: a small world, so that values, starts and users meet often. */
import fc from "fast-check";
import type { TileDefinition } from "../../../durable-objects/tile-rollup/definition.ts";
import { parseDefinition } from "../../../durable-objects/tile-rollup/parse-definition.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";

export const tiledEvent = (fromMs: number, minutes: number): fc.Arbitrary<EventRow> =>
  fc.record({
    event_id: fc.uuid(),
    event_name: fc.constantFrom("page", "bought", "__proto__", "(other)"),
    event_type: fc.constant("track"),
    source: fc.constant("shop"),
    event_time: fc.nat(minutes * 60_000_000 - 1).map((us) => fromMs * 1_000 + us),
    received_at: fc.constant(fromMs * 1_000),
    anonymous_id: fc.constantFrom("phone", "tv", "desk", null),
    country: fc.constantFrom("DE", "FR", null),
    revenue: fc.constantFrom(null, 0.1, 0.2, -3, 12.99),
    properties: fc.constantFrom<Record<string, string> | null>(
      null,
      { plan: "pro", items: "2" },
      { plan: "(none)", items: "many" },
      { items: "0.25" },
    ),
    log_shard: fc.constant(0),
    log_seq: fc.constant(1),
  });

export function tileOf(given: Parameters<typeof parseDefinition>[0]): TileDefinition {
  const parsed = parseDefinition({ name: "a tile", ...given });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  return parsed.value;
}

/** One of each measure, dimension and grain. */
export const ALL_TILES: readonly TileDefinition[] = [
  tileOf({ measure: "count", by: ["event_name"] }),
  tileOf({
    measure: "count",
    by: ["country", { property: "plan" }],
    grain_minutes: 5,
    filter: { event_name: ["bought"] },
  }),
  tileOf({ measure: "sum", column: "revenue", by: ["country"] }),
  tileOf({ measure: "sum", property: "items", grain_minutes: 60 }),
  tileOf({ measure: "distinct", column: "anonymous_id", by: ["country"] }),
  tileOf({
    measure: "ratio",
    numerator: { event_name: ["bought"] },
    denominator: { event_name: ["page"] },
    grain_minutes: 5,
  }),
];
