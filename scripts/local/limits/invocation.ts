/**
 * What one invocation of a Worker has used of Cloudflare's limits. The runtime enforces none of them locally, so that
 * code would work here and fail there. The invocation is found by its async context, so bindings are wrapped once.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { PLATFORM } from "../../../r2-layout/limits.ts";

export class Invocation {
  readonly #subrequestsMax: number;
  #subrequests = 0;
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

/** For calls outside any handler (constructors, wasm stacks that lost their context): no bound on subrequests. */
const outside = new Invocation(Number.POSITIVE_INFINITY);

export const inInvocation = <T>(run: () => T): T => current.run(new Invocation(), run);
export const invocation = (): Invocation => current.getStore() ?? outside;
