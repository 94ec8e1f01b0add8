/**
 * People who use a shop: some of them ask to be forgotten, the others stay. All of them sign in, are anonymous on their
 * devices before, tell their address, break a contract now and then, and share a device with somebody of the other kind.
 * Whoever is to be forgotten has `MARK` in each identifier and nobody else has it anywhere, so one search finds them all.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../../../scripts/demo/random.ts";
import type { RunningSystem } from "../harness.ts";

export const MARK = "forgetme";
const STAYS = "stays";
const EVENTS_PER_REQUEST = 100;
const SENDERS = 4;
const PAUSE_MS = 100;
/** Events of the past lie in this many minutes, so that most of them are final. */
const PAST_MS = 90 * 60_000;

export type Phase = "before" | "during" | "after";

interface Person {
  readonly user: string;
  readonly device: string;
  readonly email: string;
  readonly shared: string;
  readonly group: "Gone" | "Stays";
}

interface SentEvent {
  readonly messageId: string;
  readonly type: "track" | "identify";
  readonly userId?: string;
  readonly [member: string]: unknown;
}

export class Crowd {
  readonly gone: readonly Person[];
  readonly staying: readonly Person[];
  /** Ids of acknowledged events that broke no contract, of those who stay. */
  readonly ackedOfStaying = new Map<string, Phase>();
  /** Acknowledged events of those who go, by phase. */
  readonly sentOfGone: Record<Phase, number> = { before: 0, during: 0, after: 0 };
  readonly #random: Random;
  #events = 0;
  #senders: Promise<void>[] = [];
  #phase: Phase | null = null;

  constructor(gone: number, staying: number, seed: number) {
    this.#random = new Random(seed);
    const shared = (i: number) => `shared-device-${i % Math.min(gone, staying)}`;
    const people = (count: number, mark: string, group: Person["group"]): Person[] =>
      Array.from({ length: count }, (_, i) => ({
        ...{ user: `${mark}-user-${i}`, device: `${mark}-device-${i}`, email: `${mark}-${i}@example.com` },
        ...{ shared: shared(i), group },
      }));
    this.gone = people(gone, MARK, "Gone");
    this.staying = people(staying, STAYS, "Stays");
  }

  /** Everybody's past, to the last event acknowledged. */
  async sendPast(system: RunningSystem, events: number): Promise<void> {
    const everybody = [...this.gone, ...this.staying];
    const until = Date.now() - 3 * 60_000;
    const past = function* (crowd: Crowd) {
      for (const [i, person] of everybody.entries()) yield crowd.#identify(person, until - PAST_MS + i);
      // Everybody was on the shared device, whatever the dice say: so each of these is somebody else's, too.
      for (const person of everybody) yield crowd.#looked(person, { anonymousId: person.shared }, until - PAST_MS);
      for (let i = 2 * everybody.length; i < events; i++) {
        const at = until - Math.floor((PAST_MS * (events - i)) / events);
        yield crowd.#event(everybody[i % everybody.length]!, "before", at);
      }
    };
    const all = past(this);
    const sender = async () => {
      for (let batch = take(all, EVENTS_PER_REQUEST); batch.length > 0; batch = take(all, EVENTS_PER_REQUEST)) {
        await this.#post(system, batch, "before");
      }
    };
    await Promise.all(Array.from({ length: SENDERS }, sender));
  }

  /** Clients that do not know of anything: they go on until `stop`. */
  keepSending(system: RunningSystem): void {
    this.#phase = "during";
    const everybody = [...this.gone, ...this.staying];
    this.#senders = Array.from({ length: SENDERS }, async () => {
      while (this.#phase !== null) {
        const phase = this.#phase;
        const batch = Array.from({ length: 20 }, () => this.#event(this.#random.pick(everybody), phase, Date.now()));
        await this.#post(system, batch, phase);
        await sleep(PAUSE_MS);
      }
    });
  }

  /** What is sent from now on is sent after everything was confirmed. */
  confirmed(): void {
    this.#phase = "after";
  }

  async stop(): Promise<void> {
    this.#phase = null;
    await Promise.all(this.#senders);
  }

  async #post(system: RunningSystem, batch: readonly SentEvent[], phase: Phase): Promise<void> {
    while (!(await isTaken(system, batch))) await sleep(PAUSE_MS);
    for (const sent of batch) {
      if (isOfGone(sent)) this.sentOfGone[phase]++;
      // One without a name is in quarantine.
      else if (sent.type === "identify" || sent.event !== undefined) this.ackedOfStaying.set(sent.messageId, phase);
    }
  }

  #identify(person: Person, at: number): SentEvent {
    return {
      ...this.#base(person, at),
      type: "identify",
      userId: person.user,
      traits: { email: person.email, phase: "before" },
    };
  }

  #event(person: Person, phase: Phase, at: number): SentEvent {
    const base = this.#base(person, at);
    const properties = { phase, price: this.#random.int(1, 90) };
    const event = `${person.group} ${this.#random.pick(["Looked", "Bought", "Left"])}`;
    const dice = this.#random.int(0, 99);
    // Without a name: it is kept apart, in quarantine.
    if (dice < 2) return { ...base, type: "track", userId: person.user, properties };
    if (dice < 20) return { ...base, type: "track", event, properties };
    if (dice < 23) return this.#looked(person, { anonymousId: person.shared }, at, phase);
    return { ...base, type: "track", event, userId: person.user, properties };
  }

  #looked(person: Person, more: { anonymousId: string }, at: number, phase: Phase = "before"): SentEvent {
    const properties = { phase, price: 0 };
    const event = `${person.group} Looked`;
    return { ...this.#base(person, at), ...more, type: "track", event, userId: person.user, properties };
  }

  #base(person: Person, at: number) {
    const messageId = `event-${String(this.#events++).padStart(8, "0")}-${person.group === "Gone" ? "g" : "s"}`;
    const page = { url: `https://shop.example/${this.#random.int(1, 40)}` };
    return { messageId, anonymousId: person.device, timestamp: new Date(at).toISOString(), context: { page } };
  }
}

/** Whatever becomes of the answer, a client sends the same events again until there is one. @throws Error where they are refused */
async function isTaken(system: RunningSystem, batch: readonly SentEvent[]): Promise<boolean> {
  const response = await system.sendBatch(batch).catch(() => null);
  if (response === null) return false;
  const text = await response.text();
  if (!response.ok && response.status < 500 && response.status !== 429) throw new Error(`${response.status}: ${text}`);
  return response.ok;
}

const isOfGone = ({ messageId }: SentEvent): boolean => messageId.endsWith("-g");

function take<T>(from: Iterator<T>, count: number): T[] {
  const taken: T[] = [];
  while (taken.length < count) {
    const { value, done } = from.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}
