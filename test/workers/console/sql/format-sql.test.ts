import { expect, it } from "vitest";
import { formatSql } from "../../../../workers/console/sql/editor/format-sql.ts";
import { SAMPLES } from "../../../../workers/console/sql/samples.ts";
import { tokensOf } from "../../../../workers/console/sql/tokens.ts";

/** What a statement says, without how it is set. */
const words = (sql: string) =>
  tokensOf(sql)
    .filter(({ kind }) => kind !== "blank")
    .map(({ from, to }) => sql.slice(from, to).toLowerCase());

it.each([
  ...SAMPLES.map(({ sql }) => sql),
  "select properties['a'][1], {'k': [1,2]}, x::timestamp from events where a = $name and b = $1 and c = ? -- why",
  "select list_transform([1], x -> x + 1) from events qualify row_number() over (partition by a order by b desc) = 1",
  'select \'it\'\'s ] [ here\', "odd ""name""" from events; select 2',
])("formatting changes nothing but blanks and letters' case, and a second time nothing: %j", async (sql) => {
  const formatted = await formatSql(sql);
  expect(words(formatted)).toEqual(words(sql));
  expect(await formatSql(formatted)).toBe(formatted);
});

it("brackets after brackets stay together, texts as they are", async () => {
  expect(await formatSql("select properties['a'][1], '] [' from events")).toBe(
    "SELECT\n  properties['a'][1],\n  '] ['\nFROM\n  events",
  );
});

it("a quote without an end is an error, not a guess", async () => {
  await expect(formatSql("select 'open from events")).rejects.toThrow();
});
