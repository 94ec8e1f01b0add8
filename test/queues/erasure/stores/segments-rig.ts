/** A log with people in it: events and quarantined ones, segments of which is known whom they name and of which is not, and redrives. */
import { ulid } from "ulidx";
import type { SegmentCommit } from "../../../../durable-objects/event-log/api.ts";
import type { ErasureRun } from "../../../../queues/erasure/erasure-store.ts";
import { type LogStoreDeps, logStore } from "../../../../queues/erasure/stores/log.ts";
import { idHash } from "../../../../r2-layout/event-id.ts";
import { segmentKey, shardName } from "../../../../r2-layout/keys.ts";
import { formatLogLine, type LogLine } from "../../../../r2-layout/log-line.ts";
import { decodeSegmentLines, encodeSegment, type SegmentRef } from "../../../../r2-layout/segment.ts";
import { packPrefixes, prefixOf, type Subject, subjectHasher, subjectsOf } from "../../../../r2-layout/subjects.ts";
import { bindings } from "../../../bindings.ts";
import { RECEIVED_AT } from "../../log-rig.ts";
import { runOf, TEST_KEY } from "../run-of.ts";

export const { BUCKET: bucket, EVENT_LOG: logs } = bindings;
export const hash = subjectHasher(TEST_KEY);

export const ERASED: readonly Subject[] = [
  { kind: "user", id: "erased-user" },
  { kind: "device", id: "erased-device" },
  { kind: "email", id: "erased@example.com" },
];
/** In every form in which a line could have it. */
export const TRACE = /erased-user|erased-device|erased@example/i;

let ids = 0;

interface Person {
  readonly user_id?: string;
  readonly anonymous_id?: string;
  readonly properties?: Record<string, string>;
  /** Quarantined, with this as what its sender sent. */
  readonly raw?: Record<string, unknown>;
}

export const OTHER: Person = { user_id: "other", anonymous_id: "other-device" };
/** All ways in which a line may name one of them. */
export const NAMING: readonly Person[] = [
  { user_id: "erased-user" },
  { user_id: "other", anonymous_id: "erased-device" },
  { anonymous_id: "other-device", properties: { email: " Erased@Example.com" } },
  { user_id: "other", properties: { previous_id: "erased-user" } },
  { raw: { userId: { of: ["erased-device"] } } },
  { user_id: "erased-user", raw: {} },
];

export function lineAbout({ raw, ...named }: Person): string {
  const event = `event-${++ids}`;
  const row: LogLine["row"] = {
    ...{ event_id: event, event_name: "Clicked", event_type: "track", source: "shop" },
    ...{ event_time: RECEIVED_AT, received_at: RECEIVED_AT + ids },
    ...named,
  };
  const q = raw && { cause: "column_mismatch" };
  return formatLogLine({ row, d: 1, raw: raw ?? { type: "track", event: "Clicked" }, ...(q && { q }) });
}

const parsed = (line: string) => JSON.parse(line) as LogLine;

async function written(lines: readonly string[], shard: number, areKnown: boolean) {
  const body = encodeSegment(lines);
  const key = segmentKey({ receivedAtUs: RECEIVED_AT, shard, ulid: ulid() });
  await bucket.put(key, body);
  const named = lines.map(parsed).filter(({ q }) => !q);
  const subjects = packPrefixes(named.flatMap(({ row }) => subjectsOf(row).map((subject) => prefixOf(hash(subject)))));
  const segment: NonNullable<SegmentCommit["segment"]> = {
    ...{ key, bytes: body.byteLength, events: lines.length, quarantined: lines.length - named.length },
    ...{ minReceivedAt: RECEIVED_AT, maxReceivedAt: RECEIVED_AT, writtenAt: Date.now() },
    ...(areKnown && { subjects }),
  };
  return segment;
}

const idsOf = (lines: readonly string[]) =>
  new Uint8Array(Buffer.concat(lines.map((line) => idHash("event", "shop", parsed(line).row.event_id))));

/** @returns its seq. */
export async function commitLines(lines: readonly string[], { shard = 0, areKnown = true } = {}): Promise<number> {
  const segment = await written(lines, shard, areKnown);
  const answer = await logs.getByName(shardName(shard)).commit({ epoch: 0, segment, ids: idsOf(lines), messages: [] });
  if (answer.kind !== "committed") throw new Error(answer.kind);
  return answer.seq!;
}

/** Lines of a segment, once more, for the lake. */
export async function redriveLines(seq: number, numbers: readonly number[], shard = 0): Promise<number> {
  const log = logs.getByName(shardName(shard));
  const all = await linesOf((await log.segments(seq - 1, 1)).segments[0]!);
  const lines = numbers.map((line) => all[line]!.replace('{"row":{', `{"row":{"log_shard":${shard},"log_seq":${seq},`));
  const segment = await written(lines, shard, false);
  const origins = [{ seq, lines: numbers, quarantined: segment.quarantined }];
  const answer = await log.redrive({ id: `hole:${seq}`, segment, origins, sinks: ["lake"] });
  if (answer.kind !== "committed") throw new Error(answer.kind);
  return answer.seq;
}

export async function linesOf({ key }: Pick<SegmentRef, "key">): Promise<string[]> {
  const object = await bucket.get(key);
  if (!object) throw new Error(`${key} is named and missing`);
  return decodeSegmentLines(new Uint8Array(await object.arrayBuffer()));
}

/** Every object under log/, with its lines. */
export async function objectsOfLog(): Promise<Map<string, string[]>> {
  const { objects } = await bucket.list({ prefix: "log/" });
  const all = new Map<string, string[]>();
  for (const { key } of objects) all.set(key, await linesOf({ key }));
  return all;
}

export async function refsOf(shard: number): Promise<SegmentRef[]> {
  const { segments } = await logs.getByName(shardName(shard)).segments(0);
  return segments;
}

export const logDeps = (shards = 1): LogStoreDeps => ({ bucket, logs, shards });

/** To the end, a step at a time: each position survives JSON. @returns lines erased, and what was replaced. */
export async function eraseLog(deps: LogStoreDeps = logDeps(), more: Partial<ErasureRun> = {}, subjects = ERASED) {
  const store = logStore(deps);
  let position: unknown = null;
  let removed = 0;
  const replaced = [];
  for (let steps = 1; ; steps++) {
    const step = await store.erase(runOf(subjects, more), position);
    removed += step.found.removed;
    replaced.push(...step.found.replaced);
    if (step.done) return { removed, replaced, steps };
    position = JSON.parse(JSON.stringify(step.position));
  }
}

export async function verifyLog(deps: LogStoreDeps = logDeps(), more: Partial<ErasureRun> = {}) {
  const store = logStore(deps);
  for (let position: unknown = null; ; ) {
    const step = await store.verify(runOf(ERASED, more), position);
    if (step.done) return step;
    position = JSON.parse(JSON.stringify(step.position));
  }
}
