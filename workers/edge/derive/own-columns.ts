/**
 * `/v1/events` names things as the columns do. A column that the sender gives stands above what would be derived, so
 * it must be of the column's type: one that is not sends the event to quarantine instead of being guessed at.
 */
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { cutUtf8 } from "../../../r2-layout/utf8.ts";
import { countryCode } from "../request-facts.ts";
import { type JsonObject, numberOf, textOf } from "./json.ts";
import type { Findings } from "./quarantine.ts";

/** Columns that are read elsewhere (identity and times), belong to the edge or the log, or need more than a type. */
const NOT_GIVEN = [
  "event_id",
  "event_name",
  "event_type",
  "source",
  "user_id",
  "anonymous_id",
  "event_time",
  "received_at",
  "sent_at",
  "client_time",
  "flags",
  "properties",
  "log_shard",
  "log_seq",
] as const;

type GivenColumn = Exclude<keyof typeof EVENT_COLUMNS, (typeof NOT_GIVEN)[number]>;
type ValueOf<K extends GivenColumn> = (typeof EVENT_COLUMNS)[K]["type"] extends "utf8" ? string : number;
export type OwnColumns = { -readonly [K in GivenColumn]?: ValueOf<K> };

type Read = (value: unknown) => string | number | undefined;

const READERS: ReadonlyMap<string, { readonly read: Read; readonly expected: string }> = new Map(
  Object.entries(EVENT_COLUMNS)
    .filter(([name]) => !(NOT_GIVEN as readonly string[]).includes(name))
    .map(([name, column]) => {
      if (name === "country") {
        return [name, { read: (value) => countryCode(value) ?? undefined, expected: "ISO 3166-1 alpha-2 code" }];
      }
      if (column.type === "utf8") {
        const { maxBytes } = column;
        const read: Read = (value) => {
          const text = textOf(value);
          return text === undefined ? undefined : cutUtf8(text, maxBytes);
        };
        return [name, { read, expected: "text" }];
      }
      if (column.type === "float64") return [name, { read: numberOf, expected: "number" }];
      return [name, { read: integerOf(column.type === "int32" ? 2 ** 31 - 1 : 2 ** 53 - 1), expected: "whole number" }];
    }),
);

export function ownColumns(raw: JsonObject, findings: Findings): OwnColumns {
  const own: Record<string, string | number> = {};
  for (const key in raw) {
    const reader = READERS.get(key);
    if (reader === undefined) continue;
    const value = raw[key];
    if (value === null || value === undefined || value === "") continue;
    const read = reader.read(value);
    if (read === undefined) findings.add("wrong_type", key, reader.expected, value);
    else own[key] = read;
  }
  return own as OwnColumns;
}

function integerOf(max: number): Read {
  return (value) => {
    const number = numberOf(value);
    return number !== undefined && Number.isInteger(number) && Math.abs(number) <= max ? number : undefined;
  };
}
