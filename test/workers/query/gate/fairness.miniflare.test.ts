/** Tokens share an engine fairly, and light statements need not wait for heavy ones to end. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lakeFile, type QueryRig, type SqlAnswer, startRig } from "../rig.ts";
import { shopRows } from "../shop-rows.ts";

const token = (number: number) => String(number).padStart(2, "0").repeat(32);
const LIGHT = "select event_name, count(*) n, count(distinct user_id) u from events group by 1 order by 1";
/** Some seconds of hashing, sorting and joining. */
const HEAVY = `select count(*) n, sum(x) s, max(c) m from (
  select a.range % 100003 x, count(*) c from range(8000000) a group by 1
) join (select range % 50021 y from range(1000000) b) on x = y`;
/** Nothing about its files says that it runs for hours. */
const NOT_LIGHT =
  "select count(*) from events a, events b, events c where a.event_id || b.event_id || c.event_id = 'x'";
/** Runs for minutes, if it is let. */
const ENDLESS = "select count(*) from range(100000000) a, range(100000) b where a.range + b.range = 7";

/** Machines are shared: a bound against standing still. */
const WAIT_MS = 30_000;

let rig: QueryRig;
let heavyAlone: SqlAnswer;
beforeAll(async () => {
  rig = await startRig();
  const files = await Promise.all(
    [1, 2].map((seed) => lakeFile("events", [...shopRows({ seed, rows: 8_000, firstDay: seed, days: 1 })])),
  );
  await rig.commit(files);
  heavyAlone = await ask(1, HEAVY);
});
afterAll(async () => {
  await rig?.stop();
});

async function ask(who: number, sql: string, more: Record<string, unknown> = {}): Promise<SqlAnswer> {
  const headers = { "x-eventpile-token": token(who) };
  const response = await rig.post({ sql, ...more }, { headers });
  return { status: response.status, ...((await response.json()) as Omit<SqlAnswer, "status">) };
}
const guests = async () => (await rig.engine(0).status()).guests;
const isRunning = async (who: number, id: string) => {
  const headers = { "x-eventpile-token": token(who) };
  return ((await (await rig.fetch(`/v1/sql/${id}`, { headers })).json()) as { state: string }).state === "running";
};
const end = (who: number, id: string) =>
  rig.fetch(`/v1/sql/${id}`, { method: "DELETE", headers: { "x-eventpile-token": token(who) } });

describe("beside a heavy statement", { timeout: 90_000 }, () => {
  it("light ones of others are answered while it runs, and all answers are what they are alone", async () => {
    const alone = await ask(1, LIGHT);
    expect(heavyAlone.status).toBe(200);
    const before = await guests();
    let isOver = false;
    const heavy = ask(1, HEAVY, { id: "heavy" }).finally(() => {
      isOver = true;
    });
    await expect.poll(() => isRunning(1, "heavy"), { timeout: WAIT_MS }).toBe(true);
    let beside = 0;
    while (!isOver) {
      const [light, where] = await Promise.all([
        ask(2, LIGHT),
        ask(3, "select count(*) from events where user_id = ?", { params: ["nobody"] }),
      ]);
      expect(light.rows).toEqual(alone.rows);
      expect(where.rows).toEqual([[0]]);
      if (!isOver) beside += 2;
    }
    expect((await heavy).rows).toEqual(heavyAlone.rows);
    expect(beside).toBeGreaterThan(0);
    expect((await guests()) - before).toBeGreaterThan(0);
  });

  it("a light one that fails, or is not light after all, harms nobody", async () => {
    const heavy = ask(1, HEAVY, { id: "heavy-2" });
    await expect.poll(() => isRunning(1, "heavy-2"), { timeout: WAIT_MS }).toBe(true);
    const wrong = await ask(2, "select event_name::integer from events");
    expect(wrong).toMatchObject({ status: 400, reason: "sql_error" });
    // A join of each row with each: nothing about its files says so.
    const joined = ask(3, NOT_LIGHT, {
      id: "joined",
    });
    await expect.poll(() => isRunning(3, "joined"), { timeout: WAIT_MS }).toBe(true);
    expect((await heavy).rows).toEqual(heavyAlone.rows);
    await end(3, "joined");
    await joined;
    expect((await ask(2, LIGHT)).status).toBe(200);
  });

  it("a light one that is cancelled leaves it running", async () => {
    const heavy = ask(1, HEAVY, { id: "heavy-3" });
    await expect.poll(() => isRunning(1, "heavy-3"), { timeout: WAIT_MS }).toBe(true);
    const joined = ask(3, NOT_LIGHT, {
      id: "left",
    });
    await expect.poll(() => isRunning(3, "left"), { timeout: WAIT_MS }).toBe(true);
    await end(3, "left");
    expect((await joined).reason).toBe("statement_cancelled");
    expect((await heavy).rows).toEqual(heavyAlone.rows);
  });
});

it("a heavy statement of one that has waited comes before the next of one that has not", {
  timeout: 90_000,
}, async () => {
  const first = ask(1, ENDLESS, { id: "first" });
  await expect.poll(() => isRunning(1, "first"), { timeout: WAIT_MS }).toBe(true);
  const order: number[] = [];
  const queued = [1, 1, 1, 2].map((who, i) =>
    ask(who, `select count(*), ${i} from range(300000)`).then(() => order.push(who)),
  );
  const waiting = async () =>
    (await Promise.all([0, 1].map(async (n) => (await rig.engine(n).status()).statements))).reduce((a, b) => a + b);
  await expect.poll(waiting, { timeout: WAIT_MS }).toBe(5);
  await end(1, "first");
  await first;
  await Promise.all(queued);
  // Its token has used nothing; the other one has, and its statements come after.
  expect(order[0]).toBe(2);
});
