/**
 * How long after its acceptance an event is in a websocket frame, in its user's timeline and in SQL. A probe is one event
 * of a user of its own, in a currency of its own: the frame that names the currency holds the probe.
 */
import type { RunningSystem } from "../../test/system/harness.ts";
import { postEvents, reconnecting } from "./steady-load.ts";

const EVERY_MS = 500;
const GIVE_UP_MS = 60_000;
const RECENT =
  "select event_id from events where event_name = 'probe' and event_time > now()::timestamp - interval 5 minute";
/** Currencies of probes: a letter that no code begins with, and so many that a socket sees none twice. */
const LETTERS = 26;

/** Milliseconds; infinite where it was not seen in time. */
export type ProbeDelays = Readonly<Record<"frame" | "timeline" | "sql", number>>;

interface Probe {
  readonly id: string;
  acceptedAt: number;
  readonly seenAt: { frame?: number; timeline?: number; sql?: number };
}

export class Probes {
  readonly #on: RunningSystem;
  readonly #name: string;
  readonly #socket: WebSocket;
  readonly #probes: Probe[] = [];
  readonly #byCurrency = new Map<string, Probe>();
  readonly #timelines: Promise<void>[] = [];
  readonly #openInSql = new Set<Probe>();
  readonly #sql: Promise<void>;
  #nextAt = performance.now();
  #closing = false;

  private constructor(on: RunningSystem, name: string, socket: WebSocket) {
    this.#on = on;
    this.#name = `${name}-${Date.now().toString(36)}`;
    this.#socket = socket;
    socket.addEventListener("message", (message) => this.#frame(String(message.data)));
    this.#sql = this.#pollSql();
    this.#sql.catch(() => {});
  }

  static async open(on: RunningSystem, name: string): Promise<Probes> {
    const socket = new WebSocket(`${on.url.replace("http", "ws")}/v1/live?token=${on.token}`);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error("the live socket did not open")), { once: true });
    });
    return new Probes(on, name, socket);
  }

  /** Sends a probe when its time has come. */
  async next(): Promise<void> {
    await sleep(Math.max(0, this.#nextAt - performance.now()));
    this.#nextAt = Math.max(this.#nextAt + EVERY_MS, performance.now());
    const index = this.#probes.length;
    const probe: Probe = { id: `${this.#name}-${index}`, acceptedAt: 0, seenAt: {} };
    const currency = currencyOf(this.#name.startsWith("a") ? "Q" : "X", index);
    this.#byCurrency.set(currency, probe);
    this.#probes.push(probe);
    await postEvents(this.#on, [
      {
        event_id: probe.id,
        event_name: "probe",
        event_type: "track",
        user_id: probe.id,
        properties: { revenue: 1, currency },
      },
    ]);
    probe.acceptedAt = performance.now();
    this.#openInSql.add(probe);
    const seen = this.#pollTimeline(probe);
    seen.catch(() => {}); // Awaited in the end.
    this.#timelines.push(seen);
  }

  /** Waits until each probe was seen everywhere, or long enough. */
  async done(): Promise<ProbeDelays[]> {
    this.#closing = true;
    await Promise.all([...this.#timelines, this.#sql]);
    const until = performance.now() + GIVE_UP_MS;
    while (this.#probes.some(({ seenAt }) => seenAt.frame === undefined) && performance.now() < until) await sleep(50);
    this.#socket.close();
    return this.#probes.map(({ acceptedAt, seenAt }) => {
      const delay = (at: number = Number.POSITIVE_INFINITY) => Math.max(0, at - acceptedAt);
      return { frame: delay(seenAt.frame), timeline: delay(seenAt.timeline), sql: delay(seenAt.sql) };
    });
  }

  #frame(text: string): void {
    const frame = JSON.parse(text) as { minutes?: { revenue: object }[]; revenue?: object };
    for (const minute of frame.minutes ?? [frame]) {
      for (const currency of Object.keys(minute.revenue ?? {})) {
        const probe = this.#byCurrency.get(currency);
        if (probe) probe.seenAt.frame ??= performance.now();
      }
    }
  }

  async #pollTimeline(probe: Probe): Promise<void> {
    while (performance.now() - probe.acceptedAt < GIVE_UP_MS) {
      const { events } = await reconnecting(() => this.#on.userEvents(probe.id));
      if (events.some(({ event_id }) => event_id === probe.id)) {
        probe.seenAt.timeline = performance.now();
        return;
      }
      await sleep(100);
    }
  }

  async #pollSql(): Promise<void> {
    let until = Number.POSITIVE_INFINITY;
    while (!this.#closing || (this.#openInSql.size > 0 && performance.now() < until)) {
      if (this.#closing && until === Number.POSITIVE_INFINITY) until = performance.now() + GIVE_UP_MS;
      if (this.#openInSql.size > 0) {
        const answer = await reconnecting(() => this.#on.sql(RECENT));
        const found = new Set(answer.rows.map(([id]) => id));
        for (const probe of this.#openInSql) {
          if (!found.has(probe.id)) continue;
          probe.seenAt.sql = performance.now();
          this.#openInSql.delete(probe);
        }
      }
      await sleep(250);
    }
  }
}

/** `QAA`, `QAB`, … : three letters, never a real currency's. */
function currencyOf(first: string, index: number): string {
  const letter = (n: number) => String.fromCharCode(65 + (n % LETTERS));
  return `${first}${letter(Math.floor(index / LETTERS))}${letter(index)}`;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
