import fc from "fast-check";
import { expect, it } from "vitest";
import { TABLES } from "../../../r2-layout/event-columns.ts";
import {
  addedEntry,
  type CatalogFile,
  decodeLiveEntries,
  deletedEntry,
  encodeManifest,
  existingEntry,
  icebergDataFile,
} from "../../../r2-layout/iceberg/manifest.ts";
import { encodeManifestList } from "../../../r2-layout/iceberg/manifest-list.ts";
import { PARTITION_SPECS, partitionOf } from "../../../r2-layout/iceberg/partitions.ts";
import { icebergSchema } from "../../../r2-layout/iceberg/schema.ts";
import { DAY_US, dayOf } from "../../../r2-layout/time.ts";
import { readEntries } from "./table.ts";

const BUCKET = "s3://eventpile";
const SCHEMA = icebergSchema(TABLES.events, 1);
const SPECS = PARTITION_SPECS.events;

const time = fc.integer({ min: -40 * DAY_US, max: 20_000 * DAY_US });
const file = fc
  .record({
    n: fc.nat(),
    from: time,
    length: fc.oneof(fc.integer({ min: 0, max: DAY_US }), fc.integer({ min: 0, max: 40 * DAY_US })),
    rows: fc.integer({ min: 1, max: 1e9 }),
    bytes: fc.integer({ min: 1, max: 1e12 }),
    name: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
    host: fc.record({ nulls: fc.nat(), min: fc.string(), max: fc.string() }),
    seq: fc.record({ nulls: fc.constant(0), min: fc.nat(), max: fc.maxSafeInteger() }),
    revenue: fc.record({ nulls: fc.nat(), min: fc.double({ noNaN: true }), max: fc.double({ noNaN: true }) }),
  })
  .map(({ n, from, length, name, host, seq, revenue, ...sums }): CatalogFile => {
    const [minTime, maxTime] = [from, from + length];
    return {
      table: "events",
      key: `lake/events/fresh/dt=mixed/${n}.parquet`,
      kind: "fresh",
      ...sums,
      minDay: dayOf(minTime),
      maxDay: dayOf(maxTime),
      minTime,
      maxTime,
      minReceivedAt: minTime,
      maxReceivedAt: maxTime,
      eventNames: null,
      ...(name !== undefined && { partition: name }),
      columns: {
        page_host: host,
        log_seq: seq,
        revenue,
        event_time: { nulls: 0, min: minTime, max: maxTime },
        country: { nulls: sums.rows },
        no_such_column: { nulls: 0, min: 1, max: 2 },
      },
      schemaVersion: 1,
    };
  });

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

it("partitions a file by its day where it has one, and by its name where it was laid out so", () => {
  fc.assert(
    fc.property(file, (each) => {
      const { spec, partition } = partitionOf(each);
      const isOneDay = each.minDay === each.maxDay;
      expect(spec).toBe(isOneDay ? (each.partition === undefined ? 1 : 2) : 0);
      expect(Object.keys(partition)).toEqual(SPECS[spec]!.fields.map(({ name }) => name));
      if (isOneDay) expect(dayOf((partition.event_time_day as number) * DAY_US)).toBe(each.minDay);
    }),
  );
});

it("gives an independent reader the same files, counts and bounds, and inherits sequence numbers as the format says", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(file, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 2 ** 53 - 1 }),
      async (files, snapshotId) => {
        const objects = new Map<string, Uint8Array>();
        const manifests = SPECS.map((spec, n) => {
          const of = files.filter((each) => partitionOf(each).spec === spec["spec-id"]);
          const entries = of.map((each) => addedEntry(icebergDataFile(each, BUCKET, TABLES.events), snapshotId));
          const { bytes, facts } = encodeManifest(SCHEMA, spec, 7, entries);
          objects.set(`m${n}`, bytes);
          expect(decodeLiveEntries(bytes, 7)).toEqual(
            entries.map((entry) => ({ ...entry, data_file: unpacked(entry.data_file), ...NUMBERED })),
          );
          return { ...facts, key: `m${n}`, bytes: bytes.length, snapshotId, sequence: 7 };
        });
        expect(manifests.reduce((sum, { addedRows }) => sum + addedRows, 0)).toBe(rowsOf(files));
        objects.set("list", encodeManifestList({ snapshotId, parentId: null, sequence: 7 }, manifests, SPECS, BUCKET));
        const read = await readEntries(objects, {
          "current-snapshot-id": snapshotId,
          snapshots: [{ "snapshot-id": snapshotId, "manifest-list": `${BUCKET}/list` }],
        });
        const byPath = (a: { file_path: string }, b: { file_path: string }) => (a.file_path < b.file_path ? -1 : 1);
        const theirs = read.map(({ data_file }) => data_file).sort(byPath);
        const ours = files.map((each) => ({ each, file_path: `${BUCKET}/${each.key}` })).sort(byPath);
        expect(theirs.map(({ file_path }) => file_path)).toEqual(ours.map(({ file_path }) => file_path));
        for (const entry of read) {
          expect([entry.status, BigInt(entry.snapshot_id), BigInt(entry.sequence_number)]).toEqual([
            1,
            BigInt(snapshotId),
            7n,
          ]);
          const each = files.find(({ key }) => entry.data_file.file_path.endsWith(`/${key}`));
          if (files.filter(({ key }) => key === each!.key).length > 1) continue;
          const { lower_bounds: lower = [], upper_bounds: upper = [], record_count: rows } = entry.data_file;
          expect(Number(rows)).toBe(each!.rows);
          const bound = (bounds: typeof lower, id: number) => bounds.find(({ key }) => key === id)?.value;
          const { page_host, log_seq, revenue } = each!.columns;
          const encode = (value: unknown) => new TextEncoder().encode(value as string);
          expect(bound(lower, TABLES.events.page_host.id)).toEqual(encode(page_host!.min));
          expect(bound(upper, TABLES.events.page_host.id)).toEqual(encode(page_host!.max));
          expect(view(bound(upper, TABLES.events.log_seq.id)!).getBigInt64(0, true)).toBe(BigInt(log_seq!.max!));
          expect(view(bound(lower, TABLES.events.revenue.id)!).getFloat64(0, true)).toBe(
            revenue!.min === 0 ? -0 : revenue!.min,
          );
          expect(bound(lower, TABLES.events.country.id)).toBeUndefined();
        }
      },
    ),
    { numRuns: 60 },
  );
});

const NUMBERED = { sequence_number: 7, file_sequence_number: 7 };
const unpacked = (file: object) => ({
  column_sizes: null,
  nan_value_counts: null,
  key_metadata: null,
  split_offsets: null,
  equality_ids: null,
  ...file,
});
const rowsOf = (files: readonly CatalogFile[]) => files.reduce((sum, { rows }) => sum + rows, 0);

it("keeps the numbers of files that stay, and forgets those that went once they are written again", () => {
  const files = fc.sample(
    file.filter((each) => each.minDay !== each.maxDay),
    { numRuns: 6, seed: 3 },
  );
  const spec = SPECS[0]!;
  const added = files.map((each) => addedEntry(icebergDataFile(each, BUCKET, TABLES.events), 11));
  const first = decodeLiveEntries(encodeManifest(SCHEMA, spec, 1, added).bytes, 1);
  const { bytes, facts } = encodeManifest(SCHEMA, spec, 2, [
    ...first.slice(2).map(existingEntry),
    ...first.slice(0, 2).map((entry) => deletedEntry(entry, 22)),
  ]);
  expect(facts).toMatchObject({ addedFiles: 0, existingFiles: 4, deletedFiles: 2, minSequence: 1 });
  expect(facts.deletedRows).toBe(rowsOf(files.slice(0, 2)));
  const second = decodeLiveEntries(bytes, 2);
  expect(second.map(({ data_file }) => data_file.file_path)).toEqual(
    files.slice(2).map(({ key }) => `${BUCKET}/${key}`),
  );
  expect(second.every((entry) => entry.sequence_number === 1 && entry.snapshot_id === 11)).toBe(true);
});

it("takes a bound that JSON could not keep for none, and the lower of two zeros for the lower bound", () => {
  const [each] = fc.sample(file, { numRuns: 1, seed: 9 });
  const stored = JSON.parse(JSON.stringify({ nulls: 0, min: -0, max: Number.POSITIVE_INFINITY }));
  const { lower_bounds, upper_bounds } = icebergDataFile(
    { ...each!, columns: { revenue: stored } },
    BUCKET,
    TABLES.events,
  );
  expect(Object.is(view(lower_bounds[0]!.value).getFloat64(0, true), -0)).toBe(true);
  expect(upper_bounds).toEqual([]);
});

it("says a file is sorted only where it is", () => {
  const [each] = fc.sample(file, { numRuns: 1, seed: 5 });
  const oneDay = { ...each!, minDay: "2026-11-22", maxDay: "2026-11-22", eventNames: ["a", "b"] };
  const order = (of: CatalogFile) => icebergDataFile(of, BUCKET, TABLES.events).sort_order_id;
  expect(order(oneDay)).toBe(1);
  expect(order({ ...oneDay, eventNames: null })).toBeNull();
  expect(order({ ...oneDay, eventNames: ["😀", "\uffff"] })).toBeNull();
  expect(order({ ...oneDay, kind: "compact" })).toBeNull();
  expect(order({ ...oneDay, maxDay: "2026-11-23" })).toBeNull();
});
