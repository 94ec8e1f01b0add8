/** Sends a planned statement to an engine that has room for it. */
import type { EngineStatement, QueryEngineApi } from "./engine/statement.ts";
import type { EngineChoice } from "./engine-choice.ts";
import { problem } from "./problem.ts";

export interface Engines {
  readonly choice: EngineChoice;
  readonly engine: (number: number) => QueryEngineApi;
  /** Keeps work going after the answer. */
  readonly later: (work: Promise<unknown>) => void;
}

/** The client's going is passed on, so that the engine is free for others. */
export async function runOnEngine(parts: Engines, statement: EngineStatement, signal: AbortSignal): Promise<Response> {
  let busy: Response | null = null;
  for (const number of parts.choice.order(statement.sql)) {
    const engine = parts.engine(number);
    const gone = () => parts.later(engine.cancel(statement.id));
    signal.addEventListener("abort", gone);
    try {
      const answer = await parts.choice.during(number, () => engine.run(statement));
      if (answer.status !== 503) return answer;
      busy = answer;
    } catch (error) {
      console.error("engine failed", error);
      busy = problem({ reason: "engine_busy", retry_after_s: 1 });
    } finally {
      signal.removeEventListener("abort", gone);
    }
  }
  return busy ?? problem({ reason: "engine_busy", retry_after_s: 1 });
}
