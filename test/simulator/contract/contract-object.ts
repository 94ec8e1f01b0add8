/** An object that does what a test of the contract tells it, in workerd and simulated. */

/** By name: work that a test wants done inside of an object. Functions do not cross an RPC, names do. */
export const workInside = new Map<string, (state: DurableObjectState) => unknown>();

export interface ContractApi {
  inside(name: string): Promise<unknown>;
  echo<T>(value: T): Promise<T>;
  sameTwice(value: unknown): Promise<boolean>;
  fail(kind: "range" | "type" | "plain"): Promise<void>;
  meet(): Promise<boolean>;
  alarms(): Promise<{ at: number; seen: number | null }[]>;
}

type Base = new (ctx: DurableObjectState, env: unknown) => { ctx: DurableObjectState };

/** @param Base `DurableObject`, or what stands in for it. */
export function contractObject(Base: Base) {
  return class ContractObject extends Base {
    #present = 0;

    async inside(name: string): Promise<unknown> {
      return workInside.get(name)!(this.ctx);
    }

    async echo<T>(value: T): Promise<T> {
      return value;
    }

    /** Two fields with one value are still one on this side. */
    async sameTwice({ a, b }: { a: unknown; b: unknown }): Promise<boolean> {
      return a === b;
    }

    async fail(kind: "range" | "type" | "plain"): Promise<void> {
      if (kind === "range") throw new RangeError("rules: 3 is in force");
      if (kind === "type") throw new TypeError("no such thing");
      throw new Error("plain");
    }

    /** Waits for a second call while it awaits nothing of its storage. @returns whether there was one. */
    async meet(): Promise<boolean> {
      this.#present++;
      for (let round = 0; this.#present < 2 && round < 400; round++) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return this.#present === 2;
    }

    /** When the alarm ran, and what `getAlarm` said in it. Throws, and sets another, as the table says. */
    async alarm(): Promise<void> {
      const { storage } = this.ctx;
      storage.sql.exec("CREATE TABLE IF NOT EXISTS alarms (at INTEGER, seen INTEGER)");
      storage.sql.exec("INSERT INTO alarms VALUES (?, ?)", Date.now(), await storage.getAlarm());
      const plan = hasTable(storage.sql, "plan") ? storage.sql.exec("SELECT * FROM plan").toArray()[0] : undefined;
      if (!plan) return;
      storage.sql.exec("DROP TABLE plan");
      if (typeof plan.again === "number") await storage.setAlarm(Date.now() + plan.again);
      await storage.sync();
      if (plan.throws) throw new Error("the alarm fails on purpose");
    }

    async alarms(): Promise<unknown[]> {
      const { sql } = this.ctx.storage;
      return hasTable(sql, "alarms") ? sql.exec("SELECT at, seen FROM alarms ORDER BY at").toArray() : [];
    }
  };
}

const hasTable = (sql: SqlStorage, name: string) =>
  sql.exec("SELECT 1 FROM sqlite_master WHERE name = ?", name).toArray().length > 0;
