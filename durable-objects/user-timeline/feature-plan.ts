/**
 * Which online features are kept of each user: configured (`PROFILE` of workers/objects/wrangler.toml), not coded.
 *
 *     {"counters": ["Order Completed", "Product Viewed"],
 *      "last_values": ["plan", {"property": "category", "event": "Product Viewed", "as": "viewed_category"}]}
 *
 * `counters`: names of events that are counted one by one over the last hour, day and 30 days; all others count together.
 * Absent: all names, as far as `PROFILE.eventNames` goes. `last_values`: properties whose newest value is kept.
 */
import { createHash } from "node:crypto";
import { PROFILE } from "../../r2-layout/limits.ts";

/** A property of events (all, or those of one name), whose newest value is known as `properties.<as>`. */
export interface ChosenProperty {
  readonly property: string;
  readonly event: string | null;
  readonly as: string;
}

export interface FeaturePlan {
  /** Null: all, the shortest names first. */
  readonly counters: readonly string[] | null;
  readonly properties: readonly ChosenProperty[];
  /** Two plans with the same count, and keep, the same. */
  readonly fingerprint: string;
  /** Of what is counted alone. */
  readonly countersFingerprint: string;
}

/** What is kept where nothing is configured. */
export const NO_PLAN: FeaturePlan = planOf(null, []);

const known = new Map<string, FeaturePlan>();

/**
 * @param text absent or empty: nothing is chosen. @throws Error where it is no plan. Not a RangeError, which a sink takes for
 * an append that is wrong for good (queues/refusal.ts): a typing error in a setting is mended, and then the append is right.
 */
export function parseFeaturePlan(text: string | undefined): FeaturePlan {
  if (!text) return NO_PLAN;
  let plan = known.get(text);
  if (!plan) {
    plan = parse(text);
    known.set(text, plan);
  }
  return plan;
}

function parse(text: string): FeaturePlan {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw misconfigured(String(error));
  }
  const { counters, last_values: lastValues } = membersOf(value, ["counters", "last_values"], "it");
  const names = counters === undefined ? null : listOf(counters, "counters", PROFILE.eventNames).map(nameOf);
  const properties = listOf(lastValues ?? [], "last_values", PROFILE.properties).map(propertyOf);
  for (const [what, some] of [
    ["counters", names ?? []],
    ["last_values", properties.map(({ as }) => as)],
  ] as const) {
    if (new Set(some).size < some.length) throw misconfigured(`${what} has a name twice`);
  }
  return planOf(names, properties);
}

function planOf(counters: readonly string[] | null, properties: readonly ChosenProperty[]): FeaturePlan {
  const sorted = counters && [...counters].sort();
  const byName = [...properties].sort((a, b) => (a.as < b.as ? -1 : 1));
  return {
    counters: sorted,
    properties: byName,
    fingerprint: hashOf([sorted, byName.map(({ property, event, as }) => [property, event, as])]),
    countersFingerprint: hashOf(sorted),
  };
}

function propertyOf(value: unknown): ChosenProperty {
  if (typeof value === "string") return { property: nameOf(value), event: null, as: nameOf(value) };
  const { property, event, as } = membersOf(value, ["property", "event", "as"], "a member of last_values");
  return {
    property: nameOf(property),
    event: event === undefined ? null : nameOf(event),
    as: nameOf(as ?? property),
  };
}

function nameOf(value: unknown): string {
  if (typeof value === "string" && value !== "" && value.length <= PROFILE.nameChars) return value;
  throw misconfigured(`a name is a text of 1 to ${PROFILE.nameChars} characters, not ${JSON.stringify(value)}`);
}

function listOf(value: unknown, name: string, max: number): readonly unknown[] {
  if (Array.isArray(value) && value.length <= max) return value;
  throw misconfigured(`${name} is a list of at most ${max}`);
}

function membersOf(value: unknown, names: readonly string[], what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw misconfigured(`${what} is no object`);
  const other = Object.keys(value).find((name) => !names.includes(name));
  if (other !== undefined) throw misconfigured(`${what} has no ${other}; there are ${names.join(", ")}`);
  return value as Readonly<Record<string, unknown>>;
}

const misconfigured = (detail: string): Error => new Error(`PROFILE is misconfigured: ${detail}`);

function hashOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 12);
}
