/**
 * A rollout names the wrong version: the app's new release sends what version 2 asks for, and its source is held to version 1. The
 * page would show it at once; the rollout is put right, and what was kept apart comes back. Then it happens again, as a refusal.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Call, isFromEventpile, type Receiver, startReceiver } from "../../webhook-receiver.ts";
import { ORIGIN_HEADERS, type RunningSystem, startSystem, until } from "../harness.ts";
import { type Point, userIds } from "./told.ts";

let system: RunningSystem;
let receiver: Receiver;
beforeAll(async () => {
  [system, receiver] = await Promise.all([startSystem({ waitFactor: 0.1 }), startReceiver()]);
});
afterAll(() => Promise.all([system?.stop(), receiver?.close()]));

interface Evaluated {
  readonly source: string;
  readonly quarantined: number;
}

const EVENT = "Ticket Bought";
const PATH = `/v1/contracts/${encodeURIComponent(EVENT)}`;
const contract = (version: number, seats: "integer" | "string", more: object = {}) => ({
  "x-event": EVENT,
  "x-version": version,
  "x-owner": "tickets@example.com",
  description: "Somebody has a seat.",
  "x-expectations": { present: { seat: 0.9 } },
  type: "object",
  properties: { seat: { type: seats }, ...more },
  required: ["seat"],
});

async function put(path: string, body: object) {
  const init = { method: "PUT", headers: ORIGIN_HEADERS.read, body: JSON.stringify(body) };
  const response = await fetch(system.url + path, init);
  expect(response.status, path).toBe(200);
}
let sent = 0;
let kept = 0;
/** The app's release 3.1 sends seats as `12C`. */
async function buy(user: string, seat: unknown, id = `ticket-${++sent}`) {
  const context = { app: { name: "Tickets", version: "3.1" } };
  const event = { type: "track", event: EVENT, userId: user, messageId: id, context, properties: { seat } };
  const answer = (await (await system.sendBatch([event])).json()) as {
    outcomes: readonly { outcome: string; field?: string }[];
  };
  const { outcome = "ok" } = answer.outcomes[0] ?? {};
  if (outcome === "warning") kept++;
  return outcome;
}
const count = async (sql: string) => {
  await system.settled();
  return Number((await system.sql(sql)).rows[0]?.[0]);
};
/** The ledger has them once they are in the log; the lake a little later. */
const allKept = () =>
  until(
    "all that was kept apart can be asked for",
    20_000,
    async () => (await count("select count(*) from quarantine")) === kept,
  );
const enforced = (outcome: string, seat: unknown) =>
  until(`edges answer ${outcome}`, 20_000, async () => (await buy("probe", seat)) === outcome);

it("wrong version: kept apart under the wrong one, seen by cause and source, and given back under the right one (promises 1, 3)", async () => {
  await system.read("/v1/contracts", contract(1, "integer"));
  await put(`${PATH}/rules`, { compatibility: "NONE" });
  await system.read("/v1/contracts", contract(2, "string"));
  await put(`${PATH}/rollout`, { source: "dev", mode: "quarantine", version: 1 });
  await enforced("warning", "1A");
  for (const user of ["ada", "bob", "cyd"]) expect(await buy(user, "12C", `seat-${user}`)).toBe("warning");
  await allKept();

  const { causes } = await system.read<{ causes: readonly Record<string, unknown>[] }>(
    `/v1/violations?event=${encodeURIComponent(EVENT)}&app_version=3.1`,
  );
  expect(causes).toMatchObject([
    { field: "properties.seat", expected: 'type "integer"', source: "dev", contract_version: 1, events: kept },
  ]);
  const { hours } = await system.read<{ hours: readonly { broken: readonly object[]; failure_rate: number }[] }>(
    `${PATH}/health`,
  );
  expect(hours[0]?.broken).toMatchObject([{ expectation: "present", field: "seat", expected: 0.9 }]);
  expect(hours[0]?.failure_rate).toBeGreaterThan(0.5);

  // What the hourly look finds is the same; of an hour that goes on it tells nobody.
  const { id, secret } = await system.read<{ id: string; secret: string }>("/v1/webhooks", { url: receiver.url });
  await system.maintain();
  const { evaluated, breaks } = await system.read<{ evaluated: readonly Evaluated[]; breaks: readonly object[] }>(
    `${PATH}/health`,
  );
  const looked = evaluated.filter(({ source }) => source === "dev");
  expect(looked.reduce((sum, { quarantined }) => sum + quarantined, 0)).toBe(kept);
  expect(looked[0]).toMatchObject({
    version: 2,
    is_final: false,
    unread: null,
    coverage: { seat: expect.any(Number) },
  });
  expect(breaks).toEqual([]);
  // Whom it would tell can be tried.
  const { message } = await system.read<{ message: string }>(`/v1/webhooks/${id}/test`, {});
  await until("the receiver was called", 20_000, async () => receiver.calls.length > 0);
  const [{ headers, body }] = receiver.calls as [Call];
  expect([headers["webhook-id"], isFromEventpile(secret, headers, body)]).toEqual([message, true]);
  await until("the call is settled", 20_000, async () => {
    const { webhooks } = await system.read<{ webhooks: readonly { delivered: number }[] }>("/v1/webhooks");
    return webhooks[0]?.delivered === 1;
  });

  // Version 2 would have taken all of them, and the trial says so.
  const trial = { events: 0, fail: 0 };
  for (const version of [1, 2]) {
    const tried = await system.read<{ events: number; would_fail: number }>(`${PATH}/trials`, { version });
    trial.events = tried.events;
    trial.fail = tried.would_fail;
    if (version === 1) expect(trial.fail).toBe(kept);
  }
  expect(trial.fail).toBe(trial.events - kept);

  await put(`${PATH}/rollout`, { source: "dev", mode: "quarantine", version: 2 });
  await enforced("ok", "1B");
  // Under the wrong version nothing can go back.
  const ofOne = await count("select count(*) from quarantine where contract_version = 1");
  const wrong = { event: EVENT, field: "properties.seat", contract_version: 1, version: 1 };
  expect(await system.read("/v1/violations/redrive", wrong)).toMatchObject({ looked_at: ofOne, released: 0 });
  const right = { ...wrong, version: 2 };
  expect(await system.read("/v1/violations/redrive", right)).toMatchObject({ looked_at: ofOne, released: ofOne });
  expect(await count("select count(*) from events where event_id like 'seat-%' and contract_version = 2")).toBe(3);
  expect(await userIds(system, "bob")).toEqual(["seat-bob"]);
  const points = (await system.rollups({ metric: "events", grain: "day", by: "event_name" })) as readonly Point[];
  const counted = points.filter(({ key }) => key.event_name === EVENT).reduce((sum, { value }) => sum + value, 0);
  expect(counted).toBe(await count("select count(*) from events"));
  await allKept();
  const { balanced, total } = await system.ledger();
  expect({ balanced, quarantined: total.quarantined }).toEqual({
    balanced: true,
    quarantined: await count("select count(*) from quarantine where contract_version = 2"),
  });

  // The same mistake as a refusal: nothing of it is kept, and the sender is told.
  await put(`${PATH}/rollout`, { source: "dev", mode: "reject", version: 1 });
  await enforced("drop", "1C");
  // The last that was still taken is in the ledger once the log has it.
  await system.settled();
  const before = await system.ledger();
  expect(await buy("eve", "14D", "refused")).toBe("drop");
  await system.settled();
  expect((await system.ledger()).total.accepted).toBe(before.total.accepted);
  await put(`${PATH}/rollout`, { source: "dev", mode: "reject", version: 2 });
  await enforced("ok", "1D");
  expect(await buy("eve", "14D", "refused")).toBe("ok");
  expect(await count("select count(*) from events where event_id = 'refused'")).toBe(1);
});
