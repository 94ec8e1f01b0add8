/**
 * Events against their contracts, by a validator that makes no code (workerd forbids it). Pure. Which contract an event is
 * checked against follows from its name and source; what becomes of one that does not keep to it, from how far its rollout is.
 */
import { type OutputUnit, Validator } from "@cfworker/json-schema";
import type { EnforcedContract, RolloutMode } from "../../../durable-objects/contract-registry/api.ts";
import { type Contract, parseContract, VIOLATED } from "../../../r2-layout/contracts/contract.ts";
import { resolveRef, type SchemaObject } from "../../../r2-layout/contracts/json-schema.ts";
import { PiiPolicy } from "../../../r2-layout/contracts/pii-policy.ts";
import { propertiesMember, type QuarantineMark } from "../../../r2-layout/log-line.ts";
import { cutUtf8 } from "../../../r2-layout/utf8.ts";
import { type JsonObject, kindOf } from "../derive/json.ts";
import { describe } from "../derive/quarantine.ts";

export interface Checked {
  readonly version: number;
  readonly mode: Exclude<RolloutMode, "off">;
  /** Undefined where the event keeps to the contract. */
  readonly violation: QuarantineMark | undefined;
}

/** All sources that no rollout names. */
export const ALL_SOURCES = "*";

interface Rule {
  readonly contract: Contract;
  readonly mode: Checked["mode"];
  /** Null: nobody can check against it; its policy is carried out all the same. */
  readonly validator: Validator | null;
  readonly policy: PiiPolicy | null;
}

export class ContractChecks {
  /** By source and event name. */
  readonly #rules = new Map<string, Rule>();

  constructor(enforced: readonly EnforcedContract[] = []) {
    for (const { eventName, source, mode, document } of enforced) {
      const parsed = parseContract(JSON.parse(document));
      // It was one when it was registered; an older edge may not know what a newer registry takes.
      if (!parsed.ok) continue;
      const validator = validatorOf(parsed.value);
      this.#rules.set(keyOf(source, eventName), {
        contract: parsed.value,
        mode,
        validator,
        policy: PiiPolicy.of(parsed.value),
      });
    }
  }

  /** What becomes of an event's fields about people, whether it keeps to its contract or not. Null: nothing. */
  policy(source: string, eventName: string | undefined): PiiPolicy | null {
    return (eventName !== undefined && this.#ruleOf(source, eventName)?.policy) || null;
  }

  /** @param raw the event as it was sent. @returns null where it has no contract. */
  check(source: string, eventName: string, raw: JsonObject): Checked | null {
    const rule = this.#ruleOf(source, eventName);
    if (!rule?.validator) return null;
    const member = propertiesMember(raw, eventName);
    const given = raw[member] ?? {};
    const { contract, mode, policy } = rule;
    return {
      version: contract.version,
      mode,
      violation: found(rule.validator, given, member, contract.schema, policy),
    };
  }

  #ruleOf(source: string, eventName: string): Rule | undefined {
    if (this.#rules.size === 0) return undefined;
    return this.#rules.get(keyOf(source, eventName)) ?? this.#rules.get(keyOf(ALL_SOURCES, eventName));
  }
}

/** One contract that cannot be checked against must not take the others, and their policies, with it. */
function validatorOf({ eventName, version, schema }: Contract): Validator | null {
  try {
    return new Validator(schema as never, "2020-12", true);
  } catch (error) {
    console.error(JSON.stringify({ at: "contracts", event: eventName, version, error: String(error) }));
    return null;
  }
}

/** What the validator throws at, as a name that is half a surrogate pair, keeps to no contract. */
function found(
  validator: Validator,
  given: unknown,
  member: string,
  schema: SchemaObject,
  policy: PiiPolicy | null,
): QuarantineMark | undefined {
  try {
    const { valid, errors } = validator.validate(given);
    return valid ? undefined : violation(errors, given, member, schema, policy);
  } catch {
    return { cause: VIOLATED, field: member, expected: "what can be checked", actual: kindOf(given) };
  }
}

const keyOf = (source: string, eventName: string): string => `${source}\n${eventName}`;

/** They only say that something within is wrong. */
const AROUND = ["properties", "patternProperties", "additionalProperties", "items", "$ref", "allOf"];

function violation(
  errors: readonly OutputUnit[],
  given: unknown,
  member: string,
  schema: SchemaObject,
  policy: PiiPolicy | null,
): QuarantineMark {
  const found = errors.find(({ keyword }) => !AROUND.includes(keyword)) ?? errors[0]!;
  const at = stepsOf(found.instanceLocation);
  const missing = found.keyword === "required" ? /property "(.*)"\.$/s.exec(found.error)?.[1] : undefined;
  const path = [member, ...at, ...(missing === undefined ? [] : [missing])];
  const value = valueAt(given, at);
  return {
    cause: VIOLATED,
    field: cutUtf8(path.join("."), 200),
    expected: cutUtf8(expectedBy(found, schema), 500),
    // A mark is kept, too: what the policy treats is told by its kind only.
    actual: missing !== undefined ? "nothing" : policy?.covers(at) ? kindOf(value) : describe(value),
  };
}

/** The keyword and what stands behind it: `type "string"`. */
function expectedBy({ keyword, keywordLocation }: OutputUnit, schema: SchemaObject): string {
  if (keyword === "required") return "required";
  if (keyword === "false") return "nothing: the contract knows no such field";
  let here: unknown = schema;
  for (const step of stepsOf(keywordLocation)) {
    if (typeof here !== "object" || here === null) return keyword;
    here = step === "$ref" ? resolveRef(schema, (here as { $ref: string }).$ref) : (here as JsonObject)[step];
  }
  return here === undefined ? keyword : `${keyword} ${JSON.stringify(here)}`;
}

const stepsOf = (location: string): string[] =>
  location
    .split("/")
    .slice(1)
    .map((step) => decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~"));

const valueAt = (value: unknown, steps: readonly string[]): unknown =>
  steps.reduce<unknown>(
    (here, step) => (typeof here === "object" && here !== null ? (here as JsonObject)[step] : undefined),
    value,
  );
