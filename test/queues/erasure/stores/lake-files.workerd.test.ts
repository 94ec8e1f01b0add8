import { abortAllDurableObjects, reset } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import { countNamed, eraseTable } from "../../../../queues/erasure/stores/lake-files.ts";
import { storedParts } from "../../../../queues/lake/sink.ts";
import { type CompactDeps, compactDays } from "../../../../queues/maintenance/compact.ts";
import { MINUTE_MS } from "../../../../r2-layout/limits.ts";
import { DAY_US, dayOf } from "../../../../r2-layout/time.ts";
import { bucket, faulty, flush, lake, NOW_US, parquet, said } from "../../lake/lake-rig.ts";
import { Fault } from "../../log-rig.ts";
import {
  eraseAll,
  eraseDeps,
  followRule,
  isErased,
  peoplesSegment,
  rowsOf,
  sought,
  tracesInObjects,
  without,
} from "./erasure-rig.ts";

afterEach(() => reset());

const soon = () => Date.now() + MINUTE_MS;
const compact = () => compactDays({ bucket, catalog: lake(), parquet }, soon(), 1);
const TABLES = ["events", "quarantine"] as const;

/** A lake with a past: appends, a compaction, a cut, more appends, the rule. Which snapshots there were before the rule. */
async function livedLake() {
  const logs = [0, 1].map((shard) => Array.from({ length: 3 }, (_, i) => peoplesSegment(shard, i + 1)));
  await flush(0, logs[0]!, 1);
  await flush(1, logs[1]!, 3);
  await lake().requestCut({ name: "early" }, Date.now());
  await compact();
  await flush(0, logs[0]!, 2);
  await lake().requestCut({ name: "late" }, Date.now());
  await flush(0, logs[0]!, 3);
  const { snapshot } = await lake().status();
  const rules = await followRule(logs);
  return { logs, snapshot, rules };
}

/** What each snapshot, each cut and the lake as it is say. */
async function readings(newest: number): Promise<Map<string, object[]>> {
  const told = new Map<string, object[]>();
  for (const table of TABLES) {
    for (let asOf = 1; asOf <= newest; asOf++) told.set(`${table} ${asOf}`, await rowsOf(table, { asOf }));
    for (const cut of ["early", "late"]) told.set(`${table} ${cut}`, await rowsOf(table, { cut }));
    told.set(table, await rowsOf(table));
  }
  return told;
}

it("promise 7: time travel and cuts read as before, less the erased rows, whatever crashes, and their sums with them", async () => {
  const fired = { before: 0, after: 0 };
  const action = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ call: fc.nat(40), when: fc.constantFrom("before" as const, "after" as const) }),
    },
    { weight: 1, arbitrary: fc.constantFrom("evict" as const, "compact" as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 2, maxLength: 3 }), async (actions) => {
      await reset();
      const { snapshot } = await livedLake();
      const before = await readings(snapshot);
      expect(before.get("events 1")!.some(isErased)).toBe(true);
      for (const step of actions) {
        if (step === "evict") await abortAllDurableObjects();
        else if (step === "compact") await compact();
        else {
          const fault = new Fault(step.call, step.when);
          const broken = {
            ...eraseDeps(),
            bucket: faulty(bucket, fault),
            catalog: { getByName: () => faulty(lake(), fault) },
          };
          await eraseAll(broken as never).catch((error: Error) => expect(error.message).toBe("injected"));
          if (fault.fired) fired[step.when]++;
        }
      }
      await eraseAll();
      const after = await readings(snapshot);
      for (const [name, rows] of before) expect([name, said(after.get(name)!)]).toEqual([name, without(rows)]);
      for (const { seq, tables } of await lake().snapshots(100)) {
        const { files } = await lake().plan({ table: "events", asOf: seq });
        const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
        const rows = files.reduce((sum, file) => sum + file.rows, 0);
        expect([seq, tables.events]).toEqual([seq, { files: files.length, bytes, rows }]);
      }
      for (const name of ["early", "late"]) {
        const cut = (await lake().cut(name))!;
        expect(cut.tables.quarantine.rows).toBe(after.get(`quarantine ${name}`)!.length);
        expect(cut.tables.events.rows).toBe(after.get(`events ${name}`)!.length);
      }
      const { rows, retracted = 0, cursors } = await lake().status();
      const applied = Object.values(cursors).reduce((sum, { applied }) => sum + applied.events, 0);
      expect(rows.events + retracted).toBe(applied);
      expect(await lake().erasedObjects()).toEqual([]);
      // Orphans of a crash have none of it; those from before are the orphans' store's.
      expect(await tracesInObjects()).toEqual([]);
    }),
    { numRuns: 2, examples: [[[{ call: 7, when: "after" }, "compact", { call: 16, when: "after" }]]] },
  );
  expect(fired.before + fired.after).toBeGreaterThan(0);
}, 120_000);

it("finds what it looks for by hashes alone, and says how much is left", async () => {
  await livedLake();
  const erasure = { hashes: sought.hashes, hash: sought.hash, version: 1, untilMs: soon() };
  const left = async () => {
    const counts = TABLES.map(async (table) => (await countNamed(eraseDeps(), { ...erasure, table }, 0)).rows);
    return Promise.all(counts);
  };
  const [events, quarantine] = await left();
  expect(events).toBeGreaterThan(0);
  expect(quarantine).toBeGreaterThan(0);
  for (const table of TABLES) {
    const { erased } = await eraseTable(eraseDeps(), { ...erasure, table });
    expect(erased.rows).toBe(table === "events" ? events : quarantine);
    expect(erased.replaced).toHaveLength(erased.exchanged);
    for (const { old, oldSha256, new: key, newSha256 } of erased.replaced) {
      expect(await bucket.head(old)).toBeNull();
      const bytes = key && (await (await bucket.get(key))!.arrayBuffer());
      const sha = bytes && Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
      expect([sha, oldSha256]).toEqual([newSha256, expect.stringMatching(/^[0-9a-f]{64}$/)]);
    }
  }
  expect(await left()).toEqual([0, 0]);
});

it("a compaction that has read the old files is refused, and the next one has none of their rows", async () => {
  const logs = [[peoplesSegment(0, 1), peoplesSegment(0, 2)]];
  for (let to = 1; to <= 2; to++) await flush(0, logs[0]!, to);
  await followRule(logs);
  const answers: string[] = [];
  // Of events the rule has made the files right: only quarantine's are exchanged.
  const events = [0, 1, 2].map((days) => `events/${dayOf(NOW_US - days * DAY_US)}`);
  const catalog: CompactDeps["catalog"] = {
    compactionWork: () => lake().compactionWork([...events, "events/mixed"], 1),
    schema: () => lake().schema(),
    uploadBegan: (...of) => lake().uploadBegan(...of),
    uploadEnded: (key) => lake().uploadEnded(key),
    async replace(commit) {
      if (answers.length === 0) await eraseAll();
      const answer = await lake().replace(commit);
      answers.push(answer.kind);
      return answer;
    },
  };
  await compactDays({ bucket, catalog, parquet }, soon(), 1);
  expect(answers).toEqual(["conflict", "committed"]);
  const rows = await rowsOf("quarantine");
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.some(isErased)).toBe(false);
});

it("what a job has staged loses the rows, too, and stays the job's", async () => {
  const part = peoplesSegment(0, 1);
  const { files } = await storedParts({ bucket, parquet }, part, Date.now());
  await lake().stage("job", 1, files);
  const erased = await eraseAll();
  const gone = [...part.events, ...part.quarantine].filter(isErased).length;
  expect(erased).toBe(gone);
  const { rows } = await lake().staged("job");
  expect(rows).toBe(part.events.length + part.quarantine.length - gone);
  expect(await tracesInObjects()).toEqual([]);
  const { objects } = await bucket.list({ prefix: "lake/" });
  expect(await lake().unnamed(objects.map(({ key }) => key))).toEqual([]);
});
