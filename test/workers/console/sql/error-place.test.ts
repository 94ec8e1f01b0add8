import { expect, it } from "vitest";
import { errorPlace } from "../../../../workers/console/sql/error-place.ts";
import { lineOf } from "../../../../workers/console/sql/text-line.ts";

const pointed = (sql: string, detail: string) => {
  const place = errorPlace(sql, detail);
  return place && { word: sql.slice(place.from, place.to), ...lineOf(sql, place) };
};

it("DuckDB's caret is found in a statement of several lines with comments", () => {
  const sql = "SELECT event_name, -- nonsense\n  count(*)\nFROM events\nWHERE nonsense = 1";
  const detail = [
    'Binder Error: Referenced column "nonsense" not found in FROM clause!',
    'Candidate bindings: "events.os"',
    "LINE 1: SELECT event_name, count(*) FROM events WHERE nonsense = 1",
    "                                                      ^",
  ].join("\n");
  expect(pointed(sql, detail)).toEqual({ word: "nonsense", line: 4, column: 7 });
});

it("of two equal words the one with the same words before it is meant, also where DuckDB cuts its line", () => {
  const sql = "select a, b, id, c, d\nfrom events where\n  x = now() and\n  id = 3";
  const detail = "LINE 1: ...events where x = (TIMESTAMP '2026-11-22 17:00:00.000000') and id = ...\n";
  const caret = `${" ".repeat(detail.indexOf("id ="))}^`;
  expect(pointed(sql, `Binder Error: what\n${detail}${caret}`)).toEqual({ word: "id", line: 4, column: 3 });
});

it("a word that DuckDB's line cuts is found by its rest", () => {
  const sql = "select some_long_name from events";
  expect(pointed(sql, "Error\nLINE 1: ...long_name from events\n           ^")?.word).toBe("some_long_name");
});

it.each([
  [
    "select a,\n\n count(*) form events where",
    "Expected: end of statement, found: events at Line: 1, Column: 25",
    "events",
  ],
  ["select events\nform events", "Expected: end of statement, found: events at Line: 1, Column: 20", "events"],
  ["select (1,2", "Expected: ), found: EOF", "2"],
])("the parser's column is one of the statement on one line: %j", (sql, detail, word) => {
  const found = pointed(sql, detail);
  expect(found?.word).toBe(word);
  expect(found?.line).toBe(sql.split("\n").length);
});

it.each(["nope() is not allowed", "Conversion Error: Could not convert string 'a' to INT32", ""])(
  "words without a place point nowhere: %j",
  (detail) => expect(errorPlace("select 1", detail)).toBeNull(),
);
