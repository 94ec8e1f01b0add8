import { describe, expect, it } from "vitest";
import type { PiiFinding, ShardReport } from "../../../durable-objects/pii-audit/api.ts";
import { auditPii, type PiiAuditDeps, spread } from "../../../queues/pii-audit/audit-log.ts";
import { DAY_MS, PII } from "../../../r2-layout/limits.ts";
import { encodeSegment } from "../../../r2-layout/segment.ts";

const NOW = Date.UTC(2026, 10, 22, 12);

/** A log of shards with so many segments of so many lines, each of which has an address in a field of its own segment. */
function rig({ shards = 1, segments = 1, lines = 1 } = {}) {
  const read: string[] = [];
  const asked: [number, number][] = [];
  const reports = new Map<string, ShardReport>();
  const done = new Set<string>();
  const text = (seq: number, i: number) =>
    JSON.stringify({
      row: { source: "shop", event_name: "Paid", received_at: i },
      d: 1,
      raw: { properties: { [`note${seq}`]: `ada${i}@example.com` } },
    });
  const deps: PiiAuditDeps = {
    shards,
    bucket: {
      async get(key) {
        read.push(key);
        const [, seq] = key.split(":");
        if (seq === "gone") return null;
        const body = encodeSegment(Array.from({ length: lines }, (_, i) => text(Number(seq), i)));
        return { arrayBuffer: async () => body.slice().buffer as ArrayBuffer };
      },
    },
    logs: {
      getByName: (shard) => ({
        async between(from: number, to: number) {
          asked.push([from, to]);
          return { oldest: 1, head: segments, range: segments > 0 ? { from: 1, to: segments } : null };
        },
        segments: async (after: number) => ({
          head: segments,
          asOf: 0,
          segments: [{ seq: after + 1, key: `${shard}:${after + 1}` }] as never,
        }),
        republishedAfter: async () => [],
      }),
    },
    registry: { getByName: () => ({ enforced: async () => ({ revision: 1, contracts: [] }) }) },
    audits: {
      getByName: () => ({
        begin: async (day) => !done.has(day),
        async put(day, shard, report) {
          reports.set(`${day} ${shard}`, report);
        },
        async finish(day) {
          done.add(day);
        },
      }),
    },
  };
  const run = async (nowMs = NOW, now?: boolean) => {
    let slices = 0;
    let part = await auditPii(deps, nowMs, null, now);
    for (slices = 1; part; slices++) part = await auditPii(deps, nowMs, part);
    return slices;
  };
  return { deps, run, read, asked, reports, done };
}

describe("the daily search for undeclared PII", () => {
  it("reads the last day of the log, once a day, and again when it is told to", async () => {
    const { run, read, asked, reports } = rig();
    await run();
    expect(asked).toEqual([[NOW - DAY_MS, NOW]]);
    expect([...reports]).toMatchObject([["2026-11-22 0", { findings: [{ field: "properties.note1", events: 1 }] }]]);
    await run();
    expect(read).toHaveLength(1);
    await run(NOW, true);
    await run(NOW + DAY_MS);
    expect(read).toHaveLength(3);
  });

  it("is not done until its last shard is: whoever comes next does it again, and counts nothing twice", async () => {
    const { deps, run, reports, done } = rig({ shards: PII.auditShardsAtOnce + 1 });
    expect(await auditPii(deps, NOW, null)).toEqual({ day: "2026-11-22", next: PII.auditShardsAtOnce });
    expect(done.size).toBe(0);
    await run();
    expect(done.size).toBe(1);
    expect([...reports.values()].map(({ findings }) => findings[0]!.events)).toEqual(
      Array.from({ length: PII.auditShardsAtOnce + 1 }, () => 1),
    );
  });

  it("passes over what is gone, damaged, or no event any more", async () => {
    const { deps, run, reports } = rig({ segments: 3 });
    const bodies = [null, new Uint8Array([1, 2]), encodeSegment(['{"row":null}', "{", '{"erased":1}'])];
    let next = 0;
    Object.assign(deps.bucket, {
      get: async () => {
        const body = bodies[next++];
        return body ? { arrayBuffer: async () => body.slice().buffer } : null;
      },
    });
    await run();
    expect([...reports.values()]).toEqual([{ findings: [], sampled: [], left: 0 }]);
  });

  it("reads PII.auditShards shards of more, each day others, and PII.auditShardsAtOnce in a slice", async () => {
    const few = rig({ shards: PII.auditShards });
    expect(await few.run()).toBe(PII.auditShards / PII.auditShardsAtOnce);
    expect(few.reports.size).toBe(PII.auditShards);
    const many = rig({ shards: 2 * PII.auditShards });
    await many.run();
    expect(many.reports.size).toBe(PII.auditShards);
    await many.run(NOW + DAY_MS);
    const shards = new Set([...many.reports.keys()].map((key) => key.split(" ")[1]));
    expect(shards.size).toBe(2 * PII.auditShards);
  });

  it("reads PII.auditSegments segments of a shard, evenly apart", async () => {
    const { run, read } = rig({ segments: PII.auditSegments });
    await run();
    expect(read).toHaveLength(PII.auditSegments);
    const more = rig({ segments: 10 * PII.auditSegments });
    await more.run();
    expect(more.read.map((key) => Number(key.split(":")[1]))).toEqual(
      Array.from({ length: PII.auditSegments }, (_, i) => 1 + 10 * i),
    );
  });

  it("reads PII.auditLines lines of a segment", async () => {
    for (const lines of [PII.auditLines, PII.auditLines + 1]) {
      const { run, reports } = rig({ lines });
      await run();
      const [finding] = [...reports.values()][0]!.findings as PiiFinding[];
      expect(finding!.events).toBe(PII.auditLines);
    }
  });

  it("spreads what it reads from the first to near the last", () => {
    expect(spread(1, 3, 5)).toEqual([1, 2, 3]);
    expect(spread(1, 10, 5)).toEqual([1, 3, 5, 7, 9]);
    expect(spread(0, -1, 5)).toEqual([]);
  });
});
