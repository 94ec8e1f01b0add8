/**
 * The token endpoint that Iceberg's clients expect (OAuth2, client credentials): whoever has a bearer token of ours names
 * it as the client's secret and is given it back. That adds no way in; it only speaks the clients' language. A client
 * that wants to renew its token (token exchange) is given the same one.
 */
import { ICEBERG } from "../../r2-layout/limits.ts";
import { authorize, type Tokens } from "../tokens.ts";
import { readBytes } from "./body.ts";

const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const LIMITS = { bodyBytes: ICEBERG.tokenRequestBytes, inflatedBytes: ICEBERG.tokenRequestBytes };

type OAuthError = "invalid_request" | "invalid_client" | "unsupported_grant_type" | "unauthorized_client";

export async function answerTokenRequest(request: Request, tokens: Tokens): Promise<Response> {
  const body = await readBytes(request, LIMITS);
  if (!body.ok) return refused("invalid_request", body.error.reason);
  const form = new URLSearchParams(new TextDecoder().decode(body.value));
  const grant = form.get("grant_type");
  if (grant !== "client_credentials" && grant !== "urn:ietf:params:oauth:grant-type:token-exchange") {
    return refused("unsupported_grant_type", "client_credentials, with a bearer token as the client's secret");
  }
  const secret = form.get(grant === "client_credentials" ? "client_secret" : "subject_token") ?? basicSecret(request);
  const allowed = authorize(tokens, secret, "raw");
  if (!allowed.ok) {
    const isKnown = allowed.error.reason === "missing_scope";
    return refused(isKnown ? "unauthorized_client" : "invalid_client", allowed.error.reason);
  }
  return Response.json(
    { access_token: secret, token_type: "bearer", issued_token_type: ACCESS_TOKEN },
    { headers: NOT_STORED },
  );
}

const NOT_STORED = { "cache-control": "no-store" };

function refused(error: OAuthError, description: string): Response {
  const status = error === "invalid_client" ? 401 : 400;
  return Response.json({ error, error_description: description }, { status, headers: NOT_STORED });
}

/** Client and secret in the header: the other way that the standard has. */
function basicSecret(request: Request): string | null {
  const encoded = /^Basic\s+([A-Za-z0-9+/=]+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (encoded === undefined) return null;
  try {
    return decodeURIComponent(atob(encoded).split(":").slice(1).join(":"));
  } catch {
    return null;
  }
}
