import { describe, expect, it } from "vitest";
import type { Ledger } from "../../../../durable-objects/event-log/ledger.ts";
import { LOG } from "../../../../r2-layout/limits.ts";
import { objectPressure, sinkDelays } from "../../../../workers/edge/operations/sink-delays.ts";

const sink = (lag_seconds: number, in_flight = 0, holes = 0) => ({ lag_seconds, in_flight, holes });
const ledger = (...shards: object[]): Ledger => ({ shards }) as unknown as Ledger;

describe("how far each sink is behind", () => {
  it("is that of the shard furthest behind, with what is under way in all of them", () => {
    const delays = sinkDelays(
      ledger(
        { shard: 0, sinks: { lake: sink(3, 5), sessions: sink(0), rollups: sink(0, 1) } },
        { shard: 1, sinks: { lake: sink(70, 10, 2), sessions: sink(0), rollups: sink(0) } },
        { shard: 2, sinks: { lake: sink(69, 1, 1), sessions: sink(4), rollups: sink(0) } },
      ),
    );
    expect(delays).toEqual([
      { sink: "lake", lag_seconds: 70, objective_seconds: 60, shard: 1, in_flight: 16, holes: 3 },
      { sink: "sessions", lag_seconds: 4, objective_seconds: 30, shard: 2, in_flight: 0, holes: 0 },
      { sink: "rollups", lag_seconds: 0, objective_seconds: 15, shard: null, in_flight: 1, holes: 0 },
    ]);
  });
});

describe("what an object has used", () => {
  it("is told for the memory and the disk of each shard's ids", () => {
    const pressure = objectPressure(ledger({ shard: 7, ids: 1_000, id_memory_bytes: LOG.idMemoryBytes / 2 }));
    expect(pressure).toEqual([
      { object: "EventLog 007", what: "dedup_memory", bytes: LOG.idMemoryBytes / 2, limit_bytes: LOG.idMemoryBytes },
      { object: "EventLog 007", what: "dedup_disk", bytes: 18_400, limit_bytes: 10e9 },
    ]);
  });
});
