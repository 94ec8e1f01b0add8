/**
 * A QueryEngine object: a place to run statements, one at a time. What it runs on belongs to the isolate, which it may
 * share with its like (engine/engine-slot.ts), so it keeps nothing but what it is running.
 */
import { DurableObject } from "cloudflare:workers";
import { MiB, SQL } from "../../r2-layout/limits.ts";
import { ownFigures } from "./cache/own-figures.ts";
import { type CachedResult, ResultCache } from "./cache/result-cache.ts";
import { type Outcome, SharedRun } from "./cache/shared-run.ts";
import { Clock } from "./engine/clock.ts";
import { DuckDbInstance } from "./engine/duckdb-instance.ts";
import { EngineSlot } from "./engine/engine-slot.ts";
import { type EngineParts, runStatement } from "./engine/run-statement.ts";
import { RunningStatement } from "./engine/running-statement.ts";
import type {
  EngineStatement,
  EngineStatus,
  QueryEngineApi,
  RecentQuestion,
  StatementProgress,
  StatementStats,
} from "./engine/statement.ts";
import { EarlyCancels } from "./gate/early-cancels.ts";
import { FooterCache } from "./prefetch/footer-cache.ts";
import { cachedFooters } from "./prefetch/footer-store.ts";
import { RangeCache } from "./prefetch/range-cache.ts";
import { problem, StatementFailed } from "./problem.ts";
import { Outbox } from "./results/outbox.ts";
import { Settled } from "./results/settled.ts";
import { sendWhole } from "./results/whole-result.ts";

const parts: EngineParts & { readonly results: ResultCache } = {
  slot: new EngineSlot<DuckDbInstance>({
    boot: () => DuckDbInstance.boot({ heapBytes: SQL.heapBytes, memoryLimitBytes: SQL.queryBytes }),
    recycleBytes: SQL.heapBytes - 16 * MiB,
    now: () => Date.now(),
    wait: (ms) => scheduler.wait(ms),
  }),
  pages: new RangeCache(),
  footers: new FooterCache(4 * MiB),
  footerStore: cachedFooters(caches.default),
  outbox: new Outbox(),
  results: new ResultCache(),
};

function sendCached(kept: CachedResult, asked: Pick<EngineStatement, "startedAt" | "snapshot" | "cut">): Response {
  const now = Date.now();
  const stats = ownFigures(kept.result.stats, asked, { route: "cache", age_ms: now - kept.madeAt }, now);
  return sendWhole(parts.outbox, kept.result, stats).response;
}

/** What a run's failure is to others who wait for it. */
function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof StatementFailed) || error.fileGone) return { kind: "alone" };
  return SAME_FOR_ALL.has(error.problem.reason) ? { kind: "problem", problem: error.problem } : { kind: "alone" };
}

/** What the statement itself is the cause of. */
const SAME_FOR_ALL: ReadonlySet<string> = new Set([
  "sql_error",
  "table_not_allowed",
  "scan_too_large",
  "result_too_large",
  "memory_exceeded",
  "engine_broken",
  "statement_timeout",
]);

interface Env {
  readonly BUCKET: R2Bucket;
}

export class QueryEngine extends DurableObject<Env> implements QueryEngineApi {
  /** Statements that wait or run here, by the id of whoever asks; several may ask for one run. */
  readonly #runs = new Map<string, SharedRun>();
  /** Those whose answer others may share, by fingerprint. */
  readonly #shared = new Map<string, SharedRun>();
  readonly #cancelledEarly = new EarlyCancels();
  readonly #settled = new Settled();

  async run(statement: EngineStatement): Promise<Response> {
    const { id, key, startedAt } = statement;
    if (this.#cancelledEarly.take(id, Date.now())) return problem({ reason: "statement_cancelled" });
    if (key === undefined) return this.#lead(statement);
    const kept = parts.results.find(key, startedAt, Date.now());
    if (kept) {
      if (statement.question !== undefined) parts.results.noteQuestion(statement.question, key);
      return sendCached(kept, statement);
    }
    const under = this.#shared.get(key);
    return (under && (await this.#follow(under, statement))) ?? this.#lead(statement);
  }

  async recall({ question, since, startedAt }: RecentQuestion): Promise<Response | null> {
    const kept = parts.results.findRecent(question, since, Date.now());
    return kept && sendCached(kept, { startedAt, snapshot: kept.result.stats.snapshot });
  }

  /** Waits for a run that is under way. @returns null where what came of it is no answer to others. */
  async #follow(run: SharedRun, statement: EngineStatement): Promise<Response | null> {
    const left = run.join(statement.id);
    this.#runs.set(statement.id, run);
    try {
      const outcome = await Promise.race([run.outcome, left]);
      if (!outcome) return problem({ reason: "statement_cancelled" });
      if (outcome.kind === "alone") return null;
      if (outcome.kind === "problem") return problem(outcome.problem);
      const stats = ownFigures(outcome.result.stats, statement, { shared: true }, Date.now());
      return sendWhole(parts.outbox, outcome.result, stats).response;
    } finally {
      this.#runs.delete(statement.id);
    }
  }

  async #lead(statement: EngineStatement): Promise<Response> {
    const { id, key, question, startedAt } = statement;
    const run = new SharedRun(new RunningStatement(id, startedAt));
    const left = run.join(id);
    this.#runs.set(id, run);
    if (key !== undefined) this.#shared.set(key, run);
    // An answer may be sent while it is made: then the statement goes on.
    const ended = () => {
      if (key !== undefined && this.#shared.get(key) === run) this.#shared.delete(key);
      this.#runs.delete(id);
    };
    const answer = (async (): Promise<Response> => {
      try {
        const { response, whole, over } = await runStatement(parts, this.env.BUCKET, statement, run.running);
        void over.then(ended);
        this.#settled.add(id, over);
        if (whole && key !== undefined) parts.results.add(key, question, whole, startedAt, Date.now());
        run.settle(whole ? { kind: "whole", result: whole } : { kind: "alone" });
        return response;
      } catch (error) {
        ended();
        run.settle(outcomeOf(error));
        if (error instanceof StatementFailed) return error.answer();
        console.error("statement failed", error);
        return problem({ reason: "internal", detail: "the engine failed and was replaced" });
      }
    })();
    // Who asked first may go before the others do.
    return (await Promise.race([answer, left])) ?? problem({ reason: "statement_cancelled" });
  }

  async cancel(id: string): Promise<void> {
    const run = this.#runs.get(id);
    if (run) run.leave(id);
    else this.#cancelledEarly.add(id, Date.now());
  }

  async settled(id: string): Promise<StatementStats | null> {
    return this.#settled.get(id);
  }

  async progress(id: string): Promise<StatementProgress | null> {
    const progress = this.#runs.get(id)?.running.progress(Date.now());
    return progress ? { ...progress, id } : null;
  }

  async reset(): Promise<void> {
    parts.slot.reset();
    parts.pages.shrinkTo(0);
    parts.footers.clear();
    parts.results.clear();
  }

  async status(): Promise<EngineStatus> {
    return {
      statements: this.#runs.size,
      boots: parts.slot.boots,
      heap_bytes: parts.slot.heapBytes,
      page_bytes: parts.pages.bytes,
      guests: parts.slot.guests,
      ticks: Clock.ticks,
    };
  }
}
