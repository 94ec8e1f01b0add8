/** Rollup definitions as the page speaks of them: what the server lists, what it may be asked to make, and when two compute the same. Pure. */
export const MEASURES = ["count", "sum", "ratio", "distinct", "funnel"] as const;
export type Measure = (typeof MEASURES)[number];
export type ValueFilter = Readonly<Record<string, readonly (string | null)[]>>;
export type FieldJson = string | { readonly property: string };

/** The body of POST /v1/rollup-definitions. */
export interface DefinitionRequest {
  readonly name: string;
  readonly measure: Measure;
  readonly column?: string;
  readonly property?: string;
  readonly numerator?: ValueFilter;
  readonly denominator?: ValueFilter;
  readonly steps?: readonly string[];
  readonly by?: readonly FieldJson[];
  readonly grain_minutes: 1 | 5 | 60;
  readonly filter: ValueFilter;
}

export interface Definition extends DefinitionRequest {
  readonly id: string;
  /** Of its past: what comes from its making on is there at once. */
  readonly state: "filling" | "ready" | "failed";
  /** 0 to 1; null while unknown. */
  readonly progress: number | null;
}

const PROPERTY = "properties.";

/** `country`, or `properties.plan`: as the keys of its points name it. */
export const fieldName = (field: FieldJson): string =>
  typeof field === "string" ? field : `${PROPERTY}${field.property}`;

export const fieldOf = (name: string): FieldJson =>
  name.startsWith(PROPERTY) ? { property: name.slice(PROPERTY.length) } : name;

export const fieldsOf = ({ by }: DefinitionRequest): string[] => (by ?? []).map(fieldName);

/** What would make the same. */
export function requestOf(definition: DefinitionRequest): DefinitionRequest {
  const { name, measure, column, property, numerator, denominator, steps, by, grain_minutes, filter } = definition;
  return {
    name,
    measure,
    ...(column !== undefined && { column }),
    ...(property !== undefined && { property }),
    ...(numerator && { numerator }),
    ...(denominator && { denominator }),
    ...(steps ? { steps } : { by: by ?? [] }),
    grain_minutes,
    filter,
  };
}

/** Whether values of several keys, or of several starts, add up. */
export const isAdditive = ({ measure }: Pick<DefinitionRequest, "measure">): boolean =>
  measure === "count" || measure === "sum";

/** Two that say the same compute the same, whatever they are called. */
export function sameComputation(one: DefinitionRequest, other: DefinitionRequest): boolean {
  return computation(one) === computation(other);
}

function computation(request: DefinitionRequest): string {
  const { measure, column, property, numerator = {}, denominator = {}, steps = [], grain_minutes, filter } = request;
  const parts = [measure, column, property, sorted(numerator), sorted(denominator), steps, fieldsOf(request)];
  return JSON.stringify([...parts, grain_minutes, sorted(filter)]);
}

const sorted = (filter: ValueFilter) =>
  Object.entries(filter)
    .map(([field, values]) => [field, [...values].sort()] as const)
    .sort(([one], [other]) => (one < other ? -1 : 1));
