/** A request to be forgotten while its stores fail: it stays open and says why, and ends confirmed once they answer. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ERASURE_STORES } from "../../../queues/erasure/erasure-store.ts";
import { verifyReceipt } from "../../../r2-layout/signed-receipt.ts";
import type { FaultRule } from "../../../scripts/local/faults/plan.ts";
import type { ErasureCheckJson, ErasureJson, ErasurePreviewJson, ErasuresJson } from "../../../workers/erasure-json.ts";
import { ORIGIN_HEADERS, type RunningSystem, startSystem, until } from "../harness.ts";
import { Crowd, MARK } from "./crowd.ts";
import { scanState } from "./scan.ts";

const SEED = Number(process.env.ERASURE_SEED ?? Date.now() % 1_000_000_000);
const WAIT_MS = 60_000;
/** How much is to fail before everything answers again. */
const FAULTS = 60;

const dir = mkdtempSync(join(tmpdir(), "eventpile-erasure-faults-"));
const crowd = new Crowd(3, 12, SEED);
let system: RunningSystem;
let isStopped = false;

beforeAll(async () => {
  console.log(`ERASURE_SEED=${SEED}`);
  system = await startSystem({ waitFactor: 0.1, shards: 2, dir });
  await crowd.sendPast(system, 600);
  await system.settled();
  await system.maintain();
});
afterAll(async () => {
  if (!isStopped) await system?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const at = (erasure: ErasureJson, name: string) => erasure.stores.find(({ store }) => store === name);
const read = (id: string) => system.read<ErasureJson>(`/v1/erasures/${id}`);
const failing = (...targets: readonly string[]): FaultRule[] =>
  targets.map((target) => ({ target, kind: "before", rate: 1 }));

async function statusOf(method: string, path: string, body?: unknown): Promise<number> {
  const init = { method, headers: ORIGIN_HEADERS.read, ...(body !== undefined && { body: JSON.stringify(body) }) };
  const response = await fetch(system.url + path, init);
  await response.arrayBuffer();
  return response.status;
}

async function ends(id: string): Promise<ErasureJson> {
  let erasure = await read(id);
  await until("every store has confirmed", WAIT_MS, async () => {
    erasure = await read(id);
    // It has given up, after many failures in a row: somebody resumes it.
    if (erasure.actions.includes("resume")) await statusOf("POST", `/v1/erasures/${id}/resume`, {});
    return erasure.state === "done";
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(erasure)}\n${system.output.slice(-4_000)}`);
  });
  return erasure;
}

async function expectReceipt({ id, receipt }: ErasureJson): Promise<void> {
  const response = await fetch(system.url + receipt, { headers: ORIGIN_HEADERS.read });
  const text = await response.text();
  expect(await verifyReceipt(JSON.parse(text))).toMatchObject({ ok: true, value: { receipt: { id } } });
  const tampered = JSON.parse(text.replace(/"removed": \d+/, '"removed": 987654321'));
  expect(await verifyReceipt(tampered)).toMatchObject({ ok: false, error: { reason: "tampered" } });
}

it("promise 7: while every store is down the request is open and says of each why; each confirms once it answers, and no other before", async () => {
  // By store: the call that nothing else makes.
  const calls = {
    log: "object/EVENT_LOG.segmentsWith",
    timelines: "object/USER_TIMELINE.forget",
    emails: "object/EMAIL_INDEX.forget",
    rollups: "object/MINUTE_ROLLUP.forgetJob",
    keys: "object/PII_KEY.destroy",
    records: "object/EVENT_LOG.redactRules",
  };
  const lake = "object/LAKE_CATALOG.erasable";
  await system.setFaults({ seed: SEED, rules: failing(lake, ...Object.values(calls)) });
  const { id } = await system.read<ErasurePreviewJson>("/v1/erasures", { user_ids: [crowd.gone[0]!.user] });
  await system.read(`/v1/erasures/${id}/confirm`, {});
  const down = ["lake", "quarantine", ...Object.keys(calls)];
  let erasure = await read(id);
  await until("every store has failed", WAIT_MS, async () => {
    erasure = await read(id);
    return down.every((name) => (at(erasure, name)?.attempts ?? 0) > 0);
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(erasure)}\n${system.output.slice(-4_000)}`);
  });
  expect(erasure).toMatchObject({ state: "running", stage: "stores", receipt: null, overdue: false });
  for (const name of down) {
    expect(at(erasure, name)).toMatchObject({ confirmed_at: null, error: expect.any(String) });
    expect(erasure.why).toContain(`${name}: `);
  }
  for (const name of ["iceberg", "orphans"]) expect(at(erasure, name)?.state).toBe("waiting");
  const open = await system.read<{ erasures: ErasuresJson }>("/v1/operations");
  expect(open.erasures).toMatchObject({ open: 1, overdue: 0 });
  expect(await statusOf("GET", `/v1/erasures/${id}/receipt`)).toBe(409);
  expect(await statusOf("DELETE", `/v1/erasures/${id}`)).toBe(409);

  // The catalog answers again, but for the last that is asked of it.
  const late = failing("object/LAKE_CATALOG.icebergErase", ...Object.values(calls));
  await system.setFaults({ seed: SEED, rules: late });
  await until("the lake has confirmed", WAIT_MS, async () => {
    erasure = await read(id);
    return at(erasure, "quarantine")?.state === "confirmed" && (at(erasure, "iceberg")?.attempts ?? 0) > 0;
  });
  expect(at(erasure, "lake")).toMatchObject({ state: "confirmed", traces: 0, error: null });
  for (const name of Object.keys(calls)) expect(at(erasure, name)).toMatchObject({ confirmed_at: null });
  await system.setFaults();
  await expectReceipt(await ends(id));
});

it("promise 7: ends confirmed whatever fails, before or after its effect, is cut off or loses its memory; no byte of them is left", async () => {
  const user_ids = crowd.gone.slice(1).map(({ user }) => user);
  const { id } = await system.read<ErasurePreviewJson>("/v1/erasures", { user_ids });
  const everywhere = (kind: "before" | "after", rate: number): FaultRule[] =>
    ["object/*", "r2/*"].map((target) => ({ target, kind, rate }));
  await system.setFaults({
    seed: SEED,
    rules: [
      ...everywhere("before", 0.06),
      ...everywhere("after", 0.06),
      { target: "consumer/replays", kind: "cut", rate: 0.3, calls: 60 },
      { target: "reset/*", kind: "reset", rate: 0.01 },
    ],
  });
  const confirmed = async () => [202, 409].includes(await statusOf("POST", `/v1/erasures/${id}/confirm`, {}));
  await until("it is confirmed", WAIT_MS, confirmed);
  const fired = async () =>
    (await system.faultReports()).flatMap((report) => report.fired).reduce((sum, { count }) => sum + count, 0);
  // The edge that tells of the job may fail, too.
  const isDone = async () => (await read(id).catch(() => null))?.state === "done";
  await until("enough has failed", WAIT_MS, async () => (await fired()) >= FAULTS || (await isDone()));
  expect(await fired()).toBeGreaterThan(0);
  await system.setFaults();
  await expectReceipt(await ends(id));
  await system.settled();
  await system.maintain();
  const { balanced } = await system.ledger();
  expect(balanced).toBe(true);

  // Maintenance has looked for all of them once more, by hashes alone.
  const { check } = await system.read<{ check: ErasureCheckJson }>("/v1/erasures");
  expect(check).toMatchObject({ erasures: 2, found: [], ended_at: expect.any(String) });
  expect(check.stores.map(({ store }) => store)).toEqual([...ERASURE_STORES]);
  for (const store of check.stores) expect(store).toMatchObject({ looked: 2, traces: 0, error: null });
  isStopped = true;
  await system.stop();
  expect((await scanState(dir, [MARK])).traces).toEqual([]);
});
