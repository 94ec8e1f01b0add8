import { describe, expect, it } from "vitest";
import { firstChoice, LINES_MAX } from "../../../../workers/console/sql/chart/chart-choice.ts";
import { chartData, LABELS_MAX, stacked } from "../../../../workers/console/sql/chart/chart-data.ts";
import { timeLabels } from "../../../../workers/console/sql/chart/time-labels.ts";
import type { Cell } from "../../../../workers/console/sql/statement.ts";

const TYPES = { t: "TIMESTAMP", d: "DATE", n: "BIGINT", s: "VARCHAR" } as const;
/** Columns are named by the first letter of their type. */
const answer = (names: readonly string[], rows: readonly (readonly Cell[])[]) => ({
  columns: names.map((name) => ({ name, type: TYPES[name[0] as keyof typeof TYPES] })),
  rows,
});
const minute = (n: number) => `2026-11-22T10:${String(n).padStart(2, "0")}:00.000000Z`;

describe("a first chart", () => {
  it.each([
    [
      "numbers over time are lines",
      ["t", "n1", "n2"],
      [
        [minute(0), 1, 2],
        [minute(1), 2, 3],
      ],
      { shape: "line", x: 0, y: [1, 2], split: null },
    ],
    [
      "several rows for a moment are split",
      ["t", "s", "n"],
      [
        [minute(0), "a", 1],
        [minute(0), "b", 2],
        [minute(1), "a", 3],
      ],
      { shape: "line", x: 0, y: [2], split: 1 },
    ],
    [
      "a name and a number are bars",
      ["s", "n1", "n2"],
      [
        ["a", 1, 2],
        ["b", 3, 4],
      ],
      { shape: "bar", x: 0, y: [1], split: null },
    ],
    [
      "one moment is no axis",
      ["t", "s", "n"],
      [
        [minute(0), "a", 1],
        [minute(0), "b", 2],
      ],
      { shape: "bar", x: 1, y: [2], split: null },
    ],
    [
      "numbers that rise are an axis",
      ["n1", "n2"],
      [
        [1, 5],
        [2, 4],
        [3, 9],
      ],
      { shape: "line", x: 0, y: [1], split: null },
    ],
    ["one row", ["s", "n"], [["a", 1]], null],
    [
      "no numbers",
      ["s1", "s2"],
      [
        ["a", "b"],
        ["c", "d"],
      ],
      null,
    ],
  ] as const)("%s", (_, names, rows, choice) => {
    expect(firstChoice(answer(names, rows))).toEqual(choice);
  });
});

describe("a chart's figures", () => {
  it("are sorted by time, with nothing where a line has no row", () => {
    const rows = [
      [minute(2), "a", 1],
      [minute(0), "b", 2],
      [minute(0), "a", 3],
    ];
    const data = chartData(answer(["t", "s", "n"], rows), { shape: "line", x: 0, y: [2], split: 1 });
    const start = Date.UTC(2026, 10, 22, 10) / 1_000;
    expect(data.places).toEqual([start, start + 120]);
    expect(data.lines).toEqual([
      { label: "a", values: [3, 1] },
      { label: "b", values: [2, null] },
    ]);
    expect(data.notes).toEqual([]);
  });

  it("add up rows of the same place, and say so", () => {
    const data = chartData(
      answer(
        ["s", "n"],
        [
          ["a", 1],
          ["b", 2],
          ["a", "40"],
        ],
      ),
      { shape: "bar", x: 0, y: [1], split: null },
    );
    expect(data).toMatchObject({ axis: "label", labels: ["a", "b"], lines: [{ label: "n", values: [41, 2] }] });
    expect(data.notes).toEqual(["Rows of the same place are added up."]);
  });

  it("have so many lines and labels at most, the largest lines and the first labels, and say what is left out", () => {
    const rows = Array.from({ length: LABELS_MAX + 1 }, (_, i) => [`label ${i}`, `line ${i % (LINES_MAX + 1)}`, i]);
    const data = chartData(answer(["s1", "s2", "n"], rows), { shape: "bar", x: 0, y: [2], split: 1 });
    expect(data.lines).toHaveLength(LINES_MAX);
    expect(data.places).toHaveLength(LABELS_MAX);
    expect(data.notes).toEqual([
      `The ${LINES_MAX} largest of ${LINES_MAX + 1} are shown.`,
      `The first ${LABELS_MAX} of ${LABELS_MAX + 1} are shown.`,
    ]);
    const fits = chartData(answer(["s1", "s2", "n"], rows.slice(0, LINES_MAX)), {
      shape: "bar",
      x: 0,
      y: [2],
      split: 1,
    });
    expect(fits.notes).toEqual([]);
  });

  it("stand on each other", () => {
    const lines = [
      { label: "a", values: [1, null, 3] },
      { label: "b", values: [10, 20, null] },
    ];
    expect(stacked(lines)).toEqual([
      [1, null, 3],
      [11, 20, null],
    ]);
  });
});

it.each([
  ["minutes", 300, ["23:55\n2026-11-21", "00:00\n2026-11-22", "00:05"]],
  ["seconds", 10, ["23:59:50\n2026-11-21", "00:00:00\n2026-11-22", "00:00:10"]],
  ["days", 86_400, ["2026-11-21", "2026-11-22", "2026-11-23"]],
  ["months", 30 * 86_400, ["2026-10", "2026-11", "2026-12"]],
] as const)("an axis of %s is labelled in UTC, a new day under its first hour", (_, step, labels) => {
  const midnight = Date.UTC(2026, 10, 22) / 1_000;
  expect(timeLabels([midnight - step, midnight, midnight + step], step)).toEqual(labels);
});
