/**
 * Several senders at once, as clients behave that were told to send again until they have an answer: single calls,
 * batches, lists and lines of JSON, packed or not, events twice in a request and requests sent again although they were
 * answered, clocks that are late, early or wrong, a request given up, a connection dropped in the middle of one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { Random } from "../../../scripts/demo/random.ts";
import { ORIGIN_HEADERS } from "../harness.ts";

const SENDERS = 4;
const REQUESTS_PER_SENDER = 14;
const USERS = 6;
const RETRY_MS = 30;
const TRIES_MAX = 400;
const HOUR_MS = 3_600_000;

export interface SentEvent {
  readonly id: string;
  readonly user: string | null;
  readonly device: string;
  readonly quarantined: boolean;
}

interface Call {
  readonly path: string;
  readonly body: string | Buffer;
  readonly ids: readonly string[];
}

export class Traffic {
  readonly prefix: string;
  /** Every event that was ever sent, by id. */
  readonly sent = new Map<string, SentEvent>();
  /** Ids of which some request was answered with 2xx. */
  readonly acked = new Set<string>();
  readonly counts = { requests: 0, failed: 0, repeated: 0, dropped: 0, givenUp: 0 };
  readonly #random: Random;
  readonly #url: () => string | null;
  readonly #done: Call[] = [];
  #numbers = 0;

  /** @param url where to send now; null while the system is down. */
  constructor(prefix: string, random: Random, url: () => string | null) {
    this.prefix = prefix;
    this.#random = new Random(random.int(0, 2 ** 31));
    this.#url = url;
  }

  get users(): readonly string[] {
    return Array.from({ length: USERS }, (_, i) => `${this.prefix}-user-${i}`);
  }

  get devices(): readonly string[] {
    return Array.from({ length: USERS + 2 }, (_, i) => `${this.prefix}-device-${i}`);
  }

  /** @throws Error where a request is refused for good, or not answered for far too long. */
  async run(): Promise<void> {
    await Promise.all(
      Array.from({ length: SENDERS }, async () => {
        for (let i = 0; i < REQUESTS_PER_SENDER; i++) await this.#deliver(this.#next());
      }),
    );
  }

  #next(): Call {
    if (this.#done.length > 0 && this.#random.chance(0.12)) {
      this.counts.repeated++;
      return this.#random.pick(this.#done);
    }
    return this.#call();
  }

  /** Sends until there is an answer. */
  async #deliver(call: Call): Promise<void> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const answer = await this.#post(call);
      if (answer === "ok") {
        for (const id of call.ids) this.acked.add(id);
        if (this.#done.length < 20) this.#done.push(call);
        return;
      }
      if (answer === "failed" && this.#random.chance(0.02)) {
        this.counts.givenUp++;
        return;
      }
      await sleep(RETRY_MS * (1 + this.#random.next()));
    }
    throw new Error(`${call.path} had no answer in ${TRIES_MAX} tries`);
  }

  async #post({ path, body }: Call): Promise<"ok" | "failed" | "down"> {
    const url = this.#url();
    if (url === null) return "down";
    this.counts.requests++;
    const isDropped = this.#random.chance(0.02);
    if (isDropped) this.counts.dropped++;
    try {
      const response = await fetch(url + path, {
        method: "POST",
        headers: ORIGIN_HEADERS.write,
        body: body as BodyInit,
        signal: AbortSignal.timeout(isDropped ? 3 : 20_000),
      });
      const text = await response.text();
      if (response.ok) return "ok";
      // A restart in between: the new process may not know its routes yet, but no 4xx is ever right here.
      if (response.status < 500 && response.status !== 429) throw new RangeError(`${path}: ${response.status} ${text}`);
      if (response.headers.get("retry-after") === null)
        throw new RangeError(`${path}: ${response.status} without Retry-After: ${text}`);
    } catch (error) {
      if (error instanceof RangeError) throw error;
    }
    this.counts.failed++;
    return "failed";
  }

  #call(): Call {
    const random = this.#random;
    const shape = random.pick(["one", "batch", "batch", "list", "lines", "lines"] as const);
    const count = shape === "one" ? 1 : random.int(1, 25);
    const clock = drawClock(random);
    const events = Array.from({ length: count }, () => this.#event(clock, shape === "one"));
    // Twice in one request.
    if (shape !== "one" && random.chance(0.2)) events.push(random.pick(events));
    const ids = events.map((event) => String(event.messageId));
    const sentAt = clock.sentAt === null ? {} : { sentAt: clock.sentAt };
    const pack = (text: string) => (random.chance(0.25) ? gzipSync(text) : text);
    switch (shape) {
      case "one":
        return { path: `/v1/${events[0]!.type}`, body: pack(JSON.stringify({ ...events[0], ...sentAt })), ids };
      case "batch":
        return { path: "/v1/batch", body: pack(JSON.stringify({ batch: events, ...sentAt })), ids };
      case "list":
        return { path: "/v1/events", body: pack(JSON.stringify({ events, ...sentAt })), ids };
      case "lines":
        return {
          path: "/v1/events",
          body: pack(events.map((event) => `${JSON.stringify({ ...event, ...sentAt })}\n`).join("")),
          ids,
        };
    }
  }

  #event({ timestamp }: Clock, alone: boolean): Record<string, unknown> {
    const random = this.#random;
    const id = `${this.prefix}-${this.#numbers++}`;
    const number = random.int(0, USERS - 1);
    const isAnonymous = random.chance(0.2);
    const user = isAnonymous ? null : `${this.prefix}-user-${number}`;
    // Now and then a user's other device.
    const device = `${this.prefix}-device-${random.chance(0.1) ? USERS + random.int(0, 1) : number}`;
    const quarantined = !alone && random.chance(0.03);
    this.sent.set(id, { id, user, device, quarantined });
    const type = random.pick(["track", "track", "page", "identify"] as const);
    return {
      type: quarantined ? "track" : type,
      ...(type === "track" && !quarantined && { event: `Chaos ${this.prefix}` }),
      messageId: id,
      anonymousId: device,
      ...(user !== null && { userId: user }),
      ...(timestamp !== null && { timestamp }),
      [type === "identify" ? "traits" : "properties"]: { number, revenue: random.int(0, 10_000) / 100 },
    };
  }
}

interface Clock {
  readonly timestamp: string | number | null;
  readonly sentAt: string | null;
}

function drawClock(random: Random): Clock {
  const now = Date.now();
  const iso = (ms: number) => new Date(ms).toISOString();
  switch (random.pick(["right", "right", "right", "none", "late", "days", "ahead", "1970", "2099"] as const)) {
    case "right":
      return { timestamp: iso(now), sentAt: iso(now) };
    case "none":
      return { timestamp: null, sentAt: null };
    case "late":
      return { timestamp: iso(now - 2 * HOUR_MS), sentAt: iso(now) };
    case "days":
      return { timestamp: iso(now - random.int(1, 5) * 24 * HOUR_MS), sentAt: null };
    case "ahead":
      return { timestamp: iso(now + 3 * HOUR_MS), sentAt: iso(now + 3 * HOUR_MS + 50) };
    case "1970":
      return { timestamp: 12_345, sentAt: null };
    case "2099":
      return { timestamp: "2099-12-31T23:59:59.999Z", sentAt: null };
  }
}
