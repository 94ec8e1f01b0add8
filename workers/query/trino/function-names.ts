/** What SHOW FUNCTIONS lists: everything a statement may call by a name that means the same in Trino. */
import { FUNCTIONS } from "../plan/allowed-functions.ts";
import { translatedNames } from "./trino-functions.ts";

/** DuckDB's own names of what Trino has under another are left out: lists are arrays there. */
const OWN =
  /^(list_|array_aggr|formatreadable|epoch|datesub|datediff|datepart|datetrunc|to_(days|hours|minutes|months|seconds|years|micro|milli)|pg_|enum_|union_|struct_|kahan|fsum|favg|__)/;

export const FUNCTION_NAMES: readonly string[] = [
  ...new Set([...[...FUNCTIONS].filter((name) => !OWN.test(name)), ...translatedNames]),
].sort();
