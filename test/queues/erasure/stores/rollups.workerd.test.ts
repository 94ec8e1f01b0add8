import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import type { RollupBatch } from "../../../../durable-objects/minute-rollup/api.ts";
import { minuteDeltas, type RolledEvent } from "../../../../durable-objects/minute-rollup/minute-delta.ts";
import type { MinuteRollup } from "../../../../durable-objects/minute-rollup/minute-rollup.ts";
import type { Job } from "../../../../durable-objects/replay-desk/api.ts";
import { rollupsStore } from "../../../../queues/erasure/stores/rollups.ts";
import { HOUR_MS } from "../../../../r2-layout/limits.ts";
import { plainEvent } from "../../../durable-objects/minute-rollup/events.ts";
import { runOf } from "../run-of.ts";

const rollups = (env as unknown as { MINUTE_ROLLUP: DurableObjectNamespace<MinuteRollup> }).MINUTE_ROLLUP;
const START = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 2 * HOUR_MS;
const window = { from: START, to: START + HOUR_MS, shard: 0, cursor: 1, after: 0 };

afterEach(() => reset());

const at = (user_id: string) => plainEvent({ event_time: START * 1_000, user_id, revenue: 12, currency: "EUR" });
const batch = (events: readonly RolledEvent[]): RollupBatch => ({
  ...{ shard: 0, from: 1, to: 1, completeUntil: START + HOUR_MS },
  minutes: minuteDeltas(events),
});

describe("promise 7: the rollups of an erased person", () => {
  it("keep no record of what went and when, and are confirmed once nothing of before is kept, no rule is owed, and the tiles are filled", async () => {
    const run = runOf([{ kind: "user", id: "ann" }], { id: "e1" });
    const rollup = rollups.getByName("core:000");
    await rollup.apply(batch([at("ann"), at("bob")]));
    await rollup.raise(run.version);
    // As the rule job does it; and another job's window, which is none of the erasure's.
    for (const job of ["e1-w0", "e10-w0"]) {
      const events = job === "e1-w0" ? [at("bob")] : [at("bob"), at("carl")];
      await rollup.begin({ ...window, job });
      await rollup.add(job, { step: 1, to: 1, rules: run.version }, minuteDeltas(events));
      await rollup.swap(job, "correction");
      if (job !== "e1-w0") await rollup.confirm(job);
      else {
        expect(await rollup.tracesOf("e1", 1)).toEqual({ records: 1, builds: 1, isOwed: true });
        await rollup.confirm(job);
      }
    }
    let tiles: Pick<Job, "id" | "state"> | null = { id: "tiles-after-e1", state: "running" };
    const desk = { job: async (id: string) => (id === "tiles-after-e1" ? (tiles as Job | null) : null) };
    const store = rollupsStore({ rollups, desk, shards: 1 });

    await expect(store.verify(run, null)).rejects.toThrow("the tiles' job tiles-after-e1 is running");
    tiles = null;
    expect((await store.verify(run, null)).traces).toBe(2);
    expect((await store.erase(run, null)).found).toEqual({ unit: "records", found: 1, removed: 1, replaced: [] });
    expect((await store.erase(run, null)).found.removed).toBe(0);
    expect((await store.verify(run, null)).traces).toBe(1);
    await rollup.settle(1, 1);
    expect((await store.verify(run, null)).traces).toBe(0);
    const left = await rollup.changes(START, START + HOUR_MS, 10);
    expect(left.map(({ job, events }) => [job, events])).toEqual([["e10-w0", 1]]);
  });
});
