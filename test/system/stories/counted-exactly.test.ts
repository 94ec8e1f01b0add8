/** Counts asked by SQL come from the rollups, and are the lake's, whatever happens to either store meanwhile. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../../r2-layout/limits.ts";
import { type RunningSystem, type SqlAnswer, startSystem, until } from "../harness.ts";
import { type Correction, confirm, evenly, iso, nextAsk, rebuildAll, replay, send } from "./told.ts";

const YESTERDAY = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS;

const STATEMENTS = [
  "select count(*) as n from events",
  "select event_name, count(*) as n from events group by 1",
  `select date_trunc('hour', event_time) as hour, event_name, count(*) as n from events where event_time >= '${iso(YESTERDAY)}' group by 1, 2`,
  `select event_time::date as day, count(*) filter (where event_name = 'Moved') as moved, count(*) as n from events where event_time < '${iso(YESTERDAY + 12 * HOUR_MS)}' group by 1`,
] as const;

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem({ waitFactor: 0.1, shards: 2 });
});
afterAll(() => system?.stop());

interface Asked {
  readonly route: unknown;
  readonly rows: readonly string[];
}

const sorted = ({ rows }: SqlAnswer) => rows.map((row) => JSON.stringify(row)).sort();

/** Asked as anybody asks; and where the rollups answered, of the snapshot that they name, which is answered from the files. */
async function asked(sql: string): Promise<Asked> {
  const answer = await system.read<SqlAnswer>("/v1/sql", { sql });
  const { route, snapshot } = answer.stats;
  if (route === "rollups") {
    const files = await system.read<SqlAnswer>("/v1/sql", { sql, as_of: snapshot });
    expect([files.stats.snapshot, files.stats.route === "rollups"], sql).toEqual([snapshot, false]);
    expect(sorted(answer), `${sql} at ${snapshot}`).toEqual(sorted(files));
  }
  return { route, rows: sorted(answer) };
}

/** Asks all of them, on and on, while something happens. @returns how many the rollups answered. */
async function askedWhile(work: Promise<unknown>): Promise<number> {
  let isOver = false;
  let counted = 0;
  const over = work.finally(() => {
    isOver = true;
  });
  for (let i = 0; !isOver; i++) {
    if ((await asked(STATEMENTS[i % STATEMENTS.length]!)).route === "rollups") counted++;
    await nextAsk();
  }
  await over;
  return counted;
}

/** Waits until the rollups answer each of them. */
async function allCounted(): Promise<void> {
  for (const sql of STATEMENTS) {
    await until(`the rollups answer ${sql}`, 20_000, async () => (await asked(sql)).route === "rollups");
  }
}

it("beside live and late events, corrections and rebuilds (promises 2, 4, 5, 8)", async () => {
  const someone = (prefix: string, event: string) => (at: number, i: number) => ({
    messageId: `${prefix}-${i}`,
    anonymousId: `${prefix}-${i % 7}`,
    at,
    event,
  });
  await send(system, evenly(150, YESTERDAY - 3 * DAY_MS, Date.now(), someone("first", "Viewed")));
  await system.settled();
  await allCounted();

  // Live traffic, of which every other batch is a day late: both change rows that are asked for.
  const traffic = async () => {
    for (let n = 0; n < 40; n++) {
      const now = Date.now();
      const from = n % 2 ? now - MINUTE_MS : YESTERDAY + 2 * HOUR_MS;
      await send(system, evenly(6, from, from + MINUTE_MS / 2, someone(`live-${n}`, n % 3 ? "Viewed" : "Wrong")));
      await new Promise((next) => setTimeout(next, 100));
    }
  };
  expect(await askedWhile(traffic())).toBeGreaterThan(0);
  await system.settled();
  await allCounted();

  const preview = await system.read<Correction>("/v1/corrections", {
    filter: { where: { event_name: "Wrong" } },
    change: { set: { event_name: "Moved" } },
    note: "a typing error",
  });
  expect(preview.count).toBeGreaterThan(0);
  await askedWhile(confirm(system, "corrections", preview));
  await allCounted();
  const names = (await asked(STATEMENTS[1])).rows.map((row) => JSON.parse(row)[0]);
  expect(names).toEqual(["Moved", "Viewed"]);

  await askedWhile(rebuildAll(system));
  await allCounted();
  const some = { from: iso(YESTERDAY), to: iso(YESTERDAY + DAY_MS), sinks: ["rollups"], mode: "rebuild" };
  await askedWhile(replay(system, some).then((job) => confirm(system, "replays", job)));
  await allCounted();
});
