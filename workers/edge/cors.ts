/**
 * Pages of any origin may send events: a write key is no secret and no cookie is read. The origin is echoed, not
 * `*`, because `sendBeacon` and some configurations of SDKs send with credentials, and browsers refuse `*` then.
 */

const METHODS = "GET, POST, OPTIONS";
const HEADERS = "Authorization, Content-Type, Content-Encoding, Idempotency-Key, Eventpile-Republish, X-Retry-Count";
/** Browsers keep it for two hours at most, Firefox for a day. */
const PREFLIGHT_SECONDS = "86400";

export function preflight(request: Request): Response {
  const asked = request.headers.get("access-control-request-headers");
  const headers = new Headers({
    "access-control-allow-methods": METHODS,
    "access-control-allow-headers": asked !== null && asked.length <= 1_000 ? asked : HEADERS,
    "access-control-max-age": PREFLIGHT_SECONDS,
    "cache-control": `public, max-age=${PREFLIGHT_SECONDS}`,
    vary: "Origin, Access-Control-Request-Headers",
  });
  allowOrigin(request, headers);
  return new Response(null, { status: 204, headers });
}

/** Adds to an answer what lets the sending page read it. */
export function withCors(request: Request, response: Response): Response {
  if (!request.headers.has("origin")) return response;
  const readable = new Response(response.body, response);
  allowOrigin(request, readable.headers);
  readable.headers.append("vary", "Origin");
  readable.headers.set("access-control-expose-headers", "Retry-After");
  return readable;
}

function allowOrigin(request: Request, headers: Headers): void {
  headers.set("access-control-allow-origin", request.headers.get("origin") ?? "*");
  headers.set("access-control-allow-credentials", "true");
}
