import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import { type FeaturePlan, NO_PLAN, parseFeaturePlan } from "../../../durable-objects/user-timeline/feature-plan.ts";
import { OwnRate } from "../../../durable-objects/user-timeline/own-rate.ts";
import type { EncodedState } from "../../../durable-objects/user-timeline/subject-state.ts";
import { SubjectState } from "../../../durable-objects/user-timeline/subject-state.ts";
import { Touches } from "../../../durable-objects/user-timeline/touch.ts";
import { WindowSums, windowStart } from "../../../durable-objects/user-timeline/window-sums.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { DAY_MS, MINUTE_MS, OWN, PROFILE } from "../../../r2-layout/limits.ts";
import { loggedEvents, MINUTE_US, plainEvent, START } from "./events.ts";
import * as reference from "./online-reference.ts";

const DAY_US = DAY_MS * 1_000;
const PLAN = parseFeaturePlan(
  JSON.stringify({
    counters: ["page", "__proto__"],
    last_values: ["plan", { property: "name", event: "Order Completed", as: "buyer" }],
  }),
);

/** Receipts of a month, and senders' clocks that run behind or ahead of them. */
const scattered: fc.Arbitrary<EventRow[]> = loggedEvents.chain((events) =>
  fc
    .array(
      fc.tuple(
        fc.constantFrom(0, 1, 14, 15, 59, 60, 61, 360, 24 * 60 - 1, 24 * 60, 24 * 60 + 1, 10 * 24 * 60, 31 * 24 * 60),
        fc.constantFrom(-40 * 24 * 60, -61, -1, 0, 0, 0, 5, 24 * 60),
        fc.constantFrom(undefined, "shop.example", "a.example"),
        fc.constantFrom(undefined, undefined, "news"),
      ),
      { minLength: events.length, maxLength: events.length },
    )
    .map((times) =>
      events.map((event, i) => {
        const [minutes, ahead, host, campaign] = times[i]!;
        const received_at = START + minutes * MINUTE_US + i;
        const event_time = received_at + ahead * MINUTE_US;
        return plainEvent({
          ...event,
          received_at,
          event_time,
          ...(host && { page_host: host }),
          ...(campaign && { utm_source: campaign }),
        });
      }),
    ),
);

function stateOf(events: readonly EventRow[], plan: FeaturePlan): SubjectState {
  let state = new SubjectState({ kind: "user", id: "ann" }, undefined, plan);
  for (const event of events) {
    state.fold(event, 0);
    state = new SubjectState(state.subject, JSON.parse(JSON.stringify(state.encode())) as EncodedState, plan);
  }
  return state;
}

describe("the online features of a user", () => {
  it.each([
    ["nothing", NO_PLAN],
    ["names and properties", PLAN],
  ])("promise 2: are what the events make them, in any order, where %s is configured", (_, plan) => {
    fc.assert(
      fc.property(
        scattered.chain((events) =>
          fc.tuple(fc.shuffledSubarray(events, { minLength: events.length }), fc.nat(40 * 24 * 60)),
        ),
        ([events, laterMinutes]) => {
          const now = Math.max(...events.map(({ received_at }) => received_at)) + laterMinutes * MINUTE_US;
          const online = stateOf(events, plan).online(now);
          expect(online.windows).toEqual(reference.windows(events, plan, now));
          expect(online.last_at).toEqual(reference.lastAt(events, plan));
          const chosen = Object.entries(online.last_values).filter(([name]) => name.startsWith("properties."));
          expect(Object.fromEntries(chosen)).toEqual(reference.properties(events, plan));
          expect([online.first_touch?.at, online.last_touch?.at]).toEqual(reference.touchTimes(events));
        },
      ),
      { numRuns: 80 },
    );
  });

  it("take back what a correction takes away, as if it had never come", () => {
    fc.assert(
      fc.property(scattered, fc.nat(), (events, pick) => {
        const now = Math.max(...events.map(({ received_at }) => received_at));
        const gone = events[pick % events.length]!;
        const state = stateOf(events, PLAN);
        state.subtract(gone);
        const rest = events.filter((event) => event !== gone);
        expect(state.online(now).windows).toEqual(reference.windows(rest, PLAN, now));
      }),
      { numRuns: 50 },
    );
  });

  it("count the days of the last 30, today's included", () => {
    const at = (days: number) => plainEvent({ event_id: `${days}`, event_time: START - days * DAY_US });
    expect(stateOf([0, 0, 1, 29, 30, 400].map(at), NO_PLAN).online(START).active_days_30d).toBe(3);
  });

  it("are not kept of a device, which nobody asks for them", () => {
    const device = new SubjectState({ kind: "device", id: "tv" });
    device.fold(plainEvent({ event_id: "1" }), 0);
    expect(device.encode().features).toBeUndefined();
    expect(device.hasStaleFeatures).toBe(false);
  });
});

describe("promise 9: windows", () => {
  const minutesOf = (sums: WindowSums) => sums.encode().buckets["1h"].length;

  it("hold no more buckets than they need, however long a user stays", () => {
    const sums = new WindowSums(10, null);
    for (let minute = 0; minute < 40 * 24 * 60; minute++) {
      const at = START + minute * MINUTE_US;
      sums.reached(at - MINUTE_US, at);
      sums.add("page", 1n, at, at);
    }
    expect(minutesOf(sums)).toBe(61);
    expect(sums.encode().buckets["24h"].length).toBeLessThanOrEqual(97);
    expect(sums.encode().buckets["30d"].length).toBeLessThanOrEqual(121);
    expect(JSON.stringify(sums.encode()).length).toBeLessThan(10_000);
  });

  it("count PROFILE.eventNames names one by one, the shortest, and the rest together, in any order", () => {
    const names = Array.from({ length: PROFILE.eventNames + 1 }, (_, i) => `name ${"x".repeat(i)}`);
    for (const some of [names, names.toReversed()]) {
      const sums = new WindowSums(PROFILE.eventNames, null);
      for (const name of [...some, ...some]) sums.add(name, 1n, START, START);
      const counted = sums.sums("1h", START);
      expect(counted).toHaveLength(PROFILE.eventNames + 1);
      expect(counted.at(-1)).toEqual(["(other)", 2n]);
      expect(counted.map(([name]) => name)).not.toContain(names.at(-1));
    }
  });

  it("keep sums beyond what JSON does", () => {
    const sums = new WindowSums(5, null);
    sums.add("EUR", 2n ** 60n + 1n, START, START);
    const again = new WindowSums(5, null, JSON.parse(JSON.stringify(sums.encode())));
    expect(again.sums("30d", START)).toEqual([["EUR", 2n ** 60n + 1n]]);
  });

  it("begin with a whole bucket, at most one bucket more than their length ago", () => {
    for (const [name, length, bucket] of [
      ["1h", 60, 1],
      ["24h", 24 * 60, 15],
      ["30d", 30 * 24 * 60, 360],
    ] as const) {
      const now = START + 7 * MINUTE_US + 1;
      const ago = (now - windowStart(name, now)) / MINUTE_US;
      expect(ago).toBeGreaterThanOrEqual(length);
      expect(ago).toBeLessThan(length + bucket);
      expect(windowStart(name, now) % (bucket * MINUTE_US)).toBe(0);
    }
  });
});

describe("a touch", () => {
  const touched = (events: readonly Partial<EventRow>[]) => {
    const touches = new Touches();
    for (const [i, event] of events.entries()) touches.fold(plainEvent({ event_id: `${i}`, ...event }));
    return [touches.first?.columns, touches.last?.columns];
  };

  it("is a campaign or another host's page; coming back directly, or from a page of one's own, is none", () => {
    expect(
      touched([
        { event_time: 5, page_host: "shop.example", page_path: "/" },
        { event_time: 20, page_host: "shop.example", referrer: "https://search.example/?q=shoes", page_path: "/a" },
        { event_time: 30, utm_source: "news", utm_campaign: "spring", page_host: "shop.example" },
        { event_time: 40, page_host: "shop.example", referrer: "https://shop.example/a" },
        { event_time: 50, referrer: "no address" },
      ]),
    ).toEqual([
      { referrer: "https://search.example/?q=shoes", page_host: "shop.example", page_path: "/a" },
      { utm_source: "news", utm_campaign: "spring", page_host: "shop.example" },
    ]);
  });

  it("of two at one time is the same in either order", () => {
    const two = [{ utm_source: "a" }, { utm_source: "b" }];
    expect(touched(two)).toEqual(two);
    expect(touched(two.toReversed())).toEqual(two);
  });
});

describe("the setting PROFILE", () => {
  it("can be read as it is in the repository, and as its page has it", () => {
    const read = (path: string) => readFileSync(resolve(import.meta.dirname, "../../..", path), "utf8");
    const { vars } = parse(read("workers/objects/wrangler.toml")) as { vars: { PROFILE: string } };
    expect(parseFeaturePlan(vars.PROFILE).properties.length).toBeGreaterThan(0);
    const [shown] = /\{[^`]*"counters"[^`]*\}/.exec(read("docs/profile.md")) ?? [];
    expect(parseFeaturePlan(shown).counters).toContain("Order Completed");
  });

  it("says the same in whatever order", () => {
    const texts = ['{"counters":["a","b"],"last_values":["x","y"]}', '{"last_values":["y","x"],"counters":["b","a"]}'];
    const [one, other] = texts.map(parseFeaturePlan);
    expect(one!.fingerprint).toBe(other!.fingerprint);
    expect(parseFeaturePlan(undefined)).toBe(NO_PLAN);
    expect(parseFeaturePlan("{}").fingerprint).toBe(NO_PLAN.fingerprint);
    expect(parseFeaturePlan('{"last_values":["x"]}').countersFingerprint).toBe(NO_PLAN.countersFingerprint);
  });

  it("promise 9: chooses PROFILE.eventNames names and PROFILE.properties properties, of PROFILE.nameChars characters", () => {
    const names = (count: number, chars: number) => Array.from({ length: count }, (_, i) => `${i} `.padEnd(chars, "x"));
    const most = { counters: names(PROFILE.eventNames, PROFILE.nameChars), last_values: names(PROFILE.properties, 5) };
    expect(parseFeaturePlan(JSON.stringify(most)).properties).toHaveLength(PROFILE.properties);
    for (const beyond of [
      { counters: names(PROFILE.eventNames + 1, 5) },
      { last_values: names(PROFILE.properties + 1, 5) },
      { counters: names(1, PROFILE.nameChars + 1) },
    ]) {
      expect(() => parseFeaturePlan(JSON.stringify(beyond))).toThrow("PROFILE is misconfigured");
    }
  });

  it.each([
    "{",
    "[]",
    '{"counter":[]}',
    '{"counters":"page"}',
    '{"counters":[""]}',
    '{"counters":["a","a"]}',
    '{"last_values":[5]}',
    '{"last_values":[{"event":"x"}]}',
    '{"last_values":[{"property":"x","of":"y"}]}',
    '{"last_values":["x",{"property":"y","as":"x"}]}',
  ])("is refused as %s, by an error that no sink takes for the event's fault", (text) => {
    let thrown: unknown;
    try {
      parseFeaturePlan(text);
    } catch (error) {
      thrown = error;
    }
    expect(String(thrown)).toMatch(/^Error: PROFILE is misconfigured/);
  });
});

describe("promise 9: a person", () => {
  it("may ask OWN.requestsAtOnce times at once, and OWN.requestsPerMinute times a minute for good", () => {
    const rate = new OwnRate();
    const take = (at: number) => rate.take(at) === 0;
    const now = Date.UTC(2026, 10, 22);
    expect(Array.from({ length: OWN.requestsAtOnce }, () => take(now))).not.toContain(false);
    const waitMs = rate.take(now);
    expect(waitMs).toBe(MINUTE_MS / OWN.requestsPerMinute);
    expect(take(now + waitMs - 1)).toBe(false);
    expect(take(now + waitMs)).toBe(true);
    let taken = 0;
    for (let ms = 100; ms <= 10 * MINUTE_MS; ms += 100) taken += Number(take(now + waitMs + ms));
    expect(taken).toBe(10 * OWN.requestsPerMinute);
  });
});
