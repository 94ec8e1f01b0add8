/** Where undeclared PII was found; and what was encrypted under a person's key, made readable again while there is the key. */
import type { Hono } from "hono";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { PII_AUDIT_NAME, type PiiAuditApi } from "../../../durable-objects/pii-audit/api.ts";
import { type PiiKeyApi, userKeyName } from "../../../durable-objects/pii-key/api.ts";
import { unsealed } from "../../../r2-layout/contracts/sealed-text.ts";
import { PII } from "../../../r2-layout/limits.ts";
import { type Subject, subjectHasher } from "../../../r2-layout/subjects.ts";
import { problem } from "../../problem.ts";
import { readJsonBody } from "../json-body.ts";
import { badParameter, countParameter } from "../parameters.ts";
import { piiJson } from "./pii-json.ts";

export interface PrivacyRoutes {
  readonly keys: ObjectNamespace<Pick<PiiKeyApi, "peek">>;
  readonly audits: ObjectNamespace<Pick<PiiAuditApi, "report">>;
  readonly identityKey: string;
  /** @throws Refused where the token may not. */
  readonly admin: (request: Request) => void;
}

const MEMBERS = ["user_id", "anonymous_id", "values"];

export function addPrivacy(app: Hono, { keys, audits, identityKey, admin }: PrivacyRoutes): void {
  app.get("/v1/pii/findings", async (c) => {
    admin(c.req.raw);
    const range = { fallback: PII.reportDays, max: PII.auditDays };
    const days = countParameter(new URL(c.req.url).searchParams, "days", range);
    return c.json(piiJson(await audits.getByName(PII_AUDIT_NAME).report(days)));
  });
  const hash = subjectHasher(identityKey);
  app.post("/v1/pii/reveal", async (c) => {
    admin(c.req.raw);
    const body = await readJsonBody(c.req.raw, PII.revealBytes, MEMBERS);
    const values = valuesOf(body.values);
    const key = await keys.getByName(userKeyName(hash(personOf(body)))).peek();
    if (!key) return problem({ reason: "not_found" });
    return c.json({ values: values.map((text) => unsealed(text, key)) }, 200, { "cache-control": "no-store" });
  });
}

/** @throws Refused */
function personOf({ user_id, anonymous_id }: Readonly<Record<string, unknown>>): Subject {
  if (typeof user_id === "string" && user_id !== "" && anonymous_id === undefined) return { kind: "user", id: user_id };
  if (typeof anonymous_id === "string" && anonymous_id !== "" && user_id === undefined) {
    return { kind: "device", id: anonymous_id };
  }
  throw badParameter("user_id", "the user of the events, or else anonymous_id, for events without a user");
}

/** @throws Refused */
function valuesOf(given: unknown): string[] {
  const isList = Array.isArray(given) && given.length > 0 && given.length <= PII.revealed;
  if (!isList || !given.every((value) => typeof value === "string")) {
    throw badParameter("values", `1 to ${PII.revealed} texts, as they stand in the events`);
  }
  return given as string[];
}
