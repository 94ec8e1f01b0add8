import { env, SELF } from "cloudflare:test";
import { sign } from "hono/jwt";
import { describe, expect, it } from "vitest";
import type { UserTimelineApi } from "../../../durable-objects/user-timeline/api.ts";
import { timelineName } from "../../../durable-objects/user-timeline/timeline-name.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { MINUTE_MS, OWN, PROFILE } from "../../../r2-layout/limits.ts";
import { TOKEN, USER_TOKEN_KEYS } from "./edge-config.ts";

const ORIGIN = "https://collect.example";
const MINUTE_US = MINUTE_MS * 1_000;
const timelines = (env as unknown as { USER_TIMELINE: { getByName(name: string): UserTimelineApi } }).USER_TIMELINE;

const ask = (path: string, token: string | null, init: RequestInit = {}) =>
  SELF.fetch(`${ORIGIN}${path}`, {
    ...init,
    headers: { ...(token && { authorization: `Bearer ${token}` }), ...init.headers },
  });
const post = (path: string, token: string, body: unknown) =>
  ask(path, token, { method: "POST", body: JSON.stringify(body) });
const json = async (answer: Promise<Response> | Response) => (await (await answer).json()) as Record<string, unknown>;
const userToken = (sub: string) => {
  const exp = Math.floor(Date.now() / 1_000) + 60;
  return sign({ sub, aud: "eventpile", exp }, USER_TOKEN_KEYS[1], "HS256");
};

/** Puts events of a user where the sessions sink would. @returns now, microseconds */
async function keep(user: string, events: readonly Partial<EventRow>[]): Promise<number> {
  const now = Date.now() * 1_000;
  const rows = events.map((event, i) => ({
    event_id: `${user} ${i}`,
    event_name: "page",
    event_type: "page",
    source: "shop",
    user_id: user,
    event_time: now,
    received_at: now,
    log_shard: 0,
    log_seq: 1,
    ...event,
  })) as EventRow[];
  const subject = { kind: "user", id: user } as const;
  const timeline = timelines.getByName(timelineName("test-identity-key", subject));
  await timeline.append({ subject, shard: 0, from: 1, to: 1, events: rows });
  return now;
}

describe("the profile of a user", () => {
  it("has windows, recency, frequency, revenue and touches, its times as text", async () => {
    const now = await keep("ann", [
      { event_time: Date.now() * 1_000 - 3 * 60 * MINUTE_US, utm_source: "news", page_path: "/spring" },
      { event_name: "Order Completed", event_type: "track", revenue: 19.99, currency: "EUR" },
    ]);
    const profile = await json(ask("/v1/users/ann/profile", TOKEN.profile));
    const iso = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
    expect(profile).toMatchObject({
      user_id: "ann",
      as_of: iso,
      events: 2,
      recency: { by_event: { "Order Completed": { at: iso }, page: { at: iso } } },
      windows: {
        "1h": { from: iso, events: 1, counts: { "Order Completed": 1 }, revenue: { EUR: 19.99 } },
        "24h": { events: 2, counts: { page: 1, "Order Completed": 1 } },
        "30d": { events: 2 },
      },
      first_touch: { at: iso, utm_source: "news", page_path: "/spring" },
      last_touch: { utm_source: "news" },
    });
    const { recency, frequency } = profile as { recency: { seconds: number }; frequency: Record<string, number> };
    expect(recency.seconds).toBeLessThan(60);
    expect(frequency.active_days_30d).toBe(frequency.active_days);
    expect(Date.parse(String(profile.as_of)) * 1_000).toBeGreaterThanOrEqual(now - 1_000);
  });

  it("has the members that were asked for, and of a user nobody has seen zeros and nulls", async () => {
    const answer = await ask("/v1/users/nobody/profile?fields=windows,first_touch,recency,last_seen", TOKEN.support);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    const profile = await json(answer);
    expect(Object.keys(profile).sort()).toEqual(
      ["as_of", "first_touch", "last_seen", "recency", "user_id", "windows"].sort(),
    );
    expect(profile).toMatchObject({
      last_seen: null,
      first_touch: null,
      recency: { seconds: null, by_event: {} },
      windows: { "30d": { events: 0, counts: {}, revenue: {} } },
    });
    const refused = await ask("/v1/users/ann/profile?fields=windows,secrets", TOKEN.profile);
    expect([refused.status, (await json(refused)).parameter]).toEqual([400, "fields"]);
  });
});

describe("a batch of profiles", () => {
  const PAGES = "/v1/profiles";

  it("answers in the order in which it was asked, also for users who were never seen, or named twice", async () => {
    await keep("b1", [{}]);
    await keep("b2", [{}, {}]);
    const users = ["b2", "never seen", "b1", "b2"];
    const { profiles } = await json(post(PAGES, TOKEN.profile, { users, fields: ["events"] }));
    const seen = (profiles as { user_id: string; events: number }[]).map(({ user_id, events }) => [user_id, events]);
    expect(seen).toEqual([
      ["b2", 2],
      ["never seen", 0],
      ["b1", 1],
      ["b2", 2],
    ]);
  });

  it("promise 9: has PROFILE.batchUsers users and PROFILE.batchBytes bytes at most", async () => {
    const users = Array.from({ length: PROFILE.batchUsers }, (_, i) => `${i}`.padEnd(256, "\u0001"));
    const body = JSON.stringify({ users, fields: ["events"] });
    const most = await ask(PAGES, TOKEN.profile, { method: "POST", body: body.padEnd(PROFILE.batchBytes) });
    expect(most.status).toBe(200);
    expect(((await json(most)).profiles as unknown[]).length).toBe(PROFILE.batchUsers);
    const larger = await ask(PAGES, TOKEN.profile, { method: "POST", body: body.padEnd(PROFILE.batchBytes + 1) });
    expect([larger.status, (await json(larger)).reason]).toEqual([413, "body_too_large"]);
    const more = await post(PAGES, TOKEN.profile, { users: [...users, "one more"] });
    expect([more.status, (await json(more)).parameter]).toEqual([400, "users"]);
  });

  it.each([
    [{}, "users"],
    [{ users: [] }, "users"],
    [{ users: "ann" }, "users"],
    [{ users: ["ann", 5] }, "users[1]"],
    [{ users: [""] }, "users[0]"],
    [{ users: ["ann"], fields: "events" }, "fields"],
    [{ users: ["ann"], fields: [] }, "fields"],
    [{ users: ["ann"], fields: [["events"]] }, "fields"],
    [{ users: ["ann"], all: true }, "all"],
  ])("is refused as %j, by name", async (body, parameter) => {
    const answer = await post(PAGES, TOKEN.profile, body);
    expect([answer.status, (await json(answer)).parameter]).toEqual([400, parameter]);
  });

  it("is for tokens of the scope profile or support", async () => {
    for (const [scope, token] of Object.entries(TOKEN)) {
      const { status } = await post(PAGES, token, { users: ["ann"], fields: ["events"] });
      expect([scope, status]).toEqual([scope, ["profile", "support", "admin"].includes(scope) ? 200 : 403]);
    }
  });
});

describe("a token for a person", () => {
  it("is given to who may read all of that user's events, for as long as is asked", async () => {
    const answer = await post("/v1/users/ann%2F1/tokens", TOKEN.support, { expires_in: 120 });
    expect(answer.status).toBe(201);
    const { token, expires_at, ...rest } = await json(answer);
    expect(rest).toEqual({ user_id: "ann/1", token_type: "Bearer", expires_in: 120 });
    expect(Date.parse(String(expires_at)) - Date.now()).toBeGreaterThan(100_000);
    expect(await json(ask("/v1/me/events", String(token)))).toMatchObject({ user_id: "ann/1", events: [] });
    for (const token of [TOKEN.profile, TOKEN.live]) {
      expect((await post("/v1/users/ann/tokens", token, {})).status).toBe(403);
    }
    for (const expires_in of [0, 1.5, "60", OWN.tokenSecondsMax + 1]) {
      const refused = await post("/v1/users/ann/tokens", TOKEN.support, { expires_in });
      expect((await json(refused)).parameter).toBe("expires_in");
    }
    const longest = await post("/v1/users/ann/tokens", TOKEN.support, { expires_in: OWN.tokenSecondsMax });
    expect(longest.status).toBe(201);
    expect(await json(post("/v1/users/ann/tokens", TOKEN.admin, {}))).toMatchObject({
      expires_in: OWN.tokenSecondsDefault,
    });
  });
});

describe("a person's own events", () => {
  it("are theirs alone, newest first, page by page, and only what concerns them of each", async () => {
    const before = Date.now() * 1_000 - 60 * MINUTE_US;
    await keep(
      "own",
      Array.from({ length: 5 }, (_, i) => ({
        event_time: before + i,
        page_path: `/${i}`,
        anonymous_id: "device",
        utm_source: "news",
        flags: ["late"],
        properties: { size: "9" },
      })),
    );
    await keep("somebody else", [{}]);
    const token = await userToken("own");
    const paths: unknown[] = [];
    let cursor = "";
    do {
      const page = await json(ask(`/v1/me/events?limit=2${cursor}`, token));
      for (const event of page.events as Record<string, unknown>[]) {
        paths.push(event.page_path);
        expect(Object.keys(event).sort()).toEqual(
          ["event_id", "event_name", "event_time", "event_type", "page_path", "properties"].sort(),
        );
      }
      cursor = page.next ? `&cursor=${page.next}` : "";
    } while (cursor);
    expect(paths).toEqual(["/4", "/3", "/2", "/1", "/0"]);
    expect(await json(ask("/v1/me/events?minutes=59", token))).toMatchObject({ events: [], next: null });
  });

  it("are of OWN.eventsMax events a page and OWN.minutesMax minutes at most, and refused beyond, by name", async () => {
    await keep(
      "much",
      Array.from({ length: OWN.eventsMax + 1 }, () => ({})),
    );
    const token = await userToken("much");
    const page = await json(ask(`/v1/me/events?limit=${OWN.eventsMax}&minutes=${OWN.minutesMax}`, token));
    expect((page.events as unknown[]).length).toBe(OWN.eventsMax);
    const usual = await json(ask("/v1/me/events", token));
    expect((usual.events as unknown[]).length).toBe(OWN.eventsDefault);
    for (const [name, value] of [
      ["limit", OWN.eventsMax + 1],
      ["minutes", OWN.minutesMax + 1],
      ["cursor", "made-up"],
    ]) {
      const refused = await ask(`/v1/me/events?${name}=${value}`, token);
      expect([refused.status, (await json(refused)).parameter]).toEqual([400, name]);
    }
  });

  it("promise 9: are given so often, then refused with the seconds to wait; support and other people go on", async () => {
    await keep("eager", [{}]);
    const answers: Response[] = [];
    for (let i = 0; i <= OWN.requestsAtOnce + 1; i++)
      answers.push(await ask("/v1/me/events", await userToken("eager")));
    expect(answers[OWN.requestsAtOnce - 1]!.status).toBe(200);
    const last = answers.at(-1)!;
    expect([last.status, (await json(last)).reason]).toEqual([429, "rate_limited"]);
    expect(Number(last.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await ask("/v1/me/events", await userToken("calm"))).status).toBe(200);
    expect((await ask("/v1/users/eager/events", TOKEN.support)).status).toBe(200);
  });

  it("take no other token, and that token opens nothing else", async () => {
    const refusal = async (token: string | null) => {
      const answer = await ask("/v1/me/events", token);
      expect(answer.headers.get("www-authenticate")).toContain("Bearer");
      return [answer.status, (await json(answer)).reason];
    };
    expect(await refusal(null)).toEqual([401, "missing_token"]);
    expect(await refusal(TOKEN.admin)).toEqual([401, "refused_user_token"]);
    const own = await userToken("ann");
    for (const path of ["/v1/users/ann/events", "/v1/users/ann/profile", "/v1/ledger"]) {
      expect((await json(ask(path, own))).reason).toBe("unknown_token");
    }
  });

  it("can be asked for by a page of any origin, and refusals can be read there", async () => {
    const origin = { origin: "https://app.example" };
    const preflight = await ask("/v1/me/events", null, { method: "OPTIONS", headers: origin });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe(origin.origin);
    for (const token of [await userToken("ann"), "made-up"]) {
      const answer = await ask("/v1/me/events", token, { headers: origin });
      expect(answer.headers.get("access-control-allow-origin")).toBe(origin.origin);
    }
    const bad = await ask("/v1/me/events?limit=0", await userToken("ann"), { headers: origin });
    expect([bad.status, bad.headers.get("access-control-allow-origin")]).toEqual([400, origin.origin]);
  });
});
