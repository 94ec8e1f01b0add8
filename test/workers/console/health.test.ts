import { describe, expect, it } from "vitest";
import type { LogStatus, PastCursor } from "../../../durable-objects/event-log/api.ts";
import { addLedgers, type Ledger, shardLedger } from "../../../durable-objects/event-log/ledger.ts";
import type { CursorStatus } from "../../../durable-objects/sink-cursor/api.ts";
import { healthOf, ratePerSecond } from "../../../workers/console/operations/health.ts";
import { sinkDelays } from "../../../workers/edge/operations/sink-delays.ts";

const STATUS: LogStatus = {
  shard: 0,
  epoch: 0,
  head: 2,
  accepted: 10,
  arrived: 10,
  committed: 9,
  quarantined: 0,
  duplicates: 1,
  suppressed: 0,
  redelivered_messages: 0,
  gaps: 0,
  ids: 10,
  id_memory_bytes: 0,
  cursors: {},
  committed_at: 0,
} as LogStatus;

type Looked = Parameters<typeof healthOf>[0];

const at = (cursor: number, events: number): CursorStatus => ({
  cursor,
  applied: { events, quarantined: 0 },
  moved_at: 0,
});

/** What the log says of a cursor: segment 1 holds four events, segment 2 five. */
const past = (cursor: number, since: number | null): PastCursor => ({
  events: 5 * (2 - cursor),
  quarantined: 0,
  segments: 2 - cursor,
  met: { events: cursor === 2 ? 9 : 4, quarantined: 0 },
  redriven: 0,
  since,
});

/** One shard whose sinks are at the head, but for what is said. */
function ledger(change: Partial<LogStatus> = {}, lake = at(2, 9), since: number | null = null) {
  const cursors = { lake, sessions: at(2, 9), rollups: at(2, 9) };
  const ahead = { lake: past(lake.cursor, since), sessions: past(2, null), rollups: past(2, null) };
  return addLedgers([shardLedger(0, { ...STATUS, ...change }, cursors, ahead, 1_000_000)]);
}

/** What the edge says beside the ledger: its own sums of it, and nothing that presses. */
const operations = (of: Ledger, more: Partial<Looked> = {}): Looked => ({
  ledger: of,
  sinks: sinkDelays(of),
  queues: [{ queue: "events-0", shard: 0, messages: 0, bytes: 0, oldest_seconds: null, objective_seconds: 30 }],
  objects: [{ object: "EventLog 000", what: "dedup_memory", bytes: 80, limit_bytes: 100 }],
  lake: LAKE,
  ...more,
});
const LAKE: Looked["lake"] = {
  ...{ rows: 0, files: 0, bytes: 0, snapshot: 0, commits_today: 0 },
  ...{ iceberg_behind_seconds: 20, iceberg_objective_seconds: 300 },
};
const QUEUE = operations(ledger()).queues[0]!;
const texts = (of: Looked) => healthOf(of).matters.map(({ text }) => text);

describe("the verdict on the pipeline", () => {
  it("is well where every sink's sum is right and none is far behind", () => {
    expect(healthOf(operations(ledger()))).toEqual({
      state: "well",
      sentence: "Every accepted event is accounted for",
      matters: [],
    });
    expect(healthOf(operations(ledger({}, at(1, 4), 995_000))).state).toBe("well");
  });

  it("names the sink that is behind, and the messages that did not arrive", () => {
    const health = healthOf(operations(ledger({ gaps: 2, oldest_gap_at: 400_000, accepted: 13 }, at(1, 4), 0)));
    expect(health.state).toBe("behind");
    expect(health.matters).toEqual([
      { text: "Lake (SQL) is 17 min behind", at: "#sinks" },
      { text: "2 messages were sent and have not arrived, one since 10 min", at: "#ledger" },
    ]);
  });

  it("promise 3: is wrong where a sink's sum is off, and says which", () => {
    const health = healthOf(operations(ledger({}, at(2, 8))));
    expect(health).toMatchObject({ state: "wrong", sentence: "The ledger does not add up" });
    expect(health.matters[0]).toEqual({ text: "Lake (SQL): the sum is off in shard 0", at: "#ledger" });
  });

  it("promise 3: is wrong where the lake has other rows than it has applied", () => {
    const lost = { ...ledger(), stored: { ...ledger().stored, balanced: false } };
    expect(healthOf(operations(lost)).matters).toEqual([
      { text: "The lake's rows are not those that its cursors have applied", at: "#history" },
    ]);
  });

  it("needs a look where a queue, an object or other engines are pressed, and says which", () => {
    expect(texts(operations(ledger(), { queues: [{ ...QUEUE, messages: 9, oldest_seconds: 61 }] }))).toEqual([
      "Messages wait on events-0, one since 1 min",
    ]);
    expect(texts(operations(ledger(), { queues: [{ ...QUEUE, messages: null, oldest_seconds: null }] }))).toEqual([
      "No word of what waits on events-0",
    ]);
    const full = { object: "EventLog 000", what: "dedup_disk", bytes: 91, limit_bytes: 100 } as const;
    expect(texts(operations(ledger(), { objects: [full] }))).toEqual([
      "EventLog 000 has used nearly all disk of its dedup window",
    ]);
    expect(texts(operations(ledger(), { lake: { ...LAKE, iceberg_behind_seconds: 301 } }))).toEqual([
      "Other engines see the lake as it was 5 min ago",
    ]);
  });
});

describe("the rate of accepted events", () => {
  it("is the difference of two ledgers over the time between them", () => {
    expect(ratePerSecond(ledger(), ledger({ accepted: 60 }), 2_000)).toBe(25);
  });

  it("is unknown where time stood still or another system answers", () => {
    expect(ratePerSecond(ledger(), ledger(), 0)).toBeNull();
    expect(ratePerSecond(ledger({ accepted: 60 }), ledger(), 2_000)).toBeNull();
  });
});
