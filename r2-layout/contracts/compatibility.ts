/**
 * Whether a version of a contract may follow those before it. Levels as in Confluent's registry: BACKWARD asks that what was valid stays valid
 * (whoever reads by the new version reads what was sent by the old), FORWARD that what will be valid was valid (whoever reads by
 * the old reads what is sent by the new), FULL both; TRANSITIVE asks it of all versions before, not only of the newest.
 */
import { DIFFERENCES, type DifferenceType } from "./differences.ts";
import type { SchemaObject } from "./json-schema.ts";
import { diffSchemas, isBreak, type Policy } from "./schema-diff.ts";

export const COMPATIBILITY_LEVELS = [
  "BACKWARD_TRANSITIVE",
  "BACKWARD",
  "FORWARD_TRANSITIVE",
  "FORWARD",
  "FULL_TRANSITIVE",
  "FULL",
  "NONE",
] as const;
export type CompatibilityLevel = (typeof COMPATIBILITY_LEVELS)[number];

export interface ContractVersion {
  readonly version: number;
  readonly schema: SchemaObject;
}

/** Why a version is refused: one for each place of each earlier version. */
export interface CompatibilityBreak {
  readonly against: number;
  readonly direction: "backward" | "forward";
  readonly type: DifferenceType;
  /** JSON pointer into the version that has it. */
  readonly path: string;
  readonly why: string;
  /** What would be accepted instead. */
  readonly passes: string;
}

export interface CompatibilityRules {
  readonly level: CompatibilityLevel;
  /** `lenient` lets open objects get and lose properties, as most producers think of them. */
  readonly policy: Policy;
}

/** Those of Confluent's registry, and what a contract has that names none. */
export const DEFAULT_RULES: CompatibilityRules = { level: "BACKWARD_TRANSITIVE", policy: "strict" };

/** @param versions earlier ones, in any order. @returns empty where the next one may follow them. */
export function compatibilityBreaks(
  versions: readonly ContractVersion[],
  next: SchemaObject,
  { level, policy }: CompatibilityRules,
): CompatibilityBreak[] {
  if (level === "NONE") return [];
  const newestFirst = [...versions].sort((one, other) => other.version - one.version);
  const compared = level.endsWith("_TRANSITIVE") ? newestFirst : newestFirst.slice(0, 1);
  return compared.flatMap(({ version, schema }) => {
    const backward = level.startsWith("FORWARD") ? [] : breaksBetween(schema, next, policy);
    const forward = level.startsWith("BACKWARD") ? [] : breaksBetween(next, schema, policy);
    return [
      ...backward.map((found) => ({ against: version, direction: "backward" as const, ...found })),
      ...forward.map((found) => ({ against: version, direction: "forward" as const, ...found })),
    ];
  });
}

function breaksBetween(from: SchemaObject, to: SchemaObject, policy: Policy) {
  return diffSchemas(from, to, policy)
    .filter((difference) => isBreak(difference, policy))
    .map(({ type, path }) => ({ type, path, why: DIFFERENCES[type].why, passes: DIFFERENCES[type].passes ?? "" }));
}
