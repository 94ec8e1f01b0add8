/**
 * People whom Cloudflare Access has signed in, where it stands in front of the edge: it puts a signed assertion into each request
 * (`Cf-Access-Jwt-Assertion`, https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/validating-json/),
 * a JSON Web Token (RS256) of the team's keys for one application. Claims: `email` of a person, or `common_name`, the client id of
 * a service token; `exp`; `aud`; `iss`. What each may do is configured here, not there.
 *
 * The browser sends Access's cookie with requests that other sites make, too, so one of those is refused.
 */
import { createHash } from "node:crypto";
import { decode, verifyWithJwks } from "hono/jwt";
import { ACCESS, INGEST } from "../../r2-layout/limits.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import type { Rejection } from "../problem.ts";
import { type Grant, parseGrant, type Reader, type Tokens } from "../tokens.ts";

export const ASSERTION_HEADER = "cf-access-jwt-assertion";

interface Person {
  /** Of which claim. */
  readonly by: "email" | "service";
  /** In small letters; `*@example.com`: everybody there. */
  readonly name: string;
  readonly grant: Grant;
}

interface AccessSettings {
  /** `https://<team>.cloudflareaccess.com`, also the issuer. */
  readonly team: string;
  /** The application's audience tag. */
  readonly aud: string;
  /** The first that names somebody says what they may do. */
  readonly people: readonly Person[];
}

type Keys = NonNullable<Parameters<typeof verifyWithJwks>[1]["keys"]>;

export interface AccessParts {
  /** Milliseconds. */
  readonly now: () => number;
  readonly fetch: (url: string, init: { readonly signal: AbortSignal }) => Promise<Response>;
}

export class AccessPeople {
  readonly #settings: AccessSettings;
  readonly #parts: AccessParts;
  #keys: { readonly list: Keys; readonly at: number } | null = null;
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | null = null;

  constructor(settings: AccessSettings, parts: AccessParts) {
    this.#settings = settings;
    this.#parts = parts;
  }

  /** Who it is that Access has signed in. */
  async readerOf(request: Request): Promise<Result<Reader, Rejection>> {
    if (isCrossSite(request)) return err({ reason: "cross_site" });
    const claims = await this.#verified(request.headers.get(ASSERTION_HEADER) ?? "");
    if (!claims.ok) return claims;
    const { email, common_name: service } = claims.value;
    const [by, name] =
      typeof email === "string" && email !== "" ? (["email", email] as const) : (["service", service] as const);
    if (typeof name !== "string" || name === "") return refused("it names nobody");
    const grant = this.#settings.people.find(
      (person) => person.by === by && isNamed(person, name.toLowerCase()),
    )?.grant;
    if (!grant) return err({ reason: "nothing_granted" });
    // Theirs as a token's hash is a token's; a text with a zero byte is no token.
    const hash = createHash("sha256").update(`access\0${by}\0${name.toLowerCase()}`).digest("hex");
    return ok({ hash, grant: { ...grant, name: grant.name ?? name.toLowerCase() } });
  }

  async #verified(assertion: string): Promise<Result<Record<string, unknown>, Rejection>> {
    if (assertion.length > ACCESS.assertionChars)
      return refused(`it has more than ${ACCESS.assertionChars} characters`);
    let kid: string | undefined;
    try {
      ({ kid } = decode(assertion).header as { kid?: string });
    } catch {
      return refused("it is no JSON Web Token");
    }
    const keys = await this.#keysWith(kid);
    if (!keys) return err({ reason: "upstream_unavailable", retry_after_s: INGEST.retryAfterSeconds });
    const { team, aud } = this.#settings;
    try {
      const claims = await verifyWithJwks(assertion, {
        keys,
        allowedAlgorithms: ["RS256"],
        // Its clock may be a moment ahead of ours: `iat` decides nothing.
        verification: { iss: team, aud, iat: false },
      });
      return typeof claims.exp === "number" ? ok(claims) : refused("it has no exp");
    } catch (error) {
      const { name = "" } = error as Partial<Error>;
      if (name === "JwtTokenExpired") return err({ reason: "expired_token" });
      return refused(REFUSALS[name] ?? "no key of the team has signed it");
    }
  }

  /** Keys change every few weeks: one that is not known is looked for, not more often than once a minute. Null: none are known. */
  async #keysWith(kid: string | undefined): Promise<Keys | null> {
    const now = this.#parts.now();
    const isKnown = this.#kept()?.some((key) => key.kid === kid) ?? false;
    const isFresh = this.#keys !== null && now - this.#keys.at < ACCESS.keysMs;
    if (!(isKnown && isFresh) && !this.#asking && now - this.#askedAt >= ACCESS.askAgainMs) {
      this.#askedAt = now;
      this.#asking = this.#ask().finally(() => {
        this.#asking = null;
      });
    }
    // What is known does until the answer comes.
    if (!isKnown) await this.#asking;
    return this.#kept();
  }

  #kept(): Keys | null {
    return this.#keys && this.#parts.now() - this.#keys.at < ACCESS.keysKeptMs ? this.#keys.list : null;
  }

  async #ask(): Promise<void> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), ACCESS.answerMs);
    try {
      const answer = await this.#parts.fetch(`${this.#settings.team}/cdn-cgi/access/certs`, { signal: late.signal });
      const { keys } = (await answer.json()) as { keys?: Keys };
      if (!answer.ok || !Array.isArray(keys)) throw new Error(`answered ${answer.status}`);
      this.#keys = { list: keys, at: this.#parts.now() };
    } catch (error) {
      console.error(JSON.stringify({ at: "access", error: `the team's keys: ${String(error)}` }));
    } finally {
      clearTimeout(timer);
    }
  }
}

const REFUSALS: Readonly<Record<string, string>> = {
  JwtTokenNotBefore: "it is not valid yet (nbf)",
  JwtAlgorithmNotAllowed: "it is not signed by RS256",
  JwtSymmetricAlgorithmNotAllowed: "it is not signed by RS256",
  JwtTokenIssuer: "another team has issued it",
  JwtPayloadRequiresAud: "it is for no application",
  JwtTokenAudience: "it is for another application",
};

const refused = (detail: string): Result<never, Rejection> => err({ reason: "refused_assertion", detail });

/** By what browsers say themselves; a program says nothing, and has no cookie that others could use. */
function isCrossSite({ headers, url }: Request): boolean {
  const site = headers.get("sec-fetch-site");
  const origin = headers.get("origin");
  // Following a link to a page of ours says `none` or `cross-site`, but reads no answer of an address.
  return (
    (site !== null && site !== "same-origin" && site !== "none") || (origin !== null && origin !== new URL(url).origin)
  );
}

const isNamed = (person: Person, name: string): boolean =>
  person.name.startsWith("*@")
    ? name.endsWith(person.name.slice(1)) && name.indexOf("@") === name.lastIndexOf("@")
    : person.name === name;

/**
 * @param config `{"team": "https://<team>.cloudflareaccess.com", "aud": "<tag>", "people": [{"email": "*@example.com", "scopes": [...]},
 *   {"service": "<client id>", "scopes": [...], "sources": [...]}]}`; empty or absent: Access signs nobody in.
 * @throws SyntaxError or TypeError where it is something else.
 */
export function parseAccess(config: string | undefined, mask: Tokens["mask"], parts: AccessParts): AccessPeople | null {
  if (!config) return null;
  const { team, aud, people } = JSON.parse(config) as Record<string, unknown>;
  if (typeof team !== "string" || !/^https:\/\/[a-z0-9.-]+$/.test(team))
    throw new TypeError("ACCESS: team is no https address");
  if (typeof aud !== "string" || aud === "") throw new TypeError("ACCESS: aud is no text");
  if (!Array.isArray(people)) throw new TypeError("ACCESS: people is no list");
  return new AccessPeople({ team, aud, people: people.map((person) => parsePerson(person, mask)) }, parts);
}

function parsePerson(entry: Record<string, unknown>, mask: Tokens["mask"]): Person {
  const { email, service } = entry;
  const name = email ?? service;
  if (typeof name !== "string" || (email === undefined) === (service === undefined)) {
    throw new TypeError("ACCESS: each of the people has either an email or a service");
  }
  if (email !== undefined && !/^(\*|[^*@\s]+)@[^*@\s]+$/.test(name))
    throw new TypeError(`ACCESS: ${name} is no address`);
  return { by: email === undefined ? "service" : "email", name: name.toLowerCase(), grant: parseGrant(entry, mask) };
}
