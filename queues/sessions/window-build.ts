/**
 * A window of the log built anew in the timelines that its events name: within the window each of them becomes what the log
 * says, and nothing else of it changes. Pieces are staged in the timelines' own objects, beside what readers see.
 *
 *     begin      which segments the window means, up to where the live sink is: what comes later it brings itself
 *     add        names to R2, then the pieces, then what they would change to R2, then the build's cursor
 *     swap       list by list, each timeline settles all its pieces in one transaction; devices learn of users
 *     revert     list by list, each timeline becomes what it was
 *     then       list by list, what was staged is forgotten, and the list
 *
 *     crash anywhere                    what was done is found done; how far a walk has come stands in R2
 *     the sink appends meanwhile        its events are of later segments: no piece means them
 *     a rule is raised meanwhile        the timelines that it amended refuse what passed older ones; begin anew
 *
 * The swap is whole for each timeline, not for all of them at once: a reader may see one before and another after. A timeline
 * that has events of the window which the log gives to others is not looked at; only a build of everything finds those.
 */
import type { Build } from "../../durable-objects/sink-cursor/api.ts";
import type { Subject, WindowDifference } from "../../durable-objects/user-timeline/api.ts";
import { nameIn, timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { jobKey, shardName } from "../../r2-layout/keys.ts";
import { SESSIONS, SINK } from "../../r2-layout/limits.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { More, ReplayComparison, ReplayJob, ReplayRead, ReplayStep } from "../replay/target.ts";
import { boundedParallel } from "./bounded-parallel.ts";
import { BuildRecord } from "./build-record.ts";
import { NameLists } from "./name-lists.ts";
import { applyParts } from "./part-progress.ts";
import { groupBySubject, PARTS, partOf, subjectOf } from "./subjects.ts";
import { retried } from "./timeline-writer.ts";
import { BEEN_LIVE, type BuildDeps } from "./whole-build.ts";

type Range = Pick<ReplayRead, "shard" | "after" | "to">;

/** Calls that a few names may take, of which each may point devices at its user. */
const CALLS_KEPT = 1_000;
const NAMES_AT_ONCE = SESSIONS.callsAtOnce;
/** Steps whose differences are summed: an invocation reads no more objects. */
const STEPS_COMPARED = 1_000;

export class WindowBuild {
  readonly #job: ReplayJob;
  readonly #deps: BuildDeps;
  readonly #record: BuildRecord;
  readonly #names: NameLists;
  readonly #differences: NameLists;
  readonly #group: string;

  constructor(job: ReplayJob, deps: BuildDeps) {
    this.#job = job;
    this.#deps = deps;
    this.#record = new BuildRecord(job.id, deps.cursors, deps.calls);
    this.#names = new NameLists(deps.bucket, job);
    this.#differences = new NameLists(deps.bucket, job, "differences");
    this.#group = `sessions-window@${job.id}`;
  }

  async plan(): Promise<ReplayRead[]> {
    const build = (await this.#record.read()) ?? (await this.#begin());
    if (build.state !== "building") return [];
    const reads: ReplayRead[] = [];
    for (const { shard, after, to } of JSON.parse(build.note) as Range[]) {
      const at = Math.max(after, (await this.#cursor(shard).status()).cursor);
      if (at < to) reads.push({ shard, after: at, to, steps: 0 });
    }
    return reads;
  }

  async add(step: ReplayStep): Promise<undefined | More> {
    const build = await this.#record.read();
    if (build?.state !== "building") return undefined;
    const cursor = this.#cursor(step.shard);
    const lease = await cursor.lease(this.#job.id, SINK.leaseMs);
    if (!lease) return "more";
    try {
      if (lease.cursor >= step.to) return undefined;
      if ((await this.#stageAll(step, build)) === "more") return "more";
      const none = { events: 0, quarantined: 0 };
      const { moved } = await cursor.advance(lease.token, lease.cursor, step.to, none);
      return moved ? undefined : "more";
    } finally {
      await cursor.release(lease.token);
    }
  }

  /** Of the first `STEPS_COMPARED` steps, and it says so where there are more. */
  async compare(): Promise<ReplayComparison> {
    const sum = { before: 0, after: 0, differing: 0 };
    const keys = await this.#differences.keys(null, STEPS_COMPARED);
    await boundedParallel(keys, SESSIONS.callsAtOnce, async (key) => {
      const [text = "{}"] = await this.#differences.read(key);
      const { before = 0, after = 0, differing = 0 } = JSON.parse(text) as Partial<WindowDifference>;
      sum.before += before;
      sum.after += after;
      sum.differing += differing;
    });
    const differences: string[] = [];
    if (sum.differing > 0) differences.push(`${sum.differing} events are not the same, or only in one of the two`);
    if (keys.length === STEPS_COMPARED) differences.push(`of the first ${STEPS_COMPARED} steps`);
    return { identical: sum.differing === 0, before: sum.before, after: sum.after, differences };
  }

  async swap(): Promise<undefined | More> {
    const build = await this.#record.read();
    if (!build) throw new RangeError(`there is no build of ${this.#job.id}`);
    if (build.state === "swapped" || build.state === "confirmed") return undefined;
    await this.#record.move("swapping");
    if ((await this.#walk("settle", (name) => this.#settle(name, build))) === "more") return "more";
    await this.#record.move("swapped");
    return undefined;
  }

  async revert(): Promise<undefined | More> {
    const build = await this.#record.read();
    if (build?.state !== "reverted") {
      await this.#record.move("reverting");
      if ((await this.#unsettleAll(build!)) === "more") return "more";
      await this.#record.move("reverted");
    }
    return (await this.#forgetAll(build!)) === "more" ? "more" : undefined;
  }

  async confirm(): Promise<"done" | More> {
    return this.#forgetAll(await this.#record.move("confirmed"));
  }

  async discard(): Promise<"done" | More> {
    const build = await this.#record.read();
    if (!build) return "done";
    if (BEEN_LIVE.has(build.state)) return (await this.revert()) ?? "done";
    if (build.state === "swapping" && (await this.#unsettleAll(build)) === "more") return "more";
    return this.#forgetAll(await this.#record.move("discarded"));
  }

  async abandon(): Promise<"built" | "before" | More> {
    const build = await this.#record.read();
    const isBuilt = build?.state === "swapped" || build?.state === "confirmed";
    const ended = await (isBuilt ? this.confirm() : this.discard());
    return ended === "more" ? "more" : isBuilt ? "built" : "before";
  }

  async #begin(): Promise<Build> {
    const { shards, from, to, range } = this.#job;
    const ranges: Range[] = [];
    for (let shard = 0; shard < shards; shard++) {
      if (range && range.shard !== shard) continue;
      this.#deps.calls.left -= 2;
      const places = await this.#deps.logs
        .getByName(shardName(shard))
        .between(from ?? 0, to ?? Number.MAX_SAFE_INTEGER);
      const { cursor } = await this.#deps.cursors.getByName(`sessions:${shardName(shard)}`).status();
      const part = range ?? places.range;
      if (part && Math.min(part.to, cursor) >= part.from) {
        ranges.push({ shard, after: part.from - 1, to: Math.min(part.to, cursor) });
      }
    }
    return this.#record.begin(JSON.stringify(ranges), true);
  }

  async #stageAll(step: ReplayStep, build: Build): Promise<undefined | More> {
    const events = step.events.filter((event) => this.#isWithin(event));
    const { calls } = this.#deps;
    const subjectsOf = (some: readonly EventRow[]) => {
      const { users, devices } = groupBySubject(some);
      const list = (kind: Subject["kind"]) => (entry: [string, EventRow[]]) =>
        [{ kind, id: entry[0] }, entry[1]] as const;
      return [...Array.from(users, list("user")), ...Array.from(devices, list("device"))];
    };
    const all = subjectsOf(events);
    const names = all.map(([subject]) => timelineName(this.#deps.identityKey, subject));
    await this.#names.write(step, names);
    if (all.length <= calls.left) {
      await this.#stagePart(step, build, PARTS, all);
      return undefined;
    }
    if (all.length <= (this.#deps.callsPerInvocation ?? SINK.callsPerInvocation)) return "more";
    const parts = Map.groupBy(events, (event) => partOf(subjectOf(event) ?? { kind: "device", id: "" }));
    const done = await applyParts(this.#deps.cursors, this.#group, { ...step, token: 0 }, async (part) => {
      const some = subjectsOf(parts.get(part) ?? []);
      if (some.length > calls.left) return null;
      await this.#stagePart(step, build, part, some);
      return { calls: some.length };
    });
    return done ? undefined : "more";
  }

  async #stagePart(
    { shard, from, to, rules }: ReplayStep,
    { previous }: Build,
    part: number,
    subjects: readonly (readonly [Subject, EventRow[]])[],
  ): Promise<void> {
    const { timelines, identityKey, calls } = this.#deps;
    const range = { shard, from, to, receivedFrom: micros(this.#job.from), receivedTo: micros(this.#job.to) };
    const sum = { before: 0, after: 0, differing: 0 };
    await boundedParallel(subjects, SESSIONS.callsAtOnce, async ([subject, events]) => {
      const difference = await retried(() => {
        calls.left--;
        const timeline = timelines.getByName(timelineName(identityKey, subject, previous));
        return timeline.stage({ job: this.#job.id, subject, ...range, rules, events });
      });
      for (const key of ["before", "after", "differing"] as const) sum[key] += difference[key];
    });
    if (subjects.length > 0) await this.#differences.put({ shard, to }, part, [JSON.stringify(sum)]);
  }

  async #settle(name: string, { previous }: Build): Promise<void> {
    const settled = await this.#call(name, previous, (timeline) => timeline.settle(this.#job.id));
    if (!settled) return;
    const { timelines, identityKey, calls } = this.#deps;
    await boundedParallel(settled.pointers, SESSIONS.callsAtOnce, async ({ id, lastSeen }) => {
      const subject = { kind: "device", id } as const;
      const users = [{ id: settled.subject.id, lastSeen, revision: settled.revision }];
      // It tells of a user and brings no events: no rule can be against it.
      await retried(() => {
        calls.left--;
        const device = timelines.getByName(timelineName(identityKey, subject, previous));
        return device.amend({ subject, rules: Number.MAX_SAFE_INTEGER, remove: [], put: [], fill: true, users });
      });
    });
  }

  #unsettleAll({ previous }: Build): Promise<"done" | More> {
    return this.#walk("unsettle", (name) => this.#call(name, previous, (timeline) => timeline.unsettle(this.#job.id)));
  }

  async #forgetAll({ previous }: Build): Promise<"done" | More> {
    const forget = (name: string) => this.#call(name, previous, (timeline) => timeline.unstage(this.#job.id));
    if ((await this.#walk("forget", forget, (key) => this.#names.delete(key))) === "more") return "more";
    for (;;) {
      const keys = await this.#differences.keys(null);
      if (keys.length === 0) return "done";
      for (const key of keys) await this.#differences.delete(key);
      this.#deps.calls.left -= keys.length;
      if (this.#deps.calls.left < 0) return "more";
    }
  }

  /** Does the work for each name once, a few at a time; how far it has come is kept in R2, so that it goes on in another invocation. */
  async #walk(
    phase: string,
    work: (name: string) => Promise<void>,
    after?: (key: string) => Promise<void>,
  ): Promise<"done" | More> {
    const { bucket, calls } = this.#deps;
    const progressKey = jobKey(this.#job.id, `sessions/${phase}`);
    const [last = "", done = "0"] = ((await (await bucket.get(progressKey))?.text()) ?? "").split("\n");
    let at = Number(done);
    let current = last;
    const save = async () => {
      await bucket.put(progressKey, `${current}\n${at}`);
      return "more" as const;
    };
    for (let keys = await this.#keysFrom(current); keys.length > 0; keys = await this.#names.keys(current)) {
      for (const key of keys) {
        if (key !== current) at = 0;
        current = key;
        const names = await this.#names.read(key);
        for (; at < names.length; at += NAMES_AT_ONCE) {
          if (calls.left < CALLS_KEPT) return save();
          await boundedParallel(names.slice(at, at + NAMES_AT_ONCE), SESSIONS.callsAtOnce, work);
        }
        await after?.(key);
      }
    }
    await bucket.delete(progressKey);
    return "done";
  }

  /** The list itself, too, where a walk stopped within it and it is still there. */
  async #keysFrom(current: string): Promise<string[]> {
    if (current === "") return this.#names.keys(null);
    const names = await this.#names.read(current);
    const next = await this.#names.keys(current);
    return names.length > 0 ? [current, ...next] : next;
  }

  #call<T>(name: string, generation: number, call: (timeline: Timeline) => Promise<T>): Promise<T> {
    return retried(() => {
      this.#deps.calls.left--;
      return call(this.#deps.timelines.getByName(nameIn(generation, name)));
    });
  }

  #isWithin({ received_at: at }: EventRow): boolean {
    const { from, to } = this.#job;
    return (from === null || at >= from * MICROS_PER_MS) && (to === null || at < to * MICROS_PER_MS);
  }

  #cursor(shard: number) {
    return this.#deps.cursors.getByName(`${this.#group}:${shardName(shard)}`);
  }
}

type Timeline = ReturnType<BuildDeps["timelines"]["getByName"]>;

const micros = (ms: number | null): number | null => (ms === null ? null : ms * MICROS_PER_MS);
