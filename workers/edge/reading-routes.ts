/** Addresses that answer questions. Each takes a token with its scope, reads its parameters, and asks one party. */
import type { Hono } from "hono";
import { generationReader } from "../../durable-objects/user-timeline/live-generation.ts";
import { closureOf } from "../../queues/erasure/closure.ts";
import { READING, SQL } from "../../r2-layout/limits.ts";
import type { Result } from "../../r2-layout/result.ts";
import { subjectHasher } from "../../r2-layout/subjects.ts";
import { problem, type Rejection, type Scope } from "../problem.ts";
import { withSight } from "../sight.ts";
import { mayDo, type Reader, readerOf, sightOfGrant, type Tokens, tokenOf } from "../tokens.ts";
import { type AccessPeople, ASSERTION_HEADER } from "./access-people.ts";
import { addAudit } from "./audit/audit-routes.ts";
import type { AuditTrail } from "./audit/audit-trail.ts";
import { readBytes } from "./body.ts";
import { addContracts } from "./contracts/contract-routes.ts";
import { addCorrections } from "./correction-routes.ts";
import { addDashboards } from "./dashboard-routes.ts";
import { type Env, eventQueues } from "./env.ts";
import { addErasures } from "./erasures/erasure-routes.ts";
import type { MessageQueue } from "./event-sender.ts";
import { addHistory } from "./history-routes.ts";
import { bucketName, readCredentials } from "./iceberg-credentials.ts";
import { addIceberg } from "./iceberg-routes.ts";
import { liveHubs } from "./live-hubs.ts";
import { addOperations } from "./operations/operations-routes.ts";
import { addOwn, seesOwn } from "./own-routes.ts";
import { Refused } from "./parameters.ts";
import { within } from "./pressure.ts";
import { addPrivacy } from "./privacy/privacy-routes.ts";
import { addProfiles } from "./profile-routes.ts";
import { addQuarantine } from "./quarantine-routes.ts";
import { addReplays, type ReplayRoutes } from "./replay-routes.ts";
import { addRollups } from "./rollup-routes.ts";
import { addSchema } from "./schema-routes.ts";
import { addSupport } from "./support-routes.ts";
import { addTiles } from "./tile-routes.ts";
import { addToken } from "./token-routes.ts";
import { addTrino } from "./trino-routes.ts";
import { parseUserTokenKeys } from "./user-tokens.ts";
import { addViolations } from "./violations/violation-routes.ts";
import { addWebhooks } from "./webhooks/webhook-routes.ts";

export interface Reading {
  readonly env: Env;
  /** One for each shard. */
  readonly queues: readonly MessageQueue[];
  readonly shards: number;
  readonly tokens: Tokens;
  /** Null: Cloudflare Access signs nobody in. */
  readonly access: AccessPeople | null;
  /** Null: nothing is written down of who asks. */
  readonly audit: AuditTrail | null;
  /** Microseconds. */
  readonly now: () => number;
}

/** The JSON around a statement, and its escapes. */
const SQL_BODY = { bodyBytes: 2 * SQL.statementBytes, inflatedBytes: 2 * SQL.statementBytes };

const ANSWERED_SOON = [
  "/v1/users/*",
  "/v1/devices/*",
  "/v1/profiles",
  "/v1/me/*",
  "/v1/lookup",
  "/v1/rollups/*",
  "/v1/dashboards/*",
  "/v1/rollup-definitions/*",
  "/v1/ledger",
  "/v1/operations",
  "/metrics",
  "/v1/quarantine/*",
  "/v1/replays/*",
  "/v1/audits",
  "/v1/schema/*",
  "/v1/contracts/*",
  "/v1/pii/*",
  "/v1/webhooks/*",
  "/v1/snapshots",
  "/v1/cuts/*",
];
/** A correction counts what its filter means. */
const ANSWERED_BY_SQL = ["/v1/audit", "/v1/erasures/*", "/v1/sql/*", "/v1/corrections/*", "/v1/violations/*"];

/** A body that cannot be read is refused further on. */
function statementIn(body: Uint8Array): string {
  try {
    const { sql } = JSON.parse(new TextDecoder().decode(body)) as { sql?: unknown };
    return typeof sql === "string" ? sql : "";
  } catch {
    return "";
  }
}

export function addReading(app: Hono, { env, queues, shards, tokens, access, audit, now }: Reading): void {
  const hash = subjectHasher(env.IDENTITY_KEY);
  const signedIn = new WeakMap<Request, Result<Reader, Rejection>>();
  if (access) {
    app.use("*", async (c, next) => {
      const { raw } = c.req;
      if (raw.headers.has(ASSERTION_HEADER)) signedIn.set(raw, await access.readerOf(raw));
      return next();
    });
  }
  if (audit) {
    app.use("*", async (c, next) => {
      await next();
      const written = audit.write(c.req.raw, c.res.status);
      if (written) c.executionCtx.waitUntil(written);
    });
  }
  /** By the token, where there is one, else by Cloudflare Access. @throws Refused */
  const reader = (request: Request, query?: URLSearchParams): Reader => {
    const token = tokenOf(request, query);
    const who = (token === null && signedIn.get(request)) || readerOf(tokens, token);
    if (!who.ok) throw new Refused(who.error);
    audit?.note(request, { reader: who.value });
    return who.value;
  };
  const allowed = (request: Request, scope: Scope, also?: Scope, query?: URLSearchParams): Reader => {
    const who = reader(request, query);
    if (!mayDo(who.grant, scope, also)) throw new Refused({ reason: "missing_scope", scope });
    return who;
  };
  /** @returns the hash of the token. @throws Refused */
  const allow = (request: Request, scope: Scope, also?: Scope, query?: URLSearchParams): string =>
    allowed(request, scope, also, query).hash;

  const sightOf = ({ grant }: Reader) => sightOfGrant(grant, tokens.mask);
  /** As `allow`, for what is told of all sources together. */
  const allowWhole = (request: Request, scope: Scope): string => {
    const who = allowed(request, scope);
    if (who.grant.sources) throw new Refused({ reason: "sees_a_part" });
    return who.hash;
  };

  // Not for /v1/live: a socket's answer is the socket.
  for (const path of ANSWERED_SOON) app.use(path, (c, next) => within(READING.answerMs, c.req.path, next()));
  for (const path of ANSWERED_BY_SQL) app.use(path, (c, next) => within(READING.sqlAnswerMs, c.req.path, next()));

  const generation = generationReader(env.SINK_CURSOR, () => now() / 1_000);
  const userTokens = parseUserTokenKeys(env.USER_TOKEN_KEYS, now);
  addProfiles(app, {
    env,
    generation,
    userTokens,
    now,
    // Who may read profiles reads them whole; who is there to help a customer, as everything else.
    reader: (request) => {
      const who = allowed(request, "profile", "support");
      return who.grant.scopes.has("profile") ? null : sightOf(who);
    },
    about: (request, users) => audit?.note(request, { subjects: users.map((id) => ({ kind: "user", id })) }),
    support: (request) => {
      if (!seesOwn(sightOf(allowed(request, "support")))) throw new Refused({ reason: "missing_scope", scope: "pii" });
    },
  });
  addOwn(app, { timelines: env.USER_TIMELINE, identityKey: env.IDENTITY_KEY, generation, userTokens, now });
  addSupport(app, {
    env,
    shards,
    now,
    generation,
    allow: (request) => {
      const who = allowed(request, "support");
      return { token: who.hash, sight: sightOf(who) };
    },
    admin: (request) => allow(request, "admin"),
  });

  app.post("/v1/sql", async (c) => {
    const who = allowed(c.req.raw, "sql");
    const body = await readBytes(c.req.raw, SQL_BODY);
    if (!body.ok) {
      const { error } = body;
      return problem(error.reason === "body_too_large" ? { ...error, reason: "statement_too_large" } : error);
    }
    audit?.note(c.req.raw, { statement: statementIn(body.value) });
    const headers = new Headers({ "content-type": "application/json", "x-eventpile-token": who.hash });
    withSight(headers, sightOf(who));
    // Its signal: a client that goes ends its statement.
    const { signal } = c.req.raw;
    return env.QUERY.fetch(new Request(c.req.url, { method: "POST", headers, body: body.value, signal }));
  });
  app.on(["GET", "DELETE"], "/v1/sql/:id", (c) => {
    const headers = new Headers({ "x-eventpile-token": allow(c.req.raw, "sql") });
    return env.QUERY.fetch(new Request(c.req.url, { method: c.req.method, headers }));
  });

  addTrino(app, { tokens, query: env.QUERY, audit });
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
  addDashboards(app, { dashboards: env.DASHBOARDS, allow: (request) => void allow(request, "live") });
  // Before the registry's addresses: `health` is no version.
  addViolations(app, {
    bucket: env.BUCKET,
    logs: env.EVENT_LOG,
    hash,
    registry: env.CONTRACT_REGISTRY,
    health: env.CONTRACT_HEALTH,
    query: env.QUERY,
    shards,
    now,
    reader: (request) => allowWhole(request, "sql"),
    admin: (request) => allow(request, "admin"),
  });
  addContracts(app, {
    registry: env.CONTRACT_REGISTRY,
    reader: (request) => void allow(request, "sql"),
    admin: (request) => void allow(request, "admin"),
  });
  addWebhooks(app, {
    health: env.CONTRACT_HEALTH,
    isLocal: env.EVENTPILE_LOCAL === "1",
    admin: (request) => void allow(request, "admin"),
  });
  addPrivacy(app, {
    keys: env.PII_KEY,
    audits: env.PII_AUDIT,
    identityKey: env.IDENTITY_KEY,
    admin: (request) => void allow(request, "admin"),
  });
  addRollups(app, {
    rollups: env.MINUTE_ROLLUP,
    tiles: env.TILE_ROLLUP,
    registry: env.TILE_REGISTRY,
    shards,
    now,
    allow: (request) => void allow(request, "live"),
  });
  addTiles(app, {
    registry: env.TILE_REGISTRY,
    desks: env.REPLAY_DESK,
    reader: (request) => void allow(request, "live"),
    admin: (request) => void allow(request, "admin"),
  });

  const live = liveHubs(env.LIVE_HUB);
  app.get("/v1/live", (c) => {
    const url = new URL(c.req.url);
    allow(c.req.raw, "live", undefined, url.searchParams);
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") return problem({ reason: "upgrade_required" });
    url.searchParams.delete("token");
    return live.open(url, c.req.raw);
  });

  addOperations(app, {
    logs: env.EVENT_LOG,
    cursors: env.SINK_CURSOR,
    catalog: env.LAKE_CATALOG,
    desks: env.REPLAY_DESK,
    audits: env.PII_AUDIT,
    health: env.CONTRACT_HEALTH,
    queues: eventQueues(env),
    shards,
    now: () => now() / 1_000,
    admin: (request) => void allow(request, "admin"),
  });
  addToken(app, { reader, sightOf });
  addAudit(app, { query: env.QUERY, hash, now, admin: (request) => allow(request, "admin") });
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
  addErasures(app, {
    desks: env.REPLAY_DESK,
    bucket: env.BUCKET,
    hash: subjectHasher(env.IDENTITY_KEY),
    closure: (subjects) =>
      closureOf(
        { timelines: env.USER_TIMELINE, emails: env.EMAIL_INDEX, identityKey: env.IDENTITY_KEY, generation },
        subjects,
      ),
    now,
    admin: (request) => allow(request, "admin"),
  });
  addQuarantine(app, {
    bucket: env.BUCKET,
    logs: env.EVENT_LOG,
    hash,
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
