import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseSchema } from "../../../r2-layout/contracts/json-schema.ts";
import { CONTRACT } from "../../../r2-layout/limits.ts";

const withField = (schema: unknown) => ({ type: "object", properties: { plan: schema } });
const faultOf = (document: unknown): string => {
  const parsed = parseSchema(document);
  return parsed.ok ? "none" : `${parsed.error.path} ${parsed.error.detail}`;
};

describe("a contract's schema", () => {
  it("is taken as it is where it keeps to what contracts are written in", () => {
    const document = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      title: "Signed up",
      type: "object",
      properties: {
        plan: { type: "string", enum: ["free", "pro"], description: "What is paid for.", "x-pii": "none" },
        seats: { type: ["integer", "null"], minimum: 1, default: 1 },
        referrer: { $ref: "#/$defs/url~1path" },
        tags: { type: "array", items: { type: "string", pattern: "^[a-z]{1,20}$" }, maxItems: 10, uniqueItems: true },
      },
      required: ["plan"],
      additionalProperties: false,
      $defs: { "url/path": { type: "string", format: "uri" } },
    };
    expect(parseSchema(document)).toEqual({ ok: true, value: document });
  });

  it.each([
    ["a list", [], "#"],
    ["another type", { type: "string" }, "#/type"],
    ["a keyword that nobody knows", withField({ typ: "string" }), "#/properties/plan/typ"],
    [
      "a keyword of the prototype",
      withField(JSON.parse('{"__proto__": 1, "constructor": 1}')),
      "#/properties/plan/__proto__",
    ],
    ["a type that is none", withField({ type: "text" }), "#/properties/plan/type"],
    ["another draft", { $schema: "http://json-schema.org/draft-07/schema#", type: "object" }, "#/$schema"],
    ["an expression that is none", withField({ pattern: "(" }), "#/properties/plan/pattern"],
    ["an expression that takes for ever", withField({ pattern: "^(a+)+$" }), "#/properties/plan/pattern"],
    ["a reference to another document", withField({ $ref: "https://example.com/x.json" }), "#/properties/plan/$ref"],
    ["a reference to nothing", withField({ $ref: "#/$defs/gone" }), "#/properties/plan/$ref"],
    [
      "a definition that contains itself",
      { type: "object", $defs: { a: { items: { $ref: "#/$defs/b" } }, b: { $ref: "#/$defs/a" } } },
      "#/$defs/a",
    ],
    ["a negative length", withField({ minLength: -1 }), "#/properties/plan/minLength"],
    ["a name that is required twice", { type: "object", required: ["a", "a"] }, "#/required"],
    ["no alternative", withField({ anyOf: [] }), "#/properties/plan/anyOf"],
  ])("%s is refused with its place", (_, document, path) => {
    expect(faultOf(document).split(" ")[0]).toBe(path);
  });

  it("may lie as deep as its bound says, and no deeper", () => {
    const objects = (depth: number): unknown => (depth === 0 ? {} : { items: objects(depth - 1) });
    expect(faultOf({ type: "object", items: objects(CONTRACT.schemaDepth - 1) })).toBe("none");
    expect(faultOf({ type: "object", items: objects(CONTRACT.schemaDepth) })).toMatch(/lies deeper/);
  });

  it("may have as many schemas as its bound says, and no more", () => {
    const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, {}]));
    expect(faultOf({ type: "object", properties: fields(CONTRACT.schemasMax - 1) })).toBe("none");
    expect(faultOf({ type: "object", properties: fields(CONTRACT.schemasMax) })).toMatch(/more than 1000 schemas/);
  });

  it("may have expressions as long as their bound says, and no longer", () => {
    expect(faultOf(withField({ pattern: "a".repeat(CONTRACT.patternChars) }))).toBe("none");
    expect(faultOf(withField({ pattern: "a".repeat(CONTRACT.patternChars + 1) }))).toMatch(/longer than 500/);
  });

  it("is refused or taken, whatever JSON it is", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (document) => {
        expect(typeof parseSchema(document).ok).toBe("boolean");
      }),
    );
  });
});
