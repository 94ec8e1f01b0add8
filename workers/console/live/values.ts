/** A tile's values as people read them. */
import { countryName, formatMoney, formatRate, formatShort } from "../shell/format.ts";
import type { Unit } from "./figures.ts";
import type { Point } from "./points.ts";

const share = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });

export type Shown = Unit | "rate";

/** Exact up to six digits. @param key where the currency of an amount stands */
export function valueText(unit: Shown, value: number | null, key: Point["key"] = {}): string {
  if (value === null) return "–";
  switch (unit) {
    case "count":
      return formatShort(value);
    case "rate":
      return formatRate(value);
    case "money":
      return formatMoney(value, key.currency ?? "");
    case "share":
      return share.format(value);
    case "number":
      return Math.abs(value) < 1e6 ? number.format(value) : formatShort(value);
  }
}

/** On an axis, where there is little room. */
export function axisText(unit: Shown, value: number): string {
  if (unit === "share") return share.format(value);
  return Math.abs(value) < 10 ? number.format(value) : formatShort(value);
}

/** A key's text: countries by their names. */
export const labelText = (text: string, fields: readonly string[]): string =>
  fields.length === 1 && fields[0] === "country" && /^[A-Z]{2}$/.test(text) ? countryName(text) : text;
