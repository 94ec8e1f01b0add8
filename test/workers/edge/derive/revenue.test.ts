import { expect, it } from "vitest";
import { readRevenue } from "../../../../workers/edge/derive/revenue.ts";

it.each([
  ["Order Completed", { revenue: 10, total: 12, currency: "USD" }, 10, "USD"],
  ["Order Completed", { total: "12.50", currency: "eur" }, 12.5, "EUR"],
  ["order_completed", { value: 3 }, 3, undefined],
  ["purchase", { value: 3, currency: "GBP" }, 3, "GBP"],
  ["Cart Viewed", { total: 12, value: 3, currency: "USD" }, undefined, undefined],
  ["Anything", { revenue: -5 }, -5, undefined],
  ["Anything", { revenue: 0 }, 0, undefined],
  ["Anything", { revenue: "$12" }, undefined, undefined],
  ["Anything", { revenue: "" }, undefined, undefined],
  ["Anything", { revenue: "0x10" }, undefined, undefined],
  ["Anything", { revenue: "1e999" }, undefined, undefined],
  ["Anything", { revenue: 1, currency: "a very long currency" }, 1, undefined],
])("%s with %j earns %s %s", (name, properties, revenue, currency) => {
  expect(readRevenue(name, properties)).toEqual({ revenue, currency });
});
