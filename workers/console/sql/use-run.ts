/** One statement at a time, from Run to its answer, its fault or its cancelling; each goes into the history. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "../shell/problem.ts";
import { history, type PastRun } from "./history.ts";
import {
  cancelStatement,
  type FinishedQuery,
  type Progress,
  type Question,
  runStatement,
  statementId,
  statementProgress,
} from "./statement.ts";

/** Where in the editor the statement stood, for a mark under what is wrong with it. */
export interface Asked extends Question {
  readonly from: number;
}

export type Run =
  | { readonly state: "idle" }
  | {
      readonly state: "running";
      readonly asked: Asked;
      readonly startedAt: number;
      readonly progress: Progress | null;
    }
  | { readonly state: "done"; readonly asked: Asked; readonly result: FinishedQuery }
  | { readonly state: "failed"; readonly asked: Asked; readonly problem: Problem }
  | { readonly state: "cancelled"; readonly asked: Asked; readonly tookMs: number };

/** A statement that is answered sooner is never asked after. */
const FIRST_LOOK_MS = 400;
const NEXT_LOOK_MS = 500;

export interface RunHandle {
  readonly run: Run;
  start(asked: Asked): void;
  cancel(): void;
}

export function useRun(): RunHandle {
  const [run, setRun] = useState<Run>({ state: "idle" });
  const current = useRef<{ id: string; asked: Asked; startedAt: number; leaving: AbortController } | null>(null);

  const letGo = () => {
    const own = current.current;
    if (!own) return null;
    current.current = null;
    own.leaving.abort();
    cancelStatement(own.id);
    return own;
  };
  // Leaving the page lets the engine go.
  useEffect(() => {
    const leave = () => void letGo();
    addEventListener("pagehide", leave);
    return () => {
      removeEventListener("pagehide", leave);
      leave();
    };
  }, []);

  const start = async (asked: Asked) => {
    letGo();
    const own = { id: statementId(), asked, startedAt: performance.now(), leaving: new AbortController() };
    const { signal } = own.leaving;
    current.current = own;
    setRun({ state: "running", asked, startedAt: own.startedAt, progress: null });
    const watch = watchProgress(own.id, signal, (progress) => {
      setRun((last) => (last.state === "running" ? { ...last, progress } : last));
    });
    const { from: _, ...question } = asked;
    const answer = await runStatement(question, own.id, signal).finally(watch);
    if (current.current !== own || answer === null) return;
    current.current = null;
    remember(asked.sql, own.startedAt, answer.ok ? answer.value : null);
    setRun(
      answer.ok ? { state: "done", asked, result: answer.value } : { state: "failed", asked, problem: answer.error },
    );
  };

  const cancel = () => {
    const own = letGo();
    if (!own) return;
    const tookMs = performance.now() - own.startedAt;
    history.put({ sql: own.asked.sql, at: Date.now() - Math.round(tookMs), outcome: "cancelled", tookMs });
    setRun({ state: "cancelled", asked: own.asked, tookMs });
  };
  return { run, start, cancel };
}

/** @returns what ends it. */
function watchProgress(id: string, signal: AbortSignal, tell: (progress: Progress) => void): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const ended = new AbortController();
  const look = async () => {
    const progress = await statementProgress(id, AbortSignal.any([signal, ended.signal])).catch(() => null);
    if (ended.signal.aborted || signal.aborted) return;
    if (progress) tell(progress);
    timer = setTimeout(look, NEXT_LOOK_MS);
  };
  timer = setTimeout(look, FIRST_LOOK_MS);
  return () => {
    clearTimeout(timer);
    ended.abort();
  };
}

function remember(sql: string, startedAt: number, result: FinishedQuery | null): void {
  const tookMs = Math.round(result?.tookMs ?? performance.now() - startedAt);
  const past: PastRun = { sql, at: Date.now() - tookMs, outcome: result ? "done" : "failed", tookMs };
  history.put(result ? { ...past, rows: result.rows.length, bytesRead: result.stats.bytes_read } : past);
}
