import { describe, expect, it } from "vitest";
import { parseLogLine } from "../../../../r2-layout/log-line.ts";
import { parse, parseOne, rowOf } from "../facts.ts";

const CHROME =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";

/** Calls as Segment's SDKs put them on the wire, shortened where nothing is read. */
const PAYLOADS = {
  "analytics.js in a browser": {
    call: "track",
    body: {
      timestamp: "2026-11-22T11:59:58.000Z",
      integrations: { "Actions Amplitude": { session_id: 1795348700000 } },
      type: "track",
      event: "Order Completed",
      properties: { order_id: "o-1", total: 25, currency: "usd", products: [{ sku: "s" }] },
      context: {
        page: {
          path: "/checkout",
          referrer: "https://search.example/",
          search: "?utm_source=mail",
          title: "Checkout",
          url: "https://shop.example/checkout?utm_source=mail#pay",
        },
        userAgent: CHROME,
        userAgentData: { brands: [{ brand: "Chromium", version: "120" }], mobile: false, platform: "Windows" },
        locale: "en-GB",
        library: { name: "analytics.js", version: "npm:next-1.84.3" },
        campaign: { source: "mail", name: "autumn" },
        timezone: "Europe/Berlin",
      },
      messageId: "ajs-next-1795348798000-2f1d",
      anonymousId: "b7a8",
      userId: null,
      writeKey: "dev",
      sentAt: "2026-11-22T12:00:00.000Z",
      _metadata: { bundled: ["Segment.io"], unbundled: [], bundledIds: [] },
    },
    row: {
      event_id: "ajs-next-1795348798000-2f1d",
      event_name: "Order Completed",
      event_type: "track",
      anonymous_id: "b7a8",
      session_id: "1795348700000",
      page_url: "https://shop.example/checkout?utm_source=mail",
      page_path: "/checkout",
      page_host: "shop.example",
      page_title: "Checkout",
      referrer: "https://search.example/",
      utm_source: "mail",
      utm_campaign: "autumn",
      locale: "en-GB",
      sdk: "analytics.js/npm:next-1.84.3",
      os: "Windows",
      browser: "Chrome",
      device_type: "desktop",
      country: "DE",
      revenue: 25,
      currency: "USD",
    },
  },
  "a page call of analytics.js": {
    call: "page",
    body: {
      type: "page",
      name: "Product",
      category: "Shop",
      properties: {
        path: "/p/1",
        url: "https://shop.example/p/1",
        title: "A lamp",
        referrer: "https://shop.example/",
        name: "Product",
      },
      context: { page: { path: "/stale", url: "https://shop.example/stale" }, library: { name: "analytics.js" } },
      messageId: "ajs-next-2",
      anonymousId: "b7a8",
      timestamp: "2026-11-22T11:59:58.000Z",
    },
    row: {
      event_name: "page",
      event_type: "page",
      page_path: "/p/1",
      page_url: "https://shop.example/p/1",
      page_title: "A lamp",
      referrer: "https://shop.example/",
      sdk: "analytics.js",
    },
  },
  "analytics-node on a server": {
    call: "batch",
    body: {
      writeKey: "dev",
      sentAt: "2026-11-22T12:00:00.000Z",
      batch: [
        {
          userId: "u-1",
          event: "Invoice Paid",
          properties: { revenue: "19.90", currency: "EUR" },
          integrations: {},
          timestamp: "2026-11-22T11:59:00.000Z",
          type: "track",
          context: {
            ip: "203.0.113.9",
            userAgent: CHROME,
            library: { name: "@segment/analytics-node", version: "3.1.0" },
          },
          messageId: "node-next-1-2",
          _metadata: { nodeVersion: "v24", jsRuntime: "node" },
        },
      ],
    },
    row: {
      event_name: "Invoice Paid",
      user_id: "u-1",
      event_time: Date.UTC(2026, 10, 22, 11, 59) * 1_000,
      sdk: "@segment/analytics-node/3.1.0",
      browser: "Chrome",
      revenue: 19.9,
      currency: "EUR",
      // The server's own place says nothing of the user's.
      country: undefined,
      city: undefined,
    },
  },
  "analytics-swift on a tablet": {
    call: "batch",
    body: {
      batch: [
        {
          type: "screen",
          name: "Basket",
          category: "",
          properties: { items: 2 },
          messageId: "5B3A-1",
          anonymousId: "A1B2",
          timestamp: "2026-11-22T11:59:00.123Z",
          context: {
            app: { name: "Shop", version: "4.2.0", build: "420", namespace: "example.shop" },
            device: { manufacturer: "Apple", type: "ios", model: "iPad13,4", name: "iPad", id: "x" },
            library: { name: "analytics-swift", version: "1.5.0" },
            locale: "de-DE",
            network: { wifi: true },
            os: { name: "iPadOS", version: "17.1" },
            screen: { width: 1024, height: 1366 },
            timezone: "Europe/Berlin",
            instanceId: "y",
          },
          integrations: {},
        },
      ],
      writeKey: "dev",
      sentAt: "2026-11-22T12:00:00.000Z",
    },
    row: {
      event_name: "screen",
      event_type: "screen",
      app_name: "Shop",
      app_version: "4.2.0",
      os: "iPadOS",
      os_version: "17.1",
      device_type: "tablet",
      screen: "1024x1366",
      locale: "de-DE",
      event_time: (Date.UTC(2026, 10, 22, 11, 59) + 123) * 1_000,
    },
  },
  "analytics-kotlin on a phone": {
    call: "batch",
    body: {
      batch: [
        {
          type: "identify",
          userId: "u-2",
          anonymousId: "c3",
          messageId: "kt-1",
          timestamp: "2026-11-22T11:59:30.000Z",
          traits: { email: "a@b.example", age: 33 },
          context: {
            app: { name: "Shop", version: "4.2.0", build: 420 },
            device: { id: "d", manufacturer: "Google", model: "Pixel 8", name: "shiba", type: "android" },
            os: { name: "Android", version: "14" },
            screen: { width: 1080, height: 2400, density: 2.6 },
            userAgent: "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UD1A)",
            library: { name: "analytics-kotlin", version: "1.16.0" },
            locale: "en-US",
          },
          integrations: {},
          _metadata: { bundled: [] },
        },
      ],
      sentAt: "2026-11-22T12:00:00.000Z",
      writeKey: "dev",
    },
    row: {
      event_name: "identify",
      event_type: "identify",
      user_id: "u-2",
      device_type: "mobile",
      os: "Android",
      app_name: "Shop",
    },
  },
  "analytics-react-native": {
    call: "batch",
    body: {
      batch: [
        {
          type: "group",
          groupId: "acme",
          traits: { plan: "pro" },
          anonymousId: "rn",
          userId: "u-3",
          messageId: "rn-1",
          timestamp: "2026-11-22T11:59:30.000Z",
          context: {
            sessionId: 42,
            device: { type: "ios", model: "iPhone15,2", manufacturer: "Apple" },
            library: { name: "@segment/analytics-react-native", version: "2.19.0" },
            screen: { width: 393, height: 852, density: 3 },
            os: { name: "iOS", version: "17.0" },
          },
        },
      ],
      sentAt: "2026-11-22T12:00:00.000Z",
      writeKey: "dev",
    },
    row: { event_name: "group", event_type: "group", session_id: "42", device_type: "mobile", screen: "393x852" },
  },
  "the alias call of analytics.js": {
    call: "alias",
    body: { type: "alias", previousId: "b7a8", userId: "u-1", anonymousId: "b7a8", messageId: "m", context: {} },
    row: { event_name: "alias", event_type: "alias", user_id: "u-1", anonymous_id: "b7a8" },
  },
} as const;

describe("what each SDK sends becomes columns", () => {
  it.each(Object.entries(PAYLOADS))("%s", (_, { call, body, row }) => {
    const parsed = parse(body, { call });
    expect(parsed.dropped).toEqual([]);
    expect(parsed.kept[0]?.quarantine).toBeUndefined();
    expect(rowOf(parsed.kept[0]!)).toMatchObject(JSON.parse(JSON.stringify(row)));
    for (const [column, value] of Object.entries(row)) {
      if (value === undefined) expect(rowOf(parsed.kept[0]!)).not.toHaveProperty(column);
    }
  });

  it("keeps the sender's JSON, less addresses, user agents and write keys", () => {
    const { body } = PAYLOADS["analytics.js in a browser"];
    const { raw } = parseLogLine(parse(body, { call: "track" }).kept[0]!.line);
    const { writeKey: _key, context, ...rest } = body;
    const { userAgent: _agent, userAgentData: _hints, ...keptContext } = context;
    expect(raw).toEqual({ ...rest, context: keptContext });
  });
});

describe("/v1/events", () => {
  it("takes the columns' own names, above what it would derive", () => {
    const given = {
      event_id: "e",
      event_type: "track",
      event_name: "http_request",
      user_id: "u",
      anonymous_id: "a",
      session_id: "s",
      client_seq: 7,
      app_name: "import",
      app_version: "1",
      sdk: "import/1",
      page_url: "https://a.example/x?utm_source=mail",
      page_title: "X",
      referrer: "https://b.example/",
      locale: "fr",
      screen: "800x600",
      os: "Plan 9",
      browser: "Mothra",
      device_type: "desktop",
      country: "fr",
      region: "Bretagne",
      city: "Brest",
      revenue: 1.5,
      currency: "eur",
      utm_medium: "paper",
    };
    const row = rowOf(
      parseOne({ ...given, user_agent: CHROME, client_time: "2015-05-17T10:05:03Z" }, { call: "events" }),
    );
    expect(row).toMatchObject({
      ...given,
      country: "FR",
      currency: "EUR",
      browser_version: "120.0.0.0",
      page_path: "/x",
      page_host: "a.example",
      utm_source: "mail",
      event_time: Date.UTC(2015, 4, 17, 10, 5, 3) * 1_000,
      flags: ["late"],
    });
  });

  it("takes Segment's names as well, and an event of nobody", () => {
    const row = rowOf(
      parseOne({ type: "track", event: "x", messageId: "m", timestamp: "2026-11-22T11:00:00Z" }, { call: "events" }),
    );
    expect(row).toMatchObject({ event_id: "m", event_name: "x", event_type: "track" });
    expect(row).not.toHaveProperty("user_id");
  });

  it("flags what a crawler did, and calls its device a bot", () => {
    const row = rowOf(
      parseOne(
        { event_name: "page", user_agent: "Googlebot/2.1 (+http://www.google.com/bot.html)" },
        { call: "events" },
      ),
    );
    expect(row).toMatchObject({ event_type: "page", device_type: "bot", flags: ["bot"] });
  });

  it("lets no sender name what belongs to the edge or the log", () => {
    const row = rowOf(
      parseOne(
        { event_name: "e", source: "mine", received_at: "2001-01-01T00:00:00Z", flags: ["vip"], log_seq: 1 },
        { call: "events" },
      ),
    );
    expect(row).toMatchObject({ source: "shop", received_at: Date.UTC(2026, 10, 22, 12) * 1_000 });
    expect(row).not.toHaveProperty("flags");
    expect(row).not.toHaveProperty("log_seq");
  });
});

describe("whose user agent it is", () => {
  const call = { type: "track", event: "e", userId: "u" };

  it.each([
    ["a browser's header", CHROME, { browser: "Chrome", device_type: "desktop" }],
    ["a crawler's header", "Mozilla/5.0 (compatible; bingbot/2.0)", { device_type: "bot", flags: ["bot"] }],
  ])("reads %s", (_, userAgent, columns) => {
    expect(rowOf(parseOne(call, { userAgent }))).toMatchObject(columns);
  });

  it.each(["analytics-node-next/latest", "python-requests/2.31", "okhttp/4.12", "curl/8.5.0", "node"])(
    "does not take %s, which carries events for others, for a visitor or a bot",
    (userAgent) => {
      const row = rowOf(parseOne(call, { userAgent }));
      expect(row).not.toHaveProperty("device_type");
      expect(row).not.toHaveProperty("flags");
    },
  );

  it("believes the context above the header", () => {
    const agent = "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0";
    expect(rowOf(parseOne({ ...call, context: { userAgent: agent } }, { userAgent: CHROME })).browser).toBe("Firefox");
  });
});

describe("where it happened", () => {
  const call = { type: "track", event: "e", userId: "u" };

  it.each([
    ["the connection's place", {}, { country: "DE", city: "Frankfurt" }],
    ["the connection's place for its own address", { ip: "198.51.100.1" }, { country: "DE", city: "Frankfurt" }],
    ["no place for an address that is relayed", { ip: "203.0.113.9" }, {}],
    ["the sender's location", { location: { country: "jp", city: "Osaka" } }, { country: "JP", city: "Osaka" }],
    ["no country that is not a code", { location: { country: "Germany", city: "Bonn" } }, { city: "Bonn" }],
  ])("is %s", (_, context, place) => {
    const { country, city } = rowOf(parseOne({ ...call, context }));
    expect({ country, city }).toEqual({ country: undefined, city: undefined, ...place });
  });
});

describe("a batch's shared context", () => {
  it("stands under each call's own", () => {
    const call = { type: "track", event: "e", userId: "u", context: { locale: "de" } };
    const envelope = { context: { locale: "en", app: { name: "Shop" }, ip: "203.0.113.9" } };
    const event = parseOne(call, {}, envelope);
    expect(rowOf(event)).toMatchObject({ locale: "de", app_name: "Shop" });
    expect(event.line).not.toContain("203.0.113.9");
  });
});
