/**
 * A value under a person's key: `enc.1.` and base64url of nonce, AES-256-GCM text and tag. The nonce follows from key and value (as in
 * SIV), so that an event which is sent again is the same line again, and no nonce serves two values; what it tells is that a person said
 * the same thing twice.
 */
import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";

export const SEALED_PREFIX = "enc.1.";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = "aes-256-gcm";

/** @param key 32 bytes */
export function sealed(value: unknown, key: Uint8Array): string {
  const plain = Buffer.from(JSON.stringify(value));
  const keys = keysOf(key);
  const nonce = createHmac("sha256", keys.nonce).update(plain).digest().subarray(0, NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, keys.text, nonce);
  const text = Buffer.concat([cipher.update(plain), cipher.final()]);
  return SEALED_PREFIX + Buffer.concat([nonce, text, cipher.getAuthTag()]).toString("base64url");
}

/** Wrapped, because a value may be null. @returns null for what is no such text, was cut, or is under another key. */
export function unsealed(text: string, key: Uint8Array): { readonly value: unknown } | null {
  if (!isSealed(text)) return null;
  const bytes = Buffer.from(text.slice(SEALED_PREFIX.length), "base64url");
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return null;
  const end = bytes.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, keysOf(key).text, bytes.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(bytes.subarray(end));
  try {
    const plain = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, end)), decipher.final()]);
    return { value: JSON.parse(plain.toString()) as unknown };
  } catch {
    return null;
  }
}

export const isSealed = (text: unknown): text is string => typeof text === "string" && text.startsWith(SEALED_PREFIX);

interface Keys {
  readonly nonce: Uint8Array;
  readonly text: Uint8Array;
}

/** Of keys that somebody still has: deriving takes as long as sealing does. */
const known = new WeakMap<Uint8Array, Keys>();

/** One key for each use. */
function keysOf(key: Uint8Array): Keys {
  let keys = known.get(key);
  if (!keys) {
    const derived = (use: string) => createHmac("sha256", key).update(use).digest();
    keys = { nonce: derived("nonce"), text: derived("text") };
    known.set(key, keys);
  }
  return keys;
}
