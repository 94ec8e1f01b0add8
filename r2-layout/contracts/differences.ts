/**
 * What may differ between two versions of a schema, and whether data of the older one is still valid under the newer. Names and
 * verdicts are those of Confluent's registry (its JSON Schema differ, strict policy; `LENIENT` is its lenient one), so that who knows that
 * one knows this one. `passes` says in a sentence what would be accepted instead.
 */

interface DifferenceFacts {
  /** Data that was valid stays valid. */
  readonly compatible: boolean;
  readonly why: string;
  /** For those that break. */
  readonly passes?: string;
}

const fine = (why: string): DifferenceFacts => ({ compatible: true, why });
const breaks = (why: string, passes: string): DifferenceFacts => ({ compatible: false, why, passes });

const tightened = (keyword: string, bound: string) =>
  breaks(`${keyword} is tighter`, `keep ${keyword}, or ${bound} it`);
const added = (keyword: string) =>
  breaks(`${keyword} is new: values of before may not keep to it`, `leave ${keyword} out`);
const loosened = (keyword: string) => fine(`${keyword} is looser`);
const removed = (keyword: string) => fine(`${keyword} is gone`);

const UNOPEN = "close the object (`additionalProperties: false`) in an earlier version, then add optional properties";

const FACTS = {
  TYPE_CHANGED: breaks("the type is another", "keep the type; a field of another type is another field"),
  TYPE_EXTENDED: fine("every integer is a number"),
  TYPE_NARROWED: breaks("a number need not be an integer", "keep `number`, or add a field for the integer"),
  SCHEMA_ADDED: breaks("anything was valid here", "leave it without a schema"),
  SCHEMA_REMOVED: fine("anything is valid here"),

  MAX_LENGTH_ADDED: added("maxLength"),
  MAX_LENGTH_REMOVED: removed("maxLength"),
  MAX_LENGTH_INCREASED: loosened("maxLength"),
  MAX_LENGTH_DECREASED: tightened("maxLength", "raise"),
  MIN_LENGTH_ADDED: added("minLength"),
  MIN_LENGTH_REMOVED: removed("minLength"),
  MIN_LENGTH_INCREASED: tightened("minLength", "lower"),
  MIN_LENGTH_DECREASED: loosened("minLength"),
  PATTERN_ADDED: added("pattern"),
  PATTERN_REMOVED: removed("pattern"),
  PATTERN_CHANGED: breaks("the pattern is another", "keep the pattern, or leave it out"),
  FORMAT_ADDED: added("format"),
  FORMAT_REMOVED: removed("format"),
  FORMAT_CHANGED: breaks("the format is another", "keep the format, or leave it out"),

  MAXIMUM_ADDED: added("maximum"),
  MAXIMUM_REMOVED: removed("maximum"),
  MAXIMUM_INCREASED: loosened("maximum"),
  MAXIMUM_DECREASED: tightened("maximum", "raise"),
  MINIMUM_ADDED: added("minimum"),
  MINIMUM_REMOVED: removed("minimum"),
  MINIMUM_INCREASED: tightened("minimum", "lower"),
  MINIMUM_DECREASED: loosened("minimum"),
  EXCLUSIVE_MAXIMUM_ADDED: added("exclusiveMaximum"),
  EXCLUSIVE_MAXIMUM_REMOVED: removed("exclusiveMaximum"),
  EXCLUSIVE_MAXIMUM_INCREASED: loosened("exclusiveMaximum"),
  EXCLUSIVE_MAXIMUM_DECREASED: tightened("exclusiveMaximum", "raise"),
  EXCLUSIVE_MINIMUM_ADDED: added("exclusiveMinimum"),
  EXCLUSIVE_MINIMUM_REMOVED: removed("exclusiveMinimum"),
  EXCLUSIVE_MINIMUM_INCREASED: tightened("exclusiveMinimum", "lower"),
  EXCLUSIVE_MINIMUM_DECREASED: loosened("exclusiveMinimum"),
  MULTIPLE_OF_ADDED: added("multipleOf"),
  MULTIPLE_OF_REMOVED: removed("multipleOf"),
  MULTIPLE_OF_REDUCED: fine("every multiple of the old is one of the new"),
  MULTIPLE_OF_EXPANDED: breaks("not every multiple of the old is one of the new", "keep multipleOf, or divide it"),
  MULTIPLE_OF_CHANGED: breaks("multiples of the old are none of the new", "keep multipleOf, or divide it"),

  REQUIRED_ATTRIBUTE_ADDED: breaks("events of before may lack it", "leave it optional, or give it a `default`"),
  REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED: fine("where it is missing, its default stands"),
  REQUIRED_ATTRIBUTE_REMOVED: fine("it may be missing now"),
  MAX_PROPERTIES_ADDED: added("maxProperties"),
  MAX_PROPERTIES_REMOVED: removed("maxProperties"),
  MAX_PROPERTIES_INCREASED: loosened("maxProperties"),
  MAX_PROPERTIES_DECREASED: tightened("maxProperties", "raise"),
  MIN_PROPERTIES_ADDED: added("minProperties"),
  MIN_PROPERTIES_REMOVED: removed("minProperties"),
  MIN_PROPERTIES_INCREASED: tightened("minProperties", "lower"),
  MIN_PROPERTIES_DECREASED: loosened("minProperties"),
  ADDITIONAL_PROPERTIES_ADDED: fine("other properties are allowed now"),
  ADDITIONAL_PROPERTIES_REMOVED: breaks("other properties were allowed", "leave the object open"),
  ADDITIONAL_PROPERTIES_EXTENDED: fine("other properties may be more"),
  ADDITIONAL_PROPERTIES_NARROWED: breaks("other properties could be more", "keep `additionalProperties`"),
  DEPENDENCY_ARRAY_ADDED: added("dependentRequired"),
  DEPENDENCY_ARRAY_REMOVED: removed("dependentRequired"),
  DEPENDENCY_ARRAY_EXTENDED: breaks("it asks for more properties", "keep dependentRequired"),
  DEPENDENCY_ARRAY_NARROWED: fine("it asks for fewer properties"),
  DEPENDENCY_ARRAY_CHANGED: breaks("it asks for other properties", "keep dependentRequired"),

  PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL: breaks(
    "the object was open: events of before may have had this property as anything",
    `give it an empty schema; or ${UNOPEN}`,
  ),
  PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL: fine("it may be anything, as before"),
  REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL: breaks(
    "no event of before has it",
    "leave it optional, or give it a `default`",
  ),
  REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL: fine("where it is missing, its default stands"),
  OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL: fine("no event of before has it, and none needs it"),
  PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL: fine("the object is open: it may still be there"),
  PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL: fine("it could not be there"),
  PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL: breaks(
    "events of before have it, and the object is closed",
    "keep it as optional, or open the object (`additionalProperties`)",
  ),
  PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL: fine("what was allowed under its name is allowed still"),
  PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL: breaks(
    "under its name more was allowed",
    "give it the schema that `additionalProperties` or `patternProperties` gave it",
  ),
  PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL: fine("what it could be is still allowed"),
  PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL: breaks(
    "what it could be is no longer allowed under its name",
    "keep it as optional, or widen `additionalProperties`",
  ),

  MAX_ITEMS_ADDED: added("maxItems"),
  MAX_ITEMS_REMOVED: removed("maxItems"),
  MAX_ITEMS_INCREASED: loosened("maxItems"),
  MAX_ITEMS_DECREASED: tightened("maxItems", "raise"),
  MIN_ITEMS_ADDED: added("minItems"),
  MIN_ITEMS_REMOVED: removed("minItems"),
  MIN_ITEMS_INCREASED: tightened("minItems", "lower"),
  MIN_ITEMS_DECREASED: loosened("minItems"),
  UNIQUE_ITEMS_ADDED: added("uniqueItems"),
  UNIQUE_ITEMS_REMOVED: removed("uniqueItems"),

  ENUM_ARRAY_EXTENDED: fine("there are more values"),
  ENUM_ARRAY_NARROWED: breaks("values are gone that events have", "keep them all; new ones may be added"),
  ENUM_ARRAY_CHANGED: breaks("values are gone that events have", "keep them all; new ones may be added"),

  COMBINED_TYPE_EXTENDED: fine("fewer parts have to hold"),
  COMBINED_TYPE_CHANGED: breaks("parts are combined another way", "keep allOf, anyOf or oneOf"),
  COMBINED_TYPE_SUBSCHEMAS_CHANGED: breaks(
    "a part changed in a way that breaks",
    "change parts as any schema may change",
  ),
  PRODUCT_TYPE_EXTENDED: breaks("more has to hold", "leave the new part of it out"),
  PRODUCT_TYPE_NARROWED: fine("less has to hold"),
  SUM_TYPE_EXTENDED: fine("there are more alternatives"),
  SUM_TYPE_NARROWED: breaks("an alternative is gone that events have", "keep all alternatives; new ones may be added"),
  NOT_TYPE_EXTENDED: breaks("more is forbidden", "keep `not`"),
  NOT_TYPE_NARROWED: fine("less is forbidden"),
} as const satisfies Record<string, DifferenceFacts>;

export type DifferenceType = keyof typeof FACTS;
export const DIFFERENCES: Readonly<Record<DifferenceType, DifferenceFacts>> = FACTS;

/** What the lenient policy lets pass, beside what is compatible: an open object may get and lose properties. */
export const LENIENT: ReadonlySet<DifferenceType> = new Set([
  "ADDITIONAL_PROPERTIES_NARROWED",
  "ADDITIONAL_PROPERTIES_REMOVED",
  "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
  "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
  "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
]);

export interface Difference {
  readonly type: DifferenceType;
  /** JSON pointer into the schema that has it, as `#/properties/plan`. */
  readonly path: string;
}
