/**
 * Where a job's rows come from: the log while it has them, the lake for what is older. Rows passed through the rules in
 * force. What the live sink has left out as a hole is left out here too: it comes back as a redrive, or not at all. What the
 * lake has elsewhere is given where the sink has it (lake-places.ts).
 */
import type { EventLogApi, EventLogPlacesApi, EventLogRulesApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { RecordedHole, SinkName } from "../../durable-objects/sink-cursor/api.ts";
import type { EventRow, QuarantineRow } from "../../r2-layout/event-columns.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import { rulesReader } from "../../r2-layout/rule.ts";
import type { SegmentRef } from "../../r2-layout/segment.ts";
import type { SubjectHasher } from "../../r2-layout/subjects.ts";
import {
  type LogPage,
  LogReader,
  type LogStep,
  SegmentDamaged,
  type SegmentReader,
  type ShardRules,
} from "../read-log.ts";
import { type Damage, type LeftOutPart, readSegment } from "../read-segment.ts";
import { segmentObject } from "../segment-object.ts";
import { asTheSinkHasThem, type RedrivenRow } from "./lake-places.ts";
import type { ReadState, RowOrigin } from "./reads.ts";

export interface SourceRows {
  readonly rules: number;
  readonly events: readonly EventRow[];
  readonly quarantine: readonly QuarantineRow[];
}

export interface RowSource {
  /** Where the next step of a read ends: at most `maxEvents`, one segment at least. */
  cut(read: ReadState, sink: SinkName, maxEvents: number): Promise<{ readonly to: number; readonly origin: RowOrigin }>;
  /**
   * The rows of segments after..to (exclusive, inclusive), less what the sink does not get.
   * @param onDamage says what of a segment that cannot be read is to be left out. Absent: the damage is thrown.
   */
  rows(read: ReadState, to: number, origin: RowOrigin, sink: SinkName, onDamage?: OnDamage): Promise<SourceRows>;
  /** Events in a part of a shard's log, as far as the log knows: for people. */
  count(shard: number, after: number, to: number): Promise<number>;
  /** What a live sink has left out, whether it came back or not. */
  holes(sink: SinkName, shard: number): Promise<readonly RecordedHole[]>;
}

export type OnDamage = (damage: Damage) => Promise<LeftOutPart>;

/** Steps of the lake's rows in the order of their seqs, dense: each begins where the one before ended, the last ends at `to`. */
export type LakeRows = (request: {
  readonly shard: number;
  readonly after: number;
  readonly to: number;
  readonly window?: ReadState["window"];
  readonly rules: ShardRules;
  /** As `LakeRowsRequest`. */
  readonly missesExpired?: boolean;
  readonly maxEvents: number;
}) => AsyncIterable<{
  readonly from: number;
  readonly to: number;
  readonly rules: number;
  readonly events: EventRow[];
}>;

export interface RowSourceDeps {
  readonly logs: ObjectNamespace<
    Pick<EventLogApi, "segments" | "count"> & Pick<EventLogRulesApi, "rules"> & Pick<EventLogPlacesApi, "between">
  >;
  readonly bucket: SegmentReader;
  /** As `LogReadDeps.hash`. */
  readonly hash?: SubjectHasher;
  readonly lakeRows: LakeRows;
  /** All of a live sink's holes, those that came back, too. */
  holes(sink: SinkName, shard: number): Promise<readonly RecordedHole[]>;
  /**
   * The lake's cursor, where a window is better read from the lake, which finds it by its time, than from all of the log
   * since; null for a sink that must not depend on the lake. Where lake and sink have not the same events of a part of the
   * log, because one of them left some out, it is read from the log all the same.
   */
  readonly lakeCursor: ((shard: number) => Promise<number>) | null;
  /** Whether rows that have expired are missed; absent: by rollups. */
  readonly missesExpired?: boolean;
}

/** Made for one invocation: it remembers pages, rules and holes. */
export function rowSource(deps: RowSourceDeps): RowSource {
  return new LogThenLake(deps);
}

class LogThenLake implements RowSource {
  readonly #deps: RowSourceDeps;
  readonly #readers = new Map<number, LogReader>();
  readonly #oldest = new Map<number, number>();
  readonly #holes = new Map<string, readonly RecordedHole[]>();
  readonly #redrives = new Map<string, readonly RedrivenRow[]>();
  #page: { readonly of: string; readonly page: LogPage } | null = null;
  #lakeStep: { readonly of: string; readonly rows: SourceRows } | null = null;

  constructor(deps: RowSourceDeps) {
    this.#deps = deps;
  }

  async cut(read: ReadState, sink: SinkName, maxEvents: number): Promise<{ to: number; origin: RowOrigin }> {
    const lakeUntil = await this.#lakeUntil(read, sink);
    if (read.after < lakeUntil) return { to: await this.#lakeCut(read, lakeUntil, maxEvents, sink), origin: "lake" };
    // Before the log is asked: what comes back in between is then left out twice, and not given twice.
    await this.holes(sink, read.shard);
    const { segments, head } = await this.#pageOf(read, sink);
    if (head < read.to) throw new Error(`shard ${read.shard} ends at ${head}, before ${read.to}`);
    return { to: cutSegments(segments, read.to, maxEvents), origin: "log" };
  }

  async rows(read: ReadState, to: number, origin: RowOrigin, sink: SinkName, onDamage?: OnDamage): Promise<SourceRows> {
    return origin === "lake" ? this.#fromLake(read, to, sink) : this.#fromLog(read, to, sink, onDamage);
  }

  async count(shard: number, after: number, to: number): Promise<number> {
    const { events, quarantined } = await this.#deps.logs.getByName(shardName(shard)).count(after, to);
    return events + quarantined;
  }

  async #fromLog(read: ReadState, to: number, sink: SinkName, onDamage?: OnDamage): Promise<SourceRows> {
    const open = (await this.holes(sink, read.shard)).filter(({ redrivenAs }) => redrivenAs === null);
    const left = new Map(open.map((hole) => [hole.seq, hole]));
    const options = { sink, leftOut: (seq: number) => left.get(seq), ...(onDamage && { onDamage }) };
    const events: EventRow[] = [];
    const quarantine: QuarantineRow[] = [];
    let rules = 0;
    for (let at = read.after; at < to; ) {
      const page = await this.#pageOf({ ...read, after: at }, sink);
      const segments = page.segments.filter(({ seq }) => seq <= to);
      if (segments.length === 0) throw new Error(`shard ${read.shard} has no segment after ${at}`);
      let step: LogStep | undefined;
      for await (step of this.#reader(read.shard).steps({ ...page, segments }, at, options)) {
        for (const row of step.events) events.push(row);
        for (const row of step.quarantine) quarantine.push(row);
      }
      at = step!.to;
      rules = step!.rules;
    }
    return { rules, events, quarantine };
  }

  /** The first page that the lake gives is the cut; its rows are kept for the call that follows. */
  async #lakeCut(read: ReadState, until: number, maxEvents: number, sink: SinkName): Promise<number> {
    const first = await this.#lake(read, Math.min(until, read.to), maxEvents, sink).next();
    if (first.done) throw new Error(`the lake gave nothing of shard ${read.shard} after ${read.after}`);
    const { to, rules, events } = first.value;
    this.#lakeStep = { of: cutName(read, to), rows: { rules, events, quarantine: [] } };
    return to;
  }

  async #fromLake(read: ReadState, to: number, sink: SinkName): Promise<SourceRows> {
    const kept = this.#lakeStep;
    this.#lakeStep = null;
    if (kept?.of === cutName(read, to)) return kept.rows;
    const events: EventRow[] = [];
    let rules = 0;
    for await (const step of this.#lake(read, to, REPLAY.stepEvents, sink)) {
      for (const row of step.events) events.push(row);
      rules = step.rules;
    }
    return { rules, events, quarantine: [] };
  }

  async *#lake({ shard, after, window }: ReadState, to: number, maxEvents: number, sink: SinkName) {
    const rules = await this.#deps.logs.getByName(shardName(shard)).rules();
    // Rollups keep hours and days for good: built anew without what has expired they would have less.
    const { missesExpired = sink === "rollups" } = this.#deps;
    const steps = this.#deps.lakeRows({ shard, after, to, rules, maxEvents, missesExpired, ...(window && { window }) });
    if (sink === "lake") return yield* steps;
    const [own, lake] = [await this.holes(sink, shard), await this.holes("lake", shard)];
    const holes = { own, lake, oldest: await this.#oldestOf(shard) };
    const rowsOf = (seq: number) => this.#redriven(shard, seq, rules, own);
    for await (const step of steps) {
      yield { ...step, events: await asTheSinkHasThem({ ...step, ...(window && { window }) }, holes, rowsOf) };
    }
  }

  /** Less what is an open hole of the sink: it gets that from nowhere. @throws SegmentDamaged */
  async #redriven(
    shard: number,
    seq: number,
    rules: ShardRules,
    own: readonly RecordedHole[],
  ): Promise<readonly RedrivenRow[]> {
    const hole = own.find((one) => one.seq === seq && one.redrivenAs === null);
    if (hole?.lines === "all") return [];
    const of = `${shard}/${seq}/${rules.version}/${hole?.lines ?? ""}`;
    let rows = this.#redrives.get(of);
    if (!rows) {
      const log = this.#deps.logs.getByName(shardName(shard));
      const { segments } = await log.segments(seq - 1, 1);
      if (segments[0]?.seq !== seq) throw new Error(`the log does not have ${seq} of shard ${shard} any more`);
      const { ref, body } = await segmentObject(segments[0], this.#deps.bucket, log);
      const part = readSegment(ref, body, shard, hole?.lines ?? [], false);
      if ("cause" in part) throw new SegmentDamaged(part);
      const through = rulesReader(rules.rules, this.#deps.hash);
      rows = part.events.map((was) => ({ was, is: through(was) }));
      this.#redrives.set(of, rows);
    }
    return rows;
  }

  /** The first seq that the log has. */
  async #oldestOf(shard: number): Promise<number> {
    let oldest = this.#oldest.get(shard);
    if (oldest === undefined) {
      oldest = (await this.#deps.logs.getByName(shardName(shard)).between(0, 0)).oldest;
      this.#oldest.set(shard, oldest);
    }
    return oldest;
  }

  /** The last seq that is to be read from the lake. */
  async #lakeUntil({ shard, to, window }: ReadState, sink: SinkName): Promise<number> {
    const oldest = await this.#oldestOf(shard);
    const { lakeCursor } = this.#deps;
    if (!window || !lakeCursor || (await this.#differ(sink, shard, to))) return Math.min(to, oldest - 1);
    return Math.min(to, Math.max(oldest - 1, await lakeCursor(shard)));
  }

  /**
   * Whether up to this seq the lake has events that the sink has not, or the other way round: one of them left some out, and
   * has them, if at all, from a later segment.
   */
  async #differ(sink: SinkName, shard: number, to: number): Promise<boolean> {
    if (sink === "lake") return false;
    const holes = [...(await this.holes("lake", shard)), ...(await this.holes(sink, shard))];
    return holes.some(({ seq, redrivenAs }) => seq <= to && (redrivenAs === null || redrivenAs > to));
  }

  #reader(shard: number): LogReader {
    let reader = this.#readers.get(shard);
    if (!reader) {
      reader = new LogReader(shard, this.#deps);
      this.#readers.set(shard, reader);
    }
    return reader;
  }

  async #pageOf({ shard, after }: ReadState, sink: SinkName): Promise<LogPage> {
    const of = `${sink}/${shard}/${after}`;
    if (this.#page?.of !== of) this.#page = { of, page: await this.#reader(shard).page(after, sink) };
    return this.#page.page;
  }

  async holes(sink: SinkName, shard: number): Promise<readonly RecordedHole[]> {
    const of = `${sink}/${shard}`;
    let holes = this.#holes.get(of);
    if (!holes) {
      holes = await this.#deps.holes(sink, shard);
      this.#holes.set(of, holes);
    }
    return holes;
  }
}

const cutName = ({ shard, after }: ReadState, to: number) => `${shard}/${after}/${to}`;

/** Pure. @returns the last seq of a step: one segment at least. */
export function cutSegments(segments: readonly SegmentRef[], to: number, maxEvents: number): number {
  let events = 0;
  let bytes = 0;
  let last: number | null = null;
  for (const segment of segments) {
    if (segment.seq > to) break;
    events += segment.events;
    bytes += segment.bytes;
    if (last !== null && (events > maxEvents || bytes > REPLAY.stepBytes)) break;
    last = segment.seq;
  }
  if (last === null) throw new Error(`the log has no segment up to ${to}`);
  return last;
}
