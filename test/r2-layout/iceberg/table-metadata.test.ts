import fc from "fast-check";
import { expect, it } from "vitest";
import { TABLES } from "../../../r2-layout/event-columns.ts";
import { icebergSchema, lastColumnId } from "../../../r2-layout/iceberg/schema.ts";
import { expiredSnapshots, type IcebergSnapshot, NO_FILES, tagsOf } from "../../../r2-layout/iceberg/snapshots.ts";
import { tableMetadata } from "../../../r2-layout/iceberg/table-metadata.ts";
import { HOUR_MS, ICEBERG, MINUTE_MS } from "../../../r2-layout/limits.ts";

const snapshot = (n: number, timestampMs: number): IcebergSnapshot => ({
  snapshotId: 1_000 + n,
  parentId: n === 1 ? null : 999 + n,
  sequence: n,
  timestampMs,
  operation: "append",
  manifestListKey: `lake/events/metadata/snap-${n}.avro`,
  schemaId: 1,
  lakeSnapshot: n,
  added: { files: 1, rows: 10, bytes: 100 },
  removed: NO_FILES,
  total: { files: n, rows: 10 * n, bytes: 100 * n },
});

it("promise 6: has the columns' own field ids and never another, with those of lists and maps", () => {
  for (const [table, columns] of Object.entries(TABLES)) {
    const { fields } = icebergSchema(columns, 1);
    expect(fields.map(({ id, name, required }) => ({ id, name, required }))).toEqual(
      Object.entries(columns).map(([name, { id, required }]) => ({ id, name, required })),
    );
    const ids = fields.flatMap(({ id, type }) =>
      typeof type === "string"
        ? [id]
        : type.type === "list"
          ? [id, type["element-id"]]
          : [id, type["key-id"], type["value-id"]],
    );
    expect(new Set(ids).size, table).toBe(ids.length);
    expect(lastColumnId(icebergSchema(columns, 1))).toBe(Math.max(...ids));
  }
});

it("names the newest snapshot, each tag, and what came before", () => {
  const snapshots = [snapshot(1, 1_000), snapshot(2, 2_000)];
  const metadata = tableMetadata(
    {
      table: "events",
      uuid: "0e2d7bd5-6cb4-4f6e-8a3c-bd1d7a4f1a20",
      lastSequence: 2,
      schemas: [icebergSchema(TABLES.events, 1)],
      snapshots,
      tags: { "2026-11-21.v1": 1_001 },
      previous: [{ key: "lake/events/metadata/1.json", timestampMs: 900 }],
    },
    "s3://eventpile",
    2_500,
  );
  expect(metadata).toMatchObject({
    "format-version": 2,
    location: "s3://eventpile/lake/events",
    "current-snapshot-id": 1_002,
    "last-updated-ms": 2_500,
    refs: {
      main: { "snapshot-id": 1_002, type: "branch" },
      "2026-11-21.v1": { "snapshot-id": 1_001, type: "tag" },
    },
    "snapshot-log": [
      { "snapshot-id": 1_001, "timestamp-ms": 1_000 },
      { "snapshot-id": 1_002, "timestamp-ms": 2_000 },
    ],
    "metadata-log": [{ "metadata-file": "s3://eventpile/lake/events/metadata/1.json", "timestamp-ms": 900 }],
  });
  expect((metadata.snapshots as object[]).length).toBe(2);
});

it("an empty table has no snapshot and no branch", () => {
  const metadata = tableMetadata(
    {
      table: "quarantine",
      uuid: "u",
      lastSequence: 0,
      schemas: [icebergSchema(TABLES.quarantine, 1)],
      snapshots: [],
      tags: {},
      previous: [],
    },
    "s3://eventpile",
    5,
  );
  expect(metadata).not.toHaveProperty("current-snapshot-id");
  expect(metadata).toMatchObject({ refs: {}, snapshots: [], "last-sequence-number": 0 });
});

it("promise 9: keeps every snapshot for ICEBERG.everySnapshotMs, then one an hour as far as ICEBERG.snapshotReachMs, and ICEBERG.snapshots at most", () => {
  const steps = fc.array(fc.integer({ min: 0, max: 40 * MINUTE_MS }), { minLength: 1, maxLength: 700 });
  fc.assert(
    fc.property(steps, fc.nat({ max: 8 * 24 * HOUR_MS }), fc.nat(), (waits, idleMs, tag) => {
      let at = 1_700_000_000_000;
      const snapshots = waits.map((wait, i) => {
        at += wait;
        return snapshot(i + 1, at);
      });
      const now = at + (idleMs % (2 * HOUR_MS));
      const tagged = snapshots[tag % snapshots.length]!.snapshotId;
      const gone = new Set(expiredSnapshots(snapshots, now, new Set([tagged])));
      const kept = snapshots.filter(({ snapshotId }) => !gone.has(snapshotId));
      expect(gone).not.toContain(snapshots.at(-1)!.snapshotId);
      expect(gone).not.toContain(tagged);
      expect(kept.length).toBeLessThanOrEqual(ICEBERG.snapshots + 1);
      const old = kept.slice(0, -1).filter(({ snapshotId }) => snapshotId !== tagged);
      for (const { timestampMs } of old) expect(now - timestampMs).toBeLessThanOrEqual(ICEBERG.snapshotReachMs);
      const hours = old
        .filter(({ timestampMs }) => now - timestampMs > ICEBERG.everySnapshotMs)
        .map(({ timestampMs }) => Math.floor(timestampMs / HOUR_MS));
      expect(new Set(hours).size).toBe(hours.length);
      if (kept.length < ICEBERG.snapshots) {
        for (const { snapshotId, timestampMs } of snapshots) {
          if (now - timestampMs <= ICEBERG.everySnapshotMs) expect(gone).not.toContain(snapshotId);
        }
        // Of every hour that the lake reaches there is one.
        const hoursOf = (of: readonly IcebergSnapshot[]) =>
          new Set(
            of
              .filter(({ timestampMs }) => now - timestampMs <= ICEBERG.snapshotReachMs - HOUR_MS)
              .map(({ timestampMs }) => Math.floor(timestampMs / HOUR_MS)),
          );
        expect(hoursOf(kept)).toEqual(hoursOf(snapshots));
      }
    }),
    { numRuns: 200 },
  );
});

it("tags a cut where a snapshot has just its rows, and none that was folded over or lies ahead", () => {
  const at = (n: number, lakeFrom: number, lakeSnapshot: number) => ({ ...snapshot(n, n), lakeFrom, lakeSnapshot });
  const snapshots = [at(1, 0, 5), at(2, 5, 8), at(3, 8, 8), at(4, 10, 12), at(5, 12, 30)];
  const cuts = [4, 5, 6, 8, 9, 10, 11, 12, 20, 30, 33, 35].map((seq) => ({ name: `cut-${seq}`, lakeSnapshot: seq }));
  expect(tagsOf(cuts, snapshots, 33, 10)).toEqual({
    "cut-5": 1_001,
    "cut-8": 1_003,
    "cut-9": 1_003,
    "cut-10": 1_003,
    "cut-12": 1_004,
    "cut-30": 1_005,
    "cut-33": 1_005,
  });
  // One that was in between and is forgotten may have had the rows.
  expect(
    tagsOf(
      cuts,
      snapshots.filter((_, i) => i !== 1),
      33,
      10,
    ),
  ).not.toHaveProperty("cut-5");
  // Beyond the lake's reach only the newest is whole.
  expect(Object.keys(tagsOf(cuts, snapshots, 33, 10 + ICEBERG.snapshotReachMs))).toEqual(["cut-30", "cut-33"]);
});
