/**
 * A QueryEngine object: a place to run statements, one at a time. What it runs on belongs to the isolate, which it may
 * share with its like (engine/engine-slot.ts), so it keeps nothing but what it is running.
 */
import { DurableObject } from "cloudflare:workers";
import { MiB, SQL } from "../../r2-layout/limits.ts";
import { EngineSlot } from "./engine/engine-slot.ts";
import { PageCache } from "./engine/page-cache.ts";
import { type EngineParts, runStatement } from "./engine/run-statement.ts";
import { RunningStatement } from "./engine/running-statement.ts";
import type { EngineStatement, EngineStatus, QueryEngineApi, StatementProgress } from "./engine/statement.ts";
import { FooterCache } from "./prefetch/footer-cache.ts";
import { problem, StatementFailed } from "./problem.ts";

const parts: EngineParts = {
  slot: new EngineSlot({
    heapBytes: SQL.heapBytes,
    memoryLimitBytes: SQL.queryBytes,
    recycleBytes: SQL.heapBytes - 16 * MiB,
  }),
  pages: new PageCache(),
  footers: new FooterCache(4 * MiB),
};

interface Env {
  readonly BUCKET: R2Bucket;
}

export class QueryEngine extends DurableObject<Env> implements QueryEngineApi {
  readonly #running = new Map<string, RunningStatement>();

  async run(statement: EngineStatement): Promise<Response> {
    if (parts.slot.waiting >= SQL.waiting) return problem({ reason: "engine_busy", retry_after_s: 2 });
    const running = new RunningStatement(statement.id, statement.startedAt);
    this.#running.set(statement.id, running);
    try {
      return await runStatement(parts, this.env.BUCKET, statement, running);
    } catch (error) {
      if (error instanceof StatementFailed) return error.answer();
      console.error("statement failed", error);
      return problem({ reason: "internal", detail: "the engine failed and was replaced" });
    } finally {
      this.#running.delete(statement.id);
    }
  }

  async cancel(id: string): Promise<void> {
    const running = this.#running.get(id);
    if (running) running.cancelled = true;
  }

  async progress(id: string): Promise<StatementProgress | null> {
    return this.#running.get(id)?.progress(Date.now()) ?? null;
  }

  async reset(): Promise<void> {
    parts.slot.reset();
    parts.pages.shrinkTo(0);
    parts.footers.clear();
  }

  async status(): Promise<EngineStatus> {
    return {
      statements: this.#running.size,
      boots: parts.slot.boots,
      heap_bytes: parts.slot.heapBytes,
      page_bytes: parts.pages.bytes,
    };
  }
}
