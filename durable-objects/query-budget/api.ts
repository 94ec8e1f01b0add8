/** What a token has used of the SQL endpoint, and which of its statements are under way: one object per token. */

export interface BudgetAnswer {
  readonly allowed: boolean;
  /** Which bound was met, where it was. */
  readonly bound: "statements" | "bytes" | "at_once" | "id" | null;
  /** Seconds until a statement may be tried again; 0 where it may now. */
  readonly retry_after_s: number;
}

/** How a statement ended. */
export type StatementOutcome = "done" | "failed" | "cancelled";

/** A statement that is under way, or ended a short while ago. */
export interface StatementRecord {
  readonly id: string;
  /** An engine knows whether one that runs still waits. */
  readonly state: "running" | StatementOutcome;
  readonly started_ms: number;
  /** Absent while it runs. */
  readonly ended_ms?: number;
  readonly bytes_read: number;
  readonly bytes_planned: number;
}

export interface StatementEnd {
  readonly state: StatementOutcome;
  readonly bytes_read: number;
  readonly bytes_planned: number;
}

/** Over itty-durable: each call is a request, its arguments JSON in a header, its answer JSON. */
export interface QueryBudgetApi {
  /**
   * Counts one statement, unless a bound is met.
   * @param id holds a place among the statements under way until `end`; null for one that is over already.
   */
  begin(nowMs: number, id: string | null): Promise<BudgetAnswer>;
  /** Gives the place back, and adds what the statement read. */
  end(nowMs: number, id: string, end: StatementEnd): Promise<BudgetAnswer>;
  find(nowMs: number, id: string): Promise<{ readonly statement: StatementRecord | null }>;
}

/**
 * The object's name. Not the bare hash: itty-durable takes 64 hexadecimal digits for the id of an object and would ask
 * for one that does not exist.
 */
export const budgetName = (tokenSha256: string): string => `token:${tokenSha256}`;
