/** What the jobs with rules are handed, beside what replays are. */
import type {
  EventLogApi,
  EventLogAuditApi,
  EventLogPlacesApi,
  EventLogRulesApi,
} from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { SinkName } from "../../durable-objects/sink-cursor/api.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import type { RuleAt, RuleFilter } from "../../r2-layout/rule.ts";
import type { ErasureParts } from "../erasure/erasure-job.ts";
import type { RulePeople } from "../lake/rewrite.ts";
import type { TilesParts } from "../rollups/tiles-job.ts";
import type { CallBudget } from "../sink.ts";
import type { JobBucket } from "./job-store.ts";
import type { ReplayParts } from "./parts.ts";
import type { RowSource } from "./source.ts";
import type { ReplayTarget } from "./target.ts";

/** A row that a rule changes: as a store may have it, and as it is to be; null where it goes. */
export interface ChangedRow {
  readonly before: EventRow;
  readonly after: EventRow | null;
}

export interface LakeCorrection {
  readonly job: string;
  readonly version: number;
  /** Of every shard, all rules up to the version. */
  readonly rules: ReadonlyMap<number, readonly RuleAt[]>;
  readonly people?: RulePeople;
}

export interface RuleParts extends ReplayParts {
  /** Splits of shards that this Worker knows of. */
  readonly epoch: number;
  readonly bucket: JobBucket;
  readonly logs: ObjectNamespace<
    Pick<EventLogApi, "segments" | "status"> &
      EventLogRulesApi &
      Pick<EventLogAuditApi, "idsOf" | "ownedAt"> &
      Pick<EventLogPlacesApi, "republishedAfter">
  >;
  /** Rows of a window by way of the lake, which finds them by their time. */
  readonly lakeSource: RowSource;
  /** Rows of the log as they are without this rule and later ones. */
  sourceBelow(version: number): RowSource;
  lake(): Promise<{ readonly snapshot: number; readonly cursors: Readonly<Record<number, number>> }>;
  /** By sink and shard: the last seq applied. */
  cursors(shards: number): Promise<Readonly<Record<SinkName, readonly number[]>>>;
  /** From now on the stores refuse what knows only older rules. */
  fence(version: number, filter: RuleFilter): Promise<void>;
  /** Rewrites the files concerned, without a swap. Again until it is done; pages come again under the same name. */
  correctLake(
    correction: LakeCorrection,
    onPage: (page: { file: number; page: number; rows: readonly ChangedRow[] }) => Promise<void>,
    untilMs: number,
  ): Promise<"done" | "more">;
  /** All of it in one commit, the old let go. @returns its snapshot, or null where something moved: correct once more. */
  swapLake(correction: LakeCorrection): Promise<{ readonly snapshot: number } | null>;
  /** Builds windows of rollups anew in these shards, so that their change records say "correction". */
  correctedRollups(shards: readonly number[]): ReplayTarget;
  readonly tiles: TilesParts;
  /** Of erasures: made only for one. */
  erasure(): ErasureParts;
  /** The rules of these versions have come to the end of the rollups of every shard. */
  settleRollups(first: number, last: number): Promise<void>;
  /** They could not reach these hours of a shard's rollups (milliseconds, half open), which stay as they are. */
  doubtRollups(shard: number, from: number, to: number): Promise<void>;
  /** Rows in timelines. "more": the invocation's calls are used up, nothing was done. */
  amend(pairs: readonly ChangedRow[], rules: number, calls: CallBudget): Promise<Amended | "more">;
}

export interface Amended {
  readonly added: number;
  readonly replaced: number;
  readonly removed: number;
  readonly beyondReach: number;
}
