/** Tokens for reading. Only their hashes are configured, so that the configuration is no secret worth stealing. */
import { createHash } from "node:crypto";
import { err, ok, type Result } from "../r2-layout/result.ts";
import { parseTime } from "../r2-layout/time.ts";
import type { Rejection, Scope } from "./problem.ts";
import type { Sight } from "./sight.ts";

const SCOPES: readonly Scope[] = ["support", "profile", "sql", "live", "raw", "pii", "admin"];
/** What a token of some sources may have: nothing else is kept by source. */
const BY_SOURCE: readonly Scope[] = ["sql", "pii"];

export interface Grant {
  readonly scopes: ReadonlySet<Scope>;
  /** What it is called where it is told of: in the audit trail. Null: nothing. */
  readonly name: string | null;
  /** Whose rows it reads; null: all of them. */
  readonly sources: readonly string[] | null;
  /** Microseconds: from then on the token is refused. Null: never. */
  readonly expiresAt: number | null;
}

export interface Tokens {
  /** By the SHA-256 of the token, hexadecimal. */
  readonly grants: ReadonlyMap<string, Grant>;
  /** What tokens without the scope `pii` do not see, and what takes its place. */
  readonly mask: Pick<Sight, "masked" | "pseudonymKey">;
  /** Microseconds. */
  now(): number;
}

/**
 * A token is replaced by another while both are listed, the older one with an end: nobody is without one in between.
 *
 * @param config `[{"sha256": "<hex>", "scopes": ["support", "profile", "sql", "live", "raw", "pii", "admin"], "name": "<name>",
 *   "sources": ["<source>"], "expires_at": "<time>"}]`, the last three optional. @param now microseconds.
 * @throws SyntaxError or TypeError where it is something else.
 */
export function parseTokens(config: string, now: () => number, mask: Tokens["mask"] = NO_MASK): Tokens {
  const parsed: unknown = JSON.parse(config);
  if (!Array.isArray(parsed)) throw new TypeError("not a list");
  const grants = new Map(
    parsed.map((entry: Record<string, unknown>): [string, Grant] => {
      const { sha256 } = entry;
      if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/i.test(sha256)) throw new TypeError("sha256 is not 64 digits");
      return [sha256.toLowerCase(), parseGrant(entry, mask)];
    }),
  );
  return { grants, mask, now };
}

const NAME_CHARS = 100;

/** @throws TypeError where an entry of the configuration grants nothing that there is. */
export function parseGrant(entry: Record<string, unknown>, mask: Tokens["mask"]): Grant {
  const { name = null, scopes, sources, expires_at } = entry;
  if (name !== null && (typeof name !== "string" || name === "" || name.length > NAME_CHARS)) {
    throw new TypeError(`name is a text of 1 to ${NAME_CHARS} characters`);
  }
  if (!Array.isArray(scopes) || !scopes.every((scope) => SCOPES.includes(scope))) {
    throw new TypeError(`scopes are of ${SCOPES.join(", ")}`);
  }
  const grant = {
    name: name as string | null,
    scopes: new Set(scopes as Scope[]),
    sources: parseSources(sources),
    expiresAt: parseExpiry(expires_at),
  };
  refuseWhatCannotBeKept(grant, mask);
  return grant;
}

const NO_MASK: Tokens["mask"] = { masked: [], pseudonymKey: "" };

/** @throws TypeError where it is no list of names: an empty one is a token that reads nothing, and a mistake. */
function parseSources(value: unknown): readonly string[] | null {
  if (value === undefined) return null;
  const isName = (name: unknown) => typeof name === "string" && name !== "";
  if (!Array.isArray(value) || value.length === 0 || !value.every(isName)) throw new TypeError("sources are no list");
  return value as string[];
}

/** @throws TypeError for scopes that would show what the token is not to see. */
function refuseWhatCannotBeKept({ scopes, sources }: Pick<Grant, "scopes" | "sources">, mask: Tokens["mask"]): void {
  const beyond = [...scopes].find((scope) => !BY_SOURCE.includes(scope));
  if (sources && beyond) throw new TypeError(`sources are for the scopes ${BY_SOURCE.join(", ")}, not for ${beyond}`);
  if (mask.masked.length > 0 && scopes.has("raw") && !scopes.has("pii") && !scopes.has("admin")) {
    throw new TypeError("raw reads whole files: where columns are masked it needs pii beside it");
  }
}

/** @throws TypeError where it is no time: a typing error must not make a token that never ends. */
function parseExpiry(value: unknown): number | null {
  if (value === undefined) return null;
  const at = typeof value === "string" ? parseTime(value) : null;
  if (at === null) throw new TypeError("expires_at is no time");
  return at;
}

export const tokenHash = (token: string): string => createHash("sha256").update(token).digest("hex");

/** @param query where a token may also stand: for websockets only, browsers cannot give those a header. */
export function tokenOf(request: Request, query?: URLSearchParams): string | null {
  const bearer = /^Bearer\s+(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  return (bearer ?? query?.get("token")) || null;
}

/** Who asks, by a token or otherwise. */
export interface Reader {
  /** Names the reader without being the secret: the token's SHA-256, hexadecimal. */
  readonly hash: string;
  readonly grant: Grant;
}

/** Looked up by its hash: how long that takes tells nothing about a token. */
export function readerOf({ grants, now }: Tokens, token: string | null): Result<Reader, Rejection> {
  if (token === null) return err({ reason: "missing_token" });
  const hash = tokenHash(token);
  const grant = grants.get(hash);
  if (grant === undefined) return err({ reason: "unknown_token" });
  return grant.expiresAt !== null && now() >= grant.expiresAt ? err({ reason: "expired_token" }) : ok({ hash, grant });
}

/** What somebody may do, in the order of `SCOPES`; `admin` stands for all of them. */
export const scopesOf = ({ scopes }: Grant): readonly Scope[] =>
  SCOPES.filter((scope) => scopes.has(scope) || scopes.has("admin"));

/** `admin` implies every scope. @param also another scope that will do. */
export const mayDo = ({ scopes }: Grant, scope: Scope, also: Scope = scope): boolean =>
  [scope, also, "admin" as const].some((one) => scopes.has(one));

/** As `readerOf`, of a token that has a scope. */
export function authorize(
  tokens: Tokens,
  token: string | null,
  scope: Scope,
  also: Scope = scope,
): Result<Reader, Rejection> {
  const reader = readerOf(tokens, token);
  if (!reader.ok || mayDo(reader.value.grant, scope, also)) return reader;
  return err({ reason: "missing_scope", scope });
}

/** @returns null where everything is seen. */
export function sightOfGrant({ scopes, sources }: Grant, { masked, pseudonymKey }: Tokens["mask"]): Sight | null {
  const unseen = scopes.has("pii") || scopes.has("admin") ? [] : masked;
  return sources === null && unseen.length === 0 ? null : { sources, masked: unseen, pseudonymKey };
}
