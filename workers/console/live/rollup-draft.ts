/** A rollup definition as people type it in the form of a tile. Pure. */
import { err, ok, type Result } from "../../../r2-layout/result.ts";
import { type DefinitionRequest, fieldOf, type Measure } from "./definitions.ts";
import { parseFilterText } from "./filter-text.ts";

/** As typed. */
export interface RollupDraft {
  readonly name: string;
  readonly measure: Measure;
  readonly field: string;
  readonly by: readonly [string, string];
  readonly grain: 1 | 5 | 60;
  readonly filter: string;
  readonly numerator: string;
  readonly denominator: string;
  readonly steps: string;
}

export const NEW_ROLLUP: RollupDraft = {
  name: "",
  measure: "count",
  field: "",
  by: ["", ""],
  grain: 1,
  filter: "",
  numerator: "",
  denominator: "",
  steps: "",
};

/** @returns what is wrong, in words. */
export function requestOfDraft(draft: RollupDraft): Result<DefinitionRequest, string> {
  const { name, measure, field, by, grain, steps } = draft;
  const isFunnel = measure === "funnel";
  const filters: Record<"filter" | "numerator" | "denominator", DefinitionRequest["filter"]> = {
    filter: {},
    numerator: {},
    denominator: {},
  };
  for (const part of ["filter", "numerator", "denominator"] as const) {
    const parsed = parseFilterText(draft[part]);
    if (!parsed.ok) return parsed;
    filters[part] = parsed.value;
  }
  if (name.trim() === "") return err("It needs a name");
  if ((measure === "sum" || measure === "distinct") && field.trim() === "") return err("Of which column or property?");
  const named = fieldOf(field.trim());
  return ok({
    name: name.trim(),
    measure,
    ...(measure === "sum" || measure === "distinct" ? (typeof named === "string" ? { column: named } : named) : {}),
    ...(measure === "ratio" && { numerator: filters.numerator, denominator: filters.denominator }),
    ...(isFunnel
      ? { steps: steps.split("\n").flatMap((step) => (step.trim() === "" ? [] : [step.trim()])) }
      : { by: by.flatMap((one) => (one.trim() === "" ? [] : [fieldOf(one.trim())])) }),
    grain_minutes: isFunnel ? 1 : grain,
    filter: filters.filter,
  });
}
