import { describe, expect, it, vi } from "vitest";
import type { JobAction, JobState, ReplaySpec } from "../../../durable-objects/replay-desk/api.ts";
import { replayBatch, runSlice } from "../../../queues/replay/consume.ts";
import { batchOf } from "../log-rig.ts";
import { MemoryTarget } from "./memory-target.ts";
import { Crash, clockOfEachTest, consumer, desk, fillLog, headOf, idsOf, type Rig, runUntil } from "./replay-rig.ts";

const clock = clockOfEachTest();

const EVENTS = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const SEGMENTS = [[0, 1], [2], [3, 4, 5], [6], [7, 8]];

const spec = (rest: Partial<ReplaySpec> = {}): ReplaySpec =>
  ({
    kind: "rebuild",
    sinks: ["lake"],
    from: null,
    to: null,
    range: null,
    rate: 1_000_000,
    swap: "automatic",
    ...rest,
  }) as ReplaySpec;
const fillSpec = (rest: Partial<ReplaySpec> = {}) => spec({ kind: "fill", sinks: ["lake"], ...rest } as ReplaySpec);

async function rigOf(live: readonly string[], segments = SEGMENTS): Promise<Rig & { store: MemoryTarget }> {
  await fillLog(segments);
  const heads = new Map([[0, await headOf(0)]]);
  const store = new MemoryTarget("lake", () => heads, live);
  return { targets: { lake: store, rollups: new MemoryTarget("rollups", () => heads, live) }, store };
}

async function start(id: string, job: ReplaySpec): Promise<void> {
  expect((await desk().create({ id, spec: job })).kind).toBe("created");
}

const ENDS: readonly JobState[] = ["waiting_for_confirmation", "waiting_for_swap", "done", "cancelled", "failed"];

describe("fill", () => {
  it("promise 4: applies what is missing, once, and is a no-op where all is applied", async () => {
    const rig = await rigOf(idsOf([0, 1, 4, 8]));
    await start("one", fillSpec());
    await runUntil("one", consumer(rig), clock, ["done"]);
    expect(rig.store.live.toSorted()).toEqual(idsOf(EVENTS));
    expect(await desk().job("one")).toMatchObject({ outcome: "5 events applied", meter: { read: 9, total: 9 } });
    await start("two", fillSpec());
    await runUntil("two", consumer(rig), clock, ["done"]);
    expect(await desk().job("two")).toMatchObject({ outcome: "nothing was missing" });
    expect(rig.store.live.length).toBe(EVENTS.length);
  });

  it("reads a part of one shard's log, and refuses one that lies beyond it", async () => {
    const rig = await rigOf([]);
    await start("part", fillSpec({ range: { shard: 0, from: 2, to: 3 } }));
    await runUntil("part", consumer(rig), clock, ["done"]);
    expect(rig.store.live).toEqual(idsOf([2, 3, 4, 5]));
    await start("beyond", fillSpec({ range: { shard: 0, from: 2, to: 9 } }));
    await runUntil("beyond", consumer(rig), clock, ["failed"]);
    expect((await desk().job("beyond"))!.error).toContain("ends at 5");
  });

  it("goes on in another slice where a target has used up its calls, with the same step", async () => {
    const rig = await rigOf([]);
    rig.store.askForMore(3);
    await start("one", fillSpec());
    await runUntil("one", consumer(rig), clock, ["done"]);
    expect(rig.store.live.toSorted()).toEqual(idsOf(EVENTS));
  });
});

describe("rebuild", () => {
  const LIVE = idsOf([0, 1, 2, 3, 3, 99]);

  it("promise 4: builds beside the live store, compares, swaps, and lets the old go once confirmed", async () => {
    const rig = await rigOf(LIVE);
    await start("r", spec({ sinks: ["lake", "rollups"] }));
    await runUntil("r", consumer(rig), clock, ENDS);
    expect(await desk().job("r")).toMatchObject({
      state: "waiting_for_confirmation",
      progress: { sinks: { lake: { comparison: { identical: false, before: 6, after: 9 } } } },
    });
    expect(rig.store.live).toEqual(idsOf(EVENTS));
    expect(rig.store.old).toEqual(LIVE);
    await desk().act("r", "confirm");
    await runUntil("r", consumer(rig), clock, ["done"]);
    expect(rig.store.old).toBeNull();
    expect(await desk().job("r")).toMatchObject({ outcome: "confirmed" });
  });

  it("comes back as it was when reverted", async () => {
    const rig = await rigOf(LIVE);
    await start("r", spec());
    await runUntil("r", consumer(rig), clock, ENDS);
    await desk().act("r", "revert");
    await runUntil("r", consumer(rig), clock, ["done"]);
    expect(rig.store.live).toEqual(LIVE);
    expect(await desk().job("r")).toMatchObject({ outcome: "reverted" });
  });

  it("waits for the swap where that is to be asked for, and can be cancelled until then", async () => {
    const rig = await rigOf(LIVE);
    await start("r", spec({ swap: "manual" } as Partial<ReplaySpec>));
    await runUntil("r", consumer(rig), clock, ENDS);
    expect((await desk().job("r"))!.state).toBe("waiting_for_swap");
    expect(rig.store.live).toEqual(LIVE);
    await desk().act("r", "swap");
    await runUntil("r", consumer(rig), clock, ["waiting_for_confirmation"]);
    expect(rig.store.live).toEqual(idsOf(EVENTS));

    await desk().act("r", "confirm");
    await runUntil("r", consumer(rig), clock, ["done"]);
    await start("s", spec({ swap: "manual" } as Partial<ReplaySpec>));
    await runUntil("s", consumer(rig), clock, ["waiting_for_swap"]);
    await desk().act("s", "cancel");
    await runUntil("s", consumer(rig), clock, ["cancelled"]);
    expect(rig.store.builds.has("s")).toBe(false);
  });

  it("cancelled in the middle of a slice stops at its next step and lets its build go", async () => {
    const rig = await rigOf(LIVE);
    await start("r", spec());
    const add = rig.store.add.bind(rig.store);
    rig.store.add = async (...args) => {
      await desk().act("r", "cancel");
      return add(...args);
    };
    await runUntil("r", consumer(rig), clock, ["cancelled"]);
    expect(rig.store.builds.size).toBe(0);
    expect(rig.store.live).toEqual(LIVE);
  });

  it("waits longer and longer where it gets no further, though it saves what it has each time", async () => {
    await start("r", spec());
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      const lease = (await desk().lease("r", "me", 60_000_000))!;
      await desk().save("r", lease.token, { phase: "build", progress: { stage: "read", at: 7 } });
      await desk().release("r", lease.token, { kind: "failed", error: "a sink stands still", lasting: false });
      const { attempts, error } = (await desk().job("r"))!;
      expect(error).toBe("a sink stands still");
      waits.push(attempts);
    }
    expect(waits).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const { token } = (await desk().lease("r", "me", 60_000_000))!;
    await desk().save("r", token, { progress: { stage: "read", at: 8 } });
    expect((await desk().job("r"))!).toMatchObject({ attempts: 0, error: null });
  });

  it("gives no rule to a job that was cancelled after its holder heard of it last", async () => {
    await desk().create({
      id: "c",
      spec: { kind: "correction", filter: {}, change: { kind: "retract" }, note: null, rate: 1 },
    });
    await desk().act("c", "confirm");
    const { token } = (await desk().lease("c", "me", 60_000_000))!;
    expect((await desk().act("c", "cancel")).kind).toBe("accepted");
    expect(await desk().takeRule("c", token, "k")).toBe("lost");
    expect((await desk().overview()).rules).toBe(0);
  });

  it("begins anew under a name of its own where a rule is raised before its swap", async () => {
    const rig = await rigOf(LIVE);
    await start("r", spec({ swap: "manual" } as Partial<ReplaySpec>));
    await runUntil("r", consumer(rig), clock, ["waiting_for_swap"]);
    await desk().create({
      id: "c",
      spec: { kind: "correction", filter: {}, change: { kind: "retract" }, note: null, rate: 1 },
    });
    await desk().act("c", "confirm");
    const { token } = (await desk().lease("c", "me", 60_000_000))!;
    expect(await desk().takeRule("c", token, "k")).toEqual({ waitsFor: "job r" });
    await runSlice("r", consumer(rig));
    expect(rig.store.builds.size).toBe(0);
    expect(await desk().takeRule("c", token, "k")).toEqual({ version: 1 });
    await desk().release("c", token, { kind: "state", from: "running", state: "done" });
    await runUntil("r", consumer(rig), clock, ["waiting_for_swap"]);
    expect([...rig.store.builds.keys()]).toEqual(["r-2"]);
    await desk().act("r", "swap");
    await runUntil("r", consumer(rig), clock, ["waiting_for_confirmation"]);
    expect(rig.store.live).toEqual(idsOf(EVENTS));
  });

  it("begins anew where the live sink has left out more since, and nothing was swapped yet", async () => {
    const rig = await rigOf(LIVE);
    const swap = rig.store.swap.bind(rig.store);
    let refused = 0;
    rig.store.swap = async (job) => {
      if (job.id === "r") {
        refused++;
        throw new RangeError("holes: the live sink left out more");
      }
      return swap(job);
    };
    await start("r", spec());
    await runUntil("r", consumer(rig), clock, ENDS);
    expect(refused).toBe(1);
    expect((await desk().job("r"))!.state).toBe("waiting_for_confirmation");
    expect([...rig.store.builds.keys()]).toEqual(["r-2"]);
    expect(rig.store.live).toEqual(idsOf(EVENTS));
  });

  it("gives up after lasting failures, and goes on from there when resumed", async () => {
    const rig = await rigOf(LIVE);
    const add = rig.store.add.bind(rig.store);
    let broken = true;
    rig.store.add = async (job, step) => {
      if (broken && step.from >= 2) throw new RangeError("this step cannot be");
      return add(job, step);
    };
    await start("r", spec());
    await runUntil("r", consumer(rig), clock, ["failed"]);
    expect((await desk().job("r"))!.error).toContain("cannot be");
    broken = false;
    await desk().act("r", "resume");
    await runUntil("r", consumer(rig), clock, ["waiting_for_confirmation"]);
    expect(rig.store.live).toEqual(idsOf(EVENTS));
  });
});

/** Each kind of job to its end: what comes of it must not depend on where a process died, in its work or after an action. */
const FEW = [[0, 1], [2], [3, 4, 5]];
const ALL = [0, 1, 2, 3, 4, 5];
const LIVES: readonly (readonly [string, ReplaySpec, JobAction | null, readonly number[]])[] = [
  ["fill", fillSpec(), null, ALL],
  ["rebuild", spec(), null, ALL],
  ["rebuild, confirmed", spec(), "confirm", ALL],
  ["rebuild, reverted", spec(), "revert", [0, 1]],
  ["rebuild, cancelled", spec({ swap: "manual" } as Partial<ReplaySpec>), "cancel", [0, 1]],
];

/** @param crash of the consumers until the job has ended, or from the action on where there is one. */
async function live(id: string, job: ReplaySpec, action: JobAction | null, rig: Rig, crash: Crash): Promise<void> {
  const dying = consumer(rig, crash);
  const next = consumer(rig);
  const until = async (states: readonly JobState[]) => {
    for (let n = 0; !crash.fired && n < 100; n++) {
      if (states.includes((await desk().job(id))!.state)) return;
      await runSlice(id, dying);
      clock.pass(120_000);
    }
    await runUntil(id, next, clock, states);
  };
  await start(id, job);
  if (action === null) return until(ENDS);
  await runUntil(id, next, clock, ENDS);
  expect((await desk().act(id, action)).kind).toBe("accepted");
  await until(["done", "cancelled"]);
}

describe.each(LIVES)("%s", (_name, job, action, wanted) => {
  it("promise 4: comes out the same wherever its process dies", async () => {
    const before = idsOf([0, 1]);
    const whole = new Crash();
    const rig = await rigOf(before, FEW);
    await live("whole", job, action, rig, whole);
    if (job.kind === "rebuild" && action === null) await desk().act("whole", "confirm");
    await runUntil("whole", consumer(rig), clock, ["done", "cancelled"]);
    expect(rig.store.live.toSorted()).toEqual(idsOf(wanted));
    expect(whole.calls).toBeGreaterThan(4);
    for (let call = 0; call < whole.calls; call++) {
      const store = new MemoryTarget("lake", rig.store.heads, before);
      const targets = { lake: store };
      const crash = new Crash(call);
      const id = `after-${call}`;
      await live(id, job, action, { targets }, crash);
      expect([id, crash.fired, store.live.toSorted()]).toEqual([id, true, idsOf(wanted)]);
      if ((await desk().job(id))!.state === "waiting_for_confirmation") {
        await desk().act(id, "confirm");
        await runUntil(id, consumer({ targets }), clock, ["done"]);
      }
      expect(store.old).toBeNull();
    }
  });

  it("promise 2: comes out the same with two consumers at each message", async () => {
    const rig = await rigOf(idsOf([0, 1]), FEW);
    await start("r", job);
    const both = async (states: readonly JobState[]) => {
      for (let n = 0; n < 100 && !states.includes((await desk().job("r"))!.state); n++) {
        await Promise.all([runSlice("r", consumer(rig)), runSlice("r", consumer(rig))]);
        clock.pass(120_000);
      }
    };
    await both(ENDS);
    if (action !== null) {
      await desk().act("r", action);
      await both(["done", "cancelled"]);
    }
    expect(rig.store.live.toSorted()).toEqual(idsOf(wanted));
  });
});

it("a consumer that hung while another took its job over changes nothing any more", async () => {
  const rig = await rigOf([]);
  await start("r", spec());
  let woken = () => {};
  const asleep = new Promise<void>((resolve) => {
    woken = resolve;
  });
  const slow = new MemoryTarget("lake", rig.store.heads);
  slow.plan = async (job) => {
    await asleep;
    return rig.store.plan(job);
  };
  const hung = runSlice("r", consumer({ targets: { ...rig.targets, lake: slow } }));
  await vi.waitFor(async () => expect(await desk().lease("r", "x", 1)).toBeNull(), { timeout: 10_000 });
  clock.pass(120_000);
  await runUntil("r", consumer(rig), clock, ["waiting_for_confirmation"]);
  const before = await desk().job("r");
  woken();
  await hung;
  expect(await desk().job("r")).toEqual(before);
  expect(rig.store.live).toEqual(idsOf(EVENTS));
});

it("acks every message, also one that names no job or cannot be read", async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  const rig = await rigOf([]);
  const { batch, outcomes } = batchOf("replays", [{ job: "unknown" }, "nonsense", null]);
  await replayBatch(batch, consumer(rig));
  expect(outcomes).toEqual(["ack", "ack", "ack"]);
});
