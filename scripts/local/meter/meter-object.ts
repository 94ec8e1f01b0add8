/**
 * An object's own use: calls that reach it, rows, alarms, the time in which a call was under way (what its duration is
 * billed by), and the size of its database. The runtime's storage classes are patched once, because an object gets its
 * context from the runtime and passes no other to its base class.
 */
import { type Rows, usage } from "./usage.ts";

interface Metered {
  readonly className: string;
  readonly ctx: DurableObjectState;
  open: number;
  since: number;
}

const metered = new WeakMap<object, Metered>();
/** By the storage, and the SQL storage, of each object. */
const classOf = new WeakMap<object, string>();
const patched = new WeakSet<object>();
const A_ROW: Rows = { rowsRead: 0, rowsWritten: 1 };

export function meterObject(object: object, ctx: DurableObjectState, className: string): void {
  if (!usage.isOn) return;
  metered.set(object, { className, ctx, open: 0, since: 0 });
  const { storage } = ctx;
  classOf.set(storage, className).set(storage.sql, className);
  patch(storage.sql, ["exec"], (cursor) => cursor as Rows);
  // An alarm and a value are a row each.
  patch(storage, ["setAlarm", "deleteAlarm", "put", "delete"], () => A_ROW);
}

type Methods = Record<string, (...args: unknown[]) => unknown>;

/** @param rows of what the method answered. */
function patch(instance: object, names: readonly string[], rows: (answer: unknown) => Rows): void {
  const prototype = Object.getPrototypeOf(instance) as Methods;
  if (patched.has(prototype)) return;
  patched.add(prototype);
  for (const name of names) {
    const plain = prototype[name]!;
    prototype[name] = function (this: object, ...args: unknown[]) {
      const answer = Reflect.apply(plain, this, args);
      usage.statement(classOf.get(this) ?? "constructors", rows(answer));
      return answer;
    };
  }
}

/** Runs a call of the object; one within another is part of it. */
export function meterCall<T>(object: object, method: string, run: () => T): T {
  const of = usage.isOn ? metered.get(object) : undefined;
  if (!of) return run();
  if (of.open++ === 0) of.since = Date.now();
  if (method === "alarm") usage.add(`${of.className} alarms`);
  const ended = () => {
    usage.takeRows();
    if (--of.open > 0) return;
    usage.add(`${of.className} active ms`, Date.now() - of.since);
    usage.database(of.className, String(of.ctx.id), of.ctx.storage.sql.databaseSize);
  };
  let result: T;
  try {
    result = run();
  } catch (error) {
    ended();
    throw error;
  }
  if (!(result instanceof Promise)) {
    ended();
    return result;
  }
  return result.finally(ended) as T;
}
