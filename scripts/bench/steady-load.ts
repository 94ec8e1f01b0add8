/** Live traffic of a benchmark: so many events a second, until it is stopped; of 50 users, 10 a request, unless told otherwise. */
import { ORIGIN_HEADERS, type RunningSystem } from "../../test/system/harness.ts";

export interface LoadOptions {
  readonly users: number;
  /** What their ids begin with. */
  readonly named: string;
  readonly perRequest: number;
}

const USUAL: LoadOptions = { users: 50, named: "load", perRequest: 10 };

export class SteadyLoad {
  readonly #on: RunningSystem;
  readonly #options: LoadOptions;
  readonly #name = Date.now().toString(36);
  readonly #timer: NodeJS.Timeout;
  readonly #inFlight = new Set<Promise<void>>();
  #requests = 0;
  #accepted = 0;
  #failed: unknown;

  constructor(on: RunningSystem, eventsPerSecond: number, options: LoadOptions = USUAL) {
    this.#on = on;
    this.#options = options;
    const startedAt = performance.now();
    this.#timer = setInterval(() => {
      const due = ((performance.now() - startedAt) / 1_000) * (eventsPerSecond / options.perRequest);
      while (this.#requests < due) this.#send(this.#requests++);
    }, 5);
  }

  /** @returns events accepted. @throws what a request threw. */
  async stop(): Promise<number> {
    clearInterval(this.#timer);
    await Promise.all(this.#inFlight);
    if (this.#failed) throw this.#failed;
    return this.#accepted;
  }

  #send(request: number): void {
    const sent = postEvents(
      this.#on,
      Array.from({ length: this.#options.perRequest }, (_, i) => this.#event(request, i)),
    )
      .then(() => {
        this.#accepted += this.#options.perRequest;
      })
      .catch((error) => {
        this.#failed ??= error;
      })
      .finally(() => this.#inFlight.delete(sent));
    this.#inFlight.add(sent);
  }

  #event(request: number, index: number): object {
    const { users, named } = this.#options;
    const user = request % users;
    return {
      event_id: `${named}-${this.#name}-${request}-${index}`,
      event_name: ["page", "product_viewed", "product_added", "search"][index % 4],
      event_type: index % 4 === 0 ? "page" : "track",
      user_id: `${named}-user-${user}`,
      anonymous_id: `${named}-device-${user}`,
      page_path: `/products/${(request * 7 + index) % 200}`,
      properties: { position: index, list: "search results", query: "red shoes" },
    };
  }
}

/** @throws Error unless they were accepted. Their ids make a repeat harmless. */
export const postEvents = (on: RunningSystem, events: readonly object[]): Promise<void> =>
  reconnecting(async () => {
    const response = await fetch(`${on.url}/v1/events`, {
      method: "POST",
      headers: ORIGIN_HEADERS.write,
      body: JSON.stringify({ events }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`ingest answered ${response.status}: ${text}`);
  });

const ATTEMPTS = 5;
const AGAIN_MS = 100;

/** What may be asked twice, asked again where a kept connection had just been closed. @throws what it threw at last */
export async function reconnecting<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof TypeError) || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}
