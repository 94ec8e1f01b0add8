/** What support asks: whose a text is, what a user or device did, who was on a device, and all of it as a file. */
import type { Context, Hono } from "hono";
import { etag } from "hono/etag";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { EVENT_COLUMNS } from "../../r2-layout/event-columns.ts";
import { INGEST, SUPPORT } from "../../r2-layout/limits.ts";
import { isoMicros, MICROS_PER_MS } from "../../r2-layout/time.ts";
import { cutUtf8 } from "../../r2-layout/utf8.ts";
import type { Sight } from "../sight.ts";
import type { Env, Fetches } from "./env.ts";
import { type AnyPage, readDevicePage, readUserPage } from "./event-pages.ts";
import { EXPORT_PAGE, exportAnswer, exportFormat } from "./export-events.ts";
import { type LookupReader, lookUp, lookUpEvent } from "./lookup.ts";
import { masked } from "./mask.ts";
import { badParameter, Refused } from "./parameters.ts";
import { personArchive } from "./person-archive.ts";
import { eventsJson, type PagesAsked, pagesAsked, pastRange, sessionsJson, sessionsLimit } from "./timelines.ts";
import { parseWriteKeys } from "./write-keys.ts";

export interface SupportRoutes {
  readonly env: Env;
  readonly shards: number;
  /** Microseconds. */
  readonly now: () => number;
  /** Which build of the timelines is read. */
  readonly generation: () => Promise<number>;
  /** @returns the hash of the token, and what it sees. @throws Refused */
  readonly allow: (request: Request) => { readonly token: string; readonly sight: Sight | null };
  /** The same, of who may see everything held about a person. */
  readonly admin: (request: Request) => string;
}

export function addSupport(app: Hono, { env, shards, now, generation, allow, admin }: SupportRoutes): void {
  const reader = { env, generation, now };
  const queryOf = (c: Context) => new URL(c.req.url).searchParams;
  /** As the column holds it: a timeline is named by the id after it was cut. */
  const userId = (c: Context) => cutUtf8(c.req.param("id") ?? "", EVENT_COLUMNS.user_id.maxBytes);
  const deviceId = (c: Context) => cutUtf8(c.req.param("id") ?? "", EVENT_COLUMNS.anonymous_id.maxBytes);
  const timelineOf = async (kind: "user" | "device", id: string) =>
    env.USER_TIMELINE.getByName(timelineName(env.IDENTITY_KEY, { kind, id }, await generation()));
  const sources = [...new Set(parseWriteKeys(env.WRITE_KEYS).values())];

  app.get("/v1/lookup", async (c) => {
    const { token, sight } = allow(c.req.raw);
    const query = queryOf(c);
    const text = query.get("q")?.trim() ?? "";
    if (text === "" || text.length > SUPPORT.lookupChars || !text.isWellFormed()) {
      throw badParameter("q", `a text of 1 to ${SUPPORT.lookupChars} characters`);
    }
    const kind = query.get("kind");
    if (kind !== null && kind !== "event") throw badParameter("kind", "event, or nothing");
    const lookup: LookupReader = {
      timelines: env.USER_TIMELINE,
      emails: env.EMAIL_INDEX,
      identityKey: env.IDENTITY_KEY,
      generation,
      events: {
        logs: env.EVENT_LOG,
        shards,
        sources,
        bucket: env.BUCKET,
        sql: (sql, params) => rowsOf(env.QUERY, c.req.raw, token, sql, params),
      },
    };
    const seen = <T>(found: T) => masked(found, sight);
    if (kind === null) return c.json({ q: text, ...seen(await lookUp(lookup, text)) });
    const range = pastRange(query, now());
    const received = range && { from: range.from / MICROS_PER_MS, to: range.to / MICROS_PER_MS };
    return c.json({ q: text, ...seen(await lookUpEvent(lookup, text, received)) });
  });

  // Who shows a timeline while it grows asks again and again: what has not changed is not sent again.
  app.use("/v1/users/:id/events", etag());
  app.use("/v1/devices/:id/events", etag());
  const page = (c: Context, found: AnyPage) => c.json(eventsJson(found), 200, { "cache-control": "private, no-cache" });
  /** Who asks, and how they see what is read for them. */
  const viewer = (c: Context) => {
    const { sight } = allow(c.req.raw);
    return <T>(found: T): T => masked(found, sight);
  };

  app.get("/v1/users/:id/events", async (c) => {
    const seen = viewer(c);
    return page(c, seen(await readUserPage(reader, userId(c), pagesAsked(queryOf(c), now()))));
  });
  app.get("/v1/devices/:id/events", async (c) => {
    const seen = viewer(c);
    return page(c, seen(await readDevicePage(reader, deviceId(c), pagesAsked(queryOf(c), now()))));
  });

  const exported = (c: Context, readPage: (asked: PagesAsked) => Promise<AnyPage>) => {
    const seen = viewer(c);
    const query = queryOf(c);
    const format = exportFormat(query);
    const { cursor: _, ...asked } = { ...pagesAsked(query, now()), limit: EXPORT_PAGE };
    return exportAnswer(format, async (cursor) =>
      seen(await readPage({ ...asked, ...(cursor !== undefined && { cursor }) })),
    );
  };
  app.use("/v1/users/:id/export", async (c, next) => {
    if (queryOf(c).get("format") !== "archive") return next();
    const token = admin(c.req.raw);
    const sql = (text: string, params: Readonly<Record<string, string>>) =>
      rowsOf(env.QUERY, c.req.raw, token, text, params);
    return c.body(personArchive({ ...reader, sql }, userId(c)), 200, {
      "content-type": "application/zip",
      // Without a name in it: an identifier has no place in a header that proxies log.
      "content-disposition": 'attachment; filename="eventpile-person.zip"',
      "cache-control": "private, no-store",
    });
  });
  app.get("/v1/users/:id/export", (c) => exported(c, (asked) => readUserPage(reader, userId(c), asked)));
  app.get("/v1/devices/:id/export", (c) => exported(c, (asked) => readDevicePage(reader, deviceId(c), asked)));

  app.get("/v1/users/:id/sessions", async (c) => {
    const seen = viewer(c);
    const limit = sessionsLimit(queryOf(c));
    return c.json(seen(sessionsJson(await (await timelineOf("user", userId(c))).sessions(limit))));
  });
  app.get("/v1/devices/:id", async (c) => {
    const seen = viewer(c);
    const id = deviceId(c);
    const device = await timelineOf("device", id);
    const [{ users, cut }, profile] = await Promise.all([device.users(), device.profile()]);
    const time = (micros: number | null) => (micros === null ? null : isoMicros(micros));
    return c.json({
      ...seen({
        anonymous_id: id,
        first_seen: time(profile.first_seen),
        last_seen: time(profile.last_seen),
        /** Without a user. */
        events: profile.events,
        users: users.map(({ id: user, lastSeen }) => ({ user_id: user, last_seen: isoMicros(lastSeen) })),
        cut,
      }),
    });
  });
}

/** @throws Refused with what the engine says of it. */
async function rowsOf(
  query: Fetches,
  asked: Request,
  token: string,
  sql: string,
  params: Readonly<Record<string, string>>,
): Promise<unknown[][]> {
  const headers = new Headers({ "content-type": "application/json", "x-eventpile-token": token });
  const body = JSON.stringify({ sql, params, format: "json" });
  const { signal } = asked;
  const answer = await query.fetch(
    new Request(new URL("/v1/sql", asked.url), { method: "POST", headers, body, signal }),
  );
  if (answer.ok) {
    const { rows } = (await answer.json()) as { rows?: unknown[][] };
    if (rows) return rows;
    throw new Refused({ reason: "upstream_unavailable", retry_after_s: INGEST.retryAfterSeconds });
  }
  const { title, detail } = (await answer.json().catch(() => ({}))) as { title?: string; detail?: string };
  if (answer.status >= 500 || answer.status === 429) {
    throw new Refused({ reason: "upstream_unavailable", retry_after_s: INGEST.retryAfterSeconds });
  }
  throw new Refused({ reason: "not_searchable", detail: [title, detail].filter(Boolean).join(": ") });
}
