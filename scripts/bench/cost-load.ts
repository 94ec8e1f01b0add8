/**
 * Traffic of a bill: so many events a second, by people who each send a request of so many events every few seconds. Ids
 * are random and texts vary, as in life: what repeats too well costs nothing to store.
 */
import { randomInt, randomUUID } from "node:crypto";
import { ORIGIN_HEADERS, type RunningSystem } from "../../test/system/harness.ts";
import { reconnecting } from "./steady-load.ts";

const AGENTS = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0",
];
const REFERRERS = ["https://www.example.org/", "https://news.example.net/a", ""];
const NAMES = ["Product Viewed", "Product Added", "Cart Viewed", "Checkout Started", "Order Completed", "page"];
/** A person sends every so many seconds. */
const SECONDS_BETWEEN = 6;
/** So many at least, three times as many at most, before the traffic begins: a row of a timeline holds a hundred. */
const EVENTS_BEFORE = 100;
const EVENTS_AT_ONCE = 20;

export interface CostLoadOptions {
  readonly eventsPerSecond: number;
  readonly eventsPerRequest: number;
}

export class CostLoad {
  readonly #on: RunningSystem;
  readonly #options: CostLoadOptions;
  readonly #people: number;
  readonly #ids: readonly { readonly user: string; readonly device: string; readonly agent: string }[];
  readonly #inFlight = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | null = null;
  #requests = 0;
  #failed: unknown;
  /** Accepted so far. */
  events = 0;
  requests = 0;

  constructor(on: RunningSystem, options: CostLoadOptions) {
    this.#on = on;
    this.#options = options;
    this.#people = Math.ceil((options.eventsPerSecond / options.eventsPerRequest) * SECONDS_BETWEEN);
    this.#ids = Array.from({ length: this.#people }, (_, i) => ({
      user: randomUUID(),
      device: randomUUID(),
      agent: AGENTS[i % AGENTS.length]!,
    }));
  }

  /** One person's month: so many events, request after request. */
  async month(events: number): Promise<void> {
    for (let sent = 0; sent < events; sent += EVENTS_AT_ONCE) await this.#send(0, EVENTS_AT_ONCE);
  }

  /**
   * Everybody has a past, of different length: what comes later finds their objects there, and not all of them are at the
   * same point of filling a row.
   */
  async meetEverybody(): Promise<void> {
    const together = 10;
    for (let from = 0; from < this.#people; from += together) {
      const people = Array.from({ length: Math.min(together, this.#people - from) }, (_, i) => from + i);
      await Promise.all(people.map((person) => this.#send(person, randomInt(EVENTS_BEFORE, 3 * EVENTS_BEFORE))));
    }
  }

  start(): void {
    const { eventsPerSecond, eventsPerRequest } = this.#options;
    const first = this.#requests;
    const startedAt = performance.now();
    this.#timer = setInterval(() => {
      const due = first + ((performance.now() - startedAt) / 1_000) * (eventsPerSecond / eventsPerRequest);
      while (this.#requests < due) {
        const sent = this.#send(this.#requests++ % this.#people, eventsPerRequest)
          .catch((error) => {
            this.#failed ??= error;
          })
          .finally(() => this.#inFlight.delete(sent));
        this.#inFlight.add(sent);
      }
    }, 10);
  }

  /** @throws what a request threw. */
  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    await Promise.all(this.#inFlight);
    if (this.#failed) throw this.#failed;
  }

  #send(person: number, events: number): Promise<void> {
    const now = Date.now();
    const batch = Array.from({ length: events }, (_, i) => this.#event(person, i, now));
    const body = JSON.stringify({ batch, sentAt: new Date(now).toISOString() });
    return reconnecting(async () => {
      const response = await fetch(`${this.#on.url}/v1/batch`, { method: "POST", headers: ORIGIN_HEADERS.write, body });
      const text = await response.text();
      if (!response.ok) throw new Error(`ingest answered ${response.status}: ${text}`);
      this.events += events;
      this.requests++;
    });
  }

  #event(person: number, index: number, nowMs: number): object {
    const product = randomInt(5_000);
    const name = NAMES[randomInt(NAMES.length)]!;
    const { user, device, agent } = this.#ids[person]!;
    return {
      type: name === "page" ? "page" : "track",
      event: name,
      messageId: `ajs-next-${nowMs}-${randomUUID()}`,
      userId: user,
      anonymousId: device,
      timestamp: new Date(nowMs - index * 400 - randomInt(400)).toISOString(),
      properties: { sku: `sku-${product}`, price: randomInt(20_000) / 100, currency: "EUR", position: randomInt(40) },
      context: {
        page: {
          path: `/p/${product}`,
          url: `https://shop.example/p/${product}?ref=${randomInt(100_000)}`,
          title: `Product ${product}`,
          referrer: REFERRERS[randomInt(REFERRERS.length)],
        },
        userAgent: agent,
        locale: "en-GB",
        screen: { width: 1_920, height: 1_080 },
      },
    };
  }
}
