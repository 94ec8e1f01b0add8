/** The online store: one user's profile, a hundred at once, and tokens with which a person reads their own events. */
import type { Hono } from "hono";
import type { ProfileStoreApi } from "../../durable-objects/user-timeline/profile-api.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { EVENT_COLUMNS } from "../../r2-layout/event-columns.ts";
import { INGEST, OWN, PROFILE } from "../../r2-layout/limits.ts";
import { isoMicros } from "../../r2-layout/time.ts";
import { cutUtf8 } from "../../r2-layout/utf8.ts";
import { problem } from "../problem.ts";
import type { Sight } from "../sight.ts";
import type { Env } from "./env.ts";
import { readJsonBody } from "./json-body.ts";
import { masked } from "./mask.ts";
import { badParameter } from "./parameters.ts";
import { readProfiles } from "./profile-batch.ts";
import { onlineProfileJson, profileFields } from "./profile-json.ts";
import type { UserTokens } from "./user-tokens.ts";

export interface ProfileRoutes {
  readonly env: Pick<Env, "IDENTITY_KEY"> & {
    readonly USER_TIMELINE: { getByName(name: string): Pick<ProfileStoreApi, "online"> };
  };
  readonly generation: () => Promise<number>;
  /** Null where none are configured. */
  readonly userTokens: UserTokens | null;
  /** Microseconds. */
  readonly now: () => number;
  /** Of those who may read profiles: what they see of them. @throws Refused */
  readonly reader: (request: Request) => Sight | null;
  /** Told whom a request is about. */
  readonly about: (request: Request, users: readonly string[]) => void;
  /** Those who may read all that a user did. @throws Refused */
  readonly support: (request: Request) => void;
}

const TOKEN_BODY_BYTES = 1_024;
/** What is personal, or a secret, is in no cache. */
const NOT_STORED = { "cache-control": "no-store" };

export function addProfiles(app: Hono, routes: ProfileRoutes): void {
  const { env, generation, userTokens, now, reader, about, support } = routes;
  const readerOf = async () => {
    // Asked once: all of one answer are of one build.
    const build = await generation();
    return (id: string) =>
      env.USER_TIMELINE.getByName(timelineName(env.IDENTITY_KEY, { kind: "user", id }, build)).online();
  };

  app.get("/v1/users/:id/profile", async (c) => {
    const sight = reader(c.req.raw);
    const fields = profileFields(c.req.query("fields")?.split(",") ?? null);
    const id = asColumn(c.req.param("id"));
    const read = await readerOf();
    return c.json(masked(onlineProfileJson(id, await read(id), fields), sight), 200, NOT_STORED);
  });

  app.post("/v1/profiles", async (c) => {
    const sight = reader(c.req.raw);
    const { users, fields: names } = await readJsonBody(c.req.raw, PROFILE.batchBytes, ["users", "fields"]);
    const ids = userIds(users);
    about(c.req.raw, ids);
    if (names !== undefined && !Array.isArray(names)) throw badParameter("fields", "a list");
    const fields = profileFields(names ?? null);
    const found = await readProfiles(ids, await readerOf());
    const profiles = ids.map((id) => {
      const profile = found.get(id);
      return profile
        ? masked(onlineProfileJson(id, profile, fields), sight)
        : { user_id: id, reason: "upstream_unavailable", retry_after_s: INGEST.retryAfterSeconds };
    });
    return c.json({ profiles }, 200, NOT_STORED);
  });

  app.post("/v1/users/:id/tokens", async (c) => {
    support(c.req.raw);
    if (!userTokens) return problem({ reason: "user_tokens_off" });
    const { expires_in: asked = OWN.tokenSecondsDefault } = await readJsonBody(c.req.raw, TOKEN_BODY_BYTES, [
      "expires_in",
    ]);
    if (!Number.isSafeInteger(asked) || (asked as number) < 1 || (asked as number) > OWN.tokenSecondsMax) {
      throw badParameter("expires_in", `a whole number of seconds from 1 to ${OWN.tokenSecondsMax}`);
    }
    const seconds = asked as number;
    const id = asColumn(c.req.param("id"));
    const token = await userTokens.sign(id, seconds);
    const expires_at = isoMicros(now() + seconds * 1_000_000);
    return c.json({ user_id: id, token, token_type: "Bearer", expires_in: seconds, expires_at }, 201, NOT_STORED);
  });
}

/** A timeline is named by the id after it was cut. */
const asColumn = (id: string): string => cutUtf8(id, EVENT_COLUMNS.user_id.maxBytes);

/** @throws Refused */
function userIds(value: unknown): string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > PROFILE.batchUsers) {
    throw badParameter("users", `a list of 1 to ${PROFILE.batchUsers} ids of users`);
  }
  return value.map((id, i) => {
    if (typeof id !== "string" || id === "") throw badParameter(`users[${i}]`, "the id of a user, as text");
    return asColumn(id);
  });
}
