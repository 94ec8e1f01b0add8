import { Field, makeData, RecordBatch, Schema, Struct, Table, tableToIPC, Utf8 } from "apache-arrow";
import { expect, it } from "vitest";
import { TRINO } from "../../../../r2-layout/limits.ts";
import { writePages } from "../../../../workers/query/trino/pages.ts";
import type { TrinoColumn } from "../../../../workers/query/trino/trino-types.ts";

/** One column of texts, in batches. */
function stream(batches: readonly (readonly string[])[]): ReadableStream<Uint8Array> {
  const schema = new Schema([new Field("t", new Utf8(), true)]);
  const made = batches.map((texts) => {
    const bytes = texts.map((text) => new TextEncoder().encode(text));
    const valueOffsets = new Int32Array(texts.length + 1);
    for (const [i, each] of bytes.entries()) valueOffsets[i + 1] = valueOffsets[i]! + each.length;
    const data = new Uint8Array(valueOffsets.at(-1)!);
    for (const [i, each] of bytes.entries()) data.set(each, valueOffsets[i]);
    const child = makeData({ type: new Utf8(), length: texts.length, valueOffsets, data });
    const struct = new Struct([new Field("t", new Utf8(), true)]);
    return new RecordBatch(schema, makeData({ type: struct, length: texts.length, children: [child] }));
  });
  return new Blob([tableToIPC(new Table(schema, made), "stream") as Uint8Array<ArrayBuffer>]).stream();
}

async function pagesOf(batches: readonly (readonly string[])[], resultBytes?: number) {
  const pages: { text: string; rows: number }[] = [];
  let columns: readonly TrinoColumn[] = [];
  const sink = {
    columns(given: readonly TrinoColumn[]) {
      columns = given;
    },
    page: (bytes: Uint8Array, rows: number) => void pages.push({ text: new TextDecoder().decode(bytes), rows }),
  };
  await writePages(stream(batches), sink, resultBytes);
  return { pages, columns };
}

it("writes rows of all batches as the inside of a JSON list", async () => {
  const { pages, columns } = await pagesOf([["a", 'b"'], ["😀"]]);
  expect(columns.map(({ name, type }) => [name, type])).toEqual([["t", "varchar"]]);
  expect(pages).toEqual([{ text: '["a"],["b\\""],["😀"]', rows: 3 }]);
});

it("ends a page at TRINO.pageChars, and not one before", async () => {
  // Four for the brackets and quotes of a row, one for the comma.
  const row = (chars: number) => "x".repeat(chars - 5);
  const whole = await pagesOf([[row(TRINO.pageChars - 1), "y"]]);
  expect(whole.pages.map(({ rows }) => rows)).toEqual([2]);
  const cut = await pagesOf([[row(TRINO.pageChars), "y"]]);
  expect(cut.pages.map(({ rows }) => rows)).toEqual([1, 1]);
});

it("takes a row of TRINO.pageBytesMax bytes and none longer", async () => {
  const row = (bytes: number) => "x".repeat(bytes - 4);
  expect((await pagesOf([[row(TRINO.pageBytesMax)]])).pages.length).toBe(1);
  await expect(pagesOf([[row(TRINO.pageBytesMax + 1)]])).rejects.toThrow("A row exceeds");
});

it("takes as many bytes in all as it is told, TRINO.resultBytes, and no more", async () => {
  // Two rows of five characters and a comma.
  expect((await pagesOf([["a", "b"]], 11)).pages.length).toBe(1);
  await expect(pagesOf([["a", "b"]], 10)).rejects.toThrow("A result exceeds 10 bytes");
});

it("writes no page of no rows", async () => {
  expect((await pagesOf([])).pages).toEqual([]);
});
