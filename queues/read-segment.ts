/**
 * One segment's object to rows. Where all is well it is decoded in one go; line by line where a line is damaged, is left
 * out, or its place is asked for.
 */
import type { AppliedCounts } from "../durable-objects/sink-cursor/api.ts";
import type { EventRow, QuarantineRow } from "../r2-layout/event-columns.ts";
import { quarantineNames } from "../r2-layout/line-subjects.ts";
import type { RuleAt } from "../r2-layout/rule.ts";
import { rulesReader } from "../r2-layout/rule.ts";
import type { SegmentLine, SegmentRef } from "../r2-layout/segment.ts";
import { decodeEachLine, decodeSegment } from "../r2-layout/segment.ts";
import { type SubjectHash, type SubjectHasher, unpackSubjects } from "../r2-layout/subjects.ts";

/** Lines of a segment, from 0. */
export type LeftOutLines = readonly number[] | "all";

/** A hole's share of a segment. */
export interface LeftOutPart {
  readonly lines: LeftOutLines;
  readonly events: number;
  readonly quarantined: number;
  /** The sink's store has all the other lines: they are not read any more, and count as applied. */
  readonly had?: AppliedCounts;
}

export interface Damage extends LeftOutPart {
  readonly ref: SegmentRef;
  /** `line_damaged`: the others can be read. */
  readonly cause: "segment_missing" | "segment_damaged" | "line_damaged";
  readonly detail: string;
}

export interface SegmentPart {
  readonly events: readonly EventRow[];
  readonly quarantine: readonly QuarantineRow[];
  /** The line that a row stands in, where it was asked for. */
  readonly lineOf?: ReadonlyMap<EventRow | QuarantineRow, number>;
  /** Lines that were read, less those left out; those that a rule retracts, and those erased, are among them. */
  readonly applied: AppliedCounts;
  /** Of a redrive: as `LogStep.former`. */
  readonly former?: readonly EventRow[];
}

/**
 * @param body null where there is no object.
 * @param leftOut lines that are left out, damaged or not.
 */
export function readSegment(
  ref: SegmentRef,
  body: Uint8Array | null,
  shard: number,
  leftOut: readonly number[],
  withLines: boolean,
): SegmentPart | Damage {
  if (body === null) return whole(ref, "segment_missing", "there is no such object");
  const at = { shard, seq: ref.seq };
  if (leftOut.length === 0 && !withLines && ref.kind === undefined) {
    try {
      const { events, quarantine, erased } = decodeSegment(body, at);
      const applied = appliedOf(events.length, quarantine.length, erased);
      if (applied.events + applied.quarantined === ref.events && applied.quarantined === ref.quarantined) {
        return { events, quarantine, applied };
      }
    } catch {
      // What it is, the lines will tell.
    }
  }
  try {
    return eachLine(ref, decodeEachLine(body, at), new Set(leftOut), withLines);
  } catch (error) {
    return whole(ref, "segment_damaged", String(error));
  }
}

function eachLine(
  ref: SegmentRef,
  lines: readonly SegmentLine[],
  leftOut: ReadonlySet<number>,
  withLines: boolean,
): SegmentPart | Damage {
  if (lines.length !== ref.events) {
    return whole(ref, "segment_damaged", `it has ${lines.length} lines, the log says ${ref.events}`);
  }
  const damaged = lines.flatMap((line, at) => ("damage" in line ? [at] : []));
  const isQuarantined = (line: SegmentLine) =>
    "quarantine" in line || ("erased" in line && line.erased === "quarantined");
  const quarantined = lines.filter(isQuarantined).length;
  const unknown = ref.quarantined - quarantined;
  if (unknown < 0 || unknown > damaged.length) {
    return whole(ref, "segment_damaged", `${quarantined} lines are quarantined, the log says ${ref.quarantined}`);
  }
  const bad = damaged.filter((at) => !leftOut.has(at));
  if (bad.length > 0) {
    const [first] = bad;
    return {
      ref,
      cause: "line_damaged",
      detail: `line ${first}: ${(lines[first!] as { damage: string }).damage}`,
      lines: bad,
      events: bad.length - Math.min(unknown, bad.length),
      quarantined: Math.min(unknown, bad.length),
    };
  }
  const events: EventRow[] = [];
  const quarantine: QuarantineRow[] = [];
  const erased = { events: 0, quarantined: 0 };
  const lineOf = withLines ? new Map<EventRow | QuarantineRow, number>() : undefined;
  for (const [at, line] of lines.entries()) {
    if (leftOut.has(at) || "damage" in line) continue;
    if ("erased" in line) {
      erased[line.erased === "event" ? "events" : "quarantined"]++;
      continue;
    }
    if ("event" in line) events.push(line.event);
    else quarantine.push(line.quarantine);
    lineOf?.set("event" in line ? line.event : line.quarantine, at);
  }
  const applied = appliedOf(events.length, quarantine.length, erased);
  return { events, quarantine, applied, ...(lineOf && { lineOf }) };
}

const appliedOf = (
  events: number,
  quarantined: number,
  erased: { readonly events: number; readonly quarantined: number },
): AppliedCounts => ({
  events: events + erased.events,
  quarantined: quarantined + erased.quarantined,
  ...(erased.events > 0 && { retracted: erased.events }),
});

const whole = (ref: SegmentRef, cause: "segment_missing" | "segment_damaged", detail: string): Damage => ({
  ref,
  cause,
  detail,
  lines: "all",
  events: ref.events - ref.quarantined,
  quarantined: ref.quarantined,
});

/** The rules of a page, as its rows pass through them. */
export class RowRules {
  readonly #ordinary: ((row: EventRow) => EventRow | null) | null;
  readonly #redriven: ((row: EventRow) => EventRow | null) | null;
  /** One by one, in order. */
  readonly #each: readonly ((row: EventRow) => EventRow | null)[];
  readonly #quarantine: (row: QuarantineRow) => boolean;

  /**
   * @param after the page's rows stand above it, so that rules below hold for none of them but redriven ones.
   * @throws Error where a rule is about people and there is no hasher
   */
  constructor(rules: readonly RuleAt[], after: number, hash?: SubjectHasher) {
    const above = rules.filter(({ seq }) => seq > after);
    this.#ordinary = above.length === 0 ? null : rulesReader(above, hash);
    this.#redriven = rules.length === 0 ? null : rulesReader(rules, hash);
    this.#each = rules.toSorted((a, b) => a.version - b.version).map((rule) => rulesReader([rule], hash));
    this.#quarantine = notErased(above, hash);
  }

  /** The part less the rows that are retracted. Rows of a redrive get their place only here. */
  applied(ref: SegmentRef, part: SegmentPart, shard: number): SegmentPart {
    const change = ref.kind === "redrive" ? this.#redriven : this.#ordinary;
    if (!change && ref.kind !== "redrive") return part;
    const events: EventRow[] = [];
    const lineOf = part.lineOf && new Map(part.lineOf);
    for (const read of part.events) {
      let row = change ? change(read) : read;
      if (row === null) continue;
      if (ref.kind === "redrive") row = { ...row, log_shard: shard, log_seq: ref.seq };
      events.push(row);
      lineOf?.set(row, part.lineOf!.get(read)!);
    }
    const retracted = part.events.length - events.length + (part.applied.retracted ?? 0);
    const former = ref.kind === "redrive" ? part.events.flatMap((row) => this.#formsOf(row, ref)) : [];
    return {
      ...part,
      events,
      // They count as before, as they do once they are erased.
      quarantine: part.quarantine.filter(this.#quarantine),
      applied: { ...part.applied, retracted },
      ...(lineOf && { lineOf }),
      ...(former.length > 0 && { former }),
    };
  }

  /** A redriven row as it may stand where it came from: as it was read, and as each rule after the other has left it. */
  #formsOf(read: EventRow, { seq, origins = [] }: SegmentRef): EventRow[] {
    const forms = [read];
    for (const change of this.#each) {
      const before = forms.at(-1)!;
      const after = change(before);
      if (after === null) break;
      if (after !== before) forms.push(after);
    }
    // Its own place is where it is to be.
    const places = new Set([read.log_seq, ...origins].filter((place) => place < seq));
    return [...places].flatMap((place) => forms.map((form) => ({ ...form, log_seq: place })));
  }
}

/**
 * Whether a quarantined row is about nobody who was erased above it. No other rule goes over them, but what an erasure has
 * taken out of the lake's quarantine must not come back by a rebuild that reads the log before it is taken out there.
 */
function notErased(rules: readonly RuleAt[], hash?: SubjectHasher): (row: QuarantineRow) => boolean {
  const erasures = rules.flatMap(({ seq, change, filter: { subjects } }) =>
    change.kind === "erase" && subjects !== undefined ? [{ seq, subjects }] : [],
  );
  if (erasures.length === 0 || !hash) return () => true;
  // Unpacked where there is a row: most segments have none.
  const people = erasures.map(({ subjects }) => {
    let known: ReadonlySet<SubjectHash> | undefined;
    return () => (known ??= unpackSubjects(subjects));
  });
  return (row) => {
    const due = people.filter((_, i) => row.log_seq < erasures[i]!.seq);
    return due.length === 0 || !quarantineNames(row, (subject) => due.some((of) => of().has(hash(subject))));
  };
}
