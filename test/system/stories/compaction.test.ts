/** Compaction under traffic and questions: nobody sees a row twice or misses one; and a session of long ago is found. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { ORIGIN_HEADERS, type RunningSystem, startSystem } from "../harness.ts";
import { confirm, nextAsk, replay } from "./told.ts";

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem({ waitFactor: 0.1 });
});
afterAll(() => system?.stop());

const DAY_MS = 86_400_000;
const AGES = [0, 0, 0, 1, 40, 300];
let sent = 0;

/** Numbered events of six days; those of 300 days ago are Ada's. */
async function send(events: number): Promise<void> {
  const batch = Array.from({ length: events }, () => {
    const number = sent++;
    const age = AGES[number % AGES.length]!;
    return {
      type: "track",
      event: ["Viewed", "Added", "Bought"][number % 3],
      messageId: `n-${String(number).padStart(7, "0")}`,
      userId: age === 300 ? "ada" : `user-${number % 11}`,
      timestamp: new Date(Date.now() - age * DAY_MS).toISOString(),
      properties: { number },
    };
  });
  expect((await system.sendBatch(batch)).status).toBe(200);
}

/** What the lake had at some moment has to be there from then on, each once, whatever else comes. */
function checker() {
  const wrong: unknown[] = [];
  let asked = 0;
  let known = 0;
  let ended = false;
  const number = "cast(substr(event_id, 3) as integer)";
  const sql = (
    below: number,
  ) => `select count(*), count(distinct event_id), count(*) filter (where ${number} < ${below}),
    coalesce(sum(${number}) filter (where ${number} < ${below}), 0)::bigint from events`;
  const run = (async () => {
    while (!ended) {
      const below = known;
      const [rows, ids, old, sum] = (await system.sql(sql(below))).rows[0]!.map(Number);
      asked++;
      if (rows !== ids || old !== below || sum !== (below * (below - 1)) / 2) wrong.push([below, rows, ids, old, sum]);
      await nextAsk();
    }
  })();
  return {
    /** Everything below this number is in the lake. */
    knows: (below: number) => {
      known = below;
    },
    end: async () => {
      ended = true;
      await run;
      return { asked, wrong };
    },
  };
}

it("queries that run all the while see each row once, during compaction, a new column and a rebuild (promise 5)", async () => {
  await send(30);
  await system.settled();
  const check = checker();
  check.knows(sent);
  let compactions = 0;
  for (let round = 0; round < 4; round++) {
    for (let flush = 0; flush < 3; flush++) {
      await send(30);
      await system.settled();
      check.knows(sent);
    }
    await system.maintain();
    compactions++;
    if (round === 1) {
      const column = { name: "running_number", type: "long", property: "number", doc: "" };
      const body = JSON.stringify(column);
      const answer = await fetch(`${system.url}/v1/schema/columns`, {
        method: "POST",
        headers: ORIGIN_HEADERS.read,
        body,
      });
      expect(answer.status).toBe(201);
    }
    if (round === 2) {
      await confirm(system, "replays", await replay(system, { sinks: ["lake"], mode: "rebuild" }));
    }
  }
  const { asked, wrong } = await check.end();
  expect(wrong).toEqual([]);
  expect(asked).toBeGreaterThan(10);
  expect(compactions).toBe(4);
  expect((await system.sql("select count(*), count(distinct event_id) from events")).rows).toEqual([[sent, sent]]);
  // A file for each of the four days, midnight apart.
  await system.maintain();
  const { stats } = await system.sql("select count(*) from events");
  expect(Number(stats.table_files)).toBeLessThanOrEqual(8);
}, 120_000);

it("events of 300 days ago come from the lake, page by page, as they were sent", async () => {
  const iso = (age: number) => new Date(Date.now() - age * DAY_MS).toISOString();
  type Page = { events: { event_id: string }[]; next: string | null; source?: string };
  const wanted = Array.from({ length: sent }, (_, number) => number)
    .filter((number) => AGES[number % AGES.length] === 300)
    .map((number) => `n-${String(number).padStart(7, "0")}`);
  const found: string[] = [];
  for (let cursor: string | null = null, pages = 0; pages < 50; pages++) {
    const query = new URLSearchParams({ from: iso(301), to: iso(299), limit: "25", ...(cursor && { cursor }) });
    const page: Page = await system.read(`/v1/users/ada/events?${query}`);
    expect(page.source).toBe("lake");
    found.push(...page.events.map(({ event_id }) => event_id));
    cursor = page.next;
    if (cursor === null) break;
  }
  expect(found.toSorted()).toEqual(wanted);
  const recent: Page = await system.read(`/v1/users/user-1/events?${new URLSearchParams({ from: iso(2) })}`);
  expect(recent.source).toBeUndefined();
  expect(recent.events.length).toBeGreaterThan(0);
  const refused = await fetch(`${system.url}/v1/users/ada/events?from=yesterday`, { headers: ORIGIN_HEADERS.read });
  expect(refused.status).toBe(400);
});
