import { reset, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { EventsRefused, isBehindRules, isRefusal } from "../../queues/refusal.ts";
import { bindings } from "../bindings.ts";

afterEach(() => reset());

interface Thrower {
  ctx: DurableObjectState;
}

/** What a caller gets of what an object's method throws, over a real RPC. */
async function overRpc(thrower: (object: Thrower) => unknown): Promise<unknown> {
  const stub = bindings.SINK_CURSOR.getByName(`throws ${crypto.randomUUID()}`);
  const restore = await runInDurableObject(stub, (object) => {
    // The class that the object's own is made of: RPC calls only what stands on a prototype.
    const prototype = Object.getPrototypeOf(object) as { status: unknown };
    const { status } = prototype;
    prototype.status = async function (this: Thrower) {
      return thrower(this);
    };
    return () => {
      prototype.status = status;
    };
  });
  try {
    return await stub.status().then(
      () => {
        throw new Error("it threw nothing");
      },
      (error: unknown) => error,
    );
  } finally {
    restore();
  }
}

const sql =
  (text: string, ...values: unknown[]) =>
  (object: Thrower) => {
    object.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS t (x NOT NULL)");
    object.ctx.storage.sql.exec(text, ...values);
  };

describe("what an object throws", () => {
  it.each<[string, (object: Thrower) => unknown]>([
    [
      "RangeError",
      () => {
        throw new RangeError("a day has 24 hours");
      },
    ],
    ["TypeError", () => (null as unknown as { x: 1 }).x],
    ["SyntaxError", () => JSON.parse("{")],
    ["URIError", () => decodeURIComponent("%")],
    ["a value that cannot be cloned", () => structuredClone(() => {})],
    ["an answer that cannot be sent", () => new (class Own {})()],
    ["a row too big for SQLite", sql("INSERT INTO t VALUES (?)", "x".repeat(3_000_000))],
    ["a row against a constraint", sql("INSERT INTO t VALUES (NULL)")],
    ["an answer above 32 MiB", () => new Uint8Array(33 * 1024 * 1024)],
  ])("is a refusal: %s", async (_name, thrower) => {
    const error = await overRpc(thrower);
    expect([isRefusal(error), String(error)]).toEqual([true, expect.any(String)]);
    expect(isBehindRules(error)).toBe(false);
  });

  it.each<[string, (object: Thrower) => unknown]>([
    [
      "an Error without more",
      () => {
        throw new Error("the store is down");
      },
    ],
    [
      "a text",
      () => {
        throw "TypeError"; // As some wasm does.
      },
    ],
    ["a reset of the object", (object) => object.ctx.abort("moved")],
    [
      "a newer rule",
      () => {
        throw new RangeError("rules: 3 is the newest");
      },
    ],
    [
      "a lost connection, whatever its class",
      () => {
        throw Object.assign(new TypeError("Network connection lost."), { retryable: true });
      },
    ],
    [
      "too much to do",
      () => {
        throw Object.assign(new RangeError("Durable Object is overloaded."), { overloaded: true });
      },
    ],
  ])("is cured by time: %s", async (_name, thrower) => {
    const error = await overRpc(thrower);
    expect([isRefusal(error), String(error)]).toEqual([false, expect.any(String)]);
  });

  it("behind a newer rule is known as that", async () => {
    const error = await overRpc(() => {
      throw new RangeError("rules: 3 is the newest");
    });
    expect(isBehindRules(error)).toBe(true);
  });
});

it("a method that an object of an older deploy does not have is cured by time", async () => {
  const stub = bindings.SINK_CURSOR.getByName("older") as unknown as { newer(): Promise<void> };
  const error = await stub.newer().catch((e: unknown) => e);
  expect([isRefusal(error), String(error)]).toEqual([false, expect.stringContaining("TypeError")]);
});

it("arguments that are too large or cannot be sent are refused", async () => {
  const { lease } = { lease: (owner: unknown) => bindings.SINK_CURSOR.getByName("args").lease(owner as string, 5) };
  for (const owner of [new Uint8Array(33 * 1024 * 1024), new (class Own {})()]) {
    expect(isRefusal(await lease(owner).catch((e: unknown) => e))).toBe(true);
  }
});

it("R2's errors are cured by time", async () => {
  expect(isRefusal(await bindings.BUCKET.get("x".repeat(2_000)).catch((e: unknown) => e))).toBe(false);
  expect(isRefusal(new Error("get: We encountered an internal error. Please try again. (10001)"))).toBe(false);
});

it("a trap of WebAssembly, and what the Parquet encoder says, are refusals", () => {
  expect(isRefusal(new WebAssembly.RuntimeError("unreachable"))).toBe(true);
  expect(isRefusal(new Error("encoder wrote 0 of 5 rows"))).toBe(true);
  expect(isRefusal("Parquet error: a column is wrong")).toBe(true);
  expect(isRefusal(new EventsRefused([], "a timeline"))).toBe(true);
});
