/** What the code relies on of a Durable Object: its SQLite, transactions, alarm and RPC. Run simulated and in workerd. */
import { describe, expect, it } from "vitest";
import { type ContractApi, workInside } from "./contract-object.ts";

export interface ObjectHarness {
  /** A stub of the object of this name. */
  object(name: string): ContractApi;
  /** Its memory is gone, its storage stays. */
  evict(name: string): Promise<void>;
  /** Waits for a condition, a few seconds at most. */
  until(condition: () => Promise<boolean>): Promise<void>;
}

let works = 0;

/** @param begin a harness with no objects. */
export function objectContract(begin: () => Promise<ObjectHarness>): void {
  const inside = async <T>(
    harness: ObjectHarness,
    name: string,
    work: (state: DurableObjectState) => T,
  ): Promise<Awaited<T>> => {
    const key = `work ${++works}`;
    workInside.set(key, work);
    try {
      return (await harness.object(name).inside(key)) as Awaited<T>;
    } finally {
      workInside.delete(key);
    }
  };
  const sqlTest = (
    name: string,
    work: (sql: SqlStorage, storage: DurableObjectStorage) => unknown,
    expected: unknown,
  ) =>
    it(name, async () => {
      const harness = await begin();
      expect(await inside(harness, "a", ({ storage }) => work(storage.sql, storage))).toEqual(expected);
    });
  /** What was thrown, in a word. */
  const failing = (work: () => unknown): string => {
    try {
      work();
      return "fine";
    } catch (error) {
      return error instanceof Error ? "failed" : "strange";
    }
  };

  describe("an object's SQL", () => {
    sqlTest(
      "gives numbers, text, null and blobs as they were bound",
      (sql) => {
        sql.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, i INTEGER, r REAL, s TEXT, b BLOB)");
        const view = new Uint8Array([0, 1, 2, 255, 0]).subarray(1, 4);
        sql.exec("INSERT INTO t VALUES (1, ?, ?, ?, ?)", Number.MAX_SAFE_INTEGER, 0.5, "ü", view);
        sql.exec("INSERT INTO t VALUES (2, ?, ?, ?, ?)", -3, 4, "", new Uint8Array([7]).buffer);
        sql.exec("INSERT INTO t VALUES (3, ?, ?, ?, ?)", null, null, null, null);
        return Array.from(sql.exec("SELECT * FROM t ORDER BY id"), ({ b, ...row }) => ({
          ...row,
          b: b instanceof ArrayBuffer ? [...new Uint8Array(b)] : b,
        }));
      },
      [
        { id: 1, i: Number.MAX_SAFE_INTEGER, r: 0.5, s: "ü", b: [1, 2, 255] },
        { id: 2, i: -3, r: 4, s: "", b: [7] },
        { id: 3, i: null, r: null, s: null, b: null },
      ],
    );

    sqlTest(
      "stores a whole number as an integer, and reads it as a number",
      (sql) => {
        sql.exec("CREATE TABLE t (a INTEGER, b)");
        sql.exec("INSERT INTO t VALUES (?, ?)", 5, 5);
        return sql.exec("SELECT a, typeof(a) AS ta, b FROM t").one();
      },
      { a: 5, ta: "integer", b: 5 },
    );

    sqlTest(
      "reads a cursor row by row, whole, as arrays, and once only",
      (sql) => {
        sql.exec("CREATE TABLE t (a INTEGER, b TEXT)");
        for (const a of [1, 2, 3]) sql.exec("INSERT INTO t VALUES (?, ?)", a, `b${a}`);
        const cursor = sql.exec("SELECT a, b FROM t ORDER BY a");
        const { columnNames } = cursor;
        const first = cursor.next();
        const rest = cursor.toArray();
        const after = cursor.next().done;
        return {
          columnNames: [...columnNames],
          first: first.value,
          rest,
          after,
          raw: [...sql.exec("SELECT b, a FROM t").raw()],
        };
      },
      {
        columnNames: ["a", "b"],
        first: { a: 1, b: "b1" },
        rest: [
          { a: 2, b: "b2" },
          { a: 3, b: "b3" },
        ],
        after: true,
        raw: [
          ["b1", 1],
          ["b2", 2],
          ["b3", 3],
        ],
      },
    );

    sqlTest(
      "has one row or throws, where one is asked for",
      (sql) => {
        sql.exec("CREATE TABLE t (a INTEGER)");
        const none = failing(() => sql.exec("SELECT a FROM t").one());
        sql.exec("INSERT INTO t VALUES (1)");
        const { a } = sql.exec("SELECT a FROM t").one();
        sql.exec("INSERT INTO t VALUES (2)");
        return [none, a, failing(() => sql.exec("SELECT a FROM t").one())];
      },
      ["failed", 1, "failed"],
    );

    sqlTest(
      "knows numbered parameters, RETURNING, upserts, tables without row ids, JSON and AUTOINCREMENT",
      (sql) => {
        sql.exec("CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID");
        sql.exec("CREATE TABLE u (id INTEGER PRIMARY KEY AUTOINCREMENT, j TEXT)");
        sql.exec("INSERT INTO t VALUES (?1, ?2), (?1 || 'x', ?2)", "a", 1);
        sql.exec("INSERT OR IGNORE INTO t VALUES ('a', 5)");
        const upserted = sql
          .exec("INSERT INTO t VALUES ('a', 7) ON CONFLICT (k) DO UPDATE SET n = n + excluded.n RETURNING n")
          .toArray();
        const first = sql.exec("INSERT INTO u (j) VALUES (?) RETURNING id", '{"x":{"min":3}}').one();
        sql.exec("DELETE FROM u");
        const second = sql.exec("INSERT INTO u (j) VALUES (?) RETURNING id", '{"x":{"min":3}}').one();
        const json = sql.exec("SELECT json_extract(j, ?) AS found FROM u", '$."x"').one();
        const columns = sql.exec("SELECT name FROM pragma_table_info(?)", "t").toArray();
        return [upserted, first, second, json, columns, sql.exec("SELECT * FROM t ORDER BY k").toArray()];
      },
      [
        [{ n: 8 }],
        { id: 1 },
        { id: 2 },
        { found: '{"min":3}' },
        [{ name: "k" }, { name: "n" }],
        [
          { k: "a", n: 8 },
          { k: "ax", n: 1 },
        ],
      ],
    );

    sqlTest(
      "counts the rows that a DELETE takes",
      (sql) => {
        sql.exec("CREATE TABLE t (a INTEGER PRIMARY KEY)");
        for (const a of [1, 2, 3]) sql.exec("INSERT INTO t VALUES (?)", a);
        return [sql.exec("DELETE FROM t WHERE a > 1").rowsWritten, sql.exec("DELETE FROM t WHERE a > 1").rowsWritten];
      },
      [2, 0],
    );

    sqlTest(
      "runs several statements of one text, in order",
      (sql) => {
        sql.exec("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);");
        return sql.exec("SELECT sum(a) AS sum FROM t").one();
      },
      { sum: 3 },
    );

    sqlTest(
      "throws for what is no SQL, for a constraint, for too many parameters, and goes on",
      (sql) => {
        sql.exec("CREATE TABLE t (a INTEGER PRIMARY KEY)");
        sql.exec("INSERT INTO t VALUES (1)");
        return [
          failing(() => sql.exec("SELEC 1")),
          failing(() => sql.exec("SELECT * FROM nowhere")),
          failing(() => sql.exec("INSERT INTO t VALUES (1)")),
          failing(() => sql.exec(`SELECT ${Array(101).fill("?").join()}`, ...Array(101).fill(1))),
          failing(() => sql.exec(`SELECT ${Array(100).fill("?").join()}`, ...Array(100).fill(1))),
          sql.exec("SELECT count(*) AS n FROM t").one().n,
        ];
      },
      ["failed", "failed", "failed", "failed", "fine", 1],
    );
  });

  describe("an object's transaction", () => {
    sqlTest(
      "gives what its work gives, and undoes all of it when that throws, tables too",
      (sql, storage) => {
        sql.exec("CREATE TABLE t (a INTEGER)");
        const given = storage.transactionSync(() => {
          sql.exec("INSERT INTO t VALUES (1)");
          return "given";
        });
        const thrown = failing(() =>
          storage.transactionSync(() => {
            sql.exec("INSERT INTO t VALUES (2)");
            sql.exec("CREATE TABLE u (a INTEGER)");
            throw new Error("no");
          }),
        );
        const tables = sql.exec("SELECT name FROM sqlite_master WHERE name IN ('t', 'u')").toArray();
        return [given, thrown, tables, sql.exec("SELECT a FROM t").toArray()];
      },
      ["given", "failed", [{ name: "t" }], [{ a: 1 }]],
    );

    sqlTest(
      "within another undoes only its own",
      (sql, storage) => {
        sql.exec("CREATE TABLE t (a INTEGER)");
        storage.transactionSync(() => {
          sql.exec("INSERT INTO t VALUES (1)");
          failing(() =>
            storage.transactionSync(() => {
              sql.exec("INSERT INTO t VALUES (2)");
              throw new Error("no");
            }),
          );
          storage.transactionSync(() => sql.exec("INSERT INTO t VALUES (3)"));
        });
        return sql.exec("SELECT a FROM t ORDER BY a").toArray();
      },
      [{ a: 1 }, { a: 3 }],
    );
  });

  describe("an object's storage", () => {
    it("is its own, and outlives its memory", async () => {
      const harness = await begin();
      const write = (name: string, value: number) =>
        inside(harness, name, ({ storage }) => {
          storage.sql.exec("CREATE TABLE t (a INTEGER)");
          storage.sql.exec("INSERT INTO t VALUES (?)", value);
        });
      await write("a", 1);
      await write("b", 2);
      await harness.evict("a");
      const read = (name: string) =>
        inside(harness, name, ({ storage }) => storage.sql.exec("SELECT a FROM t").one().a);
      expect([await read("a"), await read("b")]).toEqual([1, 2]);
    });

    it("is empty after deleteAll, the alarm too, and takes new tables", async () => {
      const harness = await begin();
      await inside(harness, "a", async ({ storage }) => {
        storage.sql.exec("CREATE TABLE t (a INTEGER)");
        storage.sql.exec("INSERT INTO t VALUES (1)");
        await storage.setAlarm(Date.now() + 3_600_000);
      });
      const left = await inside(harness, "a", async ({ storage }) => {
        await storage.deleteAll();
        const tables = storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 't'").toArray();
        storage.sql.exec("CREATE TABLE t (a INTEGER)");
        return [tables, storage.sql.exec("SELECT * FROM t").toArray(), await storage.getAlarm()];
      });
      expect(left).toEqual([[], [], null]);
    });
  });

  describe("an object's alarm", () => {
    const set = (harness: ObjectHarness, name: string, plan?: { again?: number; throws?: boolean }) =>
      inside(harness, name, async ({ storage }) => {
        if (plan) {
          storage.sql.exec("CREATE TABLE plan (again INTEGER, throws INTEGER)");
          storage.sql.exec("INSERT INTO plan VALUES (?, ?)", plan.again ?? null, plan.throws ? 1 : 0);
        }
        const at = Date.now() + 20;
        await storage.setAlarm(at);
        return at;
      });
    const getAlarm = (harness: ObjectHarness, name: string) =>
      inside(harness, name, ({ storage }) => storage.getAlarm());

    it("is what was set last, or none", async () => {
      const harness = await begin();
      expect(await getAlarm(harness, "a")).toBeNull();
      const later = Date.now() + 7_200_000;
      await inside(harness, "a", async ({ storage }) => {
        await storage.setAlarm(later - 3_600_000);
        await storage.setAlarm(later);
      });
      expect(await getAlarm(harness, "a")).toBe(later);
      await harness.evict("a");
      expect(await getAlarm(harness, "a")).toBe(later);
      await inside(harness, "a", ({ storage }) => storage.deleteAlarm());
      expect(await getAlarm(harness, "a")).toBeNull();
    });

    it("runs once when its time has come, and sees no alarm then", async () => {
      const harness = await begin();
      const at = await set(harness, "a");
      await harness.until(async () => (await harness.object("a").alarms()).length > 0);
      const ran = await harness.object("a").alarms();
      expect(ran.map(({ seen }) => seen)).toEqual([null]);
      expect(ran[0]!.at).toBeGreaterThanOrEqual(at);
      expect(await getAlarm(harness, "a")).toBeNull();
    });

    it("may set the next", async () => {
      const harness = await begin();
      await set(harness, "a", { again: 20 });
      await harness.until(async () => (await harness.object("a").alarms()).length === 2);
      expect(await getAlarm(harness, "a")).toBeNull();
    });

    it("comes again after it has thrown, with what it had written", async () => {
      const harness = await begin();
      await set(harness, "a", { throws: true });
      await harness.until(async () => (await harness.object("a").alarms()).length === 2);
      expect(await getAlarm(harness, "a")).toBeNull();
    });
  });

  describe("an object's RPC", () => {
    it("carries values by structured clone", async () => {
      const harness = await begin();
      const value = {
        number: 1.5,
        big: 2n ** 70n,
        list: [1, null, "x"],
        map: new Map([["k", new Set([1])]]),
        date: new Date(5),
        bytes: new Uint8Array([1, 2]),
        gone: undefined,
      };
      expect(await harness.object("a").echo(value)).toEqual(value);
    });

    it("hands over copies, in which what was one is one", async () => {
      const harness = await begin();
      const own = { list: [1] };
      const call = harness.object("a").echo(own);
      own.list.push(2);
      expect(await call).toEqual({ list: [1] });
      const one = { x: 1 };
      expect(await harness.object("a").sameTwice({ a: one, b: one })).toBe(true);
    });

    it("keeps an error's message and, of the built-in ones, its kind", async () => {
      const harness = await begin();
      const thrown = async (kind: "range" | "type" | "plain") => {
        const error = await harness
          .object("a")
          .fail(kind)
          .catch((reason: unknown) => reason);
        const Kind = error instanceof RangeError ? "RangeError" : error instanceof TypeError ? "TypeError" : "Error";
        return [Kind, (error as Error).message];
      };
      expect(await thrown("range")).toEqual(["RangeError", "rules: 3 is in force"]);
      expect(await thrown("type")).toEqual(["TypeError", "no such thing"]);
      expect(await thrown("plain")).toEqual(["Error", "plain"]);
    });

    it("lets calls come in between where an object awaits anything but its storage", async () => {
      const harness = await begin();
      // Each ends only when the other has come.
      const both = await Promise.all([harness.object("a").meet(), harness.object("a").meet()]);
      expect(both).toEqual([true, true]);
    });
  });
}
