/**
 * Functions that analysts expect and DuckDB 0.9.1 without extensions does not have: macros over its own and over ours
 * (scalar-functions.ts). function-docs.ts says what each is for.
 */

interface Macro {
  readonly parameters: readonly string[];
  readonly body: string;
}

/** A map of properties or a text of JSON: the cast to a union picks the member by the argument's type. */
const JSON_OR_MAP = "UNION(json VARCHAR, map MAP(VARCHAR, VARCHAR))";
const isMap = `union_tag(source::${JSON_OR_MAP}) = 'map'`;
const asMap = `union_extract(source::${JSON_OR_MAP}, 'map')`;
// A null is cast, since DuckDB hands no function of ours a value without a type.
const asJson = `CAST(union_extract(source::${JSON_OR_MAP}, 'json') AS VARCHAR)`;
const way = "CASE WHEN typeof(path) LIKE '%INT%' THEN '$[' || path || ']' ELSE CAST(path AS VARCHAR) END";
const entry = `${asMap}[ep_json_map_key(${way})][1]`;
const mapJson = `'{' || array_to_string(list_transform(map_entries(${asMap}), e -> ep_json_quote(e.key) || ':' || ep_json_quote(e.value)), ',') || '}'`;

const JSON_EXTRACT: Macro = {
  parameters: ["source", "path"],
  body: `CASE WHEN ${isMap} THEN ep_json_entry(${entry}, ${way}) ELSE ep_json_extract(${asJson}, ${way}) END`,
};
const JSON_EXTRACT_STRING: Macro = {
  parameters: ["source", "path"],
  body: `CASE WHEN ${isMap} THEN ep_json_entry_text(${entry}, ${way}) ELSE ep_json_text(${asJson}, ${way}) END`,
};

const local = "CAST(t AS TIMESTAMP)";
const toZone = (zone: string, time: string) =>
  `${time} + to_microseconds(ep_offset_at(${zone}, CAST(epoch_us(${time}) AS DOUBLE)))`;
const fromZone = (zone: string) =>
  `${local} - to_microseconds(ep_offset_of_local(${zone}, CAST(epoch_us(${local}) AS DOUBLE)))`;
const zone = "CAST(zone AS VARCHAR)";

export const MACROS: Readonly<Record<string, Macro>> = {
  prop: {
    parameters: ["properties", "name"],
    body: "CAST(properties AS MAP(VARCHAR, VARCHAR))[CAST(name AS VARCHAR)][1]",
  },
  map_contains: {
    parameters: ["entries", "name"],
    body: "list_contains(map_keys(CAST(entries AS MAP(VARCHAR, VARCHAR))), CAST(name AS VARCHAR))",
  },
  json_extract: JSON_EXTRACT,
  json_extract_path: JSON_EXTRACT,
  json_extract_string: JSON_EXTRACT_STRING,
  json_extract_path_text: JSON_EXTRACT_STRING,
  "->>": JSON_EXTRACT_STRING,
  json_exists: { parameters: ["source", "path"], body: `(${JSON_EXTRACT.body}) IS NOT NULL` },
  json_valid: { parameters: ["source"], body: "ep_json_valid(CAST(source AS VARCHAR))" },
  json_type: { parameters: ["source"], body: "ep_json_type(CAST(source AS VARCHAR))" },
  json_array_length: { parameters: ["source"], body: "ep_json_length(CAST(source AS VARCHAR))" },
  json_keys: {
    parameters: ["source"],
    body: `CASE WHEN ${isMap} THEN map_keys(${asMap}) WHEN ep_json_keys(${asJson}) = '' THEN CAST([] AS VARCHAR[]) ELSE string_split(substring(ep_json_keys(${asJson}), 2), chr(31)) END`,
  },
  to_json: { parameters: ["source"], body: `CASE WHEN ${isMap} THEN ${mapJson} ELSE ep_json_quote(${asJson}) END` },

  to_timezone: { parameters: ["t", "zone"], body: toZone(zone, local) },
  from_timezone: { parameters: ["t", "zone"], body: fromZone(zone) },
  date_trunc_in: {
    parameters: ["part", "t", "zone"],
    body: `CAST(date_trunc(CAST(part AS VARCHAR), ${toZone(zone, local)}) AS TIMESTAMP)`,
  },
  // What AT TIME ZONE calls. Two in a row come as one, `from>to` (zone-chains.ts).
  timezone: {
    parameters: ["zone", "t"],
    body: `CASE
      WHEN contains(${zone}, '>') THEN ${toZone("split_part(zone, '>', 2)", `(${fromZone("split_part(zone, '>', 1)")})`)}
      WHEN typeof(t) = 'TIMESTAMP WITH TIME ZONE' THEN ${toZone(zone, local)}
      WHEN upper(zone) IN ('UTC', 'Z', 'ETC/UTC', 'GMT') THEN error('a time of events is UTC already: write t AT TIME ZONE ''UTC'' AT TIME ZONE ''Europe/Berlin'' in one go, or to_timezone(t, ''Europe/Berlin'')')::TIMESTAMP
      ELSE ${fromZone(zone)} END`,
  },

  window_funnel: {
    parameters: ["within", "t", "step"],
    body: `coalesce(ep_window_funnel(string_agg(CAST(step AS INTEGER) || '@' || epoch_us(${local}), ' ' ORDER BY t, step), CAST(epoch_us(CAST(within AS INTERVAL)) AS DOUBLE)), 0)`,
  },
  session_count: {
    parameters: ["t", "gap"],
    body: `coalesce(ep_session_count(string_agg(CAST(epoch_us(${local}) AS VARCHAR), ' ' ORDER BY t), CAST(epoch_us(CAST(gap AS INTERVAL)) AS DOUBLE)), 0)`,
  },
  is_session_start: {
    parameters: ["t", "previous", "gap"],
    body: `previous IS NULL OR ${local} - CAST(previous AS TIMESTAMP) > CAST(gap AS INTERVAL)`,
  },
  active_days: { parameters: ["t"], body: "list_sort(list(DISTINCT CAST(t AS DATE)))" },
  returned: {
    parameters: ["days", "n"],
    body: "list_contains(CAST(days AS DATE[]), CAST(days AS DATE[])[1] + CAST(n AS INTEGER))",
  },

  url_host: {
    parameters: ["url"],
    body: "nullif(regexp_extract(CAST(url AS VARCHAR), '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/:?#]+)', 1), '')",
  },
  url_path: {
    parameters: ["url"],
    body: "regexp_extract(CAST(url AS VARCHAR), '^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*([^?#]*)', 1)",
  },
  url_param: {
    parameters: ["url", "name"],
    body: "nullif(regexp_extract(CAST(url AS VARCHAR), '[?&]' || CAST(name AS VARCHAR) || '=([^&#]*)', 1), '')",
  },
};

/** One text that defines them all. */
export const MACRO_DEFINITIONS: string = Object.entries(MACROS)
  .map(([name, { parameters, body }]) => `CREATE MACRO "${name}"(${parameters.join(", ")}) AS ${body}`)
  .join(";\n");

/** Whether a statement may call one of them, by name, or by an operator that stands for one. */
export const callsOurs = (sql: string): boolean => OURS.test(sql);

const OURS = new RegExp(
  `->|\\btime\\s+zone\\b|\\b(?:${Object.keys(MACROS)
    .filter((name) => /^\w+$/.test(name))
    .join("|")})"?\\s*\\(`,
  "i",
);
