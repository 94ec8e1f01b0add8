import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BLOCK_BYTES, blockOf, blocksFor, mayHold, setBits } from "../../../durable-objects/event-log/bloom.ts";
import { IdSet } from "../../../durable-objects/event-log/id-set.ts";
import { sortedBytesHold, sortIds, toBytes, toWords } from "../../../durable-objects/event-log/packed-ids.ts";
import { hex, packedIds } from "./random-ids.ts";

/** Few distinct bytes, so that ids share prefixes and collide. */
const id = fc
  .array(fc.constantFrom(0, 1, 127, 128, 255), { minLength: 16, maxLength: 16 })
  .map((bytes) => Uint8Array.from(bytes));
const ids = fc.array(fc.oneof(id, fc.uint8Array({ minLength: 16, maxLength: 16 })), { maxLength: 200 });
const packed = (list: readonly Uint8Array[]) => Uint8Array.from(list.flatMap((bytes) => [...bytes]));
const texts = (bytes: Uint8Array) =>
  Array.from({ length: bytes.length / 16 }, (_, i) => hex(bytes.subarray(i * 16, i * 16 + 16)));

describe("packed ids", () => {
  it("come back from words as they were", () => {
    fc.assert(
      fc.property(ids, (list) => {
        expect(toBytes(toWords(packed(list)))).toEqual(packed(list));
      }),
    );
  });

  it("are sorted as SQLite sorts blobs, equal ones and shared prefixes included", () => {
    fc.assert(
      fc.property(ids, (list) => {
        expect(texts(toBytes(sortIds(toWords(packed(list)))))).toEqual(texts(packed(list)).sort());
      }),
    );
  });

  it("are found in a sorted row if and only if they are in it", () => {
    fc.assert(
      fc.property(ids, ids, (held, asked) => {
        const row = toBytes(sortIds(toWords(packed(held))));
        const inRow = new Set(texts(row));
        const words = toWords(packed([...held, ...asked]));
        texts(packed([...held, ...asked])).forEach((text, i) => {
          expect(sortedBytesHold(row, words, i)).toBe(inRow.has(text));
        });
      }),
    );
  });

  it("are refused where the bytes are not whole ids", () => {
    expect(() => toWords(new Uint8Array(17))).toThrow(RangeError);
  });
});

describe("an id set", () => {
  it("holds what was added and nothing else, however often it grows", () => {
    fc.assert(
      fc.property(ids, ids, (added, asked) => {
        const set = new IdSet(2);
        const model = new Set<string>();
        const words = toWords(packed(added));
        texts(packed(added)).forEach((text, i) => {
          expect(set.add(words, i)).toBe(!model.has(text));
          model.add(text);
        });
        expect(set.size).toBe(model.size);
        const askedWords = toWords(packed(asked));
        texts(packed(asked)).forEach((text, i) => {
          expect(set.has(askedWords, i)).toBe(model.has(text));
        });
      }),
    );
  });
});

describe("the Bloom filter", () => {
  const count = 100_000;
  const blocks = blocksFor(count);
  const bits = new Uint8Array(blocks * BLOCK_BYTES);
  const words = toWords(packedIds(0, count));
  for (let i = 0; i < count; i++) setBits(bits, blockOf(words, i, blocks) * BLOCK_BYTES, words, i);

  it("never denies an id that was added", () => {
    for (let i = 0; i < count; i++) {
      if (!mayHold(bits, blockOf(words, i, blocks) * BLOCK_BYTES, words, i)) expect.fail(`id ${i} denied`);
    }
  });

  it("takes fewer than 3 in 1,000 absent ids for present at 16 bits an id", () => {
    const absent = toWords(packedIds(count, 2 * count));
    let maybe = 0;
    for (let i = 0; i < count; i++) if (mayHold(bits, blockOf(absent, i, blocks) * BLOCK_BYTES, absent, i)) maybe++;
    expect(maybe / count).toBeLessThan(0.003);
    expect(maybe).toBeGreaterThan(0); // Else the test asked for the wrong bits.
  });

  it("keeps blocks in the order of ids, so that sorted ids read it from front to back", () => {
    const sorted = sortIds(words);
    for (let i = 1; i < count; i++) {
      if (blockOf(sorted, i, blocks) < blockOf(sorted, i - 1, blocks)) expect.fail(`block of id ${i} goes back`);
    }
  });
});
