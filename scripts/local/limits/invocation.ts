/**
 * What one invocation of a Worker has used of Cloudflare's limits. The runtime enforces none of them locally, so that
 * code would work here and fail there. The invocation is found by its async context, so bindings are wrapped once.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { PLATFORM } from "../../../r2-layout/limits.ts";

/**
 * After so long, an invocation that calls objects waits for the event loop. In production such a call goes over a
 * network; in one local process a chain of them, each with its fsync, never lets the loop look at its sockets: an
 * import's first 3,700 new objects kept every client waiting for 32 s, and their connections were dropped.
 */
const MS_BETWEEN_PAUSES = 20;

export class Invocation {
  readonly #subrequestsMax: number;
  #subrequests = 0;
  #pausedAt = Date.now();
  #pause: Promise<void> | null = null;
  #connections = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(subrequestsMax: number = PLATFORM.subrequests) {
    this.#subrequestsMax = subrequestsMax;
  }

  /** @throws Error on the first subrequest beyond the limit, with production's words. */
  countSubrequest(): void {
    if (++this.#subrequests > this.#subrequestsMax) {
      throw new Error(`Too many subrequests by single Worker invocation (limit ${this.#subrequestsMax}).`);
    }
  }

  /** Before a call to an object: lets sockets be served now and then, in the middle of a chain of such calls. */
  async paused(): Promise<void> {
    if (this.#pause === null && Date.now() - this.#pausedAt >= MS_BETWEEN_PAUSES) {
      this.#pause = scheduler.wait(1).then(() => {
        this.#pause = null;
        this.#pausedAt = Date.now();
      });
    }
    if (this.#pause) await this.#pause;
  }

  /** Runs a call that holds a connection until it is answered; the seventh waits its turn, as in production. */
  async connected<T>(call: () => Promise<T>): Promise<T> {
    this.countSubrequest();
    // A loop, because a call that starts between a release and its waiter's turn may take the place.
    while (this.#connections >= PLATFORM.simultaneousConnections) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#connections++;
    try {
      return await call();
    } finally {
      this.#connections--;
      this.#waiting.shift()?.();
    }
  }
}

const current = new AsyncLocalStorage<Invocation>();

/**
 * For calls outside any handler (constructors, wasm stacks that lost their context): no bound on subrequests, and no
 * pause, because one request may not wait for another's timer.
 */
class Outside extends Invocation {
  override async paused(): Promise<void> {}
}
const outside = new Outside(Number.POSITIVE_INFINITY);

export const inInvocation = <T>(run: () => T): T => current.run(new Invocation(), run);
export const invocation = (): Invocation => current.getStore() ?? outside;
