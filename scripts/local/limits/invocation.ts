/**
 * What one invocation of a Worker has used of Cloudflare's limits. The runtime enforces none of them locally, so that
 * code would work here and fail there. The invocation is found by its async context, so bindings are wrapped once.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { PLATFORM } from "../../../r2-layout/limits.ts";
import { type Cut, faults } from "../faults/injector.ts";
import { usage } from "../meter/usage.ts";

/**
 * After so long, an invocation that calls objects waits for the event loop. In production such a call goes over a
 * network; in one local process a chain of them, each with its fsync, never lets the loop look at its sockets: an
 * import's first 3,700 new objects kept every client waiting for 32 s, and their connections were dropped.
 */
const MS_BETWEEN_PAUSES = 20;

export class Invocation {
  readonly #subrequestsMax: number;
  readonly #cut: Cut | null;
  #subrequests = 0;
  #pausedAt = Date.now();
  #pause: Promise<void> | null = null;
  #connections = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param cut where it is to end before its time. */
  constructor(subrequestsMax: number = PLATFORM.subrequests, cut: Cut | null = null) {
    this.#subrequestsMax = subrequestsMax;
    this.#cut = cut;
  }

  /** Makes a call to a queue, an object or R2, unless a fault comes between. */
  call<T>(area: string, name: string, run: () => Promise<T>): Promise<T> {
    usage.add(`${area}/${name}`);
    if (this.#cut === null && faults.isIdle) return run();
    const made = () => faults.around(area, name, run);
    return this.#cut ? this.#cut.call(made) : made();
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

/** As a consumer's: it ends where the cut, if any, ends it. */
export function inConsumer<T>(queue: string, run: () => Promise<T>): Promise<T> {
  const cut = faults.cutFor(queue);
  const ran = current.run(new Invocation(PLATFORM.subrequests, cut), run);
  return cut ? Promise.race([ran, cut.over]) : ran;
}

export const invocation = (): Invocation => current.getStore() ?? outside;
