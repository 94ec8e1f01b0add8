/**
 * One clock and one queue of events: everything that takes time in a simulated run is an event here. An event runs to
 * its end, with all the microtasks it leaves behind, before the next begins; so a run is a function of its seed.
 *
 * Each event belongs to a process: a consumer's invocation, an object's instance, an edge, a client. A process that was
 * killed gets no more events. What it had awaited never settles, as when an isolate is gone; what it had already sent
 * is on its way and arrives.
 */

/** Of Node itself, before a run puts its own in their place. */
const setImmediateOfNode = setImmediate;

export class Process {
  readonly name: string;
  alive = true;
  /** Milliseconds that its clock is off. */
  skewMs = 0;
  /** Told when one of its calls hangs, for how long, ms, and whether all that it belongs to hangs with it. */
  onStuck: ((ms: number, withAll: boolean) => void) | null = null;
  /** Told once, when it is killed. */
  readonly onDeath: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  kill(): void {
    if (!this.alive) return;
    this.alive = false;
    for (const tell of this.onDeath) tell();
  }
}

interface Event {
  readonly at: number;
  readonly nr: number;
  readonly process: Process | null;
  readonly label: string;
  readonly run: () => void;
  cancelled: boolean;
  ran: boolean;
}

export class Scheduler {
  /** Milliseconds since the epoch. Never falls. */
  now: number;
  /** Whose event is running; null for the platform's own. */
  current: Process | null = null;
  /** Of every event that ran: same seed, same hash. */
  hash = 0x811c9dc5;
  events = 0;
  /** Called with each event, for a printed trace. */
  trace: ((at: number, label: string) => void) | null = null;
  readonly #heap: Event[] = [];
  #nr = 0;
  #held = 0;

  constructor(startMs: number) {
    this.now = startMs;
  }

  /** @param delayMs 0 or more. @returns a handle to cancel it. */
  after(delayMs: number, process: Process | null, label: string, run: () => void): Event {
    const event = {
      at: this.now + Math.max(0, delayMs),
      nr: this.#nr++,
      process,
      label,
      run,
      cancelled: false,
      ran: false,
    };
    push(this.#heap, event);
    return event;
  }

  /** While held no event runs: for the few things that take real time, such as the real Parquet encoder. */
  async held<T>(work: () => Promise<T>): Promise<T> {
    this.#held++;
    try {
      return await work();
    } finally {
      this.#held--;
    }
  }

  /** Notes something in the hash and the trace that is not an event of its own. */
  note(label: string): void {
    let hash = this.hash;
    for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193);
    this.hash = Math.imul(hash ^ Math.round(this.now % 0x1_0000_0000), 0x01000193) >>> 0;
    this.trace?.(this.now, label);
  }

  /** More for a printed trace; made only where one is wanted, and not part of the hash. */
  remark(text: () => string): void {
    this.trace?.(this.now, `    ${text()}`);
  }

  /** Runs events until `done` says so, asked before each event, or none is left. */
  run(done: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = () => {
        if (this.#held > 0) {
          setImmediateOfNode(step);
          return;
        }
        this.current = null;
        try {
          if (done()) return resolve();
          const event = this.#next();
          if (!event) return resolve();
          this.now = Math.max(this.now, event.at);
          this.events++;
          this.note(event.label);
          this.current = event.process;
          event.ran = true;
          event.run();
        } catch (error) {
          return reject(error);
        }
        if (this.events % 1_000 === 0) setImmediateOfNode(step);
        else queueMicrotask(later);
      };
      // Ticks come after all microtasks, those included that microtasks leave behind: by then the event has ended. They
      // cost a fifth of a turn of the event loop.
      const later = () => process.nextTick(step);
      step();
    });
  }

  #next(): Event | null {
    for (;;) {
      const event = pop(this.#heap);
      if (!event) return null;
      if (!event.cancelled && (event.process?.alive ?? true)) return event;
    }
  }
}

const before = (a: Event, b: Event) => a.at < b.at || (a.at === b.at && a.nr < b.nr);

function push(heap: Event[], event: Event): void {
  let i = heap.length;
  heap.push(event);
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (!before(event, heap[parent]!)) break;
    heap[i] = heap[parent]!;
    i = parent;
  }
  heap[i] = event;
}

function pop(heap: Event[]): Event | null {
  const first = heap[0];
  const last = heap.pop();
  if (!first || !last) return null;
  if (heap.length === 0) return first;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
    if (!before(heap[child]!, last)) break;
    heap[i] = heap[child]!;
    i = child;
  }
  heap[i] = last;
  return first;
}
