/**
 * What is written down of each statement: whose it was, which, what it read, what came of it. Not its text, which may name
 * people: its hash, so that the same statement is known again, before its parameters are bound.
 */
import type { StatementStats } from "../engine/statement.ts";

export interface AuditEntry {
  readonly log: "sql";
  /** The beginnings of two hashes, hexadecimal. */
  readonly token: string;
  readonly statement: string;
  readonly status: number;
  /** Of a problem document; null for an answer. */
  readonly reason: string | null;
  readonly bytes_read: number;
  readonly rows: number;
  readonly elapsed_ms: number;
}

export type Audit = (entry: AuditEntry) => void;

const TOKEN_DIGITS = 12;
const STATEMENT_BYTES = 8;

/** To be called before the answer is read. */
export async function auditStatement(audit: Audit, token: string, sql: string, answer: Response, elapsedMs: number) {
  const { status, ok, headers } = answer;
  const copy = ok ? null : answer.clone();
  const stats = JSON.parse(headers.get("x-eventpile-stats") ?? "{}") as Partial<StatementStats>;
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(sql)));
  const document = copy && ((await copy.json()) as { reason?: string });
  audit({
    log: "sql",
    token: token.slice(0, TOKEN_DIGITS),
    statement: hex(hash.subarray(0, STATEMENT_BYTES)),
    status,
    reason: document?.reason ?? null,
    bytes_read: stats.bytes_read ?? 0,
    rows: stats.rows ?? 0,
    elapsed_ms: elapsedMs,
  });
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
