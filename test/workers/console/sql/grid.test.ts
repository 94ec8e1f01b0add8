import fc from "fast-check";
import { expect, it } from "vitest";
import { toCsv } from "../../../../workers/console/sql/csv.ts";
import { ROW_PX, visibleRows } from "../../../../workers/console/sql/grid/visible-rows.ts";

it("CSV keeps every text, whatever commas, quotes and line ends it has", () => {
  const columns = [
    { name: "a", type: "VARCHAR" },
    { name: "b, c", type: "VARCHAR" },
  ];
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string({ unit: "grapheme" }), fc.string())), (rows) => {
      expect(parseCsv(toCsv({ columns, rows }))).toEqual([["a", "b, c"], ...rows]);
    }),
  );
});

it("CSV has null as an empty field, and lists and maps as JSON", () => {
  const columns = ["n", "list", "map", "flag"].map((name) => ({ name, type: "VARCHAR" }));
  expect(toCsv({ columns, rows: [[null, [1, 2], { a: "b" }, true]] })).toBe(
    'n,list,map,flag\r\n,"[1,2]","{""a"":""b""}",true\r\n',
  );
});

it("a table has the rows in sight, and its height is that of all rows, at any place", () => {
  fc.assert(
    fc.property(fc.nat(400_000), fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(2_000), (rows, place, height) => {
      const top = place * Math.max(0, rows * ROW_PX - height);
      const view = visibleRows(rows, top, height);
      expect(view.abovePx + (view.to - view.from) * ROW_PX + view.belowPx).toBe(rows * ROW_PX);
      expect(view.from * ROW_PX).toBeLessThanOrEqual(top);
      expect(Math.min(rows * ROW_PX, top + height)).toBeLessThanOrEqual(view.to * ROW_PX);
      expect(view.to - view.from).toBeLessThan(120);
    }),
  );
});

/** RFC 4180, as a spreadsheet reads it. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < text.length) {
    let field = "";
    if (text[at] === '"') {
      for (at++; ; at++) {
        if (text[at] === '"' && text[at + 1] !== '"') break;
        if (text[at] === '"') at++;
        field += text[at];
      }
      at++;
    } else {
      const end = text.slice(at).search(/,|\r\n/);
      field = text.slice(at, at + end);
      at += end;
    }
    row.push(field);
    if (text[at] === ",") at++;
    else {
      rows.push(row);
      row = [];
      at += 2;
    }
  }
  return rows;
}
