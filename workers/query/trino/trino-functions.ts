/**
 * Trino's functions as DuckDB says them: by another name, with the arguments otherwise, or as an expression. One that is
 * not here means the same in both, or is unknown to DuckDB's side, which says so.
 */
import { type Columns, TABLES } from "../../../r2-layout/event-columns.ts";
import { stringText } from "../plan/string-text.ts";
import { isNode, kind, type Node, numberLiteral, stringLiteral, unwrapped } from "../plan/syntax-tree.ts";
import type { SqlPrinter } from "./sql-printer.ts";
import { objectParts, unsupported } from "./sql-text.ts";
import { joda, mysql } from "./time-formats.ts";
import { atZone } from "./time-zones.ts";

type Translate = (args: string[], call: Node, printer: SqlPrinter) => string | undefined;

export function translatedCall(name: string, call: Node, printer: SqlPrinter): string | undefined {
  const other = RENAMED[name];
  if (other !== undefined) return printer.plainCall(other, call);
  const translate = Object.hasOwn(TRANSLATED, name) ? TRANSLATED[name] : undefined;
  return translate?.(printer.args(call), call, printer);
}

/** The node of an argument. */
export function argumentNode(call: Node, at: number): Node | null {
  const list = kind(call.args, "List")?.args;
  const argument = Array.isArray(list) ? kind(list[at], "Unnamed") : null;
  return argument && isNode(argument.Expr) ? argument.Expr : null;
}

/** Columns that are maps. */
const MAP_COLUMNS = new Set(
  Object.values(TABLES).flatMap((columns: Columns) =>
    Object.keys(columns).filter((name) => columns[name]!.type === "map_utf8"),
  ),
);

export function isMap(expression: unknown): boolean {
  const inner = unwrapped(expression);
  if (!isNode(inner)) return false;
  const path = inner.CompoundIdentifier ?? (isNode(inner.Identifier) ? [inner.Identifier] : null);
  const last = Array.isArray(path) ? path.at(-1) : null;
  if (isNode(last) && MAP_COLUMNS.has(String(last.value).toLowerCase())) return true;
  const call = kind(inner, "Function");
  return (
    call !== null && /^(map|map_agg|map_concat|map_from_entries|histogram)$/i.test(objectParts(call.name).at(-1) ?? "")
  );
}

const RENAMED: Readonly<Record<string, string>> = {
  approx_distinct: "approx_count_distinct",
  arbitrary: "any_value",
  every: "bool_and",
  array_sort: "list_sort",
  array_distinct: "list_distinct",
  array_max: "list_max",
  array_min: "list_min",
  array_sum: "list_sum",
  array_average: "list_avg",
  array_join: "array_to_string",
  array_intersect: "list_intersect",
  contains: "list_contains",
  filter: "list_filter",
  transform: "list_transform",
  split: "string_split",
  regexp_like: "regexp_matches",
  levenshtein_distance: "levenshtein",
  hamming_distance: "hamming",
  codepoint: "unicode",
  day_of_month: "day",
  day_of_week: "isodow",
  dow: "isodow",
  day_of_year: "dayofyear",
  doy: "dayofyear",
  week_of_year: "week",
  year_of_week: "isoyear",
  yow: "isoyear",
  last_day_of_month: "last_day",
  truncate: "trunc",
  ceiling: "ceil",
  json_extract_scalar: "json_extract_string",
  is_nan: "isnan",
  is_finite: "isfinite",
  is_infinite: "isinf",
  rand: "random",
  normalize: "nfc_normalize",
};

const TRANSLATED: Readonly<Record<string, Translate>> = {
  // Whole units that went by; DuckDB's date_diff counts boundaries.
  date_diff: ([unit, a, b]) => `date_sub(${unit}, ${a}, ${b})`,
  date_add: (args, call) => dateAdd(args, call),
  // Compared, the one is as good as the other.
  date_trunc: ([unit, time], call, p) => (p.inFilter ? undefined : dateTrunc(unit!, time!, call)),
  date: ([a]) => `CAST(${a} AS DATE)`,
  from_unixtime: ([seconds]) => `epoch_ms(CAST(round((${seconds}) * 1000) AS BIGINT))`,
  to_unixtime: ([time]) => `(CAST(epoch_us(${time}) AS DOUBLE) / 1000000)`,
  from_iso8601_timestamp: ([a]) => `CAST(${a} AS TIMESTAMP)`,
  from_iso8601_date: ([a]) => `CAST(${a} AS DATE)`,
  to_iso8601: ([a]) => `strftime(${a}, '%Y-%m-%dT%H:%M:%S.%gZ')`,
  date_format: ([time], call) => `strftime(${time}, ${stringText(mysql(formatOf(call)))})`,
  date_parse: ([text], call) => `strptime(${text}, ${stringText(mysql(formatOf(call)))})`,
  format_datetime: ([time], call) => `strftime(${time}, ${stringText(joda(formatOf(call)))})`,
  parse_datetime: ([text], call) => `strptime(${text}, ${stringText(joda(formatOf(call)))})`,
  millisecond: ([a]) => `(millisecond(${a}) % 1000)`,
  at_timezone: ([time], call) => atZone(time!, argumentNode(call, 1)),
  // A time without a zone, said to be of one: what it is in UTC.
  with_timezone: ([time], call) => atZone(time!, argumentNode(call, 1), "from"),
  current_timezone: () => "'UTC'",
  localtimestamp: () => "now()",
  current_timestamp: () => "now()",
  now: () => "now()",
  approx_percentile: (args, call, p) => {
    if (args.length !== 2) throw unsupported("approx_percentile with weights");
    return p.plainCall("approx_quantile", call);
  },
  element_at: ([of, key], call) =>
    isMap(argumentNode(call, 0)) || isText(call, 1) ? `${of}[${key}][1]` : `list_extract(${of}, ${key})`,
  cardinality: ([of], call) => (isMap(argumentNode(call, 0)) ? `cardinality(${of})` : `len(${of})`),
  map_agg: (_, call, p) => {
    const [key, value] = p.args(call);
    const after = p.afterCall(call);
    return `map(list(${key})${after}, list(${value})${after})`;
  },
  array_union: ([a, b]) => `list_distinct(list_concat(${a}, ${b}))`,
  slice: ([list, start, length]) => `list_slice(${list}, ${start}, (${start}) + (${length}) - 1)`,
  any_match: ([list, test]) => `(len(list_filter(${list}, ${test})) > 0)`,
  none_match: ([list, test]) => `(len(list_filter(${list}, ${test})) = 0)`,
  all_match: ([list, test]) => `(len(list_filter(${list}, ${test})) = len(${list}))`,
  sequence: (args) => `generate_series(${args.join(", ")})`,
  if: ([test, then, otherwise = "NULL"]) => `CASE WHEN ${test} THEN ${then} ELSE ${otherwise} END`,
  try: ([tried], call) => {
    const cast = kind(unwrapped(argumentNode(call, 0)), "Cast");
    return cast ? tried!.replace(/^(\(*)CAST/, "$1TRY_CAST") : `(${tried})`;
  },
  mod: ([a, b]) => `((${a}) % (${b}))`,
  log: ([base, x]) => `(ln(${x}) / ln(${base}))`,
  nan: () => "CAST('nan' AS DOUBLE)",
  infinity: () => "CAST('infinity' AS DOUBLE)",
  bitwise_and: ([a, b]) => `((${a}) & (${b}))`,
  bitwise_or: ([a, b]) => `((${a}) | (${b}))`,
  bitwise_xor: ([a, b]) => `xor(${a}, ${b})`,
  regexp_extract: (args) => `nullif(regexp_extract(${args.join(", ")}), '')`,
  regexp_replace: ([text, pattern, by = "''"], call) => {
    const written = stringLiteral(argumentNode(call, 2));
    const groups = written === null ? by : stringText(written.replace(/\$(\d)/g, "\\$1"));
    return `regexp_replace(${text}, ${pattern}, ${groups}, 'g')`;
  },
  url_extract_protocol: ([url]) => `nullif(regexp_extract(${url}, '^([A-Za-z][A-Za-z0-9+.-]*):', 1), '')`,
  url_extract_host: ([url]) =>
    `nullif(regexp_extract(${url}, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)', 1), '')`,
  url_extract_path: ([url]) => `regexp_extract(${url}, '^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*([^?#]*)', 1)`,
  url_extract_query: ([url]) => `nullif(regexp_extract(${url}, '\\?([^#]*)', 1), '')`,
  url_extract_parameter: ([url, name]) => `nullif(regexp_extract(${url}, '[?&]' || ${name} || '=([^&#]*)', 1), '')`,
  listagg: (args, call, p) => p.plainCall("string_agg", call, [args[0]!, args[1] ?? "''"]),
  // What the arguments are joined by in both; several that are in Trino one row.
  row: (args) => `row(${args.join(", ")})`,
  // JSON is text here.
  json_parse: ([text]) => `(${text})`,
  json_format: ([json]) => `(${json})`,
  version: () => stringText(TRINO_VERSION),
  format: (args) => `printf(${args.join(", ")})`,
};

/** What clients are told they talk to: the protocol and the dialect of this release, by another engine. */
export const TRINO_VERSION = "476-eventpile";

const isText = (call: Node, at: number): boolean => stringLiteral(argumentNode(call, at)) !== null;

function formatOf(call: Node): string {
  const format = stringLiteral(argumentNode(call, 1));
  if (format === null) throw unsupported("a format that is not written out");
  return format;
}

/** As long as a day or more, DuckDB makes a DATE of it; in Trino a time stays one. */
function dateTrunc(unit: string, time: string, call: Node): string {
  const truncated = `date_trunc(${unit}, ${time})`;
  const isShort = SMALL.has(stringLiteral(argumentNode(call, 0))?.toLowerCase() ?? "");
  return isShort ? truncated : `CAST(${truncated} AS ${isDate(argumentNode(call, 1)) ? "DATE" : "TIMESTAMP"})`;
}

function dateAdd([, count, time]: string[], call: Node): string {
  const unit = stringLiteral(argumentNode(call, 0))?.toLowerCase() ?? "";
  const [step, times] = UNITS[unit] ?? [];
  if (!step || !times) throw unsupported(`date_add of the unit ${unit || "that is not written out"}`);
  const written = numberLiteral(unwrapped(argumentNode(call, 1))) ?? negative(argumentNode(call, 1));
  // Written out it is an interval, by which the planner can prune.
  const added =
    written !== null && /^-?\d+$/.test(written)
      ? `(${time} + INTERVAL '${Number(written) * times}' ${step})`
      : `(${time} + to_${step.toLowerCase()}s(CAST((${count}) * ${times} AS ${BIG.has(step) ? "BIGINT" : "INTEGER"})))`;
  return isDate(argumentNode(call, 2)) && !SMALL.has(unit) ? `CAST(${added} AS DATE)` : added;
}

const UNITS: Readonly<Record<string, readonly [string, number]>> = {
  millisecond: ["MILLISECOND", 1],
  second: ["SECOND", 1],
  minute: ["MINUTE", 1],
  hour: ["HOUR", 1],
  day: ["DAY", 1],
  week: ["DAY", 7],
  month: ["MONTH", 1],
  quarter: ["MONTH", 3],
  year: ["YEAR", 1],
};
const SMALL = new Set(["millisecond", "second", "minute", "hour"]);
/** Units whose DuckDB function takes a BIGINT. */
const BIG = new Set(["MILLISECOND", "SECOND", "MINUTE", "HOUR"]);

function negative(expression: unknown): string | null {
  const minus = kind(unwrapped(expression), "UnaryOp");
  const number = minus?.op === "Minus" ? numberLiteral(unwrapped(minus.expr)) : null;
  return number === null ? null : `-${number}`;
}

/** Whether it is plainly a DATE: a literal, a cast, `current_date`, `date(…)`. */
function isDate(expression: unknown): boolean {
  const inner = unwrapped(expression);
  const typed = kind(inner, "TypedString") ?? kind(inner, "Cast");
  if (typed) return typed.data_type === "Date";
  const call = kind(inner, "Function");
  return call !== null && /^(date|current_date)$/i.test(objectParts(call.name).at(-1) ?? "");
}

export const translatedNames: readonly string[] = [...Object.keys(RENAMED), ...Object.keys(TRANSLATED)];
