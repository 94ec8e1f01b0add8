import { expect, it } from "vitest";
import { distributedSettings } from "../../../../workers/query/distributed/settings.ts";

const R2_SQL = {
  DISTRIBUTED_ENGINE: "r2-sql",
  DISTRIBUTED_R2_ACCOUNT_ID: "acc",
  DISTRIBUTED_R2_BUCKET: "eventpile",
  DISTRIBUTED_R2_TOKEN: "secret",
};

it("an engine whose catalog has no jurisdiction is refused where one is set, and only there", () => {
  expect(distributedSettings(R2_SQL)?.kind).toBe("r2-sql");
  expect(() => distributedSettings({ ...R2_SQL, JURISDICTION: "eu" })).toThrow("no jurisdiction");
  const trino = { DISTRIBUTED_ENGINE: "trino", DISTRIBUTED_TRINO_URL: "https://trino.example", JURISDICTION: "eu" };
  expect(distributedSettings(trino)?.kind).toBe("trino");
});
