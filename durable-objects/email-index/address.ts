/**
 * An e-mail address as the index knows it: never in clear. From the address and a secret follow the object and row that
 * it has, and a key; whose address it is stands in the row sealed with that key. So a row that was deleted, and is still in
 * the file's pages (SQLite does not wipe them), tells nobody anything without both the address and the secret.
 *
 * The nonce follows from what is sealed, so the same person under the same address is the same row, however often it comes.
 */
import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import { EMAIL_INDEX } from "../../r2-layout/limits.ts";
import type { Subject } from "../user-timeline/api.ts";

/** A subject under an address, as a row has it. */
export interface SealedSubject {
  /** 12 bytes. */
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
}

export class EmailAddress {
  /** The row, 16 bytes. */
  readonly hash: Uint8Array;
  /** The object. */
  readonly objectName: string;
  readonly #key: Buffer;

  /** @param email as `normalizeEmail` gives it */
  constructor(identityKey: string, email: string) {
    const derived = (use: string) => createHmac("sha256", identityKey).update(`email ${use}\n${email}`).digest();
    const hash = derived("row");
    this.hash = new Uint8Array(hash.subarray(0, 16));
    this.objectName = `emails:${String(hash.readUInt16BE(16) % EMAIL_INDEX.objects).padStart(3, "0")}`;
    this.#key = derived("seal");
  }

  seal({ kind, id }: Subject): SealedSubject {
    const text = `${kind}\n${id}`;
    const nonce = createHmac("sha256", this.#key).update(text).digest().subarray(0, 12);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce);
    const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
    return { nonce: new Uint8Array(nonce), sealed: new Uint8Array(sealed) };
  }

  /** Null where it was not sealed under this address and secret. */
  open({ nonce, sealed }: SealedSubject): Subject | null {
    try {
      const end = sealed.byteLength - 16;
      const cipher = createDecipheriv("aes-256-gcm", this.#key, nonce);
      cipher.setAuthTag(sealed.subarray(end));
      const text = cipher.update(sealed.subarray(0, end), undefined, "utf8") + cipher.final("utf8");
      const [kind, id] = [text.slice(0, text.indexOf("\n")), text.slice(text.indexOf("\n") + 1)];
      return kind === "user" || kind === "device" ? { kind, id } : null;
    } catch {
      return null;
    }
  }
}
