/**
 * The lake as a source of rows by their place in the log, for sinks that are built anew from further back than the log
 * goes: steps in the order of the seqs, as a reader of the log gives them, though files are sorted otherwise.
 *
 * A first look takes only the places of a file's rows, a second the rows themselves; files are asked in the order of
 * their first seq, so a step reads those whose parts of the log it touches and no others. Memory: packed files and the
 * places of their rows (`LAKE.placeCacheBytes` each), one part of a file decoded, a row group at most, and the rows of a step.
 */
import type { LakeCatalogApi, PlannedFile } from "../../durable-objects/lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { ExpiredReach } from "../../durable-objects/lake-catalog/retention-api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { LAKE, SINK } from "../../r2-layout/limits.ts";
import { type DecodedRows, decodeParquet } from "../../r2-layout/parquet-reader.ts";
import { type RuleAt, rulesReader } from "../../r2-layout/rule.ts";
import { compareText } from "../../r2-layout/statistics.ts";
import type { SubjectHasher } from "../../r2-layout/subjects.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import { BoundedCache } from "./bounded-cache.ts";
import { type FilePart, fileParts, type PartStore } from "./file-parts.ts";

export interface ReadRowsDeps {
  readonly bucket: PartStore;
  readonly catalog: ObjectNamespace<Pick<LakeCatalogApi, "plan" | "status">>;
  /** parquet-wasm's module. */
  readonly parquet: WebAssembly.Module;
  /** As `LogReadDeps.hash`. */
  readonly hash?: SubjectHasher;
}

export interface LakeRowsRequest {
  readonly shard: number;
  /** Exclusive, inclusive. */
  readonly after: number;
  readonly to: number;
  /** Only events in this range of event_time, milliseconds, half open. */
  readonly window?: { readonly from: number; readonly to: number };
  /** The shard's rules: rows of a file go through those that the file has not passed. */
  readonly rules: { readonly version: number; readonly rules: readonly RuleAt[] };
  /** Whether rows of this part that have expired are missed: of a store that keeps what it made of them. */
  readonly missesExpired?: boolean;
  /** Of one step, unless one seq alone has more. */
  readonly maxEvents?: number;
}

/** Rows with from < log_seq <= to. */
export interface LakeRowsStep {
  readonly from: number;
  readonly to: number;
  readonly rules: number;
  readonly events: EventRow[];
}

/**
 * Steps are dense: the first begins at `after`, each other where the one before ended, the last ends at `to`, also where
 * there is no row. All of them are of one snapshot. What is read twice in one invocation is kept at hand between calls.
 * @throws RangeError where the lake has not reached `to`, RowsExpired where rows that are missed have expired; an Error that begins with "rules:" where a file has passed a
 *   newer rule than the request names.
 */
export function createLakeRows(deps: ReadRowsDeps): (request: LakeRowsRequest) => AsyncGenerator<LakeRowsStep> {
  const cache = new PlaceCache(deps);
  return (request) => steps(deps, cache, request);
}

async function* steps(deps: ReadRowsDeps, cache: PlaceCache, request: LakeRowsRequest): AsyncGenerator<LakeRowsStep> {
  const { to, rules, maxEvents = SINK.stepEvents } = request;
  const files = await plannedParts(deps, request);
  let at = request.after;
  while (at < to) {
    const ahead = files.filter(({ maxSeq = to }) => maxSeq > at);
    const next = await smallestPlaces(cache, ahead, request, at, maxEvents + 1);
    const end = stepEnd(next, maxEvents, to);
    const events: EventRow[] = [];
    for (const file of ahead) {
      if ((file.minSeq ?? 0) > end) break;
      const due = rules.rules.filter(({ version }) => version > (file.rules ?? 0));
      const through = rulesReader(due, deps.hash);
      for await (const row of rowsBetween(cache, file, request, at, end)) {
        const left = through(row);
        if (left) events.push(left);
      }
    }
    events.sort(byPlace);
    yield { from: at, to: end, rules: rules.version, events };
    at = end;
  }
}

/** Some rows of this part of the log have expired: who builds anew from the lake has fewer than there were. */
export class RowsExpired extends RangeError {
  readonly shard: number;
  /** Up to and with this seq. */
  readonly seq: number;

  constructor(shard: number, seq: number) {
    super(`rows of shard ${shard} up to ${seq} have expired from the lake: to build anew without them would lose them`);
    this.name = "RowsExpired";
    this.shard = shard;
    this.seq = seq;
  }
}

const overlaps = ({ after, window }: LakeRowsRequest, expired: ExpiredReach): boolean =>
  after < expired.to &&
  (!window || (window.from * MICROS_PER_MS <= expired.maxTime && window.to * MICROS_PER_MS > expired.minTime));

/** In the order of their first seq. */
async function plannedFiles({ catalog }: ReadRowsDeps, request: LakeRowsRequest): Promise<PlannedFile[]> {
  const { shard, after, to, window, rules } = request;
  const lake = catalog.getByName(LAKE_CATALOG_NAME);
  const { cursors, expiredReach } = await lake.status();
  const reached = cursors[shard]?.cursor ?? 0;
  if (reached < to) throw new RangeError(`the lake has shard ${shard} up to ${reached}, not ${to}`);
  const expired = request.missesExpired ? expiredReach?.[shard] : undefined;
  if (expired && overlaps(request, expired)) throw new RowsExpired(shard, Math.min(to, expired.to));
  const { files } = await lake.plan({
    table: "events",
    log: { shard, after, to },
    ...(window && { from: window.from * MICROS_PER_MS, to: window.to * MICROS_PER_MS }),
  });
  const ahead = files.find((file) => (file.rules ?? 0) > rules.version);
  if (ahead)
    throw new Error(`rules: ${ahead.key} has passed rule ${ahead.rules}, the newest known is ${rules.version}`);
  return files.sort((a, b) => (a.minSeq ?? 0) - (b.minSeq ?? 0));
}

/** A part of a file, with what the plan says of the file. */
type PlannedPart = PlannedFile & { readonly part: FilePart };

async function plannedParts(deps: ReadRowsDeps, request: LakeRowsRequest): Promise<PlannedPart[]> {
  const { after, to } = request;
  const parts: PlannedPart[] = [];
  for (const file of await plannedFiles(deps, request)) {
    for (const part of await fileParts(deps.bucket, file)) {
      const minSeq = part.minSeq ?? file.minSeq;
      const maxSeq = part.maxSeq ?? file.maxSeq;
      if ((minSeq !== undefined && minSeq > to) || (maxSeq !== undefined && maxSeq <= after)) continue;
      parts.push({
        ...file,
        part,
        ...(minSeq !== undefined && { minSeq }),
        ...(maxSeq !== undefined && { maxSeq }),
      });
    }
  }
  return parts.sort((a, b) => (a.minSeq ?? 0) - (b.minSeq ?? 0));
}

/** The `count` smallest seqs after `at` of rows asked for, in order, or all of them. */
async function smallestPlaces(
  cache: PlaceCache,
  files: readonly PlannedPart[],
  request: LakeRowsRequest,
  at: number,
  count: number,
): Promise<number[]> {
  let smallest: number[] = [];
  const cut = () => {
    smallest.sort((a, b) => a - b);
    smallest = smallest.slice(0, count);
  };
  for (const file of files) {
    if (smallest.length >= count) {
      cut();
      if ((file.minSeq ?? 0) > smallest[count - 1]!) break;
    }
    for (const seq of await cache.places(file, request)) if (seq > at && seq <= request.to) smallest.push(seq);
  }
  cut();
  return smallest;
}

/** Where a step ends that has at most `maxEvents` rows, one seq at least. @param next one row more, if there is one. */
function stepEnd(next: readonly number[], maxEvents: number, to: number): number {
  if (next.length <= maxEvents) return to;
  const beyond = next[maxEvents]!;
  return beyond > next[0]! ? beyond - 1 : beyond;
}

async function* rowsBetween(
  cache: PlaceCache,
  file: PlannedPart,
  request: LakeRowsRequest,
  after: number,
  to: number,
): AsyncGenerator<EventRow> {
  const places = await cache.places(file, request);
  const wanted = (seq: number) => seq > after && seq <= to;
  if (!places.some(wanted)) return;
  const rows = await cache.rows(file.part);
  for (let i = 0; i < places.length; i++) if (wanted(places[i]!)) yield rows.row(i) as EventRow;
}

/** Files of a lake never change under their key, so what is kept of them is right for ever. */
class PlaceCache {
  readonly #deps: ReadRowsDeps;
  readonly #objects = new BoundedCache<Uint8Array>(LAKE.placeCacheBytes);
  #decoded: { readonly name: string; readonly rows: DecodedRows } | null = null;
  readonly #places = new BoundedCache<Float64Array>(LAKE.placeCacheBytes);

  constructor(deps: ReadRowsDeps) {
    this.#deps = deps;
  }

  /** Decoded: the last one asked for, because the steps that follow mostly ask for the same. */
  async rows(part: FilePart): Promise<DecodedRows> {
    const { name } = part;
    if (this.#decoded?.name !== name) {
      this.#decoded = null;
      this.#decoded = { name, rows: decodeParquet(this.#deps.parquet, "events", await this.object(part)) };
    }
    return this.#decoded.rows;
  }

  async object(part: FilePart): Promise<Uint8Array> {
    return this.#objects.get(part.name) ?? this.#objects.keep(part.name, await part.read());
  }

  /** The log_seq of each row in file order, 0 for a row that is not asked for: of another shard or time. */
  async places({ part }: PlannedPart, { shard, window }: LakeRowsRequest): Promise<Float64Array> {
    const name = `${part.name} ${shard} ${window?.from} ${window?.to}`;
    const known = this.#places.get(name);
    if (known) return known;
    const bytes = await this.object(part);
    const rows = decodeParquet(this.#deps.parquet, "events", bytes, ["log_shard", "log_seq", "event_time"]);
    const from = window ? window.from * MICROS_PER_MS : Number.NEGATIVE_INFINITY;
    const to = window ? window.to * MICROS_PER_MS : Number.POSITIVE_INFINITY;
    const places = new Float64Array(rows.length);
    for (let i = 0; i < rows.length; i++) {
      const row = rows.row(i) as EventRow;
      if (row.log_shard === shard && row.event_time >= from && row.event_time < to) places[i] = row.log_seq;
    }
    return this.#places.keep(name, places);
  }
}

/** A seq's rows have no order in the lake; this one is the same for every reader. */
const byPlace = (a: EventRow, b: EventRow): number =>
  a.log_seq - b.log_seq || a.event_time - b.event_time || compareText(a.event_id, b.event_id);
