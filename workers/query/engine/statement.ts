/** A planned statement on its way to an engine, and what the engine counts while it runs. */
import type { PlannedFile, PlannedScan } from "../../../durable-objects/lake-catalog/api.ts";
import type { TableName } from "../../../r2-layout/event-columns.ts";
import type { PromotedColumn } from "../../../r2-layout/promoted-columns.ts";
import type { Sight } from "../../sight.ts";
import type { Estimate } from "../estimate/estimate.ts";
import type { Alternatives } from "../estimate/refusal.ts";
import type { ResultFormat } from "../results/encode.ts";

export interface EngineStatement {
  /** Names this run, so that it can be cancelled. */
  readonly id: string;
  /** The hash of whose token it is: engines are shared fairly among tokens. */
  readonly token: string;
  readonly sql: string;
  readonly format: ResultFormat;
  /** Rows at most; absent: as many as there are. */
  readonly limit?: number;
  /** What the answer depends on (cache/fingerprint.ts); absent: it may be another each time. */
  readonly key?: string;
  /** What is asked, whenever it is asked. */
  readonly question?: string;
  /** Answer with the plan instead of running it. */
  readonly explain: boolean;
  /** Milliseconds, when the request came. */
  readonly startedAt: number;
  readonly timeoutMs: number;
  readonly snapshot: number;
  /** The cut that is asked, with its version; absent: the snapshot as it is. */
  readonly cut?: string;
  readonly tables: readonly EngineTable[];
  /** What a cold run would read at most, as the catalog foretold. */
  readonly estimate?: Estimate;
  /** What a refusal for its size would offer. */
  readonly alternatives?: Alternatives;
}

export interface EngineTable {
  /** Files of the table that were left out, by what. */
  readonly pruned?: PlannedScan["pruned"];
  readonly table: TableName;
  readonly files: readonly PlannedFile[];
  /** Files and bytes of the whole table at that snapshot. */
  readonly tableFiles: number;
  readonly tableBytes: number;
  /** Promoted columns that the table had at the snapshot; absent: none. */
  readonly promoted?: readonly PromotedColumn[];
  /** Columns that the statement may read; null for all. */
  readonly columns: readonly string[] | null;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly eventNames?: readonly string[] | undefined;
  /** For a column, the only values that pass. */
  readonly equals?: Readonly<Record<string, readonly (string | number)[]>>;
  /** Rows whose time is at or after it are not the cut's, microseconds; absent: all are. */
  readonly before?: number;
  /** What the asker sees of the rows; absent: all. */
  readonly sight?: Sight;
}

export interface StatementStats {
  /** From the request's coming to the result's last row; of that, the engine's share, and waiting for its turn. */
  elapsed_ms: number;
  engine_ms: number;
  wait_ms: number;
  /** Starting the engine, where it had to be. */
  boot_ms: number;
  /** Whether the engine was started, or a byte was read, for this statement. */
  cold: boolean;
  /** So far, where the answer is sent while it is made. */
  rows: number;
  /** Where the rows come from. */
  route: "engine" | "cache" | "rollups" | "distributed";
  /** Of a cached answer: how long ago it was made. */
  age_ms?: number;
  /** Another asker of the same answer had it made; its cost is there. */
  shared?: true;
  /** There are more rows than the question wanted. */
  truncated?: true;
  /** The answer is sent while it is made: these are the figures of its beginning. */
  streamed?: true;
  snapshot: number;
  /** Absent where no cut was asked. */
  cut?: string;
  files: number;
  table_files: number;
  bytes_read: number;
  bytes_needed: number;
  requests: number;
  waves: number;
  fallback_reads: number;
  heap_bytes: number;
  page_bytes: number;
  /** By list prices: reads, requests, the engine's time. */
  dollars: number;
}

/** How far a statement has come. Over means that no engine knows it any more. */
export interface StatementProgress {
  readonly id: string;
  /** Waiting for its turn at the engine, or past that. */
  readonly state: "queued" | "running";
  /** Footers and column chunks that it needs, whether in memory or not; 0 until its footers are read. */
  readonly bytes_planned: number;
  /** From R2, so far. Alignment may take it beyond what was planned, memory may keep it below. */
  readonly bytes_read: number;
  /** Of what was planned, what DuckDB has taken so far, from memory or not: the figure for a bar. */
  readonly bytes_scanned: number;
  /** Of the result, so far. */
  readonly rows: number;
  readonly elapsed_ms: number;
}

/** A question for which an answer of a moment ago will do. */
export interface RecentQuestion {
  readonly question: string;
  /** Milliseconds: no older a plan than that. */
  readonly since: number;
  readonly startedAt: number;
}

export interface QueryEngineApi {
  /** The answer that is kept to such a question; null where there is none. */
  recall(asked: RecentQuestion): Promise<Response | null>;
  /** The answer as it goes to the client, a problem document included. */
  run(statement: EngineStatement): Promise<Response>;
  /**
   * The final figures of a statement whose answer said `streamed`, once it is over; null where it broke off. Of others, and
   * of one that was over long ago, null.
   */
  settled(id: string): Promise<StatementStats | null>;
  /** Of a statement that runs or waits here; null for any other. */
  progress(id: string): Promise<StatementProgress | null>;
  /** Ends a statement that runs or waits; nothing where it is over. */
  cancel(id: string): Promise<void>;
  status(): Promise<EngineStatus>;
  /** Throws the isolate's instance away, and every page and footer in memory; the next statement starts cold. */
  reset(): Promise<void>;
}

export interface EngineStatus {
  /** Statements of this object that run or wait. */
  readonly statements: number;
  /** Of its isolate: instances started so far, the current one's heap, pages in memory. */
  readonly boots: number;
  /** Statements of its isolate that ran in a pause of another. */
  readonly guests: number;
  /** How often statements of its isolate came by where they can be interrupted. */
  readonly ticks: number;
  readonly heap_bytes: number;
  readonly page_bytes: number;
}
