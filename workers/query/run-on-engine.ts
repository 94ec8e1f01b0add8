/** Sends a planned statement to an engine that has room for it. */
import type { EngineStatement, QueryEngineApi, StatementStats } from "./engine/statement.ts";
import type { EngineChoice } from "./engine-choice.ts";
import { problem } from "./problem.ts";

export interface Engines {
  readonly choice: EngineChoice;
  readonly engine: (number: number) => QueryEngineApi;
  /** Keeps work going after the answer. */
  readonly later: (work: Promise<unknown>) => void;
}

export interface EngineAnswer {
  readonly response: Response;
  /** The final figures of an answer that is sent while it is made, once it is over. */
  readonly settled?: () => Promise<StatementStats | null>;
}

/** The client's going is passed on, so that the engine is free for others. */
export async function runOnEngine(
  parts: Engines,
  statement: EngineStatement,
  signal: AbortSignal,
): Promise<EngineAnswer> {
  let busy: Response | null = null;
  for (const number of parts.choice.order(statement.question ?? statement.sql)) {
    const engine = parts.engine(number);
    const gone = () => parts.later(engine.cancel(statement.id));
    signal.addEventListener("abort", gone);
    try {
      const response = await parts.choice.during(number, () => engine.run(statement), statement.question);
      if (response.status !== 503) return { response, settled: () => engine.settled(statement.id) };
      busy = response;
    } catch (error) {
      console.error("engine failed", error);
      busy = problem({ reason: "engine_busy", retry_after_s: 1 });
    } finally {
      signal.removeEventListener("abort", gone);
    }
  }
  return { response: busy ?? problem({ reason: "engine_busy", retry_after_s: 1 }) };
}
