import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { CursorTable } from "../../../durable-objects/sink-cursor/cursor-table.ts";
import { bindings } from "../../bindings.ts";

afterEach(() => reset());

const NONE = { events: 0, quarantined: 0 };

describe("a sink's cursor", () => {
  it("is moved by the newest token only: who lost the lease cannot move it", async () => {
    const cursor = bindings.SINK_CURSOR.getByName("lake:000");
    const first = await cursor.lease("first", 0); // Runs out at once.
    const second = await cursor.lease("second", 60_000);
    expect(first).toEqual({ cursor: 0, token: 1 });
    expect(second).toEqual({ cursor: 0, token: 2 });
    expect(await cursor.advance(1, 0, 5, { events: 50, quarantined: 1 })).toEqual({ moved: false, cursor: 0 });
    expect(await cursor.advance(2, 0, 3, { events: 30, quarantined: 1 })).toEqual({ moved: true, cursor: 3 });
    expect(await cursor.status()).toMatchObject({ cursor: 3, applied: { events: 30, quarantined: 1 } });
  });

  it("is leased to one owner at a time, who may renew and keeps the token", async () => {
    const cursor = bindings.SINK_CURSOR.getByName("lake:001");
    expect(await cursor.lease("a", 60_000)).toEqual({ cursor: 0, token: 1 });
    expect(await cursor.lease("b", 60_000)).toBeNull();
    expect(await cursor.lease("a", 60_000)).toEqual({ cursor: 0, token: 1 });
    await cursor.release(1);
    expect(await cursor.lease("b", 60_000)).toEqual({ cursor: 0, token: 2 });
    await cursor.release(1); // Late, and of no effect.
    expect(await cursor.lease("a", 60_000)).toBeNull();
  });

  it("survives an eviction between any two calls", async () => {
    const cursor = bindings.SINK_CURSOR.getByName("lake:002");
    const lease = await cursor.lease("a", 60_000);
    await evictDurableObject(cursor);
    expect(await cursor.lease("b", 60_000)).toBeNull();
    await evictDurableObject(cursor);
    expect(await cursor.advance(lease!.token, 0, 4, { events: 9, quarantined: 0 })).toMatchObject({ moved: true });
    await evictDurableObject(cursor);
    expect(await cursor.status()).toMatchObject({ cursor: 4, applied: { events: 9, quarantined: 0 } });
  });

  it("does not move back", async () => {
    const cursor = bindings.SINK_CURSOR.getByName("lake:003");
    const { token } = (await cursor.lease("a", 60_000))!;
    await cursor.advance(token, 0, 4, NONE);
    const moved = await runInDurableObject(cursor, (object) => object.advance(token, 4, 3, NONE).catch(String));
    expect(moved).toContain("RangeError");
  });

  it("counts each segment once, whoever applies what, with leases lost at any time", async () => {
    const cursor = bindings.SINK_CURSOR.getByName("lake:004");
    const action = fc.oneof(
      fc.record({ kind: fc.constant("lease" as const), owner: fc.nat(2), ttlMs: fc.constantFrom(0, 5, 50) }),
      fc.record({ kind: fc.constant("apply" as const), owner: fc.nat(2), segments: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant("release" as const), owner: fc.nat(2) }),
      fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 40 }) }),
    );
    await runInDurableObject(cursor, (_object, { storage }) => {
      let shard = 0;
      let refused = 0;
      fc.assert(
        fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
          shard++;
          const table = new CursorTable(storage.sql);
          const leases = new Map<number, { cursor: number; token: number }>();
          let now = 1_000;
          let applied = 0;
          for (const act of actions) {
            if (act.kind === "wait") now += act.ms;
            else if (act.kind === "lease") {
              const lease = table.lease(shard, String(act.owner), act.ttlMs, now);
              if (lease) leases.set(act.owner, lease);
            } else {
              const lease = leases.get(act.owner);
              if (!lease) continue;
              if (act.kind === "release") table.release(shard, lease.token);
              else {
                const to = lease.cursor + act.segments;
                const events = act.segments * 10;
                const moved = table.advance(shard, lease.token, lease.cursor, to, { events, quarantined: 0 }, now);
                if (moved.moved) applied += events;
                else refused++;
                leases.set(act.owner, { ...lease, cursor: moved.moved ? to : lease.cursor });
              }
            }
          }
          const { cursor: at, applied: counted } = table.status(shard);
          expect(counted.events).toBe(applied);
          expect(at * 10).toBe(applied);
        }),
        // A lease that is surely lost.
        {
          examples: [
            [
              [
                { kind: "lease", owner: 0, ttlMs: 0 },
                { kind: "lease", owner: 1, ttlMs: 50 },
                { kind: "apply", owner: 0, segments: 1 },
              ],
            ],
          ],
        },
      );
      expect(refused).toBeGreaterThan(0);
      expect(Object.keys(new CursorTable(storage.sql).all()).length).toBeGreaterThan(1);
    });
  });
});
