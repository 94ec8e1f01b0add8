/** What Iceberg's REST clients are told when something is not so: their own error shape instead of a problem document. */
import type { Rejection } from "../problem.ts";
import { Refused } from "./parameters.ts";

/** Names of exceptions by which clients tell errors apart. */
const ERRORS = {
  BadRequestException: 400,
  NotAuthorizedException: 401,
  ForbiddenException: 403,
  NoSuchNamespaceException: 404,
  NoSuchTableException: 404,
  NotFoundException: 404,
  UnsupportedOperationException: 406,
  ServiceUnavailableException: 503,
} as const;

export type IcebergError = keyof typeof ERRORS;

export function icebergError(type: IcebergError, message: string): Response {
  const code = ERRORS[type];
  const headers = new Headers({ "cache-control": "no-store" });
  if (code === 401) headers.set("www-authenticate", 'Bearer realm="eventpile"');
  if (code === 503) headers.set("retry-after", "5");
  return Response.json({ error: { message, type, code } }, { status: code, headers });
}

/** An error that a route threw. What is not a refusal may be gone in a moment: a part behind the edge failed. */
export function icebergFailure(error: Error): Response {
  if (error instanceof Refused) return icebergError(...refusal(error.rejection));
  console.error(JSON.stringify({ reason: "iceberg", error: String(error), stack: error.stack }));
  return icebergError("ServiceUnavailableException", "A part that answers this is not there right now");
}

function refusal(rejection: Rejection): [IcebergError, string] {
  switch (rejection.reason) {
    case "missing_token":
      return ["NotAuthorizedException", "A token is needed"];
    case "unknown_token":
      return ["NotAuthorizedException", "This token is not known"];
    case "missing_scope":
      return ["ForbiddenException", `This token may not do that: it lacks the scope ${rejection.scope}`];
    case "too_busy":
    case "store_unavailable":
    case "upstream_unavailable":
      return ["ServiceUnavailableException", "A part that answers this is not there right now"];
    default:
      return ["BadRequestException", rejection.reason];
  }
}
