import { generateKeyPairSync } from "node:crypto";
import { expect, it } from "vitest";
import { receiptSigner } from "../../../../r2-layout/signed-receipt.ts";
import { checkReceipt } from "../../../../workers/console/erasures/check-receipt.ts";

it("promise 7: a browser finds of a receipt what the script finds: whether it is what was signed, and by whom", async () => {
  const signer = await receiptSigner(
    generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "der" }).toString("base64"),
  );
  const signed = JSON.parse(JSON.stringify(await signer.sign({ b: "é", a: [1, { d: null, c: 2 }] })));
  expect(await checkReceipt(signed, [signer.key.public])).toEqual({ kind: "holds", isTrusted: true });
  expect(await checkReceipt(signed, [])).toEqual({ kind: "holds", isTrusted: false });
  const tampered = { ...signed, receipt: { ...signed.receipt, b: "e" } };
  expect(await checkReceipt(tampered, [signer.key.public])).toEqual({ kind: "tampered" });
  expect(await checkReceipt({ ...signed, key: { id: "", public: "AAAA" } }, [])).toEqual({ kind: "unable" });
});
