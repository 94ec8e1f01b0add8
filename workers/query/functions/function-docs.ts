/** What docs/sql.md and the SQL page say of our own functions. Plain data: every example is run by a test. */

export interface FunctionDoc {
  readonly name: string;
  readonly args: string;
  readonly doc: string;
  /** An expression, and the value it has in a JSON answer. */
  readonly example: string;
  readonly gives: unknown;
}

const VISITS =
  "(values (timestamp '2026-11-20 10:00:00', 1), (timestamp '2026-11-20 10:20:00', 2), (timestamp '2026-11-21 09:00:00', 3)) v(t, step)";

export const FUNCTION_DOCS: readonly FunctionDoc[] = [
  {
    name: "prop",
    args: "properties, name",
    doc: "A property's text, null where there is none. (`properties['sku']` alone is a list here: `properties['sku'][1]`.)",
    example: "prop(map(['sku'], ['tee']), 'sku')",
    gives: "tee",
  },
  {
    name: "map_contains",
    args: "properties, name",
    doc: "Whether there is a property of that name.",
    example: "map_contains(map(['sku'], ['tee']), 'price')",
    gives: false,
  },
  {
    name: "->>",
    args: "source ->> path",
    doc: "json_extract_string as an operator. `->` is not there: write json_extract.",
    example: `'{"address": {"city": "Köln"}}' ->> '$.address.city'`,
    gives: "Köln",
  },
  {
    name: "json_extract_string",
    args: "source, path",
    doc: 'A value as text, of JSON or of the properties. A path is `$.a.b[0]`, `$."a b"`, `$[#-1]`, `/a/b`, a name, or an index. Of text that is no JSON: null.',
    example: `json_extract_string(map(['address'], ['{"city": "Köln"}']), '$.address.city')`,
    gives: "Köln",
  },
  {
    name: "json_extract_path_text",
    args: "source, path",
    doc: "The same as json_extract_string.",
    example: `json_extract_path_text('{"a": [1, 2]}', '$.a[#-1]')`,
    gives: "2",
  },
  {
    name: "json_extract",
    args: "source, path",
    doc: "A value as JSON.",
    example: `json_extract('{"a": {"b": [1, 2.50]}}', '$.a')`,
    gives: '{"b":[1,2.50]}',
  },
  {
    name: "json_extract_path",
    args: "source, path",
    doc: "The same as json_extract.",
    example: `json_extract_path('{"a": "x"}', 'a')`,
    gives: '"x"',
  },
  {
    name: "json_exists",
    args: "source, path",
    doc: "Whether there is a value, be it JSON's null.",
    example: `json_exists('{"a": null}', '$.a')`,
    gives: true,
  },
  { name: "json_valid", args: "text", doc: "Whether a text is JSON.", example: "json_valid('{')", gives: false },
  {
    name: "json_type",
    args: "json",
    doc: "OBJECT, ARRAY, VARCHAR, BOOLEAN, DOUBLE, BIGINT (below 0), UBIGINT or NULL.",
    example: "json_type('[1]')",
    gives: "ARRAY",
  },
  {
    name: "json_array_length",
    args: "json",
    doc: "How many items an array has; 0 for what is none.",
    example: "json_array_length('[1, [2, 3]]')",
    gives: 2,
  },
  {
    name: "json_keys",
    args: "source",
    doc: "The names of an object's members, or of the properties.",
    example: `json_keys('{"a": 1, "b": 2}')`,
    gives: ["a", "b"],
  },
  {
    name: "to_json",
    args: "source",
    doc: "A text, or the properties, as JSON. Properties that were no texts are texts in it.",
    example: "to_json(map(['sku'], ['tee']))",
    gives: '{"sku":"tee"}',
  },
  {
    name: "to_timezone",
    args: "t, zone",
    doc: "A time in UTC, as all of ours are, as the zone's own.",
    example: "to_timezone(timestamp '2026-07-01 22:30:00', 'Europe/Berlin')",
    gives: "2026-07-02T00:30:00.000000Z",
  },
  {
    name: "from_timezone",
    args: "t, zone",
    doc: "A zone's own time in UTC. Of an hour that comes twice the later is meant.",
    example: "from_timezone(timestamp '2026-07-02 00:30:00', 'Europe/Berlin')",
    gives: "2026-07-01T22:30:00.000000Z",
  },
  {
    name: "date_trunc_in",
    args: "part, t, zone",
    doc: "The beginning of the zone's own day, week, hour, as its own time.",
    example: "date_trunc_in('day', timestamp '2026-07-01 22:30:00', 'Europe/Berlin')",
    gives: "2026-07-02T00:00:00.000000Z",
  },
  {
    name: "timezone",
    args: "zone, t",
    doc: "What AT TIME ZONE calls. `t AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin'` is to_timezone; `t AT TIME ZONE 'Europe/Berlin'` alone is from_timezone, also of `now()`.",
    example: "timestamp '2026-07-01 22:30:00' AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Tokyo'",
    gives: "2026-07-02T07:30:00.000000Z",
  },
  {
    name: "window_funnel",
    args: "within, t, step",
    doc: "An aggregate: how many of the steps 1, 2, 3… happened in this order within the interval from step 1. `step` is a number, null for events that are none.",
    example: `(select window_funnel(interval 1 hour, t, step) from ${VISITS})`,
    gives: 2,
  },
  {
    name: "session_count",
    args: "t, gap",
    doc: "An aggregate: how many sessions the times make, where more than the gap of silence ends one.",
    example: `(select session_count(t, interval 30 minute) from ${VISITS})`,
    gives: 2,
  },
  {
    name: "is_session_start",
    args: "t, previous, gap",
    doc: "Whether an event begins a session; `previous` is `lag(t)` over the visitor's events.",
    example: "is_session_start(timestamp '2026-11-20 10:31:00', timestamp '2026-11-20 10:00:00', interval 30 minute)",
    gives: true,
  },
  {
    name: "active_days",
    args: "t",
    doc: "An aggregate: the days on which there was anything, in order.",
    example: `(select active_days(t) from ${VISITS})`,
    gives: ["2026-11-20", "2026-11-21"],
  },
  {
    name: "returned",
    args: "days, n",
    doc: "Whether somebody with these active days was there n days after the first.",
    example: "returned([date '2026-11-20', date '2026-11-21'], 1)",
    gives: true,
  },
  {
    name: "url_host",
    args: "url",
    doc: "The host of an address.",
    example: "url_host('https://shop.example:8443/cart?x=1')",
    gives: "shop.example",
  },
  {
    name: "url_path",
    args: "url",
    doc: "The path of an address.",
    example: "url_path('https://shop.example/cart/2?x=1#top')",
    gives: "/cart/2",
  },
  {
    name: "url_param",
    args: "url, name",
    doc: "A parameter of an address, as it is written there.",
    example: "url_param('https://shop.example/?x=1&y=a%20b', 'y')",
    gives: "a%20b",
  },
];
