/**
 * Who looked at whom, and who ran what: an event of our own for each question about a person, each statement and each change,
 * sent the way of all events, so it is kept in the log and the lake as long as they are, and answers to SQL:
 *
 *     source `eventpile.audit`, event_name `audit`, properties:
 *       reader     the first 12 digits of the hash that names the token or the person
 *       name       what its grant is called: an address where Cloudflare Access signed somebody in; absent: it has no name
 *       action     method and address, without an id in it: `GET /v1/users/{id}/events`
 *       status     of the answer
 *       subjects   whom it was about, as keyed hashes, between blanks: nobody reads an id out of the trail, and an erased person
 *                  needs no erasure in it
 *       statement  what was run, with every text in it replaced by '?', because a text may name somebody
 *
 * It is sent after the answer: a queue that is down keeps nobody from helping a customer. What could not be sent is in the Worker's
 * log. Pages ask again and again what is new, so the same question of the same reader counts once a minute in each isolate.
 */

import { normalizeEmail } from "../../../r2-layout/email.ts";
import { AUDIT } from "../../../r2-layout/limits.ts";
import type { SubjectHasher, SubjectKind } from "../../../r2-layout/subjects.ts";
import type { Reader } from "../../tokens.ts";
import type { EventSender } from "../event-sender.ts";
import { type HomeOf, parseEvents, readBody } from "../parse-events.ts";
import { AUDIT_SOURCE } from "./audit-source.ts";

export const AUDIT_EVENT = "audit";
export const READER_DIGITS = 12;

export interface AuditParts {
  readonly sender: Pick<EventSender, "send">;
  readonly homeOf: HomeOf;
  readonly hash: SubjectHasher;
  /** 32 hexadecimal digits, new with each call. */
  readonly random: () => string;
  /** Microseconds. */
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
}

/** Somebody whom a question is about, as it says; an e-mail address as `normalizeEmail` gives it. */
export interface Subject {
  readonly kind: SubjectKind;
  readonly id: string;
}

interface Question {
  reader?: Reader;
  statement?: string;
  subjects?: readonly Subject[];
}

export class AuditTrail {
  readonly #parts: AuditParts;
  readonly #questions = new WeakMap<Request, Question>();
  /** When the same was last written down, milliseconds; the longest ago first. */
  readonly #lately = new Map<string, number>();

  constructor(parts: AuditParts) {
    this.#parts = parts;
  }

  /** What is known of a request by now. */
  note(request: Request, question: Question): void {
    this.#questions.set(request, { ...this.#questions.get(request), ...question });
  }

  /** @returns when it is on its queue, or given up; null where nothing is to be written down. Never throws. */
  write(request: Request, status: number): Promise<void> | null {
    const { reader, statement, subjects = [] } = this.#questions.get(request) ?? {};
    const action = actionOf(request);
    if (!reader || !action) return null;
    const properties: Record<string, string> = {
      reader: reader.hash.slice(0, READER_DIGITS),
      action: action.name,
      status: String(status),
    };
    if (reader.grant.name !== null) properties.name = reader.grant.name;
    const named = [...action.subjects, ...subjects]
      .slice(0, AUDIT.subjects)
      .map((subject) => this.#parts.hash(subject));
    if (named.length > 0) properties.subjects = named.join(" ");
    if (statement !== undefined) properties.statement = withoutTexts(statement).slice(0, AUDIT.statementChars);
    return this.#isRepeated(JSON.stringify(properties)) ? null : this.#send(properties);
  }

  #isRepeated(text: string): boolean {
    const now = this.#parts.now() / 1_000;
    const before = this.#lately.get(text);
    if (before !== undefined && now - before < AUDIT.againMs) return true;
    this.#lately.delete(text);
    this.#lately.set(text, now);
    if (this.#lately.size > AUDIT.remembered) this.#lately.delete(this.#lately.keys().next().value!);
    return false;
  }

  async #send(properties: Readonly<Record<string, string>>): Promise<void> {
    const { sender, homeOf, random, now, wait } = this.#parts;
    const receivedAt = now();
    const call = { event: AUDIT_EVENT, messageId: `audit-${random()}`, properties };
    const body = readBody(new TextEncoder().encode(JSON.stringify(call)), "track");
    const facts = { ...NOWHERE, receivedAt };
    const unsent = body.ok ? parseEvents(body.value, facts, homeOf, random).kept : [];
    for (let attempt = 1; ; attempt++) {
      const left = await sender.send(unsent, AUDIT_SOURCE, receivedAt);
      if (left.length === 0 && body.ok) return;
      if (attempt === AUDIT.attempts || !body.ok) break;
      await wait(AUDIT.againAfterMs * attempt);
    }
    console.error(JSON.stringify({ at: "audit", unsent: properties }));
  }
}

/** The Worker itself asks, from nowhere in particular. */
const NOWHERE = {
  source: AUDIT_SOURCE,
  country: null,
  region: null,
  city: null,
  address: null,
  userAgent: null,
  idempotencyKey: null,
  call: "track",
} as const;

interface Action {
  readonly name: string;
  /** Whom the address names. */
  readonly subjects: readonly Subject[];
}

const OF_SUBJECT = /^\/v1\/(users|devices)\/([^/]+)(\/.*)?$/;
/** What is read there are rows, or whole files of them; a figure, a list of jobs or a setting is nobody's. */
const ROWS = /^\/v1\/(lookup|violations|quarantine)(\/|$)|^\/iceberg\/v1\/namespaces\/[^/]+\/tables\/[^/]+/;
/** Looking after a statement that was written down when it began. */
const OF_STATEMENT = /^\/v1\/(sql|statement|query)\/./;

/** Null: not written down. */
function actionOf({ method, url }: Request): Action | null {
  if (method === "OPTIONS" || method === "HEAD") return null;
  const { pathname, searchParams } = new URL(url);
  if (OF_STATEMENT.test(pathname)) return null;
  const [, kind, id, rest = ""] = OF_SUBJECT.exec(pathname) ?? [];
  if (kind !== undefined) {
    const subject = { kind: kind === "users" ? "user" : "device", id: decoded(id!) } as const;
    return { name: `${method} /v1/${kind}/{id}${rest}`, subjects: [subject] };
  }
  if (method === "GET" && !ROWS.test(pathname)) return null;
  const sought = pathname === "/v1/lookup" ? (searchParams.get("q")?.trim() ?? "") : "";
  return { name: `${method} ${pathname}`, subjects: sought === "" ? [] : meant(sought) };
}

/** Whom a text may mean that nobody says more of. */
function meant(text: string): Subject[] {
  const address = normalizeEmail(text);
  const email = address === null ? [] : [{ kind: "email", id: address } as const];
  return [{ kind: "user", id: text }, { kind: "device", id: text }, ...email];
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** In one go from left to right, as what opens first decides: comments, names in quotes, texts (plain, with escapes, in dollars). */
const QUOTED =
  /--[^\n\r]*|\/\*(?:(?!\/\*)[\s\S])*?\*\/|\/\*[\s\S]*|"(?:[^"]|"")*(?:"|$)|\$(?<tag>\w*)\$[\s\S]*?(?:\$\k<tag>\$|$)|(?<![\p{L}\p{N}_])e'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)|'(?:[^']|'')*(?:'|$)/giu;

/** Comments go, too: they are texts that nobody runs. From one within another on, everything goes. */
const withoutTexts = (sql: string): string =>
  sql
    .slice(0, AUDIT.statementRead)
    .replaceAll(QUOTED, (quoted) => {
      if (/^(--|\/\*)/.test(quoted)) return " ";
      if (quoted.startsWith('"')) return /^"[\w ]*"$/.test(quoted) ? quoted : '"?"';
      return "'?'";
    })
    .replaceAll(/\s+/g, " ")
    .trim();
