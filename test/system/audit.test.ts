/** Who looked at whom, and who ran what, is kept in the lake. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RunningSystem, startSystem, until } from "./harness.ts";

let system: RunningSystem;
beforeAll(async () => {
  process.env.EVENTPILE_AUDIT = "on";
  system = await startSystem({ waitFactor: 0.1 });
});
afterAll(async () => {
  delete process.env.EVENTPILE_AUDIT;
  await system?.stop();
});

interface Entry {
  readonly reader: string;
  readonly action: string;
  readonly status: number;
  readonly subjects: readonly string[];
  readonly statement: string | null;
}

const entriesOf = async (query: string) => (await system.read<{ entries: Entry[] }>(`/v1/audit${query}`)).entries;

it("a look at a person and a statement are found afterwards, by whom and by what, and name nobody", async () => {
  await system.sendBatch([{ type: "track", event: "Paid", userId: "ada lovelace", messageId: "paid" }]);
  await system.settled();
  await system.userEvents("ada lovelace", { limit: 10 });
  await system.sql("select count(*) n from events where user_id = 'ada lovelace'");

  await until("both to be in the lake", 30_000, async () => {
    const actions = (await entriesOf("")).map(({ action }) => action);
    return actions.includes("GET /v1/users/{id}/events") && actions.includes("POST /v1/sql");
  });
  const about = await entriesOf("?user=ada%20lovelace");
  expect(about.map(({ action, status }) => [action, status])).toEqual([["GET /v1/users/{id}/events", 200]]);
  expect(about[0]?.subjects).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
  expect(await entriesOf("?user=nobody")).toEqual([]);
  const ran = (await entriesOf(`?reader=${about[0]?.reader}`)).find(({ statement }) =>
    statement?.includes("count(*) n"),
  );
  expect(ran?.statement).toBe("select count(*) n from events where user_id = '?'");

  // It is events like all others: counted, and to be asked for in SQL; and no id is in it.
  const sql =
    "select count(*) > 1, bool_or(properties::text like '%lovelace%') from events where source = 'eventpile.audit'";
  expect((await system.sql(sql)).rows).toEqual([[true, false]]);
  const { balanced } = await system.ledger();
  expect(balanced).toBe(true);
});
