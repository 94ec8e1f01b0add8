/**
 * Makes the calls of one Worker of a local run go wrong as a plan says, and counts it. The dice of a rule fall by the
 * plan's seed, the Worker, the target and how often that was called: other targets in between do not change them.
 *
 * Only the local entry imports this (scripts/local/limits); `npm run deploy:dry` fails where a bundle holds the marker.
 */
import {
  CUT_CALLS_DEFAULT,
  DELAY_MS_DEFAULT,
  type FaultKind,
  type FaultPlan,
  type FaultRule,
  fits,
  NO_FAULTS,
  targetMatcher,
} from "./plan.ts";
import { lostConnection, overload } from "./platform-errors.ts";

export const MARKER = "eventpile-fault-injector";

export interface FiredFault {
  readonly kind: FaultKind;
  readonly target: string;
  readonly count: number;
}

/** Since the plan was set. */
export interface FaultReport {
  readonly worker: string;
  readonly calls: Readonly<Record<string, number>>;
  readonly fired: readonly FiredFault[];
}

interface Rule extends FaultRule {
  readonly matches: (target: string) => boolean;
  readonly index: number;
  left: number;
}

/** A fault that was drawn, with two more dice for its details. */
interface Drawn {
  readonly rule: Rule;
  readonly side: number;
  readonly size: number;
}

/** What ends an invocation at its n-th call. */
export class Cut {
  readonly over: Promise<never>;
  isOver = false;
  readonly #afterCall: boolean;
  readonly #fired: () => void;
  #callsLeft: number;
  #end!: (reason: Error) => void;

  /** @param fired told when the end comes: an invocation with fewer calls is over before. */
  constructor(atCall: number, afterCall: boolean, fired: () => void) {
    this.#callsLeft = atCall;
    this.#afterCall = afterCall;
    this.#fired = fired;
    this.over = new Promise((_, reject) => {
      this.#end = reject;
    });
    this.over.catch(() => {});
  }

  /** A call of the invocation; from the end on none is made, and none is answered. */
  async call<T>(run: () => Promise<T>): Promise<T> {
    if (this.isOver) return never();
    const isLast = --this.#callsLeft === 0;
    if (isLast && !this.#afterCall) return this.#stop();
    const result = await run();
    if (isLast) return this.#stop();
    return this.isOver ? never() : result;
  }

  #stop(): Promise<never> {
    this.isOver = true;
    this.#fired();
    this.#end(new Error("The invocation was cut off. (injected)"));
    return never();
  }
}

export class FaultInjector {
  #worker = "";
  #seed = 0;
  #rules: readonly Rule[] = [];
  readonly #calls = new Map<string, number>();
  readonly #fired = new Map<string, number>();

  get isIdle(): boolean {
    return this.#rules.length === 0;
  }

  /** The plan to start with, unless there was one: each object of a Worker comes with it. */
  begin(worker: string, plan: FaultPlan): void {
    if (this.#worker === "") this.use(worker, plan);
  }

  use(worker: string, plan: FaultPlan = NO_FAULTS): void {
    this.#worker = worker;
    this.#seed = hash(plan.seed, `${MARKER} ${worker}`);
    this.#rules = plan.rules.map((rule, index) => ({
      ...rule,
      index,
      matches: targetMatcher(rule.target),
      left: rule.times ?? Number.POSITIVE_INFINITY,
    }));
    this.#calls.clear();
    this.#fired.clear();
  }

  report(): FaultReport {
    const fired = Array.from(this.#fired, ([name, count]) => {
      const [kind, target] = name.split(" ") as [FaultKind, string];
      return { kind, target, count };
    });
    return { worker: this.#worker, calls: Object.fromEntries(this.#calls), fired };
  }

  /** A call to a queue, an object or R2. @param area `queue`, `object`, `r2` or `service`. */
  async around<T>(area: string, name: string, run: () => Promise<T>): Promise<T> {
    const drawn = this.#draw(`${area}/${name}`);
    switch (drawn?.rule.kind) {
      case "before":
        throw lostConnection(area);
      case "overloaded":
        throw overload(area);
      case "after":
        await run();
        throw lostConnection(area);
      case "delay": {
        const late = Math.ceil(drawn.size * (drawn.rule.delayMs ?? DELAY_MS_DEFAULT));
        if (drawn.side < 0.5) await wait(late);
        const result = await run();
        if (drawn.side >= 0.5) await wait(late);
        return result;
      }
      default:
        return run();
    }
  }

  /** Whether, and where, an invocation of this queue's consumer is to end. */
  cutFor(queue: string): Cut | null {
    const drawn = this.#draw(`consumer/${queue}`);
    if (drawn === null) return null;
    const calls = drawn.rule.calls ?? CUT_CALLS_DEFAULT;
    return new Cut(1 + Math.floor(drawn.size * calls), drawn.side < 0.5, () => this.#count(`cut consumer/${queue}`));
  }

  /** Whether an object is to lose its memory, before or after this call. */
  resetFor(method: string): "before" | "after" | null {
    const drawn = this.#draw(`reset/${method}`);
    if (drawn === null) return null;
    return drawn.side < 0.5 ? "before" : "after";
  }

  /** The first rule that fires. */
  #draw(target: string): Drawn | null {
    if (this.#rules.length === 0) return null;
    const n = (this.#calls.get(target) ?? 0) + 1;
    this.#calls.set(target, n);
    for (const rule of this.#rules) {
      if (rule.left === 0 || !fits(rule.kind, target) || !rule.matches(target)) continue;
      const dice = (name: string) => hash(this.#seed, `${rule.index} ${target} ${n} ${name}`) / 2 ** 32;
      if (dice("rate") >= rule.rate) continue;
      rule.left--;
      if (rule.kind !== "cut") this.#count(`${rule.kind} ${target}`);
      return { rule, side: dice("side"), size: dice("size") };
    }
    return null;
  }

  #count(fault: string): void {
    this.#fired.set(fault, (this.#fired.get(fault) ?? 0) + 1);
  }
}

/** One for each isolate: a Worker and its objects. */
export const faults = new FaultInjector();

const never = (): Promise<never> => new Promise(() => {});

/** FNV-1a with a final mix, 32 bits. */
function hash(seed: number, text: string): number {
  let mixed = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) mixed = Math.imul(mixed ^ text.charCodeAt(i), 0x01000193);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** Not `scheduler.wait`: the tests in a browser read this file's types beside those of the DOM, whose scheduler has none. */
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
