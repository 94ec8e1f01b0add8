import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EmailAddress } from "../../../durable-objects/email-index/address.ts";
import { normalizeEmail } from "../../../r2-layout/email.ts";
import { EMAIL_INDEX } from "../../../r2-layout/limits.ts";

const subject = fc.record({ kind: fc.constantFrom("user", "device"), id: fc.string({ unit: "binary" }) } as const);

describe("an e-mail address", () => {
  it.each([
    ["Ada@Example.ORG", "ada@example.org"],
    ["  ada+shop@example.org\n", "ada+shop@example.org"],
    ["ada", null],
    ["ada@", null],
    ["a da@example.org", null],
    ["a@b@c", null],
    ["", null],
    [null, null],
    [7, null],
  ])("is read as people mean it: %j", (text, email) => {
    expect(normalizeEmail(text)).toBe(email);
  });

  it("promise 9: has EMAIL_INDEX.addressChars characters at most; a longer one is none", () => {
    const of = (length: number) => `${"a".repeat(length - 2)}@b`;
    expect(normalizeEmail(of(EMAIL_INDEX.addressChars))).toBe(of(EMAIL_INDEX.addressChars));
    expect(normalizeEmail(of(EMAIL_INDEX.addressChars + 1))).toBe(null);
  });

  it("opens what was sealed under it, and nobody else's address or secret does", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), subject, (a, b, whose) => {
        fc.pre(a !== b);
        const whole = { kind: whose.kind, id: whose.id.toWellFormed() };
        const sealed = new EmailAddress("key", a).seal(whole);
        expect(new EmailAddress("key", a).open(sealed)).toEqual(whole);
        expect(new EmailAddress("key", b).open(sealed)).toBe(null);
        expect(new EmailAddress("other", a).open(sealed)).toBe(null);
      }),
      { numRuns: 100 },
    );
  });

  it("seals a subject the same way each time, so that telling twice is telling once", () => {
    const address = new EmailAddress("key", "ada@example.org");
    const ada = { kind: "user", id: "ada" } as const;
    expect(address.seal(ada)).toEqual(new EmailAddress("key", "ada@example.org").seal(ada));
    expect(address.seal(ada).nonce).not.toEqual(address.seal({ kind: "device", id: "ada" }).nonce);
  });

  it("has nothing of the address or the subject in what is kept", () => {
    const address = new EmailAddress("key", "ada@example.org");
    const { sealed, nonce } = address.seal({ kind: "user", id: "lovelace" });
    const kept = Buffer.concat([address.hash, sealed, nonce, Buffer.from(address.objectName)]).toString("latin1");
    expect(kept).not.toMatch(/ada|example|lovelace/);
  });

  it("goes to one of EMAIL_INDEX.objects objects, about as many to each", () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 16 * EMAIL_INDEX.objects; i++) {
      const { objectName } = new EmailAddress("key", `user-${i}@example.org`);
      counts.set(objectName, (counts.get(objectName) ?? 0) + 1);
    }
    expect(counts.size).toBe(EMAIL_INDEX.objects);
    expect(Math.max(...counts.values())).toBeLessThan(48);
  });
});
