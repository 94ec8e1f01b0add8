import { evictDurableObject, reset } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import type { Hole } from "../../../durable-objects/sink-cursor/api.ts";
import { bindings } from "../../bindings.ts";

afterEach(() => reset());

const hole = (seq: number, rest: Partial<Hole> = {}): Hole => ({
  seq,
  lines: [2],
  of: 3,
  events: 1,
  quarantined: 0,
  cause: "line_damaged",
  detail: "Unexpected token",
  key: `log/${seq}`,
  ...rest,
});
const SHARD = 7;
const cursorOf = () => bindings.SINK_CURSOR.getByName("sessions:007");

/** The same of both: the SinkCursor, and the LakeCatalog, which keeps its own cursors. */
const OWNERS = {
  SinkCursor: () => ({
    api: cursorOf(),
    lease: (owner: string, ttlMs = 60_000) => cursorOf().lease(owner, ttlMs),
    advance: (token: number, from: number, to: number) =>
      cursorOf().advance(token, from, to, { events: 3 * (to - from), quarantined: 0 }),
    status: () => cursorOf().status(),
  }),
  LakeCatalog: () => {
    const api = bindings.LAKE_CATALOG.getByName("lake");
    return {
      api,
      lease: (owner: string, ttlMs = 60_000) => api.lease(SHARD, owner, ttlMs),
      advance: async (token: number, from: number, to: number) => {
        const applied = { events: 3 * (to - from), quarantined: 0 };
        await api.append({ shard: SHARD, token, from, to, applied, add: [] });
      },
      status: async () => (await api.status()).cursors[SHARD]!,
    };
  },
} as const;

describe.each(["SinkCursor", "LakeCatalog"] as const)("a hole beside the cursor of a %s", (name) => {
  it("is decided first, named by the next lease, and counts once the cursor has passed it", async () => {
    const { api, lease, advance, status } = OWNERS[name]();
    const first = (await lease("a", 0))!;
    await advance(first.token, 0, 4);
    expect(await api.decide(SHARD, first.token, 4, hole(5))).toBe(true);
    expect(await status()).not.toHaveProperty("holes");
    expect(await api.holes(SHARD)).toEqual([]);
    await evictDurableObject(api);
    const second = (await lease("b"))!;
    expect(second).toMatchObject({ cursor: 4, holes: [hole(5)] });
    await advance(second.token, 4, 6);
    expect(await status()).toMatchObject({ cursor: 6, holes: { events: 1, quarantined: 0, open: 1 } });
    expect(await api.holes(SHARD)).toMatchObject([{ ...hole(5), shard: SHARD, redrivenAs: null }]);
    expect(await lease("b")).not.toHaveProperty("holes");
  });

  it("promise 2: is not decided, and its failures are not counted, by a straggler or at another place", async () => {
    const { api, lease, advance, status } = OWNERS[name]();
    const slow = (await lease("slow", 0))!;
    const { token } = (await lease("fast"))!;
    expect(await api.failed(SHARD, slow.token, 1, "segment_missing")).toMatchObject({ attempts: 0 });
    expect(await api.decide(SHARD, slow.token, 0, hole(1))).toBe(false);
    expect(await api.decide(SHARD, token, 0, hole(2))).toBe(false);
    await advance(token, 0, 1);
    expect(await api.decide(SHARD, token, 0, hole(1))).toBe(false);
    expect(await api.failed(SHARD, token, 1, "segment_missing")).toMatchObject({ attempts: 0 });
    await advance(token, 1, 9);
    expect(await status()).not.toHaveProperty("holes");
  });

  it("has its failures counted through evictions and leases, and forgotten at the next place", async () => {
    const { api, lease, advance } = OWNERS[name]();
    const first = (await lease("a", 0))!;
    expect(await api.failed(SHARD, first.token, 1, "step_refused")).toMatchObject({ attempts: 1, sinceMs: 0 });
    await evictDurableObject(api);
    const second = (await lease("b"))!;
    const again = await api.failed(SHARD, second.token, 1, "step_refused");
    expect(again.attempts).toBe(2);
    expect(again.sinceMs).toBeGreaterThanOrEqual(0);
    await advance(second.token, 0, 1);
    expect(await api.failed(SHARD, second.token, 2, "step_refused")).toMatchObject({ attempts: 1 });
  });

  it("is closed once: the first redrive that is named stays", async () => {
    const { api, lease, advance, status } = OWNERS[name]();
    const { token } = (await lease("a"))!;
    await api.decide(SHARD, token, 0, hole(1, { lines: "all", events: 3 }));
    await advance(token, 0, 1);
    await api.decide(SHARD, token, 1, hole(2));
    await advance(token, 1, 2);
    await api.close(SHARD, 1, 8);
    await api.close(SHARD, 1, 9);
    expect((await api.holes(SHARD)).map(({ seq, redrivenAs }) => [seq, redrivenAs])).toEqual([
      [2, null],
      [1, 8],
    ]);
    expect(await api.holes(SHARD, { seq: 1 })).toMatchObject([{ seq: 1, lines: "all" }]);
    expect(await status()).toMatchObject({ holes: { events: 4, quarantined: 0, open: 1 } });
  });

  it("is given once by pages that go on after each other's last, within a millisecond, too", async () => {
    const { api, lease, advance } = OWNERS[name]();
    const { token } = (await lease("a"))!;
    for (let seq = 1; seq <= 7; seq++) {
      await api.decide(SHARD, token, seq - 1, hole(seq));
      await advance(token, seq - 1, seq);
    }
    const all = await api.holes(SHARD);
    expect(all.map(({ seq }) => seq)).toEqual([7, 6, 5, 4, 3, 2, 1]);
    for (let i = 0; i < all.length; i++) {
      const { at, seq } = all[i]!;
      expect(await api.holes(SHARD, { before: { at, seq }, limit: 2 })).toEqual(all.slice(i + 1, i + 3));
    }
    expect(await api.holes(SHARD, { before: { at: all[0]!.at + 1, seq: 0 } })).toEqual(all);
    expect(await api.holes(SHARD, { before: { at: all.at(-1)!.at, seq: 0 } })).toEqual([]);
  });

  it("says how many segments right before it were left out for the most part although they were there", async () => {
    const { api, lease, advance } = OWNERS[name]();
    const { token } = (await lease("a"))!;
    const whole = { lines: [0, 2], events: 2, cause: "step_refused" } as const;
    for (const seq of [1, 2, 4, 5, 6]) {
      if (seq === 4) await advance(token, 2, 3);
      await api.decide(SHARD, token, seq - 1, hole(seq, seq === 4 ? { ...whole, cause: "segment_missing" } : whole));
      await advance(token, seq - 1, seq);
    }
    expect((await api.failed(SHARD, token, 7, "step_refused")).inARow).toBe(2);
  });
});
