import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RunningSystem, startSystem } from "./harness.ts";

const FIXTURE = join(import.meta.dirname, "../scripts/import/odd.access.log");
const READABLE = 10;

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system?.stop());

it("promise 2: a log imported twice is in SQL once, before and after maintenance, and the ledger has the duplicates", async () => {
  expect(await importFixture()).toContain(`13 lines`);
  await system.settled();
  await figures(0);
  expect(await importFixture()).toContain("3 unreadable");
  await system.settled();
  await figures(READABLE);
  await system.maintain();
  await figures(READABLE);
});

async function figures(duplicates: number): Promise<void> {
  const [row] = (
    await system.sql(
      `select count(*), count(distinct anonymous_id), count(*) filter (where properties['status'][1] = '200'),
              count(*) filter (where event_name = 'page'), count(*) filter (where event_time < '2024-03-04')
       from events`,
    )
  ).rows;
  expect(row).toEqual([READABLE, 7, 6, 3, 3]);
  expect(await system.ledger()).toMatchObject({
    balanced: true,
    total: {
      accepted: READABLE + duplicates,
      duplicates,
      in_flight: 0,
      lake: READABLE,
      sessions: READABLE,
      rollups: READABLE,
    },
  });
}

async function importFixture(): Promise<string> {
  const child = spawn(process.execPath, ["scripts/import.ts", FIXTURE], {
    env: { ...process.env, EVENTPILE_URL: system.url },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const [code] = await once(child, "exit");
  expect(code).toBe(0);
  return output;
}
