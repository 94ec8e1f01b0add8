/**
 * Sends an entry of the quarantine on its way again. Each step can be cut off anywhere and made again:
 *
 *     message   sent to its queue, then marked       cut off between: sent twice, the log owns the message's id the second time
 *     hole      its lines written as a segment,      cut off: an object that no row names, swept
 *               committed for that sink alone,       cut off: the same commit is answered with the same seq
 *               then closed                          twice: the first seq stays
 *
 * Of a hole's lines those about people who were erased come back as the marks of such lines (r2-layout/log-line.ts).
 *
 * What would fail again as it is is refused with its reason, and stays. A hole's lines carry the place that they came
 * from, so that they pass through the rules as their neighbours did (queues/read-log.ts).
 */
import { monotonicFactory } from "ulidx";
import type { EventLogApi, EventLogRedriveApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { HolesApi, RecordedHole } from "../../durable-objects/sink-cursor/api.ts";
import type { EventFlag } from "../../r2-layout/event-columns.ts";
import { parseMessage } from "../../r2-layout/event-message.ts";
import { segmentKey, shardName } from "../../r2-layout/keys.ts";
import { PLATFORM } from "../../r2-layout/limits.ts";
import { erasedKind, erasedLine, readLogLine } from "../../r2-layout/log-line.ts";
import type { Result } from "../../r2-layout/result.ts";
import { err, ok } from "../../r2-layout/result.ts";
import type { SegmentRef } from "../../r2-layout/segment.ts";
import { encodeSegment } from "../../r2-layout/segment.ts";
import type { SinkName } from "../../r2-layout/sinks.ts";
import type { ObjectWriter, PoisonMetadata } from "../dead-letter.ts";
import type { BarredSubjects } from "../fan-out/barred.ts";
import { isRefusal } from "../refusal.ts";
import { holeLines, withOrigin } from "./hole-lines.ts";
import { holeKeeper } from "./list.ts";

export interface RedriveDeps {
  readonly bucket: ObjectWriter & {
    get(
      key: string,
    ): Promise<{ arrayBuffer(): Promise<ArrayBuffer>; readonly customMetadata?: Record<string, string> } | null>;
  };
  readonly logs: ObjectNamespace<Pick<EventLogApi, "segments" | "barred"> & EventLogRedriveApi>;
  /** Whom the rules keep out, as far as this isolate knows. */
  readonly barred: BarredSubjects;
  readonly cursors: ObjectNamespace<Pick<HolesApi, "holes" | "close">>;
  readonly catalog: Pick<HolesApi, "holes" | "close">;
  /** `events-k`, one for each shard. @throws what a queue throws */
  readonly send: (shard: number, body: string) => Promise<void>;
  readonly shards: number;
  /** Milliseconds. */
  readonly now: () => number;
}

/** Why it would fail again. */
export interface RedriveRefusal {
  /** Short and stable. */
  readonly cause: string;
  readonly detail: string;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const nextUlid = monotonicFactory();
/** A segment is stale an hour after it was written: once more is enough. */
const ROUNDS = 3;

/** @param mended stands for the parked body. @returns null where there is no such entry */
export async function redriveMessage(
  key: string,
  mended: string | null,
  deps: RedriveDeps,
): Promise<Result<{ readonly at: string }, RedriveRefusal> | null> {
  const object = await deps.bucket.get(key);
  if (!object) return null;
  const metadata = (object.customMetadata ?? {}) as unknown as PoisonMetadata;
  if (metadata.redriven_at) return ok({ at: metadata.redriven_at });
  const bytes = new Uint8Array(await object.arrayBuffer());
  const body = mended ?? textOf(bytes);
  if (body === null) return err({ cause: "malformed_message", detail: "its bytes are no UTF-8" });
  const parsed = parseMessage(body);
  if (!parsed.ok) return err({ cause: parsed.error.reason, detail: parsed.error.detail });
  const { shard } = parsed.value.header;
  if (shard >= deps.shards) return err({ cause: "unknown_shard", detail: `there are ${deps.shards} shards` });
  const size = Buffer.byteLength(body);
  if (size > PLATFORM.queueMessageBytes) return err({ cause: "message_too_large", detail: `it has ${size} bytes` });
  await deps.send(shard, body);
  const redriven_at = new Date(deps.now()).toISOString();
  // The bytes stay as they came, whatever was sent in their place.
  await deps.bucket.put(key, bytes, { customMetadata: { ...metadata, redriven_at } });
  return ok({ at: redriven_at });
}

/** @param mended lines that stand for the hole's, in their order. @returns null where there is no such hole */
export async function redriveHole(
  { sink, shard, seq }: { readonly sink: SinkName; readonly shard: number; readonly seq: number },
  mended: string | null,
  deps: RedriveDeps,
): Promise<Result<{ readonly seq: number }, RedriveRefusal> | null> {
  const keeper = holeKeeper(deps, sink, shard);
  const [hole] = await keeper.holes(shard, { seq });
  if (!hole) return null;
  if (hole.redrivenAs !== null) return ok({ seq: hole.redrivenAs });
  const log = deps.logs.getByName(shardName(shard));
  const ref = (await log.segments(seq - 1, 1)).segments.find((segment) => segment.seq === seq);
  if (!ref) return err({ cause: "segment_forgotten", detail: "the log does not have it any more" });
  const lines = await holeLines(hole, ref, mended, deps.bucket, log);
  if (!lines.ok) return lines;
  const texts = lines.value.map((text) => withOrigin(text, { shard, seq }));
  await deps.barred.learnAll(log);
  for (let round = 0; round < ROUNDS; round++) {
    const committed = await commit(hole, ref, texts, sink, log, deps);
    if (!committed.ok) return committed;
    if (committed.value === null) continue;
    await keeper.close(shard, seq, committed.value);
    return ok({ seq: committed.value });
  }
  throw new Error(`redrive of seq ${seq} in shard ${shard}: stale ${ROUNDS} times`);
}

/** @returns null where the segment is stale, or a newer rule keeps somebody out. */
async function commit(
  hole: RecordedHole,
  ref: SegmentRef,
  given: readonly string[],
  sink: SinkName,
  log: Pick<EventLogApi, "barred"> & EventLogRedriveApi,
  deps: RedriveDeps,
): Promise<Result<number | null, RedriveRefusal>> {
  const { shard, seq } = hole;
  const barred = deps.barred.version;
  const lines = given.map((text) => (deps.barred.isErased(text) ? erasedLine(text) : text));
  const writtenAt = deps.now();
  const body = encodeSegment(lines);
  const key = segmentKey({ receivedAtUs: ref.maxReceivedAt, shard, ulid: nextUlid(writtenAt) });
  await deps.bucket.put(key, body, {});
  const { minReceivedAt, maxReceivedAt } = ref;
  const { quarantined } = hole;
  const republished = lines.filter(isRepublished).length;
  const segment = {
    key,
    bytes: body.byteLength,
    events: lines.length,
    quarantined,
    // Whoever settles them has read the hole without them: it has to look here.
    ...(republished > 0 && { republished }),
    minReceivedAt,
    maxReceivedAt,
    writtenAt,
  };
  try {
    const answer = await log.redrive({
      id: `hole:${sink}:${shard}:${seq}`,
      segment,
      origins: [{ seq, lines: hole.lines, quarantined }],
      sinks: [sink],
      ...(barred > 0 && { barred }),
    });
    if (answer.kind === "committed") return ok(answer.seq);
    if (answer.kind === "stale") return ok(null);
    if (answer.kind === "barred") {
      await deps.barred.learn(log, answer.version);
      return ok(null);
    }
    return err({ cause: "redriven", detail: "another redrive has brought some of these lines already" });
  } catch (error) {
    if (isRefusal(error)) return err({ cause: "redrive_refused", detail: String(error) });
    throw error;
  }
}

/** @param text a line that a sink can read */
const isRepublished = (text: string): boolean =>
  (erasedKind(text) === null && readLogLine(text).row.flags?.includes("republished" satisfies EventFlag)) ?? false;

function textOf(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}
