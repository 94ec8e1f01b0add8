import { evictDurableObject, reset } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import type { JobSpec, ReplayDeskApi, ReplaySpec } from "../../../durable-objects/replay-desk/api.ts";
import { REPLAY } from "../../../r2-layout/limits.ts";
import { bindings } from "../../bindings.ts";

afterEach(() => reset());

const desk = (): ReplayDeskApi => bindings.REPLAY_DESK.getByName("desk");
const replay = (rest: Partial<ReplaySpec> = {}): ReplaySpec =>
  ({
    kind: "rebuild",
    sinks: ["lake"],
    from: null,
    to: null,
    range: null,
    rate: 1_000,
    swap: "automatic",
    ...rest,
  }) as ReplaySpec;
const correction: JobSpec = {
  kind: "correction",
  filter: { where: { country: ["DE"] } },
  change: { kind: "retract" },
  note: null,
  rate: 1_000,
};
const settlement: JobSpec = { kind: "settlement", reads: [], rate: 1_000 };

async function created(id: string, spec: JobSpec): Promise<string> {
  expect((await desk().create({ id, spec })).kind).toBe("created");
  return id;
}

/** A lease that is there to be had. */
async function leased(id: string, owner = "a", ttlMs = 60_000) {
  const lease = await desk().lease(id, owner, ttlMs);
  expect(lease).not.toBeNull();
  return lease!;
}

const done = (id: string, token: number) =>
  desk().release(id, token, { kind: "state", from: "running", state: "done", outcome: "done" });
const stateOf = async (id: string) => (await desk().job(id))!.state;

describe("a job's lease", () => {
  it("is one consumer's at a time, and free again when it is released or runs out", async () => {
    await created("r", replay());
    const first = await leased("r");
    expect(await desk().lease("r", "b", 60_000)).toBeNull();
    await desk().release("r", first.token, { kind: "more", inMs: 0 });
    const second = await leased("r", "b", 0);
    expect(second.token).toBe(first.token + 1);
    expect((await leased("r", "c")).token).toBe(second.token + 1);
  });

  it("fences: what a consumer says that lost its lease is refused and changes nothing", async () => {
    await created("r", replay());
    const slow = await leased("r", "slow", 0);
    const quick = await leased("r", "quick");
    await desk().save("r", quick.token, { progress: { at: 2 } });
    expect(await desk().save("r", slow.token, { progress: { at: 1 } })).toEqual({ kind: "lost" });
    await desk().release("r", slow.token, { kind: "state", from: "running", state: "done" });
    expect(await desk().takeRule("r", slow.token, "k")).toBe("lost");
    expect(await desk().job("r")).toMatchObject({ state: "running", progress: { at: 2 } });
    expect(await desk().lease("r", "other", 60_000)).toBeNull();
  });

  it("outlives an eviction, with what was saved", async () => {
    await created("r", replay());
    const { token } = await leased("r");
    await desk().save("r", token, { progress: { at: 7 }, phase: "swap" });
    await evictDurableObject(bindings.REPLAY_DESK.getByName("desk"));
    expect(await desk().lease("r", "b", 60_000)).toBeNull();
    expect(await desk().save("r", token, { waitsFor: "x" })).toEqual({ kind: "saved", state: "running" });
    expect(await desk().job("r")).toMatchObject({ phase: "swap", progress: { at: 7 }, waitsFor: "x" });
  });

  it("is not given for a job that has nothing to do", async () => {
    await created("c", correction);
    expect(await desk().lease("c", "a", 60_000)).toBeNull();
    expect(await desk().lease("unknown", "a", 60_000)).toBeNull();
  });

  it("a state that a slice ends in is not taken where somebody cancelled meanwhile", async () => {
    await created("r", replay());
    const { token } = await leased("r");
    expect(await desk().act("r", "cancel")).toMatchObject({ kind: "accepted" });
    expect(await desk().save("r", token, {})).toEqual({ kind: "saved", state: "cancelling" });
    await desk().release("r", token, { kind: "state", from: "running", state: "waiting_for_confirmation" });
    expect(await stateOf("r")).toBe("cancelling");
    const { token: next } = await leased("r", "b");
    await desk().release("r", next, { kind: "state", from: "cancelling", state: "cancelled" });
    expect(await desk().job("r")).toMatchObject({ state: "cancelled", endedAt: expect.any(Number) });
  });
});

describe("failures", () => {
  it("of a lasting kind end a job after REPLAY.attempts without progress; it can be resumed where it stood", async () => {
    await created("r", replay());
    for (let attempt = 1; attempt <= REPLAY.attempts; attempt++) {
      expect(await stateOf("r")).toBe("running");
      const { token } = await leased("r");
      await desk().release("r", token, { kind: "failed", error: "no", lasting: true });
      expect(await desk().job("r")).toMatchObject({ attempts: attempt, error: "no" });
    }
    expect(await stateOf("r")).toBe("failed");
    expect(await desk().lease("r", "a", 60_000)).toBeNull();
    expect((await desk().act("r", "resume")).kind).toBe("accepted");
    expect(await desk().job("r")).toMatchObject({ state: "running", attempts: 0 });
  });

  it("that time cures never end it, and progress forgets them", async () => {
    await created("r", replay());
    for (let attempt = 0; attempt < REPLAY.attempts + 3; attempt++) {
      const { token } = await leased("r");
      await desk().release("r", token, { kind: "failed", error: "away", lasting: false });
    }
    expect(await desk().job("r")).toMatchObject({ state: "running", attempts: REPLAY.attempts + 3 });
    const { token } = await leased("r");
    await desk().save("r", token, { progress: {} });
    expect(await desk().job("r")).toMatchObject({ attempts: 0, error: null });
  });
});

describe("making a job", () => {
  it("is refused while an open replay has one of its sinks, and taken once that has ended", async () => {
    await created("r", replay({ sinks: ["lake", "rollups"] }));
    expect(await desk().create({ id: "s", spec: replay({ kind: "fill", sinks: ["rollups"] }) })).toMatchObject({
      kind: "busy",
      job: { id: "r" },
    });
    await created("t", replay({ sinks: ["sessions"] }));
    await done("r", (await leased("r")).token);
    await created("u", replay({ sinks: ["lake"] }));
  });

  it("twice with one key is one job, and refused where the key came with something else", async () => {
    const job = { id: "one", spec: correction, key: "k", fingerprint: "f" };
    expect((await desk().create(job)).kind).toBe("created");
    expect(await desk().create({ ...job, id: "two" })).toMatchObject({ kind: "known", job: { id: "one" } });
    expect(await desk().create({ ...job, id: "three", fingerprint: "g" })).toMatchObject({ kind: "mismatch" });
    expect(await desk().known("k")).toMatchObject({ job: { id: "one" }, fingerprint: "f" });
  });

  it(`promise 9: at most ${REPLAY.openJobs} are open at once`, async () => {
    for (let n = 0; n < REPLAY.openJobs; n++) await created(`c${n}`, correction);
    expect(await desk().create({ id: "more", spec: correction })).toEqual({ kind: "too_many", open: REPLAY.openJobs });
    await desk().act("c0", "cancel");
    await created("more", correction);
  });

  it(`promise 9: of the ended the newest ${REPLAY.jobsKept} are kept, and every open one`, async () => {
    await created("open", correction);
    for (let n = 0; n <= REPLAY.jobsKept; n++) {
      await created(`c${n}`, correction);
      await desk().act(`c${n}`, "cancel");
    }
    expect(await desk().job("c0")).toBeNull();
    expect(await desk().job("c1")).not.toBeNull();
    expect(await desk().job("open")).not.toBeNull();
  });
});

describe("rule versions", () => {
  const confirmed = async (id: string) => {
    await created(id, correction);
    await desk().act(id, "confirm");
    return leased(id);
  };

  it("are dense, one is raised at a time, and the same key gets the same one", async () => {
    const { token } = await confirmed("c");
    expect(await desk().takeRule("c", token, "a")).toEqual({ version: 1 });
    expect(await desk().takeRule("c", token, "a")).toEqual({ version: 1 });
    expect(await desk().takeRule("c", token, "b")).toEqual({ waitsFor: expect.stringContaining("rule 1") });
    await desk().ruleRaised("c", token, 1);
    expect(await desk().takeRule("c", token, "b")).toEqual({ version: 2 });
  });

  it("are one job's until it ends: another waits, and is called when it has", async () => {
    const one = await confirmed("one");
    const two = await confirmed("two");
    await desk().takeRule("one", one.token, "a");
    await desk().ruleRaised("one", one.token, 1);
    expect(await desk().takeRule("two", two.token, "a")).toEqual({ waitsFor: "job one" });
    await desk().save("two", two.token, { waitsFor: "job one" });
    await done("one", one.token);
    expect(await desk().takeRule("two", two.token, "a")).toEqual({ version: 2 });
  });

  it("wait for a slice of a replay that is under way, and hold back the next one until the job has ended", async () => {
    await created("fill", replay({ kind: "fill" }));
    const slice = await leased("fill");
    const { token } = await confirmed("c");
    expect(await desk().takeRule("c", token, "a")).toEqual({ waitsFor: "job fill" });
    await desk().release("fill", slice.token, { kind: "more", inMs: 0 });
    expect(await desk().lease("fill", "a", 60_000)).toBeNull();
    expect((await desk().job("fill"))!.waitsFor).toBe("job c");
    expect(await desk().takeRule("c", token, "a")).toEqual({ version: 1 });
    await done("c", token);
    await leased("fill");
  });

  it("make a build begin anew: it is let go before there is a version", async () => {
    await created("r", replay());
    const build = await leased("r");
    await desk().save("r", build.token, { holds: true, progress: { at: 1 } });
    await desk().release("r", build.token, { kind: "more", inMs: 0 });
    const { token } = await confirmed("c");
    expect(await desk().takeRule("c", token, "a")).toEqual({ waitsFor: "job r" });
    const restart = await leased("r");
    expect(restart.job).toMatchObject({ state: "running", phase: "restart" });
    await desk().save("r", restart.token, { phase: "build", progress: null, holds: false });
    await desk().release("r", restart.token, { kind: "more", inMs: 0 });
    expect(await desk().lease("r", "a", 60_000)).toBeNull();
    expect(await desk().takeRule("c", token, "a")).toEqual({ version: 1 });
  });

  it("confirm an old that is kept, for it must not come back without the rule; revert is refused", async () => {
    await created("r", replay());
    const build = await leased("r");
    await desk().save("r", build.token, { holds: true });
    await desk().release("r", build.token, { kind: "state", from: "running", state: "waiting_for_confirmation" });
    expect((await desk().act("r", "cancel")).kind).toBe("refused");
    const { token } = await confirmed("c");
    expect(await desk().takeRule("c", token, "a")).toEqual({ waitsFor: "job r" });
    expect(await stateOf("r")).toBe("confirming");
    const confirming = await leased("r");
    await desk().save("r", confirming.token, { holds: false });
    await desk().release("r", confirming.token, { kind: "state", from: "confirming", state: "done" });
    expect(await desk().takeRule("c", token, "a")).toEqual({ version: 1 });
  });

  it("of a settlement wait for a rebuild to come to its swap, and for people to decide", async () => {
    await created("r", replay());
    const build = await leased("r");
    await desk().save("r", build.token, { holds: true });
    await created("s", settlement);
    const { token } = await leased("s");
    expect(await desk().takeRule("s", token, "a")).toEqual({ waitsFor: "rebuild r", takes: "long" });
    await desk().release("r", build.token, { kind: "state", from: "running", state: "waiting_for_confirmation" });
    expect(await desk().takeRule("s", token, "a")).toEqual({ waitsFor: "rebuild r", takes: "long" });
    expect(await stateOf("r")).toBe("waiting_for_confirmation");
  });

  it("leave no way back: a correction with a rule cannot be cancelled, one without can", async () => {
    const { token } = await confirmed("c");
    await desk().takeRule("c", token, "a");
    expect(await desk().act("c", "cancel")).toMatchObject({ kind: "refused", detail: expect.stringContaining("rule") });
    await created("d", correction);
    expect(await desk().act("d", "cancel")).toMatchObject({ kind: "accepted", job: { state: "cancelled" } });
    expect((await desk().act("d", "confirm")).kind).toBe("refused");
  });
});

describe("a job with a rule that is set aside", () => {
  const ruled = async (id: string) => {
    await created(id, correction);
    await desk().act(id, "confirm");
    const { token } = await leased(id);
    await desk().takeRule(id, token, "a");
    return token;
  };
  const release = (id: string, token: number, lasting: boolean) =>
    desk().release(id, token, { kind: "failed", error: "no", lasting });
  const failed = async (id: string) => {
    let token = await ruled(id);
    await desk().ruleRaised(id, token, 1);
    for (let attempt = 1; attempt <= REPLAY.attempts; attempt++) {
      await release(id, token, true);
      if (attempt < REPLAY.attempts) token = (await leased(id)).token;
    }
    expect(await stateOf(id)).toBe("failed");
  };
  const letGo = async (id: string) => {
    const { token } = await leased(id);
    await desk().release(id, token, { kind: "state", from: "abandoning", state: "abandoned", outcome: "aside" });
  };

  it("gives back the turn once it has let go what it was at, and its rule stays", async () => {
    await failed("c");
    await created("r", replay());
    expect(await desk().lease("r", "a", 60_000)).toBeNull();
    expect(await desk().act("c", "abandon")).toMatchObject({
      job: { state: "abandoning", outcome: expect.stringContaining("stays in force"), error: "no" },
    });
    expect(await desk().lease("r", "a", 60_000)).toBeNull();
    await letGo("c");
    expect(await desk().job("c")).toMatchObject({ state: "abandoned", outcome: "aside", endedAt: expect.any(Number) });
    expect((await leased("r")).rules).toBe(1);
  });

  it("gives it back after REPLAY.attempts, too, if it cannot let go, whatever the failures are", async () => {
    await failed("c");
    await desk().act("c", "abandon");
    for (let attempt = 1; attempt <= REPLAY.attempts; attempt++) {
      const { token } = await leased("c");
      // What is saved on the way is no progress.
      await desk().save("c", token, { progress: { at: attempt } });
      await release("c", token, attempt % 2 === 0);
    }
    expect(await stateOf("c")).toBe("abandoned");
    await created("r", replay());
    await leased("r");
  });

  it("may be one that fails again and again, or waits, but none that moves, has no rule, or one not every log has", async () => {
    await created("r", replay());
    expect(await desk().act("r", "abandon")).toMatchObject({
      kind: "refused",
      detail: expect.stringContaining("cancel"),
    });
    await desk().act("r", "cancel");
    const token = await ruled("c");
    expect(await desk().act("c", "abandon")).toMatchObject({ detail: expect.stringContaining("not in every shard") });
    await desk().ruleRaised("c", token, 1);
    expect(await desk().act("c", "abandon")).toMatchObject({ detail: expect.stringContaining("it moves") });
    await desk().save("c", token, { waitsFor: "rollups of shard 0" });
    expect((await desk().act("c", "abandon")).kind).toBe("accepted");
    expect((await desk().act("c", "cancel")).kind).toBe("refused");
    // The slice that was under way learns of it.
    expect(await desk().save("c", token, {})).toEqual({ kind: "saved", state: "abandoning" });
  });

  it("takes the turn again when it is resumed, if nobody is at the stores and no later rule is in force", async () => {
    await failed("c");
    await desk().act("c", "abandon");
    await letGo("c");
    await created("r", replay());
    const build = await leased("r");
    expect(await desk().act("c", "resume")).toMatchObject({
      kind: "refused",
      detail: expect.stringContaining("job r"),
    });
    await done("r", build.token);
    expect(await desk().act("c", "resume")).toMatchObject({ job: { state: "running", outcome: null, endedAt: null } });
    await created("s", replay());
    expect(await desk().lease("s", "a", 60_000)).toBeNull();
    await desk().act("s", "cancel");
    const again = await leased("c");
    await desk().save("c", again.token, { waitsFor: "a sink" });
    await desk().release("c", again.token, { kind: "more", inMs: 0 });
    await desk().act("c", "abandon");
    await letGo("c");
    await ruled("d");
    expect(await desk().act("c", "resume")).toMatchObject({ detail: expect.stringContaining("later rule") });
  });
});

it("a job that was set aside is not resumed once the lake was built under its rule: the lake no longer tells what it changes", async () => {
  await created("c", correction);
  await desk().act("c", "confirm");
  const { token } = await leased("c");
  await desk().takeRule("c", token, "a");
  await desk().ruleRaised("c", token, 1);
  await desk().release("c", token, { kind: "failed", error: "no", lasting: false });
  await desk().act("c", "abandon");
  const last = await leased("c");
  await desk().release("c", last.token, { kind: "state", from: "abandoning", state: "abandoned" });
  await created("r", replay());
  const build = await leased("r");
  await desk().release("r", build.token, { kind: "state", from: "running", state: "waiting_for_confirmation" });
  await desk().act("r", "confirm");
  const confirming = await leased("r");
  await desk().release("r", confirming.token, { kind: "state", from: "confirming", state: "done" });
  expect(await desk().act("c", "resume")).toMatchObject({ detail: expect.stringContaining("r has built the lake") });
});

describe("a replay that cannot be ended", () => {
  const fail = async (id: string, attempts: number = REPLAY.attempts, unreadable = false) => {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const { token } = await leased(id);
      await desk().release(id, token, {
        kind: "failed",
        error: "no",
        lasting: true,
        ...(unreadable && { unreadable }),
      });
    }
  };
  const offered = async (id: string) => (await desk().job(id))!.actions;

  it("is abandoned once it has failed while it was confirmed, reverted or cancelled, and its sinks are free", async () => {
    for (const kind of ["fill", "rebuild"] as const) {
      await created(kind, replay({ kind } as never));
      expect(await offered(kind)).toEqual(["cancel"]);
      await desk().act(kind, "cancel");
      expect(await offered(kind)).toEqual([]);
      await fail(kind, 1);
      expect(await offered(kind)).toEqual(["abandon"]);
      await fail(kind, REPLAY.attempts - 1);
      expect(await offered(kind)).toEqual(["cancel", "resume", "abandon"]);
      expect((await desk().create({ id: "next", spec: replay() })).kind).toBe("busy");
      expect(await desk().act(kind, "abandon")).toMatchObject({ job: { outcome: "abandoned while cancelling" } });
      const { token } = await leased(kind);
      await desk().release(kind, token, { kind: "state", from: "abandoning", state: "abandoned" });
      expect(await desk().job(kind)).toMatchObject({ state: "abandoned", actions: [], endedAt: expect.any(Number) });
    }
    await created("next", replay());
  });

  it("and that was left after REPLAY.attempts can be abandoned again, once nobody else has its sinks", async () => {
    await created("r", replay());
    await desk().act("r", "cancel");
    await fail("r");
    await desk().act("r", "abandon");
    await fail("r");
    expect(await desk().job("r")).toMatchObject({ state: "abandoned", actions: ["abandon"], error: "no" });
    await created("next", replay());
    expect(await desk().act("r", "abandon")).toMatchObject({
      kind: "refused",
      detail: expect.stringContaining("next"),
    });
    await desk().act("next", "cancel");
    const { token } = await leased("next");
    await desk().release("next", token, { kind: "state", from: "cancelling", state: "cancelled" });
    expect(await desk().act("r", "abandon")).toMatchObject({ job: { state: "abandoning", endedAt: null } });
    const again = await leased("r");
    await desk().release("r", again.token, { kind: "state", from: "abandoning", state: "abandoned" });
    expect(await desk().job("r")).toMatchObject({ state: "abandoned", actions: [], endedAt: expect.any(Number) });
  });

  it("keeps no rule waiting: neither while it lets go nor afterwards", async () => {
    await created("r", replay());
    const { token } = await leased("r");
    await desk().save("r", token, { holds: true });
    await desk().release("r", token, { kind: "state", from: "running", state: "waiting_for_confirmation" });
    await desk().act("r", "confirm");
    await fail("r");
    await created("c", correction);
    await desk().act("c", "confirm");
    const rule = await leased("c");
    await desk().act("r", "abandon");
    expect(await desk().takeRule("c", rule.token, "a")).toEqual({ waitsFor: "job r" });
    const letsGo = await leased("r");
    await desk().release("r", letsGo.token, { kind: "state", from: "abandoning", state: "abandoned" });
    expect(await desk().takeRule("c", rule.token, "a")).toEqual({ version: 1 });
  });

  it("because it has come to a segment that nobody can read goes on without it, if that is asked for, and only then", async () => {
    await created("r", replay());
    await fail("r");
    expect(await offered("r")).toEqual(["cancel", "resume"]);
    expect(await desk().act("r", "leave_out")).toMatchObject({ kind: "refused", detail: expect.any(String) });
    await desk().act("r", "resume");
    await fail("r", REPLAY.attempts, true);
    expect(await offered("r")).toEqual(["cancel", "resume", "leave_out"]);
    expect(await desk().act("r", "leave_out")).toMatchObject({ job: { state: "running", unreadable: "left_out" } });
    // Asked twice, it is asked once.
    expect((await desk().act("r", "leave_out")).kind).toBe("accepted");
    expect((await leased("r")).job.attempts).toBe(0);
  });
});

it("counts what was settled once, with the change that says so", async () => {
  await created("s", settlement);
  const { token } = await leased("s");
  const settled = [{ day: "2026-11-22", shard: 1, cause: "republished", events: 3 }] as const;
  await desk().save("s", token, { progress: { stage: "record" }, settled });
  await created("t", settlement);
  const other = await leased("t");
  await desk().save("t", other.token, { settled });
  expect((await desk().overview()).settled).toEqual([{ ...settled[0], events: 6 }]);
});

it("calls a job that nobody has taken up again, and one whose consumer died", async () => {
  await created("r", replay());
  await leased("r", "dies", 0);
  const before = (await desk().job("r"))!;
  await desk().poke();
  expect((await leased("r", "next")).job.id).toBe(before.id);
});

describe("an erasure", () => {
  const erasure: JobSpec = { kind: "erasure", mode: "erase", identifiers: 1, rate: 1 };

  it("promise 7: begins when somebody has confirmed it, and from its rule on is neither cancelled nor set aside", async () => {
    await created("e", erasure);
    expect(await desk().lease("e", "a", 60_000)).toBeNull();
    expect(await desk().act("e", "confirm")).toMatchObject({ kind: "accepted", job: { state: "running" } });
    const { token } = await leased("e");
    expect(await desk().takeRule("e", token, "erase0")).toEqual({ version: 1 });
    await desk().ruleRaised("e", token, 1);
    await desk().save("e", token, { waitsFor: "a store" });
    for (const action of ["cancel", "abandon"] as const) {
      expect(await desk().act("e", action)).toMatchObject({ kind: "refused" });
    }
    expect((await desk().job("e"))!.actions).toEqual([]);
  });

  it("gives its turn back before its stores: another job may have a rule, and it goes on", async () => {
    await created("e", erasure);
    await desk().act("e", "confirm");
    const { token } = await leased("e");
    await desk().takeRule("e", token, "erase0");
    await desk().ruleRaised("e", token, 1);
    await created("c", correction);
    await desk().act("c", "confirm");
    const other = await leased("c");
    expect(await desk().takeRule("c", other.token, "rule")).toEqual({ waitsFor: "job e" });
    expect(await desk().save("e", token, { progress: { stage: "stores" }, yields: true })).toMatchObject({
      kind: "saved",
    });
    expect(await desk().takeRule("c", other.token, "rule")).toEqual({ version: 2 });
    expect(await desk().save("e", token, { progress: { stage: "finish" } })).toMatchObject({ kind: "saved" });
  });

  it("is kept when jobs that ended long ago are forgotten", async () => {
    await created("e", erasure);
    await desk().act("e", "confirm");
    await done("e", (await leased("e")).token);
    for (let n = 0; n <= REPLAY.jobsKept; n++) {
      await created(`s${n}`, settlement);
      await done(`s${n}`, (await leased(`s${n}`)).token);
    }
    expect(await desk().job("s0")).toBeNull();
    expect(await stateOf("e")).toBe("done");
  });
});

describe("names of erased people", () => {
  it("promise 7: go from every job's spec, preview and error, with all samples where one names somebody", async () => {
    const spec: JobSpec = { ...correction, filter: { where: { user_id: ["ann", "bob"] } } } as JobSpec;
    const samples = [{ before: { user_id: "ann", page_title: "secret" }, after: null }];
    await desk().create({ id: "c", spec, preview: { count: 1, samples } });
    await created("other", correction);
    await desk().act("c", "confirm");
    const { token } = await leased("c");
    await desk().release("c", token, { kind: "failed", error: "no rows for ann", lasting: false });
    const names = new Map([["ann", "erased:00"]]);
    expect(await desk().redact(names, true)).toBe(1);
    expect(JSON.stringify(await desk().job("c"))).toContain("ann");
    expect(await desk().redact(names, false)).toBe(1);
    expect(await desk().job("c")).toMatchObject({
      spec: { filter: { where: { user_id: ["erased:00", "bob"] } } },
      preview: { count: 1, samples: [] },
      error: null,
    });
    expect(await desk().redact(names, true)).toBe(0);
    expect((await desk().job("other"))!.spec).toEqual(correction);
  });
});
