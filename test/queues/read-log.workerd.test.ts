import { reset } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { drainBatch } from "../../queues/drain.ts";
import { fanOut } from "../../queues/fan-out/fan-out.ts";
import type { LogStep } from "../../queues/read-log.ts";
import { readLog, SegmentDamaged } from "../../queues/read-log.ts";
import type { SinkStep } from "../../queues/sink.ts";
import { sinkWithCursor } from "../../queues/sink.ts";
import type { RuleChange } from "../../r2-layout/rule.ts";
import { encodeSegment } from "../../r2-layout/segment.ts";
import type { SinkName } from "../../r2-layout/sinks.ts";
import { bindings } from "../bindings.ts";
import { batchOf, bodyOf, lineOf } from "./log-rig.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

const log = () => bindings.EVENT_LOG.getByName("000");
const deps = { logs: bindings.EVENT_LOG, bucket: bindings.BUCKET };

let edges = 0;
async function fill(segments: readonly (readonly number[])[], quarantined: readonly number[] = []) {
  for (const events of segments) {
    const { batch } = batchOf("events-0", [bodyOf({ edge: `edge-${edges++}`, n: 1, before: 0, events, quarantined })]);
    await fanOut(batch, deps);
  }
}

async function raise(version: number, change: RuleChange, numbers: readonly number[]) {
  const filter = { where: { event_id: numbers.map((number) => `event-${number}`) } };
  return log().raise({ version, id: `job-${version}`, filter, change, createdAt: Date.now() }, `rules/${version}.json`);
}

/** As a re-drive writes it: the lines carry the place that they came from. */
async function redrive(seq: number, lines: readonly number[], numbers: readonly number[], sinks: readonly SinkName[]) {
  const texts = numbers.map((number) => lineOf(number).replace('{"row":{', `{"row":{"log_shard":0,"log_seq":${seq},`));
  const key = `log/dt=2026-11-22/shard=000/01KB0000000000000000000${String(seq).padStart(3, "0")}.ndjson.gz`;
  const body = encodeSegment(texts);
  await bindings.BUCKET.put(key, body);
  const times = { minReceivedAt: 1, maxReceivedAt: 1, writtenAt: Date.now() };
  const segment = { key, bytes: body.byteLength, events: texts.length, quarantined: 0, ...times };
  const answer = await log().redrive({ id: `hole:${seq}`, segment, origins: [{ seq, lines, quarantined: 0 }], sinks });
  if (answer.kind !== "committed") throw new Error(answer.kind);
  return answer.seq;
}

async function all(options: Parameters<typeof readLog>[2] = {}, to = 1_000, after = 0): Promise<LogStep[]> {
  return Array.fromAsync(readLog({ shard: 0, after, to }, deps, options));
}

const numbersOf = (steps: readonly LogStep[]) =>
  steps.flatMap(({ events }) => events.map(({ properties }) => Number(properties?.number)));

describe("reading the log", () => {
  it("gives dense steps that end exactly where they should, with rows or without", async () => {
    await fill([[1, 2], [3], [4, 5], [6]]);
    await raise(1, { kind: "retract" }, []);
    const bounds = (steps: readonly LogStep[]) => steps.map(({ from, to }) => [from, to]);
    expect(bounds(await all({ eventsMax: 3 }))).toEqual([
      [0, 2],
      [2, 5],
    ]);
    expect(bounds(await all({ eventsMax: 3 }, 3))).toEqual([
      [0, 2],
      [2, 3],
    ]);
    expect(bounds(await all({}, 5, 4))).toEqual([[4, 5]]); // A rule alone: nothing is read.
    expect(numbersOf(await all({}, 3, 1))).toEqual([3, 4, 5]);
    expect(await all({}, 5, 5)).toEqual([]);
  });

  it("passes rows through the rules above their place, in order, and counts what they retract", async () => {
    await fill([[1, 2, 3]]);
    await raise(1, { kind: "set", values: { user_id: "one" } }, [1, 2]);
    await fill([[4]]);
    await raise(2, { kind: "set", values: { user_id: "two" } }, [2, 4, 5]);
    await raise(3, { kind: "retract" }, [3]);
    await fill([[5]]);
    const [step] = await all();
    expect(step!.events.map(({ event_id, user_id = null }) => [event_id, user_id])).toEqual([
      ["event-1", "one"],
      ["event-2", "two"],
      ["event-4", "two"],
      ["event-5", null],
    ]);
    expect(step).toMatchObject({ rules: 3, from: 0, to: 6, applied: { events: 5, quarantined: 0, retracted: 1 } });
  });

  it("asks for rules only where the log has newer ones than it knows", async () => {
    await fill([[1]]);
    const asked: string[] = [];
    const logs = {
      getByName: (name: string) => ({
        segments: async (after: number, limit?: number, sink?: SinkName) =>
          bindings.EVENT_LOG.getByName(name).segments(after, limit, sink),
        rules: async () => {
          asked.push(name);
          return bindings.EVENT_LOG.getByName(name).rules();
        },
      }),
    };
    const read = () => Array.fromAsync(readLog({ shard: 0, after: 0, to: 9 }, { ...deps, logs }));
    await read();
    expect(asked).toEqual([]);
    await raise(1, { kind: "retract" }, [1]);
    expect(numbersOf(await read())).toEqual([]);
    expect(asked).toEqual(["000"]);
  });

  it("throws what is damaged, unless somebody says what to leave out", async () => {
    await fill([[1], [2], [3]]);
    const { segments } = await log().segments(1);
    await bindings.BUCKET.delete(segments[0]!.key);
    await expect(all()).rejects.toThrow(SegmentDamaged);
    const seen: number[] = [];
    const steps = await all({
      onDamage: async (damage) => {
        seen.push(damage.ref.seq);
        return damage;
      },
    });
    expect([seen, numbersOf(steps), steps.at(-1)!.to]).toEqual([[2], [1, 3], 3]);
    expect(
      numbersOf(await all({ leftOut: (seq) => (seq === 2 ? { lines: "all", events: 1, quarantined: 0 } : undefined) })),
    ).toEqual([1, 3]);
  });
});

describe("what a redrive brings back", () => {
  it("comes for the sink that it is for, once, with the place of the redrive, through the rules of the place it came from", async () => {
    await fill([[1, 2, 3]]);
    await raise(1, { kind: "set", values: { user_id: "corrected" } }, [2]);
    const seq = await redrive(1, [1], [2], ["lake"]);
    await raise(2, { kind: "retract" }, [3]);
    const lake = await all({ sink: "lake" });
    expect(numbersOf(lake)).toEqual([1, 2]);
    expect(lake[0]!.events[1]).toMatchObject({ event_id: "event-2", user_id: "corrected", log_shard: 0, log_seq: seq });
    expect(lake[0]!.applied).toEqual({
      events: 3,
      quarantined: 0,
      retracted: 1,
      skipped: { events: 1, quarantined: 0 },
    });
    const sessions = await all({ sink: "sessions" });
    expect(numbersOf(sessions)).toEqual([1, 2]);
    expect(sessions[0]!.events[1]).toMatchObject({ event_id: "event-2", log_seq: 1 });
    expect(sessions[0]!.applied).toEqual({ events: 3, quarantined: 0, retracted: 1 });
  });

  it("for others is moved over without a look at its object", async () => {
    await fill([[1], [2]]);
    const seq = await redrive(1, "all" as unknown as number[], [1], ["lake"]);
    const { segments } = await log().segments(seq - 1);
    await bindings.BUCKET.delete(segments[0]!.key);
    expect(numbersOf(await all({ sink: "rollups" }))).toEqual([1, 2]);
    await expect(all({ sink: "lake" })).rejects.toThrow("missing");
  });

  it("promise 3: leaves what a cursor has met applied, skipped or in holes, for each sink, whatever stands in the log", async () => {
    await fill([[1, 2, 3], [4, 5], [6]], [2]);
    await redrive(1, [0], [1], ["sessions"]);
    await redrive(2, [0, 1], [4, 5], ["sessions"]);
    await raise(1, { kind: "retract" }, [6]);
    await fill([[7]]);
    const store: SinkStep[] = [];
    const sink = sinkWithCursor("sessions", bindings.SINK_CURSOR, async (step) => void store.push(step));
    const { batch, outcomes } = batchOf("sessions", [{ shard: 0, head: 1 }]);
    await drainBatch(batch, { sink, ...deps });
    expect(outcomes).toEqual(["ack"]);
    const status = await bindings.SINK_CURSOR.getByName("sessions:000").status();
    const met = await log().count(0, status.cursor, "sessions");
    expect(status).toMatchObject({ cursor: 7, retracted: 1, holes: { events: 3, quarantined: 0, open: 0 } });
    expect(status.applied.events + status.holes!.events).toBe(met.events);
    expect(status.applied.quarantined + status.holes!.quarantined).toBe(met.quarantined);
    expect(store.flatMap(({ events }) => events.map(({ properties }) => properties?.number))).toEqual([
      "2",
      "1",
      "4",
      "5",
      "7",
    ]);
    expect(store.at(-1)!.rules).toBe(1);
  });
});
