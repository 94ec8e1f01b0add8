/**
 * `npm run check:import -- FILE`: starts a system of its own, imports an access log twice, runs maintenance, and
 * compares what SQL then says with what a plain reading of the file says. Exits 1 at the first difference.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { type RunningSystem, startSystem } from "../test/system/harness.ts";

const file = process.argv[2];
if (!file) {
  console.error("usage: npm run check:import -- FILE (an access log in combined format, gzip or not)");
  process.exit(2);
}

const expected = plainReading(file);
let differences = 0;
// With one shard as by default, and with four: then the lake has a file of each, for maintenance to merge by days.
for (const shards of [1, 4]) await checkWith(shards);
console.log(differences === 0 ? "the import is right" : `${differences} differences`);
process.exit(differences === 0 ? 0 : 1);

async function checkWith(shards: number): Promise<void> {
  const system = await startSystem({ demo: false, shards });
  const when = (what: string) => `${shards} shard${shards === 1 ? "" : "s"}, ${what}`;
  try {
    await importOnce(system);
    await compare(when("after the import"), system, 0);
    await importOnce(system);
    await compare(when("after the second import"), system, expected.lines);
    check(when("each shard has its file"), (await files(system)) >= shards, true);
    await system.maintain();
    await compare(when("after maintenance"), system, expected.lines);
    check(when("files after maintenance, one a day"), await files(system), expected.days.length);
  } catch (error) {
    console.error(`the system printed:\n${system.output.slice(-4_000)}`);
    throw error;
  } finally {
    await system.stop();
  }
}

/** Of the table, by the plan of a statement that needs them all. */
async function files(on: RunningSystem): Promise<number> {
  return Number((await on.sql("select count(*) from events")).stats.table_files);
}

/** Counts the file the way awk would, apart from the import's own parser. */
function plainReading(path: string) {
  const bytes = readFileSync(path);
  const text = (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString("utf8");
  const lines = text.split("\n").filter((line) => line !== "");
  const days = new Map<string, number>();
  const devices = new Set<string>();
  let ok = 0;
  for (const line of lines) {
    const day = /\[(\d\d)\/(\w{3})\/(\d{4})/.exec(line)!;
    const month = String("JanFebMarAprMayJunJulAugSepOctNovDec".indexOf(day[2]!) / 3 + 1).padStart(2, "0");
    const key = `${day[3]}-${month}-${day[1]}`;
    days.set(key, (days.get(key) ?? 0) + 1);
    const quoted = line.split('"');
    if (quoted[2]!.trim().startsWith("200 ")) ok++;
    devices.add(`${line.split(" ")[0]}\n${quoted[5] ?? ""}`);
  }
  return { lines: lines.length, days: [...days].sort(), ok, devices: devices.size };
}

async function importOnce(on: RunningSystem): Promise<void> {
  const child = spawn(process.execPath, [new URL("import.ts", import.meta.url).pathname, file!], {
    stdio: "inherit",
    env: { ...process.env, EVENTPILE_URL: on.url },
  });
  const code = await new Promise((resolve) => child.once("exit", resolve));
  if (code !== 0) throw new Error(`the import ended with ${code}`);
  await on.settled();
}

async function compare(when: string, on: RunningSystem, duplicates: number): Promise<void> {
  const one = async (sql: string) => (await on.sql(sql)).rows[0]![0];
  const days = (
    await on.sql("select strftime(event_time, '%Y-%m-%d') as day, count(*) from events group by 1 order by 1")
  ).rows;
  const ledger = await on.ledger();
  const points = await on.rollups({
    metric: "events",
    grain: "day",
    from: `${expected.days[0]![0]}T00:00:00Z`,
    to: `${expected.days.at(-1)![0]}T23:59:59Z`,
  });
  check(`${when}: rows`, await one("select count(*) from events"), expected.lines);
  check(`${when}: rows by day`, days, expected.days);
  check(
    `${when}: days by the rollups`,
    points.map(({ start, value }) => [start.slice(0, 10), value]),
    expected.days,
  );
  check(
    `${when}: status 200`,
    await one("select count(*) from events where properties['status'][1] = '200'"),
    expected.ok,
  );
  check(`${when}: devices`, await one("select count(distinct anonymous_id) from events"), expected.devices);
  check(`${when}: duplicates`, ledger.total.duplicates, duplicates);
  check(`${when}: ledger balanced`, ledger.balanced, true);
  for (const sink of ["lake", "sessions", "rollups"] as const)
    check(`${when}: applied by ${sink}`, ledger.total[sink], expected.lines);
}

function check(what: string, found: unknown, wanted: unknown): void {
  const same = JSON.stringify(found) === JSON.stringify(wanted);
  if (!same) differences++;
  console.log(
    `${same ? "ok  " : "FAIL"} ${what}: ${JSON.stringify(found)}${same ? "" : `, expected ${JSON.stringify(wanted)}`}`,
  );
}
