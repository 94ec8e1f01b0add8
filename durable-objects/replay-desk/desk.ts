/**
 * The desk's decisions, over its tables. A job moves in slices: a message says "go on", its consumer leases the job,
 * works some seconds, saves, releases. Messages come twice or not at all, consumers die or hang:
 *
 *     message lost                     the job's time to be called comes again (`nextAt`), the alarm sends another
 *     message twice, two consumers     the second gets no lease while the first's runs, and acks
 *     consumer dies                    its lease runs out, the alarm sends another message
 *     consumer hangs, and wakes up     its token is not the newest: what it saves and releases is refused; the one call to a
 *                                      store that it may have had under way is one the newer consumer makes again (idempotent)
 *     answer of save or release lost   the same change is saved again, by the same token or after the lease
 *
 * Rules are given out one at a time. Whoever wants one takes the turn first; then no build or fill is leased any more,
 * builds are let go and kept olds confirmed; only then there is a version. While it waits for sinks to pass its rules it stands
 * aside for replays of these, and then has the way cleared once more. The turn ends with its job, or when somebody sets
 * the job aside (`abandon`): a job with a rule cannot be cancelled, and what it cannot do need not hold up all others.
 */
import { REPLAY } from "../../r2-layout/limits.ts";
import { dayOf, MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { SinkName } from "../sink-cursor/api.ts";
import type {
  ActAnswer,
  CreateAnswer,
  DeskOverview,
  JobAction,
  JobChange,
  JobKind,
  JobLease,
  NewJob,
  ReplaySpec,
  RuleTurn,
  SaveAnswer,
  SliceEnd,
} from "./api.ts";
import {
  afterAction,
  blockedBy,
  hasEnded,
  hasPreview,
  isWorking,
  makeWay,
  PHASE,
  settlementWaits,
  type Turn,
} from "./job-rules.ts";
import { type DeskJob, type JobPatch, JobTable } from "./job-table.ts";

/** Actions after which failures are counted anew. */
const ANEW: readonly JobAction[] = ["resume", "leave_out", "abandon"];

const TURN = "turn";
/** JSON: the sinks that whose turn it is waits for. */
const ASIDE = "aside";
const DAY_MS = 86_400_000;

export class Desk {
  readonly #jobs: JobTable;

  constructor(sql: SqlStorage) {
    this.#jobs = new JobTable(sql);
  }

  get table(): JobTable {
    return this.#jobs;
  }

  create(given: NewJob, nowMs: number): CreateAnswer {
    const known = (given.key === undefined ? null : this.#jobs.byKey(given.key)) ?? this.#jobs.get(given.id);
    if (known) {
      const same = known.fingerprint === (given.fingerprint ?? "");
      return { kind: same ? "known" : "mismatch", job: known.job };
    }
    const open = this.#jobs.open();
    const { spec } = given;
    const busy = open.find(({ job }) => sharesSink(job.spec, spec));
    if (busy) return { kind: "busy", job: busy.job };
    if (open.length >= REPLAY.openJobs) return { kind: "too_many", open: open.length };
    this.#jobs.add(
      given,
      hasPreview(spec.kind) ? "preview" : "running",
      spec.kind === "rebuild" ? PHASE.build : "",
      nowMs,
    );
    return { kind: "created", job: this.#jobs.get(given.id)!.job };
  }

  act(id: string, action: JobAction, nowMs: number): ActAnswer {
    const found = this.#jobs.get(id);
    if (!found) return { kind: "unknown" };
    const next = afterAction(found.facts, action);
    if (!next.ok) return { kind: "refused", detail: next.detail, job: found.job };
    const reopens = hasEnded(found.job.state) && isWorking(next.state);
    if (reopens) {
      const detail = this.#inTheWayOf(found, nowMs);
      if (detail !== null) return { kind: "refused", detail, job: found.job };
      if (found.facts.ruled) this.#jobs.setMark(TURN, id);
    }
    if (next.state !== found.job.state || (next.phase !== undefined && next.phase !== found.job.phase)) {
      const begins = found.job.startedAt === null && next.state === "running";
      this.#jobs.patch(
        id,
        {
          state: next.state,
          ...(next.phase !== undefined && { phase: next.phase }),
          ...(next.outcome !== undefined && { outcome: next.outcome }),
          ...(begins && { startedAt: nowMs }),
          ...(ANEW.includes(action) && { attempts: 0, failedIn: null }),
          ...(action === "leave_out" && { unreadable: "left_out" }),
          ...(reopens && { endedAt: null }),
          nextAt: isWorking(next.state) ? nowMs : null,
        },
        nowMs,
      );
      if (hasEnded(next.state)) this.#end(id, nowMs);
    }
    return { kind: "accepted", job: this.#jobs.get(id)!.job };
  }

  lease(id: string, owner: string, ttlMs: number, nowMs: number): JobLease | null {
    const found = this.#jobs.get(id);
    if (!found || !isWorking(found.job.state)) return null;
    if (found.owner !== null && found.owner !== owner && found.leaseUntil > nowMs) return null;
    const blocker = blockedBy(found.facts, this.#turn());
    if (blocker !== null) {
      this.#jobs.patch(id, { waitsFor: `job ${blocker}`, nextAt: nowMs + REPLAY.resendMs }, found.job.updatedAt);
      return null;
    }
    const token = found.token + 1;
    const until = nowMs + ttlMs;
    this.#jobs.patch(id, { token, owner, leaseUntil: until, nextAt: until }, found.job.updatedAt);
    return { token, job: found.job, rules: this.#jobs.rules() };
  }

  save(id: string, token: number, change: JobChange, nowMs: number): SaveAnswer {
    const found = this.#jobs.get(id);
    if (!found || found.token !== token || found.owner === null) return { kind: "lost" };
    // A job that begins a step again and again says the same each time: it gets no further, and waits longer and longer.
    const moved =
      (change.phase !== undefined && change.phase !== found.job.phase) ||
      (change.progress !== undefined && JSON.stringify(change.progress) !== JSON.stringify(found.job.progress));
    const until = nowMs + REPLAY.leaseMs;
    this.#jobs.patch(
      id,
      {
        ...JobTable.changed(change),
        // Why a job was set aside stays to be seen.
        ...(moved && found.job.state !== "abandoning" && { error: null, attempts: 0 }),
        leaseUntil: until,
        nextAt: until,
      },
      nowMs,
    );
    for (const settled of change.settled ?? []) this.#jobs.addSettled(settled);
    if (change.yields) this.#endTurn(id, nowMs);
    return { kind: "saved", state: found.job.state };
  }

  release(id: string, token: number, end: SliceEnd, nowMs: number): void {
    const found = this.#jobs.get(id);
    if (!found || found.token !== token || found.owner === null) return;
    const { job } = found;
    const free: JobPatch = { owner: null, leaseUntil: 0 };
    switch (end.kind) {
      case "more":
        this.#jobs.patch(id, { ...free, nextAt: isWorking(job.state) ? nowMs + end.inMs : null }, nowMs);
        return;
      case "failed":
        this.#failed(found, end, nowMs);
        return;
      case "state": {
        if (job.state !== end.from) {
          this.#jobs.patch(id, { ...free, nextAt: nowMs }, nowMs);
          return;
        }
        const { state, outcome } = end;
        this.#jobs.patch(
          id,
          {
            ...free,
            state,
            waitsFor: null,
            ...(outcome !== undefined && { outcome }),
            nextAt: isWorking(state) ? nowMs : null,
          },
          nowMs,
        );
        if (state === "waiting_for_confirmation") this.#jobs.swappedUnder(id);
        if (hasEnded(state)) this.#end(id, nowMs);
      }
    }
  }

  takeRule(id: string, token: number, key: string, nowMs: number): RuleTurn | "lost" {
    const found = this.#jobs.get(id);
    if (!found || found.token !== token) return "lost";
    const { job } = found;
    // It was cancelled, or set aside, since its holder heard of it last: a rule of its would be in force and carried through by nobody.
    if (job.state !== "running") return "lost";
    const had = this.#jobs.rule(id, key);
    if (had !== null) return { version: had };
    const turn = this.#turn();
    if (turn !== null && turn.id !== id) return { waitsFor: `job ${turn.id}` };
    const raising = this.#jobs.raising();
    if (raising !== null) return { waitsFor: `rule ${raising.version} of job ${raising.job}` };
    const others = this.#jobs.open().filter(({ job }) => job.id !== id);
    if (turn === null) {
      const waits = (other: DeskJob) => settlementWaits(other.facts, nowMs, REPLAY.decisionWaitMs);
      const open = hasPreview(job.kind) ? undefined : others.find(waits);
      if (open) return { waitsFor: `rebuild ${open.job.id}`, takes: "long" };
      this.#jobs.setMark(TURN, id);
    }
    const inTheWay = this.#clearTheWay(others, nowMs);
    return inTheWay === null ? { version: this.#jobs.takeRule(id, key) } : { waitsFor: `job ${inTheWay}` };
  }

  standAside(
    id: string,
    token: number,
    sinks: readonly SinkName[] | null,
    nowMs: number,
  ): { waitsFor: string | null } | "lost" {
    const turn = this.#turn();
    if (turn?.id !== id || this.#jobs.get(id)?.token !== token) return "lost";
    if (sinks !== null) {
      if (turn.aside === null) this.#callWaiting(nowMs);
      this.#jobs.setMark(ASIDE, JSON.stringify(sinks));
      return { waitsFor: null };
    }
    const inTheWay = this.#clearTheWay(
      this.#jobs.open().filter(({ job }) => job.id !== id),
      nowMs,
    );
    // Until nothing is in the way, what leads out of a build goes on.
    this.#jobs.setMark(ASIDE, inTheWay === null ? null : "[]");
    return { waitsFor: inTheWay === null ? null : `job ${inTheWay}` };
  }

  ruleRaised(id: string, token: number, version: number): void {
    if (this.#jobs.get(id)?.token === token) this.#jobs.raised(id, version);
  }

  overview(kinds: readonly JobKind[] | undefined, limit: number, before?: number): DeskOverview {
    const found = this.#jobs.newest(kinds, limit + 1, before);
    const jobs = found.slice(0, limit);
    const next = found.length > limit ? jobs.at(-1)?.n : undefined;
    return { jobs, settled: this.#jobs.settled(), rules: this.#jobs.rules(), ...(next !== undefined && { next }) };
  }

  /** Jobs to be called now; each is due again after `REPLAY.resendMs`, should the message be lost. */
  takeDue(nowMs: number): string[] {
    const due = this.#jobs.due(nowMs);
    for (const { id, updatedAt } of due) this.#jobs.patch(id, { nextAt: nowMs + REPLAY.resendMs }, updatedAt);
    return due.map(({ id }) => id);
  }

  /** Milliseconds when a job is to be called next, null where none is. */
  nextAt(): number | null {
    return this.#jobs.nextAt();
  }

  /** @returns a job that still has to get out of a rule's way. */
  #clearTheWay(others: readonly DeskJob[], nowMs: number): string | null {
    let inTheWay: string | null = null;
    for (const { job, facts, owner, leaseUntil } of others) {
      if (job.kind !== "fill" && job.kind !== "rebuild") continue;
      const atWork = owner !== null && leaseUntil > nowMs;
      if (!atWork && !facts.holds) continue;
      inTheWay = job.id;
      const change = atWork ? null : makeWay(facts);
      if (change) this.#jobs.patch(job.id, { ...change, attempts: 0, failedIn: null, nextAt: nowMs }, nowMs);
    }
    return inTheWay;
  }

  /** Why a job that has ended cannot be taken up again now, in words; null where it can. */
  #inTheWayOf({ job, facts }: DeskJob, nowMs: number): string | null {
    if (!facts.ruled) {
      const busy = this.#jobs.open().find((other) => sharesSink(other.job.spec, job.spec));
      return busy ? `job ${busy.job.id} has its sinks: let it end first` : null;
    }
    const other = this.#turn()?.id ?? this.#changesStores(nowMs);
    if (other !== null) return `job ${other} changes the stores: let it end first`;
    const built = this.#jobs.lakeBuiltUnder(job.id);
    // Its rows no longer tell what the rule has changed.
    return built && `${built} has built the lake under its rule: rebuild the sinks that it has not come to, too`;
  }

  /** A fill or a rebuild that is at work, or whose build or old is kept. */
  #changesStores(nowMs: number): string | null {
    const found = this.#jobs.open().find(({ job, facts, owner, leaseUntil }) => {
      const isReplay = job.kind === "fill" || job.kind === "rebuild";
      return isReplay && (facts.holds || (owner !== null && leaseUntil > nowMs));
    });
    return found?.job.id ?? null;
  }

  #failed(
    { job }: DeskJob,
    { error, lasting, unreadable }: Extract<SliceEnd, { kind: "failed" }>,
    nowMs: number,
  ): void {
    const attempts = job.attempts + 1;
    const free: JobPatch = { owner: null, leaseUntil: 0, attempts, error: error.slice(0, REPLAY.errorChars) };
    if (job.state === "abandoning" && attempts >= REPLAY.attempts) {
      // Whatever it is that cannot be let go: the others have waited long enough.
      this.#jobs.patch(job.id, { ...free, state: "abandoned", failedIn: job.state }, nowMs);
      this.#end(job.id, nowMs);
      return;
    }
    if (lasting && attempts >= REPLAY.attempts) {
      const met = job.unreadable ?? (unreadable ? "met" : null);
      this.#jobs.patch(job.id, { ...free, state: "failed", failedIn: job.state, unreadable: met, nextAt: null }, nowMs);
      return;
    }
    const waitMs = Math.min(REPLAY.retryMaxMs, REPLAY.retryMs * 2 ** Math.min(attempts - 1, 16));
    this.#jobs.patch(job.id, { ...free, nextAt: nowMs + waitMs }, nowMs);
  }

  #end(id: string, nowMs: number): void {
    this.#jobs.patch(id, { endedAt: nowMs, nextAt: null, waitsFor: null, holds: false }, nowMs);
    this.#endTurn(id, nowMs);
    this.#jobs.forget(dayOf((nowMs - REPLAY.settledDays * DAY_MS) * MICROS_PER_MS));
  }

  #endTurn(id: string, nowMs: number): void {
    if (this.#jobs.mark(TURN) === id) {
      this.#jobs.setMark(TURN, null);
      this.#jobs.setMark(ASIDE, null);
    }
    this.#callWaiting(nowMs);
  }

  /** Whoever waited need not wait for the next resend. */
  #callWaiting(nowMs: number): void {
    for (const { job, owner, nextAt } of this.#jobs.open()) {
      if (owner === null && nextAt !== null && job.waitsFor !== null) {
        this.#jobs.patch(job.id, { nextAt: nowMs }, job.updatedAt);
      }
    }
  }

  #turn(): Turn | null {
    const id = this.#jobs.mark(TURN);
    const holder = id === null ? null : this.#jobs.get(id);
    if (!holder) return null;
    const aside = this.#jobs.mark(ASIDE);
    return { id: holder.job.id, ruled: holder.facts.ruled, aside: aside === null ? null : JSON.parse(aside) };
  }
}

/** Two replays of one sink would be in each other's way. */
function sharesSink(one: DeskJob["job"]["spec"], other: NewJob["spec"]): boolean {
  const sinks = (spec: typeof one): ReplaySpec["sinks"] =>
    spec.kind === "fill" || spec.kind === "rebuild" ? spec.sinks : [];
  return sinks(one).some((sink) => sinks(other).includes(sink));
}
