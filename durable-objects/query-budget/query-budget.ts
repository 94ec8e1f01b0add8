/**
 * One token's budget of SQL: a handful of numbers and names with one owner, which is what itty-durable is for. Its state is
 * one stored value, written after each call; its calls travel in a request's header. Losing the last call's count in a
 * crash costs nothing that matters.
 */
import { createDurable } from "itty-durable";
import type { BudgetAnswer, StatementEnd, StatementRecord } from "./api.ts";
import { current, ended, find, isInUse, type Statements, started, underWay } from "./statements.ts";
import { ALLOWED, admit, NO_USAGE, refuse, spend, type Usage } from "./usage.ts";

/** What itty-durable makes of a class, as far as it is used here; its own types say `any`. */
type IttyDurable = new (state: DurableObjectState, env: unknown) => { fetch(request: Request): Promise<Response> };

const Durable = createDurable({ autoPersist: true }) as unknown as IttyDurable;

export class QueryBudget extends Durable {
  /** Persisted by itty-durable, as every property but `state` is. */
  usage: Usage;
  statements: Statements;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env);
    this.usage = NO_USAGE;
    this.statements = [];
  }

  begin(nowMs: number, id: string | null): BudgetAnswer {
    this.statements = current(this.statements, nowMs);
    if (id !== null && isInUse(this.statements, id)) return refuse("id", 1);
    const { usage, answer } = admit(this.usage, underWay(this.statements), nowMs);
    this.usage = usage;
    if (answer.allowed && id !== null) this.statements = started(this.statements, id, nowMs);
    return answer;
  }

  end(nowMs: number, id: string, end: StatementEnd): BudgetAnswer {
    this.statements = ended(current(this.statements, nowMs), id, end, nowMs);
    this.usage = spend(this.usage, nowMs, end.bytes_read);
    return ALLOWED;
  }

  find(nowMs: number, id: string): { statement: StatementRecord | null } {
    this.statements = current(this.statements, nowMs);
    return { statement: find(this.statements, id) };
  }
}
