import fc from "fast-check";
import { avroMetadata, avroRead } from "icebird";
import { expect, it } from "vitest";
import { decodeContainer } from "../../../r2-layout/iceberg/avro-decode.ts";
import { ByteSink, encodeContainer, encoderOf } from "../../../r2-layout/iceberg/avro-encode.ts";
import { type AvroRecord, keyValues, optional, required } from "../../../r2-layout/iceberg/avro-schema.ts";

const SCHEMA: AvroRecord = {
  type: "record",
  name: "sample",
  fields: [
    required(1, "text", "string"),
    required(2, "number", "long"),
    required(3, "flag", "boolean"),
    optional(4, "bytes", "bytes"),
    optional(5, "day", { type: "int", logicalType: "date" }),
    required(6, "inner", { type: "record", name: "inner", fields: [optional(7, "name", "string")] }),
    optional(8, "counts", keyValues(9, 10, "long")),
    optional(11, "offsets", { type: "array", items: "long", "element-id": 12 }),
  ],
};

const long = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer(),
  fc.constantFrom(0, -1, 63, 64, -64, -65, 8_191, 8_192, 2 ** 30 - 1, 2 ** 30, -(2 ** 30), -(2 ** 30) - 1, 2 ** 31),
  fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
);
const nullable = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null });
const text = fc.oneof(fc.string(), fc.string({ unit: "grapheme", minLength: 20, maxLength: 90 }));
const sample = fc.record({
  text,
  number: long,
  flag: fc.boolean(),
  bytes: nullable(fc.uint8Array()),
  day: nullable(fc.integer({ min: -700_000, max: 700_000 })),
  inner: fc.record({ name: nullable(text) }),
  counts: nullable(fc.array(fc.record({ key: fc.nat(), value: long }))),
  offsets: nullable(fc.array(long)),
});

it("reads back every container it writes", () => {
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 30 }), text, (values, note) => {
      const file = decodeContainer(encodeContainer(SCHEMA, { note }, values));
      expect(file.values).toEqual(values);
      expect(file.metadata).toMatchObject({ note, "avro.codec": "deflate" });
    }),
    { numRuns: 200 },
  );
});

it("writes containers of many blocks, which an independent reader reads the same", async () => {
  const values = fc.sample(sample, { numRuns: 3_000, seed: 7 });
  const bytes = encodeContainer(SCHEMA, {}, values);
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
  const { metadata, syncMarker } = await avroMetadata(reader);
  const read = (await avroRead({ reader, metadata, syncMarker })) as unknown as Record<string, unknown>[];
  expect(read).toHaveLength(values.length);
  for (const [at, value] of values.entries()) {
    const theirs = read[at]!;
    expect(theirs.text).toBe(value.text);
    expect(BigInt(theirs.number as number | bigint)).toBe(BigInt(value.number));
    expect(theirs.flag).toBe(value.flag);
    expect(theirs.inner).toEqual(value.inner.name === null ? {} : value.inner);
  }
  expect(decodeContainer(bytes).values).toEqual(values);
});

it("refuses a number that is not exact, a required value that is missing, and bytes that were cut or changed", () => {
  const sink = new ByteSink();
  expect(() => encoderOf("long")(sink, 2 ** 53)).toThrow(RangeError);
  expect(() => encoderOf("long")(sink, 0.5)).toThrow(RangeError);
  expect(() => encoderOf(SCHEMA)(sink, { text: "a" })).toThrow(TypeError);
  const bytes = encodeContainer(SCHEMA, {}, fc.sample(sample, { numRuns: 20, seed: 1 }));
  for (const length of [0, 3, 20, bytes.length - 1]) expect(() => decodeContainer(bytes.slice(0, length))).toThrow();
  expect(() => decodeContainer(Uint8Array.of(...bytes.slice(0, -1), bytes.at(-1)! ^ 1))).toThrow("damaged");
});
