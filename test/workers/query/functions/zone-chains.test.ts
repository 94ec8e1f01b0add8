import { describe, expect, it } from "vitest";
import { joinZones } from "../../../../workers/query/functions/zone-chains.ts";

describe("two time zones in a row", () => {
  it.each([
    ["t at time zone 'UTC' at time zone 'Europe/Berlin'", "t AT TIME ZONE 'UTC>Europe/Berlin'"],
    ["f(a AT TIME  ZONE 'UTC' AT TIME ZONE 'Etc/GMT+2')", "f(a AT TIME ZONE 'UTC>Etc/GMT+2')"],
    ["t at time zone 'UTC'", "t at time zone 'UTC'"],
    ["'t at time zone ''UTC'' at time zone ''X'''", "'t at time zone ''UTC'' at time zone ''X'''"],
    [`"at time zone 'A' at time zone 'B'"`, `"at time zone 'A' at time zone 'B'"`],
    ["'it''s' || t at time zone 'A' at time zone 'B'", "'it''s' || t AT TIME ZONE 'A>B'"],
  ])("%s", (sql, joined) => {
    expect(joinZones(sql)).toBe(joined);
  });
});
