/** Why a statement is not run. `reason` is stable; the rest is for people. */
export interface Refusal {
  readonly reason:
    | "empty_statement"
    | "statement_too_large"
    | "statement_too_complex"
    | "several_statements"
    | "not_a_select"
    | "unsupported_syntax"
    | "table_not_allowed"
    | "table_function_not_allowed"
    | "function_not_allowed"
    | "sql_error";
  readonly detail: string;
}

/** Thrown inside the planner, which is a deep walk; it leaves the planner as a value. */
export class Refused extends Error {
  readonly refusal: Refusal;
  constructor(reason: Refusal["reason"], detail: string) {
    super(detail);
    this.refusal = { reason, detail };
  }
}
