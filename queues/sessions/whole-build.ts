/**
 * All timelines built anew: a generation of objects beside the live one, fed from the beginning of the log by the sink's own
 * code, with cursors of its own (`sessions@<generation>:<shard>`). It has met the live store where its cursors are not
 * behind the live ones; then the live cursors go on in the new generation from where it stands, and readers follow.
 *
 *     begin      the build gets its generation; what the live sink has left out by then is noted
 *     add        names of the step's timelines to R2, then their appends, then the cursor; a step that comes twice is
 *                skipped by the timelines, one that comes late by the cursor, one of a build that has ended by its state
 *     swap       "swapping", then shard by shard `switchTo`, then "swapped": from then on readers see it
 *     revert     "reverting", then shard by shard back to where the generation before was left, then "reverted"
 *     confirm,   the state, then the names of what live drains wrote into the generation that goes and the build has not
 *     discard    read (the log says which), then the objects that the lists name; a list is deleted once all of them are gone
 *
 *     crash within swap or revert      the state says which it was; cursors that have switched stay as they are
 *     a switch that hangs, and comes   refused: each names the change of state that it is for, and a later one has been made
 *     when it has been undone          known to every cursor, also where it found nothing to switch
 *     a drain while its cursor         what it wrote stays in the generation that it leased, its cursor does not move, and
 *     switches                         the other generation gets the same segments from its own place
 *     a split at any time              the new shard's log is read, too; where the Worker that swaps does not know of it, its live cursor
 *                                      has asked which generation it is to feed (sink.ts), and is found by that: it goes on
 *                                      in the new generation from the beginning of its log
 *     a new hole of the live sink      what the live sink will get once more as a redrive, the build has already: the swap
 *     below the build's cursors        is refused, the build has to begin anew
 *
 * Between the first switch and the last readers see the generation before, which stands still in the shards that have
 * switched: a few seconds, and then a swap that was cut off.
 */
import type { EventLogApi, EventLogPlacesApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { Build, BuildsApi, GenerationsApi, SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import type {
  TimelineAmendApi,
  TimelineCompareApi,
  TimelineWindowApi,
  UserTimelineApi,
} from "../../durable-objects/user-timeline/api.ts";
import { nameIn, timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { SESSIONS, SINK } from "../../r2-layout/limits.ts";
import type { SubjectHasher } from "../../r2-layout/subjects.ts";
import type { ReadableLog, SegmentReader } from "../read-log.ts";
import { readLog } from "../read-log.ts";
import type { LeftOutPart } from "../read-segment.ts";
import type { More, ReplayComparison, ReplayJob, ReplayRead, ReplayStep } from "../replay/target.ts";
import type { CallBudget } from "../sink.ts";
import { boundedParallel } from "./bounded-parallel.ts";
import { BuildRecord } from "./build-record.ts";
import { compareTimelines } from "./compare.ts";
import type { EmailIndexDeps } from "./index-emails.ts";
import type { ListBucket } from "./name-lists.ts";
import { NAMES_PER_LIST, NameLists } from "./name-lists.ts";
import { applySessions, buildGroup } from "./sink.ts";
import { groupBySubject } from "./subjects.ts";
import { retried } from "./timeline-writer.ts";

export interface BuildDeps extends EmailIndexDeps {
  readonly cursors: ObjectNamespace<SinkCursorApi & GenerationsApi & BuildsApi>;
  readonly timelines: ObjectNamespace<UserTimelineApi & TimelineAmendApi & TimelineWindowApi & TimelineCompareApi>;
  readonly logs: ObjectNamespace<
    ReadableLog & Pick<EventLogApi, "status" | "count" | "turned"> & Pick<EventLogPlacesApi, "between">
  >;
  readonly bucket: ListBucket & SegmentReader;
  /** As `LogReadDeps.hash`. */
  readonly hash?: SubjectHasher;
  /** Of this invocation. */
  readonly calls: CallBudget;
  readonly callsPerInvocation?: number;
  /** Milliseconds. */
  readonly now?: () => number;
}

export class WholeBuild {
  readonly #job: ReplayJob;
  readonly #deps: BuildDeps;
  readonly #record: BuildRecord;
  readonly #lists: NameLists;

  constructor(job: ReplayJob, deps: BuildDeps) {
    this.#job = job;
    this.#deps = deps;
    this.#record = new BuildRecord(job.id, deps.cursors, deps.calls);
    this.#lists = new NameLists(deps.bucket, job);
  }

  async plan(): Promise<ReplayRead[]> {
    const build = (await this.#record.read()) ?? (await this.#begin());
    if (build.state !== "building") return [];
    const reads: ReplayRead[] = [];
    await this.#eachShard(async (shard) => {
      const [live, own, { head }] = await Promise.all([
        this.#cursor("sessions", shard).status(),
        this.#cursor(buildGroup(build.generation), shard).status(),
        this.#deps.logs.getByName(shardName(shard)).status(),
      ]);
      if (own.cursor >= Math.min(live.cursor, head)) return;
      // The counts of a build's cursor are of steps: what was applied is asked of the log, once it is swapped.
      reads.push({ shard, after: own.cursor, to: head, steps: own.applied.events });
    });
    return reads.sort((a, b) => a.shard - b.shard);
  }

  async add(step: ReplayStep): Promise<undefined | More> {
    const build = await this.#record.read();
    if (build?.state !== "building") return undefined;
    const { shard, from, to, rules, events } = step;
    const group = buildGroup(build.generation);
    const cursor = this.#cursor(group, shard);
    const lease = await cursor.lease(this.#job.id, SINK.leaseMs);
    if (!lease) return "more";
    try {
      if (lease.cursor >= to) return undefined;
      if (lease.cursor !== from) throw new Error(`step ${from} to ${to} of shard ${shard} comes at ${lease.cursor}`);
      await this.#lists.write(step, this.#namesOf(step));
      const { generation } = build;
      const applied = { events: 1, quarantined: 0 };
      const { calls } = this.#deps;
      const whole = { shard, token: lease.token, from, to, completeUntil: 0, events, quarantine: [], applied };
      const ended = await applySessions({ ...whole, generation, rules, calls }, this.#deps, group);
      if (ended === "unfinished") return "more";
      return (await cursor.advance(lease.token, from, to, applied)).moved ? undefined : "more";
    } finally {
      await cursor.release(lease.token);
    }
  }

  async compare(): Promise<ReplayComparison> {
    const build = (await this.#record.read())!;
    const upTo: Record<number, number> = {};
    await this.#eachShard(async (shard) => {
      const [live, own] = await Promise.all([
        this.#cursor("sessions", shard).status(),
        this.#cursor(buildGroup(build.generation), shard).status(),
      ]);
      upTo[shard] = Math.min(live.cursor, own.cursor);
    });
    const { timelines, calls } = this.#deps;
    return compareTimelines(this.#lists, { upTo, nowMs: this.#now() }, (name, generation) => {
      calls.left--;
      return timelines.getByName(nameIn(generation === "before" ? build.previous : build.generation, name));
    });
  }

  /** @throws RangeError, its message begins with `holes:`, where the live sink left out more since the build began */
  async swap(): Promise<void> {
    const build = await this.#record.read();
    if (!build) throw new RangeError(`there is no build of ${this.#job.id}`);
    if (build.state === "swapped" || build.state === "confirmed") return;
    if (build.state === "building" && (await this.#leftOut()) !== build.note) {
      throw new RangeError("holes: the live sink has left out more since the build began: begin it anew");
    }
    const swapping = await this.#record.move("swapping");
    await this.#eachShard((shard) => this.#switchForward(shard, swapping));
    await this.#record.move("swapped");
  }

  async revert(): Promise<undefined | More> {
    const build = await this.#record.read();
    if (!build) throw new RangeError(`there is no build of ${this.#job.id}`);
    if (build.state !== "reverted") {
      await this.#switchBack(await this.#record.move("reverting"));
    }
    const ended = await this.#record.move("reverted");
    return (await this.#letGo(build.generation, ended)) === "more" ? "more" : undefined;
  }

  async confirm(): Promise<"done" | More> {
    const build = await this.#record.read();
    if (!build) throw new RangeError(`there is no build of ${this.#job.id}`);
    if (build.state === "swapped") {
      if (this.#tooSoon(build)) return "more";
      await this.#record.move("confirmed");
    } else if (build.state !== "confirmed") throw new RangeError(`the build is ${build.state}`);
    return this.#letGo(build.previous);
  }

  async discard(): Promise<"done" | More> {
    const build = await this.#record.read();
    if (!build) return "done";
    if (BEEN_LIVE.has(build.state)) return (await this.revert()) ?? "done";
    if (build.state === "swapping" || build.state === "discarding") {
      await this.#switchBack(await this.#record.move("discarding"));
    }
    await this.#record.move("discarded");
    return this.#letGo(build.generation);
  }

  /**
   * Where some cursors feed one build and some the other all go back; and where one of them refuses, because lines were left
   * out since that the old build has, all go forward.
   * @throws RangeError (`holes:`) where one refuses that, too: then a build of everything is what brings them together
   */
  async abandon(): Promise<"built" | "before" | More> {
    const build = await this.#record.read();
    const isBuilt = build?.state === "swapped" || build?.state === "confirmed";
    if (!isBuilt) {
      try {
        return (await this.discard()) === "more" ? "more" : "before";
      } catch (error) {
        const hasBegun = build?.state === "keeping" || (error instanceof Error && error.message.startsWith("holes:"));
        if (!hasBegun) throw error;
        await this.#goForward();
      }
    }
    return (await this.confirm()) === "more" ? "more" : "built";
  }

  async #goForward(): Promise<void> {
    const build = await this.#record.move("keeping");
    const { generation, move } = build;
    await this.#eachShard(async (shard) => {
      const live = this.#cursor("sessions", shard);
      const { generation: fed = 0, cursor, left = [] } = await live.status();
      const place = fed === generation ? { cursor } : left.find((one) => one.generation === generation);
      if (!place) return this.#switchForward(shard, build);
      await live.switchTo(generation, place.cursor, undefined, move);
      await this.#turn(shard);
    });
    await this.#record.move("swapped");
  }

  async #begin(): Promise<Build> {
    return this.#record.begin(await this.#leftOut());
  }

  /** To where the build has come. */
  async #switchForward(shard: number, { generation, move }: Build): Promise<void> {
    const { cursor } = await this.#cursor(buildGroup(generation), shard).status();
    const met = await this.#deps.logs.getByName(shardName(shard)).count(0, cursor, "sessions");
    await this.#cursor("sessions", shard).switchTo(generation, cursor, met, move);
    await this.#turn(shard);
  }

  /** Whatever the live sink has left out: it is the same as long as nothing is added. */
  async #leftOut(): Promise<string> {
    const counts: string[] = [];
    await this.#eachShard(async (shard) => {
      const holes = await this.#cursor("sessions", shard).holes(shard, { limit: 1 });
      if (holes[0]) counts.push(`${shard}/${holes[0].seq}/${holes[0].at}`);
    });
    return counts.sort().join();
  }

  /**
   * A new cursor that was born within the swap goes to the beginning: the generation before has nothing of its shard. One that
   * has not switched yet is told all the same: its switch may still come.
   */
  async #switchBack({ generation, previous, move }: Build): Promise<void> {
    await this.#eachShard(async (shard) => {
      const live = this.#cursor("sessions", shard);
      const { generation: fed = 0, cursor, left = [] } = await live.status();
      if (fed !== generation && fed !== previous) return;
      const place = fed === previous ? { cursor } : left.find((one) => one.generation === previous);
      await live.switchTo(previous, place?.cursor ?? 0, { events: 0, quarantined: 0 }, move);
      await this.#turn(shard);
    });
  }

  /** @param ended wait for the age of this state first: readers and drains may still ask for the generation */
  async #letGo(generation: number, ended?: Build): Promise<"done" | More> {
    if (ended && this.#tooSoon(ended)) return "more";
    for (let shard = 0, shards = await this.#shards(); shard < shards; shard++) {
      if ((await this.#listLive(shard, generation)) === "more") return "more";
    }
    return this.#erase(generation);
  }

  /** Lists whom live drains wrote to in a generation, past the build's own cursor, which moves on with the lists. */
  async #listLive(shard: number, generation: number): Promise<"done" | More> {
    this.#deps.calls.left -= CALLS_PER_SHARD;
    const { left = [] } = await this.#cursor("sessions", shard).status();
    const until = left.find((place) => place.generation === generation)?.cursor ?? 0;
    const cursor = this.#cursor(buildGroup((await this.#record.read())!.generation), shard);
    const { cursor: after } = await cursor.status();
    if (after >= until) return "done";
    const lease = await cursor.lease(this.#job.id, SINK.leaseMs);
    if (!lease) return "more";
    try {
      // What is damaged was applied by nobody.
      const options = { sink: "sessions", onDamage: async (damage: LeftOutPart) => damage } as const;
      for await (const step of readLog({ shard, after: lease.cursor, to: until }, this.#deps, options)) {
        this.#deps.calls.left -= step.segments.length + CALLS_PER_SHARD;
        await this.#lists.write(step, this.#namesOf(step));
        const { moved } = await cursor.advance(lease.token, step.from, step.to, { events: 0, quarantined: 0 });
        if (!moved || this.#deps.calls.left < SINK.callsPerInvocation / 2) return "more";
      }
    } finally {
      await cursor.release(lease.token);
    }
    return "done";
  }

  /** Erases the objects of a generation that the lists name, list by list. */
  async #erase(generation: number): Promise<"done" | More> {
    const { timelines, calls } = this.#deps;
    for (;;) {
      const keys = await this.#lists.keys(null);
      if (keys.length === 0) return "done";
      for (const key of keys) {
        if (calls.left < NAMES_PER_LIST) return "more";
        const names = await this.#lists.read(key);
        await boundedParallel(names, SESSIONS.callsAtOnce, (name) =>
          retried(() => {
            calls.left--;
            return timelines.getByName(nameIn(generation, name)).erase();
          }),
        );
        await this.#lists.delete(key);
      }
    }
  }

  #namesOf({ events }: Pick<ReplayStep, "events">): string[] {
    const { users, devices } = groupBySubject(events);
    const seen = new Set(devices.keys());
    for (const { anonymous_id } of events) if (anonymous_id) seen.add(anonymous_id);
    const { identityKey } = this.#deps;
    return [
      ...Array.from(users.keys(), (id) => timelineName(identityKey, { kind: "user", id })),
      ...Array.from(seen, (id) => timelineName(identityKey, { kind: "device", id })),
    ];
  }

  /**
   * The log believes that the cursor is further: nobody would wake the sink before the next event. Told at once: another shard
   * may refuse its switch for good.
   */
  async #turn(shard: number): Promise<void> {
    this.#deps.calls.left -= 2;
    const { cursor, token = 0 } = await this.#cursor("sessions", shard).status();
    await this.#deps.logs.getByName(shardName(shard)).turned("sessions", cursor, token);
  }

  async #eachShard(work: (shard: number) => Promise<void>): Promise<void> {
    await boundedParallel(Array(await this.#shards()).keys(), SESSIONS.callsAtOnce, (shard) => {
      this.#deps.calls.left -= CALLS_PER_SHARD;
      return work(shard);
    });
  }

  /** Those that there were when the build began, and those that live drains have met since: asked anew for each walk, after the state that it is for. */
  async #shards(): Promise<number> {
    return Math.max(this.#job.shards, await this.#record.shardsFed());
  }

  #tooSoon({ at }: Build): boolean {
    return this.#now() - at < SESSIONS.keepSwappedMs;
  }

  #now(): number {
    return (this.#deps.now ?? Date.now)();
  }

  #cursor(group: string, shard: number) {
    return this.#deps.cursors.getByName(`${group}:${shardName(shard)}`);
  }
}

const CALLS_PER_SHARD = 3;
/** Readers have seen it, or do. */
export const BEEN_LIVE: ReadonlySet<Build["state"]> = new Set(["swapped", "reverting", "reverted"]);
