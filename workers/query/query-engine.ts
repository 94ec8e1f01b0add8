/**
 * A QueryEngine object: a place to run statements, one at a time. What it runs on belongs to the isolate, which it may
 * share with its like (engine/engine-slot.ts), so it keeps nothing but what it is running.
 */
import { DurableObject } from "cloudflare:workers";
import { MiB, SQL } from "../../r2-layout/limits.ts";
import { DuckDbInstance } from "./engine/duckdb-instance.ts";
import { EngineSlot } from "./engine/engine-slot.ts";
import { type EngineParts, runStatement } from "./engine/run-statement.ts";
import { RunningStatement } from "./engine/running-statement.ts";
import type {
  EngineStatement,
  EngineStatus,
  QueryEngineApi,
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

const parts: EngineParts = {
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
};

interface Env {
  readonly BUCKET: R2Bucket;
}

export class QueryEngine extends DurableObject<Env> implements QueryEngineApi {
  readonly #running = new Map<string, RunningStatement>();
  readonly #cancelledEarly = new EarlyCancels();

  readonly #settled = new Settled();

  async run(statement: EngineStatement): Promise<Response> {
    const running = new RunningStatement(statement.id, statement.startedAt);
    running.cancelled = this.#cancelledEarly.take(statement.id, Date.now());
    this.#running.set(statement.id, running);
    // An answer may be sent while it is made: then the statement goes on.
    const ended = () => this.#running.delete(statement.id);
    try {
      const { response, over } = await runStatement(parts, this.env.BUCKET, statement, running);
      void over.then(ended);
      this.#settled.add(statement.id, over);
      return response;
    } catch (error) {
      ended();
      if (error instanceof StatementFailed) return error.answer();
      console.error("statement failed", error);
      return problem({ reason: "internal", detail: "the engine failed and was replaced" });
    }
  }

  async cancel(id: string): Promise<void> {
    const running = this.#running.get(id);
    if (running) running.cancelled = true;
    else this.#cancelledEarly.add(id, Date.now());
  }

  async settled(id: string): Promise<StatementStats | null> {
    return this.#settled.get(id);
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
      guests: parts.slot.guests,
    };
  }
}
