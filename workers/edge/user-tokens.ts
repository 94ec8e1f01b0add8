/**
 * Tokens with which a person reads their own recent events: JSON Web Tokens (HS256) of a key that the app's server may have, too,
 * so that it can sign them without asking us. Claims: `sub`, the user id; `aud`, `eventpile`; `exp`, at most a day ahead. A token
 * cannot be taken back, so it is short; a key can: it is taken off the list.
 */
import { sign, verify } from "hono/jwt";
import { EVENT_COLUMNS } from "../../r2-layout/event-columns.ts";
import { OWN, SECOND_MS } from "../../r2-layout/limits.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import { cutUtf8 } from "../../r2-layout/utf8.ts";
import type { Rejection } from "../problem.ts";

const AUDIENCE = "eventpile";

export interface UserTokens {
  sign(userId: string, seconds: number): Promise<string>;
  /** @returns the user id, as the column holds it */
  verify(token: string): Promise<Result<string, Rejection>>;
}

/**
 * @param config JSON list of keys; the first one signs, all of them are taken. @param now microseconds.
 * @returns null where none is configured. @throws SyntaxError or TypeError where it is something else.
 */
export function parseUserTokenKeys(config: string | undefined, now: () => number): UserTokens | null {
  if (!config) return null;
  const keys: unknown = JSON.parse(config);
  if (!Array.isArray(keys) || keys.length === 0 || !keys.every(isKey)) {
    throw new TypeError(`USER_TOKEN_KEYS is no list of texts of ${OWN.keyBytesMin} bytes or more`);
  }
  const [newest] = keys as readonly string[];
  const nowSeconds = () => Math.floor(now() / (1_000 * SECOND_MS));
  return {
    sign: (userId, seconds) => {
      const iat = nowSeconds();
      return sign({ sub: userId, aud: AUDIENCE, iat, exp: iat + seconds }, newest!, "HS256");
    },
    verify: (token) => verifyWith(keys, token, nowSeconds()),
  };
}

const isKey = (key: unknown): key is string =>
  typeof key === "string" && new TextEncoder().encode(key).byteLength >= OWN.keyBytesMin;

async function verifyWith(keys: readonly string[], token: string, now: number): Promise<Result<string, Rejection>> {
  if (token.length > OWN.tokenChars) return refused(`it has more than ${OWN.tokenChars} characters`);
  let detail = "";
  for (const key of keys) {
    try {
      // Its clock may be a moment ahead of ours: `iat` decides nothing. A token without an end is refused below.
      const claims = await verify(token, key, { alg: "HS256", aud: AUDIENCE, iat: false });
      return claimsOf(claims, now);
    } catch (error) {
      const { name = "" } = error as Partial<Error>;
      if (name === "JwtTokenExpired") return err({ reason: "expired_token" });
      detail = REFUSALS[name] ?? "it is no JSON Web Token";
    }
  }
  return refused(detail);
}

const REFUSALS: Readonly<Record<string, string>> = {
  JwtTokenSignatureMismatched: "no key that is known has signed it",
  JwtTokenNotBefore: "it is not valid yet (nbf)",
  JwtAlgorithmMismatch: "it is signed by another algorithm than HS256",
  JwtPayloadRequiresAud: `its aud is not ${AUDIENCE}`,
  JwtTokenAudience: `its aud is not ${AUDIENCE}`,
};

function claimsOf({ sub, exp }: Record<string, unknown>, now: number): Result<string, Rejection> {
  if (typeof sub !== "string" || sub === "") return refused("its sub is no id of a user");
  if (typeof exp !== "number") return refused("it has no exp");
  if (exp - now > OWN.tokenSecondsMax) return refused(`its exp is more than ${OWN.tokenSecondsMax} seconds ahead`);
  return ok(cutUtf8(sub, EVENT_COLUMNS.user_id.maxBytes));
}

const refused = (detail: string): Result<never, Rejection> => err({ reason: "refused_user_token", detail });
