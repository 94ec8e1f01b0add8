/** What keeps one isolate of the edge standing when the parts behind it refuse, hang, or more comes than it can hold. */
import { INGEST } from "../../r2-layout/limits.ts";
import type { MessageQueue } from "./event-sender.ts";

/** A part that did not answer in its time. It may still do what it was asked. */
export class TimedOut extends Error {
  constructor(what: string, ms: number) {
    super(`${what} did not answer within ${ms} ms`);
    this.name = "TimedOut";
  }
}

/** @throws TimedOut; the work itself goes on, and what it throws later is nobody's */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimedOut(what, ms)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}

/**
 * A queue that fails where it hangs: its sender is told to come again, and holds nothing any more. What it was given may
 * be on it all the same, as after any failed send.
 */
export const boundedQueue = (queue: MessageQueue, ms: number = INGEST.sendTimeoutMs): MessageQueue => ({
  send: (body, options) => within(ms, "queue", queue.send(body, options)),
  sendBatch: (messages) => within(ms, "queue", queue.sendBatch(messages)),
});

/**
 * Bytes of the bodies that one isolate holds at once. While the queues hang, requests pile up: beyond the limit they are
 * turned away before they are read. One alone always fits, whatever its size.
 */
export class HeldBytes {
  readonly #limit: number;
  readonly #ms: number;
  readonly #now: () => number;
  readonly #holds = new Set<{ bytes: number; readonly until: number }>();
  #bytes = 0;

  /** @param ms after so long a hold is forgotten: an invocation that was cut off releases nothing. */
  constructor(limit: number = INGEST.heldBytes, ms: number = INGEST.heldMs, now: () => number = Date.now) {
    this.#limit = limit;
    this.#ms = ms;
    this.#now = now;
  }

  get bytes(): number {
    return this.#bytes;
  }

  begin(): Hold {
    const own = { bytes: 0, until: this.#now() + this.#ms };
    this.#holds.add(own);
    return {
      grow: (to) => {
        const more = to - own.bytes;
        if (more <= 0) return true;
        if (!this.#hasRoom(own.bytes, more)) return false;
        if (this.#holds.has(own)) this.#bytes += more;
        own.bytes = to;
        return true;
      },
      release: () => this.#forget(own),
    };
  }

  #hasRoom(own: number, more: number): boolean {
    if (this.#bytes + more > this.#limit) {
      const now = this.#now();
      for (const hold of this.#holds) if (hold.until <= now) this.#forget(hold);
    }
    return this.#bytes + more <= this.#limit || this.#bytes === own;
  }

  #forget(hold: { bytes: number; readonly until: number }): void {
    if (this.#holds.delete(hold)) this.#bytes -= hold.bytes;
  }
}

/** One request's share. */
export interface Hold {
  /** To so many bytes in all. @returns false where there is no room: then nothing was changed */
  grow(to: number): boolean;
  /** Safe to repeat. */
  release(): void;
}
