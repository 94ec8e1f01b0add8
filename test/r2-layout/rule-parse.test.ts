import fc from "fast-check";
import { expect, it } from "vitest";
import { EVENT_COLUMNS } from "../../r2-layout/event-columns.ts";
import { RULE } from "../../r2-layout/limits.ts";
import { IDENTITY_FIELDS } from "../../r2-layout/rule.ts";
import { parseRuleChange, parseRuleFilter } from "../../r2-layout/rule-parse.ts";
import { TODAY_US } from "./event-rows.ts";

const many = (count: number) => Array.from({ length: count }, (_, i) => `v${i}`);
const place = (i: number) => ({ shard: 0, seq: i, source: "shop", event_id: `e${i}` });
const named = (count: number) => Object.fromEntries(many(count).map((name) => [`properties.${name}`, "x"]));
const mapped = (count: number) => Object.fromEntries(many(count).map((name) => [name, "x"]));

it("reads a filter as people and programs write it", () => {
  const parsed = parseRuleFilter({
    from: "2026-11-22T00:00:00.000001Z",
    to: TODAY_US + 5,
    where: { app_version: "2.0.1", country: ["DE", null], client_seq: 4, "properties.price": [3, true, "x"] },
    places: [place(1)],
  });
  expect(parsed).toEqual({
    ok: true,
    value: {
      from: TODAY_US + 1,
      to: TODAY_US + 5,
      where: {
        app_version: ["2.0.1"],
        country: ["DE", null],
        client_seq: [4],
        "properties.price": ["3", "true", "x"],
      },
      places: [place(1)],
    },
  });
});

it.each([
  ["filter", null],
  ["filter", []],
  ["filter", {}],
  ["filter", { from: null, where: null }],
  ["filter.app", { app: "x", from: 5 }],
  ["from", { from: "yesterday" }],
  ["from", { from: -1 }],
  ["to", { from: TODAY_US, to: TODAY_US }],
  ["where", { where: {} }],
  ["where", { where: named(RULE.fields + 1) }],
  ["where.app_versoin", { where: { app_versoin: ["1"] } }],
  ["where.__proto__", { where: JSON.parse('{"__proto__":["1"]}') }],
  ["where.properties", { where: { properties: ["1"] } }],
  ["where.app_version", { where: { app_version: [] } }],
  ["where.app_version", { where: { app_version: [2] } }],
  ["where.app_version", { where: { app_version: [{ $ne: 1 }] } }],
  ["where.app_version", { where: { app_version: many(RULE.values + 1) } }],
  ["where.city", { where: { city: ["a\0b"] } }],
  ["where.client_seq", { where: { client_seq: ["4"] } }],
  ["where.client_seq", { where: { client_seq: [4.5] } }],
  ["where.contract_version", { where: { contract_version: [2 ** 31] } }],
  ["where.revenue", { where: { revenue: [Number.POSITIVE_INFINITY] } }],
  ["places", { places: [] }],
  ["places", { places: Array.from({ length: RULE.places + 1 }, (_, i) => place(i)) }],
  ["places.1", { places: [place(1), { ...place(2), shard: -1 }] }],
  ["places.0.user", { places: [{ ...place(1), user: "x" }] }],
])("refuses a filter that does not fit, naming %s", (field, filter) => {
  expect(parseRuleFilter(filter)).toMatchObject({ ok: false, error: { field } });
});

it.each([
  ["change", undefined],
  ["kind", { kind: "delete" }],
  ["change.values", { kind: "retract", values: {} }],
  ["values", { kind: "set" }],
  ["values", { kind: "set", values: {} }],
  ["values.colour", { kind: "set", values: { colour: "red" } }],
  ["values.city", { kind: "set", values: { city: 5 } }],
  ["values.event_name", { kind: "set", values: { event_name: null } }],
  ["values.event_type", { kind: "set", values: { event_type: "tap" } }],
  ["values.country", { kind: "set", values: { country: "GER" } }],
  ["values.currency", { kind: "set", values: { currency: "€€€" } }],
  ["values.revenue", { kind: "set", values: { revenue: "5" } }],
  ["values.properties.x", { kind: "set", values: { "properties.x": {} } }],
  ["field", { kind: "map", values: { a: "b" } }],
  ["field", { kind: "map", field: "event_id", values: { a: "b" } }],
  ["values", { kind: "map", field: "city", values: {} }],
  ["values", { kind: "map", field: "city", values: mapped(RULE.mapped + 1) }],
  ["values.a", { kind: "map", field: "country", values: { a: "Austria" } }],
])("refuses a change that does not fit, naming %s", (field, change) => {
  expect(parseRuleChange(change)).toMatchObject({ ok: false, error: { field } });
});

it("changes any column but those that say which event it is", () => {
  const values = { utf8: "x", timestamp_us: TODAY_US, int32: 1, int64: 1, float64: 1.5, list_utf8: "x", map_utf8: "x" };
  for (const [name, { type }] of Object.entries(EVENT_COLUMNS)) {
    const value = name === "event_type" ? "page" : values[type];
    const settable = !(IDENTITY_FIELDS as readonly string[]).includes(name);
    expect([name, parseRuleChange({ kind: "set", values: { [name]: value } }).ok]).toEqual([name, settable]);
  }
});

it("promise 9: takes as much as its bounds allow, and no byte more in all", () => {
  expect(parseRuleFilter({ where: { app_version: many(RULE.values) } }).ok).toBe(true);
  expect(parseRuleFilter({ where: named(RULE.fields) }).ok).toBe(true);
  expect(parseRuleFilter({ places: Array.from({ length: RULE.places }, (_, i) => place(i)) }).ok).toBe(true);
  expect(parseRuleChange({ kind: "map", field: "city", values: mapped(RULE.mapped) }).ok).toBe(true);
  const name = "properties.".padEnd(RULE.propertyNameBytes, "n");
  expect(parseRuleFilter({ where: { [name]: ["x"] } }).ok).toBe(true);
  expect(parseRuleFilter({ where: { [`${name}n`]: ["x"] } })).toMatchObject({ ok: false });
  const wide = many(RULE.values).map((text) => text.padEnd(Math.ceil(RULE.bytes / RULE.values), "."));
  expect(parseRuleFilter({ where: { page_url: wide } })).toMatchObject({ ok: false, error: { field: "filter" } });
});

it("reads what it has read to the same again, __proto__ and half surrogates among it", () => {
  const value = fc.oneof(fc.string({ unit: "binary", maxLength: 6 }), fc.constantFrom("\ud800", "__proto__", "'\\"));
  const where = fc.dictionary(
    fc.constantFrom("city", "app_version", "properties.__proto__", "properties.ä"),
    fc.array(value, { minLength: 1, maxLength: 3 }),
    { minKeys: 1 },
  );
  fc.assert(
    fc.property(where, fc.integer({ min: 0, max: 1e6 }), (where, us) => {
      const first = parseRuleFilter({ from: TODAY_US + us, where });
      fc.pre(first.ok);
      const again = parseRuleFilter(JSON.parse(JSON.stringify(first.value)));
      expect(again).toEqual(first);
      const change = parseRuleChange({ kind: "map", field: "properties.x", values: { ["__proto__"]: "x" } });
      expect(change.ok && change.value.kind === "map" && Object.keys(change.value.values)).toEqual(["__proto__"]);
    }),
  );
});
