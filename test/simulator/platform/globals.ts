/**
 * What a program can ask that is not a function of its input: the clock, chance and timers. While a simulated run goes
 * on, they are the run's. Console output is counted and, unless a trace is wanted, not shown.
 */
import type { Random } from "../../../scripts/demo/random.ts";
import type { Scheduler } from "./scheduler.ts";

type Timer = ReturnType<Scheduler["after"]>;

/** Put back by the function returned. */
export function takeOverGlobals(
  scheduler: Scheduler,
  random: Random,
  say: ((text: string) => void) | null,
): () => void {
  const { now } = Date;
  const { random: mathRandom } = Math;
  const { setTimeout, clearTimeout } = globalThis;
  const { log, warn, error, info } = console;
  const { stackTraceLimit } = Error;
  // Thousands of injected errors a run: a stack costs more than what it is thrown into.
  if (!say) Error.stackTraceLimit = 0;

  Date.now = () => Math.floor(scheduler.now) + (scheduler.current?.skewMs ?? 0);
  Math.random = () => random.next();
  const cryptoOwn = Object.getOwnPropertyDescriptors(crypto);
  Object.defineProperty(crypto, "randomUUID", { configurable: true, value: () => uuid(random) });
  Object.defineProperty(crypto, "getRandomValues", {
    configurable: true,
    value: (bytes: ArrayBufferView) => {
      const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let i = 0; i < view.length; i++) view[i] = random.int(0, 255);
      return bytes;
    },
  });
  globalThis.setTimeout = ((run: (...args: unknown[]) => void, delayMs = 0, ...args: unknown[]) =>
    scheduler.after(delayMs, scheduler.current, "timer", () => run(...args))) as unknown as typeof setTimeout;
  globalThis.clearTimeout = ((timer: Timer | undefined) => {
    if (timer) timer.cancelled = true;
  }) as unknown as typeof clearTimeout;
  const quiet = (...args: unknown[]) => say?.(args.map(String).join(" "));
  Object.assign(console, { log: quiet, warn: quiet, error: quiet, info: quiet });

  return () => {
    Date.now = now;
    Math.random = mathRandom;
    Error.stackTraceLimit = stackTraceLimit;
    Object.assign(globalThis, { setTimeout, clearTimeout });
    Object.assign(console, { log, warn, error, info });
    for (const name of ["randomUUID", "getRandomValues"] as const) {
      const own = cryptoOwn[name];
      if (own) Object.defineProperty(crypto, name, own);
      else Reflect.deleteProperty(crypto, name);
    }
  };
}

function uuid(random: Random): string {
  const hex = random.hex(32);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}
