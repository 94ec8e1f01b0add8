import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { amountOf, copiedText } from "../../../../workers/console/sql/grid/copied-text.ts";
import { afterKey, rectangleOf, type Selection } from "../../../../workers/console/sql/grid/selection.ts";
import { sortedOrder } from "../../../../workers/console/sql/grid/sort-rows.ts";
import { columnOffsets, visibleColumns } from "../../../../workers/console/sql/grid/visible-columns.ts";

const key = (name: string, modifiers: { shift?: boolean; mod?: boolean } = {}) => ({
  key: name,
  shift: modifiers.shift ?? false,
  mod: modifiers.mod ?? false,
});
const SIZE = { rows: 100, columns: 4, page: 10 };
const at = (row: number, column: number): Selection => ({ anchor: { row, column }, head: { row, column } });

describe("a grid's keys", () => {
  it.each([
    [key("ArrowDown"), at(5, 1), at(6, 1)],
    [key("ArrowUp"), at(0, 1), at(0, 1)],
    [key("ArrowRight", { mod: true }), at(5, 1), at(5, 3)],
    [key("PageDown"), at(95, 1), at(99, 1)],
    [key("Home", { mod: true }), at(95, 1), at(0, 0)],
    [key("End"), at(7, 1), at(7, 3)],
    [key("ArrowDown"), null, at(0, 0)],
    [key("ArrowDown", { shift: true }), at(5, 1), { anchor: { row: 5, column: 1 }, head: { row: 6, column: 1 } }],
    [key("a", { mod: true }), null, { anchor: { row: 0, column: 0 }, head: { row: 99, column: 3 } }],
    [key(" ", { shift: true }), at(5, 1), { anchor: { row: 5, column: 0 }, head: { row: 5, column: 3 } }],
    [key(" ", { mod: true }), at(5, 1), { anchor: { row: 0, column: 1 }, head: { row: 99, column: 1 } }],
  ])("%j from %j leads to %j", (pressed, from, to) => {
    expect(afterKey(from, pressed, SIZE)).toEqual(to);
  });

  it("never lead out of the grid, and others are left to the browser", () => {
    const keys = fc.constantFrom(
      "ArrowUp",
      "ArrowDown",
      "ArrowLeft",
      "ArrowRight",
      "PageUp",
      "PageDown",
      "Home",
      "End",
    );
    const pressed = fc.record({ key: keys, shift: fc.boolean(), mod: fc.boolean() });
    fc.assert(
      fc.property(fc.array(pressed, { maxLength: 30 }), (all) => {
        const end = all.reduce<Selection | null>((selection, one) => afterKey(selection, one, SIZE), null);
        if (!end) return;
        const { firstRow, lastRow, firstColumn, lastColumn } = rectangleOf(end);
        expect(0 <= firstRow && firstRow <= lastRow && lastRow < 100).toBe(true);
        expect(0 <= firstColumn && firstColumn <= lastColumn && lastColumn < 4).toBe(true);
      }),
    );
    expect(afterKey(at(1, 1), key("x"), SIZE)).toBeNull();
    expect(afterKey(null, key("ArrowDown"), { ...SIZE, rows: 0 })).toBeNull();
  });
});

describe("sorting", () => {
  const columns = [{ name: "n", type: "HUGEINT" }];
  const sorted = (values: readonly (string | number | null)[], descending: boolean, type = "HUGEINT") =>
    Array.from(
      sortedOrder(
        [{ name: "n", type }],
        values.map((value) => [value]),
        { column: 0, descending },
      ),
      (row) => values[row],
    );

  it("compares integers beyond 2^53, which come as text, with those that do not", () => {
    const values = ["9007199254740993", 5, "9007199254740992", -1, "-9007199254740999", 10];
    expect(sorted(values, false)).toEqual(["-9007199254740999", -1, 5, 10, "9007199254740992", "9007199254740993"]);
  });

  it("has nulls last both ways, and text as text", () => {
    expect(sorted([null, "b", null, "a", "10", "9"], true, "VARCHAR")).toEqual(["b", "a", "9", "10", null, null]);
    expect(sorted([null, 3, 1], false)).toEqual([1, 3, null]);
  });

  it("keeps all rows, equal ones in their order", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5 })), fc.boolean(), (values, descending) => {
        const order = sortedOrder(
          columns,
          values.map((value) => [value]),
          { column: 0, descending },
        );
        const expected = values.map((_, row) => row).sort((a, b) => (descending ? -1 : 1) * (values[a]! - values[b]!));
        expect([...order]).toEqual(expected);
      }),
    );
  });
});

describe("copying", () => {
  const columns = ["a", "b"].map((name) => ({ name, type: "VARCHAR" }));
  const rows = [
    ["x\ty", 1],
    ['say "hi"', 2],
    [null, { k: [1] }],
  ];
  const order = Uint32Array.of(2, 0, 1);
  const all = { firstRow: 0, lastRow: 2, firstColumn: 0, lastColumn: 1 };

  it("has rows as they are sorted, quotes what a spreadsheet would cut, and the header where it is asked for", () => {
    const text = '\t"{""k"":[1]}"\n"x\ty"\t1\n"say ""hi"""\t2';
    expect(copiedText(columns, rows, order, all, false)).toBe(text);
    expect(copiedText(columns, rows, order, all, true)).toBe(`a\tb\n${text}`);
  });

  it("gives one cell alone as it is", () => {
    const one = { firstRow: 2, lastRow: 2, firstColumn: 0, lastColumn: 0 };
    expect(copiedText(columns, rows, order, one, false)).toBe('say "hi"');
  });

  it("sums what numbers are chosen", () => {
    expect(amountOf(rows, order, all)).toEqual({ cells: 6, numbers: 2, sum: 3, min: 1, max: 2 });
  });
});

it("the columns in sight are those that the sight touches, and few others", () => {
  const width = fc.integer({ min: 56, max: 400 });
  fc.assert(
    fc.property(
      fc.array(width, { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (widths, place) => {
        const offsets = columnOffsets(widths);
        const left = Math.floor(place * Math.max(0, offsets.at(-1)! - 800));
        const { from, to } = visibleColumns(offsets, left, 800);
        for (const [column, width] of widths.entries()) {
          const touches = offsets[column]! < left + 800 && offsets[column]! + width > left;
          if (touches) expect(column >= from && column < to).toBe(true);
        }
        expect(to - from).toBeLessThanOrEqual(Math.ceil((800 + 600) / 56) + 2);
      },
    ),
  );
});
