import { describe, expect, it } from "vitest";
import { INGEST } from "../../../r2-layout/limits.ts";
import { rhythm } from "../../../scripts/demo/shop.ts";
import { type TrafficEvent, traffic } from "../../../scripts/demo/traffic.ts";

const FROM = Date.UTC(2026, 10, 20);
const HOUR = 3_600_000;

function during(hours: number, options: { seed?: number; run?: string; from?: number } = {}): TrafficEvent[] {
  const from = options.from ?? FROM;
  const events: TrafficEvent[] = [];
  for (const event of traffic({ seed: options.seed ?? 1, from, eventsPerSecond: 2, run: options.run ?? "test" })) {
    if (event.at >= from + hours * HOUR) return events;
    events.push(event);
  }
  return events;
}

const nameOf = ({ event }: TrafficEvent) => String(event.event ?? event.type);
const day = during(24);

describe("demo traffic", () => {
  it("is the same for the same seed and another for another", () => {
    expect(during(0.1)).toEqual(during(0.1));
    expect(during(0.1, { seed: 2 }).map(nameOf)).not.toEqual(during(0.1).map(nameOf));
  });

  it("comes in the order of its times, from the first second on, with ids that no other run has", () => {
    const times = day.map(({ at }) => at);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times[0]! - FROM).toBeLessThan(5_000);
    const ids = new Set(day.map(({ event }) => event.messageId));
    expect(ids.size).toBe(day.length);
    for (const { event } of during(0.1, { run: "other" })) expect(ids.has(event.messageId)).toBe(false);
  });

  it("keeps its rate over a day, with more of it in the evening than at night", () => {
    expect(day.length / 86_400).toBeGreaterThan(1.7);
    expect(day.length / 86_400).toBeLessThan(2.3);
    const inHour = (hour: number) => day.filter(({ at }) => Math.floor((at - FROM) / HOUR) === hour).length;
    expect(inHour(19)).toBeGreaterThan(2 * inHour(3));
    expect(rhythm({ zone: 0 }, FROM + 20 * HOUR)).toBeGreaterThan(rhythm({ zone: 0 }, FROM + 4 * HOUR));
  });

  it("narrows like a shop's funnel, and some reach its end with revenue in a currency", () => {
    const count = (name: string) => day.filter((event) => nameOf(event) === name).length;
    const steps = ["Product Viewed", "Product Added", "Checkout Started", "Payment Info Entered", "Order Completed"];
    const funnel = steps.map(count);
    expect(funnel).toEqual(funnel.toSorted((a, b) => b - a));
    expect(funnel.at(-1)).toBeGreaterThan(0);
    for (const { event } of day.filter((event) => nameOf(event) === "Order Completed")) {
      expect(event.properties).toMatchObject({ revenue: expect.any(Number), currency: "EUR" });
    }
  });

  it("has visitors who return, some known by name, from many countries and devices", () => {
    const visits = new Map<string, Set<unknown>>();
    for (const { visitor, event } of day) {
      const sessions = visits.get(visitor.anonymousId) ?? new Set();
      visits.set(visitor.anonymousId, sessions.add((event.context as { sessionId: string }).sessionId));
    }
    const returning = [...visits.values()].filter((sessions) => sessions.size > 1).length;
    expect(returning / visits.size).toBeGreaterThan(0.1);
    const known = day.filter(({ event }) => event.userId !== undefined).length / day.length;
    expect(known).toBeGreaterThan(0.05);
    expect(known).toBeLessThan(0.95);
    expect(new Set(day.map(({ visitor }) => visitor.place.country)).size).toBeGreaterThan(6);
    expect(new Set(day.map(({ visitor }) => visitor.device.userAgent)).size).toBeGreaterThan(6);
  });

  it("has the same visitors in every run with the same seed: they come back after a restart", () => {
    const visitors = new Set(day.map(({ visitor }) => visitor.anonymousId));
    const later = new Set(
      during(1, { from: FROM + 30 * HOUR, run: "later" }).map(({ visitor }) => visitor.anonymousId),
    );
    const seenBefore = [...later].filter((id) => visitors.has(id)).length;
    expect(seenBefore / later.size).toBeGreaterThan(0.9);
  });

  it("stays within the limits of ingest (promise 9)", () => {
    for (const { event } of day) expect(JSON.stringify(event).length).toBeLessThan(INGEST.eventBytes);
  });
});
