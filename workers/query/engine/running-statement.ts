/** A statement that an engine has taken on: whether it is to end, and how far it has come, for whoever asks. */
import type { StatementProgress } from "./statement.ts";
import type { VirtualFiles } from "./virtual-files.ts";

/** What the reader of its data files counts. */
interface ReadSoFar {
  readonly bytesRead: number;
  readonly bytesNeeded: number;
}

export class RunningStatement {
  readonly id: string;
  readonly #startedAt: number;
  cancelled = false;
  /** Rows of the result so far. */
  rows = 0;
  #reads: ReadSoFar | null = null;
  #scannedBytes = 0;

  /** @param startedAt milliseconds, when the request came. */
  constructor(id: string, startedAt: number) {
    this.id = id;
    this.#startedAt = startedAt;
  }

  /** Its turn has come. @param reads goes on counting. */
  runs(reads: ReadSoFar): void {
    this.#reads = reads;
  }

  /** DuckDB has taken so many more bytes of the data files. */
  scanned(bytes: number): void {
    this.#scannedBytes += bytes;
  }

  /** @param now milliseconds. */
  progress(now: number): StatementProgress {
    const planned = this.#reads?.bytesNeeded ?? 0;
    return {
      id: this.id,
      state: this.#reads ? "running" : "queued",
      bytes_planned: planned,
      bytes_read: this.#reads?.bytesRead ?? 0,
      // A statement may scan a table twice; what it was planned to read is all that a bar can show.
      bytes_scanned: Math.min(planned, this.#scannedBytes),
      rows: this.rows,
      elapsed_ms: now - this.#startedAt,
    };
  }
}

/** The statement's files, with what DuckDB takes of them counted. */
export class CountedFiles implements VirtualFiles {
  readonly #files: VirtualFiles;
  readonly #statement: RunningStatement;

  constructor(files: VirtualFiles, statement: RunningStatement) {
    this.#files = files;
    this.#statement = statement;
  }

  names(): Iterable<string> {
    return this.#files.names();
  }

  size(name: string): number | undefined {
    return this.#files.size(name);
  }

  read(name: string, at: number, length: number): Uint8Array | Promise<Uint8Array> {
    this.#statement.scanned(length);
    return this.#files.read(name, at, length);
  }
}
