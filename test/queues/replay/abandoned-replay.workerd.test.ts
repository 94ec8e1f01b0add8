import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { RebuildSpec } from "../../../durable-objects/replay-desk/api.ts";
import type { ReplayProgress } from "../../../queues/replay/progress.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { clockOfEachTest } from "./replay-rig.ts";
import { begin, desk, drain, lake, real, rollup, runJob, send, timeline } from "./whole-pipeline.ts";

const clock = clockOfEachTest();

const REBUILD: RebuildSpec = {
  ...{ kind: "rebuild", sinks: ["rollups", "lake", "sessions"], from: null, to: null, range: null, rate: 1e6 },
  swap: "automatic",
};

/** The pipeline over a catalog that refuses these calls for what they are. */
function refusing(...methods: readonly string[]): typeof real {
  const refuse = () => Promise.reject(new RangeError("no way back"));
  const catalog = (name: string) =>
    new Proxy(real.LAKE_CATALOG.getByName(name), {
      get: (object, method) => (methods.includes(String(method)) ? refuse : object[method as keyof typeof object]),
    });
  return { ...real, LAKE_CATALOG: { getByName: catalog } };
}

describe("promise 4: a rebuild that is abandoned", () => {
  it("because it can neither be reverted nor goes on leaves what readers see, and its sinks to others", async () => {
    await send(0, [{ event_id: "a" }]);
    await drain();
    await begin("one", REBUILD);
    expect((await desk().act("one", "abandon")).kind).toBe("refused");
    await runJob("one", clock, ["waiting_for_confirmation"]);
    expect((await desk().job("one"))!.actions).toEqual(["confirm", "revert"]);
    await desk().act("one", "revert");
    expect(await runJob("one", clock, ["failed"], refusing("revert"))).toMatchObject({ error: "no way back" });
    expect((await desk().job("one"))!.actions).toEqual(["resume", "abandon"]);
    expect((await desk().create({ id: "two", spec: REBUILD })).kind).toBe("busy");
    await desk().act("one", "abandon");
    const { outcome } = await runJob("one", clock, ["abandoned"], refusing("revert"));
    expect(outcome).toBe("abandoned while reverting, rollups stays as it was built, lake stays as it was built");
    expect((await desk().act("one", "resume")).kind).toBe("refused");
    await begin("two", REBUILD);
    await runJob("two", clock, ["waiting_for_confirmation"]);
    await desk().act("two", "confirm");
    expect(await runJob("two", clock)).toMatchObject({ error: null });
    await send(0, [{ event_id: "b" }]);
    await drain();
    expect(Object.keys(await lake())).toEqual(["0:a", "0:b"]);
    expect(await timeline("device", "phone")).toEqual(["a", "b"]);
    expect(await rollup()).toBe(2);
    expect(await real.LAKE_CATALOG.getByName("lake").status()).toMatchObject({ rebuilt: 0, rebuilding: [] });
  });

  it("ends what can be ended where one sink refuses even that, and after REPLAY.attempts without it", async () => {
    await send(0, [{ event_id: "a" }]);
    await drain();
    await begin("one", { ...REBUILD, swap: "manual" });
    await runJob("one", clock, ["waiting_for_swap"]);
    await desk().act("one", "cancel");
    const stuck = refusing("discard");
    await runJob("one", clock, ["failed"], stuck);
    await desk().act("one", "abandon");
    expect(await runJob("one", clock, ["abandoned"], stuck)).toMatchObject({ error: "no way back" });
    await begin("two", { ...REBUILD, sinks: ["rollups", "sessions"] });
    expect(await runJob("two", clock, ["waiting_for_confirmation"])).toMatchObject({ error: null });
    await desk().act("two", "confirm");
    await runJob("two", clock);
    // A correction waits for nobody.
    const spec = { kind: "correction", filter: { where: { country: ["DE"] } }, note: null, rate: 1e6 } as const;
    await begin("fix", { ...spec, change: { kind: "retract" } }, "confirm");
    expect(await runJob("fix", clock)).toMatchObject({ error: null });
    expect(await timeline("device", "phone")).toEqual(["a"]);
  });
});

describe("promise 4: a rebuild that comes to a segment that nobody can read", () => {
  /** The object of the first segment is lost, after all sinks have read it. */
  async function lost(): Promise<void> {
    await send(0, [{ event_id: "a" }]);
    await send(0, [{ event_id: "b" }]);
    await drain();
    const { segments } = await real.EVENT_LOG.getByName(shardName(0)).segments(0, 1);
    await real.BUCKET.delete(segments[0]!.key);
  }

  it("fails rather than build less, and can be cancelled: the store stays as it is", async () => {
    await lost();
    await begin("one", REBUILD);
    expect(await runJob("one", clock, ["failed"])).toMatchObject({
      error: expect.stringContaining("segment_missing"),
      actions: ["cancel", "resume", "leave_out"],
    });
    await desk().act("one", "cancel");
    await runJob("one", clock, ["cancelled"]);
    expect([Object.keys(await lake()), await timeline("device", "phone")]).toEqual([
      ["0:a", "0:b"],
      ["a", "b"],
    ]);
    expect(await rollup()).toBe(2);
    expect((await desk().create({ id: "two", spec: REBUILD })).kind).toBe("created");
  });

  it("goes on without it where that is asked for, says what is not there, and waits for its swap to be asked for", async () => {
    await lost();
    await begin("one", { ...REBUILD, sinks: ["sessions", "rollups"] });
    await runJob("one", clock, ["failed"]);
    expect(await desk().act("one", "leave_out")).toMatchObject({ kind: "accepted", job: { state: "running" } });
    const { progress } = await runJob("one", clock, ["waiting_for_swap"]);
    const { unreadable, sinks } = progress as ReplayProgress;
    expect(sinks).toMatchObject({
      sessions: { comparison: { identical: false, before: 2, after: 1 } },
      rollups: { comparison: { identical: false, before: 2, after: 1 } },
    });
    expect(unreadable).toEqual({
      events: 2,
      places: [
        { sink: "sessions", shard: 0, seq: 1, events: 1 },
        { sink: "rollups", shard: 0, seq: 1, events: 1 },
      ],
      more: 0,
    });
    await desk().act("one", "cancel");
    await runJob("one", clock, ["cancelled"]);
    expect([await timeline("device", "phone"), await rollup()]).toEqual([["a", "b"], 2]);
  });

  it("restores so a store that has lost its rows, and its sink goes on", async () => {
    await lost();
    const rollups = (env as { MINUTE_ROLLUP: DurableObjectNamespace }).MINUTE_ROLLUP;
    const object = rollups.getByName(`core:${shardName(0)}`);
    await runInDurableObject(object, async (_, state) => state.storage.deleteAll());
    await runInDurableObject(object, (_, state) => state.abort()).catch(() => {});
    await send(0, [{ event_id: "c" }]);
    await drain();
    await begin("one", { ...REBUILD, sinks: ["rollups"] });
    await runJob("one", clock, ["failed"]);
    await desk().act("one", "leave_out");
    await runJob("one", clock, ["waiting_for_swap"]);
    await desk().act("one", "swap");
    await runJob("one", clock, ["waiting_for_confirmation"]);
    await desk().act("one", "confirm");
    await runJob("one", clock);
    await drain();
    expect(await rollup()).toBe(2);
  });

  it("is passed over by a fill that is told so", async () => {
    await lost();
    await begin("fill", { ...REBUILD, kind: "fill", sinks: ["sessions"] } as never);
    await runJob("fill", clock, ["failed"]);
    await desk().act("fill", "leave_out");
    const { outcome } = await runJob("fill", clock);
    expect(outcome).toBe("nothing was missing, 1 in segments that cannot be read left out");
  });
});
