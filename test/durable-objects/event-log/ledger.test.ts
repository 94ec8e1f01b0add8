import { describe, expect, it } from "vitest";
import type { LogStatus, PastCursor } from "../../../durable-objects/event-log/api.ts";
import { addLedgers, shardLedger, storedLedger } from "../../../durable-objects/event-log/ledger.ts";
import type { CursorStatus } from "../../../durable-objects/sink-cursor/api.ts";
import { prometheusText } from "../../../workers/edge/metrics.ts";

const NOW = 1_000_000;

/** 100 events were sent: 5 are on the queue, 3 were duplicates, 2 are quarantined, 90 committed; 4 moved in, 4 out. */
const status: LogStatus = {
  ...{ shard: 1, epoch: 1, head: 9, accepted: 100, arrived: 95, committed: 90, quarantined: 2, duplicates: 3 },
  ...{ suppressed: 0, redelivered_messages: 0, gaps: 1, ids: 0, id_memory_bytes: 0, cursors: {}, committed_at: 5 },
  ...{ moved_in: 4, moved_out: 4, late: 7, clock_skewed: 1, republished: 0, rules: 2, oldest_gap_at: NOW - 9_000 },
  sources: [{ source: 'a "b"', events: 95, duplicates: 3, late: 7, clock_skewed: 1 }],
  messages: 12,
  newest_day: { day: "1970-01-01", events: 40, messages: 6, segments: 2, bytes: 5_000 },
};
/** A sink that stands at 7 of 9: it met 82 lines, left 3 of them out, and one came back. */
const cursor: CursorStatus = {
  cursor: 7,
  applied: { events: 78, quarantined: 1 },
  moved_at: 0,
  holes: { events: 3, quarantined: 0, open: 2 },
};
const past: PastCursor = {
  ...{ events: 10, quarantined: 1, segments: 2, since: NOW - 2_000 },
  ...{ met: { events: 81, quarantined: 1 }, redriven: 1 },
};

const ledgerOf = (
  more: { status?: Partial<LogStatus>; cursor?: Partial<CursorStatus>; past?: Partial<PastCursor> } = {},
) => {
  const sink = { ...cursor, ...more.cursor };
  const behind = { ...past, ...more.past };
  const shard = shardLedger(
    1,
    { ...status, ...more.status },
    { lake: sink, sessions: cursor, rollups: cursor },
    { lake: behind, sessions: past, rollups: past },
    NOW,
  );
  return addLedgers([shard], status.sources);
};

describe("the ledger", () => {
  it("promise 3: adds up through holes, a redrive and a split", () => {
    const ledger = ledgerOf();
    expect(ledger.shards[0]!.sinks.lake).toEqual({
      ...{ cursor: 7, applied: 78, holes: 2, open_holes: 2, retracted: 0, in_flight: 15 },
      ...{ lag_segments: 2, lag_seconds: 2, balanced: true },
    });
    expect(ledger).toMatchObject({
      balanced: true,
      total: { accepted: 100, lake: 78, holes: 2, moving: 0, in_flight: 15, late: 7, clock_skewed: 1, gaps: 1 },
      shards: [{ oldest_gap_seconds: 9, rules: 2, epoch: 1 }],
    });
  });

  it.each([
    ["an event was applied that nobody sent", { cursor: { applied: { events: 79, quarantined: 1 } } }],
    ["an event was neither applied nor left out", { cursor: { applied: { events: 77, quarantined: 1 } } }],
    ["a quarantined line was not met", { cursor: { applied: { events: 78, quarantined: 0 } } }],
    ["two errors cancel each other", { cursor: { applied: { events: 79, quarantined: 1 } }, past: { events: 9 } }],
    ["more came back than was left out", { past: { redriven: 4, events: 13 } }],
    ["the log lost an event", { status: { committed: 89 } }],
    ["an event moved out that did not move in", { status: { moved_out: 5 } }],
    ["a duplicate was not counted", { status: { duplicates: 2 } }],
    ["a cursor stands beyond the head", { cursor: { cursor: 10 } }],
  ])("promise 3: says that it does not where %s", (_, more) => {
    expect(ledgerOf(more).balanced).toBe(false);
  });

  it("promise 3: what rebuilds added, rules retracted and retention dropped are terms of what the lake holds", () => {
    const lake = {
      snapshot: 9,
      files: 1,
      bytes: 1,
      rows: { events: 61, quarantine: 5 },
      cursors: { 0: { ...cursor, applied: { events: 80, quarantined: 5 } } },
    };
    expect(storedLedger(lake)).toMatchObject({ rows: 61, applied: 80, expired: 0, balanced: false });
    const terms = { rebuilt: 1, retracted: 5, expired: 15 };
    expect(storedLedger({ ...lake, ...terms })).toEqual({ rows: 61, applied: 80, ...terms, balanced: true });
    expect(storedLedger({ ...lake, ...terms, expired: 16 }).balanced).toBe(false);
  });

  it("reads the answers of objects that are a version behind", () => {
    const { moved_in: _, moved_out: __, late: ___, sources: ____, oldest_gap_at: _____, ...older } = status;
    const before = { ...cursor, applied: { events: 80, quarantined: 1 } };
    const { holes: ______, ...plain } = before;
    const shard = shardLedger(
      1,
      older as LogStatus,
      { lake: plain, sessions: plain, rollups: plain },
      { lake: { events: 10, quarantined: 1, segments: 2, since: null } as PastCursor },
      NOW,
    );
    expect(shard.sinks.lake.balanced).toBe(true);
  });

  it("says what came today, and nothing where the log's newest day is another", () => {
    const today = { events: 40, messages: 6, segments: 2, bytes: 5_000 };
    expect(ledgerOf()).toMatchObject({ today, shards: [{ today, messages: 12 }] });
    const yesterday = { ...status.newest_day, day: "1969-12-31" };
    expect(ledgerOf({ status: { newest_day: yesterday } }).today).toEqual({
      events: 0,
      messages: 0,
      segments: 0,
      bytes: 0,
    });
  });

  it("is told to Prometheus with the sources, their names escaped", () => {
    const text = prometheusText(ledgerOf());
    expect(text).toContain('eventpile_source_duplicate_events_total{source="a \\"b\\""} 3');
    expect(text).toContain('eventpile_sink_hole_events{shard="001",sink="lake"} 2');
    expect(text).toContain('eventpile_oldest_gap_seconds{shard="001"} 9');
    for (const line of text.trim().split("\n"))
      expect(line).toMatch(/^(# (HELP|TYPE) |eventpile_\w+(\{[^}]*\})? -?[\d.]+$)/);
  });
});
