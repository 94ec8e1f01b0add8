/**
 * Fresh files as the lake's sink writes them, by the thousand: what an event is about comes from a pool of sessions of a
 * shop, encoded once; which event it is, whose and when is each file's own. Rows are sorted as the sink sorts them.
 */
import { randomFillSync } from "node:crypto";
import { type Data, makeData, RecordBatch, type Schema, Struct } from "apache-arrow";
import { ulid } from "ulidx";
import type { NewDataFile } from "../../durable-objects/lake-catalog/api.ts";
import { arrowSchema } from "../../r2-layout/arrow-columns.ts";
import { recordBatch } from "../../r2-layout/arrow-rows.ts";
import { nameFacts } from "../../r2-layout/data-file.ts";
import { EVENT_COLUMNS, type EventRow } from "../../r2-layout/event-columns.ts";
import { dataFileKey } from "../../r2-layout/keys.ts";
import { joinParts } from "../../r2-layout/parquet-footer.ts";
import { encodeRowGroup, writerProperties } from "../../r2-layout/parquet-writer.ts";
import { fileBounds } from "../../r2-layout/statistics.ts";
import { dayOf } from "../../r2-layout/time.ts";
import { Random } from "../demo/random.ts";

/** Sorted by name, as rows are. */
const NAMES = [
  { name: "Checkout Started", share: 0.04 },
  { name: "Order Completed", share: 0.02 },
  { name: "Product Added", share: 0.11 },
  { name: "Product Viewed", share: 0.26 },
  { name: "Search", share: 0.1 },
  { name: "identify", share: 0.02 },
  { name: "page", share: 0.45 },
] as const;

const COUNTRIES = ["DE", "US", "FR", "GB", "NL", "ES", "IT", "PL", "SE", "JP"];
const AGENTS = [
  { browser: "Chrome", browser_version: "142.0.0", os: "Windows", os_version: "11", device_type: "desktop" },
  { browser: "Safari", browser_version: "26.1", os: "iOS", os_version: "26.1", device_type: "mobile" },
  { browser: "Firefox", browser_version: "145.0", os: "Linux", os_version: null, device_type: "desktop" },
];
const USERS = 200_000;
/** Makes a fifth of all traffic. */
const HOT_USER = 4_710;
const HOT_SHARE = 0.2;
export const HOT_USER_ID = userId(HOT_USER);

/** What the rows of all files amount to, by event name. */
export interface Tally {
  rows: number;
  serials: number;
  /** Of their squares modulo a prime: with the sum, each serial is there once. */
  squares: number;
  hot: number;
}
export const SQUARES_MODULO = 1_000_003;

/** The event's running number in its id: `evt-` and ten digits. */
export const SERIAL_SQL = "cast(substr(event_id, 5, 10) as bigint)";

function userId(number: number): string {
  return `customer-${String(number).padStart(7, "0")}`;
}

/** What an event of a session is about, in the order of the file's rows. */
function sessionRows(rows: number, random: Random): EventRow[] {
  const events: EventRow[] = [];
  for (const [at, { name, share }] of NAMES.entries()) {
    const last = at === NAMES.length - 1;
    const count = last ? rows - events.length : Math.round(rows * share);
    for (let i = 0; i < count; i++) {
      const product = random.int(1, 600);
      const path = `/products/${product}`;
      const cents = name === "Order Completed" ? random.int(100, 20_000) : null;
      const visitor = random.int(1, 50_000);
      events.push({
        event_id: "",
        event_name: name,
        event_type: name === "page" || name === "identify" ? name : "track",
        source: "shop",
        user_id: "",
        anonymous_id: "",
        event_time: 0,
        received_at: 0,
        sent_at: 0,
        client_time: 0,
        sdk: "analytics.js/npm:next-1.84.3",
        page_url: `https://shop.example${path}`,
        page_path: path,
        page_host: "shop.example",
        page_title: `Product ${product} – Shop`,
        referrer: "https://search.example/",
        utm_source: visitor % 5 === 0 ? "newsletter" : null,
        locale: "de-DE",
        ...AGENTS[visitor % AGENTS.length]!,
        country: COUNTRIES[visitor % COUNTRIES.length]!,
        region: "Bavaria",
        city: visitor % 2 === 0 ? "München" : "Augsburg",
        revenue: cents === null ? null : cents / 100,
        currency: cents === null ? null : "EUR",
        properties: { product_id: `sku-${product}`, price: String(12.5 + (product % 40)), list: "search" },
        log_shard: 0,
        log_seq: 0,
      });
    }
  }
  return events;
}

export class FreshFiles {
  readonly #rows: number;
  readonly #pool: { readonly batch: RecordBatch; readonly names: readonly string[] }[];
  readonly #schema: Schema = arrowSchema(EVENT_COLUMNS);
  readonly #random: Random;
  readonly #bytes = new Uint8Array(1 << 16);
  #serial = 0;
  #seq = 0;
  readonly tallies = new Map<string, Tally>();

  constructor(rows: number, seed: number, templates: number, firstSerial = 0) {
    this.#rows = rows;
    this.#serial = firstSerial;
    this.#random = new Random(seed);
    this.#pool = Array.from({ length: templates }, () => {
      const events = sessionRows(rows, this.#random);
      const batch = recordBatch(this.#schema, EVENT_COLUMNS, events);
      return { batch, names: events.map((event) => event.event_name) };
    });
  }

  /** A file whose events lie within `spanUs` from `fromUs` on, of one day. */
  async next(fromUs: number, spanUs: number): Promise<{ bytes: Uint8Array; file: NewDataFile }> {
    const { batch, names } = this.#pool[this.#seq % this.#pool.length]!;
    this.#seq++;
    const rows = this.#rows;
    const { users, times } = this.#places(names, fromUs, spanUs);
    const own: Record<string, Data> = {
      event_id: this.#ids(names, users),
      user_id: texts(users.map((user) => (user % 2 === 0 ? userId(user) : null))),
      anonymous_id: texts(users.map((user) => `4f1d${String(user).padStart(8, "0")}-9c1e-4b0a-8f00`)),
      event_time: micros(batch, "event_time", times),
      received_at: micros(
        batch,
        "received_at",
        times.map((time) => time + 800_000 + (time % 700_000)),
      ),
      sent_at: micros(
        batch,
        "sent_at",
        times.map((time) => time + 500),
      ),
      client_time: micros(batch, "client_time", times),
      log_seq: micros(
        batch,
        "log_seq",
        times.map(() => this.#seq),
      ),
    };
    const children = this.#schema.fields.map(({ name }, at) => own[name] ?? batch.data.children[at]!);
    const struct = makeData({ type: new Struct(this.#schema.fields), length: rows, nullCount: 0, children });
    const made = new RecordBatch(this.#schema, struct);
    const part = await encodeRowGroup([made][Symbol.iterator](), writerProperties(EVENT_COLUMNS));
    const { bytes, footer } = joinParts([part]);
    const columns = fileBounds(footer, EVENT_COLUMNS);
    const counts = new Map<string, number>();
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    const [minTime, maxTime] = [columns.event_time!.min as number, columns.event_time!.max as number];
    const day = dayOf(minTime);
    const file: NewDataFile = {
      table: "events",
      key: dataFileKey({ table: "events", kind: "fresh", day, ulid: ulid() }),
      kind: "fresh",
      bytes: bytes.length,
      rows,
      minDay: day,
      maxDay: dayOf(maxTime),
      minTime,
      maxTime,
      minReceivedAt: columns.received_at!.min as number,
      maxReceivedAt: columns.received_at!.max as number,
      ...nameFacts(counts),
      columns,
      schemaVersion: 1,
    };
    return { bytes, file };
  }

  /** Whose each row is, and when: within a name the unnamed first, then by user, then by time. */
  #places(names: readonly string[], fromUs: number, spanUs: number): { users: number[]; times: number[] } {
    const users: number[] = [];
    const times = names.map(() => fromUs + Math.floor(this.#random.next() * spanUs));
    for (let start = 0; start < names.length; ) {
      let end = start + 1;
      while (end < names.length && names[end] === names[start]) end++;
      const group = Array.from({ length: end - start }, () =>
        this.#random.chance(HOT_SHARE) ? HOT_USER : Math.floor(this.#random.next() ** 2 * USERS),
      );
      group.sort((a, b) => (b % 2) - (a % 2) || a - b);
      for (let i = 0; i < group.length; ) {
        let j = i + 1;
        while (j < group.length && group[j] === group[i]) j++;
        if (j - i > 1) {
          const sorted = times.slice(start + i, start + j).sort((a, b) => a - b);
          for (const [k, time] of sorted.entries()) times[start + i + k] = time;
        }
        i = j;
      }
      users.push(...group);
      start = end;
    }
    return { users, times };
  }

  #ids(names: readonly string[], users: readonly number[]): Data {
    randomFillSync(this.#bytes, 0, 8 * names.length);
    const random = Buffer.from(this.#bytes.buffer, 0, 8 * names.length).toString("hex");
    return texts(
      names.map((name, i) => {
        const serial = this.#serial++;
        const tally = this.tallies.get(name) ?? { rows: 0, serials: 0, squares: 0, hot: 0 };
        tally.rows++;
        tally.serials += serial;
        tally.squares += (serial * serial) % SQUARES_MODULO;
        if (users[i] === HOT_USER) tally.hot++;
        this.tallies.set(name, tally);
        return `evt-${String(serial).padStart(10, "0")}-${random.slice(16 * i, 16 * i + 16)}`;
      }),
    );
  }

  get serial(): number {
    return this.#serial;
  }
}

const encoder = new TextEncoder();
const TEXT = arrowSchema(EVENT_COLUMNS).fields.find(({ name }) => name === "user_id")!.type;

/** ASCII. */
function texts(values: readonly (string | null)[]): Data {
  const valueOffsets = new Int32Array(values.length + 1);
  const nullBitmap = new Uint8Array((values.length + 7) >> 3);
  let nullCount = 0;
  for (const [i, value] of values.entries()) {
    if (value === null) nullCount++;
    else nullBitmap[i >> 3]! |= 1 << (i & 7);
    valueOffsets[i + 1] = valueOffsets[i]! + (value?.length ?? 0);
  }
  const data = encoder.encode(values.map((value) => value ?? "").join(""));
  return makeData({ type: TEXT, length: values.length, nullCount, nullBitmap, valueOffsets, data } as never) as Data;
}

function micros(batch: RecordBatch, name: string, values: readonly number[]): Data {
  const type = batch.schema.fields.find((field) => field.name === name)!.type;
  const data = new BigInt64Array(values.length);
  for (let i = 0; i < values.length; i++) data[i] = BigInt(values[i]!);
  return makeData({ type, length: values.length, nullCount: 0, data } as never) as Data;
}
