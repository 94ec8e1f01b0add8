/** The plan of a statement, asked for when somebody looks at it. */
import { useEffect, useState } from "preact/hooks";
import { type Problem, UNREACHABLE } from "../../shell/problem.ts";
import { type Explained, explainStatement, type Question } from "../statement.ts";

export type PlanAsked =
  | { readonly state: "asking" }
  | { readonly state: "known"; readonly explained: Explained }
  | { readonly state: "failed"; readonly problem: Problem };

/** @param question null: nobody looks. */
export function usePlan(question: Question | null): PlanAsked {
  const [plan, setPlan] = useState<PlanAsked>({ state: "asking" });
  const asked = question === null ? null : JSON.stringify(question);
  useEffect(() => {
    if (asked === null) return;
    const leaving = new AbortController();
    setPlan({ state: "asking" });
    explainStatement(JSON.parse(asked) as Question, leaving.signal).then(
      (answer) => {
        if (answer === null || leaving.signal.aborted) return;
        setPlan(answer.ok ? { state: "known", explained: answer.value } : { state: "failed", problem: answer.error });
      },
      () => setPlan({ state: "failed", problem: UNREACHABLE }),
    );
    return () => leaving.abort();
  }, [asked]);
  return plan;
}
