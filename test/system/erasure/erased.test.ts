/** What is left of a hundred people who have asked to be forgotten, and of everybody else. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { startSystem } from "../harness.ts";
import { MARK } from "./crowd.ts";
import { eraseFromCrowd } from "./trial.ts";

const SEED = Number(process.env.ERASURE_SEED ?? Date.now() % 1_000_000_000);
const GONE = 100;
const dir = mkdtempSync(join(tmpdir(), "eventpile-erased-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it("promise 7: of a hundred people, erased under load and beside a replay while they go on sending, no byte is left; everybody else's rows, timelines and minutes are as before", {
  timeout: 240_000,
}, async () => {
  console.log(`ERASURE_SEED=${SEED}`);
  const system = await startSystem({ waitFactor: 0.1, shards: 2, dir });
  const result = await eraseFromCrowd(system, {
    ...{ events: 20_000, gone: GONE, staying: 300, seed: SEED, waitMs: 90_000, provesSearch: true },
    told: (line) => console.log(line),
  });

  // There was something to erase, in each kind of place, and it went on while they were erased.
  const places = new Set(result.searchedBefore!.traces.map(({ place }) => place.replace(/\/dt=.*|[0-9a-f]{64}.*/, "")));
  for (const place of ["log", "lake/events/compact", "state/do/eventpile-objects-UserTimeline/"]) {
    expect([...places]).toContain(place);
  }
  expect(result.replayWasRunning).toBe(true);
  expect(result.sentOfGone.during).toBeGreaterThan(GONE);
  expect(result.sentOfGone.after).toBeGreaterThan(GONE);
  const taken = result.preview.closure!.links.filter(({ shared }) => !shared);
  expect(taken.length).toBe(2 * GONE);
  const shared = result.preview.closure!.links.filter((link) => link.shared).map(({ id }) => id);
  expect(shared).toContain("shared-device-0");
  expect(shared.filter((id) => id.includes(MARK))).toEqual([]);

  expect(result.searched.traces).toEqual([]);
  expect(result.files.traces).toEqual([]);
  expect([result.rowsOfGone, result.countOfGone]).toEqual([0, 0]);
  expect(result.changed).toEqual([]);
  expect(result.lost).toEqual([]);
  const { balanced, total } = result.ledger;
  expect({ balanced, in_flight: total.in_flight }).toEqual({ balanced: true, in_flight: 0 });
  expect(total.suppressed).toBeGreaterThan(GONE);

  expect(result.erasure.stores.map(({ state, traces }) => [state, traces])).toEqual(
    result.erasure.stores.map(() => ["confirmed", 0]),
  );
  expect(result.receipt).toMatchObject({ ok: true, value: { receipt: { subjects: { users: GONE, devices: GONE } } } });
  expect(result.tampered).toMatchObject({ ok: false, error: { reason: "tampered" } });
});
