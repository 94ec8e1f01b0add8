import { describe, expect, it } from "vitest";
import { idHash } from "../../../r2-layout/event-id.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { DAY_MS, HOUR_MS, SUPPORT } from "../../../r2-layout/limits.ts";
import { formatLogLine } from "../../../r2-layout/log-line.ts";
import { encodeSegment, type SegmentRef } from "../../../r2-layout/segment.ts";
import { type EventFinder, ownersOf } from "../../../workers/edge/find-event.ts";
import { type LookupReader, lookUpEvent } from "../../../workers/edge/lookup.ts";

const NOW = Date.UTC(2026, 10, 22, 12);
const SOURCES = ["shop", "app"];

interface Taken {
  readonly shard: number;
  readonly source: string;
  readonly id: string;
  readonly at: number;
  readonly space?: "event" | "quarantine";
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** Logs of two shards that own what was taken, a segment for each of `segments`, and a lake that says what it is asked. */
function world({ taken = [], segments = [], rows = [] }: { taken?: Taken[]; segments?: Taken[]; rows?: unknown[][] }) {
  const asked: { text: string; params: Readonly<Record<string, string>> }[] = [];
  const read: string[] = [];
  const refs = segments.map(({ at, shard }, i): SegmentRef & { shard: number } => ({
    shard,
    seq: i + 1,
    key: `s${i}`,
    bytes: 1,
    events: 1,
    quarantined: segments[i]!.space === "quarantine" ? 1 : 0,
    minReceivedAt: at * 1_000,
    maxReceivedAt: at * 1_000,
    committedAt: at,
  }));
  const finder: EventFinder = {
    shards: 2,
    sources: SOURCES,
    logs: {
      getByName: (name) => {
        const shard = [0, 1].find((k) => shardName(k) === name)!;
        const own = new Map(
          taken
            .filter((one) => one.shard === shard)
            .map(({ space = "event", source, id, at }) => [hex(idHash(space, source, id)), at]),
        );
        return {
          ownedAt: async (ids) =>
            Float64Array.from({ length: ids.length / 16 }, (_, i) => own.get(hex(ids.slice(16 * i, 16 * i + 16))) ?? 0),
          between: async () => ({
            oldest: 1,
            head: refs.length,
            range: refs.length ? { from: 1, to: refs.length } : null,
          }),
          segments: async (after) => ({
            head: refs.length,
            asOf: NOW,
            segments: refs.filter((ref) => ref.shard === shard && ref.seq > after),
          }),
          republishedAfter: async () => [],
          idsOf: async () => ({ ids: new Uint8Array(), next: null }),
        };
      },
    },
    bucket: {
      async get(key) {
        read.push(key);
        const { id, source, at, space } = segments[Number(key.slice(1))]!;
        const row = { event_id: id, event_name: "Order", event_type: "track", source, user_id: "ann" };
        const times = { received_at: at * 1_000, event_time: at * 1_000 };
        const q = space === "quarantine" ? { q: { cause: "bad" } } : {};
        const body = encodeSegment([formatLogLine({ raw: {}, row: { ...row, ...times } as never, d: 1, ...q })]);
        return { arrayBuffer: async () => body.slice().buffer };
      },
    },
    sql: async (text, params) => {
      asked.push({ text, params });
      return rows;
    },
  };
  const lookup = (range: { from: number; to: number } | null = null) =>
    lookUpEvent({ events: finder } as unknown as LookupReader, "e", range);
  return { finder, lookup, asked, read };
}

const taken = (more: Partial<Taken> = {}): Taken => ({ shard: 1, source: "app", id: "e", at: NOW, ...more });

describe("an event's id", () => {
  it("is asked for in every shard, for every source, as an event and as a quarantined one", async () => {
    for (const one of [taken(), taken({ shard: 0, source: "shop" }), taken({ space: "quarantine" })]) {
      const owners = await ownersOf(world({ taken: [one] }).finder, "e");
      expect(owners).toEqual([{ shard: one.shard, takenAt: NOW, quarantined: one.space === "quarantine" }]);
    }
    expect(await ownersOf(world({ taken: [taken({ id: "other" })] }).finder, "e")).toEqual([]);
  });

  it("of the last hour is read in the segment of its moment, and the lake is not asked", async () => {
    const { lookup, asked, read } = world({
      taken: [taken()],
      segments: [taken({ id: "before", at: NOW - 5 }), taken(), taken({ id: "after", at: NOW + 5 })],
    });
    expect((await lookup()).matches).toMatchObject([{ kind: "event", event_id: "e", user_id: "ann", source: "app" }]);
    expect([asked, read]).toEqual([[], ["s1"]]);
  });

  it("that is in quarantine says so", async () => {
    const one = taken({ space: "quarantine" });
    expect((await world({ taken: [one], segments: [one] }).lookup()).matches).toMatchObject([{ quarantined: true }]);
  });

  it("of before is sought in the lake within the time that its run names", async () => {
    const row = ["e", "Order", "2026-11-22 11:00:00.123456", "ann", null, "app"];
    const { lookup, asked } = world({ taken: [taken({ at: NOW - DAY_MS })], rows: [row] });
    expect((await lookup()).matches).toEqual([
      {
        kind: "event",
        by: "event_id",
        event_id: "e",
        event_name: "Order",
        event_time: "2026-11-22T11:00:00.123456Z",
        user_id: "ann",
        anonymous_id: null,
        source: "app",
        quarantined: false,
      },
    ]);
    const [{ params, text }] = asked as [(typeof asked)[0]];
    expect(params.id).toBe("e");
    expect(Date.parse(params.from!)).toBeLessThanOrEqual(NOW - DAY_MS - 12 * HOUR_MS);
    expect(Date.parse(params.to!)).toBeGreaterThanOrEqual(NOW);
    expect(text).not.toContain("'");
  });

  it("that no window has is sought only in a time that is named", async () => {
    const { lookup, asked } = world({});
    expect(await lookup()).toEqual({ matches: [] });
    expect(asked).toEqual([]);
    await lookup({ from: 0, to: NOW });
    expect(asked).toMatchObject([{ params: { from: "1970-01-01T00:00:00.000Z", to: "2026-11-22T12:00:00.000Z" } }]);
  });

  it("reads SUPPORT.segmentsRead segments at most, then asks the lake", async () => {
    const { lookup, asked, read } = world({
      taken: [taken()],
      segments: Array.from({ length: SUPPORT.segmentsRead + 3 }, () => taken({ id: "other" })),
    });
    await lookup();
    expect([read.length, asked.length]).toEqual([SUPPORT.segmentsRead, 1]);
  });
});
