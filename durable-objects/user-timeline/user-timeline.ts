/** One subject's timeline: joins RPC, storage and alarm. What it does stands in timeline.ts. */
import { DurableObject } from "cloudflare:workers";
import { DAY_MS, TIMELINE } from "../../r2-layout/limits.ts";
import type { Subject as Erased } from "../../r2-layout/subjects.ts";
import type {
  AmendAnswer,
  AppendAnswer,
  EventsPage,
  EventsRequest,
  Profile,
  SessionSummary,
  SettledWindow,
  TimelineAmend,
  TimelineAmendApi,
  TimelineAppend,
  TimelineCompareApi,
  TimelineDigest,
  TimelineWindowApi,
  UserTimelineApi,
  WindowDifference,
  WindowPiece,
} from "./api.ts";
import { writeErasedMark } from "./erased-mark.ts";
import type { NamedByTimeline, TimelineErasureApi } from "./erasure-api.ts";
import { type FeaturePlan, parseFeaturePlan } from "./feature-plan.ts";
import { OwnRate } from "./own-rate.ts";
import type { OnlineProfile, OwnAnswer, ProfileStoreApi } from "./profile-api.ts";
import { Timeline } from "./timeline.ts";
import { ErasedSubjects } from "./without-subjects.ts";

export interface UserTimelineEnv {
  /** Which online features are kept (feature-plan.ts). */
  readonly PROFILE?: string;
}

/** The first expiry; later ones are known when the alarm goes off. One alarm a month costs a row written, too. */
const FIRST_EXPIRY_MS = (TIMELINE.daysKept + 1) * DAY_MS;

export class UserTimeline
  extends DurableObject<UserTimelineEnv>
  implements
    UserTimelineApi,
    TimelineAmendApi,
    TimelineWindowApi,
    TimelineCompareApi,
    TimelineErasureApi,
    ProfileStoreApi
{
  #timeline: Timeline;
  readonly #plan: FeaturePlan;
  readonly #ownRate = new OwnRate();

  constructor(ctx: DurableObjectState, env: UserTimelineEnv) {
    super(ctx, env);
    this.#plan = parseFeaturePlan(env.PROFILE);
    this.#timeline = this.#load();
  }

  append(append: TimelineAppend): Promise<AppendAnswer> {
    return this.#write((timeline) => timeline.append(append, Date.now()));
  }

  amend(amend: TimelineAmend): Promise<AmendAnswer> {
    return this.#write((timeline) => timeline.amend(amend, Date.now()));
  }

  async erase(): Promise<void> {
    // The alarm, too, since compatibility date 2026-02-24.
    await this.ctx.storage.deleteAll();
    this.#timeline = this.#load();
  }

  async forget(rules: number, isMarked: boolean): Promise<{ readonly held: boolean }> {
    const held = this.#timeline.holds;
    if (held) await this.erase();
    if (held || isMarked) {
      this.#transaction(() => writeErasedMark(this.ctx.storage.sql, rules));
      this.#timeline = this.#load();
    }
    return { held };
  }

  async holds(): Promise<boolean> {
    return this.#timeline.holds;
  }

  async named(): Promise<NamedByTimeline> {
    return this.#timeline.named();
  }

  async scrub(subjects: readonly Erased[], rules: number): Promise<{ readonly traces: number }> {
    const erased = new ErasedSubjects(subjects);
    return { traces: this.#transaction((timeline) => timeline.scrub(erased, rules, Date.now())) };
  }

  async traces(subjects: readonly Erased[]): Promise<number> {
    return this.#timeline.traces(new ErasedSubjects(subjects));
  }

  async events(request: EventsRequest): Promise<EventsPage> {
    return this.#timeline.events(request);
  }

  async sessions(limit: number): Promise<SessionSummary[]> {
    return this.#timeline.sessions(limit);
  }

  async profile(): Promise<Profile> {
    return this.#timeline.profile();
  }

  async online(): Promise<OnlineProfile> {
    if (this.#timeline.isStale) this.#transaction((timeline) => timeline.refresh());
    return this.#timeline.online(Date.now());
  }

  async own(request: EventsRequest): Promise<OwnAnswer> {
    const waitMs = this.#ownRate.take(Date.now());
    return waitMs > 0 ? { waitMs } : { page: this.#timeline.events(request) };
  }

  async users(): Promise<{ users: { id: string; lastSeen: number }[]; cut: boolean }> {
    return this.#timeline.users();
  }

  stage(piece: WindowPiece): Promise<WindowDifference> {
    return this.#write((timeline) => timeline.stage(piece));
  }

  settle(job: string): Promise<SettledWindow | null> {
    return this.#write((timeline) => timeline.settle(job, Date.now()));
  }

  async unsettle(job: string): Promise<void> {
    this.#transaction((timeline) => timeline.unsettle(job, Date.now()));
  }

  async unstage(job: string): Promise<void> {
    if (!this.#transaction((timeline) => timeline.unstage(job))) await this.erase();
  }

  async digest(upTo: Readonly<Record<number, number>>, since: number): Promise<TimelineDigest> {
    return this.#timeline.digest(upTo, since);
  }

  override async alarm(): Promise<void> {
    const next = this.#transaction((timeline) => timeline.expire(Date.now()));
    if (next !== null) await this.ctx.storage.setAlarm(next);
  }

  #load(): Timeline {
    return new Timeline(this.ctx.storage.sql, TIMELINE, this.#plan);
  }

  async #write<T>(work: (timeline: Timeline) => T): Promise<T> {
    // Asked before, so that nothing is awaited between the two writes and they become one commit.
    const alarm = await this.ctx.storage.getAlarm();
    const answer = this.#transaction(work);
    if (alarm === null) await this.ctx.storage.setAlarm(Date.now() + FIRST_EXPIRY_MS);
    return answer;
  }

  #transaction<T>(work: (timeline: Timeline) => T): T {
    try {
      return this.ctx.storage.transactionSync(() => work(this.#timeline));
    } catch (error) {
      this.#timeline = this.#load();
      throw error;
    }
  }
}
