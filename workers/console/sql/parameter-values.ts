/** What somebody writes into a parameter's field, as the value that is sent. Pure. */
import type { LinkedStatement } from "./link.ts";

export type ParameterValue = string | number | boolean | null;

/** A number, true, false and null are what they look like, everything else is text; quotes make text of anything. */
export function parameterValue(written: string): ParameterValue {
  const text = written.trim();
  if (text === "null") return null;
  if (text === "true" || text === "false") return text === "true";
  // Digits that a double does not hold stay text, which DuckDB converts without loss.
  if (/^-?(0|[1-9]\d*)(\.\d+)?$/.test(text) && text.replace(/\D/g, "").length <= 15) return Number(text);
  const quoted = /^'([\s\S]*)'$/.exec(text);
  return quoted ? quoted[1]!.replaceAll("''", "'") : written;
}

export const valueKind = (value: ParameterValue): string =>
  value === null ? "null" : typeof value === "string" ? "text" : typeof value;

/** As the request has them: by name, or a list where they are `$1`, `$2`. @returns undefined without any. */
export function requestParameters(
  names: readonly string[],
  written: LinkedStatement["parameters"],
): ParameterValue[] | Record<string, ParameterValue> | undefined {
  if (names.length === 0) return undefined;
  const sent = (name: string) => parameterValue(written[name] ?? "");
  if (!names.every((name) => /^\d+$/.test(name))) {
    return Object.fromEntries(names.map((name) => [name, sent(name)]));
  }
  const count = Math.max(...names.map(Number));
  return Array.from({ length: count }, (_, index) => sent(String(index + 1)));
}
