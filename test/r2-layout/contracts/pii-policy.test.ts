import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PII_CLASSES, type PiiClass, type PiiField } from "../../../r2-layout/contracts/contract.ts";
import { PiiPolicy, type Secrets } from "../../../r2-layout/contracts/pii-policy.ts";
import { sealed, unsealed } from "../../../r2-layout/contracts/sealed-text.ts";
import { truncated } from "../../../r2-layout/contracts/truncate.ts";
import { propertiesOf } from "../../../r2-layout/log-line.ts";

/** No treatment may let it through. */
const SECRET = "s3cr3t-of-ada";
const SECRETS: Secrets = { salt: { period: 7, bytes: new Uint8Array(32).fill(1) }, key: new Uint8Array(32).fill(2) };

const policy = (...fields: (readonly [path: string, treatment: PiiField["treatment"], kind?: PiiClass])[]): PiiPolicy =>
  PiiPolicy.of({
    pii: fields.map(([path, treatment, kind = "email"]) => ({ path: path.split("."), class: kind, treatment })),
  })!;

describe("a contract's fields about people", () => {
  it("are none to care for where all are kept", () => {
    expect(PiiPolicy.of({ pii: [{ path: ["a"], class: "name", treatment: "keep" }] })).toBeNull();
  });

  it("are treated wherever a sender's JSON may have properties, and nothing else is", () => {
    const raw = {
      event: "Signed up",
      properties: { mail: "Ada@Example.com", plan: "pro", card: "4111", who: { name: "Ada", age: 36 } },
      traits: { mail: "ada@example.com", seen: null },
      context: { traits: { mail: "ada@example.com " }, locale: "de" },
    };
    const before = structuredClone(raw);
    const rules = policy(["mail", "hash"], ["card", "drop"], ["who.name", "truncate", "name"]);
    const { properties, traits, context, event } = rules.applied(raw, SECRETS) as Record<string, unknown>;
    expect(properties).toEqual({
      mail: expect.stringMatching(/^hash\.7\.[\w-]{22}$/),
      plan: "pro",
      who: { name: "A…", age: 36 },
    });
    // However it is spelt, and wherever: one person.
    const { mail } = properties as { mail: string };
    expect(traits).toEqual({ mail, seen: null });
    expect(context).toEqual({ traits: { mail }, locale: "de" });
    expect(event).toBe("Signed up");
    // Parts of a request are shared between its events.
    expect(raw).toEqual(before);
  });

  it("have another hash under another salt, and as another class", () => {
    const hashOf = (value: unknown, kind: PiiClass, period = 7) =>
      (
        policy(["a", "hash", kind]).applied(
          { properties: { a: value } },
          {
            ...SECRETS,
            salt: { period, bytes: new Uint8Array(32).fill(period) },
          },
        ).properties as { a: string }
      ).a;
    expect(hashOf("+49 69 1234", "phone")).toBe(hashOf("+49-69-1234", "phone"));
    expect(hashOf({ a: 1, b: 2 }, "address")).toBe(hashOf({ b: 2, a: 1 }, "address"));
    expect(new Set([hashOf("x", "phone"), hashOf("x", "name"), hashOf("x", "name", 8)]).size).toBe(3);
  });

  it.each([
    ["a text where the contract knows an object", { who: "ada@example.com" }, {}],
    [
      "a list where it knows an object",
      { who: [{ mail: "ada@example.com", a: 1 }, "ada@example.com"] },
      { who: [{ a: 1 }, null] },
    ],
    ["no object at all", "ada@example.com", undefined],
    ["a list of values", { mails: ["ada@example.com", null] }, { mails: [expect.stringMatching(/^hash/), null] }],
  ])("are withheld where they may be: %s", (_, properties, expected) => {
    const rules = policy(["who.mail", "drop"], ["mails", "hash"]);
    expect(rules.applied({ properties }, SECRETS).properties).toEqual(expected);
  });

  it("are dropped where there is nobody whose key it would be", () => {
    expect(policy(["a", "encrypt"]).applied({ properties: { a: 1 } }, { salt: null, key: null }).properties).toEqual(
      {},
    );
  });

  it("leave nothing of a value behind, whatever its shape and that of the event (promise 7)", () => {
    const secretIn = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.constant(SECRET),
        fc.array(tie("value"), { minLength: 1, maxLength: 2 }),
        tie("value").map((inner) => ({ inner })),
      ),
    })).value;
    const names = fc.constantFrom("mail", "who", "__proto__", "a.b");
    const paths = fc.array(names, { minLength: 1, maxLength: 3 });
    const treatments = fc.constantFrom("drop", "hash", "truncate", "encrypt") as fc.Arbitrary<PiiField["treatment"]>;
    const member = fc.constantFrom("properties", "traits", "context");
    fc.assert(
      fc.property(
        paths,
        treatments,
        fc.constantFrom(...PII_CLASSES),
        member,
        secretIn,
        fc.nat(3),
        (path, treatment, kind, at, value, cut) => {
          // Also in the place of an object around it, where nobody knows which member it is.
          const names = path.slice(0, Math.max(1, path.length - cut));
          let properties: unknown = names.length === path.length ? value : SECRET;
          for (const name of names.toReversed()) {
            properties = JSON.parse(`{${JSON.stringify(name)}:${JSON.stringify(properties)},"else":1}`);
          }
          const raw = at === "context" ? { context: { traits: properties } } : { [at]: properties };
          const rules = PiiPolicy.of({ pii: [{ path, class: kind, treatment }] })!;
          const left = JSON.stringify(rules.applied(raw, SECRETS));
          expect(left).not.toContain(SECRET);
          expect(left).toContain('"else":1');
        },
      ),
    );
  });

  it.each(["drop", "hash", "truncate", "encrypt"] as const)(
    "reaches what becomes a property from beside the properties: %s",
    (treatment) => {
      const paths = ["name", "category", "group_id", "previous_id"];
      const rules = PiiPolicy.of({ pii: paths.map((name) => ({ path: [name], class: "name" as const, treatment })) })!;
      const raw = { name: SECRET, category: SECRET, groupId: SECRET, previousId: SECRET, properties: { plan: "pro" } };
      const left = rules.applied(raw, SECRETS);
      expect(JSON.stringify([left, propertiesOf(left)])).not.toContain(SECRET);
      expect(propertiesOf(left)?.plan).toBe("pro");
      const one = PiiPolicy.of({ pii: [{ path: ["mail"], class: "email", treatment }] })!;
      expect(one.applied(raw, SECRETS)).toEqual(raw);
    },
  );

  it.each([
    [["mail"], true],
    [["mail", "0", "x"], true],
    [["who"], true],
    [["who", "1", "name"], true],
    [["who", "age"], false],
    [[], true],
    [["plan"], false],
  ])("cover the place %j: %s", (path, covered) => {
    expect(policy(["mail", "hash"], ["who.name", "drop"]).covers(path)).toBe(covered);
  });
});

describe("a value under a person's key", () => {
  it("comes back as it was, from the same text each time, and from no other key and no changed text", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.nat(), (value, key, at) => {
        const text = sealed(value, key);
        expect(unsealed(text, key)).toEqual({ value: JSON.parse(JSON.stringify(value)) });
        expect(sealed(value, key)).toBe(text);
        expect(unsealed(text, key.with(0, key[0]! ^ 1))).toBeNull();
        const place = 6 + (at % (text.length - 7));
        const other = text[place] === "A" ? "B" : "A";
        expect(unsealed(text.slice(0, place) + other + text.slice(place + 1), key)).toBeNull();
        expect(unsealed(text.slice(0, place), key)).toBeNull();
      }),
    );
    expect(unsealed("ada", new Uint8Array(32))).toBeNull();
  });
});

describe("a value that is cut", () => {
  it.each<[PiiClass, unknown, unknown]>([
    ["name", "Ada Lovelace", "A…"],
    ["name", "𝒜da", "𝒜…"],
    ["name", "", "…"],
    ["email", "ada@Example.com", "…@example.com"],
    ["email", "ada", "…"],
    ["phone", "+49 (69) 123 456", "+4969…"],
    ["phone", "069 123456", "…"],
    ["address", "1 Main St, London, UK", "…, UK"],
    ["address", "1 Main St", "…"],
    ["address", "192.0.2.17", "192.0.2.0"],
    ["address", "2001:db8:1:2::17", "2001:db8:1::"],
    ["identifier", "DE-1234567890123456", "DE-1…"],
    ["identifier", "1234", "1…"],
    ["identifier", "123", "…"],
    ["financial", "4111 1111 1111 1111", "…1111"],
    ["financial", "41111111111", "…"],
    ["location", 50.1109, 50.1],
    ["location", "-0.04", "0"],
    ["location", "Zeil 1, Frankfurt", "…, Frankfurt"],
    ["free_text", "call me", "… (7)"],
    ["free_text", { a: "call me" }, "…"],
    ["name", true, "…"],
  ])("is, of the class %s, from %j to %j", (kind, value, expected) => {
    expect(truncated(value, kind)).toBe(expected);
  });
});
