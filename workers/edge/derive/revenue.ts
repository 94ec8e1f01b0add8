/** Money in an event, as Segment's e-commerce vocabulary and its common relatives name it. */
import { type JsonObject, numberOf } from "./json.ts";

/** `total` and `value` are revenue only where an order was placed: a cart has a value too. */
const ORDERS = new Set(["order completed", "completed order", "order placed", "purchase", "purchased"]);

export function readRevenue(
  eventName: string,
  properties: JsonObject,
): { revenue: number | undefined; currency: string | undefined } {
  let revenue = numberOf(properties.revenue);
  if (revenue === undefined && ORDERS.has(eventName.toLowerCase().replace(/[_-]/g, " "))) {
    revenue = numberOf(properties.total) ?? numberOf(properties.value);
  }
  return { revenue, currency: revenue === undefined ? undefined : readCurrency(properties.currency) };
}

export function readCurrency(value: unknown): string | undefined {
  return typeof value === "string" && /^[A-Za-z]{3,8}$/.test(value) ? value.toUpperCase() : undefined;
}
