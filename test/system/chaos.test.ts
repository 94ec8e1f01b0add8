import { afterAll, expect, it } from "vitest";
import { type RunningSystem, startSystem, until } from "./harness.ts";

const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000_000);
const BATCHES = 150;
const EVENTS_PER_BATCH = 20;
const EVENTS = BATCHES * EVENTS_PER_BATCH;
const USERS = 30;

let system: RunningSystem;
afterAll(() => system?.stop());

it("promise 2: queues that deliver twice, late, out of order and forget acks leave every event once in each store", async () => {
  console.log(`CHAOS_SEED=${SEED}`);
  system = await startSystem({
    shards: 2,
    chaos: { "*": { twice: 0.3, dropAcks: 0.4, lateMs: 2_000, shuffle: true, seed: SEED } },
  });
  // Each batch comes twice: the second time as a client's retry that was not needed.
  for (let batch = 0; batch < BATCHES; batch += 10) {
    const requests = Array.from({ length: 10 }, (_, i) => events(batch + i)).flatMap((list) => [list, list]);
    const responses = await Promise.all(requests.map((list) => system.sendBatch(list)));
    for (const response of responses) expect(response.status).toBe(200);
  }
  // Until the faults have fired: few batches may have been lucky.
  let more = 0;
  await until("an ack of an events queue was forgotten", 30_000, async () => {
    const queues = await system.queues();
    if (queues.some(({ queue, retried }) => /^events-\d/.test(queue) && retried > 0)) return true;
    expect((await system.sendBatch(events(0))).status).toBe(200);
    more += EVENTS_PER_BATCH;
    return false;
  });
  const ledger = await system.settled();
  expect(ledger).toMatchObject({
    balanced: true,
    total: {
      accepted: 2 * EVENTS + more,
      duplicates: EVENTS + more,
      quarantined: 0,
      lake: EVENTS,
      sessions: EVENTS,
      rollups: EVENTS,
    },
  });

  expect((await system.sql("select count(*), count(distinct event_id) from events")).rows).toEqual([[EVENTS, EVENTS]]);
  let inTimelines = 0;
  for (let user = 0; user < USERS; user++) {
    const { events: page } = await system.userEvents(`user-${user}`, { limit: 1_000 });
    expect(new Set(page.map((event) => event.event_id)).size).toBe(page.length);
    inTimelines += page.length;
  }
  expect(inTimelines).toBe(EVENTS);
  const from = new Date(Date.now() - 3_600_000).toISOString();
  const points = await system.rollups({ metric: "events", grain: "minute", from });
  expect(points.reduce((sum, { value }) => sum + value, 0)).toBe(EVENTS);
});

function events(batch: number) {
  return Array.from({ length: EVENTS_PER_BATCH }, (_, i) => ({
    type: "track",
    event: "Shuffled",
    messageId: `chaos-${batch}-${i}`,
    userId: `user-${(batch + i) % USERS}`,
    anonymousId: `device-${(batch + i) % USERS}`,
    timestamp: new Date().toISOString(),
  }));
}
