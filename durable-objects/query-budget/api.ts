/** What a token has used of the SQL endpoint: one object per token. */

export interface BudgetAnswer {
  readonly allowed: boolean;
  /** Which bound was met, where it was. */
  readonly bound: "statements" | "bytes" | null;
  /** Seconds until a statement may be tried again; 0 where it may now. */
  readonly retry_after_s: number;
}

/** Over itty-durable: each call is a request, its arguments JSON in a header, its answer JSON. */
export interface QueryBudgetApi {
  /** Counts one statement, unless a bound is met. */
  begin(nowMs: number): Promise<BudgetAnswer>;
  /** Adds what the statement read. */
  spend(nowMs: number, bytes: number): Promise<BudgetAnswer>;
}

/**
 * The object's name. Not the bare hash: itty-durable takes 64 hexadecimal digits for the id of an object and would ask
 * for one that does not exist.
 */
export const budgetName = (tokenSha256: string): string => `token:${tokenSha256}`;
