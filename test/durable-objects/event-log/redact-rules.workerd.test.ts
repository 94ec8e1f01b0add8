import { evictDurableObject, reset } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { ruleKey } from "../../../r2-layout/keys.ts";
import { placeholders } from "../../../r2-layout/redact.ts";
import type { Rule } from "../../../r2-layout/rule.ts";
import { placeholderOf, subjectHasher } from "../../../r2-layout/subjects.ts";
import { bindings } from "../../bindings.ts";

afterEach(() => reset());

const hash = subjectHasher("key");
const ann = hash({ kind: "user", id: "ann" });
const names = placeholders([["ann", ann]]);
const log = () => bindings.EVENT_LOG.getByName("000");

const RULES: readonly Rule[] = [
  { ...ruleOf(1), filter: { where: { user_id: ["ann", "bob"] } }, change: { kind: "retract" } },
  { ...ruleOf(2), filter: {}, change: { kind: "map", field: "user_id", values: { ann: "bob" } } },
  { ...ruleOf(3), filter: { where: { user_id: ["bob"] } }, change: { kind: "set", values: { user_id: "ann" } } },
  { ...ruleOf(4), filter: { where: { user_id: ["anna"] } }, change: { kind: "retract" } },
];

function ruleOf(version: number): Pick<Rule, "version" | "id" | "createdAt"> {
  return { version, id: `job-${version}`, createdAt: version };
}

describe("rules that name somebody who is erased", () => {
  it("promise 7: have a placeholder in filters and changes alike, once, and keep their places; others stay", async () => {
    for (const rule of RULES) await log().raise(rule, ruleKey(rule.version));
    const before = (await log().rules()).rules;

    expect(await log().redactRules(names, true)).toBe(3);
    expect((await log().rules()).rules).toEqual(before);

    expect(await log().redactRules(names, false)).toBe(3);
    await evictDurableObject(log());
    const { version, rules } = await log().rules();
    expect(version).toBe(4);
    expect(rules.map(({ seq }) => seq)).toEqual(before.map(({ seq }) => seq));
    const placeholder = placeholderOf(ann);
    expect(rules.map(({ filter, change }) => ({ filter, change }))).toEqual([
      { filter: { where: { user_id: [placeholder, "bob"] } }, change: { kind: "retract" } },
      { filter: {}, change: { kind: "map", field: "user_id", values: { [placeholder]: "bob" } } },
      { filter: { where: { user_id: ["bob"] } }, change: { kind: "set", values: { user_id: placeholder } } },
      { filter: RULES[3]!.filter, change: RULES[3]!.change },
    ]);
    expect(JSON.stringify(rules)).not.toContain('"ann"');

    // Again, as after a cut: nothing is left to do. And the next version still comes next.
    expect(await log().redactRules(names, true)).toBe(0);
    expect(await log().redactRules(names, false)).toBe(0);
    await log().raise({ ...ruleOf(5), filter: {}, change: { kind: "retract" } }, ruleKey(5));
    expect((await log().rules()).version).toBe(5);
  });
});
