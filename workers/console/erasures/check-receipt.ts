/** Checks a receipt in the browser, as scripts/verify-receipt.ts does: the signature is over its canonical JSON. */
import { canonicalJson } from "../../../r2-layout/contracts/canonical-json.ts";
import type { SignedReceipt } from "../../../r2-layout/signed-receipt.ts";

export type Check =
  | { readonly kind: "holds"; readonly isTrusted: boolean }
  | { readonly kind: "tampered" }
  /** The browser knows no Ed25519. */
  | { readonly kind: "unable" };

/** @param trusted public keys, base64 */
export async function checkReceipt(signed: SignedReceipt, trusted: readonly string[]): Promise<Check> {
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey("raw", bytesOf(signed.key.public), "Ed25519", false, ["verify"]);
  } catch {
    return { kind: "unable" };
  }
  const text = new TextEncoder().encode(canonicalJson(signed.receipt));
  let holds = false;
  try {
    holds = await crypto.subtle.verify("Ed25519", key, bytesOf(signed.signature), text);
  } catch {
    // No base64, or of the wrong length: no signature.
  }
  return holds ? { kind: "holds", isTrusted: trusted.includes(signed.key.public) } : { kind: "tampered" };
}

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
