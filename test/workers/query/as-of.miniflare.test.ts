import { afterAll, beforeAll, expect, it } from "vitest";
import { dayOf, isoMicros } from "../../../r2-layout/time.ts";
import { lakeFile, type QueryRig, startRig } from "./rig.ts";
import { FIRST_DAY_US, shopRows } from "./shop-rows.ts";

const DAY = dayOf(FIRST_DAY_US);
let rig: QueryRig;
const snapshots: number[] = [];
const times: string[] = [];

const rowsOf = (seed: number, firstDay: number, days: number) => [...shopRows({ seed, rows: 300, firstDay, days })];

async function commit(rows: ReturnType<typeof rowsOf>): Promise<void> {
  snapshots.push((await rig.commit([await lakeFile("events", rows)])).snapshot);
  times.push(new Date().toISOString());
}

beforeAll(async () => {
  rig = await startRig();
  await commit(rowsOf(1, 0, 1));
  // A file of the day and the next: the cut has some of its rows.
  await commit(rowsOf(2, 0, 2));
  await rig.cut(DAY);
  await commit(rowsOf(3, 0, 1));
  await rig.cut(DAY);
  await commit(rowsOf(4, 1, 1));
}, 120_000);
afterAll(() => rig.stop());

const count = async (as_of?: unknown, where = "") => {
  const { rows, status, stats } = await rig.sql(`select count(*) from events ${where}`, { as_of });
  return { status, rows: rows?.[0]?.[0], cut: stats?.cut, snapshot: stats?.snapshot };
};

it("reads a snapshot by its number, and by any time at which it was in force", async () => {
  for (const [i, rows] of [300, 600, 900, 1_200].entries()) {
    expect(await count(snapshots[i])).toMatchObject({ status: 200, rows });
    expect(await count(times[i])).toMatchObject({ rows, snapshot: snapshots[i] });
  }
  expect(await count(Date.now() / 1_000)).toMatchObject({ rows: 1_200 });
  expect(await count(0)).toMatchObject({ rows: 0 });
});

it("reads a cut as it was frozen: its files, and of them the rows before its midnight", async () => {
  const before = `where event_time < '${isoMicros(FIRST_DAY_US + 86_400_000_000).slice(0, 19)}'`;
  const { rows: ofDay } = await count(snapshots[1], before);
  expect(ofDay).toBeGreaterThan(300);
  expect(ofDay).toBeLessThan(600);
  expect(await count(`${DAY}.v1`)).toMatchObject({ rows: ofDay, cut: `${DAY}.v1`, snapshot: snapshots[1] });
  // The second version was frozen, and has no difference yet: nobody sees it.
  expect(await count(DAY)).toMatchObject({ rows: ofDay, cut: `${DAY}.v1` });
  expect(await count(`${DAY}.v1`, `where event_time >= '${DAY}'`)).toMatchObject({ rows: ofDay });
  expect(await count(`${DAY}.v1`, "where event_time >= '2999-01-01'")).toMatchObject({ rows: 0 });
  const { rows } = await rig.sql(
    "select max(event_time) < timestamp '2999-01-01', count(distinct event_name) from events",
    {
      as_of: DAY,
    },
  );
  expect(rows[0]![0]).toBe(true);
  // The view of one state is not that of the next statement.
  expect(await count()).toMatchObject({ rows: 1_200, cut: undefined });
});

it("says how far history reaches where it is asked for more", async () => {
  const refused = async (as_of: unknown) => {
    const { status, reason, detail } = await rig.sql("select 1 from events", { as_of });
    return { status, reason, detail };
  };
  expect(await refused(99)).toEqual({
    status: 404,
    reason: "unknown_snapshot",
    detail: expect.stringMatching(/snapshot 99 is not kept; snapshots reach from 1 \(.*\) to 4 \(/),
  });
  expect(await refused("2999-01-01T00:00:00Z")).toMatchObject({ status: 404, reason: "unknown_snapshot" });
  expect(await refused("1999-01-01")).toMatchObject({ status: 404, reason: "unknown_cut" });
  expect(await refused(`${DAY}.v2`)).toMatchObject({ status: 404, reason: "unknown_cut" });
  expect(await refused("next week, maybe")).toMatchObject({ status: 400, reason: "bad_parameter" });
});
