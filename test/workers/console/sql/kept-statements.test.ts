import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matching } from "../../../../workers/console/sql/history.ts";
import { linkedStatement, linkTo } from "../../../../workers/console/sql/link.ts";
import { parameterValue, requestParameters } from "../../../../workers/console/sql/parameter-values.ts";
import { StoredList, type TextStore } from "../../../../workers/console/sql/stored-list.ts";

interface Item {
  readonly sql: string;
  readonly n: number;
}

const listOver = (store: () => TextStore, bounds = { itemsMax: 3, charsMax: 10_000 }) =>
  new StoredList<Item>(
    {
      key: "k",
      parse: (value) => (typeof (value as Item)?.sql === "string" ? (value as Item) : null),
      identity: ({ sql }) => sql,
      ...bounds,
    },
    store,
  );

function memory(): TextStore & { readonly kept: Map<string, string> } {
  const kept = new Map<string, string>();
  return { kept, getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) };
}

describe("a kept list", () => {
  it("has the newest first, each once, and no more than it may", () => {
    const store = memory();
    const list = listOver(() => store);
    for (const [n, sql] of ["a", "b", "a", "c", "d"].entries()) list.put({ sql, n });
    expect(list.read().map(({ sql, n }) => `${sql}${n}`)).toEqual(["d4", "c3", "a2"]);
    list.remove("c");
    expect(list.read().map(({ sql }) => sql)).toEqual(["d", "a"]);
    list.clear();
    expect(list.read()).toEqual([]);
  });

  it("stays below its size, and gives up the oldest for it", () => {
    const store = memory();
    const list = listOver(() => store, { itemsMax: 100, charsMax: 500 });
    for (let n = 0; n < 50; n++) list.put({ sql: `${n}`.padEnd(60, "x"), n });
    expect(store.kept.get("k")!.length).toBeLessThanOrEqual(500);
    expect(list.read().length).toBeGreaterThan(3);
    expect(list.read()[0]!.n).toBe(49);
  });

  it.each(["not JSON", '{"a":1}', "[1,null,{}]"])("is empty where something else was stored: %s", (text) => {
    const store = memory();
    store.setItem("k", text);
    expect(listOver(() => store).read()).toEqual([]);
  });

  it("lives as long as the page where the browser keeps nothing", () => {
    const list = listOver(() => {
      throw new Error("blocked");
    });
    list.put({ sql: "a", n: 1 });
    expect(list.read()).toEqual([{ sql: "a", n: 1 }]);
  });

  it("is searched by words in any order", () => {
    const items = [
      { sql: "SELECT revenue FROM events" },
      { sql: "select 1", name: "Daily revenue" },
      { sql: "select 2" },
    ];
    expect(matching(items, "REVENUE  select")).toEqual(items.slice(0, 2));
    expect(matching(items, " ")).toBe(items);
  });
});

it("a link carries every statement and its parameters, outside of what a browser sends", () => {
  const name = fc.stringMatching(/^\w{1,20}$/);
  const text = fc.string({ unit: "grapheme" });
  fc.assert(
    fc.property(text, fc.dictionary(name, text, { noNullPrototype: true }), (sql, parameters) => {
      const url = new URL(linkTo("https://lake.example/sql", { sql, parameters }));
      expect(url.search).toBe("");
      expect(linkedStatement(url)).toEqual({ sql, parameters });
    }),
  );
  expect(linkedStatement(new URL("https://lake.example/sql?sql=select+1"))).toEqual({
    sql: "select 1",
    parameters: {},
  });
  expect(linkedStatement(new URL("https://lake.example/sql#top"))).toBeNull();
});

describe("a parameter", () => {
  it.each([
    ["42", 42],
    ["-1.5", -1.5],
    ["007", "007"],
    ["9007199254740993", "9007199254740993"],
    ["true", true],
    ["null", null],
    ["'42'", "42"],
    ["'it''s'", "it's"],
    [" two words ", " two words "],
    ["", ""],
    ["2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"],
    ['["a", 1, null]', ["a", 1, null]],
    ["[1, [2]]", "[1, [2]]"],
    ["[open", "[open"],
  ])("written as %j is %j", (written, value) => {
    expect(parameterValue(written)).toEqual(value);
  });

  it("goes by its name, or by its place where all have numbers", () => {
    expect(requestParameters([], {})).toBeUndefined();
    expect(requestParameters(["from", "1"], { from: "a", 1: "2" })).toEqual({ from: "a", 1: 2 });
    expect(requestParameters(["3", "1"], { 1: "a", 3: "c" })).toEqual(["a", "", "c"]);
  });
});
