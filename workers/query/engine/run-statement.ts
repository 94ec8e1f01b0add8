/** One planned statement on the isolate's engine: fetch ahead, define the tables, run in steps, encode as it goes. */
import { SQL } from "../../../r2-layout/limits.ts";
import { tableColumns } from "../../../r2-layout/promoted-columns.ts";
import { TIME_COLUMNS } from "../plan/plan-statement.ts";
import type { FooterCache } from "../prefetch/footer-cache.ts";
import { LakeReader, type RangeSource } from "../prefetch/lake-reader.ts";
import { StatementFailed } from "../problem.ts";
import { CONTENT_TYPES, ResultEncoder } from "../results/encode.ts";
import { pageCapacity, refuseLargeResult, refuseLargeScan } from "./bounds.ts";
import { engineProblem } from "./engine-problem.ts";
import type { EngineSlot, Hold } from "./engine-slot.ts";
import type { PageCache } from "./page-cache.ts";
import { CountedFiles, type RunningStatement } from "./running-statement.ts";
import type { EngineStatement, EngineTable, StatementStats } from "./statement.ts";
import { tableView } from "./views.ts";
import { NO_FILES } from "./virtual-files.ts";

/** What the objects of an isolate share. */
export interface EngineParts {
  readonly slot: EngineSlot;
  readonly pages: PageCache;
  readonly footers: FooterCache;
}

/** @throws StatementFailed, or what is a fault of ours. */
export async function runStatement(
  parts: EngineParts,
  source: RangeSource,
  statement: EngineStatement,
  running: RunningStatement,
): Promise<Response> {
  const askedAt = Date.now();
  const hold = await parts.slot.take(SQL.waitMs, statement.timeoutMs + GRACE_MS, () => running.cancelled);
  if (!hold) {
    if (running.cancelled) throw new StatementFailed({ reason: "statement_cancelled" });
    throw new StatementFailed({ reason: "engine_busy", retry_after_s: 2 });
  }
  try {
    return await new StatementRun(parts, source, statement, running, hold, Date.now() - askedAt - hold.bootMs).answer();
  } finally {
    if (hold.alive()) hold.instance.show(NO_FILES);
    parts.slot.release(hold);
  }
}

/** A statement ends itself at its timeout; only one that does not is replaced. */
const GRACE_MS = 5_000;

class StatementRun {
  readonly #parts: EngineParts;
  readonly #statement: EngineStatement;
  readonly #running: RunningStatement;
  readonly #hold: Hold;
  readonly #reader: LakeReader;
  readonly #waitMs: number;
  readonly #engineAt = Date.now();
  readonly #deadline: number;
  /** What ended the statement from our side; DuckDB may wrap it into words of its own on the way out. */
  #failure: StatementFailed | null = null;

  constructor(
    parts: EngineParts,
    source: RangeSource,
    statement: EngineStatement,
    running: RunningStatement,
    hold: Hold,
    waitMs: number,
  ) {
    this.#parts = parts;
    this.#statement = statement;
    this.#running = running;
    this.#hold = hold;
    this.#waitMs = waitMs;
    this.#deadline = this.#engineAt + statement.timeoutMs;
    this.#reader = new LakeReader({
      source,
      cache: parts.pages,
      footerCache: parts.footers,
      tables: statement.tables.map((table) => ({
        files: table.files,
        timeColumn: TIME_COLUMNS[table.table],
        filter: {
          columns: columnsRead(table),
          from: table.from,
          to: table.to,
          eventNames: table.eventNames,
        },
      })),
      check: () => this.#check(),
    });
    running.runs(this.#reader.counts);
  }

  async answer(): Promise<Response> {
    const scanBytes = await this.#reader.plan();
    refuseLargeScan(
      scanBytes,
      this.#statement.tables.reduce((sum, { files }) => sum + files.length, 0),
    );
    if (this.#statement.explain) return this.#plan(scanBytes);
    await this.#reader.prefetch(pageCapacity(this.#parts.slot.heapBytes, 0));
    const encoder = new ResultEncoder(this.#statement.format);
    try {
      await this.#run(encoder);
    } catch (error) {
      if (this.#failure) this.#hold.instance.broken = true;
      throw this.#failure ?? engineProblem(error, this.#hold.instance);
    }
    return this.#response(encoder);
  }

  async #run(encoder: ResultEncoder): Promise<void> {
    const { instance } = this.#hold;
    instance.show(new CountedFiles(this.#reader, this.#running));
    for (const { table, files, promoted = [], before } of this.#statement.tables) {
      const view = tableView(
        table,
        tableColumns(table, promoted),
        files.map(({ key, maxTime }) => ({
          key,
          columns: this.#reader.footers.get(key)?.columns ?? [],
          ...(before !== undefined && maxTime >= before && { before }),
        })),
      );
      if (instance.views.get(table) === view) continue;
      instance.views.delete(table);
      await instance.run(`CREATE OR REPLACE TEMP VIEW ${table} AS ${view}`);
      instance.views.set(table, view);
    }
    const known = new Set<string>(this.#statement.tables.map(({ table }) => table));
    const names = await instance.tableNames(this.#statement.sql);
    const foreign = names.find((name) => !known.has(name.toLowerCase()));
    if (foreign !== undefined) {
      throw new StatementFailed({ reason: "table_not_allowed", detail: "the tables are events and quarantine" });
    }
    const pace = new Pace();
    await instance.stream(
      this.#statement.sql,
      () => {
        this.#check();
        this.#makeRoom(encoder.bytes);
        return pace.step();
      },
      (message) => {
        encoder.add(message);
        this.#running.rows = encoder.rows;
      },
    );
  }

  #check(): void {
    this.#failure ??= this.#ended();
    if (this.#failure) throw this.#failure;
  }

  #ended(): StatementFailed | null {
    if (!this.#hold.alive()) return new StatementFailed({ reason: "engine_busy", retry_after_s: 1 });
    if (this.#running.cancelled) return new StatementFailed({ reason: "statement_cancelled" });
    if (Date.now() <= this.#deadline) return null;
    const limit_ms = this.#statement.timeoutMs;
    const detail = "narrow the time range, or aggregate in steps";
    return new StatementFailed({ reason: "statement_timeout", detail, limit_ms });
  }

  #makeRoom(resultBytes: number): void {
    const { pages, slot } = this.#parts;
    try {
      refuseLargeResult(slot.heapBytes, resultBytes);
    } catch (error) {
      this.#failure = error as StatementFailed;
      throw error;
    }
    pages.shrinkTo(pageCapacity(slot.heapBytes, resultBytes));
  }

  #plan(scanBytes: number): Response {
    const tables = this.#statement.tables.map(
      ({ table, files, tableFiles, tableBytes, columns, from, to, eventNames }) => ({
        table,
        columns,
        from: from ?? null,
        to: to ?? null,
        event_names: eventNames ?? null,
        files: files.map(({ key, bytes, rows }) => ({ key, bytes, rows })),
        table_files: tableFiles,
        table_bytes: tableBytes,
      }),
    );
    const body = { sql: this.#statement.sql, scan_bytes: scanBytes, tables, stats: this.#stats(0) };
    return Response.json(body, { headers: { "cache-control": "no-store" } });
  }

  #response(encoder: ResultEncoder): Response {
    const stats = this.#stats(encoder.rows);
    const pieces = encoder.finish(stats);
    return new Response(streamOf(pieces), {
      headers: {
        "content-type": CONTENT_TYPES[this.#statement.format],
        "cache-control": "no-store",
        "x-eventpile-stats": JSON.stringify(stats),
      },
    });
  }

  #stats(rows: number): StatementStats {
    const { counts } = this.#reader;
    const now = Date.now();
    const sum = (of: (table: EngineStatement["tables"][number]) => number) =>
      this.#statement.tables.reduce((total, table) => total + of(table), 0);
    return {
      elapsed_ms: now - this.#statement.startedAt,
      engine_ms: now - this.#engineAt,
      wait_ms: this.#waitMs,
      boot_ms: this.#hold.bootMs,
      cold: this.#hold.bootMs > 0 || counts.requests > 0,
      rows,
      snapshot: this.#statement.snapshot,
      ...(this.#statement.cut !== undefined && { cut: this.#statement.cut }),
      files: sum(({ files }) => files.length),
      table_files: sum(({ tableFiles }) => tableFiles),
      bytes_read: counts.bytesRead,
      bytes_needed: counts.bytesNeeded,
      requests: counts.requests,
      waves: counts.waves,
      fallback_reads: counts.fallbackReads,
      heap_bytes: this.#parts.slot.heapBytes,
      page_bytes: this.#parts.pages.bytes,
    };
  }
}

/** What the statement names, and the time where the table's rows end at one. */
function columnsRead({ table, columns, before, files }: EngineTable): ReadonlySet<string> | null {
  if (columns === null) return null;
  const cuts = before !== undefined && files.some(({ maxTime }) => maxTime >= before);
  return new Set(cuts ? [...columns, TIME_COLUMNS[table]] : columns);
}

/**
 * Lets others in the isolate have a turn now and then: a cancellation, another object's request, the clock itself,
 * which in production stands still while code runs. So steps are counted as well as timed.
 */
class Pace {
  #at = Date.now();
  #steps = 0;

  step(): void | Promise<void> {
    if (++this.#steps < 8 && Date.now() - this.#at < 16) return;
    return scheduler.wait(0).then(() => {
      this.#at = Date.now();
      this.#steps = 0;
    });
  }
}

function streamOf(pieces: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  let next = 0;
  return new ReadableStream({
    pull(controller) {
      const piece = pieces[next++];
      if (piece) controller.enqueue(piece);
      else controller.close();
    },
  });
}
