/** R2 keys, made and read. Every object of the system lies under one of these prefixes. */
import type { TableName } from "./event-columns.ts";
import { dayOf } from "./time.ts";

/** `007`: three digits at least, so that listings sort. */
export const shardName = (shard: number): string => String(shard).padStart(3, "0");

/** `log/dt=2026-11-22/shard=000/<ulid>.ndjson.gz`: a segment has its key before it has its seq. */
export function segmentKey(part: { receivedAtUs: number; shard: number; ulid: string }): string {
  return `log/dt=${dayOf(part.receivedAtUs)}/shard=${shardName(part.shard)}/${part.ulid}.ndjson.gz`;
}

const SEGMENT = /^log\/dt=(\d{4}-\d\d-\d\d)\/shard=(\d{3,})\/([0-9A-HJKMNP-TV-Z]{26})\.ndjson\.gz$/;

export function parseSegmentKey(key: string): { day: string; shard: number; ulid: string } | null {
  const match = SEGMENT.exec(key);
  return match ? { day: match[1]!, shard: Number(match[2]), ulid: match[3]! } : null;
}

/** `fresh` files come from the sink, `compact` files from maintenance. `day` is null for a file of many days. */
export type DataFileKind = "fresh" | "compact";

/** `lake/events/fresh/dt=2026-11-22/<ulid>.parquet`, or `dt=mixed` where a file holds several days, a row group each. */
export function dataFileKey(part: { table: TableName; kind: DataFileKind; day: string | null; ulid: string }): string {
  return `lake/${part.table}/${part.kind}/dt=${part.day ?? "mixed"}/${part.ulid}.parquet`;
}

const DATA_FILE =
  /^lake\/(events|quarantine)\/(fresh|compact)\/dt=(\d{4}-\d\d-\d\d|mixed)\/([0-9A-HJKMNP-TV-Z]{26})\.parquet$/;

export function parseDataFileKey(
  key: string,
): { table: TableName; kind: DataFileKind; day: string | null; ulid: string } | null {
  const match = DATA_FILE.exec(key);
  if (!match) return null;
  return {
    table: match[1] as TableName,
    kind: match[2] as DataFileKind,
    day: match[3] === "mixed" ? null : match[3]!,
    ulid: match[4]!,
  };
}

/** `poison/2026-11-22/<queue>/<ulid>.bin`: a queue message that could not be read, kept with its cause as metadata. */
export function poisonKey(part: { day: string; queue: string; ulid: string }): string {
  return `poison/${part.day}/${part.queue}/${part.ulid}.bin`;
}

/** `rules/00000007.json`: a rule as it was raised, for people and for a rebuild of everything. */
export const ruleKey = (version: number): string => `rules/${String(version).padStart(8, "0")}.json`;

/** `jobs/<id>/<name>`: what a correction, settlement or audit found on its way. */
export const jobKey = (id: string, name: string): string => `jobs/${id}/${name}`;
