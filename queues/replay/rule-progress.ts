/** What a job with rules remembers between slices. */
import type { Settled } from "../../durable-objects/replay-desk/api.ts";
import type { HourRange } from "./hour-ranges.ts";
import { FRESH, type SinkProgress } from "./progress.ts";
import type { ReadState } from "./reads.ts";
import type { Uncorrected } from "./uncorrected.ts";

/** One rule of the job: a correction has one, a settlement one for each lot of places. */
export interface Draft {
  /** Idempotency key of its version. */
  readonly key: string;
  /** The object with its filter, where that is large; else the job's own. */
  readonly object: string | null;
}

export interface RuleProgress {
  readonly stage: "raise" | "wait" | "lake" | "gap" | "timelines" | "rollups" | "record" | "recorded";
  readonly drafts: readonly Draft[];
  readonly versions: readonly number[];
  /** By shard: the last rule's place. These are the shards that have rows from before it, so all that the job looks at. */
  readonly places: readonly number[];
  /** As of before the first rule. */
  readonly lakeBefore: { readonly snapshot: number; readonly cursors: Readonly<Record<number, number>> } | null;
  readonly snapshot: number | null;
  /** Milliseconds: when it first waited for a sink. */
  readonly waitsSince?: number;
  readonly gap: readonly ReadState[] | null;
  /** Segments that lake and timelines have left out, and rollups may have. Absent: none. */
  readonly apart?: readonly ReadState[];
  readonly pairs: {
    /** The last page that was amended, and pairs of the next one. */
    readonly page: string | null;
    readonly offset: number;
    readonly lake: number;
    readonly added: number;
    readonly replaced: number;
    readonly removed: number;
    readonly beyondReach: number;
  };
  readonly hours: readonly HourRange[];
  readonly window: {
    readonly n: number;
    readonly build: SinkProgress;
    /** Shards in which it cannot be built: they keep what they have. */
    readonly without?: readonly number[];
    /** How often it was begun: targets remember the names of builds that were let go. Absent: once. */
    readonly attempt?: number;
  };
  /** Absent: everything could be read. */
  readonly uncorrected?: Uncorrected;
  readonly settled: readonly Settled[];
}

export const beginRules = (drafts: readonly Draft[], settled: readonly Settled[] = []): RuleProgress => ({
  stage: "raise",
  drafts,
  versions: [],
  places: [],
  lakeBefore: null,
  snapshot: null,
  gap: null,
  pairs: { page: null, offset: 0, lake: 0, added: 0, replaced: 0, removed: 0, beyondReach: 0 },
  hours: [],
  window: { n: 0, build: FRESH },
  settled,
});
