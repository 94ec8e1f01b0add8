/**
 * How a job's steps become one commit, and how that is taken back. A swap looks at the lake as it is at that moment, in
 * the transaction that changes it: that nothing it removes has gone, and that no file is there which it should have
 * looked at, so neither order of events beside it can lose or double a row.
 */
import { LAKE } from "../../r2-layout/limits.ts";
import type { CatalogAnswer, DataFile, LakeStagingApi, LogReach } from "./api.ts";
import type { DataFileTable } from "./data-files.ts";
import { mayReach } from "./prune.ts";
import type { RuleVersions } from "./rule-versions.ts";
import type { SnapshotTable } from "./snapshots.ts";
import type { StagingJob, StagingTable } from "./staging.ts";

type Candidates = Parameters<LakeStagingApi["candidates"]>[0];
type Swap = Parameters<LakeStagingApi["swap"]>[1];

export class StagedChanges {
  readonly #files: DataFileTable;
  readonly #snapshots: SnapshotTable;
  readonly #rules: RuleVersions;
  readonly #staging: StagingTable;
  /** The newest rule that is known to be in all files. A cache. */
  #passed = 0;

  constructor(files: DataFileTable, snapshots: SnapshotTable, rules: RuleVersions, staging: StagingTable) {
    this.#files = files;
    this.#snapshots = snapshots;
    this.#rules = rules;
    this.#staging = staging;
  }

  candidates({ belowRules, from, to, afterId, job }: Candidates, limit: number = LAKE.filesPerPage): DataFile[] {
    const looked = job === undefined ? null : this.#staging.looked(job);
    const mayTouch = this.#rules.mayTouch(belowRules);
    const found: DataFile[] = [];
    for (const file of this.#files.liveAfter(afterId, { table: "events", from, to, belowRules })) {
      if (looked?.has(file.id) || !mayTouch(file)) continue;
      found.push(file);
      if (found.length >= limit) break;
    }
    return found;
  }

  /**
   * Whether no live file holds a row that a rule has yet to change. Where it was so for a version it stays so: files that come
   * later have passed it, and so have those that come back.
   */
  hasPassedRules(): boolean {
    const { newest } = this.#rules;
    if (this.#passed < newest && this.candidates({ belowRules: newest, afterId: 0 }, 1).length === 0) {
      this.#passed = newest;
    }
    return this.#passed === newest;
  }

  replaceable(job: string, afterId: number, limit: number = LAKE.filesPerPage): DataFile[] {
    const reach = reachOf(this.#staging.job(job));
    const looked = this.#staging.looked(job);
    const found: DataFile[] = [];
    for (const file of this.#files.liveAfter(afterId)) {
      if (looked.has(file.id) || !mayReach(file.columns, reach)) continue;
      found.push(file);
      if (found.length >= limit) break;
    }
    return found;
  }

  /** @throws RangeError where the job has ended, or a rebuild has not read all that it began for. */
  swap(job: string, { remove, keep, rules, operation }: Swap, nowMs: number): CatalogAnswer {
    const known = this.#staging.job(job);
    if (known?.state === "swapped" || known?.state === "confirmed") return known.swapped!;
    this.#staging.open(job, nowMs);
    const added = this.#staging.files(job);
    const oldest = operation === "rebuild" ? Math.min(rules, ...added.map((file) => file.rules ?? 0)) : rules;
    if (operation === "rebuild" && oldest < this.#rules.newest) return { kind: "rules", version: this.#rules.newest };
    if (operation === "correct" && rules > this.#rules.newest)
      throw new RangeError(`rule ${rules} was not raised; the newest is ${this.#rules.newest}`);

    const inputs = [...new Set([...this.#staging.removes(job), ...remove])].map((id) => ({
      id,
      file: this.#files.live(id),
    }));
    const missing = inputs.filter(({ file }) => file === null).map(({ id }) => id);
    if (missing.length > 0) {
      this.#staging.forgetSteps(job, missing);
      return { kind: "conflict", missing };
    }
    const looked = new Set([...keep, ...inputs.map(({ id }) => id)]);
    if (this.#overlooked(job, operation, rules, looked)) return { kind: "conflict", missing: [] };
    if (operation === "rebuild") this.#assertRead(job, reachOf(known));

    const removed = inputs.map(({ file }) => file!);
    const snapshot =
      removed.length + added.length === 0
        ? this.#snapshots.latest().seq
        : this.#snapshots.commit({ operation, added, removed }, nowMs);
    for (const { id } of removed) this.#files.remove(id, snapshot, nowMs, job);
    for (const file of added) this.#files.add(file, snapshot, file.rules ?? 0, job);
    if (operation === "correct") this.#files.passed(rules);
    const answer: CatalogAnswer = { kind: "committed", snapshot };
    this.#staging.swapped(job, operation, answer, nowMs);
    return answer;
  }

  /** Whether a live file is one that the job should have looked at and has not. */
  #overlooked(job: string, operation: Swap["operation"], rules: number, looked: ReadonlySet<number>): boolean {
    const unseen = ({ id }: DataFile) => !looked.has(id);
    const all = Number.POSITIVE_INFINITY;
    return operation === "correct"
      ? this.candidates({ belowRules: rules, afterId: 0, job }, all).some(unseen)
      : this.replaceable(job, 0, all).some(unseen);
  }

  #assertRead(job: string, reach: readonly (readonly [shard: number, part: LogReach])[]): void {
    const reads = this.#staging.reads(job);
    for (const [shard, { to }] of reach) {
      const read = reads[shard]?.to ?? 0;
      if (read < to) throw new RangeError(`job ${job} has read shard ${shard} up to ${read}, not ${to}`);
    }
  }

  /**
   * Refused as `conflict` where what the swap added has been replaced since, as `rules` where what it removed has not
   * passed a rule that may concern it. @throws RangeError where there is nothing to revert.
   */
  revert(job: string, nowMs: number): CatalogAnswer {
    const known = this.#staging.job(job);
    if (known?.state === "reverted") return known.reverted!;
    if (known?.state !== "swapped")
      throw new RangeError(`job ${job} is ${known?.state ?? "not known"}, nothing to revert`);
    const added = this.#files.addedBy(job);
    const gone = added.filter(({ live }) => !live).map(({ id }) => id);
    if (gone.length > 0) return { kind: "conflict", missing: gone };
    const restored = this.#files.removedBy(job);
    const newest = this.#rules.newest;
    // A correction's own rule is in force for ever: what it replaced cannot come back as it was.
    const mayTouch = this.#rules.mayTouch(newest);
    if (restored.some((file) => mayTouch(file))) return { kind: "rules", version: newest };

    const snapshot = this.#snapshots.commit(
      { operation: "revert", added: restored, removed: added, undoes: known.operation! },
      nowMs,
    );
    for (const { id } of added) this.#files.remove(id, snapshot, nowMs);
    for (const { id } of restored) this.#files.restore(id, snapshot);
    this.#files.release(job);
    const answer: CatalogAnswer = { kind: "committed", snapshot };
    this.#staging.reverted(job, answer, nowMs);
    return answer;
  }

  /** @throws RangeError where it was not swapped in. */
  confirm(job: string, nowMs: number): void {
    const known = this.#staging.job(job);
    if (known?.state === "confirmed") return;
    if (known?.state !== "swapped")
      throw new RangeError(`job ${job} is ${known?.state ?? "not known"}, nothing to confirm`);
    this.#files.release(job);
    this.#staging.end(job, "confirmed", nowMs);
  }

  /** @throws RangeError where it was swapped in: that is reverted. */
  discard(job: string, nowMs: number): void {
    const known = this.#staging.job(job);
    if (known?.state === "discarded" || known?.state === "reverted") return;
    if (known && known.state !== "open") throw new RangeError(`job ${job} is ${known.state}`);
    this.#staging.end(job, "discarded", nowMs);
  }
}

/** @throws RangeError where the job is no rebuild. */
function reachOf(job: StagingJob | null): (readonly [shard: number, part: LogReach])[] {
  if (!job?.scope) throw new RangeError(`job ${job?.job ?? "?"} is no rebuild that has begun`);
  return Object.entries(job.scope.reach).map(([shard, part]) => [Number(shard), part]);
}
