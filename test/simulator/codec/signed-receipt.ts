/** Receipts in simulated runs: WebCrypto answers when it likes, and not when the scheduler says. What is signed is the real text. */
import { createHmac } from "node:crypto";
import { canonicalJson } from "../../../r2-layout/contracts/canonical-json.ts";
import type { ReceiptSigner } from "../../../r2-layout/signed-receipt.ts";

export async function receiptSigner(secret: string): Promise<ReceiptSigner> {
  const key = { id: "simulated", public: "" };
  return {
    key,
    async sign(receipt) {
      const signature = createHmac("sha256", secret).update(canonicalJson(receipt)).digest("base64");
      return { receipt, algorithm: "Ed25519", key, signature };
    },
  };
}
