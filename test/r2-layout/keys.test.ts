import fc from "fast-check";
import { expect, it } from "vitest";
import {
  dataFileKey,
  icebergKey,
  parseDataFileKey,
  parseIcebergKey,
  parseSegmentKey,
  segmentKey,
} from "../../r2-layout/keys.ts";

const ulid = fc.string({ unit: fc.constantFrom(..."0123456789ABCDEFGHJKMNPQRSTVWXYZ"), minLength: 26, maxLength: 26 });
const day = fc
  .date({ min: new Date(0), max: new Date("2200-01-01"), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10));

it("reads back every segment key it makes", () => {
  fc.assert(
    fc.property(ulid, day, fc.nat(5_000), (id, date, shard) => {
      const key = segmentKey({ receivedAtUs: Date.parse(date) * 1_000, shard, ulid: id });
      expect(parseSegmentKey(key)).toEqual({ day: date, shard, ulid: id });
    }),
  );
});

it("reads back every data file key it makes", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("events", "quarantine"),
      fc.constantFrom("fresh", "compact"),
      fc.option(day),
      ulid,
      (table, kind, date, id) => {
        const part = { table, kind, day: date, ulid: id } as const;
        expect(parseDataFileKey(dataFileKey(part))).toEqual(part);
      },
    ),
  );
});

it("reads back every key of Iceberg's metadata that it makes, and takes none for a data file", () => {
  const table = fc.constantFrom("events" as const, "quarantine" as const);
  fc.assert(
    fc.property(table, ulid, fc.nat(), fc.maxSafeInteger(), (name, id, version, snapshot) => {
      for (const key of [
        icebergKey({ table: name, kind: "metadata", version, ulid: id }),
        icebergKey({ table: name, kind: "manifest-list", snapshotId: Math.abs(snapshot), ulid: id }),
        icebergKey({ table: name, kind: "manifest", ulid: id }),
      ]) {
        expect(parseIcebergKey(key)).toEqual({ table: name, ulid: id });
        expect(parseDataFileKey(key)).toBeNull();
      }
    }),
  );
});

it.each([
  "",
  "log/x",
  "lake/events/fresh/dt=2026-11-22/x.parquet",
  "lake/other/fresh/dt=mixed/01ARZ3NDEKTSV4RRFFQ69G5FAV.parquet",
])("takes %j for no key of ours", (key) => {
  expect(parseSegmentKey(key)).toBeNull();
  expect(parseDataFileKey(key)).toBeNull();
  expect(parseIcebergKey(key)).toBeNull();
});
