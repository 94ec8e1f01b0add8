import { env, runInDurableObject, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { UserTimelineApi } from "../../../durable-objects/user-timeline/api.ts";
import { timelineName } from "../../../durable-objects/user-timeline/timeline-name.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { SQL, TIMELINE } from "../../../r2-layout/limits.ts";
import { MASKED_COLUMNS, sha256, TOKEN } from "./edge-config.ts";

const ORIGIN = "https://collect.example";
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const get = (path: string, token?: string) => SELF.fetch(`${ORIGIN}${path}`, token ? { headers: bearer(token) } : {});

async function reasonOf(response: Response): Promise<unknown> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  return ((await response.json()) as { reason: unknown }).reason;
}

/** Puts events of a user, and the device they used, where the sessions sink would. */
async function keep(user: string, device: string, events: readonly Partial<EventRow>[]): Promise<void> {
  const namespace = (env as unknown as { USER_TIMELINE: { getByName(name: string): UserTimelineApi } }).USER_TIMELINE;
  const of = (kind: "user" | "device", id: string) =>
    namespace.getByName(timelineName("test-identity-key", { kind, id }));
  const rows = events.map((event, i) => ({
    event_id: `${user} ${i}`,
    event_name: "page",
    event_type: "page",
    source: "shop",
    user_id: user,
    anonymous_id: device,
    received_at: Date.now() * 1_000,
    event_time: Date.now() * 1_000,
    log_shard: 0,
    log_seq: 1,
    ...event,
  })) as EventRow[];
  await of("user", user).append({ subject: { kind: "user", id: user }, shard: 0, from: 1, to: 1, events: rows });
  const users = [{ id: user, lastSeen: Date.now() * 1_000 }];
  await of("device", device).append({
    subject: { kind: "device", id: device },
    shard: 0,
    from: 1,
    to: 1,
    events: [],
    users,
  });
}

interface Page {
  events: Record<string, unknown>[];
  next: string | null;
}

describe("a token's scopes", () => {
  const ADDRESSES = [
    ["/v1/users/u/events", "support"],
    ["/v1/users/u/sessions", "support"],
    ["/v1/users/u/profile", "profile"],
    ["/v1/devices/d/events", "support"],
    ["/v1/schema", "sql"],
    ["/v1/rollups", "live"],
    ["/v1/rollups/changes", "live"],
    ["/v1/ledger", "admin"],
    ["/v1/operations", "admin"],
    ["/metrics", "admin"],
  ] as const;

  it.each(ADDRESSES)("%s answers for %s and for admin, and for nobody else", async (path, scope) => {
    const anonymous = await get(path);
    expect([anonymous.status, await reasonOf(anonymous)]).toEqual([401, "missing_token"]);
    expect(anonymous.headers.get("www-authenticate")).toContain("Bearer");
    expect(await reasonOf(await get(path, "made-up"))).toBe("unknown_token");
    expect(await reasonOf(await get(`${path}?token=${TOKEN.admin}`))).toBe("missing_token");
    for (const [other, token] of Object.entries(TOKEN)) {
      const response = await get(path, token);
      // Who may read all that a user did may read the profile of it.
      const may = other === scope || other === "admin" || (scope === "profile" && other === "support");
      if (may) expect([path, response.status]).toEqual([path, 200]);
      else expect([response.status, await reasonOf(response)]).toEqual([403, "missing_scope"]);
    }
  });
});

describe("a page asks what its token may do", () => {
  it("and is told the scopes, all of them for admin", async () => {
    const support = await (await get("/v1/token", TOKEN.support)).json();
    expect(support).toEqual({ scopes: ["support"], masked: MASKED_COLUMNS });
    const { scopes } = (await (await get("/v1/token", TOKEN.admin)).json()) as { scopes: string[] };
    expect(scopes).toEqual(expect.arrayContaining(Object.keys(TOKEN)));
  });

  it("and that nobody issued it, or that there is none", async () => {
    expect(await reasonOf(await get("/v1/token", "made-up"))).toBe("unknown_token");
    expect(await reasonOf(await get("/v1/token"))).toBe("missing_token");
  });
});

describe("users and devices", () => {
  it.each(["plain", "a/b", 'say "hi"', "😀 & ü?#", "100%", "%2F", "a+b c", "..a", "x".repeat(249), "constructor"])(
    "are found whatever their ids hold: %s",
    async (id) => {
      await keep(id, `${id} device`, [{ event_name: "page", page_path: "/home", event_time: 1_000 * Date.now() + 1 }]);
      const path = encodeURIComponent(id);
      const user = (await (await get(`/v1/users/${path}/events`, TOKEN.support)).json()) as Page;
      expect(user.events).toMatchObject([{ user_id: id, event_name: "page", page_path: "/home" }]);
      const device = (await (await get(`/v1/devices/${path}%20device/events`, TOKEN.support)).json()) as Page;
      expect(device.events).toMatchObject([{ user_id: id, anonymous_id: `${id} device` }]);
      expect(await (await get(`/v1/users/${path}/profile`, TOKEN.support)).json()).toMatchObject({
        user_id: id,
        events: 1,
      });
      const { sessions } = (await (await get(`/v1/users/${path}/sessions`, TOKEN.support)).json()) as {
        sessions: unknown[];
      };
      expect(sessions).toMatchObject([{ events: 1, entry: "/home" }]);
    },
  );

  it("are found by an id that was too long for its column", async () => {
    await keep("é".repeat(128), "long-d", [{}]);
    const { events } = (await (await get(`/v1/users/${"é".repeat(200)}/events`, TOKEN.support)).json()) as Page;
    expect(events).toHaveLength(1);
  });

  it("are read from the lake where a range goes down to what the timeline has let go of for its number", async () => {
    const at = Date.now() * 1_000;
    await keep("busy", "busy-d", [{ event_time: at }]);
    const namespace = (env as unknown as { USER_TIMELINE: DurableObjectNamespace }).USER_TIMELINE;
    const timeline = namespace.getByName(timelineName("test-identity-key", { kind: "user", id: "busy" }));
    await runInDurableObject(timeline, (_, { storage }) => {
      const upTo = JSON.stringify({ time: at - 60_000_000, tie: "" });
      storage.sql.exec(
        "INSERT INTO head SELECT 1, json_set(state, '$.receivedBefore', 0, '$.upTo', json(?)), '' FROM head WHERE id = 0",
        upTo,
      );
    });
    const since = async (agoMs: number) => {
      const from = new Date(at / 1_000 - agoMs).toISOString();
      return (await (await get(`/v1/users/busy/events?from=${from}`, TOKEN.support)).json()) as Page & {
        source?: string;
      };
    };
    const young = await since(30_000);
    expect([young.source, young.events.length, Object.keys(young)]).toEqual([undefined, 1, ["events", "next"]]);
    expect((await since(3_600_000)).source).toBe("lake");
  });

  it("show the last hour unless asked for more, newest first, page by page", async () => {
    const now = Date.now() * 1_000;
    const minute = 60_000_000;
    await keep(
      "pages",
      "pages-d",
      [1, 30, 59, 61, 600].map((ago) => ({ event_time: now - ago * minute, event_id: `${ago}` })),
    );
    const read = async (query: string) =>
      (await (await get(`/v1/users/pages/events${query}`, TOKEN.support)).json()) as Page;
    const ids = ({ events }: Page) => events.map(({ event_id }) => event_id);
    expect(ids(await read(""))).toEqual(["1", "30", "59"]);
    expect(ids(await read("?minutes=2"))).toEqual(["1"]);
    const first = await read("?minutes=700&limit=2");
    expect(ids(first)).toEqual(["1", "30"]);
    const rest = await read(`?minutes=700&limit=500&cursor=${encodeURIComponent(first.next!)}`);
    expect([ids(rest), rest.next]).toEqual([["59", "61", "600"], null]);
  });

  it("leave with their times as text, to the microsecond", async () => {
    await keep("times", "times-d", [{ event_time: 1_795_348_800_123_456, client_time: 1_795_348_800_000_001 }]);
    const [event] = ((await (await get("/v1/users/times/events?minutes=10000000", TOKEN.support)).json()) as Page)
      .events;
    expect(event).toMatchObject({
      event_time: "2026-11-22T12:00:00.123456Z",
      client_time: "2026-11-22T12:00:00.000001Z",
      received_at: expect.stringMatching(/^20\d\d-\d\d-\d\dT[\d:]+\.\d{6}Z$/),
    });
    const profile = (await (await get("/v1/users/times/profile", TOKEN.support)).json()) as { first_seen: string };
    expect(profile.first_seen).toBe("2026-11-22T12:00:00.123456Z");
  });

  it("that nobody has seen are empty, not missing", async () => {
    expect(await (await get("/v1/users/nobody/events", TOKEN.support)).json()).toEqual({ events: [], next: null });
    expect(await (await get("/v1/users/nobody/sessions", TOKEN.support)).json()).toEqual({ sessions: [] });
    expect((await get("/v1/devices/nothing/events", TOKEN.support)).status).toBe(200);
  });

  it.each([
    ["minutes", "0"],
    ["minutes", "-5"],
    ["minutes", "1.5"],
    ["minutes", "soon"],
    ["minutes", ""],
    ["minutes", "99999999999999999999"],
    ["limit", "0"],
    ["limit", String(TIMELINE.pageLimitMax + 1)],
    ["cursor", "made-up"],
  ])("refuse %s=%s by name", async (parameter, value) => {
    const response = await get(`/v1/users/u/events?${parameter}=${value}`, TOKEN.support);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ reason: "bad_parameter", parameter });
  });

  it("take the largest limit", async () => {
    expect((await get(`/v1/users/u/events?limit=${TIMELINE.pageLimitMax}`, TOKEN.support)).status).toBe(200);
    expect((await get(`/v1/users/u/sessions?limit=${TIMELINE.sessionsPerAnswer}`, TOKEN.support)).status).toBe(200);
  });

  it("promise 9: refuse more sessions than an answer has, instead of leaving some out", async () => {
    const response = await get(`/v1/users/u/sessions?limit=${TIMELINE.sessionsPerAnswer + 1}`, TOKEN.support);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ reason: "bad_parameter", parameter: "limit" });
  });
});

describe("/v1/sql", () => {
  const post = (body: string, token?: string) =>
    SELF.fetch(`${ORIGIN}/v1/sql`, { method: "POST", body, headers: token ? bearer(token) : {} });

  it("passes a statement on with the hash of the token, never the token", async () => {
    const body = JSON.stringify({ sql: "select 1" });
    expect(await (await post(body, TOKEN.sql)).json()).toEqual({
      path: "/v1/sql",
      token: sha256(TOKEN.sql),
      authorization: null,
      sight: expect.any(String),
      body,
    });
  });

  it("passes nothing on without the scope", async () => {
    expect(await reasonOf(await post("{}"))).toBe("missing_token");
    expect(await reasonOf(await post("{}", TOKEN.support))).toBe("missing_scope");
  });

  it("refuses more than a statement can be", async () => {
    const response = await post(" ".repeat(2 * SQL.statementBytes + 1), TOKEN.sql);
    expect([response.status, await reasonOf(response)]).toEqual([413, "statement_too_large"]);
  });
});

describe("/v1/live", () => {
  const open = (query = "", headers: Record<string, string> = {}) =>
    SELF.fetch(`${ORIGIN}/v1/live${query}`, { headers: { upgrade: "websocket", ...headers } });

  it("opens a socket for a token in the query or the header, and sends a snapshot first", async () => {
    for (const response of [await open(`?token=${TOKEN.live}`), await open("", bearer(TOKEN.live))]) {
      expect(response.status).toBe(101);
      const socket = response.webSocket!;
      const first = new Promise<string>((resolve) => {
        socket.addEventListener("message", ({ data }) => resolve(String(data)), { once: true });
      });
      socket.accept();
      expect(JSON.parse(await first)).toMatchObject({ type: "snapshot" });
      socket.close();
    }
  });

  it("opens none without the scope, and asks for an upgrade where there is none", async () => {
    expect(await reasonOf(await open())).toBe("missing_token");
    expect(await reasonOf(await open(`?token=${TOKEN.sql}`))).toBe("missing_scope");
    const plain = await get(`/v1/live?token=${TOKEN.live}`);
    expect([plain.status, await reasonOf(plain)]).toEqual([426, "upgrade_required"]);
  });

  it.each(["topics=hours", "resume=soon"])("names the parameter that is wrong in %s", async (query) => {
    const refused = await open(`?token=${TOKEN.live}&${query}`);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ reason: "bad_parameter", parameter: query.split("=")[0] });
  });
});

describe("the other addresses", () => {
  it("answers rollups, and names a parameter that is wrong", async () => {
    expect(await (await get("/v1/rollups?metric=events", TOKEN.live)).json()).toEqual({
      points: [],
      watermark: null,
    });
    const response = await get("/v1/rollups?grain=fortnight", TOKEN.live);
    expect(await response.json()).toMatchObject({ status: 400, reason: "bad_parameter", parameter: "grain" });
  });

  it("answers what changed in final minutes, and names a parameter that is wrong", async () => {
    const answer = await get("/v1/rollups/changes?from=2026-11-01T00:00:00Z&limit=5", TOKEN.live);
    expect(await answer.json()).toEqual({ changes: [], next: null });
    const response = await get("/v1/rollups/changes?limit=0", TOKEN.live);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ reason: "bad_parameter", parameter: "limit" });
  });

  it("answers the ledger as JSON and as metrics", async () => {
    expect(await (await get("/v1/ledger", TOKEN.admin)).json()).toMatchObject({
      balanced: true,
      total: { accepted: 0 },
    });
    const text = await (await get("/metrics", TOKEN.admin)).text();
    expect(text).toContain("eventpile_balanced 1\n");
    expect(text).toContain('eventpile_sink_lag_seconds{shard="001",sink="lake"} 0\n');
    for (const line of text.trimEnd().split("\n"))
      expect(line).toMatch(/^(# (HELP|TYPE) eventpile_\w+ .+|eventpile_\w+(\{[^}]+\})? -?[\d.e+-]+)$/);
  });

  it("answers how each sink, queue and object is, and what the day cost", async () => {
    const answer = await (await get("/v1/operations", TOKEN.admin)).json();
    expect(answer).toMatchObject({
      ledger: { balanced: true, today: { events: 0 } },
      sinks: [
        { sink: "lake", lag_seconds: 0, objective_seconds: 60, shard: null },
        { sink: "sessions" },
        { sink: "rollups" },
      ],
      queues: [{ queue: "events-0", messages: 0, oldest_seconds: null }, { queue: "events-1" }],
      lake: { files: 0, rows: 0, snapshot: 0, commits_today: 0 },
      cost_today: { events: 0, dollars: 0, dollars_per_million: null },
    });
    expect((answer as { objects: { object: string; what: string }[] }).objects).toContainEqual(
      expect.objectContaining({ object: "EventLog 001", what: "dedup_memory" }),
    );
    const text = await (await get("/metrics", TOKEN.admin)).text();
    expect(text).toContain('eventpile_queue_backlog_messages{shard="000",queue="events-0"} 0\n');
    expect(text).toContain("eventpile_queues_silent 0\n");
    expect(text).toContain('eventpile_sink_lag_objective_seconds{sink="rollups"} 15\n');
  });

  it("is well without a token", async () => {
    expect(await (await get("/healthz")).json()).toEqual({ ok: true });
  });

  it("leads to the pages and hands on their files", async () => {
    const root = await SELF.fetch(`${ORIGIN}/`, { redirect: "manual" });
    expect([root.status, root.headers.get("location")]).toEqual([302, "/live"]);
    for (const path of ["/live", "/support", "/sql"]) expect(await (await get(path)).text()).toBe(`asset ${path}`);
    const beacon = await SELF.fetch(`${ORIGIN}/beacon.js`, { headers: { origin: "https://shop.example" } });
    expect(beacon.headers.get("access-control-allow-origin")).toBe("https://shop.example");
    expect(beacon.headers.get("cross-origin-resource-policy")).toBe("cross-origin");
  });

  it.each(["/nothing", "/v1/nothing", "/v1/users/u", "/v1/users//events"])("knows nothing of %s", async (path) => {
    const response = await get(path, TOKEN.admin);
    expect([response.status, await reasonOf(response)]).toEqual([404, "not_found"]);
  });
});
