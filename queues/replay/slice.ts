/**
 * One invocation's share of a job. Whatever a driver learns it saves here; a save that finds the lease lost, or the job
 * in another state (somebody cancelled it), ends the slice by throwing `SliceOver`.
 */
import type {
  Job,
  JobChange,
  JobLease,
  JobState,
  ReplayDeskApi,
  RuleTurn,
} from "../../durable-objects/replay-desk/api.ts";
import type { SinkName } from "../../durable-objects/sink-cursor/api.ts";
import { REPLAY, SECOND_MS, SINK } from "../../r2-layout/limits.ts";
import type { CallBudget } from "../sink.ts";

/** The slice is over, and nothing is wrong. */
export class SliceOver extends Error {}

/** What a driver's turn came to: more to do, after a wait where one makes sense, or another state. */
export type Advance =
  | { readonly kind: "more"; readonly inMs?: number }
  | { readonly kind: "state"; readonly state: JobState; readonly outcome?: string };

export const MORE: Advance = { kind: "more" };
/** A stage has ended: the next begins in the same slice, if there is time. */
export type StageEnd = Advance | "next";

/** Stages one after the other, for as long as the slice lasts. */
export async function advanceStages(slice: Slice, stage: () => Promise<StageEnd>): Promise<Advance> {
  for (;;) {
    const end = await stage();
    if (end !== "next") return end;
    if (slice.over) return MORE;
  }
}
export const lookAgain: Advance = { kind: "more", inMs: REPLAY.lookAgainMs };
/** Where whoever ends the wait calls: should that call get lost. */
export const lookAgainLater: Advance = { kind: "more", inMs: REPLAY.resendMs };

export interface SliceOptions {
  readonly now: () => number;
  readonly ratePerSecond: number;
  /** Absent: the clock's. Milliseconds. */
  readonly pause?: (ms: number) => Promise<void>;
}

const pauseByClock = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Slice {
  readonly calls: CallBudget = { left: SINK.callsPerInvocation };
  readonly job: Job;
  /** The newest rule version given out when the slice began. */
  readonly rules: number;
  readonly now: () => number;
  /** Nobody sends anything: the job need not leave room for live traffic. */
  isQuiet = false;
  readonly #desk: ReplayDeskApi;
  readonly #token: number;
  readonly #startedAt: number;
  readonly #rate: number;
  readonly #pause: (ms: number) => Promise<void>;
  /** Milliseconds of this slice that were left to others. */
  #roomMs = 0;
  #progress: unknown;
  #read: number;
  #total: number | null;
  #events = 0;

  constructor(desk: ReplayDeskApi, { job, token, rules }: JobLease, { now, ratePerSecond, pause }: SliceOptions) {
    this.#desk = desk;
    this.#token = token;
    this.#rate = ratePerSecond;
    this.#pause = pause ?? pauseByClock;
    this.#startedAt = now();
    this.#progress = job.progress;
    this.#read = job.meter.read;
    this.#total = job.meter.total;
    this.job = job;
    this.rules = rules;
    this.now = now;
  }

  /** As it was saved last. */
  get progress(): unknown {
    return this.#progress;
  }

  /** Time for another step? The first always is, so that a job moves however slow its steps are. */
  get over(): boolean {
    const busyMs = this.now() - this.#startedAt;
    return busyMs >= REPLAY.sliceMs || this.#events >= Math.max(1, (this.#rate * REPLAY.sliceMs) / SECOND_MS);
  }

  /** Counts events that were read: they set the pause, and what people see. */
  count(events: number): void {
    this.#events += events;
    this.#read += events;
  }

  /** Adds to what is to be read in all; what was read before anything was known is part of it. */
  expectMore(events: number): void {
    this.#total = (this.#total ?? this.#read) + events;
  }

  /** All was read that there was: an estimate of what a window needs is high. */
  allRead(): void {
    this.#total = this.#read;
  }

  /** The reading begins anew. */
  recount(): void {
    this.#read = 0;
    this.#total = null;
  }

  /** @throws SliceOver where the job is no longer this slice's. */
  async save(change: JobChange): Promise<void> {
    const answer = await this.#desk.save(this.job.id, this.#token, { meter: this.#meter(), waitsFor: null, ...change });
    if (change.progress !== undefined) this.#progress = change.progress;
    if (answer.kind === "lost" || answer.state !== this.job.state) throw new SliceOver("the job goes on elsewhere");
  }

  /** The next rule version, or in words what it waits for. @throws SliceOver */
  async takeRule(key: string): Promise<RuleTurn> {
    const answer = await this.#desk.takeRule(this.job.id, this.#token, key);
    if (answer === "lost") throw new SliceOver("the lease was lost");
    return answer;
  }

  /** Lets replays of these sinks go on; null: has the way cleared. @returns in words, for whom it waits. @throws SliceOver */
  async standAside(sinks: readonly SinkName[] | null): Promise<string | null> {
    const answer = await this.#desk.standAside(this.job.id, this.#token, sinks);
    if (answer === "lost") throw new SliceOver("the lease was lost");
    return answer.waitsFor;
  }

  ruleRaised(version: number): Promise<void> {
    return this.#desk.ruleRaised(this.job.id, this.#token, version);
  }

  /** Between two steps: who waits for what a step has taken then waits for one step, and not for a slice of them. */
  async makeRoom(): Promise<void> {
    const ms = Math.min(this.#roomDueMs(), REPLAY.roomMaxMs);
    if (ms <= 0) return;
    const from = this.now();
    await this.#pause(ms);
    this.#roomMs += this.now() - from;
  }

  /** The pause that keeps the job within its rate and its share of the time. Milliseconds. */
  pauseMs(): number {
    const busyMs = this.now() - this.#startedAt;
    const byRate = (this.#events / this.#rate) * SECOND_MS - busyMs;
    return Math.max(0, Math.ceil(Math.max(this.#roomDueMs(), byRate)));
  }

  /** What of the time since the slice began is still to be left to others. Milliseconds. */
  #roomDueMs(): number {
    if (this.#events === 0 || this.isQuiet) return 0;
    const workedMs = this.now() - this.#startedAt - this.#roomMs;
    return workedMs * (1 / REPLAY.duty - 1) - this.#roomMs;
  }

  #meter(): Job["meter"] {
    const rate = this.#events === 0 ? this.job.meter.rate : this.#currentRate();
    return { read: this.#read, total: this.#total, rate };
  }

  /** Events a second, pauses included; half of it is the slices before. */
  #currentRate(): number {
    const wholeMs = Math.max(1, this.now() - this.#startedAt + this.pauseMs());
    const rate = (this.#events * SECOND_MS) / wholeMs;
    return Math.round(this.job.meter.rate === 0 ? rate : (rate + this.job.meter.rate) / 2);
  }
}
