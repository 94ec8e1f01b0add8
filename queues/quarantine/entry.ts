/**
 * An entry of the quarantine: something that could not be handled, kept with its cause until somebody sends it again. A
 * *message* lies in R2 under `poison/`; a *hole* is what a sink left out of its log, and its bytes are the segment's.
 */
import { decodeTime } from "ulidx";
import type { RecordedHole } from "../../durable-objects/sink-cursor/api.ts";
import { parsePoisonKey, shardName } from "../../r2-layout/keys.ts";
import type { SinkName } from "../../r2-layout/sinks.ts";
import { SINKS } from "../../r2-layout/sinks.ts";
import type { PoisonMetadata } from "../dead-letter.ts";

/** As it leaves: `GET /v1/quarantine`. */
export interface QuarantineEntry {
  readonly id: string;
  readonly kind: "message" | "hole";
  readonly cause: string;
  readonly detail: string;
  readonly origin:
    | { readonly queue: string; readonly message_id: string; readonly key: string }
    | {
        readonly sink: SinkName;
        readonly shard: number;
        readonly seq: number;
        /** From 0, in the segment. */
        readonly lines: readonly number[] | "all";
        readonly key: string;
      };
  /** Of a message; a hole's are read when it is asked for. */
  readonly bytes: number | null;
  /** Quarantined ones among them; null where a message cannot be read. */
  readonly events: number | null;
  readonly at: string;
  readonly attempts: number | null;
  readonly state: "open" | "redriven";
  /** When a message was sent again; in which segment a hole came back. */
  readonly redriven: { readonly at: string } | { readonly seq: number } | null;
}

export type EntryId =
  | { readonly kind: "message"; readonly key: string }
  | { readonly kind: "hole"; readonly sink: SinkName; readonly shard: number; readonly seq: number };

export const messageEntryId = (key: string): string => `m.${Buffer.from(key).toString("base64url")}`;

export const holeEntryId = ({ sink, shard, seq }: Omit<EntryId & { kind: "hole" }, "kind">): string =>
  `${holesRank({ sink, shard })}${seq}`;

/** Its place among entries of the same millisecond: a cursor's holes as it lists them, the highest seq first. */
export function rankOf(id: string): string {
  const entry = id.startsWith("h.") ? parseEntryId(id) : null;
  if (entry?.kind !== "hole") return id;
  return `${holesRank(entry)}${String(10 ** 15 - entry.seq).padStart(15, "0")}`;
}

/** What the ranks of a cursor's holes begin with. */
export const holesRank = ({ sink, shard }: { readonly sink: SinkName; readonly shard: number }): string =>
  `h.${sink}.${shardName(shard)}.`;

const HOLE = /^h\.([a-z]+)\.(\d{3,6})\.([1-9]\d{0,14})$/;

/** Null for what is no id. */
export function parseEntryId(id: string): EntryId | null {
  if (id.startsWith("m.")) {
    const key = Buffer.from(id.slice(2), "base64url").toString();
    return parsePoisonKey(key) ? { kind: "message", key } : null;
  }
  const match = HOLE.exec(id);
  const sink = SINKS.find((name) => name === match?.[1]);
  return match && sink ? { kind: "hole", sink, shard: Number(match[2]), seq: Number(match[3]) } : null;
}

/** What R2 tells of a parked object without its body. */
export interface ParkedObject {
  readonly key: string;
  readonly size: number;
  readonly customMetadata?: Record<string, string> | undefined;
}

/** Null for an object that is no parked message. */
export function messageEntry({ key, size, customMetadata = {} }: ParkedObject): QuarantineEntry | null {
  const parsed = parsePoisonKey(key);
  if (!parsed) return null;
  const { cause, detail, message, attempts, events, redriven_at } = customMetadata as Partial<
    Record<keyof PoisonMetadata, string>
  >;
  return {
    id: messageEntryId(key),
    kind: "message",
    cause: cause ?? "unknown",
    detail: detail ?? "",
    origin: { queue: parsed.queue, message_id: message ?? "", key },
    bytes: size,
    events: events === undefined ? null : Number(events),
    at: new Date(decodeTime(parsed.ulid)).toISOString(),
    attempts: attempts === undefined ? null : Number(attempts),
    state: redriven_at ? "redriven" : "open",
    redriven: redriven_at ? { at: redriven_at } : null,
  };
}

export function holeEntry(sink: SinkName, hole: RecordedHole): QuarantineEntry {
  const { shard, seq, lines, key, cause, detail, attempts, redrivenAs } = hole;
  return {
    id: holeEntryId({ sink, shard, seq }),
    kind: "hole",
    cause,
    detail,
    origin: { sink, shard, seq, lines, key },
    bytes: null,
    events: hole.events + hole.quarantined,
    at: new Date(hole.at).toISOString(),
    attempts,
    state: redrivenAs === null ? "open" : "redriven",
    redriven: redrivenAs === null ? null : { seq: redrivenAs },
  };
}
