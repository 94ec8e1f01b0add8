/** DuckDB's functions as Trino says them. Only these may be handed over: another name may be another thing there. */

import { stringText } from "../plan/string-text.ts";
import { type Node, stringLiteral } from "../plan/syntax-tree.ts";
import type { SqlPrinter } from "../trino/sql-printer.ts";
import { unsupported } from "../trino/sql-text.ts";
import { argumentNode } from "../trino/trino-functions.ts";

/** The same name and the same meaning. */
const SAME = new Set(
  `abs acos array_agg asin atan atan2 avg bool_and bool_or cbrt ceil ceiling chr coalesce concat concat_ws corr cos cosh
  count covar_pop covar_samp cume_dist current_date degrees dense_rank exp first_value floor from_base64 greatest hour
  lag last_value lead least length ln log10 log2 lower lpad ltrim map max max_by min min_by minute mod month now
  nth_value ntile nullif percent_rank pi pow power quarter radians rank regexp_replace regr_intercept regr_slope replace
  reverse round row_number rpad rtrim second sign sin split_part sqrt starts_with stddev stddev_pop stddev_samp strpos
  substr substring sum tan translate trim upper var_pop var_samp variance week year grouping`.split(/\s+/),
);

const RENAMED: Readonly<Record<string, string>> = {
  approx_count_distinct: "approx_distinct",
  approx_quantile: "approx_percentile",
  any_value: "arbitrary",
  arg_max: "max_by",
  arg_min: "min_by",
  argmax: "max_by",
  argmin: "min_by",
  list: "array_agg",
  array_contains: "contains",
  list_contains: "contains",
  list_has: "contains",
  list_distinct: "array_distinct",
  list_filter: "filter",
  list_transform: "transform",
  list_apply: "transform",
  string_split: "split",
  str_split: "split",
  regexp_matches: "regexp_like",
  dayofweek: "day_of_week",
  isodow: "day_of_week",
  dayofyear: "day_of_year",
  day: "day_of_month",
  dayofmonth: "day_of_month",
  weekofyear: "week_of_year",
  isoyear: "year_of_week",
  count_if: "count_if",
  lcase: "lower",
  ucase: "upper",
  len: "length",
  strlen: "length",
  instr: "strpos",
  trunc: "truncate",
  isnan: "is_nan",
  map_keys: "map_keys",
  map_values: "map_values",
  cardinality: "cardinality",
  json_extract_string: "json_extract_scalar",
};

type Say = (args: string[], call: Node, printer: SqlPrinter) => string;

const SAID: Readonly<Record<string, Say>> = {
  date_trunc: ([unit, time], call, p) => {
    const text = `date_trunc(${unit}, ${time})`;
    const isShort = /^(second|minute|hour)$/i.test(stringLiteral(argumentNode(call, 0)) ?? "");
    return isShort || p.inFilter ? text : `CAST(${text} AS date)`;
  },
  datetrunc: ([unit, time]) => `date_trunc(${unit}, ${time})`,
  // Boundaries that lie between: whole units between their beginnings.
  date_diff: ([unit, a, b]) => `date_diff(${unit}, date_trunc(${unit}, ${a}), date_trunc(${unit}, ${b}))`,
  datediff: ([unit, a, b]) => `date_diff(${unit}, date_trunc(${unit}, ${a}), date_trunc(${unit}, ${b}))`,
  date_sub: ([unit, a, b]) => `date_diff(${unit}, ${a}, ${b})`,
  datesub: ([unit, a, b]) => `date_diff(${unit}, ${a}, ${b})`,
  epoch: ([time]) => `to_unixtime(${time})`,
  epoch_ms: ([time]) => `CAST(to_unixtime(${time}) * 1000 AS bigint)`,
  median: (args, call, p) => p.plainCall("approx_percentile", call, [args[0]!, "0.5"]),
  string_agg: (args, call, p) => {
    const inner = p.plainCall("array_agg", { ...call, over: null, filter: null }, [args[0]!]);
    return `array_join(${inner}, ${args[1] ?? "','"})`;
  },
  strftime: ([time], call) => `date_format(${time}, ${stringText(mysqlFormat(stringLiteral(argumentNode(call, 1))))})`,
  prop: ([map, name]) => `element_at(${map}, ${name})`,
  ifnull: ([a, b]) => `coalesce(${a}, ${b})`,
  if: ([test, then, otherwise]) => `if(${test}, ${then}, ${otherwise})`,
  to_days: ([n]) => `(${n} * INTERVAL '1' DAY)`,
  to_hours: ([n]) => `(${n} * INTERVAL '1' HOUR)`,
  to_minutes: ([n]) => `(${n} * INTERVAL '1' MINUTE)`,
  to_seconds: ([n]) => `(${n} * INTERVAL '1' SECOND)`,
  time_bucket: () => {
    throw unsupported("time_bucket()");
  },
};

export function callForTrino(name: string, call: Node, printer: SqlPrinter): string {
  const say = Object.hasOwn(SAID, name) ? SAID[name] : undefined;
  if (say) return say(printer.args(call), call, printer);
  const other = RENAMED[name] ?? (SAME.has(name) ? name : undefined);
  if (other === undefined) throw unsupported(`${name}()`);
  return printer.plainCall(other, call);
}

/** strftime's letters as MySQL's, which Trino's date_format has. */
function mysqlFormat(format: string | null): string {
  if (format === null) throw unsupported("a format that is not written out");
  return format.replace(/%(-?.)/gs, (_, letter: string) => {
    const like = MYSQL[letter];
    if (like === undefined) throw unsupported(`%${letter} in a format`);
    return like;
  });
}

const MYSQL: Readonly<Record<string, string>> = {
  Y: "%Y",
  y: "%y",
  m: "%m",
  "-m": "%c",
  d: "%d",
  "-d": "%e",
  H: "%H",
  I: "%h",
  M: "%i",
  S: "%s",
  f: "%f",
  p: "%p",
  j: "%j",
  a: "%a",
  A: "%W",
  b: "%b",
  B: "%M",
  "%": "%%",
};
