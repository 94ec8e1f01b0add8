/** A token's statements are counted, and each that is under way holds one of the token's places until it has ended. */
import {
  type BudgetAnswer,
  budgetName,
  type QueryBudgetApi,
  type StatementOutcome,
} from "../../../durable-objects/query-budget/api.ts";
import { SQL } from "../../../r2-layout/limits.ts";
import { err, ok, type Result } from "../../../r2-layout/result.ts";
import type { StatementStats } from "../engine/statement.ts";
import type { QueryProblem } from "../problem.ts";
import { engineId } from "./engine-id.ts";

export interface Budgets {
  /** The budget of a token, by `budgetName`. */
  readonly budget: (name: string) => QueryBudgetApi;
  /** Keeps work going after the answer. */
  readonly later: (work: Promise<unknown>) => void;
}

export interface Candidate {
  /** The token's hash. */
  readonly token: string;
  /** Chosen by the client; absent: one is made. */
  readonly id?: string | undefined;
  /** Whether it is over already, for it will not be run: it counts, and holds no place. */
  readonly over: boolean;
  /** Fires when the client has gone; the invocation may be cut off after that. */
  readonly signal: AbortSignal;
}

export interface Admitted {
  /** The statement's name for its client, and for engines, which serve all tokens. */
  readonly id: string;
  readonly engineId: string;
  /**
   * Gives the place back and charges what was read. To be called once, with the answer as the client gets it.
   * @param settled the final figures of an answer that is sent while it is made, once it is over; null where it broke off.
   */
  end(answer: Response, settled?: () => Promise<StatementStats | null>): Response;
}

/** Counts one statement of the token. @returns why it may not run now, where it may not. */
export async function admit(
  { budget, later }: Budgets,
  { token, id = crypto.randomUUID(), over, signal }: Candidate,
  nowMs: number,
): Promise<Result<Admitted, QueryProblem>> {
  const owner = budget(budgetName(token));
  const answer = await owner.begin(nowMs, over ? null : id);
  if (!answer.allowed) return err(refusal(answer, id));
  const gone = () => later(owner.end(Date.now(), id, { state: "cancelled", bytes_read: 0, bytes_planned: 0 }));
  if (!over) signal.addEventListener("abort", gone);
  return ok({
    id,
    engineId: engineId(token, id),
    end(response, settled) {
      if (over) return response;
      signal.removeEventListener("abort", gone);
      const begun = statsOf(response);
      const ended = async () => {
        const stats = begun?.streamed && settled ? await settled().catch(() => null) : begun;
        const state = begun && !stats ? "failed" : outcomeOf(response);
        const { bytes_read = 0, bytes_needed = 0 } = stats ?? begun ?? {};
        return owner.end(Date.now(), id, { state, bytes_read, bytes_planned: bytes_needed });
      };
      later(ended());
      response.headers.set(STATEMENT_HEADER, id);
      return response;
    },
  });
}

/** Names the statement, so that its client can ask after it by the name. */
export const STATEMENT_HEADER = "x-eventpile-statement";

function refusal({ bound, retry_after_s }: BudgetAnswer, id: string): QueryProblem {
  if (bound === "id") return { reason: "statement_id_in_use", detail: `${id} is still under way`, retry_after_s };
  const [detail, limit] = {
    bytes: ["bytes read today", SQL.bytesPerDay] as const,
    statements: ["statements in the last minute", SQL.statementsPerMinute] as const,
    at_once: ["statements at once", SQL.statementsAtOnce] as const,
  }[bound ?? "statements"];
  return { reason: "budget_exceeded", detail, limit, retry_after_s };
}

const CANCELLED = 499;

const outcomeOf = ({ ok, status }: Response): StatementOutcome =>
  ok ? "done" : status === CANCELLED ? "cancelled" : "failed";

function statsOf({ headers }: Response): StatementStats | null {
  const stats = headers.get("x-eventpile-stats");
  return stats === null ? null : (JSON.parse(stats) as StatementStats);
}
