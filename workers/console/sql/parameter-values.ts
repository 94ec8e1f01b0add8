/** What somebody writes into a parameter's field, as the value that is sent. Pure. */
import type { LinkedStatement } from "./link.ts";

type Scalar = string | number | boolean | null;
export type ParameterValue = Scalar | readonly Scalar[];

/**
 * A number, true, false, null and a JSON list of them (for IN) are what they look like, everything else is text; quotes
 * make text of anything.
 */
export function parameterValue(written: string): ParameterValue {
  const text = written.trim();
  if (text.startsWith("[")) return listOf(text) ?? written;
  if (text === "null") return null;
  if (text === "true" || text === "false") return text === "true";
  // Digits that a double does not hold stay text, which DuckDB converts without loss.
  if (/^-?(0|[1-9]\d*)(\.\d+)?$/.test(text) && text.replace(/\D/g, "").length <= 15) return Number(text);
  const quoted = /^'([\s\S]*)'$/.exec(text);
  return quoted ? quoted[1]!.replaceAll("''", "'") : written;
}

function listOf(text: string): readonly Scalar[] | null {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((value) => typeof value !== "object" || value === null) ? list : null;
  } catch {
    return null;
  }
}

export function valueKind(value: ParameterValue): string {
  if (value === null) return "null";
  if (typeof value === "object") return "list";
  return typeof value === "string" ? "text" : typeof value;
}

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
