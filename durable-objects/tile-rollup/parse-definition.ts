/** A definition, read from what a request says: what is not known is refused, because a misspelt filter would count everything. */
import { type Column, EVENT_COLUMNS } from "../../r2-layout/event-columns.ts";
import { RULE, TILES } from "../../r2-layout/limits.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import type { RuleField } from "../../r2-layout/rule.ts";
import { parseRuleFilter } from "../../r2-layout/rule-parse.ts";
import { isLongerThan } from "../../r2-layout/utf8.ts";
import { MEASURES, type Measure, type TileDefinition, type TileFilter, withId } from "./definition.ts";

export interface DefinitionMismatch {
  readonly parameter: string;
  readonly detail: string;
}

export const DEFINITION_MEMBERS = [
  "name",
  "measure",
  "column",
  "property",
  "numerator",
  "denominator",
  "steps",
  "by",
  "grain_minutes",
  "filter",
] as const;

type Given = Readonly<Partial<Record<(typeof DEFINITION_MEMBERS)[number], unknown>>>;

/** Which members besides name, by, grain_minutes and filter a measure takes. */
const OWN_MEMBERS: Readonly<Record<Measure, readonly string[]>> = {
  count: [],
  sum: ["column", "property"],
  distinct: ["column", "property"],
  ratio: ["numerator", "denominator"],
  funnel: ["steps"],
};
const COMMON = ["name", "measure", "grain_minutes", "filter"];

/** Thrown and caught in here. */
class Mismatch extends Error {
  readonly mismatch: DefinitionMismatch;

  constructor(parameter: string, detail: string) {
    super(detail);
    this.mismatch = { parameter, detail };
  }
}

export function parseDefinition(given: Given): Result<TileDefinition, DefinitionMismatch> {
  try {
    return ok(parsed(given));
  } catch (error) {
    if (error instanceof Mismatch) return err(error.mismatch);
    throw error;
  }
}

function parsed(given: Given): TileDefinition {
  const measure = MEASURES.find((known) => known === given.measure);
  if (!measure) throw new Mismatch("measure", `one of ${MEASURES.join(", ")}`);
  const taken = [...COMMON, ...OWN_MEMBERS[measure], ...(measure === "funnel" ? [] : ["by"])];
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && !taken.includes(name)) throw new Mismatch(name, `a ${measure} takes none`);
  }
  const { name, grain_minutes: grain = 1 } = given;
  if (typeof name !== "string" || name.trim() === "" || name.length > TILES.nameChars) {
    throw new Mismatch("name", `a text of 1 to ${TILES.nameChars} characters`);
  }
  if (grain !== 1 && grain !== 5 && grain !== 60) throw new Mismatch("grain_minutes", "1, 5 or 60");
  if (measure === "funnel" && grain !== 1)
    throw new Mismatch("grain_minutes", "a funnel is of the last hour, by the minute: 1");
  return withId({
    name: name.toWellFormed(),
    measure,
    ...((measure === "sum" || measure === "distinct") && { field: measuredField(measure, given) }),
    ...(measure === "ratio" && {
      numerator: filterOf(given.numerator, "numerator"),
      denominator: filterOf(given.denominator ?? {}, "denominator"),
    }),
    ...(measure === "funnel" && { steps: stepsOf(given.steps) }),
    by: dimensionsOf(given.by ?? []),
    grainMinutes: grain,
    filter: filterOf(given.filter ?? {}, "filter"),
  });
}

function measuredField(measure: "sum" | "distinct", { column, property }: Given): RuleField {
  if ((column === undefined) === (property === undefined)) {
    throw new Mismatch("column", `a ${measure} is of a column or of a property, one of them`);
  }
  if (property !== undefined) return propertyField(property, "property");
  return columnField(column, "column", measure === "sum" ? NUMBERS : VALUES);
}

const NUMBERS: readonly Column["type"][] = ["float64", "int32", "int64"];
const VALUES: readonly Column["type"][] = ["utf8", "int32", "int64"];

function columnField(name: unknown, parameter: string, types: readonly Column["type"][]): RuleField {
  if (typeof name !== "string" || !Object.hasOwn(EVENT_COLUMNS, name)) {
    throw new Mismatch(parameter, "a column of events; a property is named by `property`");
  }
  const column = name as keyof typeof EVENT_COLUMNS;
  if (types.includes(EVENT_COLUMNS[column].type)) return column;
  throw new Mismatch(parameter, `${name} is of type ${EVENT_COLUMNS[column].type}; it takes ${types.join(", ")}`);
}

function propertyField(name: unknown, parameter: string): RuleField {
  const isName = typeof name === "string" && name !== "" && name.isWellFormed() && !name.includes("\0");
  if (isName && !isLongerThan(name, RULE.propertyNameBytes)) return `properties.${name}`;
  throw new Mismatch(parameter, `a property's name, of at most ${RULE.propertyNameBytes} bytes`);
}

function dimensionsOf(given: unknown): RuleField[] {
  if (!Array.isArray(given) || given.length > TILES.dimensions) {
    throw new Mismatch("by", `a list of at most ${TILES.dimensions} columns, or properties as {"property": "<name>"}`);
  }
  const fields = given.map((one: unknown, i) => {
    const parameter = `by.${i}`;
    if (typeof one !== "object" || one === null) return columnField(one, parameter, VALUES);
    const { property, ...rest } = one as { property?: unknown };
    if (Object.keys(rest).length > 0) throw new Mismatch(parameter, 'a column, or {"property": "<name>"}');
    return propertyField(property, parameter);
  });
  if (new Set(fields).size < fields.length) throw new Mismatch("by", "two different ones");
  return fields;
}

function stepsOf(given: unknown): string[] {
  const isName = (one: unknown): one is string =>
    typeof one === "string" && one !== "" && !isLongerThan(one, EVENT_COLUMNS.event_name.maxBytes);
  const isList = Array.isArray(given) && given.length >= 2 && given.length <= TILES.funnelSteps && given.every(isName);
  if (isList && new Set(given).size === given.length) return given;
  throw new Mismatch("steps", `a list of 2 to ${TILES.funnelSteps} different event names`);
}

/** An empty filter is every event. */
function filterOf(given: unknown, parameter: string): TileFilter {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new Mismatch(parameter, 'an object like {"country": ["DE", "AT"], "properties.plan": ["pro"]}');
  }
  if (Object.keys(given).length === 0) return {};
  const filter = parseRuleFilter({ where: given });
  if (filter.ok) return filter.value.where!;
  throw new Mismatch(filter.error.field.replace(/^(where|filter)/, parameter), filter.error.detail);
}
