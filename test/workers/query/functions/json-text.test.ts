import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { asText, jsonAt, parsePath, type Step } from "../../../../workers/query/functions/json-text.ts";

const at = (value: unknown, steps: readonly Step[]): unknown =>
  steps.reduce<unknown>((inner, step) => {
    if (typeof step === "string") {
      const isObject = typeof inner === "object" && inner !== null && !Array.isArray(inner);
      return isObject && Object.hasOwn(inner, step) ? (inner as Record<string, unknown>)[step] : undefined;
    }
    return Array.isArray(inner) ? inner.at(step) : undefined;
  }, value);

const step = fc.oneof(fc.constantFrom("a", "b", "", 'q"\\', "😀"), fc.integer({ min: -3, max: 3 }));
const key = fc.constantFrom("a", "b", "", 'q"\\', "😀");
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof({ depthSize: "small" }, fc.jsonValue({ maxDepth: 0 }), tie("object"), tie("array")),
  object: fc.dictionary(key, tie("tree")),
  array: fc.array(tie("tree"), { maxLength: 4 }),
}));

describe("a value in JSON", () => {
  it("is what parsing and walking finds, whatever white space is between", () => {
    fc.assert(
      fc.property(
        tree,
        fc.array(step, { maxLength: 4 }),
        fc.constantFrom(undefined, 2, "\t"),
        (value, steps, space) => {
          const found = jsonAt(JSON.stringify(value, null, space), steps);
          const expected = at(JSON.parse(JSON.stringify(value)), steps);
          expect(found).toBe(expected === undefined ? null : JSON.stringify(expected));
          if (typeof expected === "string") expect(asText(found)).toBe(expected);
        },
      ),
    );
  });

  it("of text that is no JSON is nothing, and nothing breaks", () => {
    fc.assert(
      fc.property(fc.string(), fc.array(step, { maxLength: 3 }), (text, steps) => {
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        if (!valid) expect(jsonAt(text, steps)).toBeNull();
        else expect(() => jsonAt(text, steps)).not.toThrow();
      }),
    );
  });

  it("keeps all digits of a number", () => {
    expect(jsonAt('{"n": 123456789012345678901234567890.10}', ["n"])).toBe("123456789012345678901234567890.10");
  });
});

describe("a path", () => {
  it.each<[string, Step[]]>([
    ["$", []],
    ["$.a.b[0]", ["a", "b", 0]],
    ['$."a b"[#-2][-1]', ["a b", -2, -1]],
    ["/a/0/x~1y~0", ["a", 0, "x/y~"]],
    ["plain name", ["plain name"]],
    ["", [""]],
  ])("%s", (path, steps) => {
    expect(parsePath(path)).toEqual(steps);
  });

  it.each(["$a", "$.", "$[", "$[*]", "$.a..b", "$[1", '$."a'])("%s is refused", (path) => {
    expect(() => parsePath(path)).toThrow("cannot be read");
  });
});
