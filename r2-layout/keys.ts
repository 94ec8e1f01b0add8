/** R2 keys, made and read. Every object of the system lies under one of these prefixes. */
import type { TableName } from "./event-columns.ts";
import { dayOf, MICROS_PER_MS } from "./time.ts";

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

/**
 * What Iceberg's readers are led to, beside the data that it is about: `lake/events/metadata/00042-<ulid>.metadata.json`,
 * the manifest list of a snapshot `snap-<id>-<ulid>.avro`, a manifest `<ulid>-m.avro`.
 */
export function icebergKey(
  part: { table: TableName; ulid: string } & (
    | { kind: "metadata"; version: number }
    | { kind: "manifest-list"; snapshotId: number }
    | { kind: "manifest" }
  ),
): string {
  const folder = `lake/${part.table}/metadata`;
  switch (part.kind) {
    case "metadata":
      return `${folder}/${String(part.version).padStart(5, "0")}-${part.ulid}.metadata.json`;
    case "manifest-list":
      return `${folder}/snap-${part.snapshotId}-${part.ulid}.avro`;
    case "manifest":
      return `${folder}/${part.ulid}-m.avro`;
  }
}

const ICEBERG_FILE =
  /^lake\/(events|quarantine)\/metadata\/(?:\d{5,}-|snap-\d+-)?([0-9A-HJKMNP-TV-Z]{26})(?:\.metadata\.json|\.avro|-m\.avro)$/;

export function parseIcebergKey(key: string): { table: TableName; ulid: string } | null {
  const match = ICEBERG_FILE.exec(key);
  return match ? { table: match[1] as TableName, ulid: match[2]! } : null;
}

/**
 * `poison/2026-11-22/<inverse>/<queue>/<ulid>.bin`: a queue message that could not be handled, kept as it came, with its
 * cause as metadata. `inverse` falls as time passes, so that a listing of a day begins with the newest.
 */
export function poisonKey(part: { atMs: number; queue: string; ulid: string }): string {
  const inverse = String(LAST_MS - part.atMs).padStart(13, "0");
  return `poison/${dayOf(part.atMs * MICROS_PER_MS)}/${inverse}/${part.queue}/${part.ulid}.bin`;
}

/** The last of 13 digits. */
const LAST_MS = 9_999_999_999_999;

/** Keys of an earlier version have no `inverse`, and stand after the others of their day. */
const POISON = /^poison\/(\d{4}-\d\d-\d\d)\/(?:\d{13}\/)?([a-z0-9-]+)\/([0-9A-HJKMNP-TV-Z]{26})\.bin$/;

export function parsePoisonKey(key: string): { day: string; queue: string; ulid: string } | null {
  const match = POISON.exec(key);
  return match ? { day: match[1]!, queue: match[2]!, ulid: match[3]! } : null;
}

/** `rules/00000007.json`: a rule as it was raised, for people and for a rebuild of everything. */
export const ruleKey = (version: number): string => `rules/${String(version).padStart(8, "0")}.json`;

/** `jobs/<id>/<name>`: what a correction, settlement or audit found on its way. */
export const jobKey = (id: string, name: string): string => `jobs/${id}/${name}`;

/** `receipts/<job>.json`: what an erasure has left behind, signed. Kept for good; holds hashes of identifiers only. */
export const receiptName = (job: string): string => `receipts/${job}.json`;

/** `receipts/keys/<id>.json`: a public key that receipts were signed with. */
export const RECEIPT_KEYS = "receipts/keys/";
export const receiptKeyName = (id: string): string => `${RECEIPT_KEYS}${id}.json`;

/** `erasures/<job>/<store>.json.gz`: keyed hashes by which a store looks again for what was erased. Kept for good. */
export const keptNamesKey = (job: string, store: string): string => `erasures/${job}/${store}.json.gz`;
