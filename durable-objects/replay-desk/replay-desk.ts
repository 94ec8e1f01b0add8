/** The class joins RPC, transactions, the alarm and the queue; desk.ts decides. Named `desk`. */
import { DurableObject } from "cloudflare:workers";
import { REPLAY } from "../../r2-layout/limits.ts";
import type { SinkName } from "../sink-cursor/api.ts";
import type {
  ActAnswer,
  CreateAnswer,
  DeskOverview,
  Job,
  JobAction,
  JobChange,
  JobKind,
  JobLease,
  JobMessage,
  NewJob,
  ReplayDeskApi,
  RuleTurn,
  SaveAnswer,
  SliceEnd,
} from "./api.ts";
import { Desk } from "./desk.ts";

export interface ReplayDeskEnv {
  readonly REPLAYS: Queue<JobMessage>;
}

export class ReplayDesk extends DurableObject<ReplayDeskEnv> implements ReplayDeskApi {
  readonly #desk: Desk;
  /** When the alarm is set for, null where it is not. A cache. */
  #alarmAt: number | null = null;

  constructor(ctx: DurableObjectState, env: ReplayDeskEnv) {
    super(ctx, env);
    this.#desk = ctx.storage.transactionSync(() => new Desk(ctx.storage.sql));
    ctx.blockConcurrencyWhile(async () => {
      this.#alarmAt = await ctx.storage.getAlarm();
    });
  }

  create(job: NewJob): Promise<CreateAnswer> {
    return this.#change((now) => this.#desk.create(job, now));
  }

  act(id: string, action: JobAction): Promise<ActAnswer> {
    return this.#change((now) => this.#desk.act(id, action, now));
  }

  async job(id: string): Promise<Job | null> {
    return this.#desk.table.get(id)?.job ?? null;
  }

  async known(key: string): Promise<{ job: Job; fingerprint: string } | null> {
    const found = this.#desk.table.byKey(key);
    return found && { job: found.job, fingerprint: found.fingerprint };
  }

  async overview(
    kinds?: readonly JobKind[],
    limit: number = REPLAY.jobsListed,
    before?: number,
  ): Promise<DeskOverview> {
    return this.#desk.overview(kinds, limit, before);
  }

  lease(id: string, owner: string, ttlMs: number): Promise<JobLease | null> {
    return this.#change((now) => this.#desk.lease(id, owner, ttlMs, now));
  }

  save(id: string, token: number, change: JobChange): Promise<SaveAnswer> {
    return this.#change((now) => this.#desk.save(id, token, change, now));
  }

  release(id: string, token: number, end: SliceEnd): Promise<void> {
    return this.#change((now) => this.#desk.release(id, token, end, now));
  }

  takeRule(id: string, token: number, key: string): Promise<RuleTurn | "lost"> {
    return this.#change((now) => this.#desk.takeRule(id, token, key, now));
  }

  standAside(
    id: string,
    token: number,
    sinks: readonly SinkName[] | null,
  ): Promise<{ waitsFor: string | null } | "lost"> {
    return this.#change((now) => this.#desk.standAside(id, token, sinks, now));
  }

  ruleRaised(id: string, token: number, version: number): Promise<void> {
    return this.#change(() => this.#desk.ruleRaised(id, token, version));
  }

  async mark(name: string): Promise<string | null> {
    return this.#desk.table.mark(name);
  }

  async setMark(name: string, value: string): Promise<void> {
    this.#desk.table.setMark(name, value);
  }

  async redact(names: ReadonlyMap<string, string>, isTrial: boolean): Promise<number> {
    return this.ctx.storage.transactionSync(() => this.#desk.table.redact(names, isTrial));
  }

  async poke(): Promise<void> {
    await this.#callDue(Date.now());
  }

  /** Sets the next alarm before it sends, and never throws: an alarm that throws six times is given up. */
  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    try {
      await this.#callDue(Date.now());
    } catch (error) {
      console.error(JSON.stringify({ at: "replay-desk alarm", error: String(error) }));
    }
  }

  async #callDue(now: number): Promise<void> {
    const due = this.ctx.storage.transactionSync(() => this.#desk.takeDue(now));
    await this.#arm(now);
    const sends = await Promise.allSettled(
      due.map(async (job) => this.env.REPLAYS.send({ job }, { contentType: "json" })),
    );
    for (const send of sends) {
      // Due again after `REPLAY.resendMs`.
      if (send.status === "rejected") {
        console.error(JSON.stringify({ at: "replay-desk send", error: String(send.reason) }));
      }
    }
  }

  async #change<T>(change: (nowMs: number) => T): Promise<T> {
    const now = Date.now();
    const answer = this.ctx.storage.transactionSync(() => change(now));
    await this.#arm(now);
    return answer;
  }

  /** An alarm that is set for earlier stands, because setting one costs a row; one that is long overdue was given up. */
  async #arm(now: number): Promise<void> {
    const next = this.#desk.nextAt();
    if (next === null) return;
    if (this.#alarmAt !== null && this.#alarmAt <= next && this.#alarmAt > now - REPLAY.resendMs) return;
    this.#alarmAt = Math.max(now, next);
    await this.ctx.storage.setAlarm(this.#alarmAt);
  }
}
