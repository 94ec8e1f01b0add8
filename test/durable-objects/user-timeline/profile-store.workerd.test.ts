import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { TimelineAppend } from "../../../durable-objects/user-timeline/api.ts";
import { type FeaturePlan, NO_PLAN, parseFeaturePlan } from "../../../durable-objects/user-timeline/feature-plan.ts";
import { Timeline } from "../../../durable-objects/user-timeline/timeline.ts";
import type { UserTimeline } from "../../../durable-objects/user-timeline/user-timeline.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { DAY_MS, OWN, TIMELINE } from "../../../r2-layout/limits.ts";
import { appendsOf, flushes, loggedEvents, MINUTE_US, plainEvent, START } from "./events.ts";
import * as reference from "./online-reference.ts";

const timelines = (env as unknown as { USER_TIMELINE: DurableObjectNamespace<UserTimeline> }).USER_TIMELINE;
let names = 0;
const newTimeline = () => timelines.getByName(`profile-${names++}`);
const PLANS = [
  NO_PLAN,
  parseFeaturePlan('{"counters":["page"],"last_values":["plan"]}'),
  parseFeaturePlan('{"counters":["page"],"last_values":["name",{"property":"plan","as":"tier"}]}'),
  parseFeaturePlan('{"counters":["Order Completed"]}'),
];
const NOW_MS = START / 1_000 + DAY_MS;

afterEach(() => reset());

const append = (events: readonly EventRow[]): TimelineAppend => ({
  subject: { kind: "user", id: "ann" },
  shard: 0,
  from: Math.min(...events.map((event) => event.log_seq)),
  to: Math.max(...events.map((event) => event.log_seq)),
  events,
});

function inSql<T>(work: (emptied: () => SqlStorage) => T): Promise<T> {
  return runInDurableObject(newTimeline(), (_, { storage: { sql } }) =>
    work(() => {
      for (const table of ["head", "chunk"]) sql.exec(`DROP TABLE IF EXISTS ${table}`);
      return sql;
    }),
  );
}

function online(timeline: Timeline) {
  if (timeline.isStale) timeline.refresh();
  return timeline.online(NOW_MS);
}

function expected(events: readonly EventRow[], plan: FeaturePlan) {
  return {
    windows: reference.windows(events, plan, NOW_MS * 1_000),
    last_at: reference.lastAt(events, plan),
    properties: reference.properties(events, plan),
    touches: reference.touchTimes(events),
  };
}

function seen(timeline: Timeline) {
  const { windows, last_at, last_values: values, first_touch: first, last_touch: last } = online(timeline);
  const properties = Object.entries(values).filter(([name]) => name.startsWith("properties."));
  return { windows, last_at, properties: Object.fromEntries(properties), touches: [first?.at, last?.at] };
}

describe("promise 2: a profile of the online store", () => {
  it("is what the events and the present plan make it, whatever plans there were before, and whatever happened between", async () => {
    await inSql((emptied) => {
      fc.assert(
        fc.property(loggedEvents, flushes, fc.array(fc.nat(PLANS.length - 1)), (events, flushPlan, plans) => {
          const sql = emptied();
          let timeline = new Timeline(sql);
          let flush = 0;
          for (const { evict, ...one } of appendsOf(events, flushPlan)) {
            const plan = PLANS[plans[flush++] ?? 0];
            if (evict || plan) timeline = new Timeline(sql, TIMELINE, plan);
            timeline.append(one, NOW_MS);
          }
          for (const plan of PLANS) {
            const reader = new Timeline(sql, TIMELINE, plan);
            expect(seen(reader)).toEqual(expected(events, plan));
            expect(new Timeline(sql, TIMELINE, plan).isStale).toBe(false);
          }
        }),
        { numRuns: 60 },
      );
    });
  });

  it("is whole for a user whose state was written before there were online features", async () => {
    await inSql((emptied) => {
      const sql = emptied();
      const events = [0, 5, 90].map((minutes, i) =>
        plainEvent({
          event_id: `${i}`,
          event_time: START + minutes * MINUTE_US,
          utm_source: i === 1 ? "news" : null,
          log_seq: i + 1,
        }),
      );
      new Timeline(sql).append(append(events.slice(0, 2)), NOW_MS);
      const [{ state } = { state: "" }] = sql.exec<{ state: string }>("SELECT state FROM head WHERE id = 0").toArray();
      const { features, ...old } = JSON.parse(state);
      expect(features).toBeDefined();
      sql.exec("UPDATE head SET state = ?", JSON.stringify(old));
      expect(new Timeline(sql).isStale).toBe(true);
      const later = new Timeline(sql);
      later.append(append(events), NOW_MS);
      expect(seen(later)).toEqual(expected(events, NO_PLAN));
    });
  });

  it("is right where a correction takes events away", async () => {
    const timeline = newTimeline();
    const now = Date.now() * 1_000;
    const events = [0, 1, 2].map((i) =>
      plainEvent({ event_id: `${i}`, event_time: now - i * MINUTE_US, received_at: now, revenue: 5, log_seq: i + 1 }),
    );
    await timeline.append(append(events));
    const { log_shard: shard, log_seq: seq, source, event_id } = events[1]!;
    const subject = { kind: "user", id: "ann" } as const;
    await timeline.amend({ subject, rules: 1, remove: [{ shard, seq, source, event_id }], put: [] });
    const { windows } = await timeline.online();
    expect(windows["1h"]).toMatchObject({ events: 2, counts: { page: 2 }, revenue: { "": 10 } });
  });

  it("keeps counting what was let go of for its number, and says from when on another plan is whole", async () => {
    await inSql((emptied) => {
      const sql = emptied();
      const kept = { ...TIMELINE, eventsKept: 50 };
      const plan = PLANS[3]!;
      const events = Array.from({ length: 400 }, (_, i) =>
        plainEvent({
          event_id: `${i}`,
          event_time: START + i * 1_000_000,
          properties: { pad: "x".repeat(3_000) },
          log_seq: i + 1,
          ...(i === 0 && { utm_source: "news" }),
        }),
      );
      const timeline = new Timeline(sql, kept);
      for (let from = 0; from < events.length; from += 50)
        timeline.append(append(events.slice(from, from + 50)), NOW_MS);
      const left = timeline.events({ limit: 1_000 }).events.length;
      expect(left).toBeLessThan(200);
      expect(timeline.online(NOW_MS).windows["30d"].events).toBe(400);
      const other = online(new Timeline(sql, kept, plan));
      expect(other.windows["30d"].counts).toEqual({ "(other)": left });
      expect(other.windows["30d"].incomplete_before).toBe(events[400 - left - 1]!.event_time);
      expect(other.first_touch?.columns).toMatchObject({ utm_source: "news" });
      expect(other.events).toBe(400);
    });
  });
});

describe("the online store's object", () => {
  it("answers all of it in one call, also after an eviction, and nothing for a user who was never seen", async () => {
    const timeline = newTimeline();
    const now = Date.now() * 1_000;
    await timeline.append(append([plainEvent({ event_id: "1", event_time: now - MINUTE_US, received_at: now })]));
    await evictDurableObject(timeline);
    const profile = await timeline.online();
    expect(profile).toMatchObject({ events: 1, active_days_30d: 1, last_at: { page: now - MINUTE_US } });
    for (const name of ["1h", "24h", "30d"] as const) expect(profile.windows[name].counts).toEqual({ page: 1 });
    expect(profile.as_of).toBeGreaterThanOrEqual(now);

    const absent = newTimeline();
    expect(await absent.online()).toMatchObject({ events: 0, first_touch: null, windows: { "1h": { events: 0 } } });
    const tables = await runInDurableObject(absent, (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
    );
    expect(tables).toEqual([]);
  });

  it("promise 9: lets a person ask for their own events OWN.requestsAtOnce times at once, and support go on asking", async () => {
    const timeline = newTimeline();
    await timeline.append(append([plainEvent({ event_id: "1" })]));
    const answers = await Promise.all(
      Array.from({ length: OWN.requestsAtOnce + 1 }, () => timeline.own({ limit: 10 })),
    );
    expect(answers.filter((answer) => "page" in answer)).toHaveLength(OWN.requestsAtOnce);
    expect(answers.at(-1)).toEqual({ waitMs: expect.any(Number) });
    expect((await timeline.events({ limit: 10 })).events).toHaveLength(1);
  });
});
