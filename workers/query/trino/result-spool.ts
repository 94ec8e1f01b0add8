/**
 * The result of one statement between a client's polls, in an object's storage: written page by page while the statement
 * runs, given out by number, forgotten once the next page has been asked for. A poll may come twice, as a client repeats
 * what it got no answer to; so a page goes when the one after it has been given, and not before.
 *
 *     running    pages come          finished   no more come, columns are known
 *     failed     an error, no rows after it     (no record: never begun, cancelled, or let go)
 *
 * Nothing of it is in memory but a signal for those who wait: an object that was evicted while its statement ran finds
 * `running` without a run, and begins again, as long as no page has been given: two runs need not have one order.
 */
import { TRINO } from "../../../r2-layout/limits.ts";
import type { Sight } from "../../sight.ts";
import type { SqlRequest } from "../sql-request.ts";
import { type TrinoError, trinoError } from "./errors.ts";
import type { TrinoColumn } from "./trino-types.ts";

export interface SpoolRecord {
  readonly state: "running" | "finished" | "failed";
  readonly question: SqlRequest;
  /** The hash of the token, whose alone the result is. */
  readonly token: string;
  /** What the token sees of the rows; null: all. */
  readonly sight: Sight | null;
  readonly startedAt: number;
  readonly endedAt?: number;
  /** Written so far. */
  readonly pages: number;
  readonly rows: number;
  /** The highest page number that was given, -1 before. */
  readonly given: number;
  readonly columns?: readonly TrinoColumn[];
  readonly error?: TrinoError;
  readonly describe: boolean;
}

/** What a poll is answered with. */
export interface SpoolAnswer {
  readonly state: SpoolRecord["state"];
  readonly columns?: readonly TrinoColumn[];
  /** The inside of a JSON list. */
  readonly page?: Uint8Array;
  /** The number to ask for next; null where that was all. */
  readonly next: number | null;
  readonly error?: TrinoError;
  readonly rows: number;
  readonly startedAt: number;
  readonly elapsedMs: number;
}

/**
 * The slice of a Durable Object's storage that a result takes. Values are read and written at once: between reading the
 * record and writing it nothing else runs, or a poll would put back what the run has changed.
 */
export interface SpoolStorage {
  readonly kv: {
    get<T>(key: string): T | undefined;
    put<T>(key: string, value: T): void;
    delete(key: string): boolean;
  };
  deleteAll(): Promise<void>;
  setAlarm(atMs: number): Promise<void>;
}

const RECORD = "statement";
const pageKey = (number: number): string => `page-${number}`;

export class ResultSpool {
  readonly #storage: SpoolStorage;
  readonly #now: () => number;
  #waiting: (() => void)[] = [];

  constructor(storage: SpoolStorage, now: () => number) {
    this.#storage = storage;
    this.#now = now;
  }

  get record(): SpoolRecord | undefined {
    return this.#storage.kv.get<SpoolRecord>(RECORD);
  }

  async begin(given: Pick<SpoolRecord, "question" | "token" | "sight" | "describe">): Promise<void> {
    this.#write({ ...given, state: "running", startedAt: this.#now(), pages: 0, rows: 0, given: -1 });
    await this.#storage.setAlarm(this.#now() + TRINO.idleMs);
  }

  columns(columns: readonly TrinoColumn[]): void {
    this.#change(() => ({ columns }));
  }

  page(bytes: Uint8Array, rows: number): void {
    this.#change((record) => {
      this.#storage.kv.put(pageKey(record.pages), bytes);
      return { pages: record.pages + 1, rows: record.rows + rows };
    });
  }

  end(error?: TrinoError): void {
    this.#change(() => ({ state: error ? "failed" : "finished", endedAt: this.#now(), ...(error && { error }) }));
  }

  /** Whether a run that is gone may begin again. Ends the statement where it may not. */
  mayRepeat(): boolean {
    const { record } = this;
    if (record?.state !== "running") return false;
    if (record.given >= 0) {
      this.end(trinoError("SERVER_SHUTTING_DOWN", "The server was replaced while it answered: run it again"));
      return false;
    }
    for (let number = 0; number < record.pages; number++) this.#storage.kv.delete(pageKey(number));
    const { columns: _, ...rest } = record;
    this.#write({ ...rest, pages: 0, rows: 0 });
    return true;
  }

  /**
   * Waits until page `number` is there, or the statement is over, or the time is up.
   * @returns null where there is no such statement, or not this token's.
   */
  async poll(number: number, token: string, waitMs: number): Promise<SpoolAnswer | null> {
    if (this.record?.token !== token) return null;
    await this.#arrives(number, waitMs);
    // It may have been let go meanwhile.
    const { record } = this;
    if (!record) return null;
    const answer = this.#answer(record, number);
    await this.#storage.setAlarm(this.#now() + (answer.next === null ? TRINO.endedMs : TRINO.idleMs));
    return answer;
  }

  #answer(record: SpoolRecord, number: number): SpoolAnswer {
    const { state, columns, error, rows, startedAt, pages } = record;
    const elapsedMs = (record.endedAt ?? this.#now()) - startedAt;
    const base = { state, rows, startedAt, elapsedMs, ...(columns && { columns }) };
    if (number < pages) {
      const page = this.#storage.kv.get<Uint8Array>(pageKey(number));
      if (!page) return { ...base, state: "failed", next: null, error: ALREADY_READ };
      if (number > 0) this.#storage.kv.delete(pageKey(number - 1));
      this.#storage.kv.put(RECORD, { ...record, given: Math.max(record.given, number) });
      const isLast = state === "finished" && number === pages - 1;
      return { ...base, page, next: isLast ? null : number + 1 };
    }
    return { ...base, next: state === "running" ? number : null, ...(error && { error }) };
  }

  /** Lets go of everything. */
  async forget(): Promise<void> {
    await this.#storage.deleteAll();
    this.#wake();
  }

  /** Cancelled meanwhile: what comes late leaves nothing behind. */
  #change(change: (record: SpoolRecord) => Partial<SpoolRecord>): void {
    const { record } = this;
    if (record) this.#write({ ...record, ...change(record) });
  }

  #write(record: SpoolRecord): void {
    this.#storage.kv.put(RECORD, record);
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  /** Until the page is there, or no more will come, or the time is up. */
  async #arrives(number: number, waitMs: number): Promise<void> {
    const until = this.#now() + waitMs;
    for (;;) {
      const { record } = this;
      const left = until - this.#now();
      if (record?.state !== "running" || record.pages > number || left <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}

/** Two pages further on it was let go. */
const ALREADY_READ = trinoError("GENERIC_USER_ERROR", "This page was already read");
