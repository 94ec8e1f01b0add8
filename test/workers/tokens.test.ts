import { describe, expect, it } from "vitest";
import { authorize, parseTokens, readerOf, scopesOf, sightOfGrant, tokenHash, tokenOf } from "../../workers/tokens.ts";

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
    if (expected === true) expect(result).toMatchObject({ ok: true, value: { hash: tokenHash(token ?? "") } });
    else expect(result).toMatchObject({ ok: false, error: { reason: expected } });
  });

  it("stands in the header, and in the query only where the query is asked", () => {
    const query = new URLSearchParams("token=q");
    expect(tokenOf(new Request("https://x.example/", { headers: { authorization: "bearer h" } }), query)).toBe("h");
    expect(tokenOf(new Request("https://x.example/?token=q"))).toBeNull();
    expect(tokenOf(new Request("https://x.example/"), query)).toBe("q");
    expect(tokenOf(new Request("https://x.example/"), new URLSearchParams("token="))).toBeNull();
  });
});

describe("a token of some sources", () => {
  const listed = (entry: object, masked: readonly string[] = []) =>
    parseTokens(JSON.stringify([{ sha256: tokenHash("t"), ...entry }]), () => 0, { masked, pseudonymKey: "k" });
  const seen = (entry: object, masked?: readonly string[]) => {
    const { grants, mask } = listed(entry, masked);
    return sightOfGrant(grants.get(tokenHash("t"))!, mask);
  };

  it("sees their rows", () => {
    expect(seen({ scopes: ["sql"], sources: ["web"] })).toEqual({ sources: ["web"], masked: [], pseudonymKey: "k" });
    expect(seen({ scopes: ["sql"] })).toBeNull();
  });

  it.each(["support", "profile", "live", "raw", "admin"])(
    "may not have the scope %s, which knows no sources",
    (scope) => {
      expect(() => listed({ scopes: ["sql", scope], sources: ["web"] })).toThrow(`not for ${scope}`);
    },
  );

  it.each([[[]], ["web"], [[""]], [[1]], [null]])(
    "is refused with %j for sources: it must not become one of all",
    (sources) => {
      expect(() => listed({ scopes: ["sql"], sources })).toThrow("sources are no list");
    },
  );

  it("without pii does not see what is masked; whole files it may not have then", () => {
    expect(seen({ scopes: ["sql", "support"] }, ["city"])).toEqual({
      sources: null,
      masked: ["city"],
      pseudonymKey: "k",
    });
    expect(seen({ scopes: ["sql"], sources: ["web"] }, ["city"])).toMatchObject({ sources: ["web"], masked: ["city"] });
    for (const scopes of [["sql", "pii"], ["admin"], ["raw", "pii"]]) expect(seen({ scopes }, ["city"])).toBeNull();
    expect(() => listed({ scopes: ["raw"] }, ["city"])).toThrow("it needs pii");
    expect(scopesOf(listed({ scopes: ["sql", "pii"] }).grants.get(tokenHash("t"))!)).toEqual(["sql", "pii"]);
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
    expect(readerOf(both, "old").ok).toBe(may);
    if (!may) expect(authorize(both, "old", "sql")).toEqual({ ok: false, error: { reason: "expired_token" } });
    expect(authorize(both, "new", "sql").ok).toBe(true);
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
