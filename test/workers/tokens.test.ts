import { describe, expect, it } from "vitest";
import { authorize, parseTokens, tokenHash, tokenOf } from "../../workers/tokens.ts";

const tokens = parseTokens(
  JSON.stringify([
    { sha256: tokenHash("s"), scopes: ["support"] },
    { sha256: tokenHash("q").toUpperCase(), scopes: ["sql", "live"] },
    { sha256: tokenHash("a"), scopes: ["admin"] },
  ]),
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

it.each([
  "{}",
  "x",
  '[{"sha256":"ab","scopes":[]}]',
  `[{"sha256":"${tokenHash("a")}","scopes":["root"]}]`,
  `[{"sha256":"${tokenHash("a")}"}]`,
])("a configuration of %s is refused", (config) => {
  expect(() => parseTokens(config)).toThrow();
});
