import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isTileId } from "../../../durable-objects/tile-rollup/definition.ts";
import { parseDefinition } from "../../../durable-objects/tile-rollup/parse-definition.ts";
import { RULE, TILES } from "../../../r2-layout/limits.ts";

type Given = Parameters<typeof parseDefinition>[0];

function parsed(given: Given) {
  const answer = parseDefinition({ name: "a tile", measure: "count", ...given });
  if (!answer.ok) throw new Error(JSON.stringify(answer.error));
  return answer.value;
}

function refused(given: Given) {
  const answer = parseDefinition({ name: "a tile", measure: "count", ...given });
  if (answer.ok) throw new Error("taken");
  return answer.error.parameter;
}

describe("a definition", () => {
  it("has one id for one computation, whatever it is called and in whatever order its filter was written", () => {
    const one = parsed({ filter: { country: ["DE", "FR"], event_name: ["page"] }, by: ["country"] });
    const other = parsed({
      name: "b",
      filter: { event_name: ["page"], country: ["DE", "FR"] },
      by: ["country"],
      grain_minutes: 1,
    });
    expect(other.id).toBe(one.id);
    expect(isTileId(one.id)).toBe(true);
    const different: Given[] = [
      { by: ["country"] },
      { filter: { country: ["DE", "FR"], event_name: ["page"] }, by: ["device_type"] },
      { filter: { country: ["DE", "FR"], event_name: ["page"] }, by: ["country"], grain_minutes: 5 },
      {
        measure: "distinct",
        column: "user_id",
        filter: { country: ["DE", "FR"], event_name: ["page"] },
        by: ["country"],
      },
    ];
    expect(new Set([one, ...different.map(parsed)].map(({ id }) => id)).size).toBe(5);
  });

  it("is read with its columns and properties as fields", () => {
    expect(
      parsed({ measure: "sum", property: "items", by: ["country", { property: "plan" }], grain_minutes: 60 }),
    ).toMatchObject({
      field: "properties.items",
      by: ["country", "properties.plan"],
      grainMinutes: 60,
      filter: {},
    });
    expect(parsed({ measure: "ratio", numerator: { event_name: ["bought"] } })).toMatchObject({
      numerator: { event_name: ["bought"] },
      denominator: {},
    });
  });

  it.each<[string, Given]>([
    ["measure", { measure: "average" }],
    ["name", { name: " " }],
    ["column", { measure: "sum" }],
    ["column", { measure: "sum", column: "country" }],
    ["column", { measure: "sum", column: "revenue", property: "items" }],
    ["column", { measure: "distinct", column: "properties" }],
    ["column", { measure: "distinct", column: "__proto__" }],
    ["column", { measure: "count", column: "country" }],
    ["property", { measure: "distinct", property: "" }],
    ["by", { by: ["country", "country"] }],
    ["by", { by: "country" }],
    ["by.0", { by: ["flags"] }],
    ["by.0", { by: [{ property: "plan", column: "country" }] }],
    ["by", { measure: "funnel", steps: ["a", "b"], by: ["country"] }],
    ["steps", { measure: "funnel", steps: ["a"] }],
    ["steps", { measure: "funnel", steps: ["a", "a"] }],
    ["grain_minutes", { grain_minutes: 15 }],
    ["grain_minutes", { measure: "funnel", steps: ["a", "b"], grain_minutes: 5 }],
    ["filter.nonsense", { filter: { nonsense: ["a"] } }],
    ["filter", { filter: ["country"] }],
    ["numerator", { measure: "ratio" }],
  ])("promise 9: names what is wrong: %s in %j", (parameter, given) => {
    expect(refused(given)).toBe(parameter);
  });

  it("is as large as TILES.nameChars, TILES.dimensions and TILES.funnelSteps say, and no larger", () => {
    expect(parsed({ name: "x".repeat(TILES.nameChars) }).name).toHaveLength(TILES.nameChars);
    expect(refused({ name: "x".repeat(TILES.nameChars + 1) })).toBe("name");
    const by = ["country", "device_type", "event_name"];
    expect(parsed({ by: by.slice(0, TILES.dimensions) }).by).toHaveLength(TILES.dimensions);
    expect(refused({ by: by.slice(0, TILES.dimensions + 1) })).toBe("by");
    const steps = Array.from({ length: TILES.funnelSteps + 1 }, (_, i) => `step ${i}`);
    expect(parsed({ measure: "funnel", steps: steps.slice(1) }).steps).toHaveLength(TILES.funnelSteps);
    expect(refused({ measure: "funnel", steps })).toBe("steps");
    expect(refused({ by: [{ property: "x".repeat(RULE.propertyNameBytes + 1) }] })).toBe("by.0");
  });

  it("promise 9: is read or refused by a member's name, whatever it says", () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom("name", "measure", "column", "by", "steps", "filter", "numerator"),
          fc.jsonValue(),
        ),
        (given) => {
          const answer = parseDefinition(given as Given);
          if (!answer.ok) expect(answer.error.parameter).not.toBe("");
        },
      ),
    );
  });
});
