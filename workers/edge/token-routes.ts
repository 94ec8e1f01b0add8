/** What the token of a request may do: a page asks it once, and then offers only what will be answered. */
import type { Hono } from "hono";
import { problem } from "../problem.ts";
import { scopesOf, sightOfToken, type Tokens, tokenHash, tokenOf } from "../tokens.ts";

export function addToken(app: Hono, tokens: Tokens): void {
  app.get("/v1/token", (c) => {
    const token = tokenOf(c.req.raw);
    if (token === null) return problem({ reason: "missing_token" });
    const scopes = scopesOf(tokens, token);
    if (!scopes.ok) return problem(scopes.error);
    const sight = sightOfToken(tokens, tokenHash(token));
    const seen = {
      ...(sight?.sources && { sources: sight.sources }),
      ...(sight?.masked.length && { masked: sight.masked }),
    };
    return c.json({ scopes: scopes.value, ...seen }, 200, { "cache-control": "no-store" });
  });
}
