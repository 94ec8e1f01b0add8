import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bindParams, type Params } from "../../../../workers/query/gate/params.ts";
import { planStatement } from "../../../../workers/query/plan/plan-statement.ts";
import { parse } from "../sql-parser-module.ts";

const bind = (sql: string, params?: Params) => {
  const bound = bindParams(sql, params);
  return bound.ok ? bound.value.replaceAll(/\s+/g, " ").trim() : `${bound.error.reason}: ${bound.error.detail}`;
};

describe("parameters", () => {
  it.each<[string, Params | undefined, string]>([
    ["select ?", ["it's"], "select ('it''s')"],
    ["select $1, $2, $1", [1, true], "select (1) , true , (1)"],
    ["select -$n", { n: -5 }, "select - (-5)"],
    ["select -?", [5], "select - (5)"],
    ["select f(?, ?)", ["a", null], "select f( 'a' , NULL )"],
    ["select ?", [0.5], "select (0.5e0)"],
    ["select ?", [1e300], "select (1e+300)"],
    ["select ?", [-0], "select (0)"],
    ["select 1 where x in ?", [["a", 2, null]], "select 1 where x in ('a', 2, NULL)"],
    ["select 1 where x in (?)", [["a", "b"]], "select 1 where x in ( 'a', 'b' )"],
    ["select 1 where x IN ( /* all */ $xs )", { xs: [1] }, "select 1 where x IN ( /* all */ 1 )"],
    ["select 1 where x in (?, ?)", ["a", "b"], "select 1 where x in ( 'a' , 'b' )"],
    ["select ?", [["a", "b"]], "select ['a', 'b']"],
    ["select date ? + interval ?", ["2026-01-01", "1 day"], "select date '2026-01-01' + interval '1 day'"],
    ["select '?', \"$1\" -- ? $2\n, ? /* $3 ? */", [1], "select '?', \"$1\" -- ? $2 , (1) /* $3 ? */"],
    ["select 1", undefined, "select 1"],
    ["select 1", [], "select 1"],
    ["select 1", {}, "select 1"],
  ])("%s with %j", (sql, params, bound) => {
    expect(bind(sql, params)).toBe(bound);
  });

  it.each<[string, Params | undefined, RegExp]>([
    ["select ?", undefined, /params is a list/],
    ["select ?, ?", [1], /more `\?` .* than values in params, 1/],
    ["select ?", [1, 2], /does not use the value number 2/],
    ["select $2", [1, 2], /does not use the value number 1/],
    ["select $3", [1, 2], /no value for \$3: params has 2/],
    ["select $0", [1], /no value for \$0/],
    ["select $x", { y: 1 }, /no value for \$x/],
    ["select $x", { x: 1, y: 1 }, /does not use the value "y"/],
    ["select $x", [1], /params is an object/],
    ["select $1", { x: 1 }, /params is a list/],
    ["select $toString", {}, /no value for \$toString/],
    ["select ?, $1", [1], /both/],
    ["select ?", [Number.NaN], /finite/],
    ["select ?", [2 ** 53], /lost digits/],
    ["select ?", ["\ud800"], /surrogate/],
    ["select ?", [{ a: 1 }], /a value is/],
    ["select ?", [[[1]]], /a value is/],
    ["select 1 where 1 in ?", [[]], /at least one/],
  ])("%s with %j is refused", (sql, params, detail) => {
    expect(bind(sql, params)).toMatch(/^bad_parameter/);
    expect(bind(sql, params)).toMatch(detail);
  });

  it.each(["select $$a$$", "select $a$b$a$", "select a$1", "select $1a", "select $1$2", "select $ 1", "select 'x"])(
    "%s is no place for one",
    (sql) => {
      expect(bind(sql, [1])).toMatch(/^unsupported_syntax/);
    },
  );
});

const NOW = 1_795_000_000_000_000;
const tree = (sql: string, value: unknown): unknown => {
  const bound = bindParams(sql, [value]);
  if (!bound.ok) throw new Error(bound.error.detail);
  const plan = planStatement(parse, bound.value, NOW);
  return plan.ok ? withoutPlaces(parse(plan.value.sql)) : plan.error.reason;
};

/** Where in the text something stood is the one thing that a longer literal changes. */
const withoutPlaces = (node: unknown): unknown =>
  JSON.parse(
    JSON.stringify(node, (key, value: unknown) => (key === "span" || key.endsWith("_token") ? undefined : value)),
  );

const PLACES = [
  "select ?",
  "select 'a' || ? || 'b'",
  "select * from events where user_id = ? and event_name <> 'x'",
  "select count(*) from events where user_id in (?, 'a')",
  "select lower(?)",
  "select case when user_id = ? then 1 else 2 end from events",
  "select x.a from (select ? as a) x",
  "select coalesce(user_id,?)from events",
];
const nasty = fc
  .oneof(
    fc.string({ unit: "binary", maxLength: 40 }).map((text) => text.toWellFormed()),
    fc.string({ unit: fc.constantFrom("'", '"', "\\", "-", "/", "*", ";", "$", "?", "\n", "a", "😀", ")", "(", "`") }),
    fc.constantFrom(
      "' or 1=1 --",
      "'; attach 'x'; --",
      "\\'",
      "''",
      "/*",
      "*/",
      "--",
      "E'\\''",
      "$$",
      "?",
      "$1",
      "\u2019",
    ),
  )
  .filter((text) => !text.includes("\0"));

it("whatever text is given, it is one literal in the tree and the rest of the tree is as it was", () => {
  const marker = "__marker__";
  fc.assert(
    fc.property(fc.constantFrom(...PLACES), nasty, (sql, text) => {
      const expected = JSON.parse(
        JSON.stringify(tree(sql, marker)).replaceAll(JSON.stringify(marker), () => JSON.stringify(text)),
      );
      expect(tree(sql, text)).toEqual(expected);
    }),
    { numRuns: 1_000 },
  );
});

it("values are there when the statement is planned, as if they had been written", () => {
  const plan = (sql: string, params?: Params) => {
    const bound = bindParams(sql, params);
    if (!bound.ok) throw new Error(bound.error.detail);
    const { value } = planStatement(parse, bound.value, NOW) as { value: { tables: unknown } };
    return value.tables;
  };
  const from = "2026-11-20T00:00:00Z";
  expect(
    plan("select count(*) from events where event_time >= $from and event_time < $to and event_name in $names", {
      from,
      to: "2026-11-21",
      names: ["page", "Order Completed"],
    }),
  ).toEqual(
    plan(
      `select count(*) from events where event_time >= '${from}' and event_time < '2026-11-21' and event_name in ('page', 'Order Completed')`,
    ),
  );
});
