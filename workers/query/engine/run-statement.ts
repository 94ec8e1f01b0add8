/** One planned statement on the isolate's engine: fetch ahead, define the tables, run in steps, encode as it goes. */
import { SQL } from "../../../r2-layout/limits.ts";
import { tableColumns } from "../../../r2-layout/promoted-columns.ts";
import { dollarsOf } from "../estimate/dollars.ts";
import { explainBody } from "../estimate/explain.ts";
import { refuseTooLarge } from "../estimate/refusal.ts";
import { isLight } from "../gate/light.ts";
import { TIME_COLUMNS } from "../plan/plan-statement.ts";
import type { FooterCache } from "../prefetch/footer-cache.ts";
import type { FooterStore } from "../prefetch/footer-store.ts";
import { LakeReader, type RangeSource } from "../prefetch/lake-reader.ts";
import type { RangeCache } from "../prefetch/range-cache.ts";
import { StatementFailed } from "../problem.ts";
import type { ResultEncoder } from "../results/encode.ts";
import type { AnswerBody, Outbox } from "../results/outbox.ts";
import { type Answer, EnoughRows, reasonOf, Sending } from "../results/sending.ts";
import { pageCapacity, refuseLargeResult } from "./bounds.ts";
import type { DuckDbInstance } from "./duckdb-instance.ts";
import { engineProblem } from "./engine-problem.ts";
import type { EngineSlot, Hold } from "./engine-slot.ts";
import { CountedFiles, type RunningStatement } from "./running-statement.ts";
import type { EngineStatement, EngineTable, StatementStats } from "./statement.ts";
import { tableView } from "./views.ts";
import { NO_FILES } from "./virtual-files.ts";
import { writeParquet } from "./write-parquet.ts";

/** What the objects of an isolate share. */
export interface EngineParts {
  readonly slot: EngineSlot<DuckDbInstance>;
  readonly pages: RangeCache;
  readonly footers: FooterCache;
  /** Footers beyond this isolate's memory; null: none. */
  readonly footerStore: FooterStore | null;
  readonly outbox: Outbox;
}

/** A statement whose answer has begun: all of it, or what is sent while it is made. */
export interface StatementAnswer extends Answer {
  /** The engine is free of it; never rejects. The final figures, null where it did not end well. */
  readonly over: Promise<StatementStats | null>;
}

/** @throws StatementFailed, or what is a fault of ours. */
export async function runStatement(
  parts: EngineParts,
  source: RangeSource,
  statement: EngineStatement,
  running: RunningStatement,
): Promise<StatementAnswer> {
  const parted = { parts, source, statement, running, askedAt: Date.now() };
  if (isLight(statement)) {
    try {
      return await startOnce(parted, true);
    } catch (error) {
      // It was not as light as it seemed: it takes its turn like others.
      if (!(error instanceof NotLight)) throw error;
    }
  }
  return startOnce(parted, false);
}

interface Start {
  readonly parts: EngineParts;
  readonly source: RangeSource;
  readonly statement: EngineStatement;
  readonly running: RunningStatement;
  readonly askedAt: number;
}

/** @param light may run in a pause of another. @throws NotLight where it then took longer than SQL.guestMs. */
async function startOnce(
  { parts, source, statement, running, askedAt }: Start,
  light: boolean,
): Promise<StatementAnswer> {
  const hold = await parts.slot.take({
    token: statement.token,
    light,
    waitMs: SQL.waitMs,
    holdMs: statement.timeoutMs + GRACE_MS,
    givenUp: () => running.cancelled,
  });
  if (!hold) {
    if (running.cancelled) throw new StatementFailed({ reason: "statement_cancelled" });
    throw new StatementFailed({ reason: "engine_busy", retry_after_s: 2 });
  }
  const run = new StatementRun(parts, source, statement, running, hold, Date.now() - askedAt - hold.bootMs);
  const begun = Promise.withResolvers<Answer>();
  const over = run
    .work(begun.resolve)
    .catch((error: unknown) => {
      // One of the two hears of it: who waits for the answer to begin, or who reads it.
      begun.reject(error);
      return null;
    })
    .finally(() => {
      if (hold.alive()) hold.instance.show(NO_FILES);
      parts.slot.release(hold);
    });
  return { ...(await begun.promise), over };
}

/** A statement ends itself at its timeout; only one that does not is replaced. */
const GRACE_MS = 5_000;

class StatementRun {
  readonly #parts: EngineParts;
  readonly #statement: EngineStatement;
  readonly #running: RunningStatement;
  readonly #hold: Hold<DuckDbInstance>;
  readonly #reader: LakeReader;
  readonly #waitMs: number;
  readonly #engineAt = Date.now();
  readonly #deadline: number;
  /** Of the result, as last looked at. */
  #keptBytes = 0;
  /** What ended the statement from our side; DuckDB may wrap it into words of its own on the way out. */
  #failure: StatementFailed | NotLight | null = null;

  constructor(
    parts: EngineParts,
    source: RangeSource,
    statement: EngineStatement,
    running: RunningStatement,
    hold: Hold<DuckDbInstance>,
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
      footerStore: parts.footerStore,
      tables: statement.tables.map((table) => ({
        files: table.files,
        timeColumn: TIME_COLUMNS[table.table],
        filter: {
          columns: columnsRead(table),
          from: table.from,
          to: table.to,
          eventNames: table.eventNames,
          equals: table.equals,
        },
      })),
      capacity: () => pageCapacity(parts.slot.heapBytes, this.#keptBytes + parts.outbox.bytes),
      check: () => this.#check(),
    });
    running.runs(this.#reader.counts);
  }

  /** @param begin gets the answer once it can be sent. @returns the final figures. */
  async work(begin: (answer: Answer) => void): Promise<StatementStats> {
    const scanBytes = await this.#reader.plan();
    const { estimate, alternatives } = this.#statement;
    if (estimate) refuseTooLarge({ ...estimate, scan_bytes: scanBytes, ...this.#reader.foretold() }, alternatives);
    if (this.#statement.explain) {
      begin({ response: this.#plan(scanBytes), whole: null });
      return this.#stats(NO_ROWS);
    }
    await this.#reader.prefetch();
    const sending = new Sending(this.#parts.outbox, this.#statement, begin);
    try {
      await this.#run(sending);
      const stats = this.#stats(sending.encoder);
      const body = sending.end(stats);
      await this.#untilRead(body);
      return stats;
    } catch (error) {
      if (this.#failure) this.#cutOff();
      const cause = this.#failure ?? engineProblem(error, this.#hold.instance);
      sending.fail(cause);
      throw cause;
    }
  }

  async #run(sending: Sending): Promise<void> {
    const { instance } = this.#hold;
    instance.show(new CountedFiles(this.#reader, this.#running));
    for (const [number, { table, promoted = [], before, sight }] of this.#statement.tables.entries()) {
      const view = tableView(
        table,
        tableColumns(table, promoted),
        this.#reader.shownOf(number).map(({ name, footer, file }) => ({
          key: name,
          columns: footer.columns,
          ...(before !== undefined && file.maxTime >= before && { before }),
        })),
        sight,
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
    const turn = (): void | Promise<void> => {
      this.#check();
      this.#makeRoom(sending.keptBytes);
      if (sending.isOutgrown && this.#hold.isGuest) this.#failure ??= new NotLight();
      this.#check();
      if (sending.isOutgrown) sending.begin({ ...this.#stats(sending.encoder), streamed: true });
      if (sending.body && sending.body.bytes > SQL.unreadBytes) return this.#room(sending.body, SQL.unreadBytes);
      const pause = this.#hold.pause(turn);
      return pause ? pause.then(() => this.#afterPause()) : pace.step();
    };
    const take = (message: Uint8Array<ArrayBuffer>): void => {
      sending.encoder.add(message);
      this.#running.rows = sending.encoder.rows;
      if (sending.encoder.truncated) throw new EnoughRows();
    };
    if (this.#statement.format === "parquet") {
      sending.encoder.countRows(await writeParquet(instance, this.#statement.sql, turn, sending.encoder));
      return;
    }
    try {
      await instance.stream(this.#statement.sql, turn, take);
    } catch (error) {
      if (!(error instanceof EnoughRows)) throw error;
    }
  }

  /** What is not read takes memory that the next statement may need. */
  async #untilRead(body: AnswerBody): Promise<void> {
    const others = this.#parts.outbox.bytes - body.bytes;
    try {
      await this.#room(body, Math.max(0, SQL.outboxBytes - others));
    } catch (error) {
      body.fail(reasonOf(error));
    }
  }

  async #room(body: AnswerBody, most: number): Promise<void> {
    const patience = () => (this.#parts.slot.waiting > 1 ? SQL.stallBesideOthersMs : SQL.stallMs);
    try {
      await body.room(most, () => this.#check(), patience);
    } catch (error) {
      if (error instanceof StatementFailed) this.#failure ??= error;
      throw error;
    }
  }

  /** It ended in the middle of DuckDB's code: what it ran on is of no use any more. */
  #cutOff(): void {
    if (this.#hold.isGuest) this.#parts.slot.spoil(this.#hold);
    this.#hold.instance.broken = !this.#hold.isGuest;
  }

  #afterPause(): void {
    // A guest may have brought down what both ran on.
    if (this.#hold.instance.broken) this.#failure ??= new StatementFailed({ reason: "engine_busy", retry_after_s: 1 });
    this.#check();
  }

  #check(): void {
    this.#failure ??= this.#ended();
    if (this.#failure) throw this.#failure;
  }

  #ended(): StatementFailed | NotLight | null {
    if (!this.#hold.alive()) return new StatementFailed({ reason: "engine_busy", retry_after_s: 1 });
    if (this.#running.cancelled) return new StatementFailed({ reason: "statement_cancelled" });
    if (this.#hold.isGuest && Date.now() - this.#engineAt > SQL.guestMs) return new NotLight();
    if (Date.now() <= this.#deadline + this.#hold.lentMs) return null;
    const limit_ms = this.#statement.timeoutMs;
    const detail = "narrow the time range, or aggregate in steps";
    return new StatementFailed({ reason: "statement_timeout", detail, limit_ms });
  }

  /** @param keptBytes of the result, of which nothing is sent yet. */
  #makeRoom(keptBytes: number): void {
    const { pages, slot, outbox } = this.#parts;
    this.#keptBytes = keptBytes;
    const resultBytes = keptBytes + outbox.bytes;
    try {
      refuseLargeResult(slot.heapBytes, resultBytes);
    } catch (error) {
      this.#failure = error as StatementFailed;
      throw error;
    }
    pages.shrinkTo(this.#reader.room());
  }

  #plan(scanBytes: number): Response {
    const body = explainBody(this.#statement, this.#reader, scanBytes, this.#stats(NO_ROWS));
    return Response.json(body, { headers: { "cache-control": "no-store" } });
  }

  #stats({ rows, truncated }: Pick<ResultEncoder, "rows" | "truncated">): StatementStats {
    const { counts } = this.#reader;
    const now = Date.now();
    const sum = (of: (table: EngineStatement["tables"][number]) => number) =>
      this.#statement.tables.reduce((total, table) => total + of(table), 0);
    return {
      elapsed_ms: now - this.#statement.startedAt,
      engine_ms: now - this.#engineAt - this.#hold.lentMs,
      wait_ms: this.#waitMs + this.#hold.lentMs,
      boot_ms: this.#hold.bootMs,
      cold: this.#hold.bootMs > 0 || counts.requests > 0,
      rows,
      route: "engine",
      ...(truncated && { truncated }),
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
      dollars: dollarsOf({ requests: counts.requests, engineMs: now - this.#engineAt }),
    };
  }
}

/** A guest that others cannot be asked to wait for any longer. */
class NotLight extends Error {}

const NO_ROWS = { rows: 0, truncated: false } as const;

/** What the statement names, and the time where the table's rows end at one. */
function columnsRead({ table, columns, before, files }: EngineTable): ReadonlySet<string> | null {
  if (columns === null) return null;
  const cuts = before !== undefined && files.some(({ maxTime }) => maxTime >= before);
  return new Set(cuts ? [...columns, TIME_COLUMNS[table]] : columns);
}

/**
 * Lets others in the isolate have a turn now and then: a cancellation, another object's request, the clock itself, which
 * stands still while code runs. So steps are counted, and how many make up `STRETCH_MS` is learnt from the waits, after
 * which the clock has moved: what a step takes differs a hundredfold between statements.
 */
class Pace {
  #at = Date.now();
  #steps = 0;
  #stepsPerWait = 8;

  step(): void | Promise<void> {
    if (++this.#steps < this.#stepsPerWait) return;
    return scheduler.wait(0).then(() => {
      const now = Date.now();
      const stretchMs = now - this.#at;
      if (stretchMs > STRETCH_MS) {
        this.#stepsPerWait = Math.max(1, Math.floor((this.#stepsPerWait * STRETCH_MS) / stretchMs));
      } else if (stretchMs < STRETCH_MS / 2) this.#stepsPerWait = Math.min(STEPS_MAX, this.#stepsPerWait * 2);
      this.#at = now;
      this.#steps = 0;
    });
  }
}

const STRETCH_MS = 4;
/** Of the cheapest, some 3 ms; those that follow may take a hundred times as long before that is noticed. */
const STEPS_MAX = 16;
