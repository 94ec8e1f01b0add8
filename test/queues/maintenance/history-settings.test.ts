import { expect, it } from "vitest";
import { expireFiles } from "../../../queues/maintenance/expire.ts";
import { cutSettings, retentionSettings } from "../../../queues/maintenance/history-settings.ts";
import { CUT, DAY_MS, HOUR_MS, MINUTE_MS, RETENTION } from "../../../r2-layout/limits.ts";

it("keeps rows for two years, cuts as long as rows, and freezes half an hour after midnight where nobody says otherwise", () => {
  for (const variables of [{}, { RETENTION_DAYS: "", RETENTION_DAYS_BY_NAME: "{}", CUT_RETENTION_DAYS: "" }]) {
    expect(retentionSettings(variables)).toEqual({ keptMs: 730 * DAY_MS, byName: {}, cutsKeptMs: null });
    expect(cutSettings(variables)).toEqual({
      delayMs: 30 * MINUTE_MS,
      waitMs: CUT.waitMs,
      versionEveryMs: CUT.versionEveryMs,
    });
  }
});

it("takes every variable", () => {
  const variables = {
    CUT_DELAY_MINUTES: "5",
    CUT_WAIT_HOURS: "0.5",
    CUT_VERSION_HOURS: "1",
    CUT_RETENTION_DAYS: "3650",
    RETENTION_DAYS: "400",
    RETENTION_DAYS_BY_NAME: '{"heartbeat": 30, "order": "3650"}',
  };
  expect(cutSettings(variables)).toEqual({ delayMs: 5 * MINUTE_MS, waitMs: HOUR_MS / 2, versionEveryMs: HOUR_MS });
  expect(retentionSettings(variables)).toEqual({
    keptMs: 400 * DAY_MS,
    byName: { heartbeat: 30 * DAY_MS, order: 3_650 * DAY_MS },
    cutsKeptMs: 3_650 * DAY_MS,
  });
});

it.each([
  { RETENTION_DAYS: String(RETENTION.daysMin - 1) },
  { RETENTION_DAYS: "-1" },
  { RETENTION_DAYS: "two years" },
  { RETENTION_DAYS: "1e9" },
  { RETENTION_DAYS: String(RETENTION.daysMax + 1) },
  { CUT_RETENTION_DAYS: "0" },
  { RETENTION_DAYS_BY_NAME: "{" },
  { RETENTION_DAYS_BY_NAME: "[]" },
  { RETENTION_DAYS_BY_NAME: '{"a": 0}' },
  { RETENTION_DAYS_BY_NAME: '{"a": null}' },
  {
    RETENTION_DAYS_BY_NAME: JSON.stringify(
      Object.fromEntries(Array.from({ length: RETENTION.names + 1 }, (_, i) => [`e${i}`, 1])),
    ),
  },
])("deletes nothing by a typing error: %j", (variables) => {
  expect(() => retentionSettings(variables)).toThrow(RangeError);
});

it("takes times between RETENTION.daysMin and RETENTION.daysMax, and RETENTION.names names", () => {
  for (const days of [RETENTION.daysMin, RETENTION.daysMax]) {
    expect(retentionSettings({ RETENTION_DAYS: String(days) }).keptMs).toBe(days * DAY_MS);
  }
  const names = Object.fromEntries(Array.from({ length: RETENTION.names }, (_, i) => [`e${i}`, 1]));
  const { byName } = retentionSettings({ RETENTION_DAYS_BY_NAME: JSON.stringify(names) });
  expect(Object.keys(byName)).toHaveLength(RETENTION.names);
});

it("comes back for what one invocation did not expire", async () => {
  let time = 0;
  let calls = 0;
  const catalog = {
    expire: async () => {
      time += 10;
      return { snapshot: ++calls, files: 2, rows: 20, cutFiles: 1, cuts: 0, more: calls < 5 };
    },
  };
  const deps = { catalog, retention: retentionSettings({}), now: () => time };
  expect(await expireFiles(deps, 25)).toEqual({ commits: 3, files: 6, rows: 60, cutFiles: 3, cuts: 0, more: true });
  expect(await expireFiles(deps, 1_000)).toMatchObject({ commits: 2, files: 4, more: false });
});
