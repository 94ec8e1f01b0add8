import { request } from "node:http";
import { buffer } from "node:stream/consumers";
import { tableFromIPC } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SQL } from "../../../../r2-layout/limits.ts";
import { type QueryRig, startRig } from "../rig.ts";

let rig: QueryRig;

beforeAll(async () => {
  rig = await startRig();
});

afterAll(async () => {
  await rig?.stop();
});

const ROWS = 60_000;
const WIDE = "repeat('x', 500)";
const LARGE = `select i as n, ${WIDE} as t from range(${ROWS}) r(i)`;
const running = async () =>
  (await Promise.all([rig.engine(0).status(), rig.engine(1).status()])).reduce((sum, one) => sum + one.statements, 0);

it("sends what outgrows memory while it is made, every row of it, and never holds more than a bound", async () => {
  const response = await rig.post({ sql: LARGE, format: "ndjson" });
  if (response.status !== 200) throw new Error(await response.text());
  expect(JSON.parse(response.headers.get("x-eventpile-stats")!)).toMatchObject({ streamed: true });
  let bytes = 0;
  let lines = 0;
  let last = "";
  for await (const chunk of response.body!) {
    bytes += chunk.length;
    const text = last + new TextDecoder().decode(chunk);
    const parts = text.split("\n");
    last = parts.pop()!;
    for (const line of parts) if (!line.startsWith(`{"n":${lines++},`)) throw new Error(`line ${lines}: ${line}`);
  }
  expect(lines).toBe(ROWS);
  expect(bytes).toBeGreaterThan(3 * SQL.wholeBytes);
  expect((await rig.engine(0).status()).heap_bytes).toBeLessThan(SQL.heapBytes);
});

/** A client, on a connection of its own, that takes nothing until it is told to. */
function slowly(body: unknown): Promise<{ status: number; rest(): Promise<Buffer>; leave(): void }> {
  return new Promise((resolve, reject) => {
    const asked = request(String(rig.url("/v1/sql")), { method: "POST", agent: false }, (answer) => {
      answer.pause();
      resolve({
        status: answer.statusCode ?? 0,
        rest: () => buffer(answer),
        leave: () => void asked.destroy(),
      });
    });
    asked.on("error", reject);
    asked.end(JSON.stringify(body));
  });
}

const ending = (bytes: Uint8Array) => new TextDecoder().decode(bytes.subarray(-200));

it("a client that goes in the middle frees the engine at once", async () => {
  const client = await slowly({ sql: LARGE, format: "csv" });
  expect(await running()).toBe(1);
  client.leave();
  await expect.poll(running, { timeout: 5_000 }).toBe(0);
  expect((await rig.sql("select 42")).rows).toEqual([[42]]);
});

it("a client that reads nothing is given up where others wait, and its answer ends in what cannot be read", async () => {
  const client = await slowly({ sql: LARGE, format: "csv" });
  const other = await rig.sql("select 42");
  expect(other.rows).toEqual([[42]]);
  expect(other.stats.wait_ms).toBeGreaterThan(0);
  expect(other.stats.wait_ms).toBeLessThan(SQL.stallBesideOthersMs + 5_000);
  expect(ending(await client.rest())).toMatch(/\r\n"the answer broke off: reader_too_slow$/);
});

describe("an error in the middle", () => {
  const sql = `select (case when i = ${ROWS - 1} then 'none' else i::varchar end)::integer n, ${WIDE} as t from range(${ROWS}) r(i)`;
  const broken = async (format: string) => {
    const client = await slowly({ sql, format });
    expect(client.status).toBe(200);
    return client.rest();
  };

  it("ends CSV in a quote that nothing closes", async () => {
    expect(ending(await broken("csv"))).toMatch(/\r\n"the answer broke off: sql_error$/);
  });

  it("ends NDJSON in a line that is no JSON", async () => {
    const last = ending(await broken("ndjson"))
      .split("\n")
      .at(-1)!;
    expect(last).toContain("broke off: sql_error");
    expect(() => JSON.parse(last)).toThrow();
  });

  it("ends Arrow in a message that does not come", async () => {
    const bytes = await broken("arrow");
    expect(() => tableFromIPC(bytes)).toThrow();
  });

  it("and the next statement is answered", async () => {
    expect((await rig.sql("select 42")).rows).toEqual([[42]]);
  });
});

it("the same error before anything was sent is a problem document", async () => {
  const sql = "select ('a' || i)::integer from range(100000) r(i)";
  const answer = await rig.post({ sql, format: "csv" });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ reason: "sql_error" });
});
