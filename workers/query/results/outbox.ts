/**
 * Answers on their way to clients, as far as they are in memory. Whoever writes one asks for room and waits while too
 * much of it is unread, so that a slow reader slows down its own statement and takes no memory; who reads nothing at
 * all for `SQL.stallMs` is given up.
 *
 * Several objects of an isolate share its memory, and so one Outbox; but none may touch another's streams. So what is
 * given up is only forgotten here, and its reader finds out by its own next pull.
 *
 * An answer that ends early gets an end that no reader takes for one (`brokenEnd`), not an error of its stream: on its way
 * through services workerd turns such an error into a clean end, or into an answer that never began.
 */
import { SQL } from "../../../r2-layout/limits.ts";
import { StatementFailed } from "../problem.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export class Outbox {
  readonly #bodies = new Set<AnswerBody>();
  /** Unread bytes of all answers. */
  bytes = 0;

  /** @param brokenEnd what follows where the answer ends early. */
  open(brokenEnd: (reason: string) => Bytes): AnswerBody {
    this.#giveUpStalled(Date.now());
    const body = new AnswerBody(this, brokenEnd);
    this.#bodies.add(body);
    return body;
  }

  closed(body: AnswerBody): void {
    this.#bodies.delete(body);
  }

  #giveUpStalled(now: number): void {
    for (const body of this.#bodies) {
      if (body.isWritten && now - body.takenAt > SQL.stallMs) body.fail("reader_too_slow");
    }
  }
}

export class AnswerBody {
  readonly #outbox: Outbox;
  #pieces: Bytes[] = [];
  #next = 0;
  #bytes = 0;
  readonly #brokenEnd: (reason: string) => Bytes;
  #state: "open" | "written" | "failed" = "open";
  #gone = false;
  /** Wakes the reader that waits for a piece, and the writer that waits for room. */
  #piece: (() => void) | null = null;
  #room: (() => void) | null = null;
  /** Milliseconds, when something was last taken. */
  takenAt = Date.now();

  constructor(outbox: Outbox, brokenEnd: (reason: string) => Bytes) {
    this.#outbox = outbox;
    this.#brokenEnd = brokenEnd;
  }

  /** Unread bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  get isWritten(): boolean {
    return this.#state === "written";
  }

  add(piece: Bytes): void {
    if (this.#state !== "open" || this.#gone) return;
    this.#pieces.push(piece);
    this.#count(piece.length);
    this.#piece?.();
  }

  /** What was added is all. */
  end(): void {
    if (this.#state !== "open") return;
    this.#state = "written";
    this.#piece?.();
  }

  /** What is unread is dropped, and the reader gets the end that says so. */
  fail(reason: string): void {
    if (this.#state === "failed") return;
    this.#state = "failed";
    this.#drop();
    const end = this.#brokenEnd(reason);
    if (!this.#gone && end.length > 0) {
      this.#pieces.push(end);
      this.#count(end.length);
    }
    this.#piece?.();
  }

  /**
   * Waits until at most `most` bytes of it are unread.
   * @param check asked now and then; may throw.
   * @param patienceMs how long the reader may take nothing.
   * @throws StatementFailed where the reader has gone, or takes nothing.
   */
  async room(most: number, check: () => void, patienceMs: () => number): Promise<void> {
    const since = Date.now();
    while (this.#bytes > most) {
      const taken = Promise.withResolvers<void>();
      this.#room = taken.resolve;
      await Promise.race([taken.promise, scheduler.wait(LOOK_MS)]);
      this.#room = null;
      check();
      if (this.#gone) throw new StatementFailed({ reason: "statement_cancelled" });
      if (Date.now() - Math.max(since, this.takenAt) > patienceMs()) {
        throw new StatementFailed({ reason: "reader_too_slow", limit_ms: patienceMs() });
      }
    }
    if (this.#gone) throw new StatementFailed({ reason: "statement_cancelled" });
  }

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        pull: (controller) => this.#pull(controller),
        cancel: () => {
          this.#gone = true;
          this.#drop();
          this.#room?.();
        },
      },
      { highWaterMark: 0 },
    );
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.takenAt = Date.now();
    while (this.#next >= this.#pieces.length && this.#state === "open") {
      const added = Promise.withResolvers<void>();
      this.#piece = added.resolve;
      await added.promise;
      this.#piece = null;
    }
    this.takenAt = Date.now();
    const piece = this.#pieces[this.#next];
    if (!piece) {
      this.#outbox.closed(this);
      return controller.close();
    }
    // What was read is let go at once; the list itself now and then.
    this.#pieces[this.#next++] = NOTHING;
    if (this.#next >= 256) {
      this.#pieces = this.#pieces.slice(this.#next);
      this.#next = 0;
    }
    this.#count(-piece.length);
    controller.enqueue(piece);
    this.#room?.();
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#outbox.bytes += bytes;
  }

  #drop(): void {
    this.#count(-this.#bytes);
    this.#pieces = [];
    this.#next = 0;
    this.#outbox.closed(this);
  }
}

const NOTHING: Bytes = new Uint8Array(0);
/** While it waits, a writer gives its sign of life so often. */
const LOOK_MS = 100;
