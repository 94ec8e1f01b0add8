/**
 * One token's budget of SQL: a handful of numbers with one owner, which is what itty-durable is for. Its state is one
 * stored value, written after each call; its calls travel in a request's header. Losing the last call's count in a
 * crash costs nothing that matters.
 */
import { createDurable } from "itty-durable";
import type { BudgetAnswer } from "./api.ts";
import { begin, NO_USAGE, spend, type Usage } from "./usage.ts";

/** What itty-durable makes of a class, as far as it is used here; its own types say `any`. */
type IttyDurable = new (state: DurableObjectState, env: unknown) => { fetch(request: Request): Promise<Response> };

const Durable = createDurable({ autoPersist: true }) as unknown as IttyDurable;

export class QueryBudget extends Durable {
  /** Persisted by itty-durable, as every property but `state` is. */
  usage: Usage;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env);
    this.usage = NO_USAGE;
  }

  begin(nowMs: number): BudgetAnswer {
    const { usage, answer } = begin(this.usage, nowMs);
    this.usage = usage;
    return answer;
  }

  spend(nowMs: number, bytes: number): BudgetAnswer {
    const { usage, answer } = spend(this.usage, nowMs, bytes);
    this.usage = usage;
    return answer;
  }
}
