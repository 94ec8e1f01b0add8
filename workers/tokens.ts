/** Tokens for reading. Only their hashes are configured, so that the configuration is no secret worth stealing. */
import { createHash } from "node:crypto";
import { err, ok, type Result } from "../r2-layout/result.ts";
import type { Rejection, Scope } from "./problem.ts";

const SCOPES: readonly Scope[] = ["support", "sql", "live", "raw", "admin"];

/** Scopes by the SHA-256 of the token, hexadecimal. */
export type Tokens = ReadonlyMap<string, ReadonlySet<Scope>>;

/**
 * @param config `[{"sha256": "<hex>", "scopes": ["support", "sql", "live", "raw", "admin"]}]`.
 * @throws SyntaxError or TypeError where it is something else.
 */
export function parseTokens(config: string): Tokens {
  const parsed: unknown = JSON.parse(config);
  if (!Array.isArray(parsed)) throw new TypeError("not a list");
  return new Map(
    parsed.map((entry: { sha256?: unknown; scopes?: unknown }) => {
      const { sha256, scopes } = entry;
      if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/i.test(sha256)) throw new TypeError("sha256 is not 64 digits");
      if (!Array.isArray(scopes) || !scopes.every((scope) => SCOPES.includes(scope))) {
        throw new TypeError(`scopes are of ${SCOPES.join(", ")}`);
      }
      return [sha256.toLowerCase(), new Set(scopes as Scope[])];
    }),
  );
}

export const tokenHash = (token: string): string => createHash("sha256").update(token).digest("hex");

/** @param query where a token may also stand: for websockets only, browsers cannot give those a header. */
export function tokenOf(request: Request, query?: URLSearchParams): string | null {
  const bearer = /^Bearer\s+(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  return bearer ?? query?.get("token") ?? null;
}

/** `admin` implies every scope. @returns the hash of the token: it names the reader without being the secret. */
export function authorize(tokens: Tokens, token: string | null, scope: Scope): Result<string, Rejection> {
  if (token === null) return err({ reason: "missing_token" });
  const hash = tokenHash(token);
  // Looked up by its hash: how long that takes tells nothing about a token.
  const scopes = tokens.get(hash);
  if (scopes === undefined) return err({ reason: "unknown_token" });
  return scopes.has(scope) || scopes.has("admin") ? ok(hash) : err({ reason: "missing_scope", scope });
}
