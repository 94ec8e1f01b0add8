/**
 * A person's own recent events, for the app that shows them: with a token of their own, of a few columns, a week back at most, and
 * so often a minute. Apart from what support may ask, and of its own limits. Any page may ask: the token is no cookie.
 */
import type { Hono } from "hono";
import type { EventsRequest } from "../../durable-objects/user-timeline/api.ts";
import { parseCursor } from "../../durable-objects/user-timeline/event-order.ts";
import type { ProfileStoreApi } from "../../durable-objects/user-timeline/profile-api.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { MINUTE_MS, OWN, SECOND_MS } from "../../r2-layout/limits.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import { problem } from "../problem.ts";
import { isMasked, type Sight } from "../sight.ts";
import { tokenOf } from "../tokens.ts";
import { preflight, withCors } from "./cors.ts";
import { badParameter, countParameter, Refused } from "./parameters.ts";
import { eventJson } from "./timelines.ts";
import type { UserTokens } from "./user-tokens.ts";

export interface OwnRoutes {
  readonly timelines: { getByName(name: string): Pick<ProfileStoreApi, "own"> };
  readonly identityKey: string;
  readonly generation: () => Promise<number>;
  /** Null where none are configured. */
  readonly userTokens: UserTokens | null;
  /** Microseconds. */
  readonly now: () => number;
}

/** What a person sees of an event: not where it lies, what the edge noticed of it, or which campaign it is counted for. */
const OWN_COLUMNS = [
  "event_id",
  "event_name",
  "event_type",
  "event_time",
  "session_id",
  "app_name",
  "page_url",
  "page_path",
  "page_title",
  "os",
  "browser",
  "device_type",
  "country",
  "city",
  "revenue",
  "currency",
  "properties",
] as const satisfies readonly (keyof EventRow)[];

/** Whether who sees this much may have somebody's token made, and read by it: nothing in it is masked for them. */
export const seesOwn = (sight: Sight | null): boolean =>
  sight === null || !OWN_COLUMNS.some((column) => isMasked(sight, "events", column));

export function addOwn(app: Hono, { timelines, identityKey, generation, userTokens, now }: OwnRoutes): void {
  app.use("/v1/me/*", async (c, next) => {
    await next();
    c.res = withCors(c.req.raw, c.res);
  });
  app.options("/v1/me/events", (c) => preflight(c.req.raw));
  app.get("/v1/me/events", async (c) => {
    if (!userTokens) return problem({ reason: "user_tokens_off" });
    const token = tokenOf(c.req.raw);
    if (token === null) return problem({ reason: "missing_token" });
    const user = await userTokens.verify(token);
    if (!user.ok) return problem(user.error);
    const request = ownRequest(new URL(c.req.url).searchParams, now());
    const name = timelineName(identityKey, { kind: "user", id: user.value }, await generation());
    const answer = await timelines.getByName(name).own(request);
    if ("waitMs" in answer) {
      throw new Refused({ reason: "rate_limited", retry_after_s: Math.ceil(answer.waitMs / SECOND_MS) });
    }
    const events = answer.page.events.map(ownJson);
    return c.json({ user_id: user.value, events, next: answer.page.next }, 200, { "cache-control": "no-store" });
  });
}

/** @param now microseconds. @throws Refused */
function ownRequest(query: URLSearchParams, now: number): EventsRequest {
  const minutes = countParameter(query, "minutes", { fallback: OWN.minutesMax, max: OWN.minutesMax });
  const limit = countParameter(query, "limit", { fallback: OWN.eventsDefault, max: OWN.eventsMax });
  const cursor = query.get("cursor") || undefined;
  if (cursor !== undefined && parseCursor(cursor) === null) throw badParameter("cursor", "as the last page gave it");
  return { from: now - minutes * MINUTE_MS * MICROS_PER_MS, limit, ...(cursor !== undefined && { cursor }) };
}

function ownJson(event: EventRow): Record<string, unknown> {
  const json = eventJson(event);
  return Object.fromEntries(OWN_COLUMNS.flatMap((column) => (column in json ? [[column, json[column]]] : [])));
}
