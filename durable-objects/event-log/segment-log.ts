/**
 * The sequence of one shard: segments of messages, rules and redrives, by seq, and what a sink meets of them. Synchronous;
 * ShardLog gives each its seq and time, in the transaction of the change.
 */
import { parseSegmentKey } from "../../r2-layout/keys.ts";
import { LOG } from "../../r2-layout/limits.ts";
import type { Rule, RuleAt } from "../../r2-layout/rule.ts";
import type { SegmentRef } from "../../r2-layout/segment.ts";
import type { SinkName } from "../../r2-layout/sinks.ts";
import type { PackedPrefixes } from "../../r2-layout/subjects.ts";
import type { PastCursor, Redrive, RedriveOrigin, ReplaceAnswer, SegmentReplacement } from "./api.ts";
import type { CountedOrigin } from "./redrive-table.ts";
import { RedriveTable, sinksText } from "./redrive-table.ts";
import { ReplacedSegments } from "./replaced-segments.ts";
import { RuleTable } from "./rule-table.ts";
import { SegmentSubjects, type SegmentsPage } from "./segment-subjects.ts";
import type { LineCounts, NewSegment } from "./segment-table.ts";
import { SegmentTable } from "./segment-table.ts";

/** Where and when a segment takes its place: `sums` counts all lines of messages up to it. */
export interface NewPlace {
  readonly seq: number;
  readonly at: number;
  readonly sums: LineCounts;
}

export class SegmentLog {
  readonly #segments: SegmentTable;
  readonly #redrives: RedriveTable;
  readonly #rules: RuleTable;
  readonly #subjects: SegmentSubjects;
  /** Objects that nothing names any more. */
  readonly replaced: ReplacedSegments;

  constructor(sql: SqlStorage) {
    this.#segments = new SegmentTable(sql);
    this.#subjects = new SegmentSubjects(sql);
    this.replaced = new ReplacedSegments(sql);
    this.#redrives = new RedriveTable(sql);
    this.#rules = new RuleTable(sql);
  }

  /** Of the newest rule. */
  get rulesVersion(): number {
    return this.#rules.version;
  }

  /** Of the newest rule that keeps somebody out of the log. */
  get barredVersion(): number {
    return this.#rules.barred;
  }

  /** Quarantined lines that a redrive has made events. */
  get released(): number {
    return this.#redrives.released;
  }

  forget(): void {
    this.#rules.forget();
  }

  insertMessages({ seq, at, sums }: NewPlace, segment: NewSegment): void {
    this.#segments.insert(seq, segment, at, sums);
    if (segment.subjects !== undefined) this.#subjects.put(seq, segment.subjects, "events");
  }

  /** Null where the rule comes next. @throws RangeError as `EventLogRulesApi.raise`. */
  seqOfRule(rule: Rule): number | null {
    return this.#rules.seqOf(rule);
  }

  insertRule({ seq, at, sums }: NewPlace, rule: Rule, shard: number, key: string): void {
    this.#rules.insert(rule, shard, seq);
    const none = { key, bytes: 0, events: 0, quarantined: 0, minReceivedAt: 0, maxReceivedAt: 0 };
    this.#segments.insert(seq, none, at, sums, { kind: "rule", sinks: "*" });
  }

  /** A parent's rules, at a place below every row of this shard. */
  inheritRules(rules: readonly Rule[], shard: number): void {
    for (const rule of rules) if (this.#rules.seqOf(rule) === null) this.#rules.insert(rule, shard, 0);
  }

  redactRules(names: ReadonlyMap<string, string>, isTrial: boolean): number {
    return this.#rules.redact(names, isTrial);
  }

  rules(): RuleAt[] {
    return this.#rules.all();
  }

  barredAfter(version: number) {
    return this.#rules.barredAfter(version);
  }

  seqOfRedrive(id: string): number | null {
    return this.#redrives.seqOf(id);
  }

  /** Lines of these origins that were redriven before, for one of the sinks. */
  redrivenBefore({ origins, sinks }: Redrive): RedriveOrigin[] {
    return origins.flatMap(({ seq, lines }) => {
      const known = this.#redrives.linesOf(seq, sinks);
      if (known === null) return [];
      if (known === "all" || lines === "all") return [{ seq, lines: known }];
      const asked = new Set(lines);
      const both = known.filter((line) => asked.has(line));
      return both.length > 0 ? [{ seq, lines: both }] : [];
    });
  }

  /** @throws RangeError where counts do not agree, or an origin is none of this log, or was not for these sinks. */
  countOrigins({ origins, sinks, segment }: Redrive, head: number): CountedOrigin[] {
    const forAll = sinksText(sinks) === "*";
    const counted = origins.map((origin) => ({
      seq: origin.seq,
      lines: origin.lines,
      counts: this.#countOrigin(origin, sinks, forAll, head),
    }));
    const lines = counted.reduce((sum, { counts }) => sum + counts.events + counts.quarantined, 0);
    if (lines !== segment.events) throw new RangeError(`a redrive of ${lines} lines has ${segment.events}`);
    const quarantined = counted.reduce((sum, { counts }) => sum + counts.quarantined, 0);
    if (!forAll && quarantined !== segment.quarantined) {
      throw new RangeError(`${quarantined} of the lines were quarantined, ${segment.quarantined} of the redrive's are`);
    }
    return counted;
  }

  #countOrigin(origin: RedriveOrigin, sinks: readonly SinkName[], forAll: boolean, head: number): LineCounts {
    const { seq, lines } = origin;
    const ref = this.#segments.at(seq);
    if (seq < 1 || seq > head || ref?.kind === "rule") throw new RangeError(`segment ${seq} has no lines`);
    if (ref?.sinks && !sinks.every((sink) => ref.sinks!.includes(sink))) {
      throw new RangeError(`segment ${seq} is for ${ref.sinks.join()}`);
    }
    if (lines === "all") {
      if (!ref) throw new RangeError(`segment ${seq} is forgotten`);
      return { events: ref.events - ref.quarantined, quarantined: ref.quarantined };
    }
    const known = ref?.events ?? Number.POSITIVE_INFINITY;
    if (
      new Set(lines).size !== lines.length ||
      lines.some((line) => !Number.isInteger(line) || line < 0 || line >= known)
    ) {
      throw new RangeError(`segment ${seq} has no such lines`);
    }
    const quarantined = origin.quarantined ?? (forAll ? lines.length : 0);
    if (quarantined > lines.length || quarantined > (ref?.quarantined ?? quarantined)) {
      throw new RangeError(`${quarantined} lines of segment ${seq} are not quarantined`);
    }
    return { events: lines.length - quarantined, quarantined };
  }

  insertRedrive({ seq, at, sums }: NewPlace, redrive: Redrive, origins: readonly CountedOrigin[]): void {
    const { id, segment, sinks } = redrive;
    const lines = { events: segment.events - segment.quarantined, quarantined: segment.quarantined };
    this.#redrives.insert(seq, id, sinks, lines, origins);
    this.#segments.insert(seq, segment, at, sums, { kind: "redrive", sinks: sinksText(sinks) });
  }

  /** As `EventLogErasureApi.segmentsWith`. */
  with(prefixes: ReadonlySet<number>, after: number, head: number): SegmentsPage {
    return this.#subjects.with(prefixes, after, head);
  }

  /** As `EventLogErasureApi.noteSubjects`. To be called in a transaction. */
  noteSubjects(seq: number, key: string, subjects: PackedPrefixes): void {
    if (this.#segments.at(seq)?.key === key) this.#subjects.put(seq, subjects, "all");
  }

  /** As `EventLogErasureApi.replaceSegment`. To be called in a transaction. */
  replace({ seq, from, to }: SegmentReplacement, nowMs: number): ReplaceAnswer {
    if (!parseSegmentKey(to.key)) throw new RangeError(`${to.key} is no segment's key`);
    const key = this.#segments.at(seq)?.key;
    if (key === to.key) return { kind: "replaced" };
    if (key === undefined) return { kind: "forgotten" };
    if (key !== from) return { kind: "moved", key };
    if (to.writtenAt + LOG.staleSegmentMs <= nowMs) return { kind: "stale" };
    this.#segments.rename(seq, to.key, to.bytes);
    this.#subjects.put(seq, to.subjects, "all");
    this.replaced.add(from, seq);
    return { kind: "replaced" };
  }

  /** @param sink for whom `skip` is told. */
  after(seq: number, limit: number, sink?: SinkName): SegmentRef[] {
    const refs = this.#segments
      .after(seq, Math.min(limit, LOG.segmentsPerRead))
      .map((ref) => (ref.kind === "redrive" ? { ...ref, origins: this.#redrives.originsOf(ref.seq) } : ref));
    if (sink === undefined || refs.length === 0) return refs;
    const skips = this.#redrives.skips(refs[0]!.seq, refs.at(-1)!.seq, sink);
    const releases = this.#redrives.releases(refs[0]!.seq, refs.at(-1)!.seq);
    if (skips.size + releases.size === 0) return refs;
    return refs.map((ref) => {
      const skip = skips.get(ref.seq);
      const released = releases.get(ref.seq);
      return { ...ref, ...(skip !== undefined && { skip }), ...(released !== undefined && { released }) };
    });
  }

  /** As `EventLogApi.count`. */
  count(after: number, to: number, sink?: SinkName): LineCounts {
    const upTo = this.#met(to, sink);
    const before = this.#met(Math.min(after, to), sink);
    return { events: upTo.events - before.events, quarantined: upTo.quarantined - before.quarantined };
  }

  past(cursor: number, head: number, sink: SinkName): PastCursor {
    const left = this.count(cursor, head);
    const { past, originsPast, originsMet } = this.#redrives.account(sink, cursor);
    return {
      events: left.events + past.events - originsPast.events,
      quarantined: left.quarantined + past.quarantined - originsPast.quarantined,
      segments: Math.max(0, head - cursor),
      since: this.#segments.committedAt(cursor + 1),
      met: this.#met(cursor, sink),
      redriven: originsMet.events,
    };
  }

  between(fromMs: number, toMs: number, head: number) {
    return { oldest: this.#segments.oldest(head), head, range: this.#segments.between(fromMs, toMs, head) };
  }

  republishedAfter(seq: number) {
    return this.#segments.republishedAfter(seq, LOG.segmentsPerRead);
  }

  unnamed(keys: readonly string[], head: number): string[] {
    return this.#segments.unnamed(keys, head);
  }

  /** Forgets some segments that are past their retention, up to the slowest sink's cursor. To be called in a transaction. */
  trim(nowMs: number, cursor: number, head: number): void {
    if (this.#segments.trim(nowMs, cursor) === 0) return;
    const oldest = this.#segments.oldest(head);
    this.#redrives.trim(oldest);
    this.#subjects.trim(oldest);
  }

  #met(cursor: number, sink?: SinkName): LineCounts {
    const sums = this.#segments.sums(cursor);
    if (sink === undefined) return sums;
    const { met } = this.#redrives.account(sink, cursor);
    return { events: sums.events + met.events, quarantined: sums.quarantined + met.quarantined };
  }
}
