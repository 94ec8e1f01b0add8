import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { placeholders, redacted, redactedJson } from "../../r2-layout/redact.ts";
import { placeholderOf, subjectHasher } from "../../r2-layout/subjects.ts";

const hash = subjectHasher("key");
const ann = hash({ kind: "user", id: "ann" });
const names = placeholders([["ann", ann]]);

describe("redaction", () => {
  it("promise 7: puts a placeholder for each whole text and each member's name, and for nothing else", () => {
    const rule = { filter: { where: { user_id: ["ann", "anna"] } }, change: { values: { ann: "bob" } }, n: 1, x: null };
    expect(redacted(rule, names)?.value).toEqual({
      filter: { where: { user_id: [placeholderOf(ann), "anna"] } },
      change: { values: { [placeholderOf(ann)]: "bob" } },
      n: 1,
      x: null,
    });
  });

  it("leaves what names nobody as it is, and says so", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(!JSON.stringify(value).includes('"ann"'));
        expect(redacted(value, names)).toBeNull();
      }),
    );
    expect(redactedJson(null, names)).toBeNull();
  });

  it("gives a placeholder that hashes to what the name did, whatever its kind", () => {
    for (const kind of ["user", "device", "email"] as const) {
      expect(hash({ kind, id: placeholderOf(ann) })).toBe(ann);
    }
    expect(hash({ kind: "user", id: "erased:ann" })).not.toBe("ann");
  });
});
