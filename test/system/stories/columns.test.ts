/** A property becomes a column while the system runs: what was there before, what comes after, and what is done to both. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { SchemaJson } from "../../../workers/schema-json.ts";
import { ORIGIN_HEADERS, type RunningSystem, type SqlAnswer, startSystem } from "../harness.ts";
import { confirm, nextAsk, replay } from "./told.ts";

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem({ waitFactor: 0.1, shards: 2 });
});
afterAll(() => system?.stop());

const EVENTS = 60;

/** The part's events, in several requests, so that they come in several files. */
async function send(part: string, seats: (i: number) => unknown): Promise<void> {
  for (let from = 0; from < EVENTS; from += EVENTS / 3) {
    const batch = Array.from({ length: EVENTS / 3 }, (_, i) => ({
      type: "track",
      event: "Upgraded",
      messageId: `${part}-${from + i}`,
      userId: `user-${(from + i) % 7}`,
      properties: { plan: ["free", "pro"][i % 2], seats: seats(from + i), part },
    }));
    expect((await system.sendBatch(batch)).status).toBe(200);
    await system.settled();
  }
}

const addColumn = (column: object) =>
  fetch(`${system.url}/v1/schema/columns`, {
    method: "POST",
    headers: ORIGIN_HEADERS.read,
    body: JSON.stringify(column),
  });

/** Rows, with a plan and with seats, and the sum of the seats, by part. */
const BY_PART = `select properties['part'][1] as part, count(*), count(plan), count(seats), sum(seats)::integer
  from events group by 1 order by 1`;

/** Asks on and on whether the events of a part are all there, each once. Whoever ends it gets what it saw otherwise. */
function checker(part: string) {
  const otherwise: unknown[] = [];
  let asked = 0;
  let ended = false;
  const run = (async () => {
    while (!ended) {
      const sql = `select count(*), count(distinct event_id) from events where properties['part'][1] = '${part}'`;
      const [row] = (await system.sql(sql)).rows;
      asked++;
      if (JSON.stringify(row) !== JSON.stringify([EVENTS, EVENTS])) otherwise.push(row);
      await nextAsk();
    }
  })();
  return async () => {
    ended = true;
    await run;
    return { asked, otherwise };
  };
}

it("a property becomes a column: null before, typed after, conflicts counted, the same through compaction, rebuild and time travel (promises 4, 5, 6)", async () => {
  await send("old", (i) => i);
  const before = await system.sql("select * from events limit 1");
  const asOf = Number(before.stats.snapshot);
  const ended = checker("old");

  const plan = { name: "plan", type: "string", property: "plan", doc: "What is paid for." };
  const seats = { name: "seats", type: "long", property: "seats", doc: "" };
  for (const column of [plan, seats]) expect((await addColumn(column)).status).toBe(201);
  expect((await addColumn(plan)).status).toBe(200);
  expect((await addColumn({ ...plan, type: "long" })).status).toBe(409);
  // Every fourth says it in words.
  await send("new", (i) => (i % 4 === 3 ? "many" : i));
  const numbers = Array.from({ length: EVENTS }, (_, i) => i).filter((i) => i % 4 !== 3);
  const sum = numbers.reduce((total, i) => total + i, 0);
  const expected = [
    ["new", EVENTS, EVENTS, numbers.length, sum],
    ["old", EVENTS, 0, 0, null],
  ];
  expect((await system.sql(BY_PART)).rows).toEqual(expected);
  const words = await system.sql("select count(*) from events where properties['seats'][1] = 'many' and seats is null");
  expect(words.rows).toEqual([[EVENTS - numbers.length]]);

  const { tables, version } = await system.read<SchemaJson>("/v1/schema");
  expect(version).toBe(3);
  const promoted = tables.events.columns.filter(({ property }) => property !== null);
  expect(promoted.map(({ name, type, conflicts }) => [name, type, conflicts])).toEqual([
    ["plan", "VARCHAR", 0],
    ["seats", "BIGINT", EVENTS - numbers.length],
  ]);
  const metrics = await (await fetch(`${system.url}/metrics`, { headers: ORIGIN_HEADERS.read })).text();
  expect(metrics).toContain(`lake_column_conflicts_total{column="seats"} ${EVENTS - numbers.length}\n`);

  const filesOf = (answer: SqlAnswer) => Number(answer.stats.table_files);
  const loose = filesOf(await system.sql("select 1 from events limit 1"));
  await system.maintain();
  const merged = await system.sql(BY_PART);
  expect(filesOf(merged)).toBeLessThan(loose);
  expect(merged.rows).toEqual(expected);

  const rebuilt = await replay(system, { sinks: ["lake"], mode: "rebuild" });
  expect(rebuilt.comparison).toMatchObject([{ sink: "lake", identical: true }]);
  await confirm(system, "replays", rebuilt);
  const all = (EVENTS * (EVENTS - 1)) / 2;
  expect((await system.sql(BY_PART)).rows).toEqual([expected[0], ["old", EVENTS, EVENTS, EVENTS, all]]);
  // Events that were there before the column, and others that were counted already: nothing that came has conflicted.
  const again = await system.read<SchemaJson>("/v1/schema");
  expect(again.tables.events.columns.at(-1)).toMatchObject({ name: "seats", conflicts: EVENTS - numbers.length });

  const { asked, otherwise } = await ended();
  expect(otherwise).toEqual([]);
  expect(asked).toBeGreaterThan(10);

  const then = await system.read<SqlAnswer>("/v1/sql", { sql: "select * from events", as_of: asOf });
  expect(then.columns).toEqual(before.columns);
  expect(then.rows).toHaveLength(EVENTS);
  const byName = await fetch(`${system.url}/v1/sql`, {
    method: "POST",
    headers: ORIGIN_HEADERS.read,
    body: JSON.stringify({ sql: "select plan from events", as_of: asOf }),
  });
  expect([byName.status, ((await byName.json()) as { reason: string }).reason]).toEqual([400, "sql_error"]);
});
