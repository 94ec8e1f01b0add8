/** What a custom rollup computes. A definition never changes: another computation is another definition, with another id. */
import { createHash } from "node:crypto";
import { MINUTE_MS } from "../../r2-layout/limits.ts";
import type { RuleField, RuleFilter } from "../../r2-layout/rule.ts";

export const MEASURES = ["count", "sum", "ratio", "distinct", "funnel"] as const;
export type Measure = (typeof MEASURES)[number];

/** Values that a field may have, as in a rule's filter. */
export type TileFilter = NonNullable<RuleFilter["where"]>;

export interface TileDefinition {
  readonly id: string;
  readonly name: string;
  readonly measure: Measure;
  /** Of a sum or a distinct: a column, or `properties.<name>`. */
  readonly field?: RuleField;
  /** Of a ratio; an empty filter is every event. */
  readonly numerator?: TileFilter;
  readonly denominator?: TileFilter;
  /** Of a funnel: event names, in order. */
  readonly steps?: readonly string[];
  readonly by: readonly RuleField[];
  readonly grainMinutes: 1 | 5 | 60;
  /** Events that do not have these values are not looked at. */
  readonly filter: TileFilter;
}

/** A length of time that a tile's rows stand for, in minutes. */
export type TileLevel = 1 | 5 | 60 | 1440;

/** The tile's own grain, then what it adds up to. A funnel's minutes add up to nothing: users go on from one to the next. */
export function levelsOf({ measure, grainMinutes }: TileDefinition): readonly TileLevel[] {
  if (measure === "funnel") return [1];
  return grainMinutes === 60 ? [60, 1440] : [grainMinutes, 60, 1440];
}

export const levelMs = (level: TileLevel): number => level * MINUTE_MS;

/** The start of the minutes that hold a time, milliseconds. */
export const levelStart = (level: TileLevel, ms: number): number => Math.floor(ms / levelMs(level)) * levelMs(level);

/** The same computation has the same id, whatever it is called and in whatever order its parts were named. */
export function withId(definition: Omit<TileDefinition, "id">): TileDefinition {
  const { name: _, ...computed } = definition;
  const hash = createHash("sha256")
    .update(JSON.stringify(sorted(computed)))
    .digest("hex");
  return { id: `t${hash.slice(0, 16)}`, ...definition };
}

export const isTileId = (text: string): boolean => /^t[0-9a-f]{16}$/.test(text);

/** Members by name; what stands in a list stays where it is. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([name, member]) => [name, sorted(member)]));
}
