/** What who asks may do: a page asks it once, and then offers only what will be answered. */
import type { Hono } from "hono";
import type { Sight } from "../sight.ts";
import { type Reader, scopesOf } from "../tokens.ts";

export interface TokenRoutes {
  /** @throws Refused */
  readonly reader: (request: Request) => Reader;
  readonly sightOf: (reader: Reader) => Sight | null;
}

export function addToken(app: Hono, { reader, sightOf }: TokenRoutes): void {
  app.get("/v1/token", (c) => {
    const who = reader(c.req.raw);
    const { sources, masked = [] } = sightOf(who) ?? {};
    const seen = { ...(sources && { sources }), ...(masked.length > 0 && { masked }) };
    return c.json({ scopes: scopesOf(who.grant), ...seen }, 200, { "cache-control": "no-store" });
  });
}
