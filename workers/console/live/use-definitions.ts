/** The rollup definitions that there are: asked for again while the past of one is still being filled in. */
import { useCallback, useEffect, useState } from "preact/hooks";
import type { Result } from "../../../r2-layout/result.ts";
import { request } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";
import type { Definition, DefinitionRequest } from "./definitions.ts";

const EVERY_MS = 60_000;
const FILLING_EVERY_MS = 3_000;
const PATH = "/v1/rollup-definitions";

export interface Definitions {
  /** Null until they are known. */
  readonly known: readonly Definition[] | null;
  readonly problem: Problem | null;
  /** Makes one, or finds the one that computes the same. */
  define(wanted: DefinitionRequest): Promise<Result<Definition, Problem>>;
  /** It is no longer counted, and what was is gone. */
  remove(id: string): Promise<Problem | null>;
}

export function useDefinitions(): Definitions {
  const [known, setKnown] = useState<readonly Definition[] | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const isFilling = known?.some(({ state }) => state === "filling") ?? false;

  const ask = useCallback(async () => {
    if (document.visibilityState === "hidden") return;
    const answer = await request<{ definitions: Definition[] }>(PATH);
    setProblem(answer.ok ? null : answer.error);
    if (answer.ok) setKnown(answer.value.definitions);
  }, []);
  useEffect(() => {
    void ask();
    const timer = setInterval(ask, isFilling ? FILLING_EVERY_MS : EVERY_MS);
    return () => clearInterval(timer);
  }, [isFilling]);

  const define = useCallback(async (wanted: DefinitionRequest) => {
    const answer = await request<Definition>(PATH, { method: "POST", body: JSON.stringify(wanted) });
    if (answer.ok) {
      const made = answer.value;
      setKnown((before) => [...(before ?? []).filter(({ id }) => id !== made.id), made]);
    }
    return answer;
  }, []);
  const remove = useCallback(async (id: string) => {
    const answer = await request<null>(`${PATH}/${id}`, { method: "DELETE" });
    if (!answer.ok && answer.error.status !== 404) return answer.error;
    setKnown((before) => before?.filter((one) => one.id !== id) ?? null);
    return null;
  }, []);
  return { known, problem, define, remove };
}
