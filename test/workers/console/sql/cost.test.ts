import { expect, it } from "vitest";
import { formatDollars } from "../../../../workers/console/sql/cost.ts";

it.each([
  [0, "$0"],
  [0.0000004, "under $0.000001"],
  [0.00004, "$0.00004"],
  [0.000123, "$0.00012"],
  [0.0288, "$0.029"],
  [0.25, "$0.25"],
  [12.345, "$12.35"],
])("%d dollars are %s", (dollars, text) => {
  expect(formatDollars(dollars)).toBe(text);
});
