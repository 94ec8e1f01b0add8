/**
 * The one table that describes an event. Types, checks, the Arrow and Parquet schemas (with field ids) and the
 * reference page follow from it. Columns are added, never renamed or retyped; a field id is never used twice,
 * because files written last year keep their meaning. Columns that a lake gets at run time come on top of these, with
 * ids from 1001 on (promoted-columns.ts).
 */

export type ColumnType =
  | "utf8"
  /** Microseconds since the Unix epoch, UTC. A `number` in code (exact until the year 2255), TIMESTAMP in files. */
  | "timestamp_us"
  | "int32"
  | "int64"
  | "float64"
  | "boolean"
  | "list_utf8"
  | "map_utf8";

export interface Column {
  /** Iceberg and Parquet field id. `list_utf8` also owns id + 1 (element), `map_utf8` id + 1 (key) and id + 2 (value). */
  readonly id: number;
  readonly type: ColumnType;
  readonly required: boolean;
  /** Longest value in UTF-8 bytes. Longer values are cut at a character boundary by the edge, `event_id` excepted. */
  readonly maxBytes?: number;
  /** Its values tell people apart: no bounds of them are kept (statistics.ts has those of the base). */
  readonly identifier?: boolean;
  readonly doc: string;
}

export type Columns = Readonly<Record<string, Column>>;

/** The version of the columns below: raised with every column added. */
export const BASE_SCHEMA_VERSION = 1;

export const EVENT_COLUMNS = {
  event_id: {
    id: 1,
    type: "utf8",
    required: true,
    maxBytes: 100,
    doc: "The sender's message id, or one minted at the edge. Deduplication key, together with source.",
  },
  event_name: {
    id: 2,
    type: "utf8",
    required: true,
    maxBytes: 200,
    doc: "`page`, `screen`, `identify`, `group`, `alias`, or the name of a track call.",
  },
  event_type: {
    id: 3,
    type: "utf8",
    required: true,
    maxBytes: 16,
    doc: "`page`, `screen`, `track`, `identify`, `group` or `alias`.",
  },
  source: {
    id: 4,
    type: "utf8",
    required: true,
    maxBytes: 100,
    doc: "The name of the source that the write key belongs to.",
  },
  user_id: {
    id: 5,
    type: "utf8",
    required: false,
    maxBytes: 256,
    doc: "The identified user, as the sender names them.",
  },
  anonymous_id: {
    id: 6,
    type: "utf8",
    required: false,
    maxBytes: 256,
    doc: "The device or browser, before and after sign-in.",
  },
  session_id: { id: 7, type: "utf8", required: false, maxBytes: 100, doc: "The sender's session, where it keeps one." },
  event_time: {
    id: 8,
    type: "timestamp_us",
    required: true,
    doc: "When it happened: the sender's clock corrected by received_at - sent_at.",
  },
  received_at: { id: 9, type: "timestamp_us", required: true, doc: "When the edge accepted it (collector clock)." },
  sent_at: { id: 10, type: "timestamp_us", required: false, doc: "When the sender sent the request (sender's clock)." },
  client_time: { id: 11, type: "timestamp_us", required: false, doc: "The time the sender gave, uncorrected." },
  client_seq: { id: 12, type: "int64", required: false, doc: "Running number within the sender's session." },
  contract_version: {
    id: 13,
    type: "int32",
    required: false,
    doc: "The contract version the event was checked against.",
  },
  app_name: { id: 14, type: "utf8", required: false, maxBytes: 200, doc: "Sending application (context.app.name)." },
  app_version: {
    id: 15,
    type: "utf8",
    required: false,
    maxBytes: 100,
    doc: "Sending application's version (context.app.version).",
  },
  sdk: { id: 16, type: "utf8", required: false, maxBytes: 200, doc: "Sending library and version, `name/version`." },
  flags: {
    id: 17,
    type: "list_utf8",
    required: false,
    doc: "What the edge noticed: `late`, `clock_skewed`, `bot`, `republished`, `off_contract`.",
  },
  page_url: { id: 19, type: "utf8", required: false, maxBytes: 2_048, doc: "Absolute URL without its fragment." },
  page_path: { id: 20, type: "utf8", required: false, maxBytes: 1_024, doc: "Path of the page." },
  page_host: { id: 21, type: "utf8", required: false, maxBytes: 256, doc: "Host of the page." },
  page_title: { id: 22, type: "utf8", required: false, maxBytes: 512, doc: "Title of the page." },
  referrer: { id: 23, type: "utf8", required: false, maxBytes: 2_048, doc: "Referring URL." },
  utm_source: { id: 24, type: "utf8", required: false, maxBytes: 256, doc: "Campaign source." },
  utm_medium: { id: 25, type: "utf8", required: false, maxBytes: 256, doc: "Campaign medium." },
  utm_campaign: { id: 26, type: "utf8", required: false, maxBytes: 256, doc: "Campaign name." },
  utm_term: { id: 27, type: "utf8", required: false, maxBytes: 256, doc: "Campaign term." },
  utm_content: { id: 28, type: "utf8", required: false, maxBytes: 256, doc: "Campaign content." },
  locale: { id: 29, type: "utf8", required: false, maxBytes: 64, doc: "Language tag of the sender." },
  screen: { id: 30, type: "utf8", required: false, maxBytes: 32, doc: "Screen size in pixels, `1920x1080`." },
  os: {
    id: 31,
    type: "utf8",
    required: false,
    maxBytes: 64,
    doc: "Operating system, from context.os or the user agent.",
  },
  os_version: { id: 32, type: "utf8", required: false, maxBytes: 64, doc: "Operating system's version." },
  browser: { id: 33, type: "utf8", required: false, maxBytes: 64, doc: "Browser, from the user agent." },
  browser_version: { id: 34, type: "utf8", required: false, maxBytes: 64, doc: "Browser's version." },
  device_type: {
    id: 35,
    type: "utf8",
    required: false,
    maxBytes: 32,
    doc: "`desktop`, `mobile`, `tablet`, `tv`, `bot` or `other`.",
  },
  country: { id: 36, type: "utf8", required: false, maxBytes: 2, doc: "ISO 3166-1 alpha-2, from the connection." },
  region: { id: 37, type: "utf8", required: false, maxBytes: 128, doc: "First-level region, from the connection." },
  city: { id: 38, type: "utf8", required: false, maxBytes: 128, doc: "City, from the connection." },
  revenue: {
    id: 39,
    type: "float64",
    required: false,
    doc: "properties.revenue (or total, value of an order), in `currency`.",
  },
  currency: { id: 40, type: "utf8", required: false, maxBytes: 8, doc: "ISO 4217 code of revenue." },
  properties: {
    id: 41,
    type: "map_utf8",
    required: false,
    maxBytes: 32_768,
    doc: "The sender's properties or traits; a value that is not a string is its JSON.",
  },
  log_shard: { id: 44, type: "int32", required: true, doc: "The log shard the event was read from." },
  log_seq: { id: 45, type: "int64", required: true, doc: "The segment of that shard the event was read from." },
} as const satisfies Record<string, Column>;

/** Events that were accepted but do not fit their columns or contract: kept whole, apart from the events. */
export const QUARANTINE_COLUMNS = {
  event_id: { id: 1, type: "utf8", required: true, maxBytes: 100, doc: "As in events." },
  source: { id: 2, type: "utf8", required: true, maxBytes: 100, doc: "As in events." },
  received_at: { id: 3, type: "timestamp_us", required: true, doc: "As in events." },
  event_name: { id: 4, type: "utf8", required: false, maxBytes: 200, doc: "As in events, where it could be read." },
  event_type: { id: 5, type: "utf8", required: false, maxBytes: 16, doc: "As in events, where it could be read." },
  user_id: { id: 6, type: "utf8", required: false, maxBytes: 256, doc: "As in events, where it could be read." },
  anonymous_id: { id: 7, type: "utf8", required: false, maxBytes: 256, doc: "As in events, where it could be read." },
  cause: { id: 8, type: "utf8", required: true, maxBytes: 64, doc: "Short, stable name of what is wrong." },
  field: { id: 9, type: "utf8", required: false, maxBytes: 200, doc: "The field that broke the contract." },
  expected: { id: 10, type: "utf8", required: false, maxBytes: 500, doc: "What the contract asks for." },
  actual: { id: 11, type: "utf8", required: false, maxBytes: 500, doc: "What came." },
  contract_version: { id: 12, type: "int32", required: false, doc: "As in events." },
  app_name: { id: 13, type: "utf8", required: false, maxBytes: 200, doc: "As in events." },
  app_version: { id: 14, type: "utf8", required: false, maxBytes: 100, doc: "As in events." },
  sdk: { id: 15, type: "utf8", required: false, maxBytes: 200, doc: "As in events." },
  raw: { id: 16, type: "utf8", required: true, maxBytes: 32_768, doc: "The sender's JSON as accepted." },
  log_shard: { id: 17, type: "int32", required: true, doc: "As in events." },
  log_seq: { id: 18, type: "int64", required: true, doc: "As in events." },
} as const satisfies Record<string, Column>;

export const TABLES = { events: EVENT_COLUMNS, quarantine: QUARANTINE_COLUMNS } as const;
export type TableName = keyof typeof TABLES;

interface ValueOf {
  utf8: string;
  timestamp_us: number;
  int32: number;
  int64: number;
  float64: number;
  boolean: boolean;
  list_utf8: readonly string[];
  map_utf8: Readonly<Record<string, string>>;
}
type RequiredKeys<C> = { [K in keyof C]: C[K] extends { required: true } ? K : never }[keyof C];

/** The static type of a row: a required column always has a value, another may be null or absent. */
export type RowOf<C extends Record<string, Column>> = {
  [K in RequiredKeys<C>]: ValueOf[C[K]["type"]];
} & {
  [K in Exclude<keyof C, RequiredKeys<C>>]?: ValueOf[C[K]["type"]] | null;
};

export type EventRow = RowOf<typeof EVENT_COLUMNS>;
export type QuarantineRow = RowOf<typeof QUARANTINE_COLUMNS>;

/** What the edge derives and puts on the log: a row less what the log itself adds. */
export type DerivedEvent = Omit<EventRow, "log_shard" | "log_seq">;

export type EventType = "page" | "screen" | "track" | "identify" | "group" | "alias";
export type EventFlag = "late" | "clock_skewed" | "bot" | "republished" | "off_contract";
