import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chosenPart, parametersOf, statementAt, statementsOf } from "../../../../workers/console/sql/statements.ts";
import { tokensOf } from "../../../../workers/console/sql/tokens.ts";

const texts = (sql: string) => statementsOf(sql).map(({ text }) => text);

it("tokens are the whole text, whatever it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (sql) => {
      const tokens = tokensOf(sql);
      expect(tokens.map(({ from, to }) => sql.slice(from, to)).join("")).toBe(sql);
      expect(tokens.every(({ from, to }) => from < to)).toBe(true);
    }),
  );
});

describe("statements", () => {
  it.each([
    ["select 1; select 2", ["select 1", "select 2"]],
    ["select ';' as a, \";\" as b; -- ;\nselect 2 /* ; */;", ["select ';' as a, \";\" as b", "-- ;\nselect 2 /* ; */"]],
    ["select 'it''s; fine'", ["select 'it''s; fine'"]],
    [" ;; -- only a comment\n; ", []],
    ["select 'open; quote", ["select 'open; quote"]],
  ])("of %j are parted at semicolons outside quotes and comments", (sql, expected) => {
    expect(texts(sql)).toEqual(expected);
  });

  it("joined by semicolons are found again, each by any place in it", () => {
    const statement = fc.constantFrom("select 1", "select ';'", "with a as (select 2) select * from a", 'select "x;y"');
    fc.assert(
      fc.property(fc.array(statement, { minLength: 1, maxLength: 5 }), (statements) => {
        const sql = statements.join(";\n");
        expect(texts(sql)).toEqual(statements);
        for (const { from, to, text } of statementsOf(sql)) {
          expect(statementAt(sql, from)?.text).toBe(text);
          expect(statementAt(sql, to)?.text).toBe(text);
        }
      }),
    );
  });

  it("behind the last semicolon the statement before it is meant, before the first the first", () => {
    const sql = "\n\nselect 1;\nselect 2;\n\n";
    expect(statementAt(sql, sql.length)?.text).toBe("select 2");
    expect(statementAt(sql, 0)?.text).toBe("select 1");
    expect(statementAt("  ", 1)).toBeNull();
  });

  it("a selection is run as it stands, without its blanks; an empty one is no selection", () => {
    const sql = "select 1 + 2 from a; select 3";
    expect(chosenPart(sql, { from: 6, to: 13 })).toEqual({ from: 7, to: 12, text: "1 + 2" });
    expect(chosenPart(sql, { from: 25, to: 25 })?.text).toBe("select 3");
    expect(chosenPart(sql, { from: 0, to: sql.length })?.text).toBe(sql);
  });
});

it("parameters are named once, in their order, and not those in quotes and comments", () => {
  expect(parametersOf("select $b, $a_1, $1, $b, '$c', \"$d\" -- $e\n /* $f */")).toEqual(["b", "a_1", "1"]);
});
