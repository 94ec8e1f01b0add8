import { sign } from "hono/jwt";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { ACCESS } from "../../../r2-layout/limits.ts";
import { type AccessPeople, parseAccess } from "../../../workers/edge/access-people.ts";

const TEAM = "https://acme.cloudflareaccess.com";
const NO_MASK = { masked: [], pseudonymKey: "" };
const CONFIG = {
  team: TEAM,
  aud: "tag",
  people: [
    { email: "Ann@acme.example", scopes: ["admin"] },
    { email: "*@acme.example", scopes: ["live"] },
    { service: "robot.access", scopes: ["sql"], sources: ["web"] },
  ],
};

type Key = JsonWebKey & { kid: string; alg: "RS256" };
const RSA = {
  name: "RSASSA-PKCS1-v1_5",
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: "SHA-256",
};
async function newKey(kid: string): Promise<{ secret: Key; open: Key }> {
  const { privateKey, publicKey } = (await crypto.subtle.generateKey(RSA, true, ["sign", "verify"])) as CryptoKeyPair;
  const jwk = async (key: CryptoKey) => ({ ...(await crypto.subtle.exportKey("jwk", key)), kid, alg: "RS256" }) as Key;
  return { secret: await jwk(privateKey), open: await jwk(publicKey) };
}

let first: Awaited<ReturnType<typeof newKey>>;
let second: typeof first;
beforeAll(async () => {
  [first, second] = await Promise.all([newKey("one"), newKey("two")]);
});

let nowMs: number;
let asked: number;
/** What the team's address answers; null: nothing. */
let published: () => Response | Promise<Response>;
let people: AccessPeople;
beforeEach(() => {
  nowMs = 0;
  asked = 0;
  published = () => Response.json({ keys: [first.open] });
  people = parseAccess(JSON.stringify(CONFIG), NO_MASK, {
    now: () => nowMs,
    fetch: (url, { signal }) => {
      expect(url).toBe(`${TEAM}/cdn-cgi/access/certs`);
      asked++;
      const cut = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("late")));
      });
      return Promise.race([published(), cut]);
    },
  })!;
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const claims = (more: object = {}) => ({
  email: "ann@acme.example",
  iss: TEAM,
  aud: ["tag"],
  exp: Math.floor(Date.now() / 1_000) + 60,
  ...more,
});
const asking = (
  assertion: string,
  headers: Record<string, string> = {},
  url = "https://events.acme.example/v1/token",
) => people.readerOf(new Request(url, { headers: { "cf-access-jwt-assertion": assertion, ...headers } }));
const signed = (more?: object, key: Key = first.secret) => sign(claims(more), key, "RS256");
const scopesOf = async (more: object) => {
  const who = await asking(await signed(more));
  return who.ok ? [...who.value.grant.scopes] : who.error.reason;
};

describe("an assertion of Cloudflare Access", () => {
  it("is somebody on the list: by address, whatever its capitals, by domain, or a service by its client id", async () => {
    expect(await scopesOf({ email: "ANN@ACME.example" })).toEqual(["admin"]);
    expect(await scopesOf({ email: "bob@acme.example" })).toEqual(["live"]);
    expect(await scopesOf({ email: "", sub: "", common_name: "robot.access" })).toEqual(["sql"]);
    for (const email of [
      "ann@acme.example.org",
      "x@evil.example",
      "a@b@acme.example",
      "@acme.examples",
      "robot.access",
    ]) {
      expect(await scopesOf({ email }), email).toBe("nothing_granted");
    }
    expect(await scopesOf({ email: undefined })).toBe("refused_assertion");
  });

  it("names its reader the same each time, and each reader otherwise", async () => {
    const hashOf = async (more: object) => {
      const who = await asking(await signed(more));
      return who.ok && who.value.hash;
    };
    const ann = await hashOf({});
    expect(ann).toMatch(/^[0-9a-f]{64}$/);
    expect(await hashOf({ exp: claims().exp + 5, email: "Ann@acme.example" })).toBe(ann);
    expect(await hashOf({ email: "bob@acme.example" })).not.toBe(ann);
  });

  it("is refused where nobody of the team has signed it, it is another's, over, endless, or longer than ACCESS.assertionChars", async () => {
    const reasons = async (assertion: string) => {
      const who = await asking(assertion);
      return who.ok ? "taken" : who.error.reason;
    };
    const forged = { ...second.secret, kid: "one" };
    expect(await reasons(await signed({}, forged))).toBe("refused_assertion");
    expect(await reasons(await sign(claims(), "secret", "HS256"))).toBe("refused_assertion");
    expect(await reasons(await signed({ iss: "https://evil.cloudflareaccess.com" }))).toBe("refused_assertion");
    expect(await reasons(await signed({ aud: ["other"] }))).toBe("refused_assertion");
    expect(await reasons(await signed({ aud: undefined }))).toBe("refused_assertion");
    expect(await reasons(await signed({ exp: undefined }))).toBe("refused_assertion");
    expect(await reasons(await signed({ exp: 1 }))).toBe("expired_token");
    for (const text of ["", "x", "a.b.c", "..", `${btoa('{"alg":"none","kid":"one"}')}.${btoa("{}")}.`]) {
      expect(await reasons(text), text).toBe("refused_assertion");
    }
    const long = await signed({ country: "x".repeat(ACCESS.assertionChars) });
    expect(await asking(long)).toMatchObject({
      error: { detail: `it has more than ${ACCESS.assertionChars} characters` },
    });
    const whole = await signed({ country: "x".repeat(5_000) });
    expect(whole.length).toBeLessThan(ACCESS.assertionChars);
    expect(await reasons(whole)).toBe("taken");
  });

  it.each([
    [{ "sec-fetch-site": "cross-site" }, false],
    [{ "sec-fetch-site": "same-site" }, false],
    [{ origin: "https://evil.example" }, false],
    [{ origin: "null" }, false],
    [{ "sec-fetch-site": "same-origin", origin: "https://events.acme.example" }, true],
    [{ "sec-fetch-site": "none" }, true],
    [{}, true],
  ] as const)("in a request with %j is taken: %s", async (headers, isTaken) => {
    const who = await asking(await signed(), headers as Record<string, string>);
    expect(who.ok || who.error.reason).toBe(isTaken || "cross_site");
  });
});

describe("an assertion, by the team's keys,", () => {
  it("has them asked for once, by however many come together", async () => {
    const assertion = await signed();
    await Promise.all(Array.from({ length: 9 }, () => asking(assertion)));
    await asking(assertion);
    expect(asked).toBe(1);
  });

  it("is held to keys that are asked for again after ACCESS.keysMs, and no longer known after ACCESS.keysKeptMs without an answer", async () => {
    const assertion = await signed();
    await asking(assertion);
    nowMs = ACCESS.keysMs - 1;
    await asking(assertion);
    expect(asked).toBe(1);
    published = () => new Response("gone", { status: 500 });
    nowMs = ACCESS.keysMs;
    expect(await asking(assertion)).toMatchObject({ ok: true });
    expect(asked).toBe(2);
    nowMs = ACCESS.keysKeptMs - 1;
    expect(await asking(assertion)).toMatchObject({ ok: true });
    nowMs = ACCESS.keysKeptMs;
    expect(await asking(assertion)).toMatchObject({ ok: false, error: { reason: "upstream_unavailable" } });
    published = () => Response.json({ keys: [first.open] });
    nowMs += ACCESS.askAgainMs;
    expect(await asking(assertion)).toMatchObject({ ok: true });
  });

  it("has a key that is not known looked for, every ACCESS.askAgainMs at most", async () => {
    await asking(await signed());
    const later = await signed({}, second.secret);
    expect(await asking(later)).toMatchObject({ error: { reason: "refused_assertion" } });
    nowMs = ACCESS.askAgainMs - 1;
    await asking(later);
    expect(asked).toBe(1);
    published = () => Response.json({ keys: [second.open, first.open] });
    nowMs = ACCESS.askAgainMs;
    expect(await asking(later)).toMatchObject({ ok: true });
    expect(asked).toBe(2);
  });

  it("is answered with 503 where no keys are known within ACCESS.answerMs", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    published = () => new Promise<never>(() => {});
    const answer = asking(await signed());
    let isAnswered = false;
    void answer.then(() => {
      isAnswered = true;
    });
    await vi.advanceTimersByTimeAsync(ACCESS.answerMs - 1);
    expect(isAnswered).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await answer).toMatchObject({ ok: false, error: { reason: "upstream_unavailable" } });
  });
});

describe("the setting", () => {
  it("may be absent", () => {
    for (const config of [undefined, ""]) expect(parseAccess(config, NO_MASK, {} as never)).toBeNull();
  });

  it.each([
    ["team", { ...CONFIG, team: "acme.cloudflareaccess.com" }],
    ["aud", { ...CONFIG, aud: "" }],
    ["people", { ...CONFIG, people: {} }],
    ["address", { ...CONFIG, people: [{ email: "*", scopes: ["live"] }] }],
    ["address", { ...CONFIG, people: [{ email: "a*@acme.example", scopes: ["live"] }] }],
    ["either", { ...CONFIG, people: [{ scopes: ["live"] }] }],
    ["either", { ...CONFIG, people: [{ email: "a@b.example", service: "x", scopes: ["live"] }] }],
    ["scopes", { ...CONFIG, people: [{ email: "a@b.example", scopes: ["everything"] }] }],
    ["not for live", { ...CONFIG, people: [{ email: "a@b.example", scopes: ["live"], sources: ["web"] }] }],
  ])("is refused for its %s", (what, config) => {
    expect(() => parseAccess(JSON.stringify(config), NO_MASK, {} as never)).toThrow(what);
  });
});
