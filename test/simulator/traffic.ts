/**
 * Senders: requests of a few events, sent to some edge, sent again until they are acknowledged or given up, and now and
 * then once more although they were. Everything that was sent and what was acknowledged is remembered: the audit's truth.
 */

import type { DerivedEvent } from "../../r2-layout/event-columns.ts";
import { shardOf } from "../../r2-layout/event-id.ts";
import { formatLogLine, type QuarantineMark } from "../../r2-layout/log-line.ts";
import { countOf, type ShardHistory } from "../../r2-layout/shards.ts";
import { subjectHasher, subjectsOf } from "../../r2-layout/subjects.ts";
import type { Random } from "../../scripts/demo/random.ts";
import { EventSender } from "../../workers/edge/event-sender.ts";
import type { KeptEvent } from "../../workers/edge/parse-events.ts";
import { Process } from "./platform/scheduler.ts";
import type { Scenario } from "./scenarios.ts";
import { IDENTITY_KEY, type World } from "./world.ts";

const hash = subjectHasher(IDENTITY_KEY);

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** What was sent under one id: one event, however often and in whatever shape it was sent. */
export interface SentId {
  /** Whether it is quarantined, which owns ids of its own; `source`; `event_id`. */
  readonly key: string;
  /** Lines that some attempt put into a message, with the label that they were republished under, or "". */
  readonly lines: Map<string, string>;
  acknowledged: boolean;
}

interface SentEvent {
  readonly id: SentId;
  readonly event: Omit<DerivedEvent, "received_at">;
  readonly quarantine: QuarantineMark | undefined;
  /** Sent again on purpose, to replace what was sent before. */
  readonly republish?: string;
}

interface Edge {
  readonly process: Process;
  readonly shards: ShardHistory;
  readonly sender: EventSender;
}

/** How long a sender waits for an answer. */
const TIMEOUT_MS = 30 * SECOND_MS;
const EDGES = 2;
const ATTEMPTS = 8;

export class Traffic {
  readonly sent = new Map<string, SentId>();
  /** Ids were sent that may be there twice: an audit has to look for them. */
  hasTwins = false;
  requests = 0;
  acknowledgements = 0;
  readonly #world: World;
  readonly #random: Random;
  readonly #edges: Edge[] = [];
  #edgeNumber = 0;
  #eventNumber = 0;
  readonly #users: readonly string[];
  readonly #devices: readonly string[];
  /** Chance that an acknowledged event is sent once more in another shape. */
  readonly #oddity: number;
  readonly #scenario: Pick<Scenario, "repeats" | "repeatWithinMs" | "subjects">;

  /** @param oddities ids are also sent in another shape. */
  constructor(world: World, oddities: boolean, scenario: Pick<Scenario, "repeats" | "repeatWithinMs" | "subjects">) {
    this.#scenario = scenario;
    this.#world = world;
    this.#random = world.random;
    const [from, to] = scenario.subjects;
    const names = (kind: string) => Array.from({ length: this.#random.int(from, to) }, (_, i) => `${kind}-${i}`);
    this.#users = names("user");
    this.#devices = names("device");
    this.#oddity = oddities ? 0.15 : 0;
  }

  /** Requests to come, spread over a time. @returns when the last begins, ms from now. */
  plan(requests: number, spanMs: number): void {
    for (let i = 0; i < requests; i++) {
      const events = Array.from({ length: this.#random.int(1, 5) }, () => this.#newEvent());
      this.#later(this.#random.next() * spanMs, "request", () => this.#send(events, 1));
    }
  }

  /** The edges of a new version take over; the old ones end some time later, with what they have not said. */
  deployEdges(): void {
    for (const { process } of this.#edges.splice(0).filter((edge) => edge !== undefined)) {
      this.#later(this.#random.int(0, 40) * SECOND_MS, `end of ${process.name}`, () => process.kill());
    }
  }

  isAlive(edge: string): boolean {
    return this.#edges.some(({ process }) => process.name === edge && process.alive);
  }

  /** Every living edge sends to every shard once more, and says what it still has to say of failed sends. */
  sayLastWords(): void {
    for (const edge of this.#edges) {
      if (!edge?.process.alive) continue;
      for (let shard = 0; shard < countOf(edge.shards); shard++) {
        let event = this.#newEvent();
        while (shardOf(event.event, countOf(edge.shards)) !== shard) event = this.#newEvent();
        this.#attempt(edge, [event], 1);
      }
    }
  }

  #later(delayMs: number, label: string, run: () => void): void {
    this.#world.pending++;
    this.#world.scheduler.after(delayMs, null, label, () => {
      this.#world.pending--;
      run();
    });
  }

  #edge(): Edge {
    const index = this.#random.int(0, EDGES - 1);
    const known = this.#edges[index];
    if (known?.process.alive) return known;
    const name = `edge-${++this.#edgeNumber}`;
    const process = new Process(name);
    const { weather } = this.#world;
    if (weather.strikes("skew", "edge")) process.skewMs = weather.random.int(-120_000, 120_000);
    const env = this.#world.bindings("edge", process);
    const shards = this.#world.deployed.edge;
    const queues = Array.from({ length: countOf(shards) }, (_, shard) => env[`EVENTS_${shard}`]);
    const edge = { process, shards, sender: new EventSender(name, queues as never, shards, hash) };
    this.#edges[index] = edge;
    return edge;
  }

  #send(events: readonly SentEvent[], attempt: number): void {
    this.#attempt(this.#edge(), events, attempt);
  }

  #attempt(edge: Edge, events: readonly SentEvent[], attempt: number): void {
    const { scheduler, weather } = this.#world;
    const random = this.#random;
    this.requests++;
    let over = false;
    const once = (then: () => void) => () => {
      if (over) return;
      over = true;
      this.#world.pending--;
      then();
    };
    this.#world.pending++;
    const again = () => {
      if (attempt < ATTEMPTS && random.chance(0.85)) {
        this.#later(random.wait(4 * SECOND_MS), "request again", () => this.#send(events, attempt + 1));
      }
    };
    const noAnswer = once(again);
    edge.process.onDeath.push(noAnswer);
    scheduler.after(TIMEOUT_MS, null, "sender gives up waiting", noAnswer);
    if (weather.strikes("crash", "edge")) {
      scheduler.after(random.wait(6), null, `crash ${edge.process.name}`, () => edge.process.kill());
    }
    scheduler.after(1, edge.process, `request at ${edge.process.name}`, () => {
      const receivedAt = (Math.floor(scheduler.now) + edge.process.skewMs) * 1_000;
      const byLabel = Map.groupBy(events, ({ republish }) => republish);
      for (const [label, some] of byLabel) {
        const { source } = some[0]!.event;
        const kept = some.map((event, index) => this.#kept(edge, event, index, receivedAt));
        // Of the edge, not of the sender who may long have given up: what it says last must come after its last failure.
        const sendEnds = this.#untilOver(edge);
        edge.sender.send(kept, source, receivedAt, label).then((unsent) => {
          sendEnds();
          const failed = new Set(unsent.map(({ index }) => index));
          const lost = weather.strikes("fail_after", "edge answers");
          scheduler.after(1, null, `answer of ${edge.process.name}`, () => {
            if (lost) return;
            once(() => {
              some.forEach((event, index) => {
                if (!failed.has(index)) this.#acknowledge(event);
              });
              const rest = some.filter((_, index) => failed.has(index));
              if (rest.length > 0 && attempt < ATTEMPTS) {
                this.#later(random.wait(4 * SECOND_MS), "request again", () => this.#send(rest, attempt + 1));
              } else if (weather.active && random.chance(this.#scenario.repeats)) {
                this.#repeat(some); // Not for days on end: each may come a day later, and again.
              } else if (random.chance(this.#oddity)) this.#sendOtherwise(random.pick(some));
            })();
          });
        });
      }
    });
  }

  /** Work of an edge that the run waits for, unless the edge dies. */
  #untilOver({ process }: Edge): () => void {
    this.#world.pending++;
    let over = false;
    const end = () => {
      if (!over) this.#world.pending--;
      over = true;
    };
    process.onDeath.push(end);
    return end;
  }

  /** A sender that sends once more what was acknowledged: a lost answer, a second tab, a batch that was restored. */
  #repeat(events: readonly SentEvent[]): void {
    const random = this.#random;
    const some = events.filter(() => random.chance(0.8));
    const delayMs = random.chance(0.7)
      ? random.int(0, this.#scenario.repeatWithinMs)
      : random.chance(0.7)
        ? random.int(0, 5 * HOUR_MS)
        : random.int(0, 30 * HOUR_MS);
    const fresh = random.chance(0.5) ? [this.#newEvent()] : [];
    const all = [...some, ...fresh];
    if (all.length > 0) this.#later(delayMs, "request repeated", () => this.#send(all, 1));
  }

  /** The same id in another shape: by mistake under another identity, or republished on purpose, to replace the first. */
  #sendOtherwise(sent: SentEvent): void {
    if (sent.quarantine) return;
    const random = this.#random;
    const anonymous_id = random.pick(["device-20", "device-21", "device-22", "device-23"]);
    const event = { ...sent.event, anonymous_id };
    const label = random.chance(0.5) ? random.pick(["fix-1", "fix-2"]) : undefined;
    this.hasTwins = true;
    const other: SentEvent = {
      ...sent,
      event: label === undefined ? event : { ...event, flags: ["republished"] },
      ...(label !== undefined && { republish: label }),
    };
    this.#world.weather.count("oddity", label === undefined ? "id under another identity" : "republished");
    this.#later(random.int(0, 3 * MINUTE_MS), "sent otherwise", () => this.#send([other], 1));
  }

  #acknowledge({ id }: SentEvent): void {
    id.acknowledged = true;
    this.acknowledgements++;
  }

  #kept({ shards }: Edge, sent: SentEvent, index: number, receivedAt: number): KeptEvent {
    const row: DerivedEvent = { ...sent.event, received_at: receivedAt };
    const line = formatLogLine({
      row,
      d: 1,
      ...(sent.quarantine && { q: sent.quarantine }),
      raw: { messageId: sent.event.event_id, type: "track" },
    });
    sent.id.lines.set(line, sent.republish ?? "");
    const shard = shardOf(sent.event, countOf(shards));
    const { flags } = sent.event;
    const { quarantine } = sent;
    const names = quarantine ? [] : subjectsOf(row);
    return { index, event_id: sent.event.event_id, shard, quarantine, names, line, ...(flags && { flags }) };
  }

  #newEvent(): SentEvent {
    const random = this.#random;
    const number = ++this.#eventNumber;
    const source = "shop";
    const device = random.chance(0.85) ? random.pick(this.#devices) : undefined;
    const user = random.chance(0.6) ? random.pick(this.#users) : undefined;
    const agoMs = random.chance(0.85)
      ? random.int(0, 20 * SECOND_MS)
      : random.chance(0.6)
        ? random.int(0, 3 * HOUR_MS)
        : random.int(-HOUR_MS, 5 * DAY_MS);
    const paid = random.chance(0.2);
    const event: SentEvent["event"] = {
      event_id: `e-${number}`,
      event_name: random.pick(["page", "Clicked", "Bought", "Searched"]),
      event_type: "track",
      source,
      event_time: Math.floor(this.#world.scheduler.now - agoMs) * 1_000 + random.int(0, 999),
      ...(user && { user_id: user }),
      ...(device && { anonymous_id: device }),
      ...(random.chance(0.5) && { country: random.pick(["DE", "FR", "US"]) }),
      ...(random.chance(0.5) && { device_type: random.pick(["desktop", "mobile"]) }),
      ...(random.chance(0.5) && { page_path: random.pick(["/", "/cart", "/item"]) }),
      ...(random.chance(0.5) && { app_version: random.pick(["1.0", "1.1"]) }),
      ...(paid && { revenue: random.int(1, 10_000) / 100, currency: random.pick(["EUR", "USD"]) }),
      properties: { number: String(number) },
    };
    const quarantine = random.chance(0.06) ? { cause: "column_mismatch", field: "revenue" } : undefined;
    const key = `${quarantine ? "q" : "e"}\n${source}\n${event.event_id}`;
    const id: SentId = { key, lines: new Map(), acknowledged: false };
    this.sent.set(key, id);
    return { id, event, quarantine };
  }
}
