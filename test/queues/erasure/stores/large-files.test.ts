/** Files of many row groups: those that their filters rule out are left unread, those without a row that goes stay as they lie. */
import { expect, it } from "vitest";
import type { DataFile } from "../../../../durable-objects/lake-catalog/api.ts";
import type { FileExchange } from "../../../../durable-objects/lake-catalog/erasure-api.ts";
import { eraseTable, type LakeErasureDeps } from "../../../../queues/erasure/stores/lake-files.ts";
import { fileParts } from "../../../../queues/lake/file-parts.ts";
import { type CompactStore, compactFiles } from "../../../../queues/maintenance/compact-files.ts";
import type { AnyRow } from "../../../../r2-layout/arrow-rows.ts";
import { mayHoldText } from "../../../../r2-layout/bloom-filter.ts";
import { buildDataFile } from "../../../../r2-layout/data-file.ts";
import type { EventRow } from "../../../../r2-layout/event-columns.ts";
import { dataFileKey } from "../../../../r2-layout/keys.ts";
import { LAKE, LAKE_ERASURE } from "../../../../r2-layout/limits.ts";
import { decodeParquet } from "../../../../r2-layout/parquet-reader.ts";
import { ParquetWriter } from "../../../../r2-layout/parquet-writer.ts";
import { BASE_SCHEMA } from "../../../../r2-layout/promoted-columns.ts";
import { type Subject, subjectHasher } from "../../../../r2-layout/subjects.ts";
import { eventRow } from "../../../r2-layout/event-rows.ts";
import { parquetModule as parquet } from "../../../r2-layout/parquet-module.ts";

const ROWS = 3_000;
const hash = subjectHasher("k");

function memoryBucket() {
  const objects = new Map<string, Uint8Array>();
  const read = { bytes: 0 };
  const bucket: CompactStore & LakeErasureDeps["bucket"] = {
    async get(key, options) {
      const whole = objects.get(key);
      if (!whole) return null;
      const { offset, length } = options?.range ?? { offset: 0, length: whole.length };
      const part = whole.slice(offset, offset + length);
      read.bytes += part.length;
      return { arrayBuffer: async () => part.buffer };
    },
    put: async (key: string, body: Uint8Array) => void objects.set(key, body.slice()),
    async createMultipartUpload(key) {
      const parts: Uint8Array[] = [];
      return {
        uploadId: "u",
        uploadPart: async (partNumber, body) => {
          parts[partNumber - 1] = body.slice();
          return { partNumber, etag: "e" };
        },
        complete: async () => void objects.set(key, new Uint8Array(Buffer.concat(parts))),
        abort: async () => {},
      };
    },
    resumeMultipartUpload: () => ({ abort: async () => {} }),
    async delete(keys) {
      for (const key of [keys].flat()) objects.delete(key);
    },
  };
  return { objects, bucket, read };
}

/** Row groups of 300 rows, sorted by name and user: with an event each that has an address, and an alias. */
async function largeFile({ objects, bucket }: ReturnType<typeof memoryBucket>): Promise<DataFile> {
  const { rowGroupRows, batchRows } = LAKE;
  const rows = Array.from({ length: ROWS }, (_, i) => eventRow(i, { user_id: `user-${i % 100}`, anonymous_id: null }));
  rows[10] = { ...rows[10]!, event_name: "a", properties: { email: "Mia@example.com" } };
  rows[20] = { ...rows[20]!, event_name: "a", properties: { previous_id: "user-was" } };
  const { bytes, facts } = await buildDataFile(new ParquetWriter(parquet), "events", rows);
  const key = dataFileKey({ table: "events", kind: "fresh", day: facts.minDay, ulid: "0".repeat(26) });
  objects.set(key, bytes);
  try {
    Object.assign(LAKE, { rowGroupRows: 300, batchRows: 100 });
    const uploads = { began: async () => {}, ended: async () => {} };
    const [made] = await compactFiles({ bucket, uploads, parquet }, { table: "events", files: [{ ...facts, key }] });
    objects.delete(key);
    return { ...made!, id: 1, addedSeq: 1, rules: 0 };
  } finally {
    Object.assign(LAKE, { rowGroupRows, batchRows });
  }
}

async function erased(subjects: readonly Subject[], wholeFileBytes: number) {
  const store = memoryBucket();
  const file = await largeFile(store);
  const exchanges: FileExchange[] = [];
  const catalog: Partial<ReturnType<LakeErasureDeps["catalog"]["getByName"]>> = {
    erasable: async (_, __, afterId) => (afterId < 1 ? [file] : []),
    erasableStaged: async () => [],
    erasedObjects: async () => [],
    erasedDeleted: async () => {},
    unnamed: async () => [],
    schema: async () => ({ ...BASE_SCHEMA, snapshot: 1, conflicts: {} }),
    async exchange(change) {
      exchanges.push(change);
      return "exchanged";
    },
  };
  const { wholeFileBytes: before, rewriteRows } = LAKE;
  try {
    Object.assign(LAKE, { wholeFileBytes, rewriteRows: 250 });
    const deps = { bucket: store.bucket, parquet, catalog: { getByName: () => catalog as never } };
    const who = { subjects, hashes: new Set(subjects.map(hash)), hash };
    store.read.bytes = 0;
    const { erased } = await eraseTable(deps, {
      ...who,
      table: "events",
      version: 1,
      untilMs: Number.MAX_SAFE_INTEGER,
    });
    const { bytes } = store.read;
    const replacement = exchanges[0]?.replacement;
    const parts = replacement ? await fileParts(store.bucket, replacement) : [];
    return { erased, exchanges, file, read: bytes, parts, objects: store.objects };
  } finally {
    Object.assign(LAKE, { wholeFileBytes: before, rewriteRows });
  }
}

function rowsOf(bytes: Uint8Array): AnyRow[] {
  const decoded = decodeParquet(parquet, "events", bytes);
  return Array.from({ length: decoded.length }, (_, i) => decoded.row(i));
}
const ids = (rows: readonly AnyRow[]) => rows.map(({ event_id }) => event_id as string).sort();

const CASES: readonly (readonly [who: string, Subject, rows: number])[] = [
  ["a user", { kind: "user", id: "user-7" }, 30],
  ["an address", { kind: "email", id: "mia@example.com" }, 1],
  ["who somebody was before", { kind: "user", id: "user-was" }, 1],
];

it.each(CASES)(
  "loses the same rows as one read whole, by %s, and the others are those that were there",
  async (_, subject, rows) => {
    const whole = await erased([subject], Number.MAX_SAFE_INTEGER);
    const parted = await erased([subject], 1);
    for (const { erased: of, exchanges, objects, file } of [whole, parted]) {
      expect(of.rows).toBe(rows);
      const { key, rows: left } = exchanges[0]!.replacement!;
      expect(left).toBe(ROWS - rows);
      expect(objects.has(file.key)).toBe(false);
      expect(rowsOf(objects.get(key)!)).toHaveLength(left);
    }
    const left = ({ exchanges, objects }: typeof whole) => ids(rowsOf(objects.get(exchanges[0]!.replacement!.key)!));
    expect(left(parted)).toEqual(left(whole));
    expect(exchangesTally(parted)).toEqual(exchangesTally(whole));
    // Every row group has its filters still: nobody else's lookup has to read more than before.
    for (const part of parted.parts) {
      const filters = await part.filters();
      const users = new Set(rowsOf(await part.read()).map((row) => (row as unknown as EventRow).user_id!));
      expect([...users].every((user) => mayHoldText(filters.get("user_id")!, user))).toBe(true);
    }
  },
);

const exchangesTally = ({ exchanges }: { exchanges: readonly FileExchange[] }) => exchanges[0]!.tallies;

it("leaves row groups unread that the filters rule out, for up to LAKE_ERASURE.filteredSubjects", async () => {
  const nobody = (n: number): Subject => ({ kind: "user", id: `nobody-${n}` });
  const one = await erased([nobody(0)], 1);
  expect(one.erased).toMatchObject({ files: 1, rows: 0, exchanged: 0 });
  // One row group has properties that may name somebody.
  expect(one.read).toBeLessThan(one.file.bytes);
  const many = Array.from({ length: LAKE_ERASURE.filteredSubjects + 1 }, (_, n) => nobody(n));
  const all = await erased(many, 1);
  expect(all.erased).toMatchObject({ rows: 0, exchanged: 0 });
  expect(all.read).toBeGreaterThan(all.file.bytes / 2);
});
