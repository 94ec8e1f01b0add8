/** A rule's filter as SQL over `events`, meaning the rows that `ruleMatcher` means: for previews and for people. */
import { EVENT_COLUMNS } from "./event-columns.ts";
import type { RuleField, RuleFilter, RuleValue } from "./rule.ts";
import { isoMicros } from "./time.ts";

/** What stands after WHERE. @throws RangeError where it cannot be written down: a text with a NUL character, or whom it is about. */
export function ruleSql({ from, to, where, places, subjects }: RuleFilter): string {
  if (subjects !== undefined) throw new RangeError("SQL has no key to tell whom a rule is about");
  const conditions: string[] = [];
  if (from !== undefined) conditions.push(`event_time >= ${timestamp(from)}`);
  if (to !== undefined) conditions.push(`event_time < ${timestamp(to)}`);
  for (const [field, values] of Object.entries(where ?? {}))
    conditions.push(condition(field as RuleField, values ?? []));
  if (places?.length === 0) conditions.push("false");
  else if (places) {
    const shards = [...new Set(places.map(({ shard }) => shard))].join(", ");
    const seqs = [...new Set(places.map(({ seq }) => seq))].join(", ");
    // The first two are for the planner; the last says it.
    conditions.push(`log_shard IN (${shards})`, `log_seq IN (${seqs})`);
    const keys = places.map((p) => text(`${p.shard}\n${p.seq}\n${p.source}\n${p.event_id}`));
    conditions.push(`concat_ws(chr(10), log_shard, log_seq, source, event_id) IN (${keys.join(", ")})`);
  }
  return conditions.length === 0 ? "true" : conditions.join(" AND ");
}

function condition(field: RuleField, values: readonly RuleValue[]): string {
  const present = [...new Set(values)].filter((value) => value !== null);
  const column = columnSql(field);
  const literals = present.map((value) => literal(field, value)).join(", ");
  const alternatives: string[] = [];
  if (literals !== "") {
    alternatives.push(field === "flags" ? listCondition(present, literals) : `${column} IN (${literals})`);
  }
  if (values.includes(null)) alternatives.push(`${column} IS NULL`);
  if (alternatives.length === 0) return "false";
  return alternatives.length === 1 ? alternatives[0]! : `(${alternatives.join(" OR ")})`;
}

const listCondition = (values: readonly RuleValue[], literals: string): string =>
  values.length === 1 ? `list_contains(flags, ${literals})` : `list_has_any(flags, [${literals}])`;

const PROPERTY = "properties.";

function columnSql(field: RuleField): string {
  if (field.startsWith(PROPERTY)) return `properties[${text(field.slice(PROPERTY.length))}][1]`;
  // It goes into the statement as it is: only a column's own name may.
  if (!Object.hasOwn(EVENT_COLUMNS, field)) throw new RangeError(`${field} is no column of events`);
  return field;
}

function literal(field: RuleField, value: RuleValue): string {
  const type = field.startsWith(PROPERTY) ? "utf8" : EVENT_COLUMNS[field as keyof typeof EVENT_COLUMNS].type;
  if (type === "timestamp_us") return timestamp(value as number);
  if (typeof value !== "number") return text(String(value));
  // With an exponent it is a DOUBLE; without, a DECIMAL of other digits.
  return type === "float64" && !String(value).includes("e") ? `${value}e0` : String(value);
}

/** DuckDB knows no escapes but the doubled quote. */
function text(value: string): string {
  if (value.includes("\0")) throw new RangeError("SQL cannot name a text with a NUL character");
  return `'${value.toWellFormed().replaceAll("'", "''")}'`;
}

const timestamp = (us: number): string => `TIMESTAMP '${isoMicros(us).slice(0, -1).replace("T", " ")}'`;
