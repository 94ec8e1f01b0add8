/** The compatibility table, case by case, as Confluent's registry documents it for JSON Schema; and that "backward" means what it says. */
import { Validator } from "@cfworker/json-schema";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type CompatibilityLevel,
  type ContractVersion,
  compatibilityBreaks,
} from "../../../r2-layout/contracts/compatibility.ts";
import { DIFFERENCES, type DifferenceType } from "../../../r2-layout/contracts/differences.ts";
import type { Schema, SchemaObject } from "../../../r2-layout/contracts/json-schema.ts";
import { diffSchemas, isBreak, type Policy } from "../../../r2-layout/contracts/schema-diff.ts";

const object = (properties: Record<string, Schema>, more: Partial<SchemaObject> = {}): SchemaObject => ({
  type: "object",
  properties,
  ...more,
});
const closed = (properties: Record<string, Schema>, more: Partial<SchemaObject> = {}): SchemaObject =>
  object(properties, { additionalProperties: false, ...more });
/** A contract with one field. */
const field = (schema: Schema): SchemaObject => closed({ plan: schema });

/** What changes; the differences that it must show, in any order; whether the new version may follow the old, by the strict policy. */
type Case = readonly [
  what: string,
  from: SchemaObject,
  to: SchemaObject,
  differences: readonly DifferenceType[],
  verdict: "follows" | "breaks",
];

const CASES: Readonly<Record<string, readonly Case[]>> = {
  add: [
    [
      "an optional field to a closed object",
      closed({}),
      closed({ plan: { type: "string" } }),
      ["OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"],
      "follows",
    ],
    [
      "a required field to a closed object",
      closed({}),
      closed({ plan: { type: "string" } }, { required: ["plan"] }),
      ["REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"],
      "breaks",
    ],
    [
      "a required field with a default to a closed object",
      closed({}),
      closed({ plan: { type: "string", default: "free" } }, { required: ["plan"] }),
      ["REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL"],
      "follows",
    ],
    [
      "an optional field to an open object",
      object({}),
      object({ plan: { type: "string" } }),
      ["PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"],
      "breaks",
    ],
    [
      "a field that may be anything to an open object",
      object({}),
      object({ plan: {} }),
      ["PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL"],
      "follows",
    ],
    [
      "a field as additionalProperties had it",
      object({}, { additionalProperties: { type: "string" } }),
      object({ plan: { type: "string" } }, { additionalProperties: { type: "string" } }),
      ["PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
      "follows",
    ],
    [
      "a field otherwise than additionalProperties had it",
      object({}, { additionalProperties: { type: "string" } }),
      object({ plan: { type: "integer" } }, { additionalProperties: { type: "string" } }),
      ["PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
      "breaks",
    ],
    [
      "a field as a pattern had it",
      object({}, { patternProperties: { "^p": { type: "integer" } }, additionalProperties: false }),
      object(
        { plan: { type: "number" } },
        { patternProperties: { "^p": { type: "integer" } }, additionalProperties: false },
      ),
      ["PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
      "follows",
    ],
  ],
  remove: [
    [
      "a field of an open object",
      object({ plan: { type: "string" } }),
      object({}),
      ["PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL"],
      "follows",
    ],
    [
      "a field of a closed object",
      closed({ plan: { type: "string" } }),
      closed({}),
      ["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"],
      "breaks",
    ],
    [
      "a field that could not be there of a closed object",
      closed({ plan: false }),
      closed({}),
      ["PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL"],
      "follows",
    ],
    [
      "a field that additionalProperties covers",
      object({ plan: { type: "integer" } }, { additionalProperties: { type: "number" } }),
      object({}, { additionalProperties: { type: "number" } }),
      ["PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
      "follows",
    ],
    [
      "a field that additionalProperties does not cover",
      object({ plan: { type: "string" } }, { additionalProperties: { type: "number" } }),
      object({}, { additionalProperties: { type: "number" } }),
      ["PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
      "breaks",
    ],
    [
      "the schema of items",
      field({ type: "array", items: { type: "string" } }),
      field({ type: "array" }),
      ["SCHEMA_REMOVED"],
      "follows",
    ],
  ],
  retype: [
    ["a text to a number", field({ type: "string" }), field({ type: "number" }), ["TYPE_CHANGED"], "breaks"],
    ["an integer to a number", field({ type: "integer" }), field({ type: "number" }), ["TYPE_EXTENDED"], "follows"],
    ["a number to an integer", field({ type: "number" }), field({ type: "integer" }), ["TYPE_NARROWED"], "breaks"],
    [
      "a text to a text or null",
      field({ type: "string" }),
      field({ type: ["string", "null"] }),
      ["SUM_TYPE_EXTENDED"],
      "follows",
    ],
    [
      "a text or null to a text",
      field({ type: ["string", "null"] }),
      field({ type: "string" }),
      ["SUM_TYPE_NARROWED", "TYPE_CHANGED"],
      "breaks",
    ],
    ["anything to a text", field({}), field({ type: "string" }), ["TYPE_CHANGED"], "breaks"],
    ["a text to anything", field({ type: "string" }), field({}), [], "follows"],
    [
      "a text to a list of texts",
      field({ type: "string" }),
      field({ type: "array", items: { type: "string" } }),
      ["TYPE_CHANGED"],
      "breaks",
    ],
  ],
  tighten: [
    [
      "maxLength comes",
      field({ type: "string" }),
      field({ type: "string", maxLength: 5 }),
      ["MAX_LENGTH_ADDED"],
      "breaks",
    ],
    [
      "maxLength falls",
      field({ type: "string", maxLength: 9 }),
      field({ type: "string", maxLength: 5 }),
      ["MAX_LENGTH_DECREASED"],
      "breaks",
    ],
    [
      "minLength rises",
      field({ type: "string", minLength: 1 }),
      field({ type: "string", minLength: 5 }),
      ["MIN_LENGTH_INCREASED"],
      "breaks",
    ],
    [
      "a pattern comes",
      field({ type: "string" }),
      field({ type: "string", pattern: "^a" }),
      ["PATTERN_ADDED"],
      "breaks",
    ],
    [
      "a pattern changes",
      field({ type: "string", pattern: "^b" }),
      field({ type: "string", pattern: "^a" }),
      ["PATTERN_CHANGED"],
      "breaks",
    ],
    [
      "maximum falls",
      field({ type: "number", maximum: 9 }),
      field({ type: "number", maximum: 5 }),
      ["MAXIMUM_DECREASED"],
      "breaks",
    ],
    ["minimum comes", field({ type: "number" }), field({ type: "number", minimum: 5 }), ["MINIMUM_ADDED"], "breaks"],
    [
      "exclusiveMinimum rises",
      field({ type: "number", exclusiveMinimum: 0 }),
      field({ type: "number", exclusiveMinimum: 5 }),
      ["EXCLUSIVE_MINIMUM_INCREASED"],
      "breaks",
    ],
    [
      "multipleOf grows",
      field({ type: "integer", multipleOf: 2 }),
      field({ type: "integer", multipleOf: 4 }),
      ["MULTIPLE_OF_EXPANDED"],
      "breaks",
    ],
    [
      "multipleOf is another",
      field({ type: "integer", multipleOf: 2 }),
      field({ type: "integer", multipleOf: 3 }),
      ["MULTIPLE_OF_CHANGED"],
      "breaks",
    ],
    ["an open object is closed", object({}), closed({}), ["ADDITIONAL_PROPERTIES_REMOVED"], "breaks"],
    [
      "a part of allOf comes",
      field({ allOf: [{ type: "string" }] }),
      field({ allOf: [{ type: "string" }, { enum: ["a"] }] }),
      ["PRODUCT_TYPE_EXTENDED"],
      "breaks",
    ],
    [
      "not forbids more",
      field({ not: { type: "integer" } }),
      field({ not: { type: "number" } }),
      ["NOT_TYPE_EXTENDED"],
      "breaks",
    ],
  ],
  loosen: [
    [
      "maxLength goes",
      field({ type: "string", maxLength: 5 }),
      field({ type: "string" }),
      ["MAX_LENGTH_REMOVED"],
      "follows",
    ],
    [
      "maxLength rises",
      field({ type: "string", maxLength: 5 }),
      field({ type: "string", maxLength: 9 }),
      ["MAX_LENGTH_INCREASED"],
      "follows",
    ],
    [
      "a pattern goes",
      field({ type: "string", pattern: "^a" }),
      field({ type: "string" }),
      ["PATTERN_REMOVED"],
      "follows",
    ],
    [
      "minimum falls",
      field({ type: "number", minimum: 5 }),
      field({ type: "number", minimum: 1 }),
      ["MINIMUM_DECREASED"],
      "follows",
    ],
    [
      "multipleOf shrinks",
      field({ type: "integer", multipleOf: 4 }),
      field({ type: "integer", multipleOf: 2 }),
      ["MULTIPLE_OF_REDUCED"],
      "follows",
    ],
    ["a closed object is opened", closed({}), object({}), ["ADDITIONAL_PROPERTIES_ADDED"], "follows"],
    [
      "an alternative comes",
      field({ anyOf: [{ type: "string" }] }),
      field({ anyOf: [{ type: "string" }, { type: "number" }] }),
      ["SUM_TYPE_EXTENDED"],
      "follows",
    ],
    [
      "an alternative goes",
      field({ anyOf: [{ type: "string" }, { type: "number" }] }),
      field({ anyOf: [{ type: "string" }] }),
      ["SUM_TYPE_NARROWED"],
      "breaks",
    ],
    [
      "a part of allOf goes",
      field({ allOf: [{ type: "string" }, { enum: ["a"] }] }),
      field({ allOf: [{ type: "string" }] }),
      ["PRODUCT_TYPE_NARROWED"],
      "follows",
    ],
    [
      "not forbids less",
      field({ not: { type: "number" } }),
      field({ not: { type: "integer" } }),
      ["NOT_TYPE_NARROWED"],
      "follows",
    ],
    [
      "exactly one of becomes any of",
      field({ oneOf: [{ type: "string" }, { type: "number" }] }),
      field({ anyOf: [{ type: "string" }, { type: "number" }] }),
      ["COMBINED_TYPE_EXTENDED"],
      "follows",
    ],
    [
      "any of becomes exactly one of",
      field({ anyOf: [{ type: "string" }, { type: "number" }] }),
      field({ oneOf: [{ type: "string" }, { type: "number" }] }),
      ["COMBINED_TYPE_CHANGED"],
      "breaks",
    ],
  ],
  rename: [
    [
      "a field of a closed object",
      closed({ plan: { type: "string" } }),
      closed({ tier: { type: "string" } }),
      ["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"],
      "breaks",
    ],
    [
      "a field of an open object",
      object({ plan: { type: "string" } }),
      object({ tier: { type: "string" } }),
      ["PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL", "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"],
      "breaks",
    ],
  ],
  enum: [
    ["a value comes", field({ enum: ["a"] }), field({ enum: ["a", "b"] }), ["ENUM_ARRAY_EXTENDED"], "follows"],
    ["a value goes", field({ enum: ["a", "b"] }), field({ enum: ["a"] }), ["ENUM_ARRAY_NARROWED"], "breaks"],
    ["a value is renamed", field({ enum: ["a", "b"] }), field({ enum: ["a", "c"] }), ["ENUM_ARRAY_CHANGED"], "breaks"],
    [
      "their order changes, and that of their keys",
      field({ enum: ["a", { x: 1, y: 2 }] }),
      field({ enum: [{ y: 2, x: 1 }, "a"] }),
      [],
      "follows",
    ],
    [
      "a text gets values",
      field({ type: "string" }),
      field({ type: "string", enum: ["a"] }),
      ["PRODUCT_TYPE_EXTENDED"],
      "breaks",
    ],
    [
      "a text loses its values",
      field({ type: "string", enum: ["a"] }),
      field({ type: "string" }),
      ["PRODUCT_TYPE_NARROWED"],
      "follows",
    ],
    ["const becomes another", field({ const: 1 }), field({ const: 2 }), ["ENUM_ARRAY_CHANGED"], "breaks"],
  ],
  required: [
    [
      "an optional field becomes required",
      closed({ plan: { type: "string" } }),
      closed({ plan: { type: "string" } }, { required: ["plan"] }),
      ["REQUIRED_ATTRIBUTE_ADDED"],
      "breaks",
    ],
    [
      "an optional field with a default becomes required",
      closed({ plan: { type: "string", default: "free" } }),
      closed({ plan: { type: "string", default: "free" } }, { required: ["plan"] }),
      ["REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED"],
      "follows",
    ],
    [
      "a required field becomes optional",
      closed({ plan: { type: "string" } }, { required: ["plan"] }),
      closed({ plan: { type: "string" } }),
      ["REQUIRED_ATTRIBUTE_REMOVED"],
      "follows",
    ],
    [
      "one field asks for another",
      object({}),
      object({}, { dependentRequired: { plan: ["price"] } }),
      ["DEPENDENCY_ARRAY_ADDED"],
      "breaks",
    ],
    [
      "one field asks for one more",
      object({}, { dependentRequired: { plan: ["price"] } }),
      object({}, { dependentRequired: { plan: ["price", "seats"] } }),
      ["DEPENDENCY_ARRAY_EXTENDED"],
      "breaks",
    ],
    [
      "one field asks for one less",
      object({}, { dependentRequired: { plan: ["price", "seats"] } }),
      object({}, { dependentRequired: { plan: ["price"] } }),
      ["DEPENDENCY_ARRAY_NARROWED"],
      "follows",
    ],
  ],
  nested: [
    [
      "a field of an inner object becomes required",
      field(closed({ id: { type: "string" } })),
      field(closed({ id: { type: "string" } }, { required: ["id"] })),
      ["REQUIRED_ATTRIBUTE_ADDED"],
      "breaks",
    ],
    [
      "a field of an inner object is retyped",
      field(closed({ id: { type: "string" } })),
      field(closed({ id: { type: "integer" } })),
      ["TYPE_CHANGED"],
      "breaks",
    ],
    [
      "a definition is loosened where it is named",
      { ...field({ $ref: "#/$defs/id" }), $defs: { id: { type: "integer" } } },
      { ...field({ $ref: "#/$defs/id" }), $defs: { id: { type: "number" } } },
      ["TYPE_EXTENDED"],
      "follows",
    ],
    [
      "a definition takes the place of what it says",
      field({ type: "string" }),
      { ...field({ $ref: "#/$defs/id" }), $defs: { id: { type: "string" } } },
      [],
      "follows",
    ],
    [
      "title, description and default change",
      field({ type: "string", title: "a", default: "x" } as Schema),
      field({ type: "string", description: "b" } as Schema),
      [],
      "follows",
    ],
  ],
  array: [
    [
      "items are retyped",
      field({ type: "array", items: { type: "string" } }),
      field({ type: "array", items: { type: "integer" } }),
      ["TYPE_CHANGED"],
      "breaks",
    ],
    [
      "items are widened",
      field({ type: "array", items: { type: "integer" } }),
      field({ type: "array", items: { type: "number" } }),
      ["TYPE_EXTENDED"],
      "follows",
    ],
    [
      "items get a schema",
      field({ type: "array" }),
      field({ type: "array", items: { type: "string" } }),
      ["SCHEMA_ADDED"],
      "breaks",
    ],
    ["maxItems comes", field({ type: "array" }), field({ type: "array", maxItems: 3 }), ["MAX_ITEMS_ADDED"], "breaks"],
    [
      "minItems falls",
      field({ type: "array", minItems: 3 }),
      field({ type: "array", minItems: 1 }),
      ["MIN_ITEMS_DECREASED"],
      "follows",
    ],
    [
      "items become unique",
      field({ type: "array" }),
      field({ type: "array", uniqueItems: true }),
      ["UNIQUE_ITEMS_ADDED"],
      "breaks",
    ],
    [
      "items need not be unique",
      field({ type: "array", uniqueItems: true }),
      field({ type: "array" }),
      ["UNIQUE_ITEMS_REMOVED"],
      "follows",
    ],
  ],
};

describe.each(Object.entries(CASES))("the compatibility table: %s", (_, cases) => {
  it.each(cases.map(([what, ...rest]) => ({ what, rest })))("$what", ({ rest: [from, to, differences, verdict] }) => {
    const types = diffSchemas(from, to, "strict").map(({ type }) => type);
    expect(types.sort()).toEqual([...differences].sort());
    const breaks = compatibilityBreaks([{ version: 1, schema: from }], to, { level: "BACKWARD", policy: "strict" });
    expect(breaks.length === 0 ? "follows" : "breaks").toBe(verdict);
  });
});

describe("the levels", () => {
  const text = (maxLength?: number): SchemaObject =>
    field(maxLength === undefined ? { type: "string" } : { type: "string", maxLength });
  const versions: ContractVersion[] = [
    { version: 2, schema: text(5) },
    { version: 1, schema: text(9) },
  ];
  const against = (next: SchemaObject, level: CompatibilityLevel, policy: Policy = "strict") =>
    compatibilityBreaks(versions, next, { level, policy }).map(
      ({ against, direction, type }) => `${direction} ${against} ${type}`,
    );

  it("BACKWARD looks at the newest, BACKWARD_TRANSITIVE at all", () => {
    expect(against(text(7), "BACKWARD")).toEqual([]);
    expect(against(text(7), "BACKWARD_TRANSITIVE")).toEqual(["backward 1 MAX_LENGTH_DECREASED"]);
  });

  it("FORWARD asks whether the old can read the new", () => {
    expect(against(text(4), "FORWARD")).toEqual([]);
    expect(against(text(7), "FORWARD")).toEqual(["forward 2 MAX_LENGTH_DECREASED"]);
    expect(against(text(7), "FORWARD_TRANSITIVE")).toEqual(["forward 2 MAX_LENGTH_DECREASED"]);
  });

  it("FULL asks both, NONE nothing", () => {
    expect(against(text(7), "FULL_TRANSITIVE")).toEqual([
      "forward 2 MAX_LENGTH_DECREASED",
      "backward 1 MAX_LENGTH_DECREASED",
    ]);
    expect(against(text(5), "FULL")).toEqual([]);
    expect(against(field({ type: "boolean" }), "NONE")).toEqual([]);
  });

  it("says where, why, and what would pass", () => {
    const next = closed({ plan: { type: "string", maxLength: 5 }, "a/b": { type: "string" } }, { required: ["a/b"] });
    expect(compatibilityBreaks(versions.slice(0, 1), next, { level: "BACKWARD", policy: "strict" })).toEqual([
      {
        against: 2,
        direction: "backward",
        type: "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
        path: "#/properties/a~1b",
        why: "no event of before has it",
        passes: "leave it optional, or give it a `default`",
      },
    ]);
    for (const [type, { compatible, passes }] of Object.entries(DIFFERENCES)) {
      expect(compatible || passes, type).toBeTruthy();
    }
  });

  it("the lenient policy lets open objects get and lose fields, and nothing else", () => {
    const [open, more] = [object({}), object({ plan: { type: "string" } })];
    const breaks = (next: SchemaObject, policy: Policy) =>
      compatibilityBreaks([{ version: 1, schema: open }], next, { level: "BACKWARD", policy }).length;
    expect([breaks(more, "strict"), breaks(more, "lenient")]).toEqual([1, 0]);
    expect(breaks({ ...more, required: ["plan"] }, "lenient")).toBe(1);
  });
});

describe("backward, by the validator that events meet", () => {
  const text = fc.constantFrom("a", "b", "ab", "abc", "");
  const leaf: fc.Arbitrary<unknown> = fc.oneof(
    text,
    fc.integer({ min: -3, max: 6 }),
    fc.constantFrom(0.5, 2.5),
    fc.boolean(),
    fc.constant(null),
  );
  const value = fc.letrec((tie) => ({
    any: fc.oneof({ depthSize: "small" }, leaf, fc.array(tie("any"), { maxLength: 3 }), tie("object")),
    object: fc.dictionary(fc.constantFrom("a", "b", "c", "pa"), tie("any"), { maxKeys: 3, noNullPrototype: true }),
  }));
  const bound = fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined });
  const without = (record: object) =>
    Object.fromEntries(Object.entries(record).filter(([, each]) => each !== undefined));
  const schema = fc.letrec<Record<"any" | "text" | "number" | "list" | "object", Schema>>((tie) => ({
    any: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom<Schema>(
        true,
        false,
        {},
        { type: "boolean" },
        { type: "null" },
        { type: ["string", "null"] },
        { type: ["integer", "string"] },
      ),
      tie("text"),
      tie("number"),
      fc.record({ minLength: bound, minimum: bound, maxItems: bound }).map(without),
      fc.uniqueArray(leaf, { minLength: 1, maxLength: 3 }).map((values) => ({ enum: values })),
      tie("list"),
      fc.record({ allOf: fc.array(tie("any"), { minLength: 1, maxLength: 2 }) }),
      fc.record({ anyOf: fc.array(tie("any"), { minLength: 1, maxLength: 2 }) }),
      fc.record({ not: tie("any") }),
      tie("object"),
    ) as fc.Arbitrary<Schema>,
    text: fc
      .record({
        type: fc.constant("string" as const),
        minLength: bound,
        maxLength: bound,
        pattern: fc.constantFrom(undefined, "^a", "b$"),
      })
      .map(without) as fc.Arbitrary<Schema>,
    number: fc
      .record({
        type: fc.constantFrom("number", "integer"),
        minimum: bound,
        maximum: bound,
        exclusiveMinimum: bound,
        multipleOf: fc.constantFrom(undefined, 1, 2, 4),
      })
      .map(without) as fc.Arbitrary<Schema>,
    list: fc
      .record({
        type: fc.constant("array" as const),
        items: fc.option(tie("any"), { nil: undefined }),
        maxItems: bound,
        uniqueItems: fc.constantFrom(undefined, true),
      })
      .map(without) as fc.Arbitrary<Schema>,
    object: fc
      .record({
        type: fc.constant("object" as const),
        properties: fc.dictionary(fc.constantFrom("a", "b", "pa"), tie("any"), { maxKeys: 2, noNullPrototype: true }),
        required: fc.option(fc.uniqueArray(fc.constantFrom("a", "b"), { maxLength: 2 }), { nil: undefined }),
        additionalProperties: fc.option(tie("any"), { nil: undefined }),
        patternProperties: fc.option(fc.record({ "^p": tie("any") }), { nil: undefined }),
        minProperties: fc.constantFrom(undefined, 1),
        dependentRequired: fc.constantFrom(undefined, { a: ["b"] }),
      })
      .map(without) as fc.Arbitrary<Schema>,
  }));
  /** Two that share most: unrelated ones are rarely compatible. */
  const pair = fc.oneof(
    fc.tuple(schema.any, schema.any),
    fc.tuple(schema.text, schema.text),
    fc.tuple(schema.number, schema.number),
    fc.tuple(schema.list, schema.list),
    fc.tuple(schema.any, schema.any).map(([a, b]): [Schema, Schema] => [a, { anyOf: [a, b] }]),
    fc.tuple(schema.any, schema.any).map(([a, b]): [Schema, Schema] => [{ allOf: [a, b] }, b]),
    fc.tuple(schema.object, schema.object).map(([a, b]): [Schema, Schema] => [
      a,
      {
        ...(a as SchemaObject),
        ...without({ properties: (b as SchemaObject).properties, required: (a as SchemaObject).required }),
      },
    ]),
  );

  it("what was valid is valid still, whatever may follow", () => {
    let compatible = 0;
    fc.assert(
      fc.property(pair, fc.array(value.any!, { minLength: 6, maxLength: 12 }), ([from, to], values) => {
        const wrap = (each: Schema): SchemaObject => ({ type: "object", properties: { x: each } });
        if (
          compatibilityBreaks([{ version: 1, schema: wrap(from) }], wrap(to), { level: "BACKWARD", policy: "strict" })
            .length > 0
        )
          return;
        compatible++;
        const [old, next] = [new Validator(from as never, "2020-12"), new Validator(to as never, "2020-12")];
        for (const each of values)
          if (old.validate(each).valid)
            expect(next.validate(each).valid, JSON.stringify({ from, to, each })).toBe(true);
      }),
      { numRuns: 4_000 },
    );
    expect(compatible).toBeGreaterThan(400);
  });

  it("what stays as it is may follow", () => {
    fc.assert(
      fc.property(schema.object, (each) => {
        const found = diffSchemas(each as SchemaObject, structuredClone(each) as SchemaObject, "strict");
        expect(found.filter((difference) => isBreak(difference, "strict"))).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });
});
