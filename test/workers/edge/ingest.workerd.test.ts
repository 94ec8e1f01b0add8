import { SELF } from "cloudflare:test";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { INGEST } from "../../../r2-layout/limits.ts";
import { allEvents, deliveredEvent, deliveredEvents } from "./delivered.ts";
import { SOURCE, WRITE_KEY } from "./edge-config.ts";

const ORIGIN = "https://collect.example";
const CF = { country: "DE", region: "Hesse", city: "Frankfurt am Main" } as IncomingRequestCfProperties;
const BASIC = { authorization: `Basic ${btoa(`${WRITE_KEY}:`)}` };

let counter = 0;
const newId = () => `ingest-${++counter}`;

const track = (more: Record<string, unknown> = {}) => ({
  type: "track",
  event: "Product Viewed",
  messageId: newId(),
  anonymousId: "a-1",
  ...more,
});

const post = (path: string, body: BodyInit | unknown, headers: Record<string, string> = BASIC) =>
  SELF.fetch(`${ORIGIN}${path}`, {
    method: "POST",
    headers,
    cf: CF,
    body:
      typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream
        ? body
        : JSON.stringify(body),
  });

async function problemOf(response: Response): Promise<Record<string, unknown>> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const document = (await response.json()) as Record<string, unknown>;
  expect(document.status).toBe(response.status);
  expect(document.title).toBeTypeOf("string");
  return document;
}

describe("the addresses of Segment's HTTP API", () => {
  it.each([
    ["/v1/track", "track", { event: "Signed Up" }, "Signed Up"],
    ["/v1/t", "track", { event: "Signed Up" }, "Signed Up"],
    ["/v1/page", "page", { name: "Home" }, "page"],
    ["/v1/p", "page", { name: "Home" }, "page"],
    ["/v1/screen", "screen", { name: "Home" }, "screen"],
    ["/v1/s", "screen", { name: "Home" }, "screen"],
    ["/v1/identify", "identify", { traits: { plan: "pro" } }, "identify"],
    ["/v1/i", "identify", { traits: { plan: "pro" } }, "identify"],
    ["/v1/group", "group", { groupId: "g" }, "group"],
    ["/v1/g", "group", { groupId: "g" }, "group"],
    ["/v1/alias", "alias", { previousId: "old" }, "alias"],
    ["/v1/a", "alias", { previousId: "old" }, "alias"],
  ])("takes a call at %s as %s, whatever its body calls itself", async (path, type, call, name) => {
    const messageId = newId();
    const response = await post(path, { messageId, userId: "u", ...call });
    expect([response.status, await response.json()]).toMatchObject([200, { success: true, accepted: 1 }]);
    const { row } = await deliveredEvent(messageId);
    expect(row).toMatchObject({ event_type: type, event_name: name, user_id: "u", source: SOURCE, country: "DE" });
  });

  it.each(["/v1/batch", "/v1/b", "/v1/import"])(
    "takes a batch at %s and puts every call on a queue before it answers",
    async (path) => {
      const batch = Array.from({ length: 50 }, (_, i) => track({ anonymousId: `a-${i}` }));
      const response = await post(path, { batch, sentAt: new Date().toISOString() });
      expect(await response.json()).toEqual({
        success: true,
        accepted: 50,
        warnings: 0,
        dropped: 0,
        retry: 0,
        outcomes: [],
      });
      const events = await deliveredEvents(batch.map((call) => call.messageId));
      expect(events).toHaveLength(50);
      expect(new Set(events.map(({ header }) => header.shard)).size).toBe(2);
    },
  );

  it("numbers each shard's messages without a gap, and counts what went before (promise 3)", async () => {
    await deliveredEvents(
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const call = track({ anonymousId: newId() });
          await post("/v1/t", call);
          return call.messageId;
        }),
      ),
    );
    for (const shard of [0, 1]) {
      const byNumber = new Map(
        allEvents().flatMap(({ header }) => (header.shard === shard ? [[header.n, header] as const] : [])),
      );
      const headers = [...byNumber.values()].sort((a, b) => a.n - b.n);
      expect(headers.map(({ n }) => n)).toEqual(headers.map((_, i) => i + 1));
      let before = 0;
      for (const header of headers) {
        expect(header.before).toBe(before);
        before += header.events;
      }
    }
  });
});

describe("/v1/events", () => {
  const event = () => ({ event_id: newId(), event_name: "scrolled", anonymous_id: "a-1" });

  it.each([
    ["a list", (events: unknown[]) => JSON.stringify(events)],
    ["a wrapped list", (events: unknown[]) => JSON.stringify({ events })],
    ["lines", (events: unknown[]) => events.map((e) => JSON.stringify(e)).join("\n")],
    [
      "lines with CRLF, blank ones and a byte order mark",
      (events: unknown[]) => `\ufeff${events.map((e) => JSON.stringify(e)).join("\r\n\r\n")}\r\n`,
    ],
  ])("takes %s, and answers event by event", async (_, encode) => {
    const events = [event(), event()];
    const response = await post("/v1/events", encode(events));
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      outcomes: events.map(({ event_id }, index) => ({ index, event_id, outcome: "ok" })),
      accepted: 2,
      warnings: 0,
      dropped: 0,
      retry: 0,
    });
    await deliveredEvents(events.map(({ event_id }) => event_id));
  });

  it("keeps one bad event from costing its neighbours anything", async () => {
    const [good, odd] = [event(), event()];
    const response = await post("/v1/events", [
      good,
      "not an event",
      { ...odd, user_id: { id: 1 } },
      { ...event(), event_id: "x".repeat(INGEST.eventIdChars + 1) },
    ]);
    expect(await response.json()).toEqual({
      outcomes: [
        { index: 0, event_id: good.event_id, outcome: "ok" },
        { index: 1, event_id: null, outcome: "drop", cause: "not_an_object" },
        {
          index: 2,
          event_id: odd.event_id,
          outcome: "warning",
          cause: "wrong_type",
          field: "user_id",
          expected: "text",
        },
        { index: 3, event_id: null, outcome: "drop", cause: "id_too_long" },
      ],
      accepted: 2,
      warnings: 1,
      dropped: 2,
      retry: 0,
    });
    const [kept, quarantined] = await deliveredEvents([good.event_id, odd.event_id]);
    expect(kept!.q).toBeUndefined();
    expect(quarantined!.q).toEqual({
      cause: "wrong_type",
      field: "user_id",
      expected: "text",
      actual: 'object {"id":1}',
    });
  });

  it("takes an id of exactly the longest length", async () => {
    const event_id = newId().padEnd(INGEST.eventIdChars, "x");
    expect(
      ((await (await post("/v1/events", [{ event_id, event_name: "e" }])).json()) as { accepted: number }).accepted,
    ).toBe(1);
    await deliveredEvent(event_id);
  });

  it("mints the same id for a repeated body that carries a time, and another for one that does not", async () => {
    const ids = async (body: unknown, headers = {}) =>
      (
        (await (await post("/v1/events", body, { ...BASIC, ...headers })).json()) as {
          outcomes: { event_id: string }[];
        }
      ).outcomes.map(({ event_id }) => event_id);
    const timed = [{ event_name: "a", timestamp: "2026-11-01T00:00:00Z" }, { event_name: "a" }];
    const first = await ids(timed);
    expect(await ids(timed)).toEqual(first);
    expect(new Set(first).size).toBe(2);
    const heartbeat = [{ event_name: "alive" }];
    expect(await ids(heartbeat)).not.toEqual(await ids(heartbeat));
    const key = { "idempotency-key": newId() };
    expect(await ids(heartbeat, key)).toEqual(await ids(heartbeat, key));
  });
});

describe("whose events they are", () => {
  const call = () => ({ event: "e", userId: "u", messageId: newId() });

  it.each([
    ["Basic authentication", "/v1/t", {}, BASIC],
    ["the body", "/v1/t", { writeKey: WRITE_KEY }, {}],
    ["the query", `/v1/t?writeKey=${WRITE_KEY}`, {}, {}],
  ])("finds the write key in %s", async (_, path, more, headers) => {
    const body = { ...call(), ...more };
    expect((await post(path, body, headers as Record<string, string>)).status).toBe(200);
    const { row, raw } = await deliveredEvent(body.messageId);
    expect(row.source).toBe(SOURCE);
    expect(JSON.stringify(raw)).not.toContain(WRITE_KEY);
  });

  it.each([
    [
      "an unknown one in Basic authentication",
      "/v1/t",
      {},
      { authorization: `Basic ${btoa("nobody:")}` },
      "unknown_write_key",
    ],
    ["an unknown one in the body", "/v1/t", { writeKey: "nobody" }, {}, "unknown_write_key"],
    ["an unknown one in the query", "/v1/t?writeKey=nobody", {}, {}, "unknown_write_key"],
    ["the name of an object's own method", "/v1/t?writeKey=constructor", {}, {}, "unknown_write_key"],
    ["none", "/v1/t", {}, {}, "missing_write_key"],
    ["broken Basic authentication", "/v1/t", {}, { authorization: "Basic %%%" }, "missing_write_key"],
  ])("refuses %s", async (_, path, more, headers, reason) => {
    const response = await post(path, { ...call(), ...more }, headers as Record<string, string>);
    expect(response.status).toBe(401);
    expect(await problemOf(response)).toMatchObject({ reason });
    // A browser would show a login window.
    expect(response.headers.has("www-authenticate")).toBe(false);
  });
});

describe("bodies are sniffed and bounded (promise 9)", () => {
  it.each(["text/plain", "application/x-www-form-urlencoded", "application/json"])(
    "takes JSON called %s, gzip or not",
    async (type) => {
      const [plain, packed] = [track(), track()];
      const headers = { ...BASIC, "content-type": type };
      expect((await post("/v1/t", plain, headers)).status).toBe(200);
      expect((await post("/v1/t", new Uint8Array(gzipSync(JSON.stringify(packed))), headers)).status).toBe(200);
      await deliveredEvents([plain.messageId, packed.messageId]);
    },
  );

  it("takes a body that comes in chunks without a length", async () => {
    const call = track();
    const bytes = new TextEncoder().encode(JSON.stringify(call));
    const body = new ReadableStream({
      start(controller) {
        for (let i = 0; i < bytes.length; i += 7) controller.enqueue(bytes.slice(i, i + 7));
        controller.close();
      },
    });
    expect((await post("/v1/t", body)).status).toBe(200);
    await deliveredEvent(call.messageId);
  });

  it.each([
    ["no body", "", 400, "empty_body"],
    ["blanks", " \n ", 400, "empty_body"],
    ["no JSON", "<xml/>", 400, "bad_json"],
    ["JSON cut short", '{"event":"e"', 400, "bad_json"],
    ["a number", "5", 400, "bad_json"],
    ["a list for one call", "[]", 400, "bad_json"],
    ["gzip cut short", gzipSync(JSON.stringify({ event: "e" })).subarray(0, 20), 400, "bad_gzip"],
    ["gzip of nothing", gzipSync(""), 400, "empty_body"],
  ])("refuses %s", async (_, body, status, reason) => {
    const response = await post("/v1/t", typeof body === "string" ? body : new Uint8Array(body));
    expect(response.status).toBe(status);
    expect(await problemOf(response)).toMatchObject({ reason });
  });

  it("reads a body up to the limit and not a byte more", async () => {
    const call = track();
    const json = JSON.stringify(call);
    expect((await post("/v1/t", json.padEnd(INGEST.bodyBytes, " "))).status).toBe(200);
    await deliveredEvent(call.messageId);
    const response = await post("/v1/t", json.padEnd(INGEST.bodyBytes + 1, " "));
    expect(response.status).toBe(413);
    expect(await problemOf(response)).toMatchObject({ reason: "body_too_large", limit_bytes: INGEST.bodyBytes });
  });

  it("stops reading a body without a length at the limit", async () => {
    let pulled = 0;
    const chunk = new Uint8Array(256 * 1_024).fill(32);
    const body = new ReadableStream(
      {
        pull(controller) {
          pulled += chunk.length;
          controller.enqueue(chunk.slice());
          if (pulled > 64 * INGEST.bodyBytes) controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const response = await post("/v1/t", body);
    expect(await problemOf(response)).toMatchObject({ reason: "body_too_large" });
    expect(pulled).toBeLessThan(4 * INGEST.bodyBytes);
  });

  it("inflates up to the limit: a gzip bomb ends there", async () => {
    const call = track();
    const fits = gzipSync(JSON.stringify(call).padEnd(INGEST.inflatedBytes, " "));
    expect((await post("/v1/t", new Uint8Array(fits))).status).toBe(200);
    await deliveredEvent(call.messageId);
    const bomb = gzipSync(Buffer.alloc(INGEST.inflatedBytes + 1, 32));
    const response = await post("/v1/t", new Uint8Array(bomb));
    expect(response.status).toBe(413);
    expect(await problemOf(response)).toMatchObject({ reason: "body_too_large", limit_bytes: INGEST.inflatedBytes });
  });

  it("takes the largest number of events and refuses one more", async () => {
    const events = (count: number) => Array.from({ length: count }, () => ({ event_name: "e", event_id: newId() }));
    const most = events(INGEST.eventsPerRequest);
    const response = await post("/v1/events", most);
    expect(((await response.json()) as { accepted: number }).accepted).toBe(INGEST.eventsPerRequest);
    await deliveredEvents(most.map(({ event_id }) => event_id));
    for (const body of [
      JSON.stringify(events(INGEST.eventsPerRequest + 1)),
      `${events(INGEST.eventsPerRequest + 1)
        .map((e) => JSON.stringify(e))
        .join("\n")}`,
    ]) {
      const refused = await post("/v1/events", body);
      expect(refused.status).toBe(413);
      expect(await problemOf(refused)).toMatchObject({ reason: "too_many_events", limit: INGEST.eventsPerRequest });
    }
  });

  it("refuses a body of more values than its heap could hold, before it parses it", async () => {
    const response = await post("/v1/events", `[${"[],".repeat(INGEST.jsonValues)}0]`);
    expect(response.status).toBe(413);
    expect(await problemOf(response)).toMatchObject({ reason: "json_too_complex" });
  });

  it("takes an event of the largest size, and drops a larger one", async () => {
    const sized = (bytes: number) => {
      const call = { event: "e", messageId: newId(), properties: { text: "" } };
      call.properties.text = "x".repeat(bytes - JSON.stringify(call).length);
      return call;
    };
    const call = sized(INGEST.eventBytes);
    expect((await post("/v1/t", call)).status).toBe(200);
    await deliveredEvent(call.messageId);
    const response = await post("/v1/t", sized(INGEST.eventBytes + 1));
    expect(response.status).toBe(422);
    expect(await problemOf(response)).toMatchObject({ reason: "event_refused", cause: "event_too_large" });
  });

  it("takes an event of the deepest nesting, and drops a deeper one", async () => {
    const nested = (depth: number) => {
      let properties: Record<string, unknown> = {};
      for (let i = 2; i < depth; i++) properties = { in: properties };
      return { event: "e", messageId: newId(), properties };
    };
    const call = nested(INGEST.jsonDepth);
    expect((await post("/v1/t", call)).status).toBe(200);
    await deliveredEvent(call.messageId);
    const response = await post("/v1/t", nested(INGEST.jsonDepth + 1));
    expect(await problemOf(response)).toMatchObject({ reason: "event_refused", cause: "event_too_deep" });
    // Deep enough to end JSON.stringify, in a body of its own and beside others.
    const deep = `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`;
    expect((await post("/v1/t", deep)).status).toBe(422);
    const beside = await post("/v1/events", `[${deep},${JSON.stringify({ event_name: "e", event_id: newId() })}]`);
    expect(await beside.json()).toMatchObject({ accepted: 1, dropped: 1 });
  });
});

describe("what the request adds", () => {
  it("knows browser, system and device, and keeps neither address nor user agent", async () => {
    const call = track({ context: { ip: "203.0.113.9", userAgentData: { mobile: true } }, ip: "203.0.113.9" });
    const agent =
      "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1";
    await post("/v1/t", call, { ...BASIC, "user-agent": agent, "cf-connecting-ip": "203.0.113.9" });
    const event = await deliveredEvent(call.messageId);
    expect(event.row).toMatchObject({
      os: "iOS",
      browser: "Mobile Safari",
      device_type: "mobile",
      country: "DE",
      city: "Frankfurt am Main",
    });
    expect(JSON.stringify(event)).not.toMatch(/203\.0\.113\.9|AppleWebKit|userAgentData/);
  });

  it("does not let a request name its own country outside of the local run, nor its own time anywhere", async () => {
    const call = track();
    await post("/v1/t", call, {
      ...BASIC,
      "x-eventpile-country": "JP",
      "x-eventpile-received-at": "2001-01-01T00:00:00Z",
    });
    const { row } = await deliveredEvent(call.messageId);
    expect(row.country).toBe("DE");
    expect(Math.abs(row.received_at / 1_000 - Date.now())).toBeLessThan(60_000);
  });
});

describe("pages of other origins", () => {
  it("answers a preflight for whatever headers an SDK asks for, and lets it be kept", async () => {
    const response = await SELF.fetch(`${ORIGIN}/v1/t`, {
      method: "OPTIONS",
      headers: {
        origin: "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-retry-count,idempotency-key",
      },
    });
    expect(response.status).toBe(204);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "access-control-allow-origin": "https://shop.example",
      "access-control-allow-credentials": "true",
      "access-control-allow-headers": "authorization,content-type,x-retry-count,idempotency-key",
      "access-control-max-age": "86400",
    });
    expect(response.headers.get("access-control-allow-methods")).toContain("POST");
  });

  it("lets the page read what became of its events, refusals too", async () => {
    const headers = { ...BASIC, origin: "https://shop.example" };
    for (const response of [
      await post("/v1/t", track(), headers),
      await post("/v1/t", "", headers),
      await post("/v1/t?writeKey=no", {}, { origin: "https://shop.example" }),
    ]) {
      expect(response.headers.get("access-control-allow-origin")).toBe("https://shop.example");
      await response.body?.cancel();
    }
  });

  it("tells analytics.js to send its events here", async () => {
    const response = await SELF.fetch(`http://127.0.0.1:8820/v1/projects/${WRITE_KEY}/settings`, {
      headers: { origin: "https://shop.example" },
    });
    expect(response.headers.get("access-control-allow-origin")).toBe("https://shop.example");
    expect(await response.json()).toMatchObject({
      integrations: { "Segment.io": { apiKey: WRITE_KEY, apiHost: "127.0.0.1:8820/v1", protocol: "http" } },
    });
    const unknown = await SELF.fetch(`${ORIGIN}/v1/projects/nobody/settings`);
    expect(await problemOf(unknown)).toMatchObject({ reason: "unknown_write_key" });
  });

  it("refuses other methods by name", async () => {
    const response = await SELF.fetch(`${ORIGIN}/v1/batch`);
    expect(response.headers.get("allow")).toContain("POST");
    expect(await problemOf(response)).toMatchObject({ status: 405, reason: "method_not_allowed" });
  });
});
