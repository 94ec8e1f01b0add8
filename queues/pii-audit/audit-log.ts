/**
 * The daily search for undeclared PII in the last day of the log: a sample, spread evenly over shards, segments and lines, so that its
 * cost does not follow the traffic. A shard's report takes the place of the day's before, so doing it twice is doing it once; the object
 * knows whether the day is done, and whoever comes each hour goes on where a crash has left off.
 */
import { CONTRACT_REGISTRY_NAME, type ContractRegistryApi } from "../../durable-objects/contract-registry/api.ts";
import type { EventLogApi, EventLogPlacesApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { PII_AUDIT_NAME, type PiiAuditApi } from "../../durable-objects/pii-audit/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { DAY_MS, PII } from "../../r2-layout/limits.ts";
import { type LogLine, parseLogLine } from "../../r2-layout/log-line.ts";
import { decodeSegmentLines, type SegmentRef } from "../../r2-layout/segment.ts";
import { dayOf, MICROS_PER_MS } from "../../r2-layout/time.ts";
import { segmentObject } from "../segment-object.ts";
import { declaredBy } from "./declared.ts";
import { type IsDeclared, PiiTally } from "./tally.ts";

export interface PiiAuditDeps {
  readonly bucket: { get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null> };
  readonly logs: ObjectNamespace<Pick<EventLogApi, "segments"> & EventLogPlacesApi>;
  readonly registry: ObjectNamespace<Pick<ContractRegistryApi, "enforced">>;
  readonly audits: ObjectNamespace<Pick<PiiAuditApi, "begin" | "put" | "finish">>;
  readonly shards: number;
}

export interface PiiAuditPart {
  /** `YYYY-MM-DD`: the day on which it is done. */
  readonly day: string;
  /** Index of the next of the day's shards. */
  readonly next: number;
}

/** A bounded slice. @param now though the day is done. @returns where to go on, null at the end */
export async function auditPii(
  deps: PiiAuditDeps,
  nowMs: number,
  part: PiiAuditPart | null,
  now = false,
): Promise<PiiAuditPart | null> {
  const audit = deps.audits.getByName(PII_AUDIT_NAME);
  const day = part?.day ?? dayOf(nowMs * MICROS_PER_MS);
  if (part === null && !(await audit.begin(day)) && !now) return null;
  const enforced = await deps.registry.getByName(CONTRACT_REGISTRY_NAME).enforced(null);
  const isDeclared = declaredBy(enforced?.contracts ?? []);
  const sampled = sampledShards(deps.shards, Date.parse(day) / DAY_MS);
  const first = part?.next ?? 0;
  const end = Math.min(first + PII.auditShardsAtOnce, sampled.length);
  for (const shard of sampled.slice(first, end)) await auditShard(deps, shard, day, nowMs, isDeclared);
  if (end < sampled.length) return { day, next: end };
  await audit.finish(day, nowMs);
  return null;
}

async function auditShard(
  { bucket, logs, audits }: PiiAuditDeps,
  shard: number,
  day: string,
  nowMs: number,
  isDeclared: IsDeclared,
): Promise<void> {
  const log = logs.getByName(shardName(shard));
  const { range } = await log.between(nowMs - DAY_MS, nowMs);
  const tally = new PiiTally(isDeclared);
  for (const seq of range ? spread(range.from, range.to, PII.auditSegments) : []) {
    const [segment] = (await log.segments(seq - 1, 1)).segments;
    if (!segment || segment.kind === "rule") continue;
    const lines = await linesOf(bucket, segment, log);
    for (const at of spread(0, lines.length - 1, PII.auditLines)) {
      const line = parsed(lines[at]!);
      if (line) tally.add(line);
    }
  }
  await audits.getByName(PII_AUDIT_NAME).put(day, shard, tally.report);
}

/** None of one that is gone, or damaged: sinks tell of it, not this. */
async function linesOf(
  bucket: PiiAuditDeps["bucket"],
  segment: SegmentRef,
  log: Pick<EventLogApi, "segments">,
): Promise<string[]> {
  const { body } = await segmentObject(segment, bucket, log);
  if (!body) return [];
  try {
    return decodeSegmentLines(body);
  } catch {
    return [];
  }
}

/** Null for what is no event, or none any more. */
function parsed(text: string): LogLine | null {
  try {
    const line = parseLogLine(text);
    return typeof line.raw === "object" && line.raw !== null && typeof line.row?.source === "string" ? line : null;
  } catch {
    return null;
  }
}

/** Whole numbers of a range, both ends inclusive: at most so many, evenly apart. */
export function spread(from: number, to: number, count: number): number[] {
  const all = to - from + 1;
  if (all <= count) return Array.from({ length: Math.max(0, all) }, (_, i) => from + i);
  return Array.from({ length: count }, (_, i) => from + Math.floor((i * all) / count));
}

/** Of many shards each day others, so that all have their turn. */
function sampledShards(shards: number, day: number): number[] {
  const picked = spread(0, shards - 1, PII.auditShards);
  return picked.map((shard) => (shard + day) % shards);
}
