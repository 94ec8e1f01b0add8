import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { ulid } from "ulidx";
import { afterEach, describe, expect, it } from "vitest";
import type { EventLog } from "../../../durable-objects/event-log/event-log.ts";
import { ShardLog } from "../../../durable-objects/event-log/shard-log.ts";
import { ruleKey, segmentKey } from "../../../r2-layout/keys.ts";
import { DAY_MS, LOG, LOG_ERASURE } from "../../../r2-layout/limits.ts";
import { SINKS } from "../../../r2-layout/sinks.ts";
import { packPrefixes } from "../../../r2-layout/subjects.ts";
import { bindings } from "../../bindings.ts";
import { commitOf, messageOf, segmentOf } from "./commits.ts";

afterEach(() => reset());

let shards = 700;
const freshLog = () => bindings.EVENT_LOG.getByName(String(++shards));
type Log = DurableObjectStub<EventLog>;

let events = 0;
async function commit(log: Log, prefixes: readonly number[] | undefined, quarantined = 0): Promise<string> {
  const whole = commitOf([++events]);
  const segment = { ...whole.segment!, quarantined, ...(prefixes && { subjects: packPrefixes(prefixes) }) };
  expect(await log.commit({ ...whole, segment })).toMatchObject({ kind: "committed" });
  return segment.key;
}

/** All pages; each is looked at. */
async function seqsWith(log: Log, prefixes: readonly number[], onPage?: (seqs: number[]) => void): Promise<number[]> {
  const seqs: number[] = [];
  for (let after = 0; ; ) {
    const page = await log.segmentsWith(packPrefixes(prefixes), after);
    onPage?.(page.segments.map(({ seq }) => seq));
    seqs.push(...page.segments.map(({ seq }) => seq));
    if (page.until >= page.head) return seqs;
    expect(page.until).toBeGreaterThan(after);
    after = page.until;
  }
}

const keyOf = async (log: Log, seq: number) => (await log.segments(seq - 1, 1)).segments[0]!.key;
const newKey = () => segmentKey({ receivedAtUs: Date.UTC(2026, 10, 22) * 1_000, shard: 0, ulid: ulid() });

describe("which segments may name somebody", () => {
  it("promise 7: is told as a look at each would tell, whatever is sought, with all of which nobody knows", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            prefixes: fc.option(fc.array(fc.constantFrom(0, 1, 7, 0x7f_ff_ff_ff, 0x80_00_00_00, 0xff_ff_ff_ff)), {
              nil: undefined,
            }),
            quarantined: fc.constantFrom(0, 0, 1),
          }),
          { minLength: 1, maxLength: 12 },
        ),
        fc.array(fc.constantFrom(0, 1, 7, 9, 0x7f_ff_ff_ff, 0x80_00_00_00, 0xff_ff_ff_ff), { maxLength: 3 }),
        async (segments, sought) => {
          const log = freshLog();
          for (const { prefixes, quarantined } of segments) await commit(log, prefixes, quarantined);
          await evictDurableObject(log);
          const meant = segments.flatMap(({ prefixes, quarantined }, i) =>
            prefixes === undefined || quarantined > 0 || prefixes.some((prefix) => sought.includes(prefix))
              ? [i + 1]
              : [],
          );
          expect(await seqsWith(log, sought)).toEqual(meant);
        },
      ),
      { numRuns: 20 },
    );
  });

  it("goes without rules, and with redrives", async () => {
    const log = freshLog();
    await commit(log, [1]);
    const rule = { version: 1, id: "r", filter: {}, change: { kind: "retract" }, createdAt: 1 } as const;
    await log.raise(rule, ruleKey(1));
    const origins = [{ seq: 1, lines: [0] }];
    await log.redrive({ id: "h", segment: segmentOf(1), origins, sinks: ["lake"] });
    expect(await seqsWith(log, [2])).toEqual([3]);
    expect(await seqsWith(log, [1])).toEqual([1, 3]);
  });

  it("comes LOG_ERASURE.segmentsTold at a time, of LOG_ERASURE.rowsLooked rows and prefixBytesLooked bytes at most, and is all there", async () => {
    await runInDurableObject(freshLog(), async (_object, state) => {
      const log = new ShardLog(state.storage.sql, 0);
      const at = Date.now();
      const put = (subjects: string) => {
        const whole = commitOf([++events]);
        log.commit({ ...whole, segment: { ...whole.segment!, subjects } }, at);
      };
      state.storage.transactionSync(() => {
        for (let i = 0; i < LOG_ERASURE.segmentsTold + 1; i++) put(packPrefixes([1]));
        for (let i = 0; i < LOG_ERASURE.rowsLooked + 1; i++) put(packPrefixes([2]));
      });
      const of = (prefix: number, after: number) => log.places.with(new Set([prefix]), after, log.head);
      const { segmentsTold, rowsLooked, prefixBytesLooked } = LOG_ERASURE;
      expect(of(1, 0)).toMatchObject({ segments: { length: segmentsTold }, until: segmentsTold });
      expect(of(1, segmentsTold).segments.map(({ seq }) => seq)).toEqual([segmentsTold + 1]);
      // Nothing is found in as many rows, and there is one more.
      expect(of(3, segmentsTold + 1)).toEqual({ segments: [], until: segmentsTold + 1 + rowsLooked });
      expect(of(3, segmentsTold + 2)).toEqual({ segments: [], until: log.head });
      const before = log.head;
      const many = packPrefixes(Array.from({ length: prefixBytesLooked / 4 / 8 }, (_, i) => i + 10));
      state.storage.transactionSync(() => {
        for (let i = 0; i < 9; i++) put(many);
      });
      expect(of(3, before)).toEqual({ segments: [], until: before + 8 });
      expect(of(3, before + 1)).toEqual({ segments: [], until: log.head });
    });
  });

  it("is what somebody has read in it, quarantined lines and all, for as long as it has the object that was read", async () => {
    const log = freshLog();
    const first = await commit(log, undefined, 1);
    await commit(log, [1], 1);
    expect(await seqsWith(log, [9])).toEqual([1, 2]);
    await log.noteSubjects(1, first, packPrefixes([5]));
    await log.noteSubjects(2, first, packPrefixes([5]));
    expect(await seqsWith(log, [9])).toEqual([2]);
    expect(await seqsWith(log, [5])).toEqual([1, 2]);
    const second = (await log.segments(1)).segments[0]!.key;
    const anew = { key: newKey(), bytes: 7, writtenAt: Date.now(), subjects: packPrefixes([1]) };
    await log.replaceSegment({ seq: 2, from: second, to: anew });
    await log.noteSubjects(2, second, packPrefixes([6]));
    expect([await seqsWith(log, [9]), await seqsWith(log, [6]), await seqsWith(log, [1])]).toEqual([[], [], [2]]);
    await log.noteSubjects(3, second, packPrefixes([6]));
    expect(await seqsWith(log, [6])).toEqual([]);
  });

  it("is forgotten with the segments' rows", async () => {
    await runInDurableObject(freshLog(), async (_object, state) => {
      const log = new ShardLog(state.storage.sql, 0);
      const old = Date.now() - (LOG.retentionDays + 2) * DAY_MS;
      const put = (at: number) => {
        const whole = commitOf([++events], [messageOf("e", events, 1)]);
        const segment = { ...whole.segment!, writtenAt: at, subjects: packPrefixes([1]) };
        state.storage.transactionSync(() => log.commit({ ...whole, segment }, at));
      };
      for (let i = 0; i < 3; i++) put(old + i);
      put(Date.now());
      for (const sink of SINKS) log.reached(sink, 4);
      while (log.maintenanceDue(Date.now() + DAY_MS)) {
        state.storage.transactionSync(() => log.maintain(Date.now() + DAY_MS));
      }
      const seqs = state.storage.sql.exec("SELECT seq FROM segment_subjects").toArray();
      expect(log.places.after(0, 10).map(({ seq }) => seq)).toEqual([4]);
      expect(seqs).toEqual([{ seq: 4 }]);
    });
  });

  it("is refused where it is no packed set, and nothing is committed", async () => {
    const log = freshLog();
    const whole = commitOf([++events]);
    const segment = { ...whole.segment!, subjects: "AAA=" };
    await runInDurableObject(log, async (object: EventLog) => {
      await expect(object.commit({ ...whole, segment })).rejects.toThrow(RangeError);
      expect((await object.status()).head).toBe(0);
      await expect(object.segmentsWith("AAA=", 0)).rejects.toThrow(RangeError);
    });
  });
});

describe("a segment that is written anew", () => {
  const to = (key: string, subjects?: readonly number[]) => ({
    ...{ key, bytes: 77, writtenAt: Date.now() },
    ...(subjects && { subjects: packPrefixes(subjects) }),
  });

  it("promise 7: has the new key and size and nothing else new, however often it is said, and the old object is to be deleted", async () => {
    const log = freshLog();
    const old = await commit(log, [1, 2]);
    await commit(log, [1]);
    const [before, other] = (await log.segments(0)).segments;
    const counts = await log.count(0);
    const { committed_at: _, ...status } = await log.status();
    const replacement = { seq: 1, from: old, to: to(newKey(), [2]) };
    for (let i = 0; i < 3; i++) {
      expect(await log.replaceSegment(replacement)).toEqual({ kind: "replaced" });
      await evictDurableObject(log);
    }
    const changed = { ...before, key: replacement.to.key, bytes: 77 };
    expect((await log.segments(0)).segments).toEqual([changed, other]);
    expect(await log.count(0)).toEqual(counts);
    expect(await log.status()).toMatchObject(status);
    expect(await seqsWith(log, [1])).toEqual([2]);
    expect(await seqsWith(log, [2])).toEqual([1]);
    expect(await log.unnamed([old, replacement.to.key])).toEqual([old]);
    expect(await log.replacedObjects()).toEqual([old]);
    await log.replacedDeleted([old]);
    expect(await log.replacedObjects()).toEqual([]);
    // A repeat after that brings nothing back.
    expect(await log.replaceSegment(replacement)).toEqual({ kind: "replaced" });
    expect(await log.replacedObjects()).toEqual([]);
  });

  it("is read in any case where nobody says whom it names", async () => {
    const log = freshLog();
    const old = await commit(log, [1]);
    await log.replaceSegment({ seq: 1, from: old, to: to(newKey()) });
    expect(await seqsWith(log, [5])).toEqual([1]);
  });

  it("stays as it is where somebody else was faster, where the log does not have it, and where the object is stale", async () => {
    const log = freshLog();
    const old = await commit(log, [1]);
    const first = to(newKey());
    expect(
      await log.replaceSegment({ seq: 1, from: old, to: { ...first, writtenAt: Date.now() - LOG.staleSegmentMs } }),
    ).toEqual({
      kind: "stale",
    });
    expect(await keyOf(log, 1)).toBe(old);
    expect(await log.replaceSegment({ seq: 2, from: old, to: first })).toEqual({ kind: "forgotten" });
    expect(await log.replaceSegment({ seq: 1, from: old, to: first })).toEqual({ kind: "replaced" });
    expect(await log.replaceSegment({ seq: 1, from: old, to: to(newKey()) })).toEqual({
      kind: "moved",
      key: first.key,
    });
    expect(await keyOf(log, 1)).toBe(first.key);
    expect(await log.replacedObjects()).toEqual([old]);
    await runInDurableObject(log, async (object: EventLog) => {
      await expect(object.replaceSegment({ seq: 1, from: first.key, to: to("log/x") })).rejects.toThrow(RangeError);
    });
  });

  it("has its old objects told LOG_ERASURE.replacedTold at a time", async () => {
    await runInDurableObject(freshLog(), async (_object, state) => {
      const { replaced } = new ShardLog(state.storage.sql, 0).places;
      for (let i = 0; i <= LOG_ERASURE.replacedTold; i++) replaced.add(`log/${i}`, i);
      const keys = replaced.keys();
      expect(keys).toHaveLength(LOG_ERASURE.replacedTold);
      replaced.deleted(keys);
      expect(replaced.keys()).toHaveLength(1);
    });
  });
});
