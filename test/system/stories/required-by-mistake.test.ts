/**
 * An optional field becomes required by mistake: a version that adds a default follows its contract by the rules, and events of old
 * apps have no such field. They are kept apart, the page says how many have it, and after the fix they are where they belong.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { VIOLATIONS } from "../../../r2-layout/limits.ts";
import { ORIGIN_HEADERS, type RunningSystem, startSystem, until } from "../harness.ts";
import { rebuildAll, userIds } from "./told.ts";

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem({ waitFactor: 0.1, shards: 2 });
});
afterAll(() => system?.stop());

const EVENT = "Order Placed";
const contract = (version: number, required: readonly string[]) => ({
  "x-event": EVENT,
  "x-version": version,
  "x-owner": "shop@example.com",
  description: "Somebody has paid.",
  type: "object",
  additionalProperties: false,
  properties: { total: { type: "number" }, coupon: { type: "string", default: "" } },
  required,
});
const register = (version: number, required: readonly string[]) =>
  system.read("/v1/contracts", contract(version, required));

interface TrialAnswer {
  readonly events: number;
  readonly would_fail: number;
  readonly failures: readonly object[];
  readonly samples: readonly object[];
  readonly next: string | null;
}
interface Redriven {
  readonly looked_at: number;
  readonly released: number;
  readonly released_before: number;
  readonly sent_again: number;
  readonly still_refused: { readonly events: number };
  readonly next: string | null;
}

/** As many calls as it takes. @returns the sums */
async function redrive(request: object) {
  const sum = { looked_at: 0, released: 0, released_before: 0, sent_again: 0, refused: 0 };
  let cursor: string | null = null;
  do {
    const body = { event: EVENT, ...request, ...(cursor && { cursor }) };
    const answer: Redriven = await system.read<Redriven>("/v1/violations/redrive", body);
    sum.looked_at += answer.looked_at;
    sum.released += answer.released;
    sum.released_before += answer.released_before;
    sum.sent_again += answer.sent_again;
    sum.refused += answer.still_refused.events;
    cursor = answer.next;
  } while (cursor !== null);
  return sum;
}

const USERS = ["ada", "bob", "cyd", "dan", "eve", "fay"];
/** Old apps (1.0) know no coupon, new ones (2.0) send one. */
async function order(user: string, id: string, version: "1.0" | "2.0", more: object = {}) {
  const properties = { total: 10, ...(version === "2.0" && { coupon: "spring" }), ...more };
  const context = { app: { name: "Shop", version } };
  const response = await system.sendBatch([
    { type: "track", event: EVENT, userId: user, messageId: id, context, properties },
  ]);
  expect(response.status).toBe(200);
  return (await response.json()) as { outcomes: readonly { outcome: string; field?: string }[] };
}
const count = async (sql: string) => Number((await system.sql(sql)).rows[0]?.[0]);

it("optional became required: old apps' events are kept, coverage is told, and after the fix they are events like any other (promises 1, 2, 3)", async () => {
  await register(1, ["total"]);
  for (const user of USERS) await order(user, `before-${user}`, "1.0");
  await register(2, ["total", "coupon"]);

  // Had anybody tried it against the log, it would have been seen.
  await system.settled();
  const trial = await system.read<TrialAnswer>(`/v1/contracts/${encodeURIComponent(EVENT)}/trials`, { version: 2 });
  expect(trial).toMatchObject({ events: 6, would_fail: 6, next: null });
  expect(trial.failures).toEqual([
    { source: "dev", app_version: "1.0", field: "properties.coupon", expected: "required", events: 6 },
  ]);
  expect(trial.samples.length).toBe(6);

  // Nobody has.
  const init = { method: "PUT", headers: ORIGIN_HEADERS.read, body: JSON.stringify({ mode: "quarantine" }) };
  expect((await fetch(`${system.url}/v1/contracts/${encodeURIComponent(EVENT)}/rollout`, init)).status).toBe(200);
  let probes = 0;
  await until("the edge enforces version 2", 20_000, async () => {
    const { outcomes } = await order("probe", `probe-${++probes}`, "1.0");
    return outcomes[0]?.outcome === "warning";
  });
  for (const user of USERS) await order(user, `old-${user}`, "1.0");
  for (const user of USERS.slice(0, 2)) await order(user, `new-${user}`, "2.0");
  // One is sent again, right; one is wrong in another way, too.
  await order("ada", "old-ada", "2.0");
  await order("gus", "text-total", "1.0", { total: "12.5" });
  await system.settled();
  // The ledger is settled as soon as the log has them.
  const inLake = () => count("select count(*) from quarantine where event_id like 'old-%' or event_id = 'text-total'");
  await until("the lake has what was kept apart", 20_000, async () => (await inLake()) === 7);
  expect(await userIds(system, "bob")).toEqual(["before-bob", "new-bob"]);

  const { causes } = await system.read<{ causes: readonly Record<string, unknown>[] }>("/v1/violations");
  expect(causes[0]).toMatchObject({
    event: EVENT,
    field: "properties.coupon",
    expected: "required",
    source: "dev",
    app_version: "1.0",
    contract_version: 2,
  });
  const { hours } = await system.read<{ hours: readonly { coverage: Record<string, number>; quarantined: number }[] }>(
    `/v1/contracts/${encodeURIComponent(EVENT)}/health`,
  );
  const [events, kept] = [
    await count(`select count(*) from events where event_name = '${EVENT}'`),
    await count("select count(*) from quarantine"),
  ];
  // Of all that came; the one that was sent again came once.
  expect(hours[0]?.quarantined).toBe(kept - 1);
  expect(hours[0]?.coverage.coupon).toBeCloseTo(3 / (events + kept - 1), 6);

  // The fix: it is optional again. What is wrong in another way stays, until a mapping helps.
  await register(3, ["total"]);
  const cause = { field: "properties.coupon", expected: "required" };
  const tried = await redrive({ ...cause, try: true });
  expect(tried).toMatchObject({ looked_at: kept, refused: 1 });
  const [one, two] = await Promise.all([redrive(cause), redrive(cause)]);
  expect(one.released + two.released).toBe(kept - 2);
  await system.settled();
  expect(await redrive(cause)).toEqual({
    looked_at: kept,
    released: 0,
    released_before: kept - 2,
    sent_again: 1,
    refused: 1,
  });
  expect(await redrive({ ...cause, mapping: [{ field: "total", as: "number" }] })).toMatchObject({ released: 1 });
  await system.settled();

  // As if nothing had happened: in SQL, in timelines, and for what comes once more.
  expect(await count(`select count(*) from events where event_id like 'old-%'`)).toBe(6);
  expect(
    await count(`select count(*) from events where event_id = 'text-total' and properties['total'][1] = '12.5'`),
  ).toBe(1);
  expect(
    await count(`select count(*) from events where event_id = 'old-ada' and properties['coupon'][1] = 'spring'`),
  ).toBe(1);
  expect(await userIds(system, "bob")).toEqual(["before-bob", "new-bob", "old-bob"]);
  await order("bob", "old-bob", "2.0");
  await system.settled();
  expect(await count(`select count(*) from events where event_id = 'old-bob'`)).toBe(1);
  const { balanced, total } = await system.ledger();
  expect({ balanced, quarantined: total.quarantined, in_flight: total.in_flight }).toEqual({
    balanced: true,
    quarantined: 1,
    in_flight: 0,
  });
  expect(total.lake).toBe(await count("select count(*) from events"));
  await rebuildAll(system);
  expect(await count("select count(*) from events")).toBe(total.lake);
});

it("promise 9: tries VIOLATIONS.trialHoursMax hours, reports on VIOLATIONS.healthHoursMax, and reads VIOLATIONS.bodyBytes, no more", async () => {
  const event = `/v1/contracts/${encodeURIComponent(EVENT)}`;
  const statusOf = async (path: string, body?: string) => {
    const init = { headers: ORIGIN_HEADERS.read, ...(body !== undefined && { method: "POST", body }) };
    const response = await fetch(`${system.url}${path}`, init);
    await response.text();
    return response.status;
  };
  const hours = (count: number) => statusOf(`${event}/trials`, JSON.stringify({ hours: count }));
  expect(await hours(VIOLATIONS.trialHoursMax)).toBe(200);
  expect(await hours(VIOLATIONS.trialHoursMax + 1)).toBe(400);
  expect(await statusOf(`${event}/health?hours=${VIOLATIONS.healthHoursMax}`)).toBe(200);
  expect(await statusOf(`${event}/health?hours=${VIOLATIONS.healthHoursMax + 1}`)).toBe(400);
  const body = JSON.stringify({ event: EVENT, try: true });
  expect(await statusOf("/v1/violations/redrive", body.padEnd(VIOLATIONS.bodyBytes))).toBe(200);
  expect(await statusOf("/v1/violations/redrive", body.padEnd(VIOLATIONS.bodyBytes + 1))).toBe(413);
});
