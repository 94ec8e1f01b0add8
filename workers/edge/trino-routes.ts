/**
 * Where Trino's clients come in: their protocol's addresses, for tokens with the scope `sql`. They name a user and a
 * password: the password is the token, whoever the user. Or they have a bearer token, which is ours.
 */
import type { Context, Hono } from "hono";
import { READING, SQL } from "../../r2-layout/limits.ts";
import { withSight } from "../sight.ts";
import { authorize, sightOfGrant, type Tokens } from "../tokens.ts";
import type { AuditTrail } from "./audit/audit-trail.ts";
import { readBytes } from "./body.ts";
import type { Fetches } from "./env.ts";
import { within } from "./pressure.ts";

export interface TrinoRoutes {
  readonly tokens: Tokens;
  readonly query: Fetches;
  readonly audit: Pick<AuditTrail, "note"> | null;
}

const BODY = { bodyBytes: 2 * SQL.statementBytes, inflatedBytes: 2 * SQL.statementBytes };
const PASSED = /^x-(trino|presto)-/;

export function addTrino(app: Hono, { tokens, query, audit }: TrinoRoutes): void {
  const pass = async (c: Context) => {
    const allowed = authorize(tokens, tokenOf(c.req.raw), "sql");
    if (!allowed.ok) return unauthorized(allowed.error.reason);
    audit?.note(c.req.raw, { reader: allowed.value });
    const headers = new Headers({ "x-eventpile-token": allowed.value.hash });
    withSight(headers, sightOfGrant(allowed.value.grant, tokens.mask));
    for (const [name, value] of c.req.raw.headers) if (PASSED.test(name)) headers.set(name, value);
    const { method } = c.req;
    if (method !== "POST") return query.fetch(new Request(asSeen(c.req.raw), { method, headers }));
    const body = await readBytes(c.req.raw, BODY);
    if (!body.ok) return new Response(`${body.error.reason}\n`, { status: 413 });
    audit?.note(c.req.raw, { statement: new TextDecoder().decode(body.value) });
    return query.fetch(new Request(asSeen(c.req.raw), { method, headers, body: body.value }));
  };
  for (const path of ["/v1/statement", "/v1/statement/*", "/v1/query/*"]) {
    app.use(path, (c, next) => within(READING.sqlAnswerMs, c.req.path, next()));
    app.all(path, pass);
  }
  // Drivers ask for the version before they know who they are.
  app.get("/v1/info", (c) => query.fetch(new Request(asSeen(c.req.raw))));
}

/** The address as the client has it, where a proxy in front ends the encryption: answers name the next by it. */
function asSeen({ url, headers }: Request): string {
  const seen = new URL(url);
  if (headers.get("x-forwarded-proto") === "https") seen.protocol = "https:";
  return seen.href;
}

function tokenOf({ headers }: Request): string | null {
  const [, scheme = "", value = ""] = /^(basic|bearer)\s+(\S+)$/i.exec(headers.get("authorization") ?? "") ?? [];
  if (scheme.toLowerCase() === "bearer") return value;
  try {
    const decoded = new TextDecoder().decode(Uint8Array.from(atob(value), (char) => char.charCodeAt(0)));
    return decoded.includes(":") ? decoded.slice(decoded.indexOf(":") + 1) : null;
  } catch {
    return null;
  }
}

function unauthorized(reason: string): Response {
  const headers = { "www-authenticate": 'Basic realm="eventpile: any user, the token as password"' };
  return reason === "missing_scope"
    ? new Response("This token may not ask SQL\n", { status: 403 })
    : new Response("Unauthorized: the password is a token\n", { status: 401, headers });
}
