/**
 * Empties the queue: a batch when enough wait or the oldest has waited long enough, one request at a time, so that
 * events arrive in order. What failed is sent again with the same event ids, after the wait the server named or a
 * doubling one. A 4xx that time does not cure drops the batch, or it would block all that follow.
 */
import type { Queue } from "./queue.ts";

/** keepalive requests and sendBeacon share 64 KiB in flight. */
export const REQUEST_BYTES = 60_000;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 60_000;

export interface Answer {
  readonly status: number;
  /** The header, seconds or a date. */
  readonly retryAfter: string | null;
  /** Indexes of the events that the server could not take now, where it has taken others. */
  readonly again?: readonly number[];
}

export interface Transport {
  /** Rejects when there is no answer. */
  post(body: string): Promise<Answer>;
  /** Hands a last request to the browser, which sends it after the page is gone; false when it does not take it. */
  beacon(body: string): boolean;
  online(): boolean;
}

export interface Clock {
  now(): number;
  setTimer(run: () => void, ms: number): unknown;
  clearTimer(timer: unknown): void;
  /** In [0, 1). */
  random(): number;
}

export interface SenderOptions {
  flushMs: number;
  flushCount: number;
}

export interface Sender {
  add(json: string): void;
  /** Sends all that waits, as far as the server lets it. Resolves when it is done or has to wait. */
  flush(): Promise<void>;
  /** The page is going or may be: new events leave by sendBeacon, what may have failed is saved for the next page. */
  hide(): void;
  /** There is a network again, or a new page: takes over what is left, and sends. */
  resume(): void;
}

export function createSender(queue: Queue, transport: Transport, clock: Clock, options: SenderOptions): Sender {
  let timer: unknown;
  let failures = 0;
  /** The server asked for silence until then; even `flush` keeps it. */
  let notBefore = 0;
  let running: Promise<void> | undefined;

  const body = (batch: readonly { json: string }[]) =>
    `{"sent_at":"${new Date(clock.now()).toISOString()}","events":[${batch.map((entry) => entry.json)}]}`;

  const wake = (ms: number) => {
    clock.clearTimer(timer);
    timer = clock.setTimer(flush, Math.max(ms, notBefore - clock.now()));
  };

  const drain = async () => {
    while (queue.entries.length && transport.online() && clock.now() >= notBefore) {
      const batch = queue.head(options.flushCount, REQUEST_BYTES);
      for (const entry of batch) entry.tried = true;
      const answer = await transport.post(body(batch)).catch(() => undefined);
      const status = answer?.status ?? 0;
      const again = answer?.again;
      const failed = status < 200 || status === 408 || status === 429 || status > 499;
      if (again || !failed) queue.remove(batch.filter((_, index) => !again?.includes(index)));
      if (failed || again?.length) {
        failures++;
        const asked = waitAsked(answer?.retryAfter, clock.now());
        notBefore = clock.now() + asked;
        const doubling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (failures - 1));
        queue.save();
        // Half of it at random, or every page that saw the outage would come back in the same second.
        return wake(Math.max(asked, doubling * (0.5 + clock.random() / 2)));
      }
      failures = 0;
    }
    if (queue.entries.length) queue.save();
  };

  const flush = (): Promise<void> => {
    clock.clearTimer(timer);
    timer = undefined;
    running ??= drain().finally(() => {
      running = undefined;
      // An event may have come after the last look at the queue, or `flush` been called in the server's silence.
      if (queue.entries.length && !timer && transport.online()) wake(options.flushMs);
    });
    return running;
  };

  return {
    add(json) {
      queue.add(json);
      if (failures || !transport.online()) return queue.save();
      if (queue.entries.length >= options.flushCount) void flush();
      else if (!running) timer ??= clock.setTimer(flush, options.flushMs);
    },
    flush,
    hide() {
      if (!failures && transport.online()) {
        let fresh = queue.entries.filter((entry) => !entry.tried);
        while (fresh.length) {
          const batch = queue.head(fresh.length, REQUEST_BYTES, fresh);
          if (!transport.beacon(body(batch))) break;
          queue.remove(batch);
          fresh = fresh.slice(batch.length);
        }
      }
      queue.save(true);
    },
    resume() {
      queue.adopt();
      failures = 0;
      void flush();
    },
  };
}

/** @returns milliseconds, at most a day; 0 where the header says nothing. */
function waitAsked(header: string | null | undefined, now: number): number {
  if (!header) return 0;
  const ms = Number(header) * 1000 || Date.parse(header) - now;
  return Math.min(Math.max(ms, 0) || 0, 86_400_000);
}
