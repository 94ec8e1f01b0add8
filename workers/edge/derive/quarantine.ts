/** Collects what is wrong with one event. The first finding names it: later ones often follow from it. */
import type { QuarantineMark } from "../../../r2-layout/log-line.ts";
import { cutUtf8 } from "../../../r2-layout/utf8.ts";
import { kindOf } from "./json.ts";

/** Short and stable: clients, metrics and the `quarantine` table know them. */
export type QuarantineCause = "missing_name" | "unknown_type" | "wrong_type" | "bad_time";

export class Findings {
  mark: QuarantineMark | undefined;

  add(cause: QuarantineCause, field: string, expected: string, value: unknown): void {
    this.mark ??= { cause, field, expected, actual: describe(value) };
  }
}

/** What came, as a mark tells it: its kind and how it begins. */
export function describe(value: unknown): string {
  const kind = kindOf(value);
  if (kind === "nothing") return kind;
  const shown = typeof value === "string" ? value : JSON.stringify(value);
  return cutUtf8(`${kind} ${shown}`, 200);
}
