/**
 * What the log says, read the plain way: every line of every segment, then the rules, one after the other. What a sink
 * must have follows from it. Shares no code with the readers (queues/read-log.ts) but the decoding of a line.
 */
import type { EventLogApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { SinkName } from "../../durable-objects/sink-cursor/api.ts";
import type { EventRow, QuarantineRow } from "../../r2-layout/event-columns.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { lineNames } from "../../r2-layout/line-subjects.ts";
import { erasedKind, eventRow, quarantineRow, readLogLine } from "../../r2-layout/log-line.ts";
import type { Rule } from "../../r2-layout/rule.ts";
import { decodeSegmentLines, type SegmentRef } from "../../r2-layout/segment.ts";
import { subjectHasher, subjectsOf, unpackSubjects } from "../../r2-layout/subjects.ts";
import { IDENTITY_KEY, type World } from "./world.ts";

const hash = subjectHasher(IDENTITY_KEY);

export interface LoggedLine {
  readonly shard: number;
  readonly seq: number;
  /** Place in its segment, from 0. */
  readonly line: number;
  readonly text: string;
  readonly quarantined: boolean;
  /** Of a redrive: whom it is for, and the place that it came from. */
  readonly redrive: { readonly sinks: readonly SinkName[]; readonly shard: number; readonly seq: number } | null;
}

export interface LogModel {
  readonly segments: readonly (SegmentRef & { readonly shard: number })[];
  readonly lines: readonly LoggedLine[];
  readonly rules: readonly PlacedRule[];
}

interface PlacedRule extends Rule {
  /** By shard. */
  readonly places: ReadonlyMap<number, number>;
}

/** @param bytesOf a segment's object as it was written. */
export async function readLogModel(
  world: World,
  logs: ObjectNamespace<EventLogApi>,
  bytesOf: (key: string) => Uint8Array | null,
  fail: (text: string) => void,
): Promise<LogModel> {
  const segments: (SegmentRef & { shard: number })[] = [];
  const lines: LoggedLine[] = [];
  const rules = new Map<string, Rule & { places: Map<number, number> }>();
  for (let shard = 0; shard < world.shards; shard++) {
    const log = logs.getByName(shardName(shard));
    for (let after = 0; ; ) {
      const page = await log.segments(after);
      for (const ref of page.segments) {
        if (ref.seq !== after + 1) fail(`log ${shard}: seq ${ref.seq} follows ${after}`);
        after = ref.seq;
        segments.push({ ...ref, shard });
        const bytes = bytesOf(ref.key);
        if (!bytes) {
          fail(`log ${shard}/${ref.seq}: ${ref.key} is gone`);
          continue;
        }
        if (ref.kind === "rule") {
          const rule = rules.get(ref.key) ?? {
            ...(JSON.parse(new TextDecoder().decode(bytes)) as Rule),
            places: new Map(),
          };
          rule.places.set(shard, ref.seq);
          rules.set(ref.key, rule);
          continue;
        }
        const texts = decodeSegmentLines(bytes);
        if (texts.length !== ref.events)
          fail(`log ${shard}/${ref.seq}: ${texts.length} lines, the row says ${ref.events}`);
        texts.forEach((text, line) => {
          const erased = erasedKind(text);
          const { row, q } = erased
            ? { row: {}, q: erased === "quarantined" ? {} : undefined }
            : (JSON.parse(text) as { row: Partial<EventRow>; q?: unknown });
          const redrive =
            ref.kind === "redrive"
              ? { sinks: ref.sinks ?? [], shard: row.log_shard ?? shard, seq: row.log_seq ?? ref.seq }
              : null;
          lines.push({ shard, seq: ref.seq, line, text, quarantined: q !== undefined, redrive });
        });
      }
      if (after >= page.head) break;
      if (page.segments.length === 0) {
        fail(`log ${shard}: nothing after ${after}, the head is ${page.head}`);
        break;
      }
    }
  }
  const ordered = [...rules.values()].sort((a, b) => a.version - b.version);
  ordered.forEach(({ version }, i) => {
    if (version !== i + 1) fail(`rule ${version} stands at place ${i + 1}`);
  });
  return { segments, lines, rules: ordered };
}

export interface SinkRows {
  readonly events: EventRow[];
  readonly quarantine: QuarantineRow[];
}

/** What a sink must have. @param leftOut lines that it has as a hole that is open, as `shard/seq/line`. */
export function rowsOf(model: LogModel, sink: SinkName, leftOut: ReadonlySet<string>): SinkRows {
  const rows: SinkRows = { events: [], quarantine: [] };
  for (const logged of model.lines) {
    const { shard, seq, line, text, quarantined, redrive } = logged;
    if (erasedKind(text)) continue;
    if (redrive && redrive.sinks.length > 0 && !redrive.sinks.includes(sink)) continue;
    if (leftOut.has(`${shard}/${seq}/${line}`)) continue;
    const at = { shard, seq };
    const entry = readLogLine(text);
    if (quarantined) {
      if (!isErased(logged, model.rules)) rows.quarantine.push(quarantineRow(entry, at));
    } else {
      const origin = redrive ?? { shard, seq };
      const row = throughRules(eventRow(entry, at), model.rules, origin);
      if (row) rows.events.push(row);
    }
  }
  return rows;
}

/** No other rule goes over what is quarantined. */
const isErased = ({ shard, seq, text }: LoggedLine, rules: readonly PlacedRule[]): boolean =>
  rules.some(({ change, filter, places }) => {
    if (change.kind !== "erase" || seq >= (places.get(shard) ?? 0)) return false;
    const people = unpackSubjects(filter.subjects ?? "");
    return lineNames(text, (one) => people.has(hash(one)));
  });

/** @param origin where the event stood first: rules hold for what is below their place there. */
function throughRules(
  row: EventRow,
  rules: readonly PlacedRule[],
  origin: { readonly shard: number; readonly seq: number },
): EventRow | null {
  let current: Record<string, unknown> = { ...row };
  for (const { filter, change, places } of rules) {
    const place = places.get(origin.shard);
    if (place === undefined || origin.seq >= place || !isMeant(current, filter, origin)) continue;
    if (change.kind === "retract" || change.kind === "erase") return null;
    if (change.kind === "suppress") continue;
    if (change.kind === "set") {
      for (const [field, value] of Object.entries(change.values)) current = put(current, field, value ?? null);
    } else {
      const value = get(current, change.field);
      const known = Object.keys(change.values).find((key) => isSame(change.field, key, value));
      if (known !== undefined) current = put(current, change.field, change.values[known] ?? null);
    }
  }
  return current as unknown as EventRow;
}

function isMeant(
  row: Record<string, unknown>,
  { from, to, where = {}, places, subjects }: Rule["filter"],
  origin: { readonly shard: number; readonly seq: number },
): boolean {
  const time = row.event_time as number;
  if ((from !== undefined && time < from) || (to !== undefined && time >= to)) return false;
  if (
    places &&
    !places.some(
      (place) =>
        place.shard === origin.shard &&
        place.seq === origin.seq &&
        place.source === row.source &&
        place.event_id === row.event_id,
    )
  ) {
    return false;
  }
  if (subjects !== undefined) {
    const people = unpackSubjects(subjects);
    if (!subjectsOf(row as unknown as EventRow).some((subject) => people.has(hash(subject)))) return false;
  }
  return Object.entries(where).every(([field, values]) =>
    values!.some((value) => isSame(field, value, get(row, field) as string | null)),
  );
}

/** An erasure puts a placeholder where a name stood, in lines and in rules. */
function isSame(field: string, one: unknown, other: unknown): boolean {
  if (one === other) return true;
  const kind = field === "user_id" ? "user" : field === "anonymous_id" ? "device" : null;
  if (!kind || typeof one !== "string" || typeof other !== "string") return false;
  return hash({ kind, id: one }) === hash({ kind, id: other });
}

const PROPERTY = "properties.";

function get(row: Record<string, unknown>, field: string): unknown {
  if (!field.startsWith(PROPERTY)) return row[field] ?? null;
  return (row.properties as Record<string, string> | undefined)?.[field.slice(PROPERTY.length)] ?? null;
}

function put(row: Record<string, unknown>, field: string, value: string | number | null): Record<string, unknown> {
  if (!field.startsWith(PROPERTY)) return { ...row, [field]: value };
  const properties = { ...(row.properties as Record<string, string> | undefined) };
  if (value === null) delete properties[field.slice(PROPERTY.length)];
  else properties[field.slice(PROPERTY.length)] = String(value);
  return { ...row, properties };
}
