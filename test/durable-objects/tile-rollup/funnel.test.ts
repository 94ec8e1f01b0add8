import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { funnelCounts } from "../../../durable-objects/tile-rollup/funnel.ts";
import { compileTile, tileDeltas } from "../../../durable-objects/tile-rollup/tile-delta.ts";
import { decodeTile, emptyTile } from "../../../durable-objects/tile-rollup/tile-state.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { MINUTE_MS, TILES } from "../../../r2-layout/limits.ts";
import { reaching } from "../../reaching.ts";
import { tiledEvent, tileOf } from "./events.ts";

const HOUR = Date.UTC(2026, 10, 22, 5);
const STEPS = ["page", "bought", "__proto__"];
const tile = compileTile(tileOf({ measure: "funnel", steps: STEPS }));

const counted = (events: readonly EventRow[]) => {
  const minutes = tileDeltas([tile], events).map(({ start, state }) => ({ start, state: decodeTile(state) }));
  return funnelCounts(STEPS, minutes).values.map(({ events: n }) => n);
};

/** How far each user came, step after step in the order of time. */
function plainly(events: readonly EventRow[]): number[] {
  const reached = STEPS.map(() => 0);
  const byUser = Map.groupBy(
    events.filter(({ anonymous_id }) => anonymous_id !== null),
    ({ anonymous_id }) => anonymous_id,
  );
  for (const own of byUser.values()) {
    let at = Number.NEGATIVE_INFINITY;
    for (const [step, name] of STEPS.entries()) {
      const next = own
        .filter(({ event_name, event_time }) => event_name === name && Math.floor(event_time / 1_000) >= at)
        .map(({ event_time }) => Math.floor(event_time / 1_000));
      if (next.length === 0) break;
      at = Math.min(...next);
      reached[step]!++;
    }
  }
  return reached;
}

describe("a funnel", () => {
  it("counts who went through its steps in order, where no minute has three of the same step", async () => {
    await reaching(() => {
      let deep = 0;
      fc.assert(
        fc.property(fc.array(tiledEvent(HOUR, 50), { maxLength: 25 }), (events) => {
          const seen = new Map<string, number>();
          const sparse = events.filter(({ anonymous_id, event_name, event_time }) => {
            const key = `${anonymous_id} ${event_name} ${Math.floor(event_time / 60_000_000)}`;
            seen.set(key, (seen.get(key) ?? 0) + 1);
            return seen.get(key)! <= 2;
          });
          const expected = plainly(sparse);
          deep += expected[2]!;
          expect(counted(sparse)).toEqual(expected);
        }),
      );
      return { "a user at the last step": deep > 0 };
    });
  });

  it("estimates from a sample what it cannot follow user by user", () => {
    const users = 4 * TILES.funnelActors;
    const events = Array.from({ length: users }, (_, n) => ({
      ...{ event_id: `e${n}`, event_type: "track", source: "shop", received_at: 0, log_shard: 0, log_seq: 1 },
      ...{ event_name: "page", event_time: HOUR * 1_000, anonymous_id: `phone ${n}` },
    })) as EventRow[];
    const both = [
      ...events,
      ...events
        .filter((_, n) => n % 4 === 0)
        .map((event) => ({ ...event, event_name: "bought", event_time: (HOUR + MINUTE_MS) * 1_000 })),
    ];
    const [page, bought] = counted(both);
    expect(Math.abs(page! - users) / users).toBeLessThan(0.05);
    expect(Math.abs(bought! - users / 4) / (users / 4)).toBeLessThan(0.15);
  });

  it("is of nobody where nobody came", () => {
    expect(funnelCounts(STEPS, [{ start: HOUR, state: emptyTile() }]).values.map(({ events }) => events)).toEqual([
      0, 0, 0,
    ]);
  });
});
