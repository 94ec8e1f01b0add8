import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { CursorTable } from "../../../durable-objects/sink-cursor/cursor-table.ts";
import type { SinkCursor } from "../../../durable-objects/sink-cursor/sink-cursor.ts";
import { bindings } from "../../bindings.ts";

afterEach(() => reset());

const refusal = (cursor: DurableObjectStub<SinkCursor>, work: (object: SinkCursor) => Promise<unknown>) =>
  runInDurableObject(cursor, (object) => work(object).then(() => "done", String));

describe("a switch of generations", () => {
  it("sends the next drain to the new one, and refuses the move of a drain that runs", async () => {
    const cursor = bindings.SINK_CURSOR.getByName("sessions:000");
    const { token } = (await cursor.lease("running", 60_000))!;
    await cursor.advance(token, 0, 5, { events: 50, quarantined: 2 });
    const met = { events: 30, quarantined: 1 };
    expect(await cursor.switchTo(1, 3, met)).toEqual({ generation: 0, cursor: 5 });
    expect(await cursor.advance(token, 5, 6, { events: 9, quarantined: 0 })).toEqual({ moved: false, cursor: 3 });
    await evictDurableObject(cursor);
    expect(await cursor.lease("next", 60_000)).toEqual({ cursor: 3, token: token + 2, generation: 1 });
    expect(await cursor.status()).toMatchObject({
      ...{ cursor: 3, applied: met, generation: 1, left: [{ generation: 0, cursor: 5 }] },
    });
  });

  it("knows its builds although the first call that asked for them was rolled back", async () => {
    const builds = bindings.SINK_CURSOR.getByName("sessions");
    // What fails within the transaction is of no matter: a disk that is full would do.
    const failing = 1n as unknown as number;
    expect(await refusal(builds, (object) => object.fedGeneration(failing))).toContain("TypeError");
    expect(await builds.fedGeneration(1)).toBe(0);
    expect(await builds.shardsFed()).toBe(2);
  });

  it("changes nothing the second time, and takes back what a generation had applied when it was left", async () => {
    const cursor = bindings.SINK_CURSOR.getByName("sessions:001");
    const first = (await cursor.lease("a", 0))!;
    await cursor.advance(first.token, 0, 5, { events: 50, quarantined: 2 });
    await cursor.switchTo(1, 8, { events: 80, quarantined: 2 });
    const second = (await cursor.lease("b", 60_000))!;
    expect(await cursor.switchTo(1, 8, { events: 80, quarantined: 2 })).toEqual({ generation: 1, cursor: 8 });
    expect(await cursor.advance(second.token, 8, 9, { events: 10, quarantined: 0 })).toMatchObject({ moved: true });
    expect(await cursor.switchTo(0, 5)).toEqual({ generation: 1, cursor: 9 });
    expect(await cursor.status()).toMatchObject({ cursor: 5, applied: { events: 50, quarantined: 2 } });
    expect(await cursor.switchTo(1, 9)).toEqual({ generation: 0, cursor: 5 });
    expect(await cursor.status()).toMatchObject({ cursor: 9, applied: { events: 90, quarantined: 2 }, generation: 1 });
  });

  it.each([
    ["it was made again", true],
    ["it was never made", false],
  ])("promise 2: that hung is refused once it has been undone: %s", async (_, again) => {
    const cursor = bindings.SINK_CURSOR.getByName("sessions:005");
    const { token } = (await cursor.lease("a", 0))!;
    await cursor.advance(token, 0, 5, { events: 50, quarantined: 2 });
    const hung = (object: SinkCursor) => object.switchTo(1, 5, { events: 50, quarantined: 2 }, 2);
    if (again) expect(await refusal(cursor, hung)).toBe("done");
    // Back, which the cursor is told although it may be where it is to be.
    await cursor.switchTo(0, 5, { events: 0, quarantined: 0 }, 4);
    expect(await refusal(cursor, hung)).toMatch(/^RangeError/);
    expect((await cursor.status()).generation ?? 0).toBe(0);
    // Of a later build; and of a Worker that does not say.
    await cursor.switchTo(2, 5, undefined, 7);
    await cursor.switchTo(3, 5);
    expect((await cursor.status()).generation).toBe(3);
  });

  it("needs to be told what the log has up to a place where the generation has never been", async () => {
    const cursor = bindings.SINK_CURSOR.getByName("sessions:002");
    const { token } = (await cursor.lease("a", 0))!;
    await cursor.advance(token, 0, 5, { events: 50, quarantined: 2 });
    expect(await refusal(cursor, (object) => object.switchTo(1, 4))).toMatch(/^RangeError/);
    // Where the cursor stays, it is what was applied.
    await cursor.switchTo(1, 5);
    expect(await cursor.status()).toMatchObject({ cursor: 5, applied: { events: 50, quarantined: 2 }, generation: 1 });
  });

  describe("over a hole", () => {
    const hole = (seq: number) => ({
      ...{ seq, lines: [0], of: 10, events: 1, quarantined: 0 },
      ...{ cause: "line_damaged", detail: "", key: "" },
    });

    it("that was decided and not passed: whoever comes back leaves its lines out again", async () => {
      const cursor = bindings.SINK_CURSOR.getByName("sessions:004");
      const { token } = (await cursor.lease("a", 60_000))!;
      await cursor.advance(token, 0, 5, { events: 50, quarantined: 0 });
      // Then the effect is made without line 0 of segment 6, and the drain is cut off.
      expect(await cursor.decide(0, token, 5, hole(6))).toBe(true);
      await cursor.switchTo(1, 8, { events: 80, quarantined: 0 });
      expect(await cursor.lease("b", 0)).not.toHaveProperty("holes");
      await cursor.switchTo(0, 5);
      expect(await cursor.lease("c", 60_000)).toMatchObject({ cursor: 5, holes: [hole(6)] });
    });

    it("that it has passed, and that the one it goes back to has ahead: it may come again, and the hole is its own", async () => {
      const cursor = bindings.SINK_CURSOR.getByName("sessions:008");
      const first = (await cursor.lease("a", 0))!;
      await cursor.advance(first.token, 0, 5, { events: 50, quarantined: 0 });
      await cursor.switchTo(1, 5);
      const { token } = (await cursor.lease("b", 0))!;
      await cursor.decide(0, token, 5, hole(6));
      await cursor.advance(token, 5, 7, { events: 19, quarantined: 0 });
      await cursor.switchTo(0, 5);
      expect((await cursor.lease("c", 0))?.holes).toMatchObject([{ seq: 6 }]);
      expect(await refusal(cursor, (object) => object.switchTo(1, 7))).toBe("done");
      expect(await cursor.status()).toMatchObject({
        cursor: 7,
        applied: { events: 69 },
        holes: { events: 1, open: 1 },
      });
    });

    it("that has come back: it stays one of those that the log brings again", async () => {
      const cursor = bindings.SINK_CURSOR.getByName("sessions:005");
      const { token } = (await cursor.lease("a", 60_000))!;
      await cursor.advance(token, 0, 5, { events: 50, quarantined: 0 });
      await cursor.decide(0, token, 5, hole(6));
      await cursor.advance(token, 5, 7, { events: 19, quarantined: 0 });
      await cursor.close(0, 6, 9);
      await cursor.switchTo(1, 3, { events: 30, quarantined: 0 });
      await cursor.switchTo(2, 8, { events: 80, quarantined: 0 });
      expect(await cursor.status()).toMatchObject({ applied: { events: 79 }, holes: { events: 1, open: 0 } });
    });
  });

  it("promise 3: leaves applied + holes what the cursor has met, whatever was left out before and wherever it goes", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("apply" as const), segments: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant("hole" as const), lines: fc.integer({ min: 1, max: 3 }), passed: fc.boolean() }),
      fc.record({ kind: fc.constant("switch" as const), generation: fc.nat(3), by: fc.integer({ min: -6, max: 6 }) }),
      fc.record({ kind: fc.constant("back" as const), which: fc.nat(3) }),
    );
    /** Lines of each segment; the first three of each may be a hole. */
    const lines = fc.array(fc.integer({ min: 3, max: 9 }), { minLength: 60, maxLength: 60 });
    await runInDurableObject(bindings.SINK_CURSOR.getByName("sessions:003"), (_, { storage: { sql } }) => {
      let shard = 0;
      let switches = 0;
      fc.assert(
        fc.property(lines, fc.array(step, { maxLength: 30 }), (log, steps) => {
          shard++;
          const table = new CursorTable(sql);
          const met = (to: number) => log.slice(0, to).reduce((sum, count) => sum + count, 0);
          const hole = (seq: number, events: number) => ({
            ...{ seq, lines: [...Array(events).keys()], of: log[seq - 1]!, events, quarantined: 0 },
            ...{ cause: "line_damaged", detail: "", key: "" },
          });
          for (const one of steps) {
            const { token, cursor, holes = [] } = table.lease(shard, "drain", 1_000, 0)!;
            const leftOut = new Map(holes.map(({ seq, events }) => [seq, events]));
            const apply = (to: number) => {
              let events = met(to) - met(cursor);
              for (const [seq, count] of leftOut) if (seq <= to) events -= count;
              expect(table.advance(shard, token, cursor, to, { events, quarantined: 0 }, 0).moved).toBe(true);
            };
            const switchTo = (generation: number, to: number, met?: { events: number; quarantined: number }) => {
              try {
                table.switchTo(shard, { generation, cursor: to, met }, 0);
              } catch (error) {
                expect(String(error)).toContain("holes:");
              }
            };
            if (one.kind === "apply") apply(Math.min(log.length, cursor + one.segments));
            else if (one.kind === "hole" && cursor < log.length) {
              table.decide(shard, token, cursor, hole(cursor + 1, one.lines), 0);
              leftOut.set(cursor + 1, one.lines);
              if (one.passed) apply(cursor + 1);
            } else if (one.kind === "switch") {
              const to = Math.max(0, Math.min(log.length, cursor + one.by));
              switchTo(one.generation, to, { events: met(to), quarantined: 0 });
              switches++;
            } else if (one.kind === "back") {
              const left = table.status(shard).left?.[one.which];
              if (left) switchTo(left.generation, left.cursor);
            }
            const status = table.status(shard);
            expect(status.applied.events + (status.holes?.events ?? 0)).toBe(met(status.cursor));
          }
        }),
        { numRuns: 200 },
      );
      expect(switches).toBeGreaterThan(0);
    });
  });
});

describe("the builds of a store", () => {
  const desk = () => bindings.SINK_CURSOR.getByName("sessions");

  it("get a number each, which no other ever gets; a job has one", async () => {
    expect(await desk().beginBuild("first", "{}")).toMatchObject({ generation: 1, previous: 0, state: "building" });
    await desk().moveBuild("first", "discarded");
    await evictDurableObject(desk());
    expect(await desk().beginBuild("second", "")).toMatchObject({ generation: 2, previous: 0 });
    expect(await desk().beginBuild("second", "other")).toMatchObject({ generation: 2, note: "" });
    expect(await desk().build("nobody")).toBeNull();
  });

  it("number their changes, all builds together, and tell a new cursor the newest with what it is to feed", async () => {
    const { move } = await desk().beginBuild("first", "");
    const swapping = await desk().moveBuild("first", "swapping");
    expect(swapping.move).toBeGreaterThan(move);
    expect(await desk().fed(2)).toEqual({ generation: 1, move: swapping.move });
    expect(await desk().moveBuild("first", "swapping")).toEqual(swapping);
    // Let go before its end: a new cursor is not sent there any more, though others still go back.
    const discarding = await desk().moveBuild("first", "discarding");
    expect(await desk().fed(2)).toEqual({ generation: 0, move: discarding.move });
    await desk().moveBuild("first", "discarded");
    expect((await desk().beginBuild("second", "")).move).toBeGreaterThan(discarding.move);
  });

  it("are seen by readers from their swap on, until they are taken back", async () => {
    const seen = async (job: string, state: Parameters<SinkCursor["moveBuild"]>[1]) => {
      await desk().moveBuild(job, state);
      await desk().moveBuild(job, state);
      return desk().liveGeneration();
    };
    expect(await desk().liveGeneration()).toBe(0);
    await desk().beginBuild("a", "");
    expect(await seen("a", "swapping")).toBe(0);
    expect(await seen("a", "swapped")).toBe(1);
    expect(await seen("a", "confirmed")).toBe(1);
    expect(await desk().beginBuild("b", "")).toMatchObject({ generation: 2, previous: 1 });
    await seen("b", "swapping");
    expect(await seen("b", "swapped")).toBe(2);
    expect(await seen("b", "reverting")).toBe(2);
    expect(await seen("b", "reverted")).toBe(1);
    for (const state of ["swapped", "confirmed", "discarded", "building"] as const) {
      expect(await refusal(desk(), (object) => object.moveBuild("b", state))).toMatch(/^RangeError/);
    }
  });
});
