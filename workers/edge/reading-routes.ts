/** Addresses that answer questions. Each takes a token with its scope, reads its parameters, and asks one party. */
import type { Context, Hono } from "hono";
import { readLedger } from "../../durable-objects/event-log/ledger.ts";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import { REPLAY_DESK_NAME } from "../../durable-objects/replay-desk/api.ts";
import { readDeviceEvents } from "../../durable-objects/user-timeline/device-view.ts";
import { generationReader } from "../../durable-objects/user-timeline/live-generation.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { readUserEvents } from "../../durable-objects/user-timeline/user-view.ts";
import { EVENT_COLUMNS } from "../../r2-layout/event-columns.ts";
import { READING, REPLAY, SQL } from "../../r2-layout/limits.ts";
import { cutUtf8 } from "../../r2-layout/utf8.ts";
import { problem, type Scope } from "../problem.ts";
import { authorize, type Tokens, tokenOf } from "../tokens.ts";
import { readBytes } from "./body.ts";
import { addCorrections } from "./correction-routes.ts";
import type { Env } from "./env.ts";
import type { MessageQueue } from "./event-sender.ts";
import { addHistory } from "./history-routes.ts";
import { bucketName, readCredentials } from "./iceberg-credentials.ts";
import { icebergMetricLines } from "./iceberg-metrics.ts";
import { addIceberg } from "./iceberg-routes.ts";
import { lakeMetricLines } from "./lake-metrics.ts";
import { prometheusText } from "./metrics.ts";
import { Refused } from "./parameters.ts";
import { readPastEvents } from "./past-events.ts";
import { within } from "./pressure.ts";
import { addQuarantine } from "./quarantine-routes.ts";
import { replayMetricLines } from "./replay-metrics.ts";
import { addReplays, type ReplayRoutes } from "./replay-routes.ts";
import { addRollups } from "./rollup-routes.ts";
import { addSchema } from "./schema-routes.ts";
import { eventsJson, eventsRequest, isPast, pastRange, profileJson, sessionsJson, sessionsLimit } from "./timelines.ts";
import { addTrino } from "./trino-routes.ts";

export interface Reading {
  readonly env: Env;
  /** One for each shard. */
  readonly queues: readonly MessageQueue[];
  readonly shards: number;
  readonly tokens: Tokens;
  /** Microseconds. */
  readonly now: () => number;
}

/** The JSON around a statement, and its escapes. */
const SQL_BODY = { bodyBytes: 2 * SQL.statementBytes, inflatedBytes: 2 * SQL.statementBytes };

const ANSWERED_SOON = [
  "/v1/users/*",
  "/v1/devices/*",
  "/v1/rollups/*",
  "/v1/ledger",
  "/metrics",
  "/v1/quarantine/*",
  "/v1/replays/*",
  "/v1/audits",
  "/v1/schema/*",
  "/v1/snapshots",
  "/v1/cuts/*",
];
/** A correction counts what its filter means. */
const ANSWERED_BY_SQL = ["/v1/sql/*", "/v1/corrections/*"];

export function addReading(app: Hono, { env, queues, shards, tokens, now }: Reading): void {
  /** @returns the hash of the token. @throws Refused */
  const allow = (request: Request, scope: Scope, query?: URLSearchParams): string => {
    const allowed = authorize(tokens, tokenOf(request, query), scope);
    if (!allowed.ok) throw new Refused(allowed.error);
    return allowed.value;
  };
  const queryOf = (request: Request) => new URL(request.url).searchParams;

  // Not for /v1/live: a socket's answer is the socket.
  for (const path of ANSWERED_SOON) app.use(path, (c, next) => within(READING.answerMs, c.req.path, next()));
  for (const path of ANSWERED_BY_SQL) app.use(path, (c, next) => within(READING.sqlAnswerMs, c.req.path, next()));

  const generation = generationReader(env.SINK_CURSOR, () => now() / 1_000);
  const reader = { timelines: env.USER_TIMELINE, identityKey: env.IDENTITY_KEY, generation };
  /** As the column holds it: a timeline is named by the id after it was cut. */
  const userId = (c: Context) => cutUtf8(c.req.param("id") ?? "", EVENT_COLUMNS.user_id.maxBytes);
  const deviceId = (c: Context) => cutUtf8(c.req.param("id") ?? "", EVENT_COLUMNS.anonymous_id.maxBytes);
  const nameOfUser = async (id: string) => timelineName(env.IDENTITY_KEY, { kind: "user", id }, await generation());

  app.get("/v1/users/:id/events", async (c) => {
    allow(c.req.raw, "support");
    const query = queryOf(c.req.raw);
    const range = pastRange(query, now());
    const request = { ...eventsRequest(query, now()), ...range };
    const id = userId(c);
    if (!range || !isPast(range, now())) {
      // A timeline lets go of events for their number, too: a page that would lack some is read from the lake.
      const { lacking, ...page } = await readUserEvents(reader, id, { ...request, whole: range !== null });
      if (!lacking) return c.json(eventsJson(page));
    }
    const { active_days: activeDays } = await env.USER_TIMELINE.getByName(await nameOfUser(id)).profile();
    const past = { bucket: env.BUCKET, catalog: env.LAKE_CATALOG };
    return c.json(eventsJson(await readPastEvents(past, { ...request, ...range!, userId: id, activeDays })));
  });
  app.get("/v1/users/:id/sessions", async (c) => {
    allow(c.req.raw, "support");
    const limit = sessionsLimit(queryOf(c.req.raw));
    const timeline = env.USER_TIMELINE.getByName(await nameOfUser(userId(c)));
    return c.json(sessionsJson(await timeline.sessions(limit)));
  });
  app.get("/v1/users/:id/profile", async (c) => {
    allow(c.req.raw, "support");
    const id = userId(c);
    const timeline = env.USER_TIMELINE.getByName(await nameOfUser(id));
    return c.json(profileJson(id, await timeline.profile()));
  });
  app.get("/v1/devices/:id/events", async (c) => {
    allow(c.req.raw, "support");
    const request = eventsRequest(queryOf(c.req.raw), now());
    return c.json(eventsJson(await readDeviceEvents(reader, deviceId(c), request)));
  });

  app.post("/v1/sql", async (c) => {
    const token = allow(c.req.raw, "sql");
    const body = await readBytes(c.req.raw, SQL_BODY);
    if (!body.ok) {
      const { error } = body;
      return problem(error.reason === "body_too_large" ? { ...error, reason: "statement_too_large" } : error);
    }
    const headers = new Headers({ "content-type": "application/json", "x-eventpile-token": token });
    // Its signal: a client that goes ends its statement.
    const { signal } = c.req.raw;
    return env.QUERY.fetch(new Request(c.req.url, { method: "POST", headers, body: body.value, signal }));
  });
  app.on(["GET", "DELETE"], "/v1/sql/:id", (c) => {
    const headers = new Headers({ "x-eventpile-token": allow(c.req.raw, "sql") });
    return env.QUERY.fetch(new Request(c.req.url, { method: c.req.method, headers }));
  });

  addTrino(app, { tokens, query: env.QUERY });
  addHistory(app, {
    catalog: env.LAKE_CATALOG,
    now,
    reader: (request) => void allow(request, "sql"),
    admin: (request) => void allow(request, "admin"),
  });
  addSchema(app, {
    catalog: env.LAKE_CATALOG,
    reader: (request) => void allow(request, "sql"),
    admin: (request) => void allow(request, "admin"),
  });
  addRollups(app, { rollups: env.MINUTE_ROLLUP, shards, now, allow: (request) => void allow(request, "live") });

  app.get("/v1/live", (c) => {
    const url = new URL(c.req.url);
    allow(c.req.raw, "live", url.searchParams);
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") return problem({ reason: "upgrade_required" });
    url.searchParams.delete("token");
    return env.LIVE_HUB.getByName("live").fetch(new Request(url, c.req.raw));
  });

  const ledger = () => readLedger({ logs: env.EVENT_LOG, cursors: env.SINK_CURSOR, catalog: env.LAKE_CATALOG, shards });
  app.get("/v1/ledger", async (c) => {
    allow(c.req.raw, "admin");
    return c.json(await ledger());
  });
  app.get("/metrics", async (c) => {
    allow(c.req.raw, "admin");
    const desk = await env.REPLAY_DESK.getByName(REPLAY_DESK_NAME).overview(undefined, REPLAY.jobsListedMax);
    const catalog = env.LAKE_CATALOG.getByName(LAKE_CATALOG_NAME);
    const lines = [
      ...lakeMetricLines(await catalog.status()),
      ...icebergMetricLines(await catalog.icebergTables(), now() / 1_000),
      ...replayMetricLines(desk),
    ];
    const text = `${prometheusText(await ledger())}${lines.join("\n")}\n`;
    return c.text(text, 200, { "content-type": "text/plain; version=0.0.4" });
  });
  app.get("/healthz", (c) => c.json({ ok: true }));

  const replays: ReplayRoutes = {
    desks: env.REPLAY_DESK,
    logs: env.EVENT_LOG,
    shards,
    now,
    admin: (request) => allow(request, "admin"),
  };
  addReplays(app, replays);
  addCorrections(app, replays, env.QUERY);
  addQuarantine(app, {
    bucket: env.BUCKET,
    logs: env.EVENT_LOG,
    cursors: env.SINK_CURSOR,
    catalog: env.LAKE_CATALOG,
    shards,
    send: async (shard, body) => void (await queues[shard]!.send(body, { contentType: "text" })),
    now,
    admin: (request) => allow(request, "admin"),
  });

  addIceberg(app, {
    catalog: env.LAKE_CATALOG,
    bucket: env.BUCKET,
    bucketName: bucketName(env),
    tokens,
    credentials: readCredentials(env, () => now() / 1_000),
    allow: (request) => void allow(request, "raw"),
  });
}
