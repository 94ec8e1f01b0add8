/**
 * What becomes of a contract's PII fields before an event reaches the log. It works on the JSON as it was sent, in every member that
 * may hold properties (`properties`, `traits`, `context.traits`, and beside them `name`, `category`, `groupId`, `previousId`), so that whatever is derived from it afterwards (the row, promoted
 * columns) has only what is left. Pure: secrets are handed in.
 *
 *     drop        the field is gone
 *     hash        hash.<period>.<22 characters>: equal values are equal within a period; whose salt is destroyed, nobody can try guesses
 *     truncate    as much as tells nobody apart: truncate.ts
 *     encrypt     enc.1.<base64url>, by the person's own key: destroying it erases
 *     keep        as it is, and declared
 *
 * What does not have the shape that the contract knows is withheld where a field of the policy might be in it.
 */
import { createHmac } from "node:crypto";
import { normalizeEmail } from "../email.ts";
import { BESIDE_PROPERTIES } from "../log-line.ts";
import { canonicalJson } from "./canonical-json.ts";
import type { Contract, PiiClass, PiiField } from "./contract.ts";
import { sealed } from "./sealed-text.ts";
import { truncated } from "./truncate.ts";

export interface Salt {
  /** Which period it is of; stands before the hash. */
  readonly period: number;
  readonly bytes: Uint8Array;
}

/** What a policy is carried out with; null where it is not needed, or where nobody's key can be asked for. */
export interface Secrets {
  readonly salt: Salt | null;
  /** 32 bytes. Without it what would be encrypted is dropped. */
  readonly key: Uint8Array | null;
}

type Json = Readonly<Record<string, unknown>>;

interface Node {
  treated?: PiiField;
  readonly inner: Map<string, Node>;
}

export class PiiPolicy {
  readonly needsSalt: boolean;
  readonly needsKey: boolean;
  readonly #root: Node = { inner: new Map() };

  private constructor(fields: readonly PiiField[]) {
    this.needsSalt = fields.some(({ treatment }) => treatment === "hash");
    this.needsKey = fields.some(({ treatment }) => treatment === "encrypt");
    for (const field of fields) {
      let node = this.#root;
      for (const name of field.path) {
        const inner: Node = node.inner.get(name) ?? { inner: new Map() };
        node.inner.set(name, inner);
        node = inner;
      }
      node.treated = field;
    }
  }

  /** Null where every field is kept. */
  static of({ pii }: Pick<Contract, "pii">): PiiPolicy | null {
    const treated = pii.filter(({ treatment }) => treatment !== "keep");
    return treated.length === 0 ? null : new PiiPolicy(treated);
  }

  /** @param raw the event as it was sent; it is left as it is. */
  applied(raw: Json, secrets: Secrets): Record<string, unknown> {
    const event: Record<string, unknown> = { ...raw };
    for (const member of ["properties", "traits"]) {
      if (event[member] !== undefined) event[member] = walk(event[member], this.#root, secrets);
    }
    // They become properties of the row.
    for (const [name, member] of BESIDE_PROPERTIES) {
      const node = this.#root.inner.get(name);
      if (node && event[member] !== undefined) event[member] = walk(event[member], node, secrets);
    }
    const { context } = event;
    if (isObject(context) && context.traits !== undefined) {
      event.context = { ...context, traits: walk(context.traits, this.#root, secrets) };
    }
    return event;
  }

  /** Whether a value at this place may be, or hold, one that the policy treats. @param path names and indexes, in `properties` */
  covers(path: readonly string[]): boolean {
    let node = this.#root;
    for (const name of path) {
      if (node.treated) return true;
      const inner = node.inner.get(name);
      if (inner) node = inner;
      else if (!/^\d+$/.test(name)) return false;
    }
    return node.treated !== undefined || node.inner.size > 0;
  }
}

/** @returns undefined for what is to go. */
function walk(value: unknown, node: Node, secrets: Secrets): unknown {
  if (value === null || value === undefined) return value;
  if (node.treated) return one(value, node.treated, secrets);
  if (Array.isArray(value)) return value.map((item) => walk(item, node, secrets) ?? null);
  if (!isObject(value)) return undefined;
  let copy: Record<string, unknown> | null = null;
  for (const [name, inner] of node.inner) {
    if (!Object.hasOwn(value, name)) continue;
    copy ??= { ...value };
    const next = walk(value[name], inner, secrets);
    // Also `__proto__`, which JSON may have as a member like any other.
    if (next === undefined) delete copy[name];
    else Object.defineProperty(copy, name, { value: next, enumerable: true, configurable: true, writable: true });
  }
  return copy ?? value;
}

function one(value: unknown, field: PiiField, secrets: Secrets): unknown {
  switch (field.treatment) {
    case "keep":
      return value;
    case "drop":
      return undefined;
    case "hash":
      if (Array.isArray(value)) return value.map((item) => one(item, field, secrets) ?? null);
      return value === null || secrets.salt === null ? undefined : hashed(value, field.class, secrets.salt);
    case "truncate":
      if (Array.isArray(value)) return value.map((item) => one(item, field, secrets) ?? null);
      return value === null ? undefined : truncated(value, field.class);
    case "encrypt":
      return secrets.key === null ? undefined : sealed(value, secrets.key);
  }
}

/** 128 bits, as base64url. */
const HASH_CHARS = 22;

function hashed(value: unknown, kind: PiiClass, { period, bytes }: Salt): string {
  const digest = createHmac("sha256", bytes)
    .update(`${kind}\n${meant(value, kind)}`)
    .digest("base64url");
  return `hash.${period}.${digest.slice(0, HASH_CHARS)}`;
}

/** As people mean it, so that two spellings of one address are one hash. */
function meant(value: unknown, kind: PiiClass): string {
  const text = typeof value === "string" ? value.trim() : canonicalJson(value);
  if (kind === "email") return normalizeEmail(text) ?? text;
  return kind === "phone" ? text.replace(/[^\d+]/g, "") : text;
}

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
