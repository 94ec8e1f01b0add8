/**
 * Which faults strike, drawn from the seed: at every call of a queue, an object or R2, and at every delivery. Each run
 * has its own weather: some kinds are off, some rare, some frequent, and some places are struck more than others, so
 * that a thousand runs are not a thousand times the same mixture.
 */
import { Random } from "../../../scripts/demo/random.ts";

export const FAULTS = [
  /** The call fails, nothing happened. */
  "fail_before",
  /** The call fails, and has happened. */
  "fail_after",
  /** The caller is told that the call failed, before it happens. */
  "fail_early",
  /** Takes seconds. */
  "delay",
  /** Takes minutes to more than a day: what it asks for happens when nobody waits for it any more. */
  "stuck",
  /** The object says that it is overloaded. */
  "overloaded",
  /** The caller dies before the call leaves, or before its answer is read. */
  "crash_before",
  "crash_after",
  /** The whole invocation dies at some moment. */
  "crash",
  /** A message is delivered once more; a call arrives twice. */
  "repeat",
  /** A batch is not in the order of sending. */
  "reorder",
  /** A message is late. */
  "late",
  /** A queue delivers nothing for as long as a call of its consumer hangs: a sink, or a shard, that is down for hours. */
  "paused",
  /** The consumer said ack, and the broker does not know. */
  "ack_lost",
  /** Of a batch of sends only some are on the queue when the call fails. */
  "partial",
  /** An object without work leaves memory. */
  "evict",
  /** An object dies in the middle, with what was not yet durable. */
  "reset",
  /** Writes are durable late: until then nothing leaves the object. */
  "slow_disk",
  /** Storage calls that are mostly answered at once take an event of their own. */
  "slow_storage",
  /** A statement within a transaction fails: the disk, or memory. */
  "sql_error",
  "alarm_late",
  /** Given up: it never comes. */
  "alarm_lost",
  "cron_lost",
  /** A process's clock is off by up to minutes. */
  "skew",
] as const;
export type Fault = (typeof FAULTS)[number];

/** Chance at each occasion, in a run whose weather has the fault: from, to. */
const RATES: Record<Fault, readonly [number, number]> = {
  fail_before: [0.003, 0.12],
  fail_after: [0.003, 0.12],
  fail_early: [0.003, 0.05],
  delay: [0.005, 0.1],
  stuck: [0.0005, 0.02],
  overloaded: [0.002, 0.05],
  crash_before: [0.002, 0.05],
  crash_after: [0.002, 0.05],
  crash: [0.005, 0.1],
  repeat: [0.02, 0.4],
  reorder: [0.1, 1],
  late: [0.02, 0.3],
  paused: [0.1, 1],
  ack_lost: [0.01, 0.2],
  partial: [0.1, 1],
  evict: [0.01, 0.5],
  reset: [0.002, 0.05],
  slow_disk: [0.01, 0.2],
  slow_storage: [0.01, 0.3],
  sql_error: [0.0005, 0.01],
  alarm_late: [0.05, 0.5],
  alarm_lost: [0.02, 0.5],
  cron_lost: [0.05, 0.5],
  skew: [0.05, 0.5],
};

/** Calls to some targets that hang although the run's weather may be fine: what a scenario is made for. */
export interface Hang {
  readonly target: RegExp;
  /** Of an object's call, as JSON: only those. */
  readonly args?: RegExp;
  /** Only calls of these processes. */
  readonly from?: RegExp;
  readonly chance: number;
  /** So often at most; absent: as often as the chance has it. */
  readonly times?: number;
  /** It goes on right after a call to one of these has arrived, or when its time is over. */
  readonly until?: RegExp;
  readonly untilArgs?: RegExp;
  /** Only once a call to one of these has arrived. */
  readonly after?: RegExp;
  readonly afterArgs?: RegExp;
  /** Milliseconds. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Chance that the caller's queue stands still for as long. */
  readonly withAll: number;
}

/** Answers that are lost although the effect is there, beside those that the run's weather loses. */
export interface Loss {
  readonly target: RegExp;
  readonly chance: number;
}

/** Beside the weather that was drawn for a run. */
export interface Aims {
  readonly hangs: readonly Hang[];
  readonly losses: readonly Loss[];
  readonly faults: Readonly<Partial<Record<Fault, number>>>;
  /** Chance that nothing of what was drawn is left. */
  readonly calm: number;
}

export interface Hanging {
  readonly ms: number;
  readonly withAll: boolean;
  readonly until: RegExp | undefined;
  readonly untilArgs: RegExp | undefined;
}

/** Chances that are not exceeded, wherever the run's weather is worst: a message must not use up its hundred deliveries. */
const MOST: Readonly<Partial<Record<Fault, number>>> = { sql_error: 0.02 };

export class Weather {
  readonly random: Random;
  /** Off before the run and once it is to settle. */
  active = false;
  /** Calls that fail, all of them, for as long as this stands. */
  outage: RegExp | null = null;
  /** Told when a call hangs that the run is about. */
  onHang: ((from: string) => void) | null = null;
  /** How often each fault fired, by `fault target`. */
  readonly fired = new Map<string, number>();
  readonly #rates: Partial<Record<Fault, number>> = {};
  #hangs: (Hang & { left: number; ready: boolean })[] = [];
  #losses: readonly Loss[] = [];
  readonly #focus: number;
  readonly #targets = new Map<string, number>();

  constructor(seed: number) {
    this.random = new Random(seed);
    const calm = this.random.chance(0.05);
    this.#focus = this.random.chance(0.6) ? this.random.int(0, FOCI - 1) : -1;
    for (const fault of FAULTS) {
      const [from, to] = RATES[fault];
      if (calm || this.random.chance(0.4)) continue;
      this.#rates[fault] = from * (to / from) ** this.random.next();
    }
  }

  /** Whether a fault strikes here. @param target what it would strike, e.g. `R2.put log`. */
  strikes(fault: Fault, target: string): boolean {
    if (!this.active) return false;
    if (fault === "fail_before" && this.outage?.test(target)) {
      this.count("outage", target);
      return true;
    }
    const rate = this.#rates[fault];
    if (rate === undefined || !this.random.chance(Math.min(MOST[fault] ?? 0.9, rate * this.#weight(target))))
      return false;
    this.count(fault, target);
    return true;
  }

  /** What this run is about, beside the weather that was drawn for it. */
  aim({ hangs, losses, faults, calm }: Aims): void {
    if (calm > 0 && this.random.chance(calm)) for (const fault of FAULTS) delete this.#rates[fault];
    Object.assign(this.#rates, faults);
    this.#losses = losses;
    this.#hangs = hangs.map((hang) => ({ ...hang, left: hang.times ?? Number.POSITIVE_INFINITY, ready: !hang.after }));
  }

  /** A call has arrived. */
  arrived(target: string, args: () => string): void {
    for (const hang of this.#hangs) {
      if (!hang.ready && hang.after?.test(target) && (hang.afterArgs?.test(args()) ?? true)) hang.ready = true;
    }
  }

  /** Whether this call hangs because the run is about that. */
  hangs(target: string, from: string, args: () => string): Hanging | null {
    if (!this.active) return null;
    for (const hang of this.#hangs) {
      if (hang.left <= 0 || !hang.ready || !hang.target.test(target) || hang.from?.test(from) === false) continue;
      if (hang.args?.test(args()) === false) continue;
      if (!this.random.chance(hang.chance)) continue;
      hang.left--;
      this.count("hang", target);
      this.onHang?.(from);
      return {
        ms: this.random.int(hang.fromMs, hang.toMs),
        withAll: this.random.chance(hang.withAll),
        until: hang.until,
        untilArgs: hang.untilArgs,
      };
    }
    return null;
  }

  /** Whether the answer of this call is lost because the run is about that. */
  loses(target: string): boolean {
    const loses =
      this.active && this.#losses.some((loss) => loss.target.test(target) && this.random.chance(loss.chance));
    if (loses) this.count("loss", target);
    return loses;
  }

  count(fault: string, target: string): void {
    const key = `${fault}\t${target}`;
    this.fired.set(key, (this.fired.get(key) ?? 0) + 1);
  }

  /** Turns one kind off for this run: where the world could not settle with it. */
  without(fault: Fault): void {
    delete this.#rates[fault];
    if (fault === "paused") this.#hangs = this.#hangs.filter(({ toMs }) => toMs < HOUR_MS);
  }

  #weight(target: string): number {
    if (this.#focus < 0) return 1;
    let weight = this.#targets.get(target);
    if (weight === undefined) {
      let hash = 7;
      for (let i = 0; i < target.length; i++) hash = Math.imul(hash ^ target.charCodeAt(i), 0x01000193);
      weight = ((hash ^ (hash >>> 13)) >>> 0) % FOCI === this.#focus ? 4 : 0.4;
      this.#targets.set(target, weight);
    }
    return weight;
  }
}

const FOCI = 5;
const HOUR_MS = 3_600_000;
