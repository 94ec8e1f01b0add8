/**
 * Windows of event_time built anew beside the live rows, then swapped in. All of it inside the object that has the live
 * rows, so that each step is one transaction with them:
 *
 *     begin     the object is at seq u: the shadow is owed segments up to u by the job, and gets every batch after u with the live rows
 *     add       a step of the job; dense numbers, so that one that comes twice is added once
 *     swap      rows that differ change places; days are added up anew from their hours; the shadow then is the old rows
 *     batches   still go to both, so that the old rows stay what they would be
 *     revert    rows that differ change places again; what the job kept is dropped
 *     confirm   the old rows are dropped            discard   the shadow is dropped; after a swap that not all shards made, as revert
 *     abandon   what is kept is dropped, the live rows stay as they are: confirm or discard, whichever can be
 *
 *     crash anywhere                     each call is one transaction, and says the same when it comes again
 *     live batch between any two calls   in both sides once: it is above u, the job adds what is at or below
 *     late event of the window           the same, whether its minute is still kept or only its hour
 *     minute that leaves the 48 hours    swept on both sides at once; its hour has it
 *     rule raised before the swap        what was added passed through older rules: add and swap throw "rules:", begin starts anew
 *     rule raised after the swap         the old rows lack it: revert throws "rules:"
 *     call that comes after its job's    ended jobs are remembered: nothing is begun, added or swapped again
 *       end, from a slow caller
 *     second job with the same minutes   refused ("busy"), unless a rule was raised: then the first is of no use, and makes room
 *     object wiped                       it is behind the cursor, batches are refused, the drain retries loudly and moves nothing. A build of
 *                                        everything up to the cursor restores it: swap moves last_seq there, live batches go on after it
 *     wiped in the middle of a build     the shadow is gone, too: add knows no such job, and the build begins anew
 *
 * Only what a row says is compared, so a row whose counts came together in another order keeps its bytes and its version.
 */
import { DAY_MS, HOUR_MS, LIVE, MINUTE_MS, ROLLUP } from "../../r2-layout/limits.ts";
import {
  ALL_TIME,
  type Grain,
  type MinuteDelta,
  type RebuildBegun,
  type RebuildComparison,
  type RebuildStep,
  type RebuildWindow,
  type RollupBatch,
} from "./api.ts";
import type { Changed, ChangeLog, Reason } from "./change-log.ts";
import { grainStart, isFinal } from "./grains.ts";
import type { Position, PositionTable } from "./position-table.ts";
import type { RecentBatches } from "./recent-batches.ts";
import type { KeptRow, RollupRows } from "./rollup-rows.ts";
import { emptyState, mergeState, type RollupState, sameState } from "./rollup-state.ts";

/** Building, swapped, or how it ended. */
type RebuildState = "building" | "swapped" | "confirmed" | "reverted" | "discarded";

type Rebuild = {
  readonly job: string;
  readonly state: RebuildState;
  readonly from_ms: number;
  readonly to_ms: number;
  readonly up_to: number;
  readonly step: number;
  /** The job has added all of the log up to here; at first, up to where nothing can be in the window. */
  readonly added_to: number;
  readonly rules: number;
  /** 1: the live rows were lost, so that there is no old to go back to. */
  readonly restores: number;
  readonly shard: number;
  readonly reason: Reason["reason"] | null;
  /** Milliseconds of the last call that changed it. */
  readonly touched_at: number;
};

/** What a swap did, for those who watch. */
export interface Swapped {
  readonly shard: number;
  /** A minute on the screens may have changed. */
  readonly seen: boolean;
}

const SHADOW_GRAINS: readonly Grain[] = ["minute", "hour"];

export class Rebuilds {
  readonly #sql: SqlStorage;
  readonly #rows: RollupRows;
  readonly #position: PositionTable;
  readonly #changes: ChangeLog;
  readonly #recent: RecentBatches;
  /** Those that get live batches; null: to be read. */
  #followed: readonly Rebuild[] | null = null;

  constructor(sql: SqlStorage, rows: RollupRows, position: PositionTable, changes: ChangeLog, recent: RecentBatches) {
    this.#sql = sql;
    this.#rows = rows;
    this.#position = position;
    this.#changes = changes;
    this.#recent = recent;
    sql.exec(`CREATE TABLE IF NOT EXISTS rebuilds (job TEXT PRIMARY KEY, state TEXT NOT NULL, from_ms INTEGER NOT NULL,
      to_ms INTEGER NOT NULL, up_to INTEGER NOT NULL, step INTEGER NOT NULL,
      added_to INTEGER NOT NULL, rules INTEGER NOT NULL, restores INTEGER NOT NULL, shard INTEGER NOT NULL, reason TEXT,
      touched_at INTEGER NOT NULL)`);
  }

  forget(): void {
    this.#followed = null;
  }

  /** Jobs that keep rows. */
  jobs(): string[] {
    return this.#open().map(({ job }) => job);
  }

  /**
   * A batch that was just applied to the live rows. @throws RangeError where it ends in the middle of what a build is to restore: cut it there
   * @param deltas its minutes, oldest first
   */
  follow(batch: RollupBatch, deltas: readonly MinuteDelta[], keptFrom: number): void {
    for (const rebuild of this.#open()) {
      // What is at or below up_to is the job's to add.
      if (batch.to <= rebuild.up_to) continue;
      if (batch.from <= rebuild.up_to)
        throw new RangeError(`rebuild ${rebuild.job}: a batch must end at ${rebuild.up_to}`);
      this.#fold(rebuild, deltas, keptFrom, batch.to);
    }
  }

  begin(window: RebuildWindow, now: number): RebuildBegun {
    const { job, shard, from, to, cursor, after } = window;
    if (from % HOUR_MS !== 0 || to % HOUR_MS !== 0 || from >= to) {
      throw new RangeError(`no window of whole hours: ${from} to ${to}`);
    }
    const position = this.#position.read();
    const known = this.#find(job);
    if (known && isEnded(known)) throw new RangeError(`rebuild ${job} has been ${known.state}`);
    if (known && (known.state === "swapped" || known.rules === position.rules)) return begun(known);
    const restores = position.lastSeq < cursor;
    if (restores && (from > ALL_TIME.from || to < ALL_TIME.to)) {
      throw new RangeError(
        `the rollups of shard ${shard} are at seq ${position.lastSeq}, behind the cursor ${cursor}: they have lost rows, and only a rebuild without from and to restores them`,
      );
    }
    if (known) this.#rows.drop(job);
    this.#makeRoom(window, position);
    const rebuild: Rebuild = {
      job,
      state: "building",
      from_ms: from,
      to_ms: to,
      up_to: Math.max(position.lastSeq, cursor),
      step: 0,
      added_to: after,
      rules: position.rules,
      restores: restores ? 1 : 0,
      shard,
      reason: null,
      touched_at: now,
    };
    this.#write(rebuild);
    return begun(rebuild);
  }

  add(job: string, { step, to, rules }: RebuildStep, minutes: readonly MinuteDelta[], now: number): { step: number } {
    const rebuild = this.#find(job);
    if (!rebuild) throw new RangeError(`rebuild ${job} is not known here`);
    if (step <= rebuild.step) return { step: rebuild.step };
    if (rebuild.state !== "building") throw new RangeError(`rebuild ${job} has been ${rebuild.state}`);
    const newest = Math.max(rules, this.#position.read().rules);
    if (rules < newest || rebuild.rules < newest) {
      throw new RangeError(`rules: ${newest} is in force, rebuild ${job} has ${rebuild.rules}, its step ${rules}`);
    }
    if (step > rebuild.step + 1) throw new RangeError(`rebuild ${job} is at step ${rebuild.step}, not at ${step - 1}`);
    const oldestFirst = minutes.toSorted((one, other) => one.minute - other.minute);
    this.#fold(rebuild, oldestFirst, now - ROLLUP.minutesKeptMs, to);
    this.#write({ ...rebuild, step, added_to: Math.max(rebuild.added_to, to), touched_at: now });
    return { step };
  }

  compare(job: string, now: number): RebuildComparison {
    const rebuild = this.#existing(job);
    const { from_ms: from, to_ms: to } = rebuild;
    const minutes: { start: number; before: number; after: number }[] = [];
    let different = 0;
    for (const { grain, start, live, shadow } of this.#differences(rebuild)) {
      if (!stands(grain, start, now)) continue;
      different++;
      if (minutes.length === ROLLUP.differencesListed) continue;
      minutes.push({ start, before: live?.state.events ?? 0, after: shadow?.state.events ?? 0 });
    }
    const eventsBefore = this.#rows.eventsOf(null, from, to);
    return { different, minutes, eventsBefore, eventsAfter: this.#rows.eventsOf(job, from, to) };
  }

  /** @returns null where it was swapped already. */
  swap(job: string, reason: Reason["reason"], now: number): Swapped | null {
    const rebuild = this.#existing(job);
    if (rebuild.state === "swapped") return null;
    if (rebuild.state !== "building") throw new RangeError(`rebuild ${job} has been ${rebuild.state}`);
    const position = this.#position.read();
    if (rebuild.rules < position.rules) {
      throw new RangeError(`rules: ${position.rules} is in force, rebuild ${job} has ${rebuild.rules}`);
    }
    if (rebuild.added_to < rebuild.up_to) {
      throw new RangeError(`rebuild ${job} has the log up to ${rebuild.added_to} of ${rebuild.up_to}`);
    }
    const seen = this.#exchange(rebuild, { reason, job }, position, now);
    if (rebuild.restores) this.#rows.drop(job);
    this.#write({ ...rebuild, state: "swapped", reason, touched_at: now });
    return { shard: rebuild.shard, seen };
  }

  /** @returns null where it was reverted already. */
  revert(job: string, now: number): Swapped | null {
    const rebuild = this.#existing(job);
    if (rebuild.state === "reverted") return null;
    if (rebuild.state !== "swapped") throw new RangeError(`rebuild ${job} cannot be reverted: it is ${rebuild.state}`);
    if (rebuild.restores) throw new RangeError(`rebuild ${job} cannot be reverted: it restored rows that were lost`);
    const position = this.#position.read();
    if (rebuild.rules < position.rules) {
      throw new RangeError(
        `rules: ${position.rules} is in force, what rebuild ${job} keeps passed through ${rebuild.rules}`,
      );
    }
    const seen = this.#exchange(rebuild, { reason: rebuild.reason ?? "rebuild", job }, position, now);
    this.#end(rebuild, "reverted", now);
    return { shard: rebuild.shard, seen };
  }

  confirm(job: string, now: number): void {
    const rebuild = this.#find(job);
    if (!rebuild || rebuild.state === "confirmed") return;
    if (rebuild.state !== "swapped") throw new RangeError(`rebuild ${job} cannot be confirmed: it is ${rebuild.state}`);
    this.#end(rebuild, "confirmed", now);
  }

  /**
   * One that was swapped already (in this shard, and then its job was cancelled or began anew) is reverted where that is possible.
   * @returns as `revert`
   */
  discard(job: string, now: number): Swapped | null {
    const rebuild = this.#find(job);
    if (rebuild && isEnded(rebuild)) return null;
    if (rebuild?.state === "swapped") {
      if (!rebuild.restores && rebuild.rules === this.#position.read().rules) return this.revert(job, now);
      this.confirm(job, now);
      return null;
    }
    this.#end(rebuild ?? neverBegun(job), "discarded", now);
    return null;
  }

  /** As `MinuteRebuildApi.abandon`. */
  abandon(job: string, now: number): boolean {
    const rebuild = this.#find(job) ?? neverBegun(job);
    if (!isEnded(rebuild)) this.#end(rebuild, rebuild.state === "swapped" ? "confirmed" : "discarded", now);
    return rebuild.state === "swapped" || rebuild.state === "confirmed";
  }

  /** Lets go of builds that nobody has added to for long, and forgets the oldest of those that ended. */
  sweep(now: number): void {
    for (const rebuild of this.#open()) {
      if (rebuild.state !== "building" || rebuild.touched_at > now - ROLLUP.rebuildIdleMs) continue;
      console.warn(
        JSON.stringify({ at: "rollup_rebuild", shard: rebuild.shard, job: rebuild.job, reason: "abandoned" }),
      );
      this.#end(rebuild, "discarded", now);
    }
  }

  #fold({ job, from_ms, to_ms }: Rebuild, deltas: readonly MinuteDelta[], keptFrom: number, seq: number): void {
    const inside = deltas.filter(({ minute }) => minute >= from_ms && minute < to_ms);
    // Versions are the live rows': nothing is final in a shadow.
    this.#rows.fold(job, inside, SHADOW_GRAINS, { completeBefore: 0, keptFrom, seq });
  }

  /** Rows of the window that do not say the same on both sides; a row that is not there says nothing. */
  *#differences({ job, from_ms, to_ms }: Rebuild) {
    for (const grain of SHADOW_GRAINS) {
      for (const start of this.#rows.unequal(job, grain, from_ms, to_ms)) {
        const live = this.#rows.read(null, grain, start);
        const shadow = this.#rows.read(job, grain, start);
        const same = sameState(live?.state ?? emptyState(), shadow?.state ?? emptyState());
        if (!same) yield { grain, start, live, shadow };
      }
    }
  }

  /** @returns whether a minute that is on screens may have changed */
  #exchange(rebuild: Rebuild, reason: Reason, position: Position, now: number): boolean {
    const { job } = rebuild;
    // What is built of a corrected window is all of the log, and the lake's rows. Why a rebuild finds other rows nobody knows.
    const built = (row: KeptRow | null) =>
      row?.changedSeq === null || reason.reason !== "correction" ? null : position.lastSeq;
    const isBack = rebuild.state === "swapped";
    this.#rows.sweepMinutes(now - ROLLUP.minutesKeptMs, this.jobs());
    const { completeUntil } = position;
    const changed: Changed[] = [];
    const days = new Set<number>();
    let newest = Number.NEGATIVE_INFINITY;
    for (const { grain, start, live, shadow } of this.#differences(rebuild)) {
      const final = isFinal(grain, start, completeUntil);
      const version = (live?.version ?? 1) + (final ? 1 : 0);
      // Where nothing is left an empty row stays: it has the version, and screens are told that there is nothing.
      const [before, after] = [live?.state ?? emptyState(), shadow?.state ?? emptyState()];
      const changedSeq = isBack ? seqOf(shadow) : built(shadow);
      this.#rows.write(null, { grain, start, version, changedSeq, state: after });
      this.#rows.write(job, { grain, start, version: 1, changedSeq: seqOf(live), state: before });
      if (final && stands(grain, start, now)) changed.push({ minute: start, grain, version, ...gained(before, after) });
      if (grain === "hour") days.add(grainStart("day", start));
      newest = Math.max(newest, start);
    }
    for (const day of days) this.#addUpDay(day, completeUntil);
    this.#recent.forget();
    this.#changes.record(changed, reason, now);
    const seen = Boolean(rebuild.restores) || newest >= now - (LIVE.minutes + 1) * MINUTE_MS;
    this.#position.write({
      ...position,
      ...(rebuild.restores && {
        lastSeq: Math.max(position.lastSeq, rebuild.up_to),
        events: this.#rows.eventsOf(null, ALL_TIME.from, ALL_TIME.to),
        leftOut: Math.max(1, position.leftOut),
      }),
      incarnation: seen ? Math.max(now, position.incarnation + 1) : position.incarnation,
    });
    return seen;
  }

  #addUpDay(day: number, completeUntil: number): void {
    const state = emptyState();
    let changedSeq: number | null = 0;
    for (let hour = day; hour < day + DAY_MS; hour += HOUR_MS) {
      const row = this.#rows.read(null, "hour", hour);
      if (!row) continue;
      mergeState(state, row.state);
      changedSeq = changedSeq === null || row.changedSeq === null ? null : Math.max(changedSeq, row.changedSeq);
    }
    const before = this.#rows.read(null, "day", day);
    if (before && sameState(before.state, state)) return;
    const version = (before?.version ?? 1) + (isFinal("day", day, completeUntil) ? 1 : 0);
    this.#rows.write(null, { grain: "day", start: day, version, changedSeq, state });
  }

  #makeRoom({ job, from, to }: RebuildWindow, position: Position): void {
    for (const other of this.#open()) {
      if (other.job === job || other.from_ms >= to || other.to_ms <= from) continue;
      if (other.rules === position.rules)
        throw new RangeError(`busy: job ${other.job} rebuilds minutes of this window`);
      this.#end(other, other.state === "swapped" ? "confirmed" : "discarded", other.touched_at);
    }
    if (this.#open().length >= ROLLUP.rebuildsAtOnce) throw new RangeError(`busy: ${ROLLUP.rebuildsAtOnce} windows`);
  }

  #open(): readonly Rebuild[] {
    this.#followed ??= this.#sql
      .exec<Rebuild>("SELECT * FROM rebuilds WHERE state IN ('building', 'swapped') ORDER BY job")
      .toArray();
    return this.#followed;
  }

  #find(job: string): Rebuild | undefined {
    return this.#sql.exec<Rebuild>("SELECT * FROM rebuilds WHERE job = ?", job).toArray()[0];
  }

  #existing(job: string): Rebuild {
    const rebuild = this.#find(job);
    if (!rebuild) throw new RangeError(`rebuild ${job} is not known here`);
    return rebuild;
  }

  #end(rebuild: Rebuild, state: RebuildState, now: number): void {
    const position = this.#position.read();
    // All rows were built through all rules, also one whose own job was set aside.
    const owesNothing = state === "confirmed" && isOfAllTime(rebuild) && rebuild.rules === position.rules;
    if (owesNothing && position.owes > 0) this.#position.write({ ...position, owes: 0 });
    this.#rows.drop(rebuild.job);
    this.#write({ ...rebuild, state, touched_at: now });
    this.#sql.exec(
      `DELETE FROM rebuilds WHERE state NOT IN ('building', 'swapped') AND job NOT IN (SELECT job FROM rebuilds
         WHERE state NOT IN ('building', 'swapped') ORDER BY touched_at DESC LIMIT ?)`,
      ROLLUP.rebuildsRemembered,
    );
  }

  #write(rebuild: Rebuild): void {
    const columns = Object.keys(rebuild) as (keyof Rebuild)[];
    this.#sql.exec(
      `INSERT OR REPLACE INTO rebuilds (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
      ...columns.map((column) => rebuild[column]),
    );
    this.forget();
  }
}

/** A row that is not there has been changed by nothing. */
const seqOf = (row: KeptRow | null): number | null => (row ? row.changedSeq : 0);

const isOfAllTime = ({ from_ms, to_ms }: Rebuild): boolean => from_ms <= ALL_TIME.from && to_ms >= ALL_TIME.to;

const begun = ({ up_to, added_to, step }: Rebuild): RebuildBegun => ({ upTo: up_to, after: added_to, step });

const isEnded = ({ state }: Rebuild): boolean => state !== "building" && state !== "swapped";

/** Remembered all the same: its `begin` may still be under way. */
const neverBegun = (job: string): Rebuild => ({
  job,
  state: "building",
  from_ms: 0,
  to_ms: 0,
  up_to: 0,
  step: 0,
  added_to: 0,
  rules: 0,
  restores: 0,
  shard: 0,
  reason: null,
  touched_at: 0,
});

/** A change is told by the minute; by the hour where not all of its minutes are kept. */
function stands(grain: Grain, start: number, now: number): boolean {
  const wholeFrom = Math.ceil((now - ROLLUP.minutesKeptMs) / HOUR_MS) * HOUR_MS;
  return grain === "minute" ? start >= wholeFrom : start < wholeFrom;
}

function gained(before: RollupState, after: RollupState): Pick<Changed, "events" | "revenue"> {
  const revenue = new Map(after.revenue);
  for (const [currency, micro] of before.revenue) revenue.set(currency, (revenue.get(currency) ?? 0n) - micro);
  return { events: after.events - before.events, revenue: [...revenue].filter(([, micro]) => micro !== 0n) };
}
