/**
 * Cuts: snapshots with a name, kept for good. A day is frozen once the lake has all of it that the log has taken, and is
 * never changed afterwards; what comes later makes a next version, with the difference.
 *
 * When a day is whole. Its events are those received before midnight. Half an hour later (`delayMs`), when the queues have
 * handed on what they had, each log is asked for its head: the mark, which is kept. Whoever has passed the mark has every
 * segment that the log had committed by then, whatever times are in it, and commit order need not be time order. A moving
 * head would never be met under traffic; the mark is. A shard without a segment has mark 0, which is passed. A shard that
 * joins later has nothing received before; what a split moved to it out of older messages counts as still on the queue.
 * What had not been committed by the mark shows in three ways, each of which keeps the day waiting until `waitMs`:
 *
 *     gap         a running number of an edge instance that became known to be missing from the day's begin until `delayMs`
 *                 after its end: the owed message was accepted before the one that told of it. An earlier gap is an
 *                 earlier day's.
 *     hole        a segment that may have events of the day, left out by the lake and not yet brought back
 *     in_flight   a cursor that has not passed its mark
 *
 * Then the day is published as partial and says what is missing; when that is there, a next version is complete. The last
 * messages of an edge instance that nobody has heard of since are known to nobody: they are late data, and make a version.
 *
 *     waiting     mark -> freeze                  one row, no snapshot yet; nobody sees it
 *     frozen      freeze -> compact -> tally -> compare -> done       the first version, published with `freeze`
 *     a version   mark -> freeze -> diff -> compact -> compare -> done        published once its diff says what changed
 *
 * | crash, or two at once | what follows |
 * |---|---|
 * | marks asked, not kept | asked again, later; the first that are kept stand |
 * | frozen, answer lost | the snapshot stands; the second call is told so |
 * | the day's compaction committed, `cutCompacted` lost | the cut names its output all the same (cut-files.ts); fewer small files are found |
 * | two tallies side by side | a step has a number: the second of one is refused, and its worker goes on with the next |
 * | a compaction beside a tally | the files to read were fixed at its begin; replaced ones are readable for the reach of snapshots, then the tally begins anew |
 * | late data between freeze and diff | has a later snapshot: it is the next version's |
 * | late data before the day's compaction | other compactions of the day wait for the cut's (`holds`), else its small files were kept for good |
 * | a version that turns out the same | is deleted unseen; the version before remembers up to where it was looked at |
 */
import {
  type DayTally,
  differingValues,
  EMPTY_DAY,
  sameDaySum,
  type TalliedColumn,
} from "../../r2-layout/day-tally.ts";
import { CUT, DAY_MS } from "../../r2-layout/limits.ts";
import { DAY_US, dayOf, MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { CursorStatus, RecordedHole } from "../sink-cursor/api.ts";
import type { CompactionPlan } from "./compaction-plan.ts";
import { CutFiles } from "./cut-files.ts";
import { type CutRow, CutTable, openCut, publicCut } from "./cut-table.ts";
import type {
  Cut,
  CutComparison,
  CutDiff,
  CutMissing,
  CutSettings,
  CutWork,
  FreezeAnswer,
  OpenCut,
  ShardMark,
} from "./cuts-api.ts";
import type { RuleVersions } from "./rule-versions.ts";
import type { SnapshotTable } from "./snapshots.ts";

/** What cuts ask of the rest of the catalog. */
export interface CutsContext {
  readonly snapshots: SnapshotTable;
  readonly rules: RuleVersions;
  readonly compaction: CompactionPlan;
  readonly cursors: () => Readonly<Record<number, CursorStatus>>;
  readonly openHoles: (shard: number) => RecordedHole[];
  readonly rebuilding: () => boolean;
}

export class Cuts {
  readonly files: CutFiles;
  readonly #cuts: CutTable;
  readonly #context: CutsContext;

  constructor(sql: SqlStorage, context: CutsContext) {
    this.#cuts = new CutTable(sql);
    this.files = new CutFiles(sql);
    this.#context = context;
  }

  /** `name` or `name.vN`. */
  find(text: string): CutRow | null {
    const { name, version } = parseCutName(text);
    const found = version === null ? this.#cuts.newestPublished(name) : this.#cuts.get(name, version);
    return found?.state ? found : null;
  }

  cut(text: string): Cut | null {
    const found = this.find(text);
    return found && this.#public(found);
  }

  list(limit: number, before?: string): Cut[] {
    const place = before === undefined ? null : parseCutName(before);
    return this.#cuts
      .list(limit, place && { name: place.name, version: place.version ?? 1 })
      .map((row) => this.#public(row));
  }

  /** Days of tables, `<table>/<day>`, whose compaction is a cut's for now. */
  holds(nowMs: number): string[] {
    return this.#cuts
      .holding()
      .filter(({ record }) => nowMs - (record.frozenAt ?? record.openedAt) < CUT.holdMs)
      .flatMap(({ day }) => [`events/${day}`, `quarantine/${day}`, "events/mixed", "quarantine/mixed"]);
  }

  request(request: { readonly day: string } | { readonly name: string }, nowMs: number): Cut | OpenCut | null {
    if ("name" in request) return this.#nameNow(request.name, nowMs);
    const newest = this.#cuts.newest(request.day);
    if (newest && newest.phase !== "done" && newest.state === null) {
      this.#cuts.update(newest, { next_at: nowMs, record: { ...newest.record, now: true } });
      return openCut(this.#cuts.get(newest.name, newest.version)!);
    }
    // A version before that is still being counted has to be whole first.
    if (newest && newest.phase !== "done") return openCut(newest);
    return openCut(this.#open(request.day, (newest?.version ?? 0) + 1, nowMs, { now: true }));
  }

  #nameNow(name: string, nowMs: number): Cut | null {
    if (this.#cuts.newest(name)) return null;
    const place = { name, version: 1 };
    this.#cuts.insert({
      ...place,
      day: null,
      phase: "done",
      from: null,
      through: null,
      next_at: 0,
      record: { openedAt: nowMs, now: true, ...this.#frozen(nowMs) },
    });
    this.#cuts.update(place, { state: "complete", seq: this.#context.snapshots.latest().seq });
    return this.cut(name);
  }

  #open(day: string, version: number, nowMs: number, of: { now?: boolean; daily?: boolean }): CutRow {
    const from = Date.parse(day) * MICROS_PER_MS;
    const record = { openedAt: nowMs, ...of };
    const through = from + DAY_US;
    this.#cuts.insert({ name: day, version, day, phase: "mark", from, through, next_at: nowMs, record });
    return this.#cuts.get(day, version)!;
  }

  work(settings: CutSettings, nowMs: number): CutWork | null {
    for (const row of this.#cuts.open(nowMs, CUT.checksAtOnce)) {
      const work = this.#workOf(row, nowMs);
      if (work) return work;
    }
    const opened = this.#dueDay(settings, nowMs) ?? this.#changedDay(settings, nowMs);
    return opened && this.#workOf(opened, nowMs);
  }

  /** The first day, since cuts began, that is over for long enough and has none. */
  #dueDay({ delayMs }: CutSettings, nowMs: number): CutRow | null {
    const began = this.#context.snapshots.oldest();
    if (began === null) return null;
    const today = Math.floor((nowMs - delayMs) / DAY_MS);
    const first = this.#cuts.firstDaily();
    const from = first === null ? today - 1 : Math.max(Date.parse(first) / DAY_MS, today - CUT.catchUpDays);
    for (let number = from; number < today; number++) {
      // Before the lake there was no day.
      if (first === null && began.seq === 1 && began.committedAt >= (number + 1) * DAY_MS) continue;
      const day = dayOf(number * DAY_US);
      if (!this.#cuts.hasDay(day)) return this.#open(day, 1, nowMs, { daily: true });
    }
    return null;
  }

  /** A day that may have changed since its newest version, or whose newest version is partial. */
  #changedDay({ delayMs, versionEveryMs }: CutSettings, nowMs: number): CutRow | null {
    for (const row of this.#cuts.unchecked(nowMs, CUT.checksAtOnce)) {
      const { day, from, through, record, seq } = row;
      const over = through! / MICROS_PER_MS + delayMs;
      const young = nowMs - over < CUT.youngMs;
      const again = nowMs + (young ? CUT.checkEveryMs : CUT.checkOldEveryMs);
      this.#cuts.update(row, { next_at: nowMs < over ? over : again });
      if (nowMs < over) continue;
      const range = { from: from!, through: through! };
      const changed = () =>
        nowMs >= record.frozenAt! + versionEveryMs && this.files.changedAfter(record.checkedSeq ?? seq!, range);
      if (row.state === "partial" || changed()) return this.#open(day!, row.version + 1, nowMs, {});
    }
    return null;
  }

  #workOf(row: CutRow, nowMs: number): CutWork | null {
    switch (row.phase) {
      case "mark":
      case "freeze":
        return { kind: row.phase, cut: openCut(row) };
      case "compact":
        return (
          this.#compaction(row, nowMs) ?? this.#next(this.#merged(row), row.version === 1 ? "tally" : "compare", nowMs)
        );
      case "diff":
      case "tally":
        return this.#tallying(row, nowMs);
      case "compare": {
        const { tally, record } = row;
        return { kind: "compare", cut: openCut(row), tally, ...(record.note !== undefined && { note: record.note }) };
      }
      case "done":
        return null;
    }
  }

  #next(row: CutRow, phase: CutRow["phase"], nowMs: number): CutWork | null {
    const { attempts: _, ...record } = row.record;
    this.#cuts.update(row, { phase, next_at: nowMs, record });
    return this.#workOf({ ...row, phase, record }, nowMs);
  }

  /** @param nowMs stands: the first call counts. */
  mark(name: string, version: number, marks: readonly ShardMark[], nowMs: number): void {
    const row = this.#cuts.get(name, version);
    if (row?.phase !== "mark") return;
    const heads = Object.fromEntries(marks.map(({ shard, head }) => [shard, head]));
    this.#cuts.update(row, { phase: "freeze", next_at: nowMs, record: { ...row.record, markedAt: nowMs, heads } });
  }

  freeze(
    name: string,
    version: number,
    marks: readonly ShardMark[],
    settings: CutSettings,
    nowMs: number,
  ): FreezeAnswer {
    const row = this.#cuts.get(name, version);
    if (!row) return { kind: "dropped" };
    if (row.phase !== "freeze") return { kind: "frozen", cut: cutName(name, version) };
    const missing = this.#missing(row, marks, nowMs);
    const { record } = row;
    const since = version === 1 ? row.through! / MICROS_PER_MS : record.markedAt!;
    const patient = record.now !== true && nowMs < since + settings.waitMs;
    if (missing.length > 0 && patient) {
      this.#cuts.update(row, { next_at: nowMs + CUT.retryMs });
      return { kind: "waiting", missing: missing.slice(0, CUT.missing) };
    }
    return this.#freezeNow(row, missing, settings, nowMs);
  }

  #freezeNow(row: CutRow, missing: readonly CutMissing[], settings: CutSettings, nowMs: number): FreezeAnswer {
    const { name, version, record } = row;
    const state = missing.length === 0 ? ("complete" as const) : ("partial" as const);
    const before = version > 1 ? this.#cuts.get(name, version - 1) : null;
    const completes = before?.state === "partial" && state === "complete";
    if (before && !completes) {
      const range = { from: row.from!, through: row.through! };
      const changed = this.files.changedAfter(before.record.checkedSeq ?? before.seq!, range);
      const early = record.now !== true && nowMs < before.record.frozenAt! + settings.versionEveryMs;
      if (!changed || early) return this.#drop(row, before, changed ? null : this.#context.snapshots.latest().seq);
    }
    const { seq } = this.#context.snapshots.latest();
    this.#cuts.update(row, {
      seq,
      state: before ? null : state,
      phase: before ? "diff" : "compact",
      next_at: nowMs,
      record: {
        ...record,
        ...this.#frozen(nowMs),
        missing: missing.slice(0, CUT.missing),
        frozenFiles: this.files.ofRange(seq, { from: row.from!, through: row.through! }),
        state,
        ...(completes && { completes }),
      },
    });
    return { kind: "frozen", cut: cutName(name, version) };
  }

  /** Forgets a version that nobody has seen. @param checkedSeq up to where the one before was found unchanged. */
  #drop(row: CutRow, before: CutRow, checkedSeq: number | null): FreezeAnswer {
    this.#cuts.delete(row);
    if (checkedSeq !== null) this.#cuts.update(before, { record: { ...before.record, checkedSeq } });
    return { kind: "dropped" };
  }

  #frozen(nowMs: number) {
    const cursors = Object.fromEntries(
      Object.entries(this.#context.cursors()).map(([shard, { cursor }]) => [shard, cursor]),
    );
    const { snapshots } = this.#context;
    return { frozenAt: nowMs, cursors, tables: snapshots.latest().tables, erasedSums: snapshots.erasedSums() };
  }

  #missing(row: CutRow, marks: readonly ShardMark[], nowMs: number): CutMissing[] {
    const missing: CutMissing[] = [];
    if (nowMs * MICROS_PER_MS < row.through!) missing.push({ what: "day_not_over", count: 1 });
    const cursors = this.#context.cursors();
    for (const [shard, head] of Object.entries(row.record.heads ?? {})) {
      const behind = head - (cursors[Number(shard)]?.cursor ?? 0);
      if (behind > 0) missing.push({ what: "in_flight", shard: Number(shard), count: behind });
    }
    for (const { shard, gaps, range } of marks) {
      if (gaps > 0) missing.push({ what: "gap", shard, count: gaps });
      if (!range) continue;
      for (const { seq, events, quarantined } of this.#context.openHoles(shard)) {
        if (seq >= range.from && seq <= range.to) {
          missing.push({ what: "hole", shard, count: events + quarantined, seq });
        }
      }
    }
    return missing;
  }

  #compaction(row: CutRow, nowMs: number): CutWork | null {
    const { attempts = 0, rounds = 0, merged = [] } = row.record;
    // While a rebuild runs there is no compaction; the cut is not to wait for people.
    if (this.#context.rebuilding() || attempts >= CUT.attempts || rounds >= CUT.mergeRounds) return null;
    const { compaction, rules } = this.#context;
    const work = compaction.ofCut(row.day!, row.seq!, merged, rules.newest, nowMs);
    return work && { kind: "compact", cut: openCut(row), work };
  }

  compacted(
    name: string,
    version: number,
    partition: string,
    outcome: "made" | "failed" | "nothing",
    nowMs: number,
  ): void {
    const row = this.#cuts.get(name, version);
    if (row?.phase !== "compact") return;
    const { record } = row;
    const attempts = outcome === "failed" ? (record.attempts ?? 0) + 1 : 0;
    const merged = outcome === "nothing" ? [...(record.merged ?? []), partition] : record.merged;
    const rounds = (record.rounds ?? 0) + 1;
    this.#cuts.update(row, {
      next_at: outcome === "failed" ? nowMs + CUT.retryMs : nowMs,
      record: { ...record, attempts, rounds, ...(merged && { merged }) },
    });
  }

  /** What the day's compaction has put in the place of what it was frozen with. */
  #merged(row: CutRow): CutRow {
    const { frozenFiles = [], merged: _, rounds: __, ...record } = row.record;
    const now = this.files.ofRange(row.seq!, { from: row.from!, through: row.through! });
    const [had, has] = [new Set(frozenFiles), new Set(now)];
    const swapped = { out: frozenFiles.filter((id) => !has.has(id)), in: now.filter((id) => !had.has(id)) };
    return { ...row, record: { ...record, swapped } };
  }

  #tallying(row: CutRow, nowMs: number): CutWork | null {
    if ((row.record.attempts ?? 0) >= CUT.attempts) return this.#tallyDone(row, null, nowMs);
    const progress = row.progress ?? this.#beginTally(row);
    const tally = row.progress ? row.tally! : this.#tallyBefore(row);
    if (!row.progress) this.#cuts.update(row, { progress, tally });
    const next = progress.todo[progress.done];
    if (!next) return this.#tallyDone(row, tally, nowMs);
    const [id, sign] = next;
    const file = this.files.file(id);
    if (!file) {
      // Replaced and forgotten since: what is there now has the same rows.
      this.#cuts.update(row, { progress: null, tally: null });
      return this.#workOf({ ...row, progress: null, tally: null }, nowMs);
    }
    const step = { number: progress.done, tally, file, sign, contents: progress.contents };
    return { kind: "tally", cut: openCut(row), step };
  }

  /** Of a first version all files of the day; of a next one those that came and those that went. */
  #beginTally(row: CutRow) {
    const range = { from: row.from!, through: row.through! };
    const now = this.files.ofRange(row.seq!, range);
    const before = row.phase === "diff" ? this.#cuts.get(row.name, row.version - 1) : null;
    const inBefore = (expired: boolean) => (before?.tally ? this.files.ofRange(before.seq!, range, expired) : []);
    // That rows expired is no difference between two versions: not taken off, and where cuts still have them not added again.
    const old = inBefore(false);
    const [has, had] = [new Set(now), new Set(inBefore(true))];
    const todo: (readonly [number, 1 | -1])[] = [
      ...now.filter((id) => !had.has(id)).map((id) => [id, 1] as const),
      ...old.filter((id) => !has.has(id)).map((id) => [id, -1] as const),
    ];
    return { todo, done: 0, contents: before?.tally != null };
  }

  #tallyBefore(row: CutRow): DayTally {
    const before = row.phase === "diff" ? this.#cuts.get(row.name, row.version - 1) : null;
    return before?.tally ? { ...before.tally, contents: EMPTY_DAY.contents } : EMPTY_DAY;
  }

  tallied(name: string, version: number, step: number, tally: DayTally, nowMs: number): boolean {
    const row = this.#cuts.get(name, version);
    if (!row?.progress || row.progress.done !== step) return false;
    const { record, progress } = row;
    this.#cuts.update(row, {
      next_at: nowMs,
      tally,
      progress: { ...progress, done: step + 1 },
      record: { ...record, attempts: 0 },
    });
    return true;
  }

  tallyFailed(name: string, version: number, cause: string, nowMs: number): void {
    const row = this.#cuts.get(name, version);
    if (!row || (row.phase !== "tally" && row.phase !== "diff")) return;
    const { record } = row;
    const attempts = (record.attempts ?? 0) + 1;
    this.#cuts.update(row, {
      next_at: nowMs + CUT.retryMs,
      record: { ...record, attempts, note: cause.slice(0, 200) },
    });
  }

  /** @param tally null where it was given up. */
  #tallyDone(row: CutRow, tally: DayTally | null, nowMs: number): CutWork | null {
    const { note, attempts: _, ...record } = row.record;
    const kept = { ...record, ...(tally === null && { note: `no tally: ${note ?? "its files cannot be read"}` }) };
    if (row.phase === "tally") {
      this.#cuts.update(row, { tally, progress: null, record: kept });
      return this.#next({ ...row, tally, progress: null, record: kept }, "compare", nowMs);
    }
    // Gone where its time was over meanwhile: then there is nothing to differ from.
    const before = this.#cuts.get(row.name, row.version - 1);
    const diff = tally && before?.tally ? diffOf(cutName(before.name, before.version), before.tally, tally) : null;
    if (before && diff && !diff.keys_changed && !diff.contents_changed && !record.completes) {
      this.#drop(row, before, row.seq!);
      return null;
    }
    const published = { ...kept, ...(diff && { diff }) };
    const state = record.state!;
    this.#cuts.update(row, { tally, progress: null, record: published, state });
    return this.#next({ ...row, tally, progress: null, record: published, state }, "compact", nowMs);
  }

  compareLater(name: string, version: number, nowMs: number): void {
    const row = this.#cuts.get(name, version);
    if (row?.phase !== "compare") return;
    const attempts = (row.record.attempts ?? 0) + 1;
    this.#cuts.update(row, { next_at: nowMs + CUT.retryMs, record: { ...row.record, attempts } });
  }

  compared(name: string, version: number, comparison: CutComparison, nowMs: number): void {
    const row = this.#cuts.get(name, version);
    if (row?.phase !== "compare") return;
    this.#cuts.update(row, {
      phase: "done",
      next_at: nowMs + CUT.checkEveryMs,
      record: { ...row.record, comparison },
    });
  }

  /** @param beforeMs cuts of days that ended before it go. @returns how many. */
  drop(beforeMs: number): number {
    return this.#cuts.drop(beforeMs * MICROS_PER_MS);
  }

  #public(row: CutRow): Cut {
    return { ...publicCut(row, this.files.expiredRows(row.seq!, row.through)), tables: this.tables(row) };
  }

  /** What it was frozen with, less what was erased since. */
  tables({ seq, record }: CutRow): Cut["tables"] {
    return this.#context.snapshots.cutTables(seq!, record.tables!, record.erasedSums ?? 0);
  }
}

function diffOf(against: string, before: DayTally, after: DayTally): CutDiff {
  const listed = (column: TalliedColumn) =>
    differingValues(before, after, column)
      .slice(0, CUT.differences)
      .map(({ value, before, after }) => ({
        value,
        before: before.rows,
        after: after.rows,
        ...(before.rows === after.rows && { other_rows: true as const }),
      }));
  const byColumn = { event_name: listed("event_name"), country: listed("country"), source: listed("source") };
  return {
    against,
    rows: { before: before.events.rows, after: after.events.rows },
    quarantine: { before: before.quarantine.rows, after: after.quarantine.rows },
    keys_changed:
      !sameDaySum(before.events, after.events) ||
      !sameDaySum(before.quarantine, after.quarantine) ||
      Object.values(byColumn).some(({ length }) => length > 0),
    contents_changed: !sameDaySum(after.contents, EMPTY_DAY.contents),
    ...byColumn,
  };
}

/** `2026-11-21.v2`: one version of a cut. Without `.v2` it is the newest. */
export const cutName = (name: string, version: number): string => `${name}.v${version}`;

export function parseCutName(text: string): { readonly name: string; readonly version: number | null } {
  const match = /^(.+)\.v([1-9]\d{0,5})$/.exec(text);
  return match ? { name: match[1]!, version: Number(match[2]) } : { name: text, version: null };
}
