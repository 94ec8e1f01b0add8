import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import {
  changeRow,
  fieldValue,
  type Rule,
  type RuleAt,
  type RuleChange,
  ruleMatcher,
  rulesReader,
  shardedRulesReader,
} from "../../r2-layout/rule.ts";
import { packSubjects, placeholderOf, subjectHasher } from "../../r2-layout/subjects.ts";
import { eventRow, eventRowArbitrary } from "./event-rows.ts";

const at = (version: number, seq: number, change: RuleChange, filter: Rule["filter"] = {}): RuleAt => ({
  version,
  id: `rule-${version}`,
  createdAt: 0,
  seq,
  change,
  filter,
});

const fields = ["user_id", "country", "app_version", "client_seq", "properties.price", "properties.__proto__"] as const;
const settings = fc.dictionary(
  fc.constantFrom(...fields.filter((field) => field !== "client_seq")),
  fc.option(fc.string({ maxLength: 5 })),
  { minKeys: 1 },
);

describe("changeRow", () => {
  it("sets the same once or twice, leaves the row it was given as it is, and touches nothing else", () => {
    fc.assert(
      fc.property(eventRowArbitrary, settings, (row, values) => {
        const before = structuredClone(row);
        const once = changeRow(row, { kind: "set", values })!;
        expect(row).toEqual(before);
        expect(changeRow(once, { kind: "set", values })).toEqual(once);
        for (const field of fields) {
          const expected = field in values ? (values[field] ?? null) : fieldValue(row, field);
          expect(fieldValue(once, field)).toEqual(expected);
        }
        expect({ ...once, properties: 0 }).toMatchObject({ event_id: row.event_id, log_seq: row.log_seq });
      }),
    );
  });

  it("retracts, and maps only the values it names", () => {
    const row = eventRow(1, { anonymous_id: "device-1", client_seq: 7 });
    expect(changeRow(row, { kind: "retract" })).toBeNull();
    const map = { kind: "map", field: "anonymous_id", values: { "device-1": "device-2", "device-2": null } } as const;
    const once = changeRow(row, map)!;
    expect(once.anonymous_id).toBe("device-2");
    // A map is applied once for each version: twice is another thing.
    expect(changeRow(once, map)!.anonymous_id).toBeNull();
    expect(changeRow(eventRow(1, { anonymous_id: "toString" }), map)!.anonymous_id).toBe("toString");
    expect(changeRow(row, { kind: "map", field: "client_seq", values: { "7": 8 } })!.client_seq).toBe(8);
    expect(
      changeRow(eventRow(0, { flags: ["bot"] }), { kind: "map", field: "flags", values: { bot: "x" } })!.flags,
    ).toEqual(["bot"]);
  });

  it("has a property named __proto__ as any other, and no map where no property is left", () => {
    const set = { kind: "set", values: JSON.parse('{"properties.__proto__":"x"}') } as RuleChange;
    const changed = changeRow(eventRow(1, { properties: null }), set)!;
    expect(Object.keys(changed.properties!)).toEqual(["__proto__"]);
    expect(fieldValue(changed, "properties.__proto__")).toBe("x");
    expect(Object.getPrototypeOf(changed.properties)).toBe(Object.prototype);
    expect(fieldValue(eventRow(1), "properties.__proto__")).toBeNull();
    expect(fieldValue(eventRow(1), "properties.toString")).toBeNull();
    const removed = changeRow(changed, { kind: "set", values: { "properties.__proto__": null } })!;
    expect(removed.properties).toBeNull();
  });
});

describe("ruleMatcher", () => {
  const matches = (filter: Rule["filter"], row: EventRow) => ruleMatcher(filter)(row);

  it.each([
    ["any of the values", { where: { country: ["DE", "FR"] } }, { country: "FR" }, true],
    ["none of the values", { where: { country: ["DE", "FR"] } }, { country: "US" }, false],
    ["null among the values", { where: { country: ["DE", null] } }, { country: null }, true],
    ["an absent value as null", { where: { country: [null] } }, { country: undefined }, true],
    ["no null", { where: { country: ["DE"] } }, { country: null }, false],
    ["one of the flags", { where: { flags: ["bot", "late"] } }, { flags: ["clock_skewed", "late"] }, true],
    ["other flags", { where: { flags: ["bot"] } }, { flags: ["late"] }, false],
    ["no flags at all as null", { where: { flags: [null] } }, { flags: null }, true],
    ["an empty list not as null", { where: { flags: [null] } }, { flags: [] }, false],
    ["a property", { where: { "properties.price": ["3"] } }, { properties: { price: "3" } }, true],
    ["an absent property as null", { where: { "properties.price": [null] } }, { properties: null }, true],
    ["a number", { where: { client_seq: [0] } }, { client_seq: -0 }, true],
    ["a number's text not as the number", { where: { client_seq: ["7"] } }, { client_seq: 7 }, false],
    ["every field named", { where: { country: ["DE"], city: ["Bonn"] } }, { country: "DE", city: "Ulm" }, false],
  ] as const)("knows %s", (_, filter, part, expected) => {
    expect(matches(filter as unknown as Rule["filter"], eventRow(1, part as Partial<EventRow>))).toBe(expected);
  });

  it("takes times from `from` up to but not including `to`", () => {
    const row = eventRow(1, { event_time: 100 });
    expect(matches({ from: 100, to: 101 }, row)).toBe(true);
    expect(matches({ from: 101 }, row)).toBe(false);
    expect(matches({ to: 100 }, row)).toBe(false);
  });

  it("takes the events at places, exactly those, and of them those that the rest means", () => {
    const place = { shard: 2, seq: 5, source: "shop", event_id: "event-1" };
    const row = eventRow(1, { log_shard: 2, log_seq: 5 });
    expect(matches({ places: [place] }, row)).toBe(true);
    for (const part of [{ log_shard: 1 }, { log_seq: 6 }, { source: "app" }, { event_id: "event-2" }]) {
      expect(matches({ places: [place] }, { ...row, ...part })).toBe(false);
    }
    expect(matches({ places: [place], where: { country: ["DE"] } }, row)).toBe(false);
    expect(matches({ places: [] }, row)).toBe(false);
  });
});

describe("rulesReader", () => {
  it("promise 4: applies rules above a row's place in the order of their versions, whatever order they come in", () => {
    const rules = fc.array(
      fc.record({
        seq: fc.integer({ min: 1, max: 10 }),
        from: fc.constantFrom("a", "b", "c", null),
        to: fc.constantFrom("a", "b", "c", null, "retract"),
      }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(
        rules,
        fc.integer({ min: 1, max: 10 }),
        fc.constantFrom("a", "b"),
        fc.gen(),
        (drawn, logSeq, id, gen) => {
          const all = drawn.map(({ seq, from, to }, i) =>
            at(i + 1, seq, to === "retract" ? { kind: "retract" } : { kind: "set", values: { user_id: to } }, {
              where: { user_id: [from] },
            }),
          );
          // Told another way: one value that each rule in turn may change.
          let expected: string | null | "gone" = id;
          for (const { seq, from, to } of drawn) {
            if (expected !== "gone" && logSeq < seq && expected === from) expected = to === "retract" ? "gone" : to;
          }
          const shuffled = gen(fc.shuffledSubarray, all, { minLength: all.length, maxLength: all.length });
          const row = rulesReader(shuffled)(eventRow(1, { user_id: id, log_seq: logSeq }));
          expect(row === null ? "gone" : (row.user_id ?? null)).toBe(expected);
        },
      ),
    );
  });

  it("gives back the row itself where no rule means it", () => {
    const row = eventRow(1, { log_seq: 5 });
    expect(rulesReader([])(row)).toBe(row);
    expect(rulesReader([at(1, 5, { kind: "retract" })])(row)).toBe(row);
    expect(rulesReader([at(1, 6, { kind: "retract" })])(row)).toBeNull();
  });

  it("has each shard's row pass through that shard's rules, less those it passed before", () => {
    const set = (to: string): RuleChange => ({ kind: "set", values: { city: to } });
    const byShard = new Map([
      [0, [at(1, 10, set("one")), at(2, 20, set("two"))]],
      [1, [at(1, 3, set("one")), at(2, 4, set("two"))]],
    ]);
    const city = (log_shard: number, above?: number) =>
      shardedRulesReader(byShard, above)(eventRow(1, { log_shard, log_seq: 3, city: "none" }))?.city;
    expect([city(0), city(1), city(2)]).toEqual(["two", "two", "none"]);
    expect(city(0, 2)).toBe("none");
    expect(shardedRulesReader(byShard)(eventRow(1, { log_shard: 0, log_seq: 15 }))!.city).toBe("two");
    expect(shardedRulesReader(byShard, 1)(eventRow(1, { log_shard: 1, log_seq: 2 }))!.city).toBe("two");
  });
});

describe("rules about subjects (promise 7)", () => {
  const hash = subjectHasher("a key");
  const ada = { ...eventRow(1), user_id: "ada", anonymous_id: "phone", log_seq: 3 };
  const filter = (...users: string[]) => ({
    subjects: packSubjects(users.map((id) => hash({ kind: "user", id }))),
  });

  it("mean the events that name one of them, and of nobody none", () => {
    fc.assert(
      fc.property(eventRowArbitrary, fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 4 }), (row, others) => {
        const user_id = row.user_id || "somebody";
        const named = { ...row, user_id, anonymous_id: null, properties: null };
        const without = others.filter((id) => id !== user_id);
        expect(ruleMatcher(filter(...without, user_id), hash)(named)).toBe(true);
        expect(ruleMatcher(filter(...without), hash)(named)).toBe(false);
      }),
    );
  });

  it("mean only those of them that the rest of the filter means", () => {
    const matches = ruleMatcher({ ...filter("ada"), where: { anonymous_id: ["laptop"] } }, hash);
    expect(matches(ada)).toBe(false);
    expect(matches({ ...ada, anonymous_id: "laptop" })).toBe(true);
  });

  it("take out what stands below an erasure's place, and leave what a suppression finds below its own", () => {
    const read = (kind: "erase" | "suppress", seq: number) =>
      rulesReader([at(1, seq, { kind }, filter("ada"))], hash)(ada);
    expect(read("erase", 4)).toBeNull();
    expect(read("erase", 3)).toBe(ada);
    expect(read("suppress", 4)).toBe(ada);
    const byShard = new Map([[ada.log_shard, [at(2, 4, { kind: "erase" }, filter("ada"))]]]);
    expect(shardedRulesReader(byShard, 1, hash)(ada)).toBeNull();
    expect(shardedRulesReader(byShard, 2, hash)(ada)).toBe(ada);
  });

  it("are read by nobody who has no key, rather than for every event or for none", () => {
    expect(() => ruleMatcher(filter("ada"))).toThrow("without the key");
    expect(() => rulesReader([at(1, 4, { kind: "erase" }, filter("ada"))])).toThrow("without the key");
  });

  it("a name and the placeholder that an erasure has put in its place are one, in rows and in rules, in filters and in maps", () => {
    const kinds = { user_id: "user", anonymous_id: "device" } as const;
    for (const field of ["user_id", "anonymous_id"] as const) {
      const placeholder = placeholderOf(hash({ kind: kinds[field], id: "ada" }));
      const other = placeholderOf(hash({ kind: kinds[field], id: "bob" }));
      for (const [named, value] of [
        ["ada", "ada"],
        ["ada", placeholder],
        [placeholder, "ada"],
        [placeholder, placeholder],
      ] as const) {
        const row = { ...eventRow(1), [field]: value };
        expect(ruleMatcher({ where: { [field]: [named] } }, hash)(row)).toBe(true);
        expect(ruleMatcher({ where: { [field]: ["bob", other] } }, hash)(row)).toBe(false);
        const change = { kind: "map", field, values: { [named]: "cleo", bob: "dora" } } as const;
        expect(changeRow(row, change, hash)![field]).toBe("cleo");
        expect(changeRow({ ...row, [field]: other }, change, hash)![field]).toBe("dora");
      }
    }
  });
});
