import { abortAllDurableObjects, reset } from "cloudflare:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import type { LogStoreDeps } from "../../../../queues/erasure/stores/log.ts";
import { readSegment } from "../../../../queues/read-segment.ts";
import { shardName } from "../../../../r2-layout/keys.ts";
import { MINUTE_MS } from "../../../../r2-layout/limits.ts";
import { erasedKind } from "../../../../r2-layout/log-line.ts";
import { encodeSegment, type SegmentRef } from "../../../../r2-layout/segment.ts";
import { faulty } from "../../lake/lake-rig.ts";
import { Fault } from "../../log-rig.ts";
import {
  bucket,
  commitLines,
  ERASED,
  eraseLog,
  hash,
  lineAbout,
  linesOf,
  logDeps,
  logs,
  NAMING,
  OTHER,
  objectsOfLog,
  redriveLines,
  refsOf,
  TRACE,
  verifyLog,
} from "./segments-rig.ts";

afterEach(() => reset());

const SHARDS = 2;
const OTHER_QUARANTINED = { raw: { type: "track", userId: 7 } };

/** In two shards: everybody's lines, a segment of others alone, one of which nobody knows whom it names, a redrive. */
async function livedLog(): Promise<void> {
  for (let shard = 0; shard < SHARDS; shard++) {
    const everybody = NAMING.flatMap((person) => [lineAbout(OTHER), lineAbout(person)]);
    await commitLines([...everybody, lineAbout(OTHER_QUARANTINED)], { shard });
    await commitLines([lineAbout(OTHER), lineAbout(OTHER)], { shard });
    await commitLines([lineAbout(NAMING[0]!), lineAbout(OTHER)], { shard, areKnown: false });
    await redriveLines(1, [1, 2, 9], shard);
  }
}

interface Told {
  readonly ref: Omit<SegmentRef, "key" | "bytes">;
  readonly lines: readonly string[];
}

/** What each segment's row says and its object holds. */
async function told(): Promise<Told[]> {
  const all: Told[] = [];
  for (let shard = 0; shard < SHARDS; shard++) {
    for (const { key, bytes: _, ...ref } of await refsOf(shard)) all.push({ ref, lines: await linesOf({ key }) });
  }
  return all;
}

const kept = (line: string) => (TRACE.test(line) ? { erased: line.includes('"q":') ? "quarantined" : "event" } : line);
const seen = (line: string) => {
  const erased = erasedKind(line);
  return erased ? { erased } : line;
};

async function expectErased(before: readonly Told[]): Promise<void> {
  const after = await told();
  expect(after.map(({ ref }) => ref)).toEqual(before.map(({ ref }) => ref));
  expect(after.map(({ lines }) => lines.map(seen))).toEqual(before.map(({ lines }) => lines.map(kept)));
  const objects = await objectsOfLog();
  const named = new Set<string>();
  for (let shard = 0; shard < SHARDS; shard++) for (const { key } of await refsOf(shard)) named.add(key);
  expect(new Set(objects.keys())).toEqual(named);
  expect([...objects.values()].flat().filter((line) => TRACE.test(line))).toEqual([]);
  expect(await verifyLog(logDeps(SHARDS))).toMatchObject({ done: true, traces: 0 });
}

it("promise 7: no line about an erased person is left, in any object, and everybody else's stay byte for byte where they were", async () => {
  await livedLog();
  const before = await told();
  const traces = before.flatMap(({ lines }) => lines).filter((line) => TRACE.test(line)).length;
  expect(traces).toBeGreaterThan(NAMING.length);
  expect(await verifyLog(logDeps(SHARDS))).toMatchObject({ traces });
  // A slice as short as can be: one segment each.
  const { removed, replaced, steps } = await eraseLog(logDeps(SHARDS), { untilMs: 0 });
  expect([removed, steps > 4]).toEqual([traces, true]);
  await expectErased(before);
  for (const { old, new: key, newSha256, bytes } of replaced) {
    const body = new Uint8Array(await (await bucket.get(key!))!.arrayBuffer());
    expect([await bucket.head(old), body.byteLength]).toEqual([null, bytes]);
    expect(newSha256).toBe(createHash("sha256").update(body).digest("hex"));
  }
  // The segment of others alone was not touched, nor read: it does not name anybody.
  expect(replaced).toHaveLength(3 * SHARDS);
  expect((await eraseLog(logDeps(SHARDS))).removed).toBe(0);
});

it("promise 3: what a sink is given of such a segment counts as before: an erased event as retracted, a quarantined one as quarantined", async () => {
  const seq = await commitLines([...NAMING, OTHER, OTHER_QUARANTINED].map(lineAbout));
  const read = async () => {
    const [ref] = (await logs.getByName(shardName(0)).segments(seq - 1, 1)).segments;
    const part = readSegment(ref!, new Uint8Array(await (await bucket.get(ref!.key))!.arrayBuffer()), 0, [], false);
    if ("cause" in part) throw new Error(part.detail);
    return part;
  };
  const before = await read();
  expect(before.applied).toEqual({ events: 5, quarantined: 3 });
  await eraseLog();
  const after = await read();
  expect(after.applied).toEqual({ events: 5, quarantined: 3, retracted: 4 });
  expect(after.events.map(({ user_id }) => user_id)).toEqual(["other"]);
  expect(after.quarantine).toHaveLength(1);
});

it("promise 7: whatever call of it is cut off, before or after it took effect, done again it is done, and leaves no object behind", async () => {
  const fired = { before: 0, after: 0 };
  const fault = fc.record({ call: fc.integer({ min: 1, max: 40 }), when: fc.constantFrom("before", "after") });
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { minLength: 1, maxLength: 4 }), async (faults) => {
      await reset();
      await livedLog();
      const before = await told();
      for (const { call, when } of faults) {
        const cut = new Fault(call, when);
        const broken = {
          ...logDeps(SHARDS),
          bucket: faulty(bucket, cut),
          logs: { getByName: (name: string) => faulty(logs.getByName(name), cut) },
        } as unknown as LogStoreDeps;
        await eraseLog(broken).catch((error: Error) => expect(error.message).toBe("injected"));
        if (cut.fired) fired[when]++;
        await abortAllDurableObjects();
      }
      await eraseLog(logDeps(SHARDS));
      await expectErased(before);
    }),
    {
      numRuns: 10,
      // Each call of the first segment's: asked for, read, written, exchanged, deleted, noted as deleted.
      examples: [2, 3, 4, 5, 6].flatMap((call) =>
        (["before", "after"] as const).map((when): [{ call: number; when: typeof when }[]] => [[{ call, when }]]),
      ),
    },
  );
  expect([fired.before > 0, fired.after > 0]).toEqual([true, true]);
}, 120_000);

it("promise 7: two erasures at a time leave neither's lines, nor a segment that is lost", async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      await reset();
      await livedLog();
      const before = await told();
      const slow = <T extends object>(target: T): T =>
        new Proxy({} as T, {
          get:
            (_, name) =>
            async (...args: unknown[]) => {
              await scheduler.schedule(Promise.resolve(), String(name));
              return (target as Record<string | symbol, (...args: unknown[]) => unknown>)[name]!(...args);
            },
        });
      const deps = () =>
        ({
          ...logDeps(SHARDS),
          bucket: slow(bucket),
          logs: { getByName: (name: string) => slow(logs.getByName(name)) },
        }) as unknown as LogStoreDeps;
      const both = Promise.all([
        eraseLog(deps(), { id: "erasure-1" }, ERASED.slice(0, 2)),
        eraseLog(deps(), { id: "erasure-2" }, ERASED.slice(1)),
        // The same one twice, as where an invocation hung and another took its place.
        eraseLog(deps(), { id: "erasure-2" }, ERASED.slice(1)),
      ]);
      await scheduler.waitFor(both);
      await expectErased(before);
    }),
    { numRuns: 6 },
  );
}, 120_000);

it("finds what it looks for by hashes alone, as a daily look has it", async () => {
  await livedLog();
  const { traces } = await verifyLog(logDeps(SHARDS));
  expect(await verifyLog(logDeps(SHARDS), { subjects: [] })).toMatchObject({ traces });
  expect((await eraseLog(logDeps(SHARDS), { subjects: [] })).removed).toBe(traces);
  expect(await verifyLog(logDeps(SHARDS), { subjects: [] })).toMatchObject({ traces: 0 });
});

it("does not read segments that name nobody of them", async () => {
  await livedLog();
  let reads = 0;
  const get = (key: string) => {
    reads++;
    return bucket.get(key);
  };
  await verifyLog({ ...logDeps(SHARDS), bucket: { ...bucket, get, put: bucket.put, delete: bucket.delete } });
  expect(reads).toBe(3 * SHARDS);
});

it("promise 7: what an erasure has read is read by another one only for whom it names, in quarantined lines, too", async () => {
  await livedLog();
  const reads: string[] = [];
  const counting = async (key: string) => {
    reads.push(key);
    return bucket.get(key);
  };
  const deps = {
    ...logDeps(SHARDS),
    bucket: { get: counting, put: bucket.put.bind(bucket), delete: bucket.delete.bind(bucket) },
  };
  const before = await told();
  const somebody = [{ kind: "user", id: "somebody else" }] as const;
  await eraseLog(deps, { id: "erasure-0" }, somebody);
  expect(reads).toHaveLength(3 * SHARDS);
  reads.length = 0;
  await eraseLog(deps, { id: "erasure-00" }, somebody);
  expect(reads).toEqual([]);
  await eraseLog(deps);
  await expectErased(before);
  reads.length = 0;
  expect((await eraseLog(deps, { id: "erasure-2" })).removed).toBe(0);
  expect(reads).toEqual([]);
});

it("promise 7: an old object that could not be deleted counts for whom it names, until it is gone", async () => {
  await livedLog();
  const { traces } = await verifyLog(logDeps(SHARDS));
  const down = { get: bucket.get.bind(bucket), put: bucket.put.bind(bucket), delete: async () => expect.fail("down") };
  await expect(eraseLog({ ...logDeps(SHARDS), bucket: down })).rejects.toThrow("down");
  const [key] = await logs.getByName(shardName(0)).replacedObjects();
  const old = await linesOf({ key: key! });
  expect(old.filter((line) => TRACE.test(line)).length).toBeGreaterThan(0);
  // Taken out of its segment, and left beside it.
  expect(await verifyLog(logDeps(SHARDS))).toMatchObject({ traces });
  const [other] = [{ kind: "user", id: "somebody else" }] as const;
  const run = { subjects: [other], hashes: new Set([hash(other)]) };
  expect(await verifyLog(logDeps(SHARDS), run)).toMatchObject({ traces: 0 });
  await eraseLog(logDeps(SHARDS));
  expect(await bucket.head(key!)).toBeNull();
  expect(await verifyLog(logDeps(SHARDS))).toMatchObject({ traces: 0 });
});

it("promise 7: a segment that cannot be read is nobody's to confirm; one that is gone names nobody", async () => {
  await livedLog();
  const [first] = await refsOf(0);
  const whole = new Uint8Array(await (await bucket.get(first!.key))!.arrayBuffer());
  await bucket.put(first!.key, whole.subarray(0, whole.length - 9));
  await expect(eraseLog(logDeps(SHARDS))).rejects.toThrow(`segment 1, ${first!.key}, cannot be read`);
  await expect(verifyLog(logDeps(SHARDS))).rejects.toThrow("cannot be read");
  await bucket.delete(first!.key);
  await eraseLog(logDeps(SHARDS), { untilMs: Date.now() + MINUTE_MS });
  expect((await verifyLog(logDeps(SHARDS))).traces).toBe(0);
});

it("promise 3: a line that nobody can read goes where it names somebody, and the counts of its segment stay", async () => {
  const damagedEvent = `{"row":{"user_id":"erased-user","ev`;
  const damagedOther = `{"row":{"user_id":"other","ev`;
  for (const [quarantined, lines] of [
    [0, [damagedEvent]],
    [1, [damagedEvent]],
    [1, [damagedEvent, damagedOther]],
    [1, [damagedEvent, damagedEvent]],
    [2, [damagedEvent, damagedOther]],
  ] as const) {
    await reset();
    const texts = [lineAbout(OTHER), ...lines.map((_, i) => lineAbout(i < quarantined ? OTHER_QUARANTINED : OTHER))];
    const seq = await commitLines(texts, { areKnown: false });
    const [ref] = (await logs.getByName(shardName(0)).segments(seq - 1, 1)).segments;
    await bucket.put(ref!.key, encodeSegment([texts[0]!, ...lines]));
    await eraseLog(logDeps(), { id: `erasure-${quarantined}` });
    const [now] = (await logs.getByName(shardName(0)).segments(seq - 1, 1)).segments;
    const left = await linesOf(now!);
    expect(left.some((line) => TRACE.test(line))).toBe(false);
    const rest = left.flatMap((line, at) => (line === damagedOther ? [at] : []));
    const part = readSegment(now!, encodeSegment(left), 0, rest, true);
    expect(["cause" in part, left[0]]).toEqual([false, texts[0]]);
  }
});
