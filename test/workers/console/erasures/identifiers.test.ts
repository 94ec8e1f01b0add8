import { describe, expect, it } from "vitest";
import { ERASURE } from "../../../../r2-layout/limits.ts";
import { identifiersOf, NO_TEXTS } from "../../../../workers/console/erasures/identifiers.ts";

describe("identifiers that somebody pastes", () => {
  it("are one a line, each once, without what is around them; addresses in one spelling", () => {
    expect(
      identifiersOf({
        user_ids: "\n u-1 \r\nu-2\nu-1\n",
        anonymous_ids: "a b",
        emails: "Ann@Example.com\nann@example.com",
      }),
    ).toEqual({
      lists: { user_ids: ["u-1", "u-2"], anonymous_ids: ["a b"], emails: ["ann@example.com"] },
      count: 4,
      repeated: 2,
      fault: null,
    });
    expect(identifiersOf(NO_TEXTS)).toMatchObject({ count: 0, fault: null });
  });

  it("are refused by their line before anything is sent", () => {
    expect(identifiersOf({ ...NO_TEXTS, emails: "ann@example.com\nnobody" }).fault).toEqual({
      list: "emails",
      text: "Line 2 of E-mail addresses: that is no e-mail address.",
    });
    const long = "é".repeat(ERASURE.identifierBytes / 2 + 1);
    expect(identifiersOf({ ...NO_TEXTS, user_ids: long }).fault?.text).toContain(`at most ${ERASURE.identifierBytes}`);
    expect(identifiersOf({ ...NO_TEXTS, user_ids: long.slice(1) }).fault).toBeNull();
  });

  it("are at most ERASURE.identifiers", () => {
    const many = Array.from({ length: ERASURE.identifiers }, (_, i) => `u-${i}`).join("\n");
    expect(identifiersOf({ ...NO_TEXTS, user_ids: many }).fault).toBeNull();
    expect(identifiersOf({ ...NO_TEXTS, user_ids: many, anonymous_ids: "d" }).fault).toMatchObject({ list: null });
  });
});
