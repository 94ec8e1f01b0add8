import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { receiptSigner, verifyReceipt } from "../../r2-layout/signed-receipt.ts";

const secret = () =>
  generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "der" }).toString("base64");
const signer = await receiptSigner(secret());
const other = await receiptSigner(secret());

const receipt = {
  id: "erasure-1",
  stores: [{ store: "lake", found: 3, removed: 3 }],
  subjects: { hashes: ["00", "ff"] },
};

describe("a signed receipt", () => {
  it("is checked offline, by the key that it brings or by one that is trusted", async () => {
    const signed = JSON.parse(JSON.stringify(await signer.sign(receipt)));
    expect(await verifyReceipt(signed)).toMatchObject({ ok: true, value: { receipt } });
    expect(await verifyReceipt(signed, signer.key.public)).toMatchObject({ ok: true });
    expect(await verifyReceipt(signed, other.key.public)).toMatchObject({ ok: false, error: { reason: "other_key" } });
  });

  it("does not depend on the order of its members or on spaces", async () => {
    const { receipt: _, ...rest } = await signer.sign(receipt);
    const turned = Object.fromEntries(Object.entries(receipt).reverse());
    expect(await verifyReceipt(JSON.parse(JSON.stringify({ ...rest, receipt: turned }, null, 3)))).toMatchObject({
      ok: true,
    });
  });

  it("is refused as tampered with whatever of it was changed", async () => {
    const signed = await signer.sign(receipt);
    const text = JSON.stringify(signed.receipt);
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length - 1), fc.constantFrom(..."0123456789af"), async (at, char) => {
        const changed = text.slice(0, at) + char + text.slice(at + 1);
        let parsed: unknown;
        try {
          parsed = JSON.parse(changed);
        } catch {
          return;
        }
        const isSame = JSON.stringify(parsed) === text;
        expect((await verifyReceipt({ ...signed, receipt: parsed })).ok).toBe(isSame);
      }),
    );
    for (const change of [
      { key: other.key },
      { key: { ...signed.key, id: other.key.id } },
      { signature: (await other.sign(receipt)).signature },
      { signature: "AAAA" },
    ]) {
      expect(await verifyReceipt({ ...signed, ...change })).toMatchObject({ ok: false, error: { reason: "tampered" } });
    }
  });

  it.each([null, 1, {}, { receipt: {} }, { receipt: {}, algorithm: "none", key: { public: "" }, signature: "" }])(
    "is none where it has no receipt, key and signature: %j",
    async (document) => {
      expect(await verifyReceipt(document)).toMatchObject({ ok: false, error: { reason: "no_receipt" } });
    },
  );

  it("cannot be signed with what is no key", async () => {
    await expect(receiptSigner("AAAA")).rejects.toThrow();
  });
});
