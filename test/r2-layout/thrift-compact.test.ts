import fc from "fast-check";
import { expect, it } from "vitest";
import { readThrift, type Thrift, type ThriftStruct, writeThrift } from "../../r2-layout/thrift-compact.ts";

const scalar: fc.Arbitrary<Thrift> = fc.oneof(
  fc.boolean().map((value) => ({ type: "bool" as const, value })),
  fc.integer({ min: -128, max: 127 }).map((value) => ({ type: "int" as const, wire: 3 as const, value })),
  // Zigzag doubles a number, so that exactly half of the safe integers can be told apart.
  fc.integer({ min: -(2 ** 51), max: 2 ** 51 }).map((value) => ({ type: "int" as const, wire: 6 as const, value })),
  fc.double({ noNaN: true }).map((value) => ({ type: "double" as const, value })),
  fc.uint8Array({ maxLength: 200 }).map((value) => ({ type: "binary" as const, value })),
);
const { struct } = fc.letrec<{ struct: ThriftStruct; value: Thrift }>((tie) => ({
  value: fc.oneof(
    { weight: 4, arbitrary: scalar },
    { weight: 1, arbitrary: tie("struct") },
    fc.array(tie("struct"), { maxLength: 20 }).map((items) => ({ type: "list" as const, of: 12, items })),
    fc.array(fc.boolean(), { maxLength: 20 }).map((flags) => ({
      type: "list" as const,
      of: 1,
      items: flags.map((value) => ({ type: "bool" as const, value })),
    })),
  ),
  struct: fc
    .array(fc.tuple(fc.integer({ min: 1, max: 300 }), tie("value")), { maxLength: 6 })
    .map((fields) => ({ type: "struct" as const, fields: new Map(fields) })),
}));

it("reads back every tree that it writes", () => {
  fc.assert(
    fc.property(struct, (tree) => {
      expect(readThrift(writeThrift(tree))).toEqual(tree);
    }),
  );
});

it("refuses bytes that end early", () => {
  fc.assert(
    fc.property(struct, fc.nat(), (tree, cut) => {
      const bytes = writeThrift(tree);
      expect(() => readThrift(bytes.subarray(0, cut % bytes.length))).toThrow(RangeError);
    }),
  );
});
