/**
 * Durable Objects: one instance for a name, found again under it; RPC by structured clone; alarms; memory that may
 * vanish between any two events, with what was not durable or without. The classes are the real ones.
 */

import { DatabasePool } from "./database-pool.ts";
import type { CallTarget, Network } from "./network.ts";
import { ObjectStorage } from "./object-storage.ts";
import { Process } from "./scheduler.ts";
import { SimulatedSql } from "./sql-storage.ts";
import { cloned } from "./structured-clone.ts";

export type Bindings = Readonly<Record<string, unknown>>;
export type ObjectClass = new (state: never, env: never) => object;

/** How a process's calls leave: an object's wait until its writes are durable. */
export type Departs = (send: () => void) => void;

/** Sees the calls of all objects. Times are milliseconds of the object's own clock when the call began to run. */
export interface Watch {
  begins(target: string, args: readonly unknown[]): void;
  /** What it has written is durable. */
  answered(target: string, args: readonly unknown[], answer: unknown, atMs: number): void;
}

interface Instance {
  readonly process: Process;
  object: Record<string, unknown>;
  /** Requests that the object has not answered, and work that it goes on with. */
  busy: number;
  /** Above 0: nothing is delivered. */
  locks: number;
  readonly waiting: (() => void)[];
  /** Told when the instance dies. */
  readonly lost: Set<() => void>;
}

const ALARM_RETRIES = 6;

/**
 * Calls that stand for themselves: where they come from is said in them (a cursor, a token, a seq), so one may even arrive
 * once more long after its answer. Others are repeated at once or not at all, as their callers do.
 */
const LATE_REPEATS =
  /^(EventLog|LiveHub|SinkCursor\.(lease|advance|release|failed|decide|close)|LakeCatalog\.(lease|append|release|replace|failed|decide)|UserTimeline\.append|MinuteRollup\.apply$)/;

export class SimulatedObjects {
  readonly network: Network;
  readonly #classes: Readonly<Record<string, ObjectClass>>;
  readonly #bindings: (process: Process, departs: Departs) => Bindings;
  readonly #watch: Watch | null;
  readonly #hosts = new Map<string, ObjectHost>();

  constructor(
    network: Network,
    classes: Readonly<Record<string, ObjectClass>>,
    bindings: (process: Process, departs: Departs) => Bindings,
    watch: Watch | null = null,
  ) {
    this.#watch = watch;
    this.network = network;
    this.#classes = classes;
    this.#bindings = bindings;
  }

  /** A binding to a class's objects, for one process. */
  namespace(className: string, from: Process, departs?: Departs): { getByName(name: string): object } {
    const getByName = (name: string) =>
      new Proxy(
        {},
        {
          get: (_, method) => {
            if (typeof method !== "string" || method === "then") return undefined;
            return (...args: unknown[]) => this.#call(className, name, method, args, from, departs);
          },
        },
      );
    return { getByName };
  }

  /** Objects of a class that exist, by name. */
  names(className: string): string[] {
    const prefix = `${className}/`;
    return [...this.#hosts.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
      .sort();
  }

  host(className: string, name: string): ObjectHost {
    const key = `${className}/${name}`;
    let host = this.#hosts.get(key);
    if (!host) {
      const Class = this.#classes[className];
      if (!Class) throw new Error(`no class ${className}`);
      host = new ObjectHost(key, name, Class, databasesOf(Class), this.network, this.#bindings, this.#watch);
      this.#hosts.set(key, host);
    }
    return host;
  }

  /** Whether some object works, or has writes that are not durable. */
  get isBusy(): boolean {
    for (const host of this.#hosts.values()) if (host.isBusy) return true;
    return false;
  }

  get busy(): string[] {
    return [...this.#hosts.values()].filter(({ isBusy }) => isBusy).map(({ storage }) => storage.name);
  }

  /** Every object dies, as when its Worker is deployed anew. */
  resetAll(): void {
    for (const host of this.#hosts.values()) host.reset();
  }

  /** Every object leaves memory: what it says next is what it has stored. */
  evictAll(): void {
    for (const host of this.#hosts.values()) host.evict();
  }

  close(): void {
    for (const host of this.#hosts.values()) host.close();
  }

  #call(className: string, name: string, method: string, args: unknown[], from: Process, departs?: Departs) {
    const copied = cloned(args);
    const target: CallTarget = {
      name: `${className}.${method}`,
      args: () => brief(copied),
      repeated: LATE_REPEATS.test(`${className}.${method}`) ? "late" : "at once",
      failure: () => Object.assign(new Error("Network connection lost."), { retryable: true }),
      overloaded: () =>
        Object.assign(new Error("Durable Object is overloaded. Too many requests queued."), { overloaded: true }),
    };
    return this.network.call(from, target, () => this.host(className, name).rpc(method, copied), departs);
  }
}

export class ObjectHost {
  readonly storage: ObjectStorage;
  readonly #name: string;
  readonly #className: string;
  readonly #Class: ObjectClass;
  readonly #databases: DatabasePool;
  readonly #network: Network;
  readonly #bindings: (process: Process, departs: Departs) => Bindings;
  readonly #watch: Watch | null;
  #instance: Instance | null = null;
  #alarmToken = 0;
  #alarmFailures = 0;

  constructor(
    key: string,
    name: string,
    Class: ObjectClass,
    databases: DatabasePool,
    network: Network,
    bindings: (process: Process, departs: Departs) => Bindings,
    watch: Watch | null,
  ) {
    this.#watch = watch;
    this.#name = name;
    this.#className = key.slice(0, key.indexOf("/"));
    this.#Class = Class;
    this.#databases = databases;
    this.#network = network;
    this.#bindings = bindings;
    this.storage = new ObjectStorage(key, databases.take(), network.scheduler, network.weather);
    this.storage.onAlarm = () => this.#armAlarm();
  }

  get isBusy(): boolean {
    return this.storage.isDirty || (this.#instance?.busy ?? 0) > 0;
  }

  rpc(method: string, args: unknown[]): Promise<unknown> {
    this.#network.scheduler.remark(() => `${this.storage.name} ${method} ${brief(args)}`);
    const target = `${this.#className}.${method}`;
    let atMs = 0;
    const answer = this.#deliver((object) => {
      atMs = Date.now();
      this.#watch?.begins(target, args);
      const call = object[method];
      if (typeof call !== "function" || method.startsWith("#")) {
        throw new TypeError(`The RPC receiver does not implement the method "${method}".`);
      }
      return call.apply(object, args);
    }, target);
    if (this.#watch) {
      answer.then(
        (value) => this.#watch!.answered(target, args, value, atMs),
        () => {},
      );
    }
    return answer;
  }

  /** The object dies here, with what is not durable. */
  reset(): void {
    const instance = this.#instance;
    this.#instance = null;
    this.storage.crash();
    instance?.process.kill();
    for (const tell of instance?.lost ?? []) tell();
    if (this.storage.durableAlarm !== null) this.#armAlarm();
  }

  evict(): void {
    const instance = this.#instance;
    this.#instance = null;
    instance?.process.kill();
  }

  close(): void {
    this.evict();
    this.#databases.give(this.storage.close());
  }

  #deliver(call: (object: Record<string, unknown>) => unknown, target: string): Promise<unknown> {
    const { scheduler, weather } = this.#network;
    if (this.#instance && !this.isBusy && weather.strikes("evict", this.#className)) {
      this.evict();
    }
    if (weather.strikes("reset", target)) {
      scheduler.after(weather.random.next() * weather.random.int(0, 60), null, `reset ${this.storage.name}`, () =>
        this.reset(),
      );
    }
    return new Promise((resolve, reject) => {
      const instance = this.#running();
      const lost = () => {
        reject(
          Object.assign(new Error("Durable Object reset because its code was updated."), {
            retryable: true,
            durableObjectReset: true,
          }),
        );
      };
      instance.lost.add(lost);
      instance.busy++;
      const settle = (tell: () => void) => {
        if (!instance.process.alive) return;
        this.storage.whenDurable(() => {
          instance.lost.delete(lost);
          instance.busy--;
          tell();
        });
      };
      const begin = () => {
        if (instance.locks > 0) {
          instance.waiting.push(begin);
          return;
        }
        scheduler.current = instance.process;
        let result: unknown;
        try {
          result = call(instance.object);
        } catch (error) {
          result = Promise.reject(error);
        }
        Promise.resolve(result).then(
          (value) => {
            const copied = cloned(value);
            scheduler.remark(() => `${this.storage.name} ${target} -> ${brief(copied)}`);
            settle(() => resolve(copied));
          },
          (error) => settle(() => reject(remote(error))),
        );
      };
      begin();
    });
  }

  #running(): Instance {
    if (this.#instance) return this.#instance;
    const { scheduler, weather } = this.#network;
    const process = new Process(this.storage.name);
    if (weather.strikes("skew", this.#className)) process.skewMs = weather.random.int(-90_000, 90_000);
    scheduler.current = process;
    const instance = {
      process,
      object: {},
      busy: 0,
      locks: 0,
      waiting: [],
      lost: new Set<() => void>(),
    } satisfies Instance;
    const state = this.#state(instance);
    try {
      instance.object = new this.#Class(
        state as never,
        this.#bindings(process, (send) => this.storage.whenDurable(send)) as never,
      ) as Record<string, unknown>;
    } catch (error) {
      this.storage.crash();
      throw remote(error);
    }
    this.#instance = instance;
    process.onDeath.push(() => {
      if (this.#instance === instance) this.reset();
    });
    return instance;
  }

  #state(instance: Instance) {
    const { storage } = this;
    /** Mostly answered at once; sometimes in an event of its own, while nothing else is delivered. */
    const stored = <T>(value: T): Promise<T> => {
      const { scheduler, weather } = this.#network;
      if (!weather.strikes("slow_storage", this.#className)) return Promise.resolve(value);
      this.#lock(instance);
      return new Promise((resolve) => {
        scheduler.after(weather.random.int(1, 400), instance.process, `storage ${storage.name}`, () => {
          resolve(value);
          this.#unlock(instance);
        });
      });
    };
    return {
      id: { name: this.#name, toString: () => this.#name },
      storage: {
        sql: storage.sql,
        transactionSync: <T>(work: () => T) => storage.transactionSync(work),
        getAlarm: () => stored(storage.alarm),
        setAlarm: (at: number | Date) => {
          storage.setAlarm(Number(at));
          return stored(undefined);
        },
        deleteAlarm: () => {
          storage.setAlarm(null);
          return stored(undefined);
        },
        deleteAll: () => {
          storage.deleteAll();
          return stored(undefined);
        },
        sync: () => new Promise<void>((resolve) => storage.whenDurable(resolve)),
      },
      waitUntil: (work: Promise<unknown>) => {
        instance.busy++;
        const over = () => {
          if (instance.process.alive) instance.busy--;
        };
        work.then(over, over);
      },
      blockConcurrencyWhile: async <T>(work: () => Promise<T>): Promise<T> => {
        this.#lock(instance);
        try {
          return await work();
        } catch (error) {
          if (instance.process.alive) this.reset();
          throw error;
        } finally {
          this.#unlock(instance);
        }
      },
      getWebSockets: () => [],
      acceptWebSocket: () => {},
      setWebSocketAutoResponse: () => {},
      abort: () => this.reset(),
    };
  }

  #lock(instance: Instance): void {
    instance.locks++;
  }

  #unlock(instance: Instance): void {
    if (--instance.locks > 0 || !instance.process.alive) return;
    const { scheduler } = this.#network;
    for (const begin of instance.waiting.splice(0)) {
      scheduler.after(0, instance.process, `deliver ${this.storage.name}`, begin);
    }
  }

  #armAlarm(): void {
    const { scheduler, weather } = this.#network;
    const at = this.storage.durableAlarm;
    const token = ++this.#alarmToken;
    if (at === null) return;
    const target = `${this.#className}.alarm`;
    const retryMs = this.#alarmFailures > 0 ? 2_000 * 2 ** (this.#alarmFailures - 1) : 0;
    const lateMs = weather.strikes("alarm_late", target) ? weather.random.int(1_000, 120_000) : 0;
    // By the clock that the object itself reads.
    const ownNow = scheduler.now + (this.#instance?.process.skewMs ?? 0);
    scheduler.after(Math.max(at - ownNow, retryMs) + lateMs, null, `alarm ${this.storage.name}`, () => {
      if (token !== this.#alarmToken) return;
      this.storage.beginAlarm();
      if (weather.strikes("alarm_lost", target)) return this.storage.endAlarm(at);
      this.#fire(at, target);
    });
  }

  #fire(at: number, target: string): void {
    const failed = () => {
      if (this.storage.durableAlarm !== at || this.storage.alarm !== null) return;
      if (++this.#alarmFailures > ALARM_RETRIES) {
        this.#alarmFailures = 0;
        return this.storage.endAlarm(at);
      }
      this.#armAlarm();
    };
    let ran: Promise<unknown>;
    try {
      ran = this.#deliver((object) => (object.alarm as () => unknown).call(object), target);
    } catch {
      failed();
      return;
    }
    ran.then(() => {
      this.#alarmFailures = 0;
      this.storage.endAlarm(at);
    }, failed);
  }
}

const pools = new Map<ObjectClass, DatabasePool>();

function databasesOf(Class: ObjectClass): DatabasePool {
  let pool = pools.get(Class);
  if (!pool) {
    pool = new DatabasePool((database) => {
      const sql = new SimulatedSql(database, () => {});
      const storage = { sql, transactionSync: (work: () => unknown) => work(), getAlarm: async () => null };
      const state = { id: { name: "0" }, storage, blockConcurrencyWhile: async () => {}, getWebSockets: () => [] };
      new Class({ ...state, setWebSocketAutoResponse: () => {} } as never, {} as never);
    });
    pools.set(Class, pool);
  }
  return pool;
}

/** For a trace. */
function brief(value: unknown): string {
  const text = JSON.stringify(value, (_, member) => {
    if (typeof member === "bigint") return String(member);
    if (ArrayBuffer.isView(member)) return `${member.byteLength} bytes`;
    return member instanceof Map ? [...member] : member;
  });
  return text === undefined ? "nothing" : text.slice(0, 400);
}

/** As an error looks on the other side of an RPC: type and message, no stack of ours. */
function remote(error: unknown): Error {
  const known = error instanceof Error ? error : new Error(String(error));
  const Type = known instanceof RangeError ? RangeError : known instanceof TypeError ? TypeError : Error;
  const told = new Type(known.message);
  if (told.name !== known.name && Type === Error) told.message = known.message;
  return Object.assign(told, { remote: true });
}
