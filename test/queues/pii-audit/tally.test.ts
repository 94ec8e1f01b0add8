import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EnforcedContract } from "../../../durable-objects/contract-registry/api.ts";
import { declaredBy } from "../../../queues/pii-audit/declared.ts";
import { PiiTally } from "../../../queues/pii-audit/tally.ts";
import { PII } from "../../../r2-layout/limits.ts";
import type { LogLine } from "../../../r2-layout/log-line.ts";

const MAIL = "ada@example.com";

const line = (raw: Record<string, unknown>, event_name = "Paid", received_at = 1): LogLine =>
  ({ row: { source: "shop", event_name, received_at }, raw, d: 1 }) as unknown as LogLine;

function reportOf(lines: readonly LogLine[], contracts: readonly EnforcedContract[] = []) {
  const tally = new PiiTally(declaredBy(contracts));
  for (const one of lines) tally.add(one);
  return tally.report;
}
const fieldsOf = (raw: Record<string, unknown>, contracts?: readonly EnforcedContract[]) =>
  reportOf([line(raw)], contracts).findings.map(({ field, kind }) => `${field}: ${kind}`);

const contract = (treatment: string, source = "*"): EnforcedContract => ({
  eventName: "Paid",
  source,
  mode: "warn",
  document: JSON.stringify({
    "x-event": "Paid",
    "x-version": 1,
    "x-owner": "shop",
    description: "It was paid for.",
    type: "object",
    properties: { who: { type: "object", "x-pii": { class: "email", treatment } } },
  }),
});

describe("a search through events", () => {
  it("tells event, source, field and kind, how many had it, and when the newest came", () => {
    const lines = [
      line({ properties: { to: MAIL } }, "Paid", 5),
      line({ properties: { to: MAIL } }, "Paid", 3),
      line({}),
    ];
    expect(reportOf(lines)).toEqual({
      findings: [{ source: "shop", eventName: "Paid", field: "properties.to", kind: "email", events: 2, newestAt: 5 }],
      sampled: [{ source: "shop", eventName: "Paid", events: 3 }],
      left: 0,
    });
  });

  it.each([
    ["in lists", { properties: { items: [{ note: MAIL }, { note: MAIL }] } }, "properties.items[].note: email"],
    ["beside the properties", { userId: MAIL }, "userId: email"],
    [
      "in the context",
      { context: { page: { url: `https://a.example/?m=${MAIL}` } } },
      "context.page.url: email_in_url",
    ],
    ["as a number", { properties: { card: 4111111111111111 } }, "properties.card: card_number"],
    ["in the name of a field", { properties: { [MAIL]: 1 } }, "properties.*: email"],
  ])("finds it %s", (_, raw, found) => {
    expect(fieldsOf(raw)).toEqual([found]);
  });

  it("passes over what the contract in force declares and keeps, and over nothing else", () => {
    const raw = { properties: { who: { mail: MAIL } } };
    expect(fieldsOf(raw, [contract("keep")])).toEqual([]);
    expect(fieldsOf({ ...raw, userId: MAIL }, [contract("keep")])).toEqual(["userId: email"]);
    // Of a policy nothing should be left: who finds something wants to know.
    expect(fieldsOf(raw, [contract("drop")])).toEqual(["properties.who.mail: email"]);
    expect(fieldsOf(raw, [contract("keep"), contract("drop", "shop")])).toEqual(["properties.who.mail: email"]);
    expect(fieldsOf(raw, [contract("keep", "app")])).toEqual(["properties.who.mail: email"]);
  });

  it("keeps no value that it has found, wherever it stood: not in the name of an event, either", () => {
    const secret = fc.constantFrom(MAIL, "4111111111111111", "+4969123456789");
    const place = fc.array(fc.oneof(fc.constantFrom("properties", "traits", "a.b"), secret), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(secret, place, fc.boolean(), (value, path, isNamed) => {
        let raw: unknown = value;
        for (const name of path.toReversed()) raw = { [name]: raw };
        const report = reportOf([line(raw as Record<string, unknown>, isNamed ? `Paid ${value}` : "Paid")]);
        expect(report.findings.length).toBeGreaterThan(0);
        const text = JSON.stringify(report);
        for (const one of [MAIL, "4111111111111111", "+4969123456789"]) expect(text).not.toContain(one);
      }),
    );
  });
});

describe("promise 9: a search", () => {
  it("looks at PII.auditValues values of an event, and at none beyond", () => {
    // The list and the object around it are values, too.
    const items = (before: number) => [...Array.from({ length: before }, () => 1), MAIL];
    expect(fieldsOf({ items: items(PII.auditValues - 3) })).toEqual(["items[]: email"]);
    expect(fieldsOf({ items: items(PII.auditValues - 2) })).toEqual([]);
  });

  it("looks at PII.auditTextChars characters of a text", () => {
    const text = (before: number) => ({ note: `${"x".repeat(before - 1)} ${MAIL}` });
    expect(fieldsOf(text(PII.auditTextChars - MAIL.length))).toEqual(["note: email"]);
    expect(fieldsOf(text(PII.auditTextChars))).toEqual([]);
  });

  it("keeps PII.auditFindings findings, and counts the others", () => {
    const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, MAIL]));
    expect(reportOf([line(fields(PII.auditFindings))])).toMatchObject({ left: 0 });
    const beyond = reportOf([line(fields(PII.auditFindings + 1))]);
    expect([beyond.findings.length, beyond.left]).toEqual([PII.auditFindings, 1]);
  });

  it("tells PII.auditFieldChars characters of a field", () => {
    const deep = (name: string) => ({ [name]: { [name]: { [name]: MAIL } } });
    const [whole] = reportOf([line({ a: { ["b".repeat(98)]: { ["c".repeat(99)]: MAIL } } })]).findings;
    expect(whole!.field).toHaveLength(PII.auditFieldChars);
    const [cut] = reportOf([line(deep("x".repeat(90)))]).findings;
    expect(cut!.field).toHaveLength(PII.auditFieldChars);
  });
});
