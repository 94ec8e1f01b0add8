/** Functions of ours that DuckDB calls row by row. Only the macros beside this name them; a statement may not. */
import {
  arrayLength,
  extract,
  extractEntry,
  extractEntryText,
  extractText,
  keys,
  mapKey,
  quoted,
  type,
  valid,
} from "./json-functions.ts";
import { offsetAt, offsetOfLocal } from "./time-zones.ts";
import { sessionCount, windowFunnel } from "./visits.ts";

/** As DuckDB hands them over. 64-bit integers it does not: they come as DOUBLE, and none here is beyond 2^53. */
export type ScalarValue = string | number | boolean | null;

export interface ScalarFunction {
  readonly name: string;
  readonly returns: "VARCHAR" | "BIGINT" | "BOOLEAN";
  /** Not asked where an argument is null: then the answer is. An Error it throws is the statement's. */
  // biome-ignore lint/suspicious/noExplicitAny: each takes what its macro casts to.
  readonly call: (...values: any[]) => ScalarValue;
}

export const SCALAR_FUNCTIONS: readonly ScalarFunction[] = [
  { name: "ep_json_extract", returns: "VARCHAR", call: extract },
  { name: "ep_json_text", returns: "VARCHAR", call: extractText },
  { name: "ep_json_entry", returns: "VARCHAR", call: extractEntry },
  { name: "ep_json_entry_text", returns: "VARCHAR", call: extractEntryText },
  { name: "ep_json_map_key", returns: "VARCHAR", call: mapKey },
  { name: "ep_json_valid", returns: "BOOLEAN", call: valid },
  { name: "ep_json_length", returns: "BIGINT", call: arrayLength },
  { name: "ep_json_keys", returns: "VARCHAR", call: keys },
  { name: "ep_json_type", returns: "VARCHAR", call: type },
  { name: "ep_json_quote", returns: "VARCHAR", call: quoted },
  { name: "ep_offset_at", returns: "BIGINT", call: offsetAt },
  { name: "ep_offset_of_local", returns: "BIGINT", call: offsetOfLocal },
  { name: "ep_window_funnel", returns: "BIGINT", call: windowFunnel },
  { name: "ep_session_count", returns: "BIGINT", call: sessionCount },
];
