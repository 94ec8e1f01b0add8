/**
 * A call from a process to something elsewhere: a request that travels, an effect, an answer that travels back. Each
 * leg takes an event of its own, so that everything may come in between, and each may be struck by a fault:
 *
 *     caller dies before the request leaves     no effect
 *     request fails                             no effect, the caller is told
 *     request is late, or stuck for a day       the effect comes when the caller may be long dead
 *     answer fails                              the effect is there, the caller is told that it failed
 *     caller is told too early that it failed   the effect comes later, perhaps after that of a second attempt
 *     request arrives twice                     a second effect, later; the caller reads the first answer
 *     caller dies before it reads the answer    the effect is there, nobody knows
 */
import type { Random } from "../../../scripts/demo/random.ts";
import type { Process, Scheduler } from "./scheduler.ts";
import type { Hanging, Weather } from "./weather.ts";

export interface CallTarget {
  /** For the table of faults: `R2.put log`, `EventLog.commit`. */
  readonly name: string;
  /** What the caller is told when the network fails it. */
  readonly failure: () => Error;
  /** Objects may say that they are overloaded. */
  readonly overloaded?: () => Error;
  /** Calls that are made to be repeated (every RPC of an object is) may arrive twice. */
  readonly repeated?: "at once" | "late";
  /** Of an object's call: what it is told, as JSON. */
  readonly args?: () => string;
}

const NO_ARGS = () => "";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export class Network {
  readonly scheduler: Scheduler;
  readonly weather: Weather;
  readonly random: Random;
  /** Requests on their way, by target. */
  readonly #travelling = new Map<string, number>();
  readonly #held: (Hanging & { name: string; timer: ReturnType<Scheduler["after"]>; arrive: () => void })[] = [];

  constructor(scheduler: Scheduler, weather: Weather, random: Random) {
    this.scheduler = scheduler;
    this.weather = weather;
    this.random = random;
  }

  /**
   * @param effect runs where the request arrives, in an event of the platform; what it gives, or throws, travels back.
   * @param departs called with a function that sends the request: an object's calls wait until its writes are durable.
   */
  call<T>(
    from: Process,
    target: CallTarget,
    effect: () => T | Promise<T>,
    departs: (send: () => void) => void = (send) => send(),
  ): Promise<T> {
    const { scheduler, weather } = this;
    const { name } = target;
    return new Promise<T>((resolve, reject) => {
      if (weather.strikes("crash_before", name)) {
        scheduler.after(0, null, `crash ${from.name} before ${name}`, () => from.kill());
        return;
      }
      const failsBefore = weather.strikes("fail_before", name);
      const failsAfter = !failsBefore && (weather.strikes("fail_after", name) || weather.loses(name));
      let failsEarly = !failsBefore && !failsAfter && weather.strikes("fail_early", name);
      const crashesAfter = weather.strikes("crash_after", name);
      const overloaded = target.overloaded && weather.strikes("overloaded", name);
      const answer = (told: () => void, label: string) => {
        if (failsEarly) return;
        scheduler.after(this.#legMs(from, name), from, `answer ${name} ${label}`, () => {
          if (crashesAfter) from.kill();
          else told();
        });
      };
      const fail = (error: Error) => answer(() => reject(error), "fails");
      const arrive = () => {
        this.#count(name, -1);
        weather.arrived(name, target.args ?? NO_ARGS);
        if (this.#held.length > 0) this.#release(target);
        if (failsBefore) return fail(target.failure());
        if (overloaded) return fail(target.overloaded!());
        let result: T | Promise<T>;
        try {
          result = effect();
        } catch (error) {
          return fail(error as Error);
        }
        if (!(result instanceof Promise)) {
          if (failsAfter) return fail(target.failure());
          const value = result;
          return answer(() => resolve(value), "ok");
        }
        result.then(
          (value) => {
            if (failsAfter) fail(target.failure());
            else answer(() => resolve(value), "ok");
          },
          (error) => fail(error as Error),
        );
      };
      departs(() => {
        this.#count(name, 1);
        const hang = weather.hangs(name, from.name, target.args ?? NO_ARGS);
        if (hang) {
          failsEarly = false; // Or nobody would ever be told.
          from.onStuck?.(hang.ms, hang.withAll);
          const timer = scheduler.after(hang.ms, null, `call ${name} that hung`, arrive);
          if (hang.until) this.#held.push({ ...hang, name, timer, arrive });
          return;
        }
        const legMs = this.#legMs(from, name);
        if (failsEarly) {
          scheduler.after(legMs, from, `answer ${name} fails early`, () => reject(target.failure()));
          scheduler.after(legMs + this.#lagMs(), null, `call ${name} at last`, arrive);
          return;
        }
        scheduler.after(legMs, null, `call ${name}`, arrive);
        if (target.repeated && weather.strikes("repeat", name)) {
          this.#count(name, 1);
          const lagMs = target.repeated === "late" ? this.#lagMs() : 0;
          scheduler.after(legMs + lagMs, null, `call ${name} once more`, () => {
            this.#count(name, -1);
            try {
              const result = effect();
              if (result instanceof Promise) result.catch(() => {});
            } catch {
              // Nobody waits for it.
            }
          });
        }
      });
    });
  }

  /** Requests on their way, all or those to one target. */
  travelling(name?: string): number {
    if (name !== undefined) return this.#travelling.get(name) ?? 0;
    let sum = 0;
    for (const count of this.#travelling.values()) sum += count;
    return sum;
  }

  /** Targets of requests on their way. */
  underWay(): string[] {
    return [...this.#travelling].flatMap(([name, count]) => (count > 0 ? [`call ${name}`] : []));
  }

  /** What was to go on once this has arrived does so a moment later. */
  #release({ name, args = NO_ARGS }: CallTarget): void {
    const isMeant = ({ until, untilArgs }: Hanging) => until?.test(name) && (untilArgs?.test(args()) ?? true);
    for (const held of this.#held.filter(isMeant)) {
      this.#held.splice(this.#held.indexOf(held), 1);
      if (held.timer.cancelled || held.timer.ran) continue;
      held.timer.cancelled = true;
      this.scheduler.after(this.random.next() * 6, null, `call ${held.name} that hung`, held.arrive);
    }
  }

  #count(name: string, change: number): void {
    this.#travelling.set(name, (this.#travelling.get(name) ?? 0) + change);
  }

  /** How long after its time something comes: moments, mostly. */
  #lagMs(): number {
    const { random } = this;
    return random.wait(random.pick([5, 50, 3_000, 60_000]));
  }

  #legMs(from: Process, name: string): number {
    const { random, weather } = this;
    if (weather.strikes("stuck", name)) {
      const ms = random.chance(0.6) ? random.int(1, 40) * MINUTE_MS : random.pick([3 * HOUR_MS, 30 * HOUR_MS]);
      from.onStuck?.(ms, false);
      return ms;
    }
    if (weather.strikes("delay", name)) return random.int(500, 25_000);
    return 1 + random.next() * 4;
  }
}
