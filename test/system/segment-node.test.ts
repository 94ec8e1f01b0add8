import { Analytics } from "@segment/analytics-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RunningSystem, startSystem } from "./harness.ts";

const CALLS = 5_000;
const USERS = 50;

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem({ demo: false });
});
afterAll(() => system.stop());

it("promises 1 and 2: 5,000 mixed calls of Segment's own Node library are in SQL, timelines and rollups, each once", async () => {
  const sentFrom = Math.floor(Date.now() / 60_000) * 60_000;
  const sent = await sendMixedCalls();
  expect(sent.size).toBe(CALLS);
  await system.settled();

  const inSql = await system.sql("select event_id, event_name, user_id from events where source = 'dev'");
  expect(sortedIds(inSql.rows.map(([id]) => String(id)))).toEqual(sortedIds(sent.keys()));

  const inTimelines: string[] = [];
  for (let user = 0; user < USERS; user++) inTimelines.push(...(await timelineIds(`user-${user}`)));
  expect(sortedIds(inTimelines)).toEqual(sortedIds(sent.keys()));

  const points = await system.rollups({
    metric: "events",
    grain: "minute",
    by: "event_name",
    from: new Date(sentFrom).toISOString(),
  });
  expect(totals(points.map(({ key, value }) => [key.event_name!, value]))).toEqual(
    totals([...sent.values()].map((name) => [name, 1])),
  );

  const ledger = await system.ledger();
  expect(ledger).toMatchObject({
    balanced: true,
    total: {
      accepted: CALLS,
      duplicates: 0,
      quarantined: 0,
      in_flight: 0,
      lake: CALLS,
      sessions: CALLS,
      rollups: CALLS,
    },
  });
});

/** All six calls in turn, by `USERS` users. @returns the name that each call's message id should be stored under. */
async function sendMixedCalls(): Promise<Map<string, string>> {
  const sent = new Map<string, string>();
  const analytics = new Analytics({ writeKey: "dev", host: system.url, maxEventsInBatch: 50, flushInterval: 500 });
  const failures: unknown[] = [];
  analytics.on("error", (error) => failures.push(error));
  for (let call = 0; call < CALLS; call++) {
    const userId = `user-${call % USERS}`;
    const messageId = `node-${call}`;
    const anonymousId = `device-${call % USERS}`;
    switch (call % 6) {
      case 0:
        analytics.track({
          messageId,
          userId,
          anonymousId,
          event: "Product Viewed",
          properties: { sku: `sku-${call % 9}`, price: 9.5 },
        });
        sent.set(messageId, "Product Viewed");
        break;
      case 1:
        analytics.page({
          messageId,
          userId,
          name: "Home",
          properties: { url: "https://shop.example/?utm_source=news", path: "/" },
        });
        sent.set(messageId, "page");
        break;
      case 2:
        analytics.identify({ messageId, userId, traits: { plan: "pro", call } });
        sent.set(messageId, "identify");
        break;
      case 3:
        analytics.screen({ messageId, userId, name: "Basket" });
        sent.set(messageId, "screen");
        break;
      case 4:
        analytics.group({ messageId, userId, groupId: "acme", traits: { seats: 5 } });
        sent.set(messageId, "group");
        break;
      default:
        analytics.alias({ messageId, userId, previousId: `old-${call}` });
        sent.set(messageId, "alias");
    }
    if (call % 500 === 499) await analytics.flush();
  }
  await analytics.closeAndFlush({ timeout: 60_000 });
  expect(failures).toEqual([]);
  return sent;
}

async function timelineIds(user: string): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page = await system.userEvents(user, { limit: 70, cursor });
    ids.push(...page.events.map((event) => String(event.event_id)));
    cursor = page.next;
  } while (cursor !== null);
  return ids;
}

const sortedIds = (ids: Iterable<string>) => [...ids].sort();

function totals(counts: readonly (readonly [string, number])[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, count] of counts) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}
