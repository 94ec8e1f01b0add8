import type { ServerResponse } from "node:http";
import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, expect, it, vi } from "vitest";
import { deliverDue, newSecret } from "../../../durable-objects/contract-health/deliver.ts";
import { WebhookTable } from "../../../durable-objects/contract-health/webhook-table.ts";
import { WEBHOOKS } from "../../../r2-layout/limits.ts";
import { Database, SimulatedSql } from "../../simulator/platform/sql-storage.ts";
import { type Call, isFromEventpile, type Receiver, startReceiver } from "../../webhook-receiver.ts";

const closing: Receiver[] = [];
afterEach(() => Promise.all(closing.splice(0).map((one) => one.close())));

async function receiver(answer: Parameters<typeof startReceiver>[0]): Promise<Receiver> {
  const started = await startReceiver(answer);
  closing.push(started);
  return started;
}
const withStatus = (status: number) => (response: ServerResponse) => void response.writeHead(status).end();

function desk() {
  const sql = new SimulatedSql(new Database(new DatabaseSync(":memory:")), () => {}) as unknown as SqlStorage;
  const table = new WebhookTable(sql);
  const secret = newSecret();
  let at = Date.now();
  let sent = 0;
  return {
    table,
    secret,
    add: (url: string, id = "hook") => table.add({ url, description: "" }, id, secret, at),
    send: (id = "hook", of: number | null = null) =>
      table.send(id, { type: "contract.broken", body: `{"n":${++sent}}`, break: of }, `msg_${sent}`, at),
    deliver: () => deliverDue(table, fetch, () => at),
    /** The clock goes to where the next attempt is due. */
    next: () => {
      at = table.nextAt!;
    },
    pass: (ms: number) => {
      at += ms;
    },
    one: (id = "hook") => table.deliveries(id)[0]!,
    state: (id = "hook") => table.list().find((one) => one.id === id)!,
  };
}

describe("a webhook", () => {
  it("is called with what happened, signed: whoever has the secret can tell that it is ours, and that it was not changed", async () => {
    const { calls, url } = await receiver(withStatus(204));
    const { add, send, deliver, secret, one, state } = desk();
    add(url);
    send();
    await deliver();
    expect(calls).toHaveLength(1);
    const { headers, body } = calls[0] as Call;
    expect(headers).toMatchObject({ "content-type": "application/json", "webhook-id": "msg_1" });
    expect(isFromEventpile(secret, headers, body)).toBe(true);
    expect(isFromEventpile(newSecret(), headers, body)).toBe(false);
    expect(isFromEventpile(secret, headers, `${body} `)).toBe(false);
    expect(isFromEventpile(secret, { ...headers, "webhook-timestamp": "1" }, body)).toBe(false);
    expect(isFromEventpile(secret, { ...headers, "webhook-id": "msg_2" }, body)).toBe(false);
    expect(one()).toMatchObject({ state: "delivered", attempts: 1, lastError: null, nextAt: null });
    expect(state()).toMatchObject({ waiting: 0, delivered: 1, givenUp: 0, lastError: null });
    await deliver();
    expect(calls).toHaveLength(1);
  });

  it("promise 9: that fails is called again after each of WEBHOOKS.retryMs, and then given up, visibly", async () => {
    const { calls, url } = await receiver(withStatus(500));
    const { add, send, deliver, next, pass, one, state, table } = desk();
    add(url);
    send();
    for (const [i, waitMs] of WEBHOOKS.retryMs.entries()) {
      await deliver();
      expect(one()).toMatchObject({ state: "waiting", attempts: i + 1, lastError: "answered 500" });
      pass(waitMs - 1);
      await deliver();
      expect(calls).toHaveLength(i + 1);
      next();
    }
    await deliver();
    expect(calls).toHaveLength(WEBHOOKS.retryMs.length + 1);
    expect(new Set(calls.map(({ headers }) => headers["webhook-id"]))).toEqual(new Set(["msg_1"]));
    expect(one()).toMatchObject({ state: "given_up", lastError: "answered 500", nextAt: null });
    expect(state()).toMatchObject({ waiting: 0, givenUp: 1, lastError: "answered 500" });
    expect(table.nextAt).toBeNull();
  });

  it("is told later what it was not there for, in the order of a break, and what is of another break meanwhile", async () => {
    const { calls, url } = await receiver((response, call) => void response.writeHead(call === 1 ? 503 : 200).end());
    const { add, send, deliver, next, pass, table } = desk();
    add(url);
    send("hook", 7);
    send("hook", 7);
    await deliver();
    expect(calls).toHaveLength(1);
    pass(WEBHOOKS.restMs);
    send("hook", 8);
    await deliver();
    while (table.nextAt !== null) {
      next();
      await deliver();
    }
    expect(calls.map(({ body }) => body).slice(1)).toContain('{"n":3}');
    const ofSeven = calls.map(({ body }) => body).filter((body) => body !== '{"n":3}');
    expect(ofSeven).toEqual(['{"n":1}', '{"n":1}', '{"n":2}']);
  });

  it("promise 9: that hangs is let go of after WEBHOOKS.answerMs, and holds up nobody else", async () => {
    const hanging = await receiver(() => {});
    const { calls, url } = await receiver(withStatus(200));
    const { add, send, table, deliver, state } = desk();
    // The first, whoever is called one after the other.
    add(hanging.url, "hangs");
    add(url, "takes");
    for (let i = 0; i < 3; i++) {
      send("hangs");
      send("takes");
    }
    const timers: AbortController[] = [];
    const timeout = vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
      expect(ms).toBe(WEBHOOKS.answerMs);
      return timers[timers.push(new AbortController()) - 1]!.signal;
    });
    const delivered = deliver();
    await expect.poll(() => hanging.calls.length).toBe(1);
    await expect.poll(() => state("takes")).toMatchObject({ waiting: 0, delivered: 3 });
    expect(calls).toHaveLength(3);
    expect(table.deliveries("hangs").at(-1)).toMatchObject({ attempts: 1, lastError: "no answer yet" });
    for (const timer of timers) timer.abort(new DOMException("timed out", "TimeoutError"));
    await delivered;
    timeout.mockRestore();
    expect(hanging.calls).toHaveLength(1);
    expect(state("hangs")).toMatchObject({ waiting: 3, lastError: `no answer within ${WEBHOOKS.answerMs / 1_000} s` });
  });

  it("is not followed to where it sends on, and nothing of its answer is kept", async () => {
    const inside = await receiver(withStatus(200));
    const { url } = await receiver((response) => {
      response.writeHead(307, { location: inside.url }).end("a secret of the network");
    });
    const { add, send, deliver, one } = desk();
    add(url);
    send();
    await deliver();
    expect(inside.calls).toEqual([]);
    expect(one().lastError).toBe("answered 307, and redirects are not followed");
  });

  it("that was cut off in the middle of a call is called again, under the same id", async () => {
    const { calls, url } = await receiver(withStatus(200));
    const { add, send, table, deliver, next, one } = desk();
    add(url);
    send();
    expect(table.take("hook", Date.now() + 1)).not.toBeNull();
    await deliver();
    expect(calls).toEqual([]);
    next();
    await deliver();
    expect(calls.map(({ headers }) => headers["webhook-id"])).toEqual(["msg_1"]);
    expect(one()).toMatchObject({ state: "delivered", attempts: 2 });
  });

  it("that is nowhere says so, in WEBHOOKS.errorChars", async () => {
    const { add, send, deliver, one } = desk();
    add(`http://127.0.0.1:1/${"x".repeat(WEBHOOKS.errorChars)}`);
    send();
    await deliver();
    expect(one().lastError).toMatch(/^cannot be reached: /);
    expect(one().lastError!.length).toBeLessThanOrEqual(WEBHOOKS.errorChars);
  });

  it("rests longer with each failure, from WEBHOOKS.restMs to WEBHOOKS.restMaxMs", async () => {
    const { url } = await receiver(withStatus(500));
    const { add, send, deliver, table, pass } = desk();
    add(url);
    for (let i = 0; i < 9; i++) send();
    const tried = () => table.deliveries("hook").reduce((sum, { attempts }) => sum + attempts, 0);
    for (let restMs = WEBHOOKS.restMs, failures = 1; restMs < WEBHOOKS.restMaxMs; restMs *= 2, failures++) {
      await deliver();
      expect(tried()).toBe(failures);
      pass(restMs - 1);
      await deliver();
      expect(tried()).toBe(failures);
      pass(1);
    }
    await deliver();
    const before = tried();
    pass(WEBHOOKS.restMaxMs - 1);
    await deliver();
    expect(tried()).toBe(before);
    pass(1);
    await deliver();
    expect(tried()).toBe(before + 1);
  });

  it("promise 9: there are WEBHOOKS.webhooks of; WEBHOOKS.waiting messages wait for one, WEBHOOKS.remembered are remembered", () => {
    const { add, send, table, one, state } = desk();
    for (let i = 0; i < WEBHOOKS.webhooks; i++) expect(add("https://example.com/", `hook${i}`)).toBe(true);
    expect(add("https://example.com/", "more")).toBe(false);
    for (let i = 0; i < WEBHOOKS.waiting; i++) send("hook0");
    expect(state("hook0")).toMatchObject({ waiting: WEBHOOKS.waiting, givenUp: 0 });
    send("hook0");
    expect(one("hook0")).toMatchObject({
      state: "given_up",
      attempts: 0,
      lastError: expect.stringContaining("too many"),
    });
    expect(state("hook0")).toMatchObject({ waiting: WEBHOOKS.waiting, givenUp: 1 });
    for (let i = 0; i < WEBHOOKS.remembered + 1; i++) {
      send("hook1");
      table.settle({ n: table.take("hook1", Date.now() + WEBHOOKS.restMs)!.n }, null, 0);
    }
    expect(table.deliveries("hook1")).toHaveLength(WEBHOOKS.remembered);
    expect(table.remove("hook0")).toBe(true);
    expect(table.deliveries("hook0")).toEqual([]);
    expect(table.remove("hook0")).toBe(false);
  });
});
