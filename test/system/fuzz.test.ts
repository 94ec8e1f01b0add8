/** FUZZ_SEED repeats a run's requests, FUZZ_HTTP_REQUESTS says how many; `npm run fuzz` sends a million. */
import { afterAll, expect, it } from "vitest";
import { Accepted, compareStored, fuzzHttp } from "../fuzz/fuzz-http.ts";
import { type RunningSystem, startSystem } from "./harness.ts";

const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000_000);
const REQUESTS = Number(process.env.FUZZ_HTTP_REQUESTS ?? 30_000);
const SINKS = ["lake", "sessions", "rollups"];

let system: RunningSystem;
afterAll(() => system?.stop());

it(`FUZZ_SEED=${SEED}: of ${REQUESTS} fuzzed requests over HTTP none is answered with 5xx, and SQL has exactly what was accepted (promises 1, 2, 3)`, {
  timeout: 300_000,
}, async () => {
  system = await startSystem({ waitFactor: 0.1 });
  // The sinks wait, so that both cores are the edge's; afterwards they catch up in large steps.
  for (const sink of SINKS) await system.chaos({ hold: true }, sink);
  const began = Date.now();
  const accepted = new Accepted();
  const statuses = await fuzzHttp(system, { seed: SEED, first: 0, requests: REQUESTS, prefix: "h" }, accepted);
  console.log(`FUZZ_SEED=${SEED} ${REQUESTS} requests in ${Date.now() - began} ms`, Object.fromEntries(statuses));
  for (const sink of SINKS) await system.chaos({}, sink);
  const ledger = await system.settled(120_000);
  expect(await compareStored(system, accepted)).toEqual({});
  expect(accepted.events.size).toBeGreaterThan(REQUESTS / 3);
  expect(accepted.quarantine.size).toBeGreaterThan(REQUESTS / 20);
  const stored = accepted.events.size + accepted.random.events;
  expect(ledger).toMatchObject({ balanced: true, total: { lake: stored, sessions: stored, rollups: stored } });
});
