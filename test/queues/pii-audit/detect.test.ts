import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type PiiKind, piiIn } from "../../../queues/pii-audit/detect.ts";

describe("what a text says about a person", () => {
  it.each<[string, string | number, readonly PiiKind[], string?]>([
    ["an address", "mail me: Ada.Lovelace+x@mail.example.co.uk, please", ["email"]],
    ["a file of two scales", "logo@2x.png", []],
    ["a package", "@segment/analytics-next", []],
    ["a card number that is one", "4111 1111 1111 1111", ["card_number"]],
    ["a card number as a number", 5_555_555_555_554_444, ["card_number"]],
    ["a card number in words", "card 3782-822463-10005 of Ada", ["card_number"]],
    ["one whose check digit is wrong", "4111 1111 1111 1112", []],
    ["a time in milliseconds, which passes as a check digit may", 1_795_348_798_000, []],
    ["a part of a longer number", "94111111111111111", []],
    ["a number of many digits in an identifier", "order-4111111111111111", []],
    ["a phone number", "call +49 69 123 45678", ["phone"]],
    ["a time zone", "2026-11-22T12:00:00+01:00", []],
    ["digits alone", "069 1234567", []],
    ["digits alone where the field says what they are", "069 1234567", ["phone"], "phone_number"],
    ["a token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", ["token"]],
    ["an address in a URL", "https://shop.example/u/ada@example.com", ["email_in_url"]],
    ["one that is escaped", "https://shop.example/?to=ada%40example.com", ["email_in_url"]],
    ["one in a path alone", "/unsubscribe?mail=ada@example.com", ["email_in_url"]],
    ["a token in a URL", "https://shop.example/reset?access_token=abcdef123", ["token_in_url"]],
    ["a token behind its fragment", "https://shop.example/#id_token=abcdef123", ["token_in_url"]],
    ["a password in a URL", "https://ada:lovelace@shop.example/", ["token_in_url"]],
    ["a campaign", "https://shop.example/?utm_source=mail&page=2&code=12", []],
    ["half an escape", "https://shop.example/?q=%E0%A4%A", []],
    ["nothing", "", []],
  ])("%s", (_, text, kinds, field) => {
    expect(piiIn(text, field)).toEqual(kinds);
  });

  it("is an answer for any text, soon", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", maxLength: 200 }),
        fc.constantFrom("a", "@", "+1 ", "4 ", "%40", "eyJ.", "?a="),
        (text, part) => {
          expect(Array.isArray(piiIn(text + part.repeat(5_000)))).toBe(true);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("is found around whatever else is said", () => {
    const around = fc.stringMatching(/^[a-z ]{0,20}$/);
    fc.assert(
      fc.property(
        around,
        around,
        fc.constantFrom("ada@example.com", "4111111111111111", "+4969123456"),
        (before, after, secret) => {
          expect(piiIn(`${before} ${secret} ${after}`)).toHaveLength(1);
        },
      ),
    );
  });
});
