import { env, reset, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  CONTRACT_HEALTH_NAME,
  type ContractHealthApi,
  type HourReport,
} from "../../../durable-objects/contract-health/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { Expectations } from "../../../r2-layout/contracts/contract.ts";
import { HEALTH, HOUR_MS } from "../../../r2-layout/limits.ts";

// Objects run in the test's isolate. Nobody is there: what is sent waits, and is seen.
beforeEach(() => void vi.spyOn(globalThis, "fetch").mockRejectedValue(new Error("nobody is there")));
afterEach(async () => {
  await reset();
  vi.restoreAllMocks();
});

const health = () =>
  (env as unknown as { CONTRACT_HEALTH: ObjectNamespace<ContractHealthApi> }).CONTRACT_HEALTH.getByName(
    CONTRACT_HEALTH_NAME,
  );
const HOUR = Date.parse("2026-11-22T10:00:00Z");
const HALF: Expectations = {
  ...{ freshnessMinutes: null, clockSkewMinutes: null, perHour: { min: null, max: null } },
  present: { coupon: 0.5 },
};
const hour = (i: number, coupon: number, eventName = "Paid"): HourReport => ({
  ...{ eventName, hour: HOUR + i * HOUR_MS, version: 1, fields: ["coupon"], left: 0, unread: null },
  sources: [
    {
      ...{ source: "shop", events: 100, quarantined: 0, offContract: 0, newestAt: HOUR, skewMinutes: 0 },
      present: { coupon },
    },
  ],
});
const NOWHERE = { url: "https://nobody.example.com/", description: "nobody" };
const sent = async (id: string) =>
  (await health().deliveries(id))!.deliveries.map(({ type, body }) => [type, JSON.parse(body).data.because]);

describe("what the object keeps of an hour", () => {
  it("is provisional until it is judged, and then stays as it was judged", async () => {
    expect(await health().report(hour(0, 10), null)).toBe("kept");
    expect(await health().todo(HOUR, ["Paid", "Sold"], false)).toEqual(["Sold"]);
    expect(await health().todo(HOUR, ["Paid", "Sold"], true)).toEqual(["Paid", "Sold"]);
    expect(await health().report(hour(0, 60), HALF)).toBe("judged");
    expect(await health().report(hour(0, 10), HALF)).toBe("known");
    expect(await health().report(hour(0, 10), null)).toBe("known");
    await health().finish(HOUR, 3);
    const { hours, breaks } = await health().event("Paid");
    expect(hours).toEqual([{ ...hour(0, 60), isFinal: true }]);
    expect(breaks).toEqual([]);
    const { judged, leftEvents, open } = await health().overview();
    expect({ judged, leftEvents, open }).toEqual({ judged: HOUR, leftEvents: 3, open: 0 });
    expect(await health().open(HOUR + 2 * HOUR_MS)).toEqual([HOUR + HOUR_MS]);
  });

  it("promise 9: has HEALTH.sources sources, and says how many it left out; tells of HEALTH.breaksTold breaks", async () => {
    const many = (count: number): HourReport => ({
      ...hour(0, 10),
      sources: Array.from({ length: count }, (_, i) => ({ ...hour(0, 10).sources[0]!, source: `s${i}` })),
    });
    await health().report(many(HEALTH.sources), null);
    expect((await health().event("Paid")).hours[0]).toMatchObject({ left: 0 });
    await health().report(many(HEALTH.sources + 1), null);
    const [stored] = (await health().event("Paid")).hours;
    expect([stored!.sources.length, stored!.left]).toEqual([HEALTH.sources, 1]);
    for (const name of ["A", "B", "C"]) await health().report({ ...many(HEALTH.sources), eventName: name }, HALF);
    const { breaks, open } = await health().overview();
    expect([breaks.length, open]).toEqual([HEALTH.breaksTold, 3 * HEALTH.sources]);
  });
});

describe("whom the object tells", () => {
  it("is told of a break once and of its end once, though each hour is reported twice, and two at once", async () => {
    const added = await health().addWebhook(NOWHERE);
    if (added === "full") throw new Error("there is room");
    for (let i = 0; i < 3; i++) {
      await Promise.all([health().report(hour(i, 10), HALF), health().report(hour(i, 10), HALF)]);
      await health().finish(HOUR + i * HOUR_MS, 0);
    }
    expect(await sent(added.id)).toEqual([["contract.broken", undefined]]);
    for (let i = 3; i < 3 + HEALTH.recoveredHours + 1; i++) await health().report(hour(i, 90), HALF);
    expect(await sent(added.id)).toEqual([
      ["contract.recovered", "holds"],
      ["contract.broken", undefined],
    ]);
    const { deliveries } = (await health().deliveries(added.id))!;
    expect(JSON.parse(deliveries.at(-1)!.body)).toMatchObject({
      type: "contract.broken",
      data: {
        ...{ event: "Paid", source: "shop", expectation: "present", field: "coupon", expected: 0.5, actual: 0.1 },
        ...{ since: "2026-11-22T10:00:00.000Z", hour: "2026-11-22T10:00:00.000Z" },
      },
    });
    expect(JSON.stringify(await health().overview())).not.toContain(added.secret);
  });

  it("has an alarm that calls, and sets itself for the next attempt", async () => {
    const added = await health().addWebhook(NOWHERE);
    if (added === "full") throw new Error("there is room");
    expect(await health().testWebhook("no such")).toBeNull();
    expect(await health().testWebhook(added.id)).toMatch(/^msg_/);
    const told = async () => (await health().deliveries(added.id))!;
    await expect.poll(async () => (await told()).webhook.lastError).toMatch(/^cannot be reached: .*nobody is there/);
    const { deliveries } = await told();
    expect(deliveries).toMatchObject([{ type: "webhook.test", state: "waiting", attempts: 1 }]);
    const alarm = () => runInDurableObject(health() as never, (_, { storage }) => storage.getAlarm());
    await expect.poll(alarm).toBe(deliveries[0]!.nextAt);
    expect(await health().removeWebhook(added.id)).toBe(true);
    expect(await health().deliveries(added.id)).toBeNull();
  });
});
