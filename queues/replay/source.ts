/**
 * Where a job's rows come from: the log while it has them, the lake for what is older. Rows passed through the rules in
 * force. What the live sink has left out as a hole is left out here too: it comes back as a redrive, or not at all.
 */
import type { EventLogApi, EventLogPlacesApi, EventLogRulesApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { HolesApi, SinkName } from "../../durable-objects/sink-cursor/api.ts";
import type { EventRow, QuarantineRow } from "../../r2-layout/event-columns.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import type { SegmentRef } from "../../r2-layout/segment.ts";
import { type LogPage, LogReader, type LogStep, type SegmentReader, type ShardRules } from "../read-log.ts";
import type { LeftOutPart } from "../read-segment.ts";
import type { ReadState, RowOrigin } from "./reads.ts";

export interface SourceRows {
  readonly rules: number;
  readonly events: readonly EventRow[];
  readonly quarantine: readonly QuarantineRow[];
}

export interface RowSource {
  /** Where the next step of a read ends: at most `maxEvents`, one segment at least. */
  cut(read: ReadState, sink: SinkName, maxEvents: number): Promise<{ readonly to: number; readonly origin: RowOrigin }>;
  /** The rows of segments after..to (exclusive, inclusive), less what the sink does not get. */
  rows(read: ReadState, to: number, origin: RowOrigin, sink: SinkName): Promise<SourceRows>;
  /** Events in a part of a shard's log, as far as the log knows: for people. */
  count(shard: number, after: number, to: number): Promise<number>;
}

/** Steps of the lake's rows in the order of their seqs, dense: each begins where the one before ended, the last ends at `to`. */
export type LakeRows = (request: {
  readonly shard: number;
  readonly after: number;
  readonly to: number;
  readonly window?: ReadState["window"];
  readonly rules: ShardRules;
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
  readonly lakeRows: LakeRows;
  /** The live sink's holes. */
  holes(sink: SinkName, shard: number): Promise<Awaited<ReturnType<HolesApi["holes"]>>>;
  /**
   * The lake's cursor, where a window is better read from the lake, which finds it by its time, than from all of the log
   * since; null for a sink that must not depend on the lake.
   */
  readonly lakeCursor: ((shard: number) => Promise<number>) | null;
}

/** Made for one invocation: it remembers pages, rules and holes. */
export function rowSource(deps: RowSourceDeps): RowSource {
  return new LogThenLake(deps);
}

class LogThenLake implements RowSource {
  readonly #deps: RowSourceDeps;
  readonly #readers = new Map<number, LogReader>();
  readonly #oldest = new Map<number, number>();
  readonly #left = new Map<string, ReadonlyMap<number, LeftOutPart>>();
  #page: { readonly of: string; readonly page: LogPage } | null = null;
  #lakeStep: { readonly of: string; readonly rows: SourceRows } | null = null;

  constructor(deps: RowSourceDeps) {
    this.#deps = deps;
  }

  async cut(read: ReadState, sink: SinkName, maxEvents: number): Promise<{ to: number; origin: RowOrigin }> {
    const lakeUntil = await this.#lakeUntil(read);
    if (read.after < lakeUntil) return { to: await this.#lakeCut(read, lakeUntil, maxEvents), origin: "lake" };
    const { segments, head } = await this.#pageOf(read, sink);
    if (head < read.to) throw new Error(`shard ${read.shard} ends at ${head}, before ${read.to}`);
    return { to: cutSegments(segments, read.to, maxEvents), origin: "log" };
  }

  async rows(read: ReadState, to: number, origin: RowOrigin, sink: SinkName): Promise<SourceRows> {
    return origin === "lake" ? this.#fromLake(read, to) : this.#fromLog(read, to, sink);
  }

  async count(shard: number, after: number, to: number): Promise<number> {
    const { events, quarantined } = await this.#deps.logs.getByName(shardName(shard)).count(after, to);
    return events + quarantined;
  }

  async #fromLog(read: ReadState, to: number, sink: SinkName): Promise<SourceRows> {
    const left = await this.#leftOut(sink, read.shard);
    const options = { sink, leftOut: (seq: number) => left.get(seq) };
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
  async #lakeCut(read: ReadState, until: number, maxEvents: number): Promise<number> {
    const first = await this.#lake(read, Math.min(until, read.to), maxEvents).next();
    if (first.done) throw new Error(`the lake gave nothing of shard ${read.shard} after ${read.after}`);
    const { to, rules, events } = first.value;
    this.#lakeStep = { of: cutName(read, to), rows: { rules, events, quarantine: [] } };
    return to;
  }

  async #fromLake(read: ReadState, to: number): Promise<SourceRows> {
    const kept = this.#lakeStep;
    this.#lakeStep = null;
    if (kept?.of === cutName(read, to)) return kept.rows;
    const events: EventRow[] = [];
    let rules = 0;
    for await (const step of this.#lake(read, to, REPLAY.stepEvents)) {
      for (const row of step.events) events.push(row);
      rules = step.rules;
    }
    return { rules, events, quarantine: [] };
  }

  async *#lake({ shard, after, window }: ReadState, to: number, maxEvents: number) {
    const rules = await this.#deps.logs.getByName(shardName(shard)).rules();
    yield* this.#deps.lakeRows({ shard, after, to, rules, maxEvents, ...(window && { window }) });
  }

  /** The last seq that is to be read from the lake. */
  async #lakeUntil({ shard, to, window }: ReadState): Promise<number> {
    let oldest = this.#oldest.get(shard);
    if (oldest === undefined) {
      oldest = (await this.#deps.logs.getByName(shardName(shard)).between(0, 0)).oldest;
      if (window && this.#deps.lakeCursor) oldest = Math.max(oldest, (await this.#deps.lakeCursor(shard)) + 1);
      this.#oldest.set(shard, oldest);
    }
    return Math.min(to, oldest - 1);
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

  async #leftOut(sink: SinkName, shard: number): Promise<ReadonlyMap<number, LeftOutPart>> {
    const of = `${sink}/${shard}`;
    let left = this.#left.get(of);
    if (!left) {
      left = new Map((await this.#deps.holes(sink, shard)).map((hole) => [hole.seq, hole]));
      this.#left.set(of, left);
    }
    return left;
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
