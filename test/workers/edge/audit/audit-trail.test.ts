import fc from "fast-check";
import { Hono } from "hono";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { AUDIT } from "../../../../r2-layout/limits.ts";
import { parseLogLine } from "../../../../r2-layout/log-line.ts";
import { subjectHasher } from "../../../../r2-layout/subjects.ts";
import { addAudit } from "../../../../workers/edge/audit/audit-routes.ts";
import { AUDIT_SOURCE } from "../../../../workers/edge/audit/audit-source.ts";
import { AuditTrail } from "../../../../workers/edge/audit/audit-trail.ts";
import type { KeptEvent } from "../../../../workers/edge/parse-events.ts";
import { parseWriteKeys } from "../../../../workers/edge/write-keys.ts";
import type { Reader } from "../../../../workers/tokens.ts";

const hash = subjectHasher("key");
const ann: Reader = {
  hash: "abcdef0123456789".repeat(4),
  grant: { name: null, scopes: new Set(["support"]), sources: null, expiresAt: null },
};

let nowMs: number;
let failing: number;
let sends: number;
let waits: number[];
let sent: Record<string, string>[];
let trail: AuditTrail;
beforeEach(() => {
  [nowMs, failing, sends, waits, sent] = [1_800_000_000_000, 0, 0, [], []];
  let drawn = 0;
  trail = new AuditTrail({
    sender: {
      send: async (events: readonly KeptEvent[], source: string) => {
        sends++;
        if (failing-- > 0) return events;
        for (const { line, quarantine, names } of events) {
          const { row } = parseLogLine(line);
          expect({ source, of: row.source, name: row.event_name, quarantine, names }).toEqual({
            source: AUDIT_SOURCE,
            of: AUDIT_SOURCE,
            name: "audit",
            quarantine: undefined,
            names: [],
          });
          sent.push(row.properties as Record<string, string>);
        }
        return [];
      },
    },
    homeOf: () => 0,
    hash,
    random: () => String(drawn++).padStart(32, "0"),
    now: () => nowMs * 1_000,
    wait: async (ms) => void waits.push(ms),
  });
});

async function asked(
  path: string,
  init: RequestInit = {},
  more: { statement?: string; users?: string[]; reader?: Reader } = {},
) {
  const request = new Request(`https://edge.example${path}`, init);
  trail.note(request, { reader: more.reader ?? ann });
  if (more.statement !== undefined) trail.note(request, { statement: more.statement });
  if (more.users) trail.note(request, { subjects: more.users.map((id) => ({ kind: "user", id })) });
  await trail.write(request, 200);
  return sent.at(-1);
}
const POST = { method: "POST", body: "{}" };

describe("the audit trail", () => {
  it("says who looked at whom, without the id", async () => {
    const entry = await asked("/v1/users/ann%2F%F0%9F%98%80%20b/events?limit=3");
    expect(entry).toEqual({
      reader: "abcdef012345",
      action: "GET /v1/users/{id}/events",
      status: "200",
      subjects: hash({ kind: "user", id: "ann/\u{1f600} b" }),
    });
    expect((await asked("/v1/devices/phone"))?.subjects).toBe(hash({ kind: "device", id: "phone" }));
    expect((await asked("/v1/devices/%zz"))?.subjects).toBe(hash({ kind: "device", id: "%zz" }));
    const found = await asked("/v1/lookup?q=%20Ann%40x.example");
    expect(found?.subjects?.split(" ")).toEqual([
      hash({ kind: "user", id: "Ann@x.example" }),
      hash({ kind: "device", id: "Ann@x.example" }),
      hash({ kind: "email", id: "ann@x.example" }),
    ]);
    expect(found?.action).toBe("GET /v1/lookup");
    expect(JSON.stringify(sent)).not.toMatch(/ann|phone/i);
  });

  it("says by what name a reader is known", async () => {
    const reader = { ...ann, grant: { ...ann.grant, name: "Grafana" } };
    expect(await asked("/v1/users/x/profile", {}, { reader })).toMatchObject({ name: "Grafana" });
  });

  it.each([
    ["/v1/replays", POST, true],
    ["/v1/erasures/e1/confirm", POST, true],
    ["/v1/dashboards/d", { method: "PUT", body: "{}" }, true],
    ["/v1/quarantine", {}, true],
    ["/v1/violations/samples", {}, true],
    ["/iceberg/v1/namespaces/eventpile/tables/events", {}, true],
    ["/v1/ledger", {}, false],
    ["/v1/operations", {}, false],
    ["/v1/token", {}, false],
    ["/v1/sql/abc", { method: "DELETE" }, false],
    ["/v1/statement/executing/a/b/1", {}, false],
    ["/iceberg/v1/namespaces", {}, false],
    ["/v1/users/x/events", { method: "HEAD" }, false],
  ] as const)("has %s with %j: %s", async (path, init, isWritten) => {
    await asked(path, init);
    expect(sent).toHaveLength(isWritten ? 1 : 0);
  });

  it("has nobody who was not let in", async () => {
    await trail.write(new Request("https://edge.example/v1/users/x/events"), 401);
    expect(sends).toBe(0);
  });

  it("has a statement without any text of it, however it is quoted", async () => {
    const mark = fc.constantFrom("a", "'", '"', "$", "\\", "-", "/", "*", ";", "\n", "é");
    const secret = fc.string({ unit: mark }).map((text) => `secret${text}secret`);
    const texts = secret.chain((text) =>
      fc.constantFrom(
        `'${text.replaceAll("'", "''")}'`,
        `e'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`,
        ...(text.includes("$") ? [] : [`$$${text}$$`, `$q$${text}$q$`]),
        `-- ${text.replaceAll("\n", "")}\n`,
        `/* ${text.replaceAll("*/", "").replaceAll("/*", "")} */`,
        `/* ${text.replaceAll("*/", "")} /* nested */ secret */`,
        `"${text.replaceAll('"', '""')}@"`,
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(texts, { minLength: 1, maxLength: 4 }), async (list) => {
        const statement = `select ${list.join(" , ")} from events`;
        nowMs += AUDIT.againMs;
        const entry = await asked("/v1/sql", POST, { statement });
        expect(entry?.statement, statement).not.toContain("secret");
        expect(entry?.statement).toMatch(/^select/);
      }),
      { numRuns: 1_000 },
    );
  });

  it("has AUDIT.statementChars of a statement, of its first AUDIT.statementRead", async () => {
    const columns = "c, ".repeat(AUDIT.statementChars);
    expect((await asked("/v1/sql", POST, { statement: columns }))?.statement).toHaveLength(AUDIT.statementChars);
    const commented = `/*${"x".repeat(AUDIT.statementRead - 9)}*/select 1234567`;
    expect((await asked("/v1/sql", POST, { statement: commented }))?.statement).toBe("selec");
  });

  it("names AUDIT.subjects people at most", async () => {
    const users = Array.from({ length: AUDIT.subjects + 1 }, (_, i) => `u${i}`);
    const of = async (list: string[]) =>
      (await asked("/v1/profiles", POST, { users: list }))?.subjects?.split(" ").length;
    expect(await of(users.slice(1))).toBe(AUDIT.subjects);
    expect(await of(users)).toBe(AUDIT.subjects);
  });

  it("counts the same question of the same reader once in AUDIT.againMs", async () => {
    await asked("/v1/users/x/events?limit=1");
    nowMs += AUDIT.againMs - 1;
    await asked("/v1/users/x/events?limit=2");
    expect(sends).toBe(1);
    await asked("/v1/users/y/events");
    await asked("/v1/users/x/events", {}, { reader: { ...ann, hash: "f".repeat(64) } });
    expect(sends).toBe(3);
    nowMs += 1;
    await asked("/v1/users/x/events");
    expect(sends).toBe(4);
  });

  it("remembers AUDIT.remembered questions", async () => {
    for (let i = 0; i < AUDIT.remembered; i++) await asked(`/v1/users/u${i}/events`);
    await asked("/v1/users/u0/events");
    expect(sends).toBe(AUDIT.remembered);
    await asked("/v1/users/one more/events");
    await asked("/v1/users/u0/events");
    expect(sends).toBe(AUDIT.remembered + 2);
  });

  it("is sent AUDIT.attempts times where queues fail, each a while after the other, and then told of in the Worker's log", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    failing = AUDIT.attempts - 1;
    await asked("/v1/users/x/events");
    expect(sent).toHaveLength(1);
    expect(waits).toEqual([AUDIT.againAfterMs, 2 * AUDIT.againAfterMs]);
    expect(log).not.toHaveBeenCalled();
    failing = AUDIT.attempts;
    sends = 0;
    await asked("/v1/users/y/events");
    expect([sends, sent.length]).toEqual([AUDIT.attempts, 1]);
    expect(log.mock.calls[0]?.[0]).toContain("GET /v1/users/{id}/events");
    log.mockRestore();
  });

  it("belongs to no write key", () => {
    expect(() => parseWriteKeys(JSON.stringify({ k: AUDIT_SOURCE }))).toThrow("audit trail");
  });
});

describe("GET /v1/audit", () => {
  let statement: string;
  const app = new Hono();
  const row = ["2026-11-23T01:02:03Z", "abc", null, "GET /v1/sql", "200", "h1 h2", null];
  addAudit(app, {
    query: {
      fetch: async (request) => {
        statement = ((await request.json()) as { sql: string }).sql;
        return Response.json({ columns: [], rows: [row] });
      },
    },
    hash,
    now: () => Date.parse("2026-11-23T12:00:00Z") * 1_000,
    admin: () => "t",
  });
  const ask = (query: string) => app.request(`https://edge.example/v1/audit${query}`);

  it("is told AUDIT.entriesDefault at a time, or up to AUDIT.entriesMax, of AUDIT.lookedBackMs or of the time that is asked", async () => {
    const entry = { at: row[0], reader: "abc", name: null, action: "GET /v1/sql", status: 200 };
    expect(await (await ask("")).json()).toEqual({ entries: [{ ...entry, subjects: ["h1", "h2"], statement: null }] });
    expect(statement).toContain(`limit ${AUDIT.entriesDefault}`);
    const firstDay = 23 - AUDIT.lookedBackMs / 86_400_000;
    expect(statement).toContain(`event_time >= TIMESTAMP '2026-11-${firstDay} 12:00:00.000'`);
    await ask(`?limit=${AUDIT.entriesMax}&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z`);
    expect(statement).toContain("event_time < TIMESTAMP '2026-01-02 00:00:00.000'");
    expect(statement).toContain(`limit ${AUDIT.entriesMax}`);
  });

  it("asks for people by their hash, and for a reader by theirs", async () => {
    await ask(`?user=${encodeURIComponent("o'hara")}&device=d&reader=${"ab".repeat(32)}`);
    expect(statement).toContain(hash({ kind: "user", id: "o'hara" }));
    expect(statement).toContain(hash({ kind: "device", id: "d" }));
    expect(statement).toContain(`= '${"ab".repeat(6)}'`);
    expect(statement).not.toContain("o'hara");
  });
});
