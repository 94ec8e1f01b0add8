/** Files of many row groups are gone over a row group at a time; what comes of it is what comes of a file read whole. */
import { expect, it } from "vitest";
import type { DataFile, PlanRequest } from "../../../durable-objects/lake-catalog/api.ts";
import { fileParts } from "../../../queues/lake/file-parts.ts";
import { createLakeRows } from "../../../queues/lake/read-rows.ts";
import { type ChangedRow, type LakeRules, type LakeStore, rewriteFile } from "../../../queues/lake/rewrite.ts";
import { type CompactStore, compactFiles } from "../../../queues/maintenance/compact-files.ts";
import type { AnyRow } from "../../../r2-layout/arrow-rows.ts";
import { mayHoldText } from "../../../r2-layout/bloom-filter.ts";
import { chunkSizes } from "../../../r2-layout/chunk-sizes.ts";
import { buildDataFile } from "../../../r2-layout/data-file.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { dataFileKey } from "../../../r2-layout/keys.ts";
import { LAKE } from "../../../r2-layout/limits.ts";
import { columnChunks, readFooter, rowGroupRows } from "../../../r2-layout/parquet-footer.ts";
import { decodeParquet } from "../../../r2-layout/parquet-reader.ts";
import { ParquetWriter } from "../../../r2-layout/parquet-writer.ts";
import type { RuleAt } from "../../../r2-layout/rule.ts";
import { packSubjects, type Subject, subjectHasher } from "../../../r2-layout/subjects.ts";
import { eventRow } from "../../r2-layout/event-rows.ts";
import { parquetModule as parquet } from "../../r2-layout/parquet-module.ts";

const writer = new ParquetWriter(parquet);

/** A bucket in memory that knows how large the largest thing was that was asked of it. */
function memoryBucket() {
  const objects = new Map<string, Uint8Array>();
  const largest = { bytes: 0 };
  const read = { bytes: 0 };
  const bucket: CompactStore & LakeStore = {
    async get(key, options) {
      const whole = objects.get(key);
      if (!whole) return null;
      const { offset, length } = options?.range ?? { offset: 0, length: whole.length };
      const part = whole.slice(offset, offset + length);
      largest.bytes = Math.max(largest.bytes, part.length);
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
  };
  return { objects, bucket, largest, read };
}

const uploads = { began: async () => {}, ended: async () => {} };
const ROWS = 4_000;

async function largeFile(store: ReturnType<typeof memoryBucket>): Promise<DataFile> {
  const { rowGroupRows: rowsMax, batchRows } = LAKE;
  const files = [];
  for (let part = 0; part < 2; part++) {
    const rows = Array.from({ length: ROWS / 2 }, (_, i) =>
      eventRow(2 * i + part, { event_time: 1_795_305_600_000_000 + i * 1_000, log_seq: 1 + Math.floor(i / 100) }),
    );
    const { bytes, facts } = await buildDataFile(writer, "events", rows);
    const key = dataFileKey({ table: "events", kind: "fresh", day: facts.minDay, ulid: `0${part}`.padStart(26, "0") });
    store.objects.set(key, bytes);
    files.push({ ...facts, key });
  }
  try {
    Object.assign(LAKE, { rowGroupRows: 600, batchRows: 200 });
    const [made] = await compactFiles({ bucket: store.bucket, uploads, parquet }, { table: "events", files });
    return { ...made!, id: 1, addedSeq: 1, rules: 0 };
  } finally {
    Object.assign(LAKE, { rowGroupRows: rowsMax, batchRows });
  }
}

function rowsOf(bytes: Uint8Array): AnyRow[] {
  const decoded = decodeParquet(parquet, "events", bytes);
  return Array.from({ length: decoded.length }, (_, i) => decoded.row(i));
}

const byId = (rows: readonly AnyRow[]) => rows.toSorted((a, b) => (String(a.event_id) < String(b.event_id) ? -1 : 1));

const rule = (version: number, part: Pick<RuleAt, "filter" | "change">): RuleAt =>
  ({ version, seq: 1_000, ...part }) as RuleAt;
const rulesOf = (...rules: RuleAt[]): LakeRules => ({ version: rules.length, byShard: new Map([[0, rules]]) });

/** With files above and below LAKE.wholeFileBytes, a large one in slices of LAKE.rewriteRows. */
async function bothWays<T>(size: number, run: () => Promise<T>): Promise<{ parted: T; whole: T }> {
  const { wholeFileBytes, rewriteRows } = LAKE;
  try {
    Object.assign(LAKE, { wholeFileBytes: size });
    const whole = await run();
    Object.assign(LAKE, { wholeFileBytes: size - 1, rewriteRows: 250 });
    return { parted: await run(), whole };
  } finally {
    Object.assign(LAKE, { wholeFileBytes, rewriteRows });
  }
}

it("a file at LAKE.wholeFileBytes is one part, a larger one a part a row group", async () => {
  const store = memoryBucket();
  const file = await largeFile(store);
  const parts = await bothWays(file.bytes, () => fileParts(store.bucket, file));
  const groups = rowGroupRows(readFooter(store.objects.get(file.key)!));
  expect([parts.whole.length, parts.parted.length]).toEqual([1, groups.length]);
  expect(groups.length).toBeGreaterThan(5);
  const rows = [];
  for (const part of parts.parted) rows.push(...rowsOf(await part.read()));
  expect(rows).toEqual(rowsOf(store.objects.get(file.key)!));
});

it("a rule changes and retracts the same rows of it, in slices of LAKE.rewriteRows; row groups without one stay as they lie", async () => {
  const rules = rulesOf(
    rule(1, {
      filter: { where: { user_id: ["user-2", "user-4"] } },
      change: { kind: "set", values: { country: "FR" } },
    }),
    rule(2, {
      filter: { where: { event_name: ["Order Completed"], user_id: ["user-6"] } },
      change: { kind: "retract" },
    }),
  );
  const store = memoryBucket();
  const file = await largeFile(store);
  const { parted, whole } = await bothWays(file.bytes, async () => {
    const told: ChangedRow[] = [];
    store.largest.bytes = 0;
    const outcome = await rewriteFile(
      { bucket: store.bucket, parquet },
      file,
      rules,
      async ({ rows }) => void told.push(...rows),
      [],
    );
    if (outcome.kind !== "changed") throw new Error(outcome.kind);
    return { ...outcome, told, largest: store.largest.bytes };
  });
  expect(parted.told).toEqual(whole.told);
  expect([parted.changed, parted.retracted]).toEqual([whole.changed, whole.retracted]);
  expect(parted.retracted).toBeGreaterThan(0);
  expect(parted.largest).toBeLessThan(whole.largest);
  const [one, other] = [parted.replacement!, whole.replacement!].map(({ key }) => store.objects.get(key)!);
  expect(byId(rowsOf(one!))).toEqual(byId(rowsOf(other!)));
  const { key: _, bytes, nameRows: __, chunks, ...facts } = parted.replacement!;
  expect(bytes).toBe(one!.length);
  const { key: ___, bytes: ____, nameRows: _____, chunks: ______, ...wanted } = whole.replacement!;
  expect(facts).toEqual(wanted);
  expect(chunks).toEqual(chunkSizes(readFooter(one!), one!));
  // Filters of copied row groups are where they say that they are.
  const filtered = columnChunks(readFooter(one!)).filter(
    ({ path, bloomFilter }) => path[0] === "user_id" && bloomFilter,
  );
  expect(filtered.length).toBeGreaterThan(0);
  for (const { bloomFilter } of filtered) {
    const { start, bytes: size } = bloomFilter!;
    expect(mayHoldText(one!.subarray(start, start + size), "nobody at all")).toBe(false);
  }
});

it("of a rule about few people whose names are known, row groups whose filters have none of them are not read; the same rows go", async () => {
  const hash = subjectHasher("a key of tests");
  const store = memoryBucket();
  const file = await largeFile(store);
  const erasing = async (subjects: readonly Subject[], isKnown: boolean) => {
    const filter = { subjects: packSubjects(subjects.map(hash)) };
    const rules = {
      ...rulesOf(rule(1, { filter, change: { kind: "erase" } })),
      ...(isKnown && { people: { versions: [1], subjects } }),
    };
    const told: ChangedRow[] = [];
    const { parted } = await bothWays(file.bytes, async () => {
      store.read.bytes = 0;
      told.length = 0;
      const deps = { bucket: store.bucket, parquet, hash };
      const { kind } = await rewriteFile(deps, file, rules, async ({ rows }) => void told.push(...rows), []);
      return { kind, told: [...told], bytes: store.read.bytes };
    });
    return parted;
  };
  const some: Subject[] = [{ kind: "user", id: "user-2" }];
  const [known, unknown] = [await erasing(some, true), await erasing(some, false)];
  expect(known.told).toEqual(unknown.told);
  expect(known.told.length).toBeGreaterThan(0);
  const nobody = await erasing([{ kind: "user", id: "nobody at all" }], true);
  expect(nobody.kind).toBe("unchanged");
  expect(unknown.bytes - nobody.bytes).toBeGreaterThan(file.bytes / 2);
});

it("a rule that takes every row leaves no file", async () => {
  const store = memoryBucket();
  const file = await largeFile(store);
  const all = rulesOf(rule(1, { filter: {}, change: { kind: "retract" } }));
  const { parted } = await bothWays(file.bytes, () =>
    rewriteFile({ bucket: store.bucket, parquet }, file, all, async () => {}, []),
  );
  expect(parted).toMatchObject({ kind: "changed", replacement: null, retracted: ROWS });
});

it("its rows come by their place in the log as they come of a file read whole", async () => {
  const store = memoryBucket();
  const file = await largeFile(store);
  const catalog = {
    status: async () => ({ cursors: { 0: { cursor: 20 } } }),
    plan: async (_: PlanRequest) => ({ files: [{ ...file, minSeq: 1, maxSeq: 20 }] }),
  };
  const { parted, whole } = await bothWays(file.bytes, async () => {
    const read = createLakeRows({ bucket: store.bucket, catalog: { getByName: () => catalog } as never, parquet });
    const steps: (readonly [number, number, EventRow[]])[] = [];
    const rules = { version: 0, rules: [] };
    for await (const { from, to, events } of read({ shard: 0, after: 3, to: 20, rules, maxEvents: 500 })) {
      steps.push([from, to, events]);
    }
    return steps;
  });
  expect(parted).toEqual(whole);
  expect(parted.flatMap(([, , events]) => events).length).toBe(17 * 200);
});
