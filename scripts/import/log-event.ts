/** A logged request as an event of Segment's batch API: `page` for a successful GET of a page, else `http_request`. */
import { createHash } from "node:crypto";
import type { LoggedRequest } from "./combined-log.ts";

export interface LogEvent {
  readonly type: "page" | "track";
  readonly event?: "http_request";
  readonly messageId: string;
  readonly anonymousId: string;
  readonly timestamp: string;
  readonly context: Readonly<Record<string, unknown>>;
  readonly properties: Readonly<Record<string, string | number>>;
}

/** @param id from the line's content: see `LineIds`. */
export function logEvent(request: LoggedRequest, id: string): LogEvent {
  const [path, query] = splitTarget(request.target ?? request.request);
  const isPage = isPageView(request, path, query);
  const properties: Record<string, string | number> = { path, status: request.status };
  if (request.method !== null) properties.method = request.method;
  if (query !== null) properties.query = query;
  if (request.bytes !== null) properties.bytes = request.bytes;
  if (request.referrer !== null) properties.referrer = request.referrer;
  if (request.protocol !== null) properties.protocol = request.protocol;
  if (request.user !== null) properties.remote_user = request.user;
  return {
    type: isPage ? "page" : "track",
    ...(!isPage && { event: "http_request" as const }),
    messageId: id,
    anonymousId: deviceId(request.host, request.userAgent),
    timestamp: request.time,
    context: {
      library: { name: "eventpile-import", version: "1" },
      // Says that the connection's place is not the visitor's. The edge drops it.
      ip: request.host,
      // Not the path: an image is not a page, and must not count among them.
      ...(request.referrer !== null && { page: { referrer: request.referrer } }),
      ...(!["", "-"].includes(request.userAgent) && { userAgent: request.userAgent }),
    },
    properties,
  };
}

/** A device is an address with a user agent; neither can be read from it. */
export const deviceId = (host: string, userAgent: string): string =>
  `log-${createHash("sha256").update(`${host}\n${userAgent}`).digest("hex").slice(0, 32)}`;

const PAGE_EXTENSION = /\.(?:html?|xhtml|php\d?|aspx?|jspx?|cgi|shtml)$/i;
const EXTENSION = /\.[A-Za-z][A-Za-z0-9]{0,7}$/;
const FEED = /(?:^|[/=])(?:rss\d*|atom|feed)(?:\/|&|$|\.xml$)/i;

/** What a person would call a page: no picture, style sheet, script, download or feed. */
function isPageView(request: LoggedRequest, path: string, query: string | null): boolean {
  if (request.method !== "GET" || request.status < 200 || request.status > 299) return false;
  if (EXTENSION.test(path) && !PAGE_EXTENSION.test(path)) return false;
  return !FEED.test(path) && !(query !== null && FEED.test(query)) && path !== "/robots.txt";
}

/** Proxies are asked for whole URLs: the path is what follows the host. */
function splitTarget(target: string): [path: string, query: string | null] {
  const local = target.replace(/^https?:\/\/[^/?#]*/i, "") || "/";
  const at = local.indexOf("?");
  return at < 0 ? [local, null] : [local.slice(0, at) || "/", local.slice(at + 1)];
}
