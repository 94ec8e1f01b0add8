import { describe, expect, it } from "vitest";
import { authorize, parseTokens, scopesOf, tokenHash, tokenOf } from "../../workers/tokens.ts";

const tokens = parseTokens(
  JSON.stringify([
    { sha256: tokenHash("s"), scopes: ["support"] },
    { sha256: tokenHash("q").toUpperCase(), scopes: ["sql", "live"] },
    { sha256: tokenHash("a"), scopes: ["admin"] },
  ]),
  () => 0,
);

describe("a token", () => {
  it.each([
    ["s", "support", true],
    ["s", "sql", "missing_scope"],
    ["s", "admin", "missing_scope"],
    ["q", "sql", true],
    ["q", "live", true],
    ["a", "support", true],
    ["a", "sql", true],
    ["a", "live", true],
    ["a", "admin", true],
    ["x", "support", "unknown_token"],
    [tokenHash("a"), "admin", "unknown_token"],
    [null, "support", "missing_token"],
  ] as const)("%s for %s: %s", (token, scope, expected) => {
    const result = authorize(tokens, token, scope);
    if (expected === true) expect(result).toEqual({ ok: true, value: tokenHash(token ?? "") });
    else expect(result).toMatchObject({ ok: false, error: { reason: expected } });
  });

  it("stands in the header, and in the query only where the query is asked", () => {
    const query = new URLSearchParams("token=q");
    expect(tokenOf(new Request("https://x.example/", { headers: { authorization: "bearer h" } }), query)).toBe("h");
    expect(tokenOf(new Request("https://x.example/?token=q"))).toBeNull();
    expect(tokenOf(new Request("https://x.example/"), query)).toBe("q");
  });
});

describe("a token with an end", () => {
  const END_US = Date.parse("2026-11-30T12:00:00Z") * 1_000;
  const config = JSON.stringify([
    { sha256: tokenHash("old"), scopes: ["sql"], expires_at: "2026-11-30T13:00:00+01:00" },
    { sha256: tokenHash("new"), scopes: ["sql"] },
  ]);

  it.each([
    [END_US - 1, true],
    [END_US, false],
    [END_US + 1, false],
  ] as const)("at %d: may read: %s; the one that replaces it may all the while", (nowUs, may) => {
    const both = parseTokens(config, () => nowUs);
    expect(authorize(both, "old", "sql").ok).toBe(may);
    expect(scopesOf(both, "old").ok).toBe(may);
    if (!may) expect(authorize(both, "old", "sql")).toEqual({ ok: false, error: { reason: "expired_token" } });
    if (!may) expect(scopesOf(both, "old")).toEqual({ ok: false, error: { reason: "expired_token" } });
    expect(authorize(both, "new", "sql").ok).toBe(true);
    expect(scopesOf(both, "new")).toEqual({ ok: true, value: ["sql"] });
  });

  it("ends while an isolate lives: the clock is looked at with each request", () => {
    let nowUs = END_US - 1;
    const both = parseTokens(config, () => nowUs);
    expect(authorize(both, "old", "sql").ok).toBe(true);
    nowUs = END_US;
    expect(authorize(both, "old", "sql").ok).toBe(false);
  });
});

it.each([
  "{}",
  "x",
  '[{"sha256":"ab","scopes":[]}]',
  `[{"sha256":"${tokenHash("a")}","scopes":["root"]}]`,
  `[{"sha256":"${tokenHash("a")}"}]`,
  ...['"soon"', '""', "null", "1800000000", "true"].map(
    (end) => `[{"sha256":"${tokenHash("a")}","scopes":["sql"],"expires_at":${end}}]`,
  ),
])("a configuration of %s is refused", (config) => {
  expect(() => parseTokens(config, () => 0)).toThrow();
});
