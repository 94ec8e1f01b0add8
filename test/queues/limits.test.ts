/** Promise 9 in the consumers, where no runtime is needed to meet a bound: each at its value and one beyond it. */

import { ulid } from "ulidx";
import { describe, expect, it } from "vitest";
import { groupMessages } from "../../queues/fan-out/plan-commit.ts";
import { sweep } from "../../queues/maintenance/sweep.ts";
import { listQuarantine } from "../../queues/quarantine/list.ts";
import { LogReader } from "../../queues/read-log.ts";
import { byHalves } from "../../queues/refused-lines.ts";
import { retractions } from "../../queues/replay/copies.ts";
import { addHours, mergeRanges } from "../../queues/replay/hour-ranges.ts";
import { cutSegments } from "../../queues/replay/source.ts";
import { NO_LOOKS, readTraffic, standBack } from "../../queues/replay/stand-back.ts";
import { ALL_CORRECTED, withUncorrected } from "../../queues/replay/uncorrected.ts";
import { compareTimelines } from "../../queues/sessions/compare.ts";
import type { NameLists } from "../../queues/sessions/name-lists.ts";
import { parseMessage } from "../../r2-layout/event-message.ts";
import { poisonKey } from "../../r2-layout/keys.ts";
import { HOUR_MS, LAKE, LOG, QUARANTINE, REPLAY, SESSIONS, SINK } from "../../r2-layout/limits.ts";
import { encodeSegment, type SegmentRef } from "../../r2-layout/segment.ts";
import { bodyOf, lineOf } from "./log-rig.ts";

const ref = (seq: number, events: number, bytes = 1): SegmentRef => ({
  seq,
  key: `log/${seq}`,
  bytes,
  events,
  quarantined: 0,
  minReceivedAt: 0,
  maxReceivedAt: 0,
  committedAt: 0,
});

describe("a batch of the fan-out", () => {
  it("becomes one segment of LOG.segmentEvents events; one event more is another segment's", () => {
    const half = LOG.segmentEvents / 2;
    const message = (n: number, events: number) => {
      const parsed = parseMessage(bodyOf({ edge: "e", n, before: 0, events: [0] }));
      if (!parsed.ok) throw new Error(parsed.error.detail);
      return {
        ...parsed.value,
        header: { ...parsed.value.header, events, ids: Buffer.alloc(events * 16).toString("base64") },
      };
    };
    const segments = (...counts: number[]) =>
      groupMessages(counts.map((count, n) => message(n + 1, count)) as never, LOG.segmentEvents).length;
    expect(segments(half, half)).toBe(1);
    expect(segments(half, half, 1)).toBe(2);
  });
});

describe("a step of a sink", () => {
  it("has SINK.stepEvents events; one more is the next step's", async () => {
    const half = SINK.stepEvents / 2;
    expect(await steps([half, half].map(linesOf))).toEqual([SINK.stepEvents]);
    expect(await steps([half, half, 1].map(linesOf))).toEqual([SINK.stepEvents, 1]);
  });

  it("has SINK.stepBytes inflated bytes; one more is the next step's", async () => {
    const half = SINK.stepBytes / 2;
    const wide = (bytes: number) => {
      const [head, tail] = lineOf(1).split('"number":"1"') as [string, string];
      // A line feed ends it.
      return [`${head}"number":"${"1".repeat(bytes - 1 - head.length - tail.length - '"number":""'.length)}"${tail}`];
    };
    expect(await steps([wide(half), wide(half)])).toEqual([2]);
    expect(await steps([wide(half), wide(half + 1)])).toEqual([1, 1]);
  });
});

const linesOf = (count: number): string[] => Array.from({ length: count }, () => lineOf(1));

/** How many events each step of a log of these segments has. */
async function steps(segments: readonly string[][]): Promise<number[]> {
  const bodies = new Map(segments.map((lines, i) => [`log/${i + 1}`, encodeSegment(lines)]));
  const refs = segments.map((lines, i) => ref(i + 1, lines.length));
  const log = {
    segments: async () => ({ head: refs.length, asOf: 0, segments: refs }),
    rules: async () => ({ version: 0, rules: [] }),
  };
  const reader = new LogReader(0, {
    logs: { getByName: () => log },
    bucket: { get: async (key) => ({ arrayBuffer: async () => bodies.get(key)!.slice().buffer }) },
  });
  const events: number[] = [];
  for await (const step of reader.steps(await reader.page(0), 0)) events.push(step.events.length);
  return events;
}

describe("maintenance", () => {
  it("asks about LAKE.sweepKeys objects at once, and looks at LAKE.sweepObjects in one message, to the page", async () => {
    const { looked, asked, cursor } = await swept(LAKE.sweepObjects);
    expect({ looked, cursor }).toEqual({ looked: LAKE.sweepObjects, cursor: null });
    expect(Math.max(...asked)).toBe(LAKE.sweepKeys);
    const more = await swept(LAKE.sweepObjects + 1);
    expect(more.looked).toBe(LAKE.sweepObjects);
    expect(more.cursor).not.toBeNull();
  });

  it("deletes what is older than LOG.orphanGraceMs, not what is as old", async () => {
    expect((await swept(3, LOG.orphanGraceMs)).deleted).toBe(0);
    expect((await swept(3, LOG.orphanGraceMs + 1)).deleted).toBe(3);
  });
});

async function swept(objects: number, ageMs = 0) {
  const now = 1_000_000_000_000;
  const asked: number[] = [];
  const result = await sweep(
    {
      list: async ({ cursor, limit }) => {
        asked.push(limit);
        const from = Number(cursor ?? 0);
        const end = Math.min(objects, from + limit);
        const page = Array.from({ length: end - from }, (_, i) => ({
          key: `k${from + i}`,
          uploaded: new Date(now - ageMs),
        }));
        return { objects: page, truncated: end < objects, ...(end < objects && { cursor: String(end) }) };
      },
      delete: async () => {},
    },
    "",
    async (keys) => keys,
    now,
  );
  return { ...result, asked };
}

describe("a replay", () => {
  it("reads REPLAY.stepBytes of segments in one step, and as many events as its target wants", () => {
    const half = REPLAY.stepBytes / 2;
    expect(cutSegments([ref(1, 1, half), ref(2, 1, half), ref(3, 1)], 3, REPLAY.stepEvents)).toBe(2);
    expect(cutSegments([ref(1, 1, half), ref(2, 1, half + 1)], 2, REPLAY.stepEvents)).toBe(1);
    const events = REPLAY.stepEvents / 2;
    expect(cutSegments([ref(1, events), ref(2, events), ref(3, 1)], 3, REPLAY.stepEvents)).toBe(2);
    expect(cutSegments([ref(1, events), ref(2, events + 1)], 2, REPLAY.stepEvents)).toBe(1);
  });

  it("remembers REPLAY.hourRanges ranges of hours and builds REPLAY.windows windows; of more, the nearest are joined", () => {
    const hours = (count: number) => Array.from({ length: count }, (_, i) => 2 * i * HOUR_MS);
    expect(addHours([], hours(REPLAY.hourRanges)).length).toBe(REPLAY.hourRanges);
    const joined = addHours([], hours(REPLAY.hourRanges + 1));
    expect(joined.length).toBe(REPLAY.hourRanges);
    expect(joined[0]).toEqual({ from: 0, to: 3 * HOUR_MS });
    const ranges = addHours([], hours(REPLAY.windows));
    expect(mergeRanges(ranges, REPLAY.windows)).toEqual(ranges);
    expect(mergeRanges(addHours([], hours(REPLAY.windows + 1)), REPLAY.windows).length).toBe(REPLAY.windows);
  });

  it("names REPLAY.uncorrectedListed places that a rule could not reach, and counts further ones", () => {
    const noted = (count: number) =>
      Array.from({ length: count }, (_, seq) => ({
        sink: "sessions" as const,
        shard: 0,
        seq,
        events: 2,
        window: null,
      })).reduce(withUncorrected, ALL_CORRECTED);
    const most = noted(REPLAY.uncorrectedListed);
    expect(most).toMatchObject({ sessions: 2 * REPLAY.uncorrectedListed, more: 0 });
    expect(most.places.reduce(withUncorrected, most)).toBe(most);
    const beyond = noted(REPLAY.uncorrectedListed + 1);
    expect(beyond).toEqual({ ...most, sessions: 2 * REPLAY.uncorrectedListed + 2, more: 1 });
  });

  it("names REPLAY.placesPerRule places in one rule of a settlement, and further ones in another", () => {
    const copies = (count: number) =>
      Array.from({ length: count }, (_, i) => ({
        shard: 0,
        seq: i,
        source: "s",
        event_id: `e${i}`,
        eventTime: i,
        receivedAt: i,
        republished: false,
      }));
    const places = (count: number) =>
      retractions(copies(count), REPLAY.placesPerRule).map((filter) => filter.places!.length);
    expect(places(REPLAY.placesPerRule)).toEqual([REPLAY.placesPerRule]);
    expect(places(REPLAY.placesPerRule + 1)).toEqual([REPLAY.placesPerRule, 1]);
  });

  it("stands back for a live sink that lags by more than REPLAY.liveLagMs, for REPLAY.standBackMaxMs at most", () => {
    const lag = (lagMs: number) => [{ sink: "lake", shard: 0, cursor: 1, lagMs }] as const;
    expect(standBack(NO_LOOKS, lag(REPLAY.liveLagMs), 0).why).toBeNull();
    expect(standBack(NO_LOOKS, lag(REPLAY.liveLagMs + 1), 0).why).toContain("lake of shard 0");
    const since = { since: 0, cursors: {} };
    expect(standBack(since, lag(REPLAY.liveLagMs + 1), REPLAY.standBackMaxMs - 1).why).not.toBeNull();
    expect(standBack(since, lag(REPLAY.liveLagMs + 1), REPLAY.standBackMaxMs).why).toBeNull();
  });

  it("asks REPLAY.lagShards shards for their lag, however many there are", async () => {
    const asked = async (shards: number) => {
      const names = new Set<string>();
      await readTraffic(
        {
          getByName: (name: string) => {
            names.add(name);
            return { status: async () => ({ cursors: {} }), tally: async () => ({ past: {} }) } as never;
          },
        },
        shards,
        0,
      );
      return names.size;
    };
    expect(await asked(REPLAY.lagShards)).toBe(REPLAY.lagShards);
    expect(await asked(REPLAY.lagShards + 1)).toBe(REPLAY.lagShards);
    expect(await asked(REPLAY.lagShards - 1)).toBe(REPLAY.lagShards - 1);
  });
});

describe("a step that is refused", () => {
  it("is tried in SINK.poisonTrials parts to find its lines; what is not told apart by then goes together", async () => {
    /** Every other of so many lines is at fault. */
    const found = async (lines: number) => {
      const all = Array.from({ length: lines }, (_, i) => i);
      let trials = 0;
      const bad = await byHalves(all, SINK.poisonTrials, async (some) => {
        trials++;
        return some.some((line) => line % 2 === 0);
      });
      return { bad: bad.length, trials };
    };
    // A tree of 32 leaves has 63 parts.
    const half = SINK.poisonTrials / 2;
    expect(await found(half)).toEqual({ bad: half / 2, trials: SINK.poisonTrials - 1 });
    const more = await found(2 * half);
    expect(more.trials).toBe(SINK.poisonTrials);
    expect(more.bad).toBeGreaterThan(half);
  });
});

describe("a page of the quarantine", () => {
  it("looks at QUARANTINE.objectsPerPage objects, and ends with a cursor where there are more", async () => {
    const page = async (objects: number) => {
      const atMs = Date.UTC(2026, 10, 22);
      const keys = Array.from({ length: objects }, (_, i) =>
        poisonKey({ atMs: atMs - i, queue: "events-0", ulid: ulid(atMs - i) }),
      );
      const parked = keys.map((key) => ({ key, size: 1, customMetadata: { redriven_at: "2026-11-22T00:00:00.000Z" } }));
      const none = { holes: async () => [] };
      return listQuarantine(
        {
          bucket: {
            list: async ({ delimiter }) =>
              delimiter
                ? { objects: [], delimitedPrefixes: ["poison/2026-11-22/", "poison/2026-11-21/"], truncated: false }
                : { objects: parked.splice(0), delimitedPrefixes: [], truncated: false },
          },
          cursors: { getByName: () => none },
          catalog: none,
          shards: 1,
        },
        // All of them have come back, so none fits.
        { state: "open", kind: "message", limit: 10, after: null },
      );
    };
    expect(await page(QUARANTINE.objectsPerPage)).toEqual({ entries: [], next: null });
    expect((await page(QUARANTINE.objectsPerPage + 1)).next).not.toBeNull();
  });
});

describe("a comparison of two builds of the timelines", () => {
  it("compares SESSIONS.compared timelines and names SESSIONS.differences of them that differ", async () => {
    const compare = async (timelines: number, differing: number) => {
      const names = Array.from({ length: timelines }, (_, i) => String(i).padStart(12, "0"));
      const lists = { keys: async () => ["one"], read: async () => names } as unknown as NameLists;
      const seen = new Set<string>();
      const { differences } = await compareTimelines(lists, { upTo: {}, nowMs: 0 }, (name, build) => ({
        digest: async () => {
          seen.add(name);
          return { events: 1, cut: false, hash: build === "after" && Number(name) < differing ? "other" : "same" };
        },
      }));
      return { compared: seen.size, differences };
    };
    expect(await compare(SESSIONS.compared, 0)).toMatchObject({ compared: SESSIONS.compared });
    expect((await compare(SESSIONS.compared + 1, 0)).compared).toBe(SESSIONS.compared);
    expect((await compare(SESSIONS.compared, SESSIONS.differences)).differences).toHaveLength(SESSIONS.differences);
    const more = await compare(SESSIONS.compared, SESSIONS.differences + 1);
    expect(more.differences).toHaveLength(SESSIONS.differences + 1);
    expect(more.differences.at(-1)).toBe("and 1 more");
  });
});
