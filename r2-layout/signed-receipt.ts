/**
 * A document that anybody can check without us: its canonical JSON is signed with Ed25519. The public key comes with it, so
 * that the signature can be checked at once; whether that key is ours is for the reader to compare (`key.id`).
 */
import { canonicalJson } from "./contracts/canonical-json.ts";
import { err, ok, type Result } from "./result.ts";

export interface ReceiptKey {
  /** The first 16 hexadecimal digits of the public key's SHA-256. */
  readonly id: string;
  /** 32 bytes, base64. */
  readonly public: string;
}

export interface SignedReceipt<Receipt = unknown> {
  readonly receipt: Receipt;
  readonly algorithm: "Ed25519";
  readonly key: ReceiptKey;
  /** Over the canonical JSON of `receipt`, UTF-8; base64. */
  readonly signature: string;
}

export interface ReceiptSigner {
  readonly key: ReceiptKey;
  sign<Receipt>(receipt: Receipt): Promise<SignedReceipt<Receipt>>;
}

const ED25519 = { name: "Ed25519" } as const;

/** @param secret a private key, PKCS #8, base64. @throws Error where it is none. */
export async function receiptSigner(secret: string): Promise<ReceiptSigner> {
  const der = bytesOf(secret);
  const key = await crypto.subtle.importKey("pkcs8", der, ED25519, true, ["sign"]);
  // The public part: a JWK has it, PKCS #8 need not.
  const { x } = (await crypto.subtle.exportKey("jwk", key)) as { x: string };
  const publicKey = await receiptKey(Buffer.from(x, "base64url").toString("base64"));
  return {
    key: publicKey,
    async sign(receipt) {
      const signature = await crypto.subtle.sign(ED25519, key, signed(receipt));
      return { receipt, algorithm: "Ed25519", key: publicKey, signature: Buffer.from(signature).toString("base64") };
    },
  };
}

/** @param publicKey 32 bytes, base64 */
export async function receiptKey(publicKey: string): Promise<ReceiptKey> {
  const digest = await crypto.subtle.digest("SHA-256", bytesOf(publicKey));
  return { id: Buffer.from(digest).toString("hex").slice(0, 16), public: publicKey };
}

export type ReceiptFault =
  | { readonly reason: "no_receipt"; readonly detail: string }
  /** Signed, but by another key than the one that is trusted. */
  | { readonly reason: "other_key"; readonly detail: string }
  /** It is not what was signed. */
  | { readonly reason: "tampered"; readonly detail: string };

/** @param trusted the public key that it has to be signed by, base64; absent: the one that it brings */
export async function verifyReceipt(document: unknown, trusted?: string): Promise<Result<SignedReceipt, ReceiptFault>> {
  const given = document as Partial<SignedReceipt> | null;
  const { receipt, algorithm, key, signature } = given ?? {};
  if (
    receipt === undefined ||
    algorithm !== "Ed25519" ||
    typeof key?.public !== "string" ||
    typeof signature !== "string"
  )
    return err({ reason: "no_receipt", detail: "it has no receipt, Ed25519 key and signature" });
  if (trusted !== undefined && trusted !== key.public) {
    return err({ reason: "other_key", detail: `it is signed by ${key.public}` });
  }
  if ((await receiptKey(key.public)).id !== key.id) {
    return err({ reason: "tampered", detail: "the key's id is another key's" });
  }
  const isRight = await isSigned(key.public, signature, receipt);
  return isRight ? ok(given as SignedReceipt) : err({ reason: "tampered", detail: "the signature is of another text" });
}

async function isSigned(publicKey: string, signature: string, receipt: unknown): Promise<boolean> {
  try {
    const key = await crypto.subtle.importKey("raw", bytesOf(publicKey), ED25519, false, ["verify"]);
    return await crypto.subtle.verify(ED25519, key, bytesOf(signature), signed(receipt));
  } catch {
    return false; // No key, or no signature: of the wrong length, say.
  }
}

const signed = (receipt: unknown): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(new TextEncoder().encode(canonicalJson(receipt)));
const bytesOf = (base64: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(base64, "base64"));
