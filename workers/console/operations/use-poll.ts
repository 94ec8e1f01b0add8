/** Asks an address again and again, while the page is looked at. */
import { useCallback, useEffect, useState } from "preact/hooks";
import { request } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";

export interface Polled<T> {
  /** The newest answer, kept while later ones fail. */
  readonly value: T | null;
  /** The answer before it, for rates. */
  readonly before: { readonly value: T; readonly at: number } | null;
  /** Milliseconds: when the newest answer came. */
  readonly at: number;
  /** Of the last request, null where it succeeded. */
  readonly problem: Problem | null;
  /** Asks at once: after something was changed. */
  readonly refresh: () => void;
}

type Answers<T> = Omit<Polled<T>, "refresh">;

export function usePoll<T>(path: string, everyMs: number): Polled<T> {
  const [answers, setAnswers] = useState<Answers<T>>({ value: null, before: null, at: 0, problem: null });
  const ask = useCallback(async () => {
    const answer = await request<T>(path);
    setAnswers((known) =>
      answer.ok
        ? {
            value: answer.value,
            before: known.value === null ? null : { value: known.value, at: known.at },
            at: Date.now(),
            problem: null,
          }
        : { ...known, problem: answer.error },
    );
  }, [path]);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    let stopped = false;
    // The next question waits for the answer: a slow server is not asked more often.
    const turn = async () => {
      if (document.visibilityState !== "hidden") await ask();
      if (!stopped) timer = setTimeout(turn, everyMs);
    };
    void turn();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [ask, everyMs]);
  return { ...answers, refresh: () => void ask() };
}
