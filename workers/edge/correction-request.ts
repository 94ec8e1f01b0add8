/** The body of POST /v1/corrections, and the statement that previews it. Pure. */
import type { CorrectionSpec } from "../../durable-objects/replay-desk/api.ts";
import { EVENT_COLUMNS, type EventRow } from "../../r2-layout/event-columns.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import type { Result } from "../../r2-layout/result.ts";
import { changeRow, type RuleChange, type RuleField, type RuleFilter, type RuleValue } from "../../r2-layout/rule.ts";
import { parseRuleChange, parseRuleFilter, type RuleMismatch } from "../../r2-layout/rule-parse.ts";
import { ruleSql } from "../../r2-layout/rule-sql.ts";
import { parseTime } from "../../r2-layout/time.ts";
import { type JsonMembers, members } from "./json-body.ts";
import { badParameter } from "./parameters.ts";
import { rate } from "./replay-request.ts";
import { eventJson } from "./timelines.ts";

export const CORRECTION_MEMBERS = ["filter", "change", "note", "rate"] as const;

/** @throws Refused */
export function correctionSpec(body: JsonMembers): CorrectionSpec {
  const { note = null } = body;
  if (note !== null && (typeof note !== "string" || note.length > REPLAY.noteChars)) {
    throw badParameter("note", `a text of at most ${REPLAY.noteChars} characters`);
  }
  return {
    kind: "correction",
    filter: fitting(parseRuleFilter(body.filter), "filter"),
    change: fitting(parseRuleChange(ruleChange(body.change)), "change"),
    note,
    rate: rate(body.rate),
  };
}

/** `{"set": {...}}`, `{"map": {"column", "values"}}` and `{"retract": true}` as a rule spells them. */
function ruleChange(given: unknown): unknown {
  const change = members(given, ["set", "map", "retract"], "change");
  const named = Object.keys(change);
  if (named.length !== 1) throw badParameter("change", "one of set, map and retract");
  if (change.retract !== undefined) {
    if (change.retract !== true) throw badParameter("change.retract", "true");
    return { kind: "retract" };
  }
  if (change.set !== undefined) return { kind: "set", values: change.set };
  const { column, values } = members(change.map, ["column", "values"], "change.map");
  return { kind: "map", field: column, values };
}

function fitting<T>(result: Result<T, RuleMismatch>, name: "filter" | "change"): T {
  if (result.ok) return result.value;
  const { field, detail } = result.error;
  throw badParameter(field === name ? name : `${name}.${field}`, detail);
}

/** The rows that the change changes: of a map, only those with a value that it maps. */
export function previewWhere(filter: RuleFilter, change: RuleChange): string {
  const where = ruleSql(filter);
  if (change.kind !== "map") return where;
  const { field, values } = change;
  return `(${where}) AND (${ruleSql({ where: { [field]: Object.keys(values).map(keyValue(field)) } })})`;
}

/** A map's keys are texts; the column's values may be numbers. */
const keyValue =
  (field: RuleField) =>
  (key: string): RuleValue => {
    const type = Object.hasOwn(EVENT_COLUMNS, field) ? EVENT_COLUMNS[field as keyof typeof EVENT_COLUMNS].type : "utf8";
    return type === "utf8" || type === "list_utf8" ? key : Number(key);
  };

export interface SqlRows {
  readonly columns: readonly { readonly name: string }[];
  readonly rows: readonly (readonly unknown[])[];
}

/** Some rows before and after the change. */
export function previewSamples({ columns, rows }: SqlRows, change: RuleChange): Record<string, unknown>[] {
  return rows.map((cells) => {
    const row = Object.fromEntries(
      columns.flatMap(({ name }, i) => {
        const cell = cells[i];
        if (cell === null || cell === undefined || !Object.hasOwn(EVENT_COLUMNS, name)) return [];
        const { type } = EVENT_COLUMNS[name as keyof typeof EVENT_COLUMNS];
        return [[name, type === "timestamp_us" ? parseTime(cell) : cell]];
      }),
    ) as unknown as EventRow;
    const after = changeRow(row, change);
    return { before: eventJson(row), after: after && eventJson(after) };
  });
}
