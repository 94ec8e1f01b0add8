/**
 * A segment of the log without those to be erased: each line about one of them gives way to a mark (r2-layout/log-line.ts),
 * every other line stays as it is, byte for byte. An event that a rule of before has given to somebody else is not about them
 * any more, though its line names them: it stays, with placeholders where the names stood, which the rule reads as the same
 * (r2-layout/rule.ts). So lines keep their numbers, and counts, cursors, holes and redrives stay
 * right. The new object's key follows from the old one's and the erasure: done again after a cut it is written over, and
 * lies nowhere twice. Its time is the old one's, which is what the log looks for it by.
 */
import { createHash } from "node:crypto";
import type { DerivedEvent, EventRow } from "../../../r2-layout/event-columns.ts";
import { parseSegmentKey, segmentKey } from "../../../r2-layout/keys.ts";
import { LOG_ERASURE } from "../../../r2-layout/limits.ts";
import { lineNames } from "../../../r2-layout/line-subjects.ts";
import {
  erasedKind,
  erasedLine,
  formatLogLine,
  isReadable,
  type LineKind,
  type LogLine,
  type LogPosition,
  parseLogLine,
  readLogLine,
} from "../../../r2-layout/log-line.ts";
import { decodeSegmentLines, encodeSegment, type SegmentRef } from "../../../r2-layout/segment.ts";
import {
  type PackedPrefixes,
  packPrefixes,
  placeholderOf,
  prefixOf,
  type Subject,
  type SubjectHasher,
  subjectsInJson,
  subjectsOf,
} from "../../../r2-layout/subjects.ts";

type IsSought = (subject: Subject) => boolean;

export interface RewrittenSegment {
  readonly body: Uint8Array;
  /** Lines that were erased now. */
  readonly erased: number;
  /** As `subjectsOfLines`, of those that are left. */
  readonly subjects: PackedPrefixes | undefined;
}

/** How many lines name one of them. @throws where the object is damaged: nobody can say who is in it. */
export const countNamedLines = (body: Uint8Array, isSought: IsSought): number =>
  decodeSegmentLines(body).filter((line) => lineNames(line, isSought)).length;

export interface Rewriting {
  readonly isSought: IsSought;
  readonly hash: SubjectHasher;
  /** A line's event as the rules have it, up to the erasure's; null where they take it out. */
  readonly through: (row: EventRow) => EventRow | null;
  /** Of the segment. */
  readonly at: LogPosition;
}

/**
 * Pure. Null where no line is about one of them.
 * @param quarantined lines, by the log's word. @throws as `countNamedLines`
 */
export function rewriteSegment(body: Uint8Array, quarantined: number, rewriting: Rewriting): RewrittenSegment | null {
  const { isSought, hash } = rewriting;
  const lines = decodeSegmentLines(body);
  const named = lines.map((line) => lineNames(line, isSought));
  const erased = named.filter(Boolean).length;
  if (erased === 0) return null;
  const kinds = lines.map(kindOf);
  // What a line was that cannot be read nobody knows; the log's counts stay right as long as enough of them may be either.
  const may = kinds.filter((kind, i) => kind === "unreadable" && !named[i]).length;
  let owed = quarantined - kinds.filter((kind) => kind === "quarantined").length - may;
  const left = lines.map((line, i) => {
    if (!named[i]) return line;
    const kept = kinds[i] === "event" ? withPlaceholders(line, rewriting) : null;
    return kept ?? erasedLine(line, kinds[i] === "unreadable" && owed-- > 0 ? "quarantined" : "event");
  });
  return { body: encodeSegment(left), erased, subjects: prefixesOf(left, hash) };
}

/** Null where the event is theirs. */
function withPlaceholders(line: string, { isSought, hash, through, at }: Rewriting): string | null {
  const { row } = readLogLine(line);
  const { log_shard: shard = at.shard, log_seq: seq = at.seq } = row as Partial<EventRow>;
  const left = through({ ...row, log_shard: shard, log_seq: seq } as EventRow);
  if (left === null || subjectsOf(left).some(isSought)) return null;
  const names = (text: string): string => {
    const one = subjectsInJson(text).find(isSought);
    return one ? placeholderOf(hash(one)) : text;
  };
  const { raw, d } = parseLogLine(line);
  const { user_id, anonymous_id, ...others } = row;
  const replaced = replacedTexts(others, names) as DerivedEvent;
  const own = {
    ...replaced,
    // By what they are: the same text may be a user's and a device's.
    ...(user_id && { user_id: placed({ kind: "user", id: user_id }, isSought, hash) }),
    ...(anonymous_id && { anonymous_id: placed({ kind: "device", id: anonymous_id }, isSought, hash) }),
    event_id: row.event_id,
    source: row.source,
  };
  return formatLogLine({ row: own, d, raw: replacedTexts(raw, names) as LogLine["raw"] });
}

const placed = (subject: Subject, isSought: IsSought, hash: SubjectHasher): string =>
  isSought(subject) ? placeholderOf(hash(subject)) : subject.id;

function replacedTexts(value: unknown, replace: (text: string) => string): unknown {
  if (typeof value === "string") return replace(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((one) => replacedTexts(one, replace));
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, replacedTexts(one, replace)]));
}

/** As a reader has it (queues/read-segment.ts). */
function kindOf(line: string): LineKind | "unreadable" {
  const erased = erasedKind(line);
  if (erased) return erased;
  try {
    const entry = readLogLine(line);
    return isReadable(entry) ? (entry.q ? "quarantined" : "event") : "unreadable";
  } catch {
    return "unreadable";
  }
}

/** Whom lines may name, of whatever kind they are; undefined where that is too many to be kept. @throws as `countNamedLines` */
export const subjectsOfLines = (body: Uint8Array, hash: SubjectHasher): PackedPrefixes | undefined =>
  prefixesOf(decodeSegmentLines(body), hash);

function prefixesOf(lines: readonly string[], hash: SubjectHasher): PackedPrefixes | undefined {
  const prefixes = new Set<number>();
  const isSought = (subject: Subject): boolean => {
    prefixes.add(prefixOf(hash(subject)));
    return false;
  };
  // By the test that asks for them, which looks at each of them where it finds none.
  for (const line of lines) {
    lineNames(line, isSought);
    if (prefixes.size > LOG_ERASURE.prefixesKept) return undefined;
  }
  return packPrefixes(prefixes);
}

const BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TIME_CHARS = 10;
const RANDOM_CHARS = 16;

/** @param erasure the job's id. @throws RangeError where the old key is no segment's */
export function rewrittenKey(
  { key, maxReceivedAt }: Pick<SegmentRef, "key" | "maxReceivedAt">,
  erasure: string,
): string {
  const parsed = parseSegmentKey(key);
  if (!parsed) throw new RangeError(`${key} is no segment's key`);
  const digest = createHash("sha256").update(`${erasure}\n${key}`).digest();
  const random = Array.from(digest.subarray(0, RANDOM_CHARS), (byte) => BASE32[byte % BASE32.length]).join("");
  const ulid = parsed.ulid.slice(0, TIME_CHARS) + random;
  return segmentKey({ receivedAtUs: maxReceivedAt, shard: parsed.shard, ulid });
}
