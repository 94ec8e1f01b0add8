import { afterEach, describe, expect, it } from "vitest";
import type { LiveFrame, LiveMinute } from "../../durable-objects/live-hub/api.ts";
import { type RunningSystem, startSystem, until } from "./harness.ts";

const USERS = 8;
const EVENTS_PER_USER = 5;
const EVENTS = USERS * EVENTS_PER_USER;

let system: RunningSystem;
afterEach(() => system?.stop());

describe.each([1, 4])("with %i shards", (shards) => {
  it("an accepted event is found in SQL, in its user's and device's timeline, in the rollups and in a frame, once", async () => {
    system = await startSystem({ shards });
    const minutes = await watchMinutes(system);
    const from = new Date(Math.floor(Date.now() / 60_000) * 60_000).toISOString();

    for (let user = 0; user < USERS; user++) {
      const response = await system.sendBatch(userEvents(user));
      expect(response.status).toBe(200);
      await response.arrayBuffer();
    }
    const ledger = await system.settled();
    const total = { accepted: EVENTS, duplicates: 0, quarantined: 0, suppressed: 0, in_flight: 0 };
    expect(ledger).toMatchObject({
      balanced: true,
      total: { ...total, lake: EVENTS, sessions: EVENTS, rollups: EVENTS },
    });
    expect(ledger.shards.length).toBe(shards);

    const { rows } = await system.sql(
      "select user_id, count(distinct event_id), count(*) from events group by 1 order by 1",
    );
    expect(rows).toEqual(
      Array.from({ length: USERS }, (_, user) => [`user-${user}`, EVENTS_PER_USER, EVENTS_PER_USER]),
    );

    const timeline = await system.userEvents("user-3");
    expect(timeline.events.map((event) => event.event_id).toSorted()).toEqual(
      userEvents(3).map((event) => event.messageId),
    );
    expect((await system.deviceEvents("device-3")).events.length).toBe(EVENTS_PER_USER);
    const fields = ["windows", "last_values"];
    expect(await system.read("/v1/profiles", { users: ["user-3", "nobody"], fields })).toMatchObject({
      profiles: [
        {
          user_id: "user-3",
          windows: { "1h": { events: EVENTS_PER_USER, counts: { "Smoke Tested": EVENTS_PER_USER } } },
          // Chosen by the setting that is in the repository.
          last_values: { "properties.category": { value: "shoes" } },
        },
        { user_id: "nobody", windows: { "30d": { events: 0 } } },
      ],
    });

    const points = await system.rollups({ metric: "events", grain: "minute", by: "event_name", from });
    expect(points.reduce((sum, point) => sum + point.value, 0)).toBe(EVENTS);

    await until("a frame with every event", 20_000, async () => {
      return [...minutes.values()].reduce((sum, minute) => sum + minute.events, 0) === EVENTS;
    });
  });
});

function userEvents(user: number) {
  return Array.from({ length: EVENTS_PER_USER }, (_, i) => ({
    type: "track",
    event: "Smoke Tested",
    messageId: `smoke-${user}-${i}`,
    userId: `user-${user}`,
    anonymousId: `device-${user}`,
    properties: { i, category: "shoes" },
  }));
}

/** The newest state of each minute, as a page keeps it. */
async function watchMinutes(on: RunningSystem): Promise<Map<string, LiveMinute>> {
  const minutes = new Map<string, LiveMinute>();
  const socket = new WebSocket(`${on.url.replace("http", "ws")}/v1/live?token=${on.token}`);
  let frames = 0;
  socket.addEventListener("message", ({ data }) => {
    frames++;
    const frame = JSON.parse(String(data)) as LiveFrame;
    for (const minute of frame.type === "snapshot" ? frame.minutes : [frame]) minutes.set(minute.start, minute);
  });
  await until("the snapshot", 20_000, async () => frames > 0);
  return minutes;
}
