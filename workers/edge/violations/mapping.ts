/**
 * A mapping: how properties that broke a contract become those that it asks for. Steps are made in order, each on the event as the
 * one before has left it; a step that finds nothing to do leaves it as it is. What was sent stays in the log as it came.
 *
 *     {"field": "quantity", "set": 1}                where there is none
 *     {"field": "product_id", "from": "productId"}   another name, where the new one is free
 *     {"field": "price", "as": "number"}             "12.50" -> 12.5; "string", "integer", "boolean"
 *     {"field": "note", "drop": true}
 */
import { VIOLATIONS } from "../../../r2-layout/limits.ts";
import { members } from "../json-body.ts";
import { badParameter } from "../parameters.ts";

const TYPES = ["string", "number", "integer", "boolean"] as const;
type Type = (typeof TYPES)[number];

export type MappingStep = { readonly field: string } & (
  | { readonly set: unknown }
  | { readonly from: string }
  | { readonly as: Type }
  | { readonly drop: true }
);

type Properties = Readonly<Record<string, unknown>>;

/** @throws Refused */
export function parseMapping(given: unknown): readonly MappingStep[] {
  if (given === undefined || given === null) return [];
  if (!Array.isArray(given) || given.length > VIOLATIONS.mappingSteps)
    throw badParameter("mapping", `a list of at most ${VIOLATIONS.mappingSteps} steps`);
  return given.map((one, i) => {
    const at = `mapping.${i}`;
    const step = members(one, ["field", "set", "from", "as", "drop"], at);
    const { field, from, as, drop } = step;
    if (!isName(field)) throw badParameter(`${at}.field`, "the name of a property");
    if (Object.keys(step).length !== 2) throw badParameter(at, "a field, and one of set, from, as and drop");
    if ("set" in step) return { field, set: step.set };
    if ("from" in step) {
      if (!isName(from)) throw badParameter(`${at}.from`, "the name of a property");
      return { field, from };
    }
    if ("as" in step) {
      const type = TYPES.find((name) => name === as);
      if (!type) throw badParameter(`${at}.as`, `one of ${TYPES.join(", ")}`);
      return { field, as: type };
    }
    if (drop !== true) throw badParameter(`${at}.drop`, "true");
    return { field, drop };
  });
}

const isName = (given: unknown): given is string =>
  typeof given === "string" && given !== "" && given !== "__proto__" && given.length <= VIOLATIONS.textChars;

/** Changes nothing that it is given. */
export function mapped(properties: Properties, steps: readonly MappingStep[]): Properties {
  const out: Record<string, unknown> = { ...properties };
  for (const step of steps) {
    const { field } = step;
    const has = ownValue(out, field) !== undefined && out[field] !== null;
    if ("drop" in step) delete out[field];
    else if ("set" in step) {
      if (!has) out[field] = step.set;
    } else if ("from" in step) {
      if (has || ownValue(out, step.from) === undefined) continue;
      out[field] = out[step.from];
      delete out[step.from];
    } else if (has) out[field] = converted(out[field], step.as);
  }
  return out;
}

/** Its own: a property may be called `constructor`. */
const ownValue = (properties: Properties, name: string): unknown =>
  Object.hasOwn(properties, name) ? properties[name] : undefined;

/** What cannot be converted stays: the contract will say what is wrong with it. */
function converted(value: unknown, type: Type): unknown {
  if (type === "string") return typeof value === "object" ? value : String(value);
  if (type === "boolean") {
    if (value === "true" || value === 1 || value === "1") return true;
    return value === "false" || value === 0 || value === "0" ? false : value;
  }
  if (typeof value !== "string" || value.trim() === "") return value;
  const number = Number(value);
  if (!Number.isFinite(number)) return value;
  return type === "number" || Number.isInteger(number) ? number : value;
}
