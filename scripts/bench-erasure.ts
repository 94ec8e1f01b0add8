/**
 * `npm run bench:erasure`: 90 days of a shop's events in compacted files, and the erasure of 1, 100 and 10,000 people in one
 * pass over them: files and bytes written anew, in all and for each of them, and what the pass takes of a core.
 * `-- --events 100000` for so many events a day (5,000), `-- --files 8` for so many files of a day (4).
 *
 * Who comes often makes most of the traffic, as everywhere: people are drawn evenly from those who came, so most of them
 * came on a few days. Each run begins with the same files. They are those of the lake's past, or of what is live: what a rule
 * does to the live ones (queues/lake/rewrite.ts) is the same reading and writing.
 *
 * Checked: the rows that are left are those of everybody else, each once, by the sums of hashes of their keys; none names one
 * of the erased, in any object that there is.
 */
import { parseArgs } from "node:util";
import { ulid } from "ulidx";
import type { DataFile } from "../durable-objects/lake-catalog/api.ts";
import type { FileExchange } from "../durable-objects/lake-catalog/erasure-api.ts";
import { eraseTable, type LakeErasureDeps } from "../queues/erasure/stores/lake-files.ts";
import type { AnyRow } from "../r2-layout/arrow-rows.ts";
import { buildDataFile } from "../r2-layout/data-file.ts";
import type { EventRow } from "../r2-layout/event-columns.ts";
import { addTallies, EMPTY_TALLY, KEY_COLUMNS, sameSum, tallyOf } from "../r2-layout/key-tally.ts";
import { dataFileKey } from "../r2-layout/keys.ts";
import { decodeParquet } from "../r2-layout/parquet-reader.ts";
import { ParquetWriter } from "../r2-layout/parquet-writer.ts";
import { BASE_SCHEMA } from "../r2-layout/promoted-columns.ts";
import { type Subject, subjectHasher } from "../r2-layout/subjects.ts";
import { DAY_US, dayOf } from "../r2-layout/time.ts";
import { parquetModule } from "../test/r2-layout/parquet-module.ts";
import { count, expectEqual } from "./bench/figures.ts";
import { Random } from "./demo/random.ts";

const { events, files: filesAsked } = parseArgs({
  options: { events: { type: "string", default: "5000" }, files: { type: "string", default: "4" } },
}).values;
const EVENTS_PER_DAY = Number(events);
const FILES_PER_DAY = Number(filesAsked);
const DAYS = 90;
const PEOPLE = 200_000;
const SIZES = [1, 100, 10_000];
const FIRST_DAY_US = Date.UTC(2026, 6, 1) * 1_000;
const NAMES = ["Checkout Started", "Order Completed", "Product Added", "Product Viewed", "Search", "identify", "page"];

interface Lake {
  readonly files: readonly DataFile[];
  readonly objects: ReadonlyMap<string, Uint8Array>;
  readonly people: readonly number[];
}

const personId = (person: number): string => `customer-${String(person).padStart(7, "0")}`;

/** A few come daily, most once in a while: the chance falls with the square of where somebody stands. */
function eventsOf(day: number, random: Random, came: Set<number>): EventRow[] {
  const rows: EventRow[] = [];
  while (rows.length < EVENTS_PER_DAY) {
    const person = Math.floor(PEOPLE * random.next() ** 2);
    came.add(person);
    const visit = FIRST_DAY_US + day * DAY_US + random.int(0, 85_000) * 1_000_000;
    // A visit is a handful of events.
    for (let left = random.int(3, 15); left > 0 && rows.length < EVENTS_PER_DAY; left--) {
      const at = visit + left * 5_000_000;
      const name = NAMES[random.int(0, NAMES.length - 1)]!;
      rows.push({
        event_id: `e-${day}-${rows.length}`,
        event_name: name,
        event_type: name === "page" || name === "identify" ? name : "track",
        source: "shop",
        user_id: personId(person),
        anonymous_id: `device-${personId(person)}`,
        event_time: at,
        received_at: at + 200_000,
        page_url: `https://shop.example/products/${random.int(1, 600)}`,
        browser: "Firefox",
        country: "DE",
        properties:
          name === "identify" ? { plan: "basic" } : { product: String(random.int(1, 600)), step: String(left) },
        log_shard: 0,
        log_seq: day + 1,
      });
    }
  }
  return rows;
}

/** As compaction leaves a day: so many files, a name's events side by side. */
async function builtLake(): Promise<Lake> {
  const random = new Random(7);
  const came = new Set<number>();
  const files: DataFile[] = [];
  const objects = new Map<string, Uint8Array>();
  for (let day = 0; day < DAYS; day++) {
    const rows = eventsOf(day, random, came).sort((a, b) => (a.event_name < b.event_name ? -1 : 1));
    const perFile = Math.ceil(rows.length / FILES_PER_DAY);
    for (let from = 0; from < rows.length; from += perFile) {
      const part = rows.slice(from, from + perFile);
      const { bytes, facts } = await buildDataFile(new ParquetWriter(parquetModule), "events", part);
      const name = dayOf(FIRST_DAY_US + day * DAY_US);
      const key = dataFileKey({ table: "events", kind: "compact", day: name, ulid: ulid() });
      objects.set(key, bytes);
      files.push({ ...facts, key, kind: "compact", id: files.length + 1, addedSeq: 1, rules: 0 });
    }
  }
  return { files, objects, people: [...came].sort((a, b) => a - b) };
}

/** The catalog's part in it, and the bucket's: in memory. */
function standIn(lake: Lake) {
  const objects = new Map(lake.objects);
  let files = [...lake.files];
  const figures = { read: 0, written: 0 };
  const catalog: Partial<ReturnType<LakeErasureDeps["catalog"]["getByName"]>> = {
    erasable: async (table, version, afterId) =>
      files.filter((file) => file.table === table && file.id > afterId && file.rules < version).slice(0, 50),
    erasableStaged: async () => [],
    erasedObjects: async () => [],
    erasedDeleted: async () => {},
    unnamed: async () => [],
    schema: async () => ({ ...BASE_SCHEMA, snapshot: 1, conflicts: {} }),
    async exchange({ id, replacement, version }: FileExchange) {
      const { addedSeq } = files.find((file) => file.id === id)!;
      files = files.filter((file) => file.id !== id);
      if (replacement) files.push({ ...replacement, id: id + 1_000_000, addedSeq, rules: version });
      return "exchanged" as const;
    },
  };
  const deps = {
    parquet: parquetModule,
    catalog: { getByName: () => catalog },
    bucket: {
      async get(key: string, options?: { range: { offset: number; length: number } }) {
        const whole = objects.get(key);
        const { offset = 0, length = whole?.length ?? 0 } = options?.range ?? {};
        if (!whole) return null;
        figures.read += length;
        return { arrayBuffer: async () => whole.slice(offset, offset + length).buffer };
      },
      async put(key: string, body: Uint8Array) {
        figures.written += body.length;
        objects.set(key, body.slice());
      },
      async delete(keys: string | string[]) {
        for (const key of [keys].flat()) objects.delete(key);
      },
    },
  } as unknown as LakeErasureDeps;
  return { deps, objects, figures, files: () => files };
}

function rowsIn(bytes: Uint8Array): AnyRow[] {
  const decoded = decodeParquet(parquetModule, "events", bytes, KEY_COLUMNS);
  return Array.from({ length: decoded.length }, (_, i) => decoded.row(i));
}

/** Sums over the rows of everybody but some. */
function othersIn(objects: ReadonlyMap<string, Uint8Array>, erased: ReadonlySet<string>) {
  let tally = EMPTY_TALLY;
  let theirs = 0;
  for (const bytes of objects.values()) {
    const rows = rowsIn(bytes);
    const others = rows.filter((row) => !erased.has(row.user_id as string));
    theirs += rows.length - others.length;
    tally = addTallies([tally, tallyOf(others, [])]);
  }
  return { events: tally.events, theirs };
}

/** Drawn evenly from those who came. */
function drawn(people: readonly number[], size: number): string[] {
  const random = new Random(size);
  const ids = new Set<number>();
  while (ids.size < Math.min(size, people.length)) ids.add(people[random.int(0, people.length - 1)]!);
  return [...ids].map(personId);
}

async function run(lake: Lake, size: number): Promise<void> {
  const ids = drawn(lake.people, size);
  const subjects = ids.map((id): Subject => ({ kind: "user", id }));
  const hash = subjectHasher("bench");
  const before = othersIn(lake.objects, new Set(ids));
  const { deps, objects, figures, files } = standIn(lake);
  const cpu = process.cpuUsage();
  const { erased } = await eraseTable(deps, {
    table: "events",
    version: 1,
    subjects,
    hashes: new Set(subjects.map(hash)),
    hash,
    untilMs: Number.MAX_SAFE_INTEGER,
  });
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (user + system) / 1e6;
  const after = othersIn(objects, new Set(ids));
  expectEqual(`${size}: rows that name them`, after.theirs, 0);
  expectEqual(`${size}: rows taken out`, erased.rows, before.theirs);
  expectEqual(`${size}: everybody else's rows are the same`, sameSum(before.events, after.events), true);
  expectEqual(`${size}: files and objects`, files().length, objects.size);
  const rows = lake.files.reduce((sum, file) => sum + file.rows, 0);
  console.log(
    [
      `${count(size)} identifiers: ${count(erased.rows)} rows in ${count(erased.exchanged)} of ${count(lake.files.length)} files`,
      `written anew: ${count(figures.written / 1e3)} kB; for each of them: ${(erased.exchanged / size).toFixed(2)} files, ${count(figures.written / size / 1e3)} kB`,
      `${seconds.toFixed(1)} s of a core, ${count(rows / seconds)} rows/s; objects deleted: ${count(erased.exchanged)}`,
    ].join("\n  "),
  );
}

const lake = await builtLake();
const bytes = [...lake.objects.values()].reduce((sum, object) => sum + object.length, 0);
console.log(
  `${DAYS} days, ${count(EVENTS_PER_DAY * DAYS)} events of ${count(lake.people.length)} people, ${count(lake.files.length)} files, ${count(bytes / 1e6)} MB`,
);
for (const size of SIZES) await run(lake, size);
