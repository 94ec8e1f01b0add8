import { describe, expect, it } from "vitest";
import type { EnforcedContract } from "../../../../durable-objects/contract-registry/api.ts";
import { parseLogLine, propertiesOf } from "../../../../r2-layout/log-line.ts";
import { ContractChecks } from "../../../../workers/edge/contracts/contract-checks.ts";
import { parseEvents, readBody } from "../../../../workers/edge/parse-events.ts";
import { facts } from "../facts.ts";

const SCHEMA = {
  type: "object",
  additionalProperties: false,
  properties: {
    plan: { type: "string", enum: ["free", "pro"] },
    seats: { type: "integer", minimum: 1 },
    mail: { type: "string", format: "email" },
    "a/b": { type: "string" },
    items: { type: "array", items: { $ref: "#/$defs/item" } },
    either: { anyOf: [{ type: "string" }, { type: "number", minimum: 3 }] },
  },
  required: ["plan"],
  $defs: { item: { type: "object", properties: { id: { type: "integer" } }, required: ["id"] } },
};

const enforced = (more: Partial<EnforcedContract> = {}, version = 3, schema: object = SCHEMA): EnforcedContract => {
  const { eventName = "Signed up" } = more;
  const semantics = { "x-event": eventName, "x-version": version, "x-owner": "growth", description: "It happened." };
  return { eventName, source: "*", mode: "quarantine", document: JSON.stringify({ ...semantics, ...schema }), ...more };
};
const violationOf = (properties: unknown, more: Partial<EnforcedContract> = {}) =>
  new ContractChecks([enforced(more)]).check("shop", "Signed up", { properties })?.violation;

describe("what the validator throws at", () => {
  it("is an event that breaks its contract: a name that is half a surrogate pair, or one that reads as a reference", () => {
    for (const odd of ["\ud800", "$ref", "__proto__", "constructor"]) {
      const properties = JSON.parse(`{"plan":"pro",${JSON.stringify(odd)}:1}`) as object;
      expect(violationOf(properties)?.cause).toBe("contract_violated");
    }
    expect(violationOf(JSON.parse('{"plan":"pro","\\ud800":1}'))).toMatchObject({ field: "properties" });
  });

  it("promise 1: is one contract alone, and neither others nor its own policy: events are taken", () => {
    const broken = {
      ...SCHEMA,
      properties: { ...SCHEMA.properties, mail: { type: "string", "x-pii": { class: "email", treatment: "drop" } } },
      $id: "http://",
    };
    const checks = new ContractChecks([
      enforced({ eventName: "Broken" }, 1, broken),
      enforced({ eventName: "Signed up" }),
    ]);
    expect(checks.check("shop", "Signed up", { properties: {} })?.violation?.field).toBe("properties.plan");
    expect(checks.check("shop", "Broken", { properties: {} })).toBeNull();
    expect(checks.policy("shop", "Broken")?.covers(["mail"])).toBe(true);
  });
});

describe("an event against its contract", () => {
  it.each([
    ["a field that is missing", { seats: 1 }, "properties.plan", "required", "nothing"],
    ["no properties at all", undefined, "properties.plan", "required", "nothing"],
    ["a value that is not among those named", { plan: "gold" }, "properties.plan", 'enum ["free","pro"]', "text gold"],
    ["another type", { plan: "pro", seats: "2" }, "properties.seats", 'type "integer"', "text 2"],
    ["a value below its bound", { plan: "pro", seats: 0 }, "properties.seats", "minimum 1", "number 0"],
    ["no address", { plan: "pro", mail: "ada" }, "properties.mail", 'format "email"', "text ada"],
    [
      "a field that the contract does not know",
      { plan: "pro", x: true },
      "properties.x",
      "nothing: the contract knows no such field",
      "boolean true",
    ],
    ["a field whose name has a slash", { plan: "pro", "a/b": 1 }, "properties.a/b", 'type "string"', "number 1"],
    [
      "an item of a list behind a definition",
      { plan: "pro", items: [{ id: 1 }, { id: "x" }] },
      "properties.items.1.id",
      'type "integer"',
      "text x",
    ],
    ["an item that lacks a field", { plan: "pro", items: [{}] }, "properties.items.0.id", "required", "nothing"],
    [
      "none of the alternatives",
      { plan: "pro", either: 1 },
      "properties.either",
      'anyOf [{"type":"string"},{"type":"number","minimum":3}]',
      "number 1",
    ],
  ])("says of %s where it is, what was expected and what came", (_, properties, field, expected, actual) => {
    expect(violationOf(properties)).toEqual({ cause: "contract_violated", field, expected, actual });
  });

  it("finds nothing wrong with one that keeps to it", () => {
    const checked = new ContractChecks([enforced()]).check("shop", "Signed up", {
      properties: { plan: "pro", seats: 2 },
    });
    expect(checked).toEqual({ version: 3, mode: "quarantine", violation: undefined });
  });

  it("is checked against its source's rollout, else that of all sources, else not", () => {
    const checks = new ContractChecks([
      enforced({ mode: "reject" }, 2),
      enforced({ source: "shop", mode: "warn" }, 1),
      enforced({ eventName: "identify" }, 1),
    ]);
    const right = { properties: { plan: "pro" }, traits: { plan: "pro" } };
    expect(checks.check("shop", "Signed up", right)).toMatchObject({ mode: "warn", version: 1 });
    expect(checks.check("other", "Signed up", right)).toMatchObject({ mode: "reject", version: 2 });
    expect(checks.check("other", "Bought", right)).toBeNull();
    expect(checks.check("shop", "identify", { traits: {} })?.violation?.field).toBe("traits.plan");
  });

  it.each([
    ["identify", { properties: {}, traits: { plan: "pro" } }, "properties.plan"],
    ["identify", { properties: { plan: "pro" }, traits: {} }, undefined],
    ["identify", {}, "traits.plan"],
    ["Signed up", { traits: {} }, "traits.plan"],
    ["Signed up", { properties: { plan: "pro" }, traits: {} }, undefined],
    ["Signed up", {}, "properties.plan"],
  ])("is checked by what its row has for properties: %s with %j", (eventName, raw, field) => {
    const checks = new ContractChecks([enforced({ eventName, mode: "warn" }, 1)]);
    expect(checks.check("shop", eventName, raw)?.violation?.field).toBe(field);
    const kept = propertiesOf({ ...raw, event: eventName })?.plan;
    expect(kept).toBe(field === undefined ? "pro" : undefined);
  });

  it("passes over a contract that it cannot read, and checks by the others", () => {
    const odd = enforced({ eventName: "Odd" }, 1, { type: "object", madeUpLater: true });
    const checks = new ContractChecks([odd, enforced()]);
    expect(checks.check("shop", "Odd", {})).toBeNull();
    expect(checks.check("shop", "Signed up", {})?.violation).toBeDefined();
  });
});

describe("what becomes of an event that does not keep to its contract", () => {
  const sent = (mode: EnforcedContract["mode"], properties: object) => {
    const body = readBody(
      new TextEncoder().encode(
        JSON.stringify({ batch: [{ type: "track", event: "Signed up", messageId: "m", userId: "u", properties }] }),
      ),
      "batch",
    );
    if (!body.ok) throw new Error(body.error.reason);
    const checks = new ContractChecks([enforced({ mode })]);
    return parseEvents(
      body.value,
      facts(),
      () => 0,
      () => "0".repeat(32),
      checks,
    );
  };
  const lineOf = (mode: EnforcedContract["mode"], properties: object) =>
    parseLogLine(sent(mode, properties).kept[0]!.line);

  it("warn: it is kept as it is, with a flag, and its sender is told", () => {
    const { kept } = sent("warn", { plan: "gold" });
    expect(kept[0]).toMatchObject({
      quarantine: undefined,
      warning: { field: "properties.plan" },
      flags: ["off_contract"],
    });
    expect(lineOf("warn", { plan: "gold" })).toMatchObject({
      row: { contract_version: 3, flags: ["off_contract"], properties: { plan: "gold" } },
    });
  });

  it("quarantine: it is kept apart, whole, with what is wrong with it", () => {
    const line = lineOf("quarantine", { plan: "gold" });
    expect(line).toMatchObject({
      q: { cause: "contract_violated", field: "properties.plan" },
      row: { contract_version: 3, event_name: "Signed up", user_id: "u" },
      raw: { properties: { plan: "gold" } },
    });
    expect(line.row.properties).toBeUndefined();
  });

  it("reject: it is not taken, and its sender is told why", () => {
    expect(sent("reject", { plan: "gold" })).toMatchObject({
      kept: [],
      dropped: [
        { event_id: "m", cause: "contract_violated", field: "properties.plan", expected: 'enum ["free","pro"]' },
      ],
    });
  });

  it.each(["warn", "quarantine", "reject"] as const)(
    "%s: one that keeps to it only says by which version it was checked",
    (mode) => {
      const line = lineOf(mode, { plan: "pro" });
      expect(line.q).toBeUndefined();
      expect(line.row).toMatchObject({ contract_version: 3, properties: { plan: "pro" } });
      expect(line.row.flags).toBeUndefined();
    },
  );
});
