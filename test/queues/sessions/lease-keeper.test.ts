import { describe, expect, it } from "vitest";
import type { SinkCursorApi } from "../../../durable-objects/sink-cursor/api.ts";
import { leaseKeeper } from "../../../queues/sessions/lease-keeper.ts";
import { SINK } from "../../../r2-layout/limits.ts";

function cursorThat(moves: () => boolean) {
  const asked: unknown[][] = [];
  const advance: SinkCursorApi["advance"] = async (...args) => {
    asked.push(args);
    return moves() ? { moved: true, cursor: args[1] } : { moved: false, cursor: 99 };
  };
  return { asked, cursors: { getByName: () => ({ advance }) } };
}

const step = { shard: 0, token: 7, from: 40 };

describe("the lease of a long step", () => {
  it("is renewed well before it ends, once for all who wait, by a move to where the cursor is", async () => {
    let now = 0;
    const { asked, cursors } = cursorThat(() => true);
    const keep = leaseKeeper(cursors, step, "sessions", () => now);
    await keep();
    expect(asked).toEqual([]);
    for (let renewals = 1; renewals <= 3; renewals++) {
      now += SINK.leaseMs / 3;
      await Promise.all([keep(), keep(), keep()]);
      expect(asked).toHaveLength(renewals);
    }
    expect(asked[0]).toEqual([7, 40, 40, { events: 0, quarantined: 0 }]);
  });

  it("ends the work of a drain that has lost it", async () => {
    let now = 0;
    const keep = leaseKeeper(cursorThat(() => false).cursors, step, "sessions", () => now);
    now = SINK.leaseMs;
    await expect(keep()).rejects.toThrow("another drain");
    await expect(keep()).rejects.toThrow("another drain");
  });
});
