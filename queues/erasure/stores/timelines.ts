/**
 * The store `timelines`: the subjects' own objects go whole, in every build of the store, and leave a mark; others' lose what
 * names them. Three passes, each of which can be repeated:
 *
 *     names    the objects' names, keyed hashes, are kept for whoever looks again later
 *     own      a subject's timeline says whom it names: there the subject is taken out first, then its addresses leave the
 *              index, then the timeline goes. Cut in between, it still says so. An erased address leaves those who gave it
 *     beside   everybody who stood beside a subject in an erased event, as the rule job has found them: beyond the few that a
 *              timeline names
 *
 * By then the rule job has amended everybody's events; what is left are pointers, addresses and last values of events that no
 * timeline keeps any more, and what a rebuild has put aside.
 */
import { EmailAddress } from "../../../durable-objects/email-index/address.ts";
import type { EmailIndexApi } from "../../../durable-objects/email-index/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { BuildsApi } from "../../../durable-objects/sink-cursor/api.ts";
import type { TimelineErasureApi } from "../../../durable-objects/user-timeline/erasure-api.ts";
import { SESSIONS_BUILDS_NAME } from "../../../durable-objects/user-timeline/live-generation.ts";
import { nameIn, timelineName } from "../../../durable-objects/user-timeline/timeline-name.ts";
import { SESSIONS } from "../../../r2-layout/limits.ts";
import type { Subject } from "../../../r2-layout/subjects.ts";
import type { JobBucket } from "../../replay/job-store.ts";
import { boundedParallel } from "../../sessions/bounded-parallel.ts";
import { retried } from "../../sessions/timeline-writer.ts";
import type { ErasureRun, ErasureStep, ErasureStore, VerifyStep } from "../erasure-store.ts";
import { bystandersOf, ErasedPairs, isOwner, type Owner } from "./erased-pairs.ts";
import { keepNames, readNames } from "./kept-names.ts";

export interface TimelinesErasureDeps {
  readonly bucket: JobBucket;
  readonly timelines: ObjectNamespace<TimelineErasureApi>;
  readonly emails: ObjectNamespace<Pick<EmailIndexApi, "find" | "forget">>;
  readonly cursors: ObjectNamespace<Pick<BuildsApi, "liveGeneration" | "newestGeneration">>;
  readonly identityKey: string;
}

/** How far it is: subjects by their number, then pages by their name. */
interface Position {
  readonly at: number;
  readonly page: string | null;
  /** Of a verification. */
  readonly traces: number;
}

const FRESH: Position = { at: 0, page: null, traces: 0 };
/** Subjects of one step: a slice is looked at in between. */
const AT_ONCE = 50;
/** Of one step, at most: whom a subject names, in some builds. */
const CALLS_NEEDED = AT_ONCE * 100;
const UNIT = "timelines";

export function timelinesStore(deps: TimelinesErasureDeps): ErasureStore {
  return {
    name: "timelines",
    erase: (run, position) => new Timelines(deps, run).erase((position as Position | null) ?? FRESH),
    verify: (run, position) => new Timelines(deps, run).verify((position as Position | null) ?? FRESH),
  };
}

class Timelines {
  readonly #deps: TimelinesErasureDeps;
  readonly #run: ErasureRun;
  readonly #owners: readonly Owner[];
  #found = 0;

  constructor(deps: TimelinesErasureDeps, run: ErasureRun) {
    this.#deps = deps;
    this.#run = run;
    this.#owners = run.subjects.filter(isOwner);
  }

  async erase(position: Position): Promise<ErasureStep> {
    let now = position;
    if (now.at === 0 && now.page === null) {
      const names = this.#owners.map((owner) => timelineName(this.#deps.identityKey, owner));
      await keepNames(this.#deps.bucket, this.#run.id, "timelines", names.sort());
    }
    const builds = await this.#builds();
    const step = (done: boolean): ErasureStep => {
      const found = { unit: UNIT, found: this.#found, removed: this.#found, replaced: [] };
      return { done, position: now, found };
    };
    let worked = false;
    const { subjects } = this.#run;
    while (now.at < subjects.length) {
      if (worked && this.#isOver) return step(false);
      worked = true;
      const some = subjects.slice(now.at, now.at + AT_ONCE);
      await boundedParallel(some, SESSIONS.callsAtOnce, (subject) =>
        isOwner(subject) ? this.#eraseOwn(subject, builds) : this.#leaveAddress(subject, builds),
      );
      now = { ...now, at: now.at + some.length };
    }
    const pairs = new ErasedPairs(this.#run, this.#deps.bucket);
    for (;;) {
      if (worked && this.#isOver) return step(false);
      worked = true;
      const page = await pairs.next(now.page);
      if (!page) return step(true);
      await boundedParallel(bystandersOf(page.events, this.#isErased), SESSIONS.callsAtOnce, (one) =>
        this.#scrub(one.owner, one.subjects, builds),
      );
      now = { ...now, page: page.name };
    }
  }

  async verify(position: Position): Promise<VerifyStep> {
    const { bucket, identityKey } = this.#deps;
    const names =
      this.#run.subjects.length > 0
        ? this.#owners.map((owner) => timelineName(identityKey, owner)).sort()
        : await readNames<readonly string[]>(bucket, this.#run.id, "timelines");
    let now = position;
    const builds = await this.#builds();
    const statement = `Of ${names.length} timelines and devices, in ${builds.newest + 1} build(s) of the store, each object was asked whether it holds anything but its mark; and timelines of others that stood beside them in an erased event, whether they name them.`;
    const step = (done: boolean): VerifyStep => ({ done, position: now, traces: now.traces, statement });
    while (now.at < names.length) {
      const some = names.slice(now.at, now.at + AT_ONCE);
      let traces = 0;
      await boundedParallel(some, SESSIONS.callsAtOnce, async (name) => {
        for (let build = 0; build <= builds.newest; build++) {
          if (await this.#call(nameIn(build, name), (timeline) => timeline.holds())) traces++;
        }
      });
      now = { ...now, at: now.at + some.length, traces: now.traces + traces };
      if (this.#isOver) return step(false);
    }
    const pairs = new ErasedPairs(this.#run, bucket);
    for (;;) {
      const page = await pairs.next(now.page);
      if (!page) return step(true);
      let traces = 0;
      await boundedParallel(bystandersOf(page.events, this.#isErased), SESSIONS.callsAtOnce, async (one) => {
        const name = timelineName(identityKey, one.owner);
        for (let build = 0; build <= builds.newest; build++) {
          traces += await this.#call(nameIn(build, name), (timeline) => timeline.traces(one.subjects));
        }
      });
      now = { ...now, page: page.name, traces: now.traces + traces };
      if (this.#isOver) return step(false);
    }
  }

  readonly #isErased = (subject: Subject): boolean => this.#run.hashes.has(this.#run.hash(subject));

  get #isOver(): boolean {
    return this.#run.now() >= this.#run.untilMs || this.#run.calls.left < CALLS_NEEDED / 4;
  }

  async #builds(): Promise<{ live: number; newest: number }> {
    const builds = this.#deps.cursors.getByName(SESSIONS_BUILDS_NAME);
    this.#run.calls.left -= 2;
    return { live: await builds.liveGeneration(), newest: await builds.newestGeneration() };
  }

  async #eraseOwn(owner: Owner, { live, newest }: { live: number; newest: number }): Promise<void> {
    const name = timelineName(this.#deps.identityKey, owner);
    for (let build = 0; build <= newest; build++) {
      const { users, devices, emails } = await this.#call(nameIn(build, name), (timeline) => timeline.named());
      const others = [
        ...users.map((id): Owner => ({ kind: "user", id })),
        ...devices.map((id): Owner => ({ kind: "device", id })),
      ].filter((other) => !this.#isErased(other));
      for (const other of others) await this.#scrub(other, [owner], { newest });
      for (const email of emails) {
        const address = new EmailAddress(this.#deps.identityKey, email);
        const row = { address: address.hash, nonce: address.seal(owner).nonce };
        await retried(() => {
          this.#run.calls.left--;
          return this.#deps.emails.getByName(address.objectName).forget([row]);
        });
      }
      // A build that readers see, or may yet see, takes writes.
      const isMarked = build >= live;
      const { held } = await this.#call(nameIn(build, name), (one) => one.forget(this.#run.version, isMarked));
      if (held) this.#found++;
    }
  }

  /** Whoever gave an erased address: their own timeline has it among its addresses and values. */
  async #leaveAddress(subject: Subject, builds: { newest: number }): Promise<void> {
    const address = new EmailAddress(this.#deps.identityKey, subject.id);
    const { subjects } = await retried(() => {
      this.#run.calls.left--;
      return this.#deps.emails.getByName(address.objectName).find(address.hash);
    });
    for (const sealed of subjects) {
      const owner = address.open(sealed);
      if (owner && !this.#isErased(owner)) await this.#scrub(owner, [subject], builds);
    }
  }

  async #scrub(owner: Owner, subjects: readonly Subject[], { newest }: { newest: number }): Promise<void> {
    const name = timelineName(this.#deps.identityKey, owner);
    for (let build = 0; build <= newest; build++) {
      const version = this.#run.version;
      const { traces } = await this.#call(nameIn(build, name), (one) => one.scrub(subjects, version));
      if (traces > 0) this.#found++;
    }
  }

  #call<T>(name: string, work: (timeline: TimelineErasureApi) => Promise<T>): Promise<T> {
    return retried(() => {
      this.#run.calls.left--;
      return work(this.#deps.timelines.getByName(name));
    });
  }
}
