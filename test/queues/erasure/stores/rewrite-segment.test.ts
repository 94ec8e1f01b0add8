import { describe, expect, it } from "vitest";
import { rewriteSegment, subjectsOfLines } from "../../../../queues/erasure/stores/rewrite-segment.ts";
import type { DerivedEvent } from "../../../../r2-layout/event-columns.ts";
import { LOG_ERASURE } from "../../../../r2-layout/limits.ts";
import { formatLogLine, parseLogLine } from "../../../../r2-layout/log-line.ts";
import { type Rule, type RuleAt, rulesReader } from "../../../../r2-layout/rule.ts";
import { decodeSegment, decodeSegmentLines, encodeSegment } from "../../../../r2-layout/segment.ts";
import { packSubjects, type Subject, subjectHasher, unpackPrefixes } from "../../../../r2-layout/subjects.ts";

const hash = subjectHasher("a key of tests");
const ADA: Subject = { kind: "user", id: "ada" };
const PHONE: Subject = { kind: "device", id: "phone-1" };
const AT = { shard: 0, seq: 3 };

const line = (row: Partial<DerivedEvent>, raw: Record<string, unknown> = {}) =>
  formatLogLine({
    row: { event_id: "e", event_name: "x", event_type: "track", source: "shop", event_time: 1, received_at: 2, ...row },
    d: 1,
    raw,
  });

const ruleAt = (version: number, filter: Rule["filter"], change: Rule["change"]): RuleAt => ({
  ...{ version, id: `rule-${version}`, createdAt: 0, seq: 9 },
  filter,
  change,
});
const erasing = (version: number, ...people: Subject[]) =>
  ruleAt(version, { subjects: packSubjects(people.map(hash)) }, { kind: "erase" });

function rewritten(lines: readonly string[], people: readonly Subject[], rules: readonly RuleAt[]) {
  const isSought = (subject: Subject) => people.some(({ kind, id }) => kind === subject.kind && id === subject.id);
  const rewriting = { isSought, hash, at: AT, through: rulesReader(rules, hash) };
  return rewriteSegment(encodeSegment(lines), 0, rewriting);
}

describe("a line of an event that a correction has given to somebody else (promises 4 and 7)", () => {
  const lines = [
    line({ user_id: "ada", anonymous_id: "phone-1" }, { userId: "ada", deep: [{ who: "ada" }] }),
    line({ user_id: "bob", anonymous_id: "phone-2" }, { userId: "bob" }),
    line({ user_id: "ada" }, { userId: "ada" }),
  ];
  const given = ruleAt(
    1,
    { where: { user_id: ["ada"], anonymous_id: ["phone-1"] } },
    { kind: "set", values: { user_id: "bob" } },
  );
  const rules = [given, erasing(2, ADA)];

  it("stays, without the name, and is read as before by every rule; the others about the person become marks", () => {
    const read = rulesReader(rules, hash);
    const before = decodeSegment(encodeSegment(lines), AT).events.map(read);
    const { body, erased } = rewritten(lines, [ADA], rules)!;
    const left = decodeSegmentLines(body);
    expect(erased).toBe(2);
    expect(left.join("\n")).not.toContain("ada");
    expect(left[1]).toBe(lines[1]);
    const events = decodeSegment(body, AT).events;
    expect(events.map(read)).toEqual([before[0], before[1]]);
    expect(before[2]).toBeNull();
    expect(parseLogLine(left[0]!).raw).toEqual({
      userId: expect.stringMatching(/^erased:/),
      deep: [{ who: expect.stringMatching(/^erased:/) }],
    });
  });

  it("also by rules in which the name has given way to its placeholder", () => {
    const { body } = rewritten(lines, [ADA], rules)!;
    const placeholder = parseLogLine(decodeSegmentLines(body)[0]!).row.user_id as string;
    const redacted = ruleAt(1, { where: { user_id: [placeholder], anonymous_id: ["phone-1"] } }, given.change);
    const [event] = decodeSegment(body, AT).events;
    expect(rulesReader([redacted, erasing(2, ADA)], hash)(event!)).toMatchObject({ user_id: "bob" });
    expect(
      rulesReader([redacted, erasing(2, ADA)], hash)(decodeSegment(encodeSegment(lines), AT).events[0]!),
    ).toMatchObject({ user_id: "bob" });
  });

  it("goes once its new owner is erased, too", () => {
    const once = rewritten(lines, [ADA], rules)!.body;
    const both = [...rules, erasing(3, { kind: "user", id: "bob" }, PHONE)];
    const events = decodeSegment(once, AT).events;
    expect(events.map(rulesReader(both, hash))).toEqual([null, null]);
  });

  it("is a mark where the event is still about the person by another name", () => {
    const { body } = rewritten(lines, [ADA, PHONE], [given, erasing(2, ADA, PHONE)])!;
    expect(decodeSegmentLines(body).map((one) => one.startsWith('{"erased"'))).toEqual([true, false, true]);
  });
});

it("says whom its lines may name up to LOG_ERASURE.prefixesKept of them, and nothing of more", () => {
  // Nobody has hashes here but by the text: a number each, so that none has the prefix of another.
  let known = 0;
  const texts = new Map<string, number>();
  const counted = ({ kind, id }: Subject) => {
    const text = `${kind} ${id}`;
    const number = texts.get(text) ?? known++;
    texts.set(text, number);
    return number.toString(16).padStart(8, "0").padEnd(32, "0");
  };
  const most = Array.from({ length: LOG_ERASURE.prefixesKept / 2 }, (_, i) =>
    line({ user_id: `u${i}`, anonymous_id: `d${i}` }),
  );
  const kept = subjectsOfLines(encodeSegment(most), counted);
  expect(unpackPrefixes(kept!)).toHaveLength(LOG_ERASURE.prefixesKept);
  expect(subjectsOfLines(encodeSegment([...most, line({ user_id: "one more" })]), counted)).toBeUndefined();
});
