/**
 * Who an erasure or a suppression is about. An identifier is never kept for it: only its keyed hash, HMAC-SHA256 of kind
 * and identifier, the first 16 bytes. The name of a timeline is the same hash whole, so a set of subjects and the objects
 * that belong to them can be compared, and neither tells whose they are without the key.
 */
import { createHmac } from "node:crypto";
import { normalizeEmail } from "./email.ts";
import type { EventRow } from "./event-columns.ts";

export const SUBJECT_KINDS = ["user", "device", "email"] as const;
export type SubjectKind = (typeof SUBJECT_KINDS)[number];

/** A user_id, an anonymous_id, or an address as `normalizeEmail` gives it. */
export interface Subject {
  readonly kind: SubjectKind;
  readonly id: string;
}

/** A packed set has so many bytes for each subject. */
export const SUBJECT_BYTES = 16;
/** Hexadecimal. */
const HEX_CHARS = 2 * SUBJECT_BYTES;

/** 32 hexadecimal digits. */
export type SubjectHash = string;
export type SubjectHasher = (subject: Subject) => SubjectHash;

/** Subjects come in runs, a visitor's events one after another: what was hashed lately is at hand. */
const REMEMBERED = 4_096;

/** What stands where an erased identifier stood. Hashed, whatever its kind, it is the hash that it was made of. */
export const placeholderOf = (hash: SubjectHash): string => `erased:${hash}`;

const PLACEHOLDER = /^erased:([0-9a-f]{32})$/;

export const isPlaceholder = (text: string): boolean => PLACEHOLDER.test(text);

/** @param identityKey the secret that names timelines */
export function subjectHasher(identityKey: string): SubjectHasher {
  const known = new Map<string, SubjectHash>();
  return ({ kind, id }) => {
    const stood = id.startsWith("erased:") ? PLACEHOLDER.exec(id)?.[1] : undefined;
    if (stood !== undefined) return stood;
    const text = `${kind}\n${id}`;
    let hash = known.get(text);
    if (hash === undefined) {
      hash = createHmac("sha256", identityKey).update(text).digest("hex").slice(0, HEX_CHARS);
      if (known.size === REMEMBERED) known.clear();
      known.set(text, hash);
    }
    return hash;
  };
}

/** The beginning of a hash, enough to say of most that they are not meant: 4 bytes, as a number. */
export const prefixOf = (hash: SubjectHash): number => Number.parseInt(hash.slice(0, 2 * PREFIX_BYTES), 16);
const PREFIX_BYTES = 4;

/** Base64 of prefixes, 4 bytes each, big endian, in order, each once: whom a message or a segment may name. */
export type PackedPrefixes = string;

export function packPrefixes(prefixes: Iterable<number>): PackedPrefixes {
  const distinct = [...new Set(prefixes)].sort((a, b) => a - b);
  const bytes = Buffer.alloc(distinct.length * PREFIX_BYTES);
  distinct.forEach((prefix, i) => {
    bytes.writeUInt32BE(prefix, i * PREFIX_BYTES);
  });
  return bytes.toString("base64");
}

/** @throws RangeError where it is no packed set. */
export function unpackPrefixes(packed: PackedPrefixes): number[] {
  const bytes = Buffer.from(packed, "base64");
  if (bytes.byteLength % PREFIX_BYTES !== 0) throw new RangeError(`${bytes.byteLength} bytes are no prefixes`);
  return Array.from({ length: bytes.byteLength / PREFIX_BYTES }, (_, i) => bytes.readUInt32BE(i * PREFIX_BYTES));
}

/** A set of subjects as a rule carries it: base64 of their hashes, in order. */
export type PackedSubjects = string;

export function packSubjects(hashes: Iterable<SubjectHash>): PackedSubjects {
  return Buffer.from([...new Set(hashes)].sort().join(""), "hex").toString("base64");
}

/** @throws RangeError where it is no packed set. */
export function unpackSubjects(packed: PackedSubjects): ReadonlySet<SubjectHash> {
  const bytes = Buffer.from(packed, "base64");
  if (bytes.byteLength % SUBJECT_BYTES !== 0) throw new RangeError(`${bytes.byteLength} bytes are no set of subjects`);
  const hex = bytes.toString("hex");
  const hashes = new Set<SubjectHash>();
  for (let at = 0; at < hex.length; at += HEX_CHARS) hashes.add(hex.slice(at, at + HEX_CHARS));
  return hashes;
}

/** What of an event, or of a quarantined one, tells whose it is. */
type Named = Pick<EventRow, "user_id" | "anonymous_id" | "properties">;

/** Whom an event names: its user, its device, the address that it carries as a trait, and whoever its alias was before. */
export function subjectsOf({ user_id, anonymous_id, properties }: Named): Subject[] {
  const subjects: Subject[] = [];
  if (user_id) subjects.push({ kind: "user", id: user_id });
  if (anonymous_id) subjects.push({ kind: "device", id: anonymous_id });
  const email = normalizeEmail(properties?.email);
  if (email) subjects.push({ kind: "email", id: email });
  const before = properties?.previous_id;
  if (before) subjects.push({ kind: "user", id: before }, { kind: "device", id: before });
  return subjects;
}

/**
 * Whom JSON of any shape may name: each text in it, as whatever it may be. For what has no columns: a quarantined event's
 * JSON, a message that nobody could read.
 */
export function subjectsInJson(value: unknown): Subject[] {
  if (typeof value === "string") {
    const email = normalizeEmail(value);
    return value === ""
      ? []
      : [
          { kind: "user", id: value },
          { kind: "device", id: value },
          ...(email ? [{ kind: "email" as const, id: email }] : []),
        ];
  }
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(subjectsInJson);
}

/** Whether an event names one of them. For many rows. */
export function subjectMatcher(packed: PackedSubjects, hash: SubjectHasher): (row: Named) => boolean {
  const hashes = unpackSubjects(packed);
  return (row) => subjectsOf(row).some((subject) => hashes.has(hash(subject)));
}
