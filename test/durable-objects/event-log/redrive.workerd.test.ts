import { reset, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { Redrive, RedriveOrigin } from "../../../durable-objects/event-log/api.ts";
import type { EventLog } from "../../../durable-objects/event-log/event-log.ts";
import { shardLedger } from "../../../durable-objects/event-log/ledger.ts";
import type { CursorStatus, SinkName } from "../../../durable-objects/sink-cursor/api.ts";
import { SINKS } from "../../../durable-objects/sink-cursor/api.ts";
import { LOG } from "../../../r2-layout/limits.ts";
import type { Rule } from "../../../r2-layout/rule.ts";
import type { SegmentRef } from "../../../r2-layout/segment.ts";
import { bindings } from "../../bindings.ts";
import { commitOf, messageOf, segmentOf } from "./commits.ts";
import { pickIds } from "./random-ids.ts";

afterEach(() => reset());

let shards = 500;
const freshLog = () => bindings.EVENT_LOG.getByName(String(++shards));
type Log = DurableObjectStub<EventLog>;

const ruleOf = (version: number, id = `rule-${version}`, filter: Rule["filter"] = {}): Rule => ({
  ...{ version, id, filter, change: { kind: "retract" }, createdAt: 1 },
});
const redriveOf = (
  id: string,
  origins: readonly RedriveOrigin[],
  sinks: readonly SinkName[],
  quarantined = 0,
): Redrive => {
  const events = origins.reduce((sum, { lines }) => sum + (lines as readonly number[]).length, 0);
  return { id, segment: { ...segmentOf(events), quarantined }, origins, sinks };
};

/** A line of the log: which event it is, and whether it is quarantined. */
interface Line {
  readonly event: number;
  readonly quarantined: boolean;
}

/** A sink as the drain runs it, over a log whose objects are a map. */
class ModelSink {
  readonly applied: Line[] = [];
  readonly holes: { seq: number; lines: number[] }[] = [];
  cursor = 0;
  #leftOut = { events: 0, quarantined: 0 };

  readonly name: SinkName;

  constructor(name: SinkName) {
    this.name = name;
  }

  step(ref: SegmentRef, lines: readonly Line[], damaged: (line: number) => boolean): void {
    this.cursor = ref.seq;
    if (ref.kind === "rule" || (ref.sinks && !ref.sinks.includes(this.name))) return;
    const lost: number[] = [];
    for (const [i, line] of lines.entries()) {
      const skipped = ref.skip === "all" || ref.skip?.includes(i) === true;
      if (!skipped && !damaged(i)) {
        this.applied.push(line);
        continue;
      }
      this.#leftOut[line.quarantined ? "quarantined" : "events"]++;
      if (!skipped) lost.push(i);
    }
    if (lost.length > 0) this.holes.push({ seq: ref.seq, lines: lost });
  }

  get status(): CursorStatus {
    const quarantined = this.applied.filter((line) => line.quarantined).length;
    return {
      cursor: this.cursor,
      applied: { events: this.applied.length - quarantined, quarantined },
      moved_at: 0,
      holes: { ...this.#leftOut, open: this.holes.length },
    };
  }
}

async function ledgerOf(log: Log, sinks: readonly ModelSink[]) {
  const cursors = Object.fromEntries(sinks.map((sink) => [sink.name, sink.status])) as Record<SinkName, CursorStatus>;
  const { status, past } = await log.tally(
    Object.fromEntries(sinks.map((sink) => [sink.name, sink.cursor])) as Record<SinkName, number>,
  );
  return shardLedger(0, status, cursors, past, Date.now());
}

describe("rules in the log", () => {
  it("take a place of their own, once, and every reader is told the newest", async () => {
    const log = freshLog();
    await log.commit(commitOf([1, 2]));
    expect(await log.raise(ruleOf(1), "rules/1.json")).toEqual({ seq: 2 });
    await log.commit(commitOf([3]));
    expect(await log.raise(ruleOf(1), "rules/1.json")).toEqual({ seq: 2 });
    expect(await log.raise(ruleOf(2), "rules/2.json")).toEqual({ seq: 4 });
    const { rules, head, segments } = await log.segments(0);
    expect([rules, head]).toEqual([2, 4]);
    expect(segments.map(({ seq, key, events, kind }) => [seq, kind ?? key.slice(0, 3), events])).toEqual([
      [1, "log", 2],
      [2, "rule", 0],
      [3, "log", 1],
      [4, "rule", 0],
    ]);
    expect(await log.rules()).toMatchObject({
      version: 2,
      rules: [
        { version: 1, seq: 2 },
        { version: 2, seq: 4 },
      ],
    });
    expect(await log.count(0)).toEqual({ events: 3, quarantined: 0 });
  });

  it("are refused out of order, under another's version, and beyond their bound", async () => {
    const log = freshLog();
    await log.raise(ruleOf(1), "rules/1.json");
    const places = Array.from({ length: 20_000 }, (_, seq) => ({
      shard: 0,
      seq,
      source: "shop",
      event_id: `${"e".repeat(50)}${seq}`,
    }));
    // In the object: over the binding, an error that is caught still counts as one that nobody caught.
    await runInDurableObject(log, async (object) => {
      await expect(object.raise(ruleOf(3), "rules/3.json")).rejects.toThrow(RangeError);
      await expect(object.raise(ruleOf(1, "another"), "rules/1.json")).rejects.toThrow(RangeError);
      const shard = (await object.status()).shard;
      const large = ruleOf(2, "large", { places: places.map((place) => ({ ...place, shard })) });
      await expect(object.raise(large, "rules/2.json")).rejects.toThrow(RangeError);
      const bare = JSON.stringify({ ...ruleOf(2, "large"), note: "" });
      const note = (bytes: number) => "n".repeat(bytes - bare.length);
      await expect(
        object.raise({ ...ruleOf(2, "large"), note: note(LOG.ruleBytes + 1) }, "rules/2.json"),
      ).rejects.toThrow(RangeError);
      // Places of other shards are left out, and with them the weight.
      expect(await object.raise(ruleOf(2, "large", { places }), "rules/2.json")).toEqual({ seq: 2 });
      expect((await object.rules()).rules[1]!.filter.places).toEqual([]);
      const longest = { ...ruleOf(3, "large"), note: note(LOG.ruleBytes) };
      expect(await object.raise(longest, "rules/3.json")).toEqual({ seq: 3 });
    });
  });
});

describe("a redrive", () => {
  it("comes once under its id, and tells each sink what to leave out", async () => {
    const log = freshLog();
    await log.commit(commitOf([0, 1, 2, 3]));
    const redrive = redriveOf("hole-1", [{ seq: 1, lines: [1, 3] }], ["lake"]);
    expect(await log.redrive(redrive)).toEqual({ kind: "committed", seq: 2 });
    expect(await log.redrive(redrive)).toEqual({ kind: "committed", seq: 2 });
    expect((await log.segments(0, 10, "lake")).segments).toMatchObject([
      { seq: 1, skip: [1, 3] },
      { seq: 2, kind: "redrive", sinks: ["lake"], events: 2 },
    ]);
    expect((await log.segments(0, 10, "rollups")).segments[0]).not.toHaveProperty("skip");
    expect(await log.redrive(redriveOf("again", [{ seq: 1, lines: [0, 3] }], ["lake"]))).toEqual({
      kind: "redriven",
      origins: [{ seq: 1, lines: [3] }],
    });
    expect(await log.redrive(redriveOf("other", [{ seq: 1, lines: [3] }], ["rollups"]))).toMatchObject({ seq: 3 });
  });

  it("of quarantined lines makes them events, with ids that nobody else may own", async () => {
    const log = freshLog();
    const commit = commitOf([1, 2, 3], [messageOf("e", 1, 3)]);
    await log.commit({ ...commit, segment: { ...segmentOf(3), quarantined: 2 } });
    await log.commit(
      commitOf(
        [12],
        [messageOf("e", 2, 1)].map((message) => ({ ...message, before: 3 })),
      ),
    );
    const redrive = { ...redriveOf("q", [{ seq: 1, lines: [0, 2] }], SINKS), ids: pickIds([11, 12]) };
    expect(await log.redrive(redrive)).toEqual({ kind: "owned", ids: [1] });
    const rest = { ...redriveOf("q", [{ seq: 1, lines: [0] }], SINKS), ids: pickIds([11]) };
    expect(await log.redrive(rest)).toEqual({ kind: "committed", seq: 3 });
    expect((await log.segments(2, 1)).segments[0]).not.toHaveProperty("sinks");
    // In quarantine the line is the record: a sink that begins anew gets it there, too.
    const [origin] = (await log.segments(0, 1, "lake")).segments;
    expect(origin).toMatchObject({ seq: 1, released: [0] });
    expect(origin).not.toHaveProperty("skip");
    expect(await log.status()).toMatchObject({ accepted: 4, arrived: 4, committed: 3, quarantined: 1, head: 3 });
    expect(await log.commit(commitOf([11]))).toMatchObject({ kind: "owned" });
  });

  it("is refused where it is stale, and where its counts or origins cannot be", async () => {
    const log = freshLog();
    await log.commit(commitOf([0, 1, 2]));
    await log.raise(ruleOf(1), "rules/1.json");
    const good = redriveOf("a", [{ seq: 1, lines: [0] }], ["lake"]);
    const old = { ...good.segment, writtenAt: Date.now() - LOG.staleSegmentMs };
    expect(await log.redrive({ ...good, segment: old })).toEqual({ kind: "stale" });
    await runInDurableObject(log, async (object) => {
      for (const origins of [
        [{ seq: 1, lines: [3] }],
        [{ seq: 1, lines: [0, 0] }],
        [{ seq: 1, lines: [-1] }],
        [{ seq: 2, lines: [0] }],
        [{ seq: 9, lines: [0] }],
        [{ seq: 1, lines: [0], quarantined: 1 }],
      ]) {
        await expect(object.redrive(redriveOf("b", origins, ["lake"])), JSON.stringify(origins)).rejects.toThrow(
          RangeError,
        );
      }
      await expect(object.redrive({ ...good, origins: [{ seq: 1, lines: "all" }] })).rejects.toThrow(RangeError);
      await expect(object.redrive({ ...good, sinks: [] })).rejects.toThrow(RangeError);
      const many = { ...segmentOf(LOG.redriveLines + 1), events: LOG.redriveLines + 1 };
      await expect(object.redrive({ ...good, segment: many })).rejects.toThrow(RangeError);
      expect((await object.status()).head).toBe(2);
      const numbers = Array.from({ length: LOG.redriveLines }, (_, i) => 100 + i);
      await object.commit(commitOf(numbers));
      const all = [{ seq: 3, lines: numbers.map((_, line) => line) }];
      expect(await object.redrive(redriveOf("c", all, ["lake"]))).toEqual({ kind: "committed", seq: 4 });
    });
  });

  it("promises 2 and 3: whatever sinks leave out and is redriven, each has each line once, and every sum holds at every moment", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("commit" as const), lines: fc.integer({ min: 1, max: 6 }), bad: fc.nat(63) }),
      fc.record({
        kind: fc.constant("drain" as const),
        sink: fc.nat(2),
        segments: fc.integer({ min: 1, max: 4 }),
        damage: fc.nat(9),
      }),
      fc.record({ kind: fc.constant("redrive" as const), sink: fc.nat(2), whole: fc.boolean() }),
      fc.record({ kind: fc.constant("release" as const), pick: fc.nat(50) }),
      fc.record({ kind: fc.constant("rebuild" as const), sink: fc.nat(2) }),
      fc.record({ kind: fc.constant("rule" as const) }),
    );
    let holes = 0;
    let releases = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
        const log = freshLog();
        const content = new Map<string, readonly Line[]>();
        const sinks = SINKS.map((name) => new ModelSink(name));
        const quarantined: { seq: number; line: number; event: number }[] = [];
        let events = 0;
        let messages = 0;
        let rules = 0;
        let redrives = 0;
        const drain = async (sink: ModelSink, segments: number, damaged: (line: number) => boolean) => {
          for (const ref of (await log.segments(sink.cursor, segments, sink.name)).segments) {
            sink.step(ref, content.get(ref.key) ?? [], damaged);
          }
        };
        const redriveHole = async (sink: ModelSink, whole: boolean) => {
          const hole = sink.holes.pop();
          if (!hole) return;
          holes++;
          const ref = (await log.segments(hole.seq - 1, 1, sink.name)).segments[0]!;
          const given = content.get(ref.key)!;
          const left = hole.lines.filter((line) => ref.skip !== "all" && !ref.skip?.includes(line));
          if (left.length === 0) return;
          const lines = left.map((line) => given[line]!);
          const bad = lines.filter((line) => line.quarantined).length;
          const all = whole && left.length === given.length;
          const redrive = {
            ...redriveOf(`r${redrives++}`, [{ seq: hole.seq, lines: left, quarantined: bad }], [sink.name], bad),
            ...(all && { origins: [{ seq: hole.seq, lines: "all" as const }] }),
          };
          expect(await log.redrive(redrive)).toMatchObject({ kind: "committed" });
          content.set(redrive.segment.key, lines);
        };
        for (const next of steps) {
          if (next.kind === "commit") {
            const lines = Array.from({ length: next.lines }, (_, i) => ({
              event: events + i,
              quarantined: ((next.bad >> i) & 1) === 1,
            }));
            const message = { ...messageOf("e", ++messages, next.lines), before: events };
            const commit = commitOf(
              lines.map(({ event }) => event),
              [message],
            );
            const bad = lines.filter((line) => line.quarantined).length;
            const segment = { ...commit.segment!, quarantined: bad };
            const answer = await log.commit({ ...commit, segment });
            if (answer.kind !== "committed") throw new Error(answer.kind);
            for (const [line, { event, quarantined: marked }] of lines.entries()) {
              if (marked) quarantined.push({ seq: answer.seq!, line, event });
            }
            content.set(segment.key, lines);
            events += next.lines;
          } else if (next.kind === "drain") {
            await drain(sinks[next.sink]!, next.segments, (line) => line === next.damage);
          } else if (next.kind === "redrive") await redriveHole(sinks[next.sink]!, next.whole);
          else if (next.kind === "release" && quarantined.length > 0) {
            const { seq, line, event } = quarantined.splice(next.pick % quarantined.length, 1)[0]!;
            const redrive = redriveOf(`q${event}`, [{ seq, lines: [line] }], SINKS);
            const answer = await log.redrive(redrive);
            // Brought to one of the sinks out of its hole already, as quarantined as it was.
            if (answer.kind === "redriven") continue;
            releases++;
            content.set(redrive.segment.key, [{ event, quarantined: false }]);
          } else if (next.kind === "rebuild") sinks[next.sink] = new ModelSink(SINKS[next.sink]!);
          else if (next.kind === "rule") await log.raise(ruleOf(++rules), `rules/${rules}.json`);
          const ledger = await ledgerOf(log, sinks);
          expect(ledger.sinks, JSON.stringify(ledger)).toMatchObject(
            Object.fromEntries(SINKS.map((name) => [name, { balanced: true }])),
          );
        }
        // What is left comes in the end: drained, and every hole brought back.
        for (let round = 0; round < 3; round++) {
          for (const sink of sinks) {
            await drain(sink, 100, () => false);
            while (sink.holes.length > 0) await redriveHole(sink, false);
          }
        }
        const status = await log.status();
        for (const sink of sinks) {
          const had = sink.applied.filter((line) => !line.quarantined).map(({ event }) => event);
          expect(new Set(had).size).toBe(had.length);
          expect(had.length).toBe(status.committed);
        }
        expect(status.committed + status.quarantined).toBe(events);
        const ledger = await ledgerOf(log, sinks);
        for (const sink of SINKS) expect(ledger.sinks[sink]).toMatchObject({ in_flight: 0, holes: 0, balanced: true });
      }),
      {
        numRuns: 20,
        examples: [
          [
            [
              { kind: "commit", lines: 4, bad: 2 },
              { kind: "drain", sink: 0, segments: 1, damage: 2 },
              { kind: "redrive", sink: 0, whole: false },
              { kind: "release", pick: 0 },
            ],
          ],
        ],
      },
    );
    expect(holes).toBeGreaterThan(0);
    expect(releases).toBeGreaterThan(0);
  });
});
