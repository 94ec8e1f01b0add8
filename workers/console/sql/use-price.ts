/** What the statement would cost, asked for while it is written: after a pause, for the newest text only. */
import { useEffect, useState } from "preact/hooks";
import type { Problem } from "../shell/problem.ts";
import { type Explained, explainStatement, type Question } from "./statement.ts";

export type Price =
  | { readonly state: "none" }
  | { readonly state: "asking"; readonly last: Explained | null }
  | { readonly state: "known"; readonly explained: Explained }
  | { readonly state: "unknown"; readonly problem: Problem };

/** Long enough that one word is not asked for letter by letter. */
const PAUSE_MS = 500;

/** @param question null where there is nothing to ask. @param isHeld while a statement runs the engine is not asked. */
export function usePrice(question: Question | null, isHeld: boolean): Price {
  const [price, setPrice] = useState<Price>({ state: "none" });
  const asked = question === null ? null : JSON.stringify(question);
  useEffect(() => {
    if (asked === null) {
      setPrice({ state: "none" });
      return;
    }
    if (isHeld) return;
    const leaving = new AbortController();
    setPrice((last) => ({ state: "asking", last: lastKnown(last) }));
    const timer = setTimeout(async () => {
      const answer = await explainStatement(JSON.parse(asked) as Question, leaving.signal).catch(() => null);
      if (leaving.signal.aborted || answer === null) return;
      setPrice(answer.ok ? { state: "known", explained: answer.value } : { state: "unknown", problem: answer.error });
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [asked, isHeld]);
  return price;
}

/** Its figures stay until there are new ones, so that the line does not flicker. */
function lastKnown(price: Price): Explained | null {
  if (price.state === "known") return price.explained;
  return price.state === "asking" ? price.last : null;
}
