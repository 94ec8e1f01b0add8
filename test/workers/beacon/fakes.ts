/** A clock with timers that a test moves, and a transport that answers as told. */
import type { Answer, Clock, Transport } from "../../../workers/beacon/sender.ts";

export class FakeClock implements Clock {
  time = Date.UTC(2026, 10, 22, 5);
  #timers = new Map<number, { at: number; run: () => void }>();
  #last = 0;
  /** Timers that have run. */
  fired = 0;
  now = () => this.time;
  random = () => 0;
  setTimer = (run: () => void, ms: number): unknown => {
    this.#timers.set(++this.#last, { at: this.time + ms, run });
    return this.#last;
  };
  clearTimer = (timer: unknown): void => void this.#timers.delete(timer as number);
  get timers(): number {
    return this.#timers.size;
  }
  /** Moves on, running what falls due in its order and letting promises settle after each. */
  async pass(ms: number): Promise<void> {
    const until = this.time + ms;
    for (;;) {
      await settle();
      const due = [...this.#timers].filter(([, timer]) => timer.at <= until).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.time = Math.max(this.time, due[1].at);
      this.fired++;
      due[1].run();
    }
    this.time = until;
  }
}

export interface Sent {
  readonly by: "post" | "beacon";
  readonly at: number;
  readonly bytes: number;
  readonly ids: string[];
}

type Reply = Answer | "no answer" | "never";

export class FakeTransport implements Transport {
  readonly sent: Sent[] = [];
  /** Replies to come; when empty, 200. */
  replies: Reply[] = [];
  isOnline = true;
  beaconTakes = true;
  #clock: Clock;
  #pending: ((answer: Answer) => void)[] = [];
  constructor(clock: Clock) {
    this.#clock = clock;
  }
  online = () => this.isOnline;
  async post(body: string): Promise<Answer> {
    this.#note("post", body);
    const reply = this.replies.shift() ?? { status: 200, retryAfter: null };
    if (reply === "never") return new Promise((resolve) => this.#pending.push(resolve));
    if (reply === "no answer") throw new TypeError("Failed to fetch");
    return reply;
  }
  /** Answers what was told `never`. */
  answer(status: number): void {
    for (const resolve of this.#pending.splice(0)) resolve({ status, retryAfter: null });
  }
  beacon(body: string): boolean {
    if (this.beaconTakes) this.#note("beacon", body);
    return this.beaconTakes;
  }
  get ids(): string[] {
    return this.sent.flatMap((request) => request.ids);
  }
  #note(by: Sent["by"], body: string): void {
    const { events } = JSON.parse(body) as { events: { event_id: string }[] };
    const bytes = new TextEncoder().encode(body).length;
    this.sent.push({ by, at: this.#clock.now(), bytes, ids: events.map((event) => event.event_id) });
  }
}

export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}
