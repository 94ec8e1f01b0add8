/**
 * A sink's position in one shard of the log. Sessions and rollups keep theirs in a SinkCursor object named
 * `<sink>:<shard>`; the lake keeps its own in the LakeCatalog, where it moves in the same transaction as the files.
 */
export type { SinkName } from "../../r2-layout/sinks.ts";
export { SINKS } from "../../r2-layout/sinks.ts";

export interface Lease {
  /** The last seq applied. */
  readonly cursor: number;
  /** Fencing token: rises with every lease, and a move with an older one is refused. */
  readonly token: number;
  /** Which build of the store is live; absent: 0, the first. */
  readonly generation?: number;
  /** Holes that were decided past the cursor: their lines are left out, whether they can be read now or not. */
  readonly holes?: readonly Hole[];
}

/** Cumulative counts of events that passed under the cursor. */
export interface AppliedCounts {
  readonly events: number;
  readonly quarantined: number;
  /** Beside these: lines that were left out because they come, or came, as a redrive. */
  readonly skipped?: { readonly events: number; readonly quarantined: number };
  /** Of `events`: those that a rule retracted on the way. */
  readonly retracted?: number;
}

export type Moved =
  | { readonly moved: true; readonly cursor: number }
  | { readonly moved: false; readonly cursor: number };

export interface CursorStatus {
  readonly cursor: number;
  readonly applied: AppliedCounts;
  /** Milliseconds of the last move. */
  readonly moved_at: number;
  /** What the cursor has moved over without applying it; absent where there is none. */
  readonly holes?: HoleCounts;
  /** Of the applied: events that a rule had retracted when they passed, as far as it was counted. */
  readonly retracted?: number;
  /** The newest fencing token; absent where it was never leased. */
  readonly token?: number;
  /** Which build of the store it feeds; absent: 0, the first. */
  readonly generation?: number;
  /** Where other generations stood when they were left; absent: there are none. */
  readonly left?: readonly GenerationPlace[];
}

/** Cumulative: a hole that came back as a redrive still counts here, and its redrive in the log's counts. */
export interface HoleCounts {
  readonly events: number;
  readonly quarantined: number;
  /** Holes, not events, that have not come back. */
  readonly open: number;
}

export interface SinkCursorApi extends HolesApi {
  /** Null while another owner's lease runs. The same owner may renew. */
  lease(owner: string, ttlMs: number): Promise<Lease | null>;
  /** Compare-and-set: moves from `from` to `to` only for the newest token and if the cursor is `from`. */
  advance(token: number, from: number, to: number, applied: AppliedCounts): Promise<Moved>;
  release(token: number): Promise<void>;
  status(): Promise<CursorStatus>;
}

/**
 * What a sink could not apply and moves over: decided before the step that leaves it out is applied, and counted from
 * when the cursor has passed it (hole-table.ts has the interleavings). It comes back only as a new segment of the log
 * (`Redrive`); then it is closed.
 */
export interface Hole {
  readonly seq: number;
  /** Lines of the segment, from 0. */
  readonly lines: readonly number[] | "all";
  /** How many lines the segment has. */
  readonly of: number;
  /** Of the lines left out. */
  readonly events: number;
  readonly quarantined: number;
  /** Short and stable: `segment_missing`, `segment_damaged`, `line_damaged`, `step_refused`. */
  readonly cause: string;
  readonly detail: string;
  /** The segment's object. */
  readonly key: string;
}

export interface RecordedHole extends Hole {
  readonly shard: number;
  /** Milliseconds. */
  readonly at: number;
  readonly attempts: number;
  /** The seq of the redrive that brought it back, null while it is open. */
  readonly redrivenAs: number | null;
}

/** How often the place right after a cursor has failed. */
export interface Failures {
  /** This one included; 0 where the lease was lost, and nothing was counted. */
  readonly attempts: number;
  /** Milliseconds since the first of them. */
  readonly sinceMs: number;
  /** Segments right before this one of which most became a hole, although their objects were there. */
  readonly inARow: number;
  /** The newest hole of the shard. */
  readonly last?: { readonly seq: number; readonly cause: string; readonly ageMs: number };
}

/** In the order of an answer: newest first, within a millisecond the highest seq. */
export interface HolePlace {
  /** When it was decided, milliseconds. */
  readonly at: number;
  readonly seq: number;
}

export interface HolesRequest {
  /** Only those decided at or before this time, milliseconds. */
  readonly until?: number;
  /** Only those that come after this one in the order of an answer. */
  readonly before?: HolePlace;
  /** Only this one. */
  readonly seq?: number;
  /** Only those that have not come back. */
  readonly open?: boolean;
  /** QUARANTINE.holesPerAnswer at most, and unless it says less. */
  readonly limit?: number;
}

/** Holes beside a cursor: the SinkCursor's and the LakeCatalog's, which keeps its own cursors. */
export interface HolesApi {
  /** Counts a failure of the step right after the cursor, and forgets those of other places. */
  failed(shard: number, token: number, seq: number, cause: string): Promise<Failures>;
  /**
   * Decides that lines of the segment right after the cursor, which is `from`, are left out; fenced as `advance`. A
   * second one for the same segment takes the place of the first. @returns false where it is refused.
   */
  decide(shard: number, token: number, from: number, hole: Hole): Promise<boolean>;
  /** Those that the cursor has passed, newest first. */
  holes(shard: number, request?: HolesRequest): Promise<RecordedHole[]>;
  /** Closes a hole: its events come as segment `seq`. Safe to repeat: the first seq stays. */
  close(shard: number, hole: number, seq: number): Promise<void>;
}

/** Builds of a store side by side: live drains feed one generation, and a swap sends them to another. */
export interface GenerationsApi {
  /**
   * Live drains go on in this generation from this seq, in one transaction; leases given out before are fenced off.
   * @param met lines that the log has for this sink up to `cursor` (`EventLog.count(0, cursor, sink)`); not needed where the
   * generation was left at this cursor, or the cursor stays where it is
   * @param move that of the build's state in which this is done (`Build.move`), absent where a Worker of before does it
   * @returns where the generation that was live stood. Safe to repeat: a switch to the live generation moves nothing.
   * @throws RangeError where `met` is needed and absent; where a switch of a later `move` was here; or (its message begins with
   * `holes:`) where lines were left out below the cursor since the generation was left there
   */
  switchTo(generation: number, cursor: number, met?: AppliedCounts, move?: number): Promise<GenerationPlace>;
}

export interface GenerationPlace {
  readonly generation: number;
  readonly cursor: number;
}

export type BuildState =
  | "building"
  /** Some cursors may feed it already; readers do not see it. */
  | "swapping"
  /** Readers see it; the one before is kept. */
  | "swapped"
  /** Some cursors may feed the one before again; readers still see this one. */
  | "reverting"
  | "reverted"
  | "confirmed"
  /** Some cursors may feed the one before again, and readers have never seen this one. */
  | "discarding"
  | "discarded"
  /** Neither back nor let go: all cursors are to feed it. */
  | "keeping";

export interface Build {
  readonly job: string;
  /** 0: none of its own, it changes the live one in place. */
  readonly generation: number;
  /** The one that was live when it began. */
  readonly previous: number;
  readonly state: BuildState;
  /** Milliseconds: since when it is in this state. */
  readonly at: number;
  /** The job's own. */
  readonly note: string;
  /** The number of the change that led to this state, among those of all builds of the sink. */
  readonly move: number;
}

/** What a cursor is to feed, as of the newest change. */
export type FedBuild = Pick<Build, "generation" | "move">;

/** What the SinkCursor that is named by its sink alone keeps for all shards: the builds of the store. */
export interface BuildsApi {
  /** The generation that readers are to see. */
  liveGeneration(): Promise<number>;
  /**
   * The generation that a cursor is to feed which has never moved: the one of a shard that a split has made.
   * @param shard is remembered, so that whoever moves the cursors to another generation moves this one, too
   */
  fed(shard?: number): Promise<FedBuild>;
  /** The same for Workers of before. */
  fedGeneration(shard?: number): Promise<number>;
  /** The highest number that a build was ever given: objects of generations up to it may be there. */
  newestGeneration(): Promise<number>;
  /** All shards that have asked `fed` are below this number. */
  shardsFed(): Promise<number>;
  build(job: string): Promise<Build | null>;
  /** Safe to repeat: a job has one build. `inPlace`: it gets no generation of its own. */
  beginBuild(job: string, note: string, inPlace?: boolean): Promise<Build>;
  /** Safe to repeat. @throws RangeError where the build's state does not lead to this one. */
  moveBuild(job: string, state: BuildState): Promise<Build>;
}
