/** What others may ask of the LakeCatalog about cuts: named snapshots that are kept for good. cuts.ts has the protocol. */

import type { DayTally } from "../../r2-layout/day-tally.ts";
import type { TableName } from "../../r2-layout/event-columns.ts";
import type { CompactionWork, DataFile, TableTotals } from "./api.ts";

/** What a shard's log says of a day: the head when it was asked, and what it is owed since. */
export interface ShardMark {
  readonly shard: number;
  /** The newest seq then. Who has passed it has all that the log had committed by then. */
  readonly head: number;
  /** Numbers of messages that became known to be missing from the day's begin until it was due to be frozen, and still are. */
  readonly gaps: number;
  /** Segments that may hold events received on the day, both seqs inclusive; null: none. */
  readonly range: { readonly from: number; readonly to: number } | null;
}

export interface CutMissing {
  readonly what: "gap" | "hole" | "in_flight" | "day_not_over";
  /** Absent where it concerns all. */
  readonly shard?: number;
  /** Messages owed, lines left out, segments not yet in the lake. */
  readonly count: number;
  /** Of a hole: its segment. */
  readonly seq?: number;
}

/** One value of a dimension in two versions of a day; a value that a full tally no longer tells apart is in `(other)`. */
export interface ValueDifference {
  readonly value: string;
  readonly before: number;
  readonly after: number;
  /** The same number of rows, and not the same rows. */
  readonly other_rows?: true;
}

export interface CutDiff {
  /** The version that it is against. */
  readonly against: string;
  readonly rows: { readonly before: number; readonly after: number };
  readonly quarantine: { readonly before: number; readonly after: number };
  /** Rows came or went, by their keys, or changed their event name, country or source. */
  readonly keys_changed: boolean;
  /** Any row came, went or differs, in whatever column; alone: in columns of no key. */
  readonly contents_changed: boolean;
  /** Those that differ, the largest difference first, at most `CUT.differences` of each. */
  readonly event_name: readonly ValueDifference[];
  readonly country: readonly ValueDifference[];
  readonly source: readonly ValueDifference[];
}

/** The day's counts in the cut against those of the rollups. */
export interface CutComparison {
  /** Milliseconds. */
  readonly at: number;
  readonly agrees: boolean;
  /** What the two were not asked for, and why: rows of the day that expired, a tally that could not be made. */
  readonly note?: string;
  readonly events: { readonly cut: number; readonly rollups: number };
  /** Those that differ, at most `CUT.differences` of each. Rollups know no source. */
  readonly event_name: readonly { readonly value: string; readonly cut: number; readonly rollups: number }[];
  readonly country: readonly { readonly value: string; readonly cut: number; readonly rollups: number }[];
  /** By shard how far beyond the cut's cursor the rollups were: what they counted there may be of the day. */
  readonly beyond: Readonly<Record<number, number>>;
}

export interface Cut {
  readonly name: string;
  readonly version: number;
  /** `YYYY-MM-DD`; null for a cut that was named by hand. */
  readonly day: string | null;
  readonly state: "complete" | "partial";
  readonly missing: readonly CutMissing[];
  /** The snapshot that it was frozen at. */
  readonly seq: number;
  /** Rows have a time (event_time, in quarantine received_at) before this, microseconds; null: all rows. */
  readonly through: number | null;
  /** Milliseconds. */
  readonly frozenAt: number;
  /** The lake's cursors then. */
  readonly cursors: Readonly<Record<number, number>>;
  /** Of the snapshot: files, bytes and rows, later days included. */
  readonly tables: Readonly<Record<TableName, TableTotals>>;
  /** The day's compaction: files that the cut named, and those that it names instead of them. */
  readonly swapped: { readonly out: readonly number[]; readonly in: readonly number[] };
  /** Against the version before; null for the first. */
  readonly diff: CutDiff | null;
  readonly comparison: CutComparison | null;
  /** Rows of it that have expired with the lake's. */
  readonly expiredRows: number;
  /** What is still to be done in the background; `done` when nothing is. */
  readonly phase: CutPhase;
}

export type CutPhase = "mark" | "freeze" | "diff" | "compact" | "tally" | "compare" | "done";

/** When and how cuts are made: from the Worker's variables (queues/maintenance/history-settings.ts). Milliseconds. */
export interface CutSettings {
  /** A day is frozen from so long after its midnight. */
  readonly delayMs: number;
  /** So long after midnight a day that is not complete is published as partial. */
  readonly waitMs: number;
  /** Two versions of a day are so long apart at least, unless the first was partial and the second is complete. */
  readonly versionEveryMs: number;
}

/** A day, or a version of one, that waits for `mark`, `freeze` or more. */
export interface OpenCut {
  readonly name: string;
  readonly version: number;
  readonly day: string;
  readonly phase: CutPhase;
  /** Microseconds, half open. */
  readonly from: number;
  readonly through: number;
  /** Of `freeze` and later: when the logs were asked, milliseconds, and their heads. */
  readonly markedAt: number;
  readonly heads: Readonly<Record<number, number>>;
  /** The lake's cursors when it was frozen. */
  readonly cursors: Readonly<Record<number, number>>;
  /** Failures in a row of the phase that it is in. */
  readonly attempts: number;
}

export type CutWork =
  /** Ask every log where it stands. */
  | { readonly kind: "mark"; readonly cut: OpenCut }
  /** Ask again what they are owed, and freeze. */
  | { readonly kind: "freeze"; readonly cut: OpenCut }
  /** Make fewer files of these, which are live and in the cut, and no others. */
  | { readonly kind: "compact"; readonly cut: OpenCut; readonly work: CompactionWork }
  /** Add the day's rows of these files to the tally, or take them off; then `tallied`. */
  | { readonly kind: "tally"; readonly cut: OpenCut; readonly step: TallyStep }
  | { readonly kind: "compare"; readonly cut: OpenCut; readonly tally: DayTally | null; readonly note?: string };

export interface TallyStep {
  /** Dense from 0: `tallied` takes the next one only. */
  readonly number: number;
  /** What the steps before it have come to. */
  readonly tally: DayTally;
  readonly file: DataFile;
  readonly sign: 1 | -1;
  /** Whether rows count with all their columns. */
  readonly contents: boolean;
}

export type FreezeAnswer =
  | { readonly kind: "frozen"; readonly cut: string }
  /** Not yet: shards whose cursor has not passed the mark, or what is missing; it is looked at again later. */
  | { readonly kind: "waiting"; readonly missing: readonly CutMissing[] }
  /** The day has not changed, or not for long enough: there is no new version. */
  | { readonly kind: "dropped" };

export interface LakeCutsApi {
  /** What is to be done next for cuts, null where nothing is at this time. Safe to ask twice; every answer to it can be repeated. */
  cutWork(settings: CutSettings, nowMs: number): Promise<CutWork | null>;
  /** The logs' heads after the day's midnight. The first answer stands. */
  markCut(name: string, version: number, marks: readonly ShardMark[], nowMs: number): Promise<void>;
  freezeCut(
    name: string,
    version: number,
    marks: readonly ShardMark[],
    settings: CutSettings,
    nowMs: number,
  ): Promise<FreezeAnswer>;
  /**
   * Files of it have been merged (`made`), could not be this time (`failed`: some attempts later they stay as they are), or
   * will not be (`nothing`): then this partition's stay as they are (`partitionKey`).
   */
  cutCompacted(
    name: string,
    version: number,
    partition: string,
    outcome: "made" | "failed" | "nothing",
    nowMs: number,
  ): Promise<void>;
  /** @returns false where the step is not the next one: another has done it. */
  tallied(name: string, version: number, step: number, tally: DayTally, nowMs: number): Promise<boolean>;
  /** The file of the step cannot be read: the tally is given up after some attempts. */
  tallyFailed(name: string, version: number, cause: string, nowMs: number): Promise<void>;
  /** The rollups have not come so far yet: asked again later. */
  compareLater(name: string, version: number, nowMs: number): Promise<void>;
  compared(name: string, version: number, comparison: CutComparison, nowMs: number): Promise<void>;
  /**
   * A day to be frozen at once, whatever is missing (`day`), or a cut of everything there is, by a name of its own.
   * @returns null for a name that is taken; a day has a next version.
   */
  requestCut(
    request: { readonly day: string } | { readonly name: string },
    nowMs: number,
  ): Promise<Cut | OpenCut | null>;
  /** Newest first by name, then version; at most `limit`. @param before only those that come after this one, `name.vN`. */
  cuts(limit: number, before?: string): Promise<Cut[]>;
  /** By its name, with or without a version: the newest; null where there is none. */
  cut(name: string): Promise<Cut | null>;
  /**
   * The files that it names now, by id: fewer and larger ones take the place of others over time, with the same rows.
   * Files whose rows all lie beyond `through` are not among them. `next` is what to give as `afterId`.
   * @throws RangeError for a cut that there is not.
   */
  cutFiles(name: string, afterId?: number): Promise<{ cut: Cut; files: DataFile[]; next: number | null }>;
}
