/** Somebody sends e-mail addresses that no contract declares: they are found, a contract says what becomes of them, and none comes to rest any more. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { PiiJson } from "../../../workers/operations-json.ts";
import { ORIGIN_HEADERS, type RunningSystem, startSystem, until } from "../harness.ts";

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem({ waitFactor: 0.1 });
});
afterAll(() => system?.stop());

const ADDRESS = "ada.lovelace@example.com";

/** A shop's event, whose developers meant well. */
async function invite(id: string): Promise<number> {
  const properties = { plan: "pro", invited: [{ to: ADDRESS }] };
  const answer = await system.sendBatch([{ type: "track", event: "Invited", userId: "u1", messageId: id, properties }]);
  return answer.status;
}

async function admin(method: string, path: string, body: object): Promise<void> {
  const response = await fetch(system.url + path, { method, headers: ORIGIN_HEADERS.read, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
}

const contract = (version: number, treatment: string) => ({
  "x-event": "Invited",
  "x-version": version,
  "x-owner": "growth@example.com",
  description: "Somebody was asked to join.",
  type: "object",
  properties: { invited: { type: "array", "x-pii": { class: "email", treatment } } },
});

/** What the rows of some events say of those who were invited. */
async function invited(like: string): Promise<unknown[]> {
  await system.settled();
  const sql = `select distinct properties['invited'][1] from events where event_id like '${like}' order by 1`;
  return (await system.sql(sql)).rows.map(([value]) => value);
}

it("undeclared e-mail addresses are found by event, field and source without being kept, and a contract ends them (promise 7)", async () => {
  for (let i = 0; i < 4; i++) expect(await invite(`plain-${i}`)).toBe(200);
  await system.settled();

  // The night's search, now.
  await system.maintain();
  const report = await system.read<PiiJson>("/v1/pii/findings");
  expect(report.findings).toMatchObject([
    { source: "dev", event_name: "Invited", field: "properties.invited[].to", kind: "email", events: 4, sampled: 4 },
  ]);
  expect(JSON.stringify(report)).not.toContain("lovelace");
  expect((await system.read<{ pii: PiiJson }>("/v1/operations")).pii).toEqual(report);

  await admin("POST", "/v1/contracts", contract(1, "hash"));
  await admin("PUT", "/v1/contracts/Invited/rollout", { mode: "warn", version: 1 });
  let sent = 0;
  await until("the policy to be known at the edge", 20_000, async () => {
    expect(await invite(`treated-${sent++}`)).toBe(200);
    return (await invited(`treated-${sent - 1}`)).some((value) => String(value).startsWith('["hash.'));
  });
  for (let i = 0; i < 3; i++) await invite(`hashed-${i}`);
  // One person, one hash: the funnel of invitations can still be counted.
  expect(await invited("hashed-%")).toEqual([expect.stringMatching(/^\["hash\.\d+\.[\w-]{22}"\]$/)]);
  const timeline = await system.userEvents("u1", { limit: 3, minutes: 60 });
  expect(timeline.events).toHaveLength(3);
  expect(JSON.stringify(timeline.events)).not.toContain("lovelace");

  const { balanced, total } = await system.ledger();
  expect({ balanced, in_flight: total.in_flight }).toEqual({ balanced: true, in_flight: 0 });
});
