/** A filter as people type it: a line for each column, `country = DE, AT`. Pure. */
import { err, ok, type Result } from "../../../r2-layout/result.ts";
import type { ValueFilter } from "./definitions.ts";

/** @returns what is wrong, in words, where a line cannot be read. */
export function parseFilterText(text: string): Result<ValueFilter, string> {
  const filter: Record<string, string[]> = {};
  for (const line of text.split("\n").map((one) => one.trim())) {
    if (line === "") continue;
    const [, column, given] = /^([^=]+?)\s*=\s*(.+)$/.exec(line) ?? [];
    const values = given?.split(",").flatMap((value) => (value.trim() === "" ? [] : [value.trim()])) ?? [];
    if (column === undefined || values.length === 0) return err(`"${line}" is not like country = DE, AT`);
    filter[column] = [...(filter[column] ?? []), ...values];
  }
  return ok(filter);
}
