/** What the audit trail says, for who has the scope `admin`: it is asked of the lake, so it is as old as the lake's newest file. */
import type { Hono } from "hono";
import { AUDIT } from "../../../r2-layout/limits.ts";
import { sqlText, sqlTime } from "../../../r2-layout/sql-text.ts";
import type { SubjectHasher } from "../../../r2-layout/subjects.ts";
import { MICROS_PER_MS, parseTime } from "../../../r2-layout/time.ts";
import { askSql } from "../ask-sql.ts";
import type { Fetches } from "../env.ts";
import { badParameter, countParameter } from "../parameters.ts";
import { AUDIT_SOURCE } from "./audit-source.ts";
import { AUDIT_EVENT, READER_DIGITS } from "./audit-trail.ts";

export interface AuditRoutes {
  readonly query: Fetches;
  readonly hash: SubjectHasher;
  /** Microseconds. */
  readonly now: () => number;
  /** @returns the hash of the token. @throws Refused */
  readonly admin: (request: Request) => string;
}

const MEMBERS = ["reader", "name", "action", "status", "subjects", "statement"] as const;

export function addAudit(app: Hono, { query, hash, now, admin }: AuditRoutes): void {
  app.get("/v1/audit", async (c) => {
    const token = admin(c.req.raw);
    const { searchParams } = new URL(c.req.url);
    const limit = countParameter(searchParams, "limit", { fallback: AUDIT.entriesDefault, max: AUDIT.entriesMax });
    const time = (name: string, fallbackMs: number): number => {
      const text = searchParams.get(name);
      const at = text === null ? fallbackMs * MICROS_PER_MS : parseTime(text);
      if (at === null) throw badParameter(name, "a time, as 2026-01-31T12:00:00Z");
      return at / MICROS_PER_MS;
    };
    const nowMs = now() / MICROS_PER_MS;
    const [from, to] = [time("from", nowMs - AUDIT.lookedBackMs), time("to", nowMs + 1)];
    const conditions = [
      `source = '${AUDIT_SOURCE}'`,
      `event_name = '${AUDIT_EVENT}'`,
      `event_time >= ${sqlTime(from)}`,
      `event_time < ${sqlTime(to)}`,
    ];
    for (const kind of ["user", "device"] as const) {
      const id = searchParams.get(kind);
      if (id) conditions.push(`contains(coalesce(prop(properties, 'subjects'), ''), '${hash({ kind, id })}')`);
    }
    const reader = searchParams.get("reader");
    if (reader !== null) {
      if (!/^[0-9a-f]+$/.test(reader))
        throw badParameter("reader", `the first ${READER_DIGITS} digits of a token's hash`);
      conditions.push(`prop(properties, 'reader') = ${sqlText(reader.slice(0, READER_DIGITS))}`);
    }
    const { rows } = await askSql(
      query,
      c.req.url,
      token,
      `select event_time, ${MEMBERS.map((name) => `prop(properties, '${name}')`).join(", ")} from events
        where ${conditions.join(" and ")} order by event_time desc, event_id limit ${limit}`,
    );
    return c.json({ entries: rows.map(entryJson) }, 200, { "cache-control": "no-store" });
  });
}

function entryJson([at, ...values]: readonly unknown[]): Record<string, unknown> {
  const members = MEMBERS.map((name, i): [string, unknown] => [name, values[i] ?? null]);
  const { subjects, status, ...rest } = Object.fromEntries(members);
  return { at, ...rest, status: Number(status), subjects: typeof subjects === "string" ? subjects.split(" ") : [] };
}
