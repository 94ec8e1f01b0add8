import { expect, it } from "vitest";
import { type AuditEntry, auditStatement } from "../../../../workers/query/gate/audit.ts";
import { problem } from "../../../../workers/query/problem.ts";

async function entryOf(sql: string, answer: Response): Promise<AuditEntry> {
  const entries: AuditEntry[] = [];
  await auditStatement((entry) => entries.push(entry), "ab".repeat(32), sql, answer, 12);
  return entries[0]!;
}

it("writes down whose a statement was, which, what it read, and what came of it; not its text", async () => {
  const stats = JSON.stringify({ bytes_read: 70, rows: 3 });
  const answer = new Response("{}", { headers: { "x-eventpile-stats": stats } });
  const entry = await entryOf("select 'somebody@example.com'", answer);
  expect(entry).toMatchObject({
    log: "sql",
    token: "abababababab",
    status: 200,
    reason: null,
    bytes_read: 70,
    rows: 3,
  });
  expect(entry.elapsed_ms).toBe(12);
  expect(JSON.stringify(entry)).not.toContain("somebody");
  // The answer is still the client's to read.
  expect(await answer.text()).toBe("{}");
});

it("knows the same statement again, and why one was refused, whose document goes to the client as well", async () => {
  const refused = problem({ reason: "engine_busy", retry_after_s: 1 });
  const [one, same, other] = await Promise.all([
    entryOf("select 1", refused),
    entryOf("select 1", new Response("{}")),
    entryOf("select 2", new Response("{}")),
  ]);
  expect(one).toMatchObject({ status: 503, reason: "engine_busy" });
  expect(one.statement).toMatch(/^[0-9a-f]{16}$/);
  expect(same.statement).toBe(one.statement);
  expect(other.statement).not.toBe(one.statement);
  expect(await refused.json()).toMatchObject({ reason: "engine_busy" });
});
